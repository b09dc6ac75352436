//! What was asked of the simulator, call by call, and which calls the gateway may never make.
//!
//! Keys are masked before they get here. The allow-list is reference section 1.1, by exact method
//! and path: an archive is a POST too.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use hyper::Method;
use hyper::header::AUTHORIZATION;
use hyper::header::COOKIE;
use jiff::Timestamp;
use serde::Serialize;

use crate::simulator::cliniko::faults::Fault;
use crate::simulator::cliniko::faults::Host;
use crate::simulator::cliniko::faults::Strikes;
use crate::simulator::cliniko::policy::sha256;
use crate::simulator::cliniko::wire::Delivery;
use crate::simulator::cliniko::wire::Received;
use crate::simulator::cliniko::wire::Sent;

/// A day of deliveries; older calls are forgotten, forbidden ones are not.
const REQUESTS_MAX: usize = 100_000;
const MASK: &str = "[masked]";
const FORBIDDEN_MAX: usize = 10_000;

const LISTS: [&str; 7] = [
    "businesses",
    "medical_alerts",
    "patient_attachments",
    "patients",
    "practitioners",
    "treatment_note_templates",
    "treatment_notes",
];
const RECORDS: [&str; 4] = ["patient_attachments", "patients", "treatment_note_templates", "treatment_notes"];
const PARTS: [(&str, &str); 2] =
    [("patients", "attachment_presigned_post"), ("patient_attachments", "content")];
const CREATED: [&str; 2] = ["patient_attachments", "treatment_notes"];

#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    pub(super) at: String,
    pub(super) host: Host,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// As sent, but for the credential.
    pub(super) headers: BTreeMap<String, String>,
    /// Null when the reply was withheld.
    pub(super) status: Option<u16>,
    pub(super) key: Option<String>,
    pub(super) body_bytes: usize,
    pub(super) body_sha256: String,
    pub(super) verdict: Verdict,
    pub(super) faults: Vec<Fault>,
    /// Slips that are let through, such as a missing User-Agent.
    pub(super) violations: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Allowed,
    Forbidden,
}

/// What is known of a call besides what was sent.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) host: Host,
    pub(super) verdict: Verdict,
    /// Masked.
    pub(super) key: Option<String>,
    pub(super) violations: Vec<&'static str>,
}

impl Entry {
    pub(super) fn of(
        received: &Received,
        judgement: Judgement,
        strikes: &Strikes,
        sent: &Sent,
        now: Timestamp,
    ) -> Self {
        let answered = !matches!(sent.delivery, Delivery::Silent { .. });
        Self {
            at: now.to_string(),
            host: judgement.host,
            method: received.method.to_string(),
            path: received.path.clone(),
            query: received.query.clone(),
            headers: headers(received),
            status: answered.then(|| sent.reply.status.as_u16()),
            key: judgement.key,
            body_bytes: received.body.len(),
            body_sha256: sha256(&received.body),
            verdict: judgement.verdict,
            faults: strikes.names(),
            violations: judgement.violations,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    requests: VecDeque<Entry>,
    forbidden: Vec<Entry>,
}

impl Journal {
    pub(super) fn record(&mut self, entry: Entry) {
        if entry.verdict == Verdict::Forbidden && self.forbidden.len() < FORBIDDEN_MAX {
            self.forbidden.push(entry.clone());
        }
        if self.requests.len() == REQUESTS_MAX {
            self.requests.pop_front();
        }
        self.requests.push_back(entry);
    }

    pub(super) fn requests(&self) -> &VecDeque<Entry> {
        &self.requests
    }

    pub(super) fn forbidden(&self) -> &[Entry] {
        &self.forbidden
    }

    pub(super) fn violations(&self) -> Vec<&Entry> {
        self.requests.iter().filter(|entry| !entry.violations.is_empty()).collect()
    }
}

fn headers(received: &Received) -> BTreeMap<String, String> {
    let shown = received.headers.iter().map(|(name, value)| {
        let masked = *name == AUTHORIZATION || *name == COOKIE;
        let text = if masked { MASK.into() } else { String::from_utf8_lossy(value.as_bytes()) };
        (name.to_string(), text.into_owned())
    });
    shown.collect()
}

/// Judges an API call; `segments` is its path, cut at `/`.
pub(super) fn api_verdict(method: &Method, segments: &[&str]) -> Verdict {
    let is_id = |segment: &str| segment.parse::<u64>().is_ok();
    let allowed = match (method.as_str(), segments) {
        ("GET", ["v1", "settings", "public"]) => true,
        ("GET", ["v1", list]) => LISTS.contains(list) || *list == "user",
        ("GET", ["v1", list, id]) => RECORDS.contains(list) && is_id(id),
        ("GET", ["v1", list, id, part]) => PARTS.contains(&(list, part)) && is_id(id),
        ("POST", ["v1", list]) => CREATED.contains(list),
        _ => false,
    };
    if allowed { Verdict::Allowed } else { Verdict::Forbidden }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calls_of_section_1_1_are_allowed() {
        let judge = |method: Method, path: &str| {
            api_verdict(&method, &path.split('/').skip(1).collect::<Vec<_>>()) == Verdict::Allowed
        };
        assert!(judge(Method::GET, "/v1/patients/1203948571203948576/attachment_presigned_post"));
        assert!(judge(Method::POST, "/v1/treatment_notes"));
        let forbidden = [
            (Method::POST, "/v1/patient_attachments/1/archive"),
            (Method::POST, "/v1/patients"),
            (Method::GET, "/v1/patients/archived"),
            (Method::GET, "/v1/settings"),
            (Method::PATCH, "/v1/treatment_notes/1"),
            (Method::DELETE, "/v1/patient_attachments/1"),
            (Method::GET, "/patients"),
        ];
        for (method, path) in forbidden {
            assert!(!judge(method.clone(), path), "{method} {path}");
        }
    }
}
