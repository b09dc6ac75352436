//! Faults by rule: which call goes wrong, and how (reference section 12.4).
//!
//! A rule counts the calls that match it, so that `nth` is the n-th since the rule was given. All
//! rules that match a call apply; what a rule does to a record happens before the call is served.

use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::simulator::cliniko::filters::matches_wildcard;
use crate::simulator::cliniko::wire::Delivery;
use crate::simulator::cliniko::wire::Reply;
use crate::simulator::cliniko::wire::Sent;

/// The server's own cut (reference section 4.6): how long a withheld reply holds its connection.
const HOLD_SECONDS_DEFAULT: u64 = 30;
const HOLD_SECONDS_MAX: u64 = 600;
const RESET_SECONDS_DEFAULT: i64 = 1;
const GATEWAY_PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>";

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    #[serde(default, rename = "match")]
    pub matching: FaultMatch,
    #[serde(rename = "do")]
    pub fault: Fault,
    /// Seconds, a patient's id or a host, as the fault needs it.
    #[serde(default)]
    pub value: Value,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FaultMatch {
    /// Absent: the host on which the fault makes sense.
    #[serde(default)]
    pub host: Option<Host>,
    /// Absent: every method.
    #[serde(default)]
    pub method: Option<String>,
    /// A prefix, or a pattern with `*`; with or without the leading `/v1`. Absent: every path.
    #[serde(default)]
    pub path: Option<String>,
    /// Which matching call, from 1. Absent: every one.
    #[serde(default)]
    pub nth: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Host {
    Api,
    Store,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The patient (`value`, or the one in the path) is archived before the call.
    ArchivePatient,
    #[serde(rename = "502-html")]
    BadGateway,
    #[serde(rename = "effect-then-500")]
    EffectThenError,
    /// The call is served, its reply is not: held `value` seconds, then closed.
    EffectThenTimeout,
    #[serde(rename = "500")]
    Error,
    /// `links.next` points at another host (`value`).
    ForeignNextLink,
    #[serde(rename = "504")]
    GatewayTimeout,
    /// A record made by the call stays out of lists for `value` seconds.
    ListLag,
    /// The patient is merged into another before the call.
    MergePatient,
    /// The policy handed out has already expired.
    PresignExpired,
    /// The file registered by the call is never processed.
    ProcessingStuck,
    /// The patient's surname changes before the call.
    RenamePatient,
    /// The call is served; the connection breaks in the middle of its reply.
    Reset,
    #[serde(rename = "store-503")]
    SlowDown,
    TimeoutBeforeEffect,
    /// `value` seconds to the reset; text goes into the header as it is; `"missing"` leaves it out.
    #[serde(rename = "429")]
    TooManyRequests,
    TruncatedJson,
    #[serde(rename = "503")]
    Unavailable,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<(FaultRule, u64)>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.rules.push((rule, 0));
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn listed(&self) -> Vec<&FaultRule> {
        self.rules.iter().map(|(rule, _)| rule).collect()
    }

    /// Counts one call and gives the faults that strike it.
    pub(super) fn strike(&mut self, host: Host, method: &str, path: &str) -> Strikes {
        let mut struck = Vec::new();
        for (rule, count) in &mut self.rules {
            if rule.matches(host, method, path) {
                *count += 1;
                if rule.matching.nth.is_none_or(|nth| nth == *count) {
                    struck.push((rule.fault, rule.value.clone()));
                }
            }
        }
        Strikes(struck)
    }
}

impl FaultRule {
    fn matches(&self, host: Host, method: &str, path: &str) -> bool {
        let natural = if self.fault == Fault::SlowDown { Host::Store } else { Host::Api };
        let matching = &self.matching;
        matching.host.unwrap_or(natural) == host
            && matching.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && matching.path.as_deref().is_none_or(|pattern| {
                [Some(path), path.strip_prefix("/v1")].into_iter().flatten().any(|path| {
                    if pattern.contains('*') {
                        matches_wildcard(pattern, '*', path)
                    } else {
                        path.starts_with(pattern)
                    }
                })
            })
    }
}

/// The faults that strike one call.
#[derive(Debug, Default)]
pub(super) struct Strikes(Vec<(Fault, Value)>);

impl Strikes {
    pub(super) fn value(&self, fault: Fault) -> Option<&Value> {
        self.0.iter().find(|(struck, _)| *struck == fault).map(|(_, value)| value)
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.value(fault).is_some()
    }

    pub(super) fn names(&self) -> Vec<Fault> {
        self.0.iter().map(|(fault, _)| *fault).collect()
    }

    /// What the caller gets in place of being served, if anything.
    pub(super) fn instead(&self, now: Timestamp) -> Option<Sent> {
        self.0.iter().find_map(|(fault, value)| {
            let sent = match fault {
                Fault::BadGateway => Reply::typed(StatusCode::BAD_GATEWAY, "text/html", GATEWAY_PAGE).into(),
                Fault::Error => server_error().into(),
                Fault::GatewayTimeout => {
                    Reply::typed(StatusCode::GATEWAY_TIMEOUT, "text/html", "<html>504</html>").into()
                }
                Fault::SlowDown | Fault::Unavailable => Reply::typed(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "application/xml",
                    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
                )
                .into(),
                Fault::TimeoutBeforeEffect => {
                    Sent { reply: server_error(), delivery: Delivery::Silent { after: hold(value) } }
                }
                Fault::TooManyRequests => storm(value, now).into(),
                _ => return None,
            };
            Some(sent)
        })
    }

    /// What becomes of the reply to a call that was served.
    pub(super) fn spoil(&self, mut reply: Reply) -> Sent {
        let mut delivery = Delivery::Whole;
        for (fault, value) in &self.0 {
            match fault {
                Fault::EffectThenError => reply = server_error(),
                Fault::EffectThenTimeout => delivery = Delivery::Silent { after: hold(value) },
                Fault::Reset => delivery = Delivery::Torn,
                Fault::TruncatedJson => reply.body = reply.body.slice(..reply.body.len() / 2),
                _ => {}
            }
        }
        Sent { reply, delivery }
    }
}

/// The answer to a call over the limit; the body is unknown (reference section 4.6), so it is JSON.
pub(super) fn too_many_requests(reset: Option<String>) -> Reply {
    let reply = Reply::json(StatusCode::TOO_MANY_REQUESTS, &json!({ "message": "Rate limit exceeded" }));
    match reset {
        Some(reset) => reply.with("x-ratelimit-reset", reset),
        None => reply,
    }
}

fn storm(value: &Value, now: Timestamp) -> Reply {
    let seconds = value.as_i64().unwrap_or(RESET_SECONDS_DEFAULT);
    too_many_requests(match value.as_str() {
        Some("missing") => None,
        Some(text) if text.chars().all(|character| character.is_ascii_graphic()) => Some(text.to_owned()),
        _ => Some(now.as_second().saturating_add(seconds).to_string()),
    })
}

fn hold(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().unwrap_or(HOLD_SECONDS_DEFAULT).min(HOLD_SECONDS_MAX))
}

fn server_error() -> Reply {
    let body = Bytes::from_static(b"{\"message\":\"Internal Server Error\"}");
    Reply::typed(StatusCode::INTERNAL_SERVER_ERROR, "application/json", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rule: Value) -> Faults {
        let mut faults = Faults::default();
        faults.add(serde_json::from_value(rule).unwrap());
        faults
    }

    #[test]
    fn nth_counts_only_the_calls_that_match() {
        let mut faults = faults(json!({ "do": "503", "match": {
            "method": "POST", "path": "/patient_attachments", "nth": 2 } }));
        let calls = [
            ("GET", "/v1/patient_attachments", false),
            ("POST", "/v1/patient_attachments", false),
            ("POST", "/v1/treatment_notes", false),
            ("POST", "/v1/patient_attachments", true),
            ("POST", "/v1/patient_attachments", false),
        ];
        for (method, path, struck) in calls {
            assert_eq!(
                faults.strike(Host::Api, method, path).has(Fault::Unavailable),
                struck,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn a_star_stands_for_any_run_and_a_host_keeps_to_itself() {
        let mut faults =
            faults(json!({ "do": "presign-expired", "match": { "path": "/v1/patients/*/attachment_p*" } }));
        let path = "/v1/patients/1/attachment_presigned_post";
        assert!(faults.strike(Host::Api, "GET", path).has(Fault::PresignExpired));
        assert!(!faults.strike(Host::Store, "GET", path).has(Fault::PresignExpired));
        assert!(!faults.strike(Host::Api, "GET", "/v1/patients/1").has(Fault::PresignExpired));
    }

    #[test]
    fn every_name_in_the_contract_is_understood_and_others_are_not() {
        let names = [
            "effect-then-timeout",
            "effect-then-500",
            "429",
            "list-lag",
            "timeout-before-effect",
            "500",
            "502-html",
            "503",
            "504",
            "reset",
            "truncated-json",
            "processing-stuck",
            "presign-expired",
            "store-503",
            "archive-patient",
            "rename-patient",
            "merge-patient",
            "foreign-next-link",
        ];
        for name in names {
            serde_json::from_value::<FaultRule>(json!({ "do": name })).expect(name);
        }
        serde_json::from_value::<FaultRule>(json!({ "do": "408" })).expect_err("an unknown fault");
        serde_json::from_value::<FaultRule>(json!({ "do": "429", "when": 1 })).expect_err("an unknown key");
    }
}
