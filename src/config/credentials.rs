//! What laboratories prove themselves by at the HTTP doors: references to secrets become keys, and no feed is left open.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::raw;
use crate::config::secret;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::inbound::http;
use crate::inbound::http::Guard;
use crate::inbound::http::Guarded;
use crate::inbound::http::Principal;
use crate::pipeline::feeds::Feeds;
use crate::security::credentials::Client;
use crate::security::credentials::Covers;
use crate::security::credentials::Dated;
use crate::security::credentials::Encoding;
use crate::security::credentials::Signature;
use crate::security::credentials::StaticToken;

/// Where secrets are looked for, and where the doors stand.
pub(super) struct Place<'a> {
    pub(super) base: &'a Path,
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) listen: Option<SocketAddr>,
}

impl Place<'_> {
    pub(super) fn doors(&self, raw: &raw::Raw, feeds: &Feeds, found: &mut Vec<Diagnostic>) -> http::Config {
        let public_url = raw.http.public_url.trim_end_matches('/');
        if !public_url.is_empty() && !public_url.starts_with("https://") && !public_url.starts_with("http://")
        {
            found.push(
                Diagnostic::error(Code::new("C030"), "the public address is no http or https URL")
                    .at("http.public_url")
                    .help("write it as \"https://gateway.clinic.example\", or leave it empty"),
            );
        }
        let (mut guarded, mut principals) = (Vec::new(), Vec::new());
        for lab in &raw.lab {
            found.extend(routes(lab));
            principals.extend(self.principal(lab, found));
            for feed in &lab.feed {
                if !matches!(feed.kind, raw::FeedKind::Fhir | raw::FeedKind::Http) {
                    continue;
                }
                let guard = self.guard(lab, feed, found);
                let typed = feeds.named(&feed.name).map(Arc::clone);
                guarded.extend(typed.map(|feed| Guarded { feed, guard }));
            }
        }
        http::Config {
            feeds: guarded,
            principals,
            public_url: (!public_url.is_empty()).then(|| public_url.to_owned()),
            body_bytes_max: raw.inbound.http.body_bytes_max,
            bodies_bytes_max: raw.inbound.http.bodies_bytes_max,
        }
    }

    fn principal(&self, lab: &raw::Lab, found: &mut Vec<Diagnostic>) -> Option<Principal> {
        let jwt = lab.jwt.as_ref()?;
        let at = format!("lab `{}`: jwt", lab.name);
        let several =
            lab.feed.iter().filter(|feed| feed.kind == raw::FeedKind::Fhir && feed.bearer.is_none());
        if several.count() > 1 {
            found.push(
                Diagnostic::error(Code::new("C032"), "one program's token stands for two FHIR feeds")
                    .at(at.clone())
                    .help("keep one FHIR feed without a `bearer` of its own, so that a Bundle has one feed"),
            );
        }
        let text = self.secret(&format!("{at}.jwks"), &jwt.jwks, found)?;
        match Client::new(jwt.client_id.clone(), &text) {
            Ok(client) => Some(Principal { lab: lab.name.clone(), client }),
            Err(error) => {
                found.push(
                    Diagnostic::error(
                        Code::new("C033"),
                        format!("the laboratory's keys cannot be used: {error}"),
                    )
                    .at(at)
                    .help("have the laboratory send its JWK set with an RS384 or ES384 (P-384) public key"),
                );
                None
            }
        }
    }

    fn guard(&self, lab: &raw::Lab, feed: &raw::Feed, found: &mut Vec<Diagnostic>) -> Guard {
        let at = format!("lab.feed `{}`", feed.name);
        let is_fhir = feed.kind == raw::FeedKind::Fhir;
        if is_fhir && feed.hmac.is_some() {
            found.push(
                Diagnostic::error(Code::new("C034"), "a FHIR feed cannot be known by a signature")
                    .at(at.clone())
                    .help("use `bearer` or [lab.jwt]; or post the Bundles to a feed of kind \"http\""),
            );
        }
        let guard = Guard {
            signature: feed.hmac.as_ref().and_then(|hmac| self.signature(&at, hmac, found)),
            token: feed.bearer.as_ref().and_then(|it| self.token(&format!("{at}.bearer"), it, found)),
            by_lab: lab.jwt.is_some(),
            dangerous_none: feed.dangerous_no_credentials,
        };
        let has_any = feed.hmac.is_some() || feed.bearer.is_some() || lab.jwt.is_some();
        let is_loopback = self.listen.is_none_or(|it| it.ip().is_loopback());
        let is_open = feed.dangerous_no_credentials && is_loopback;
        if !has_any && !is_open {
            let problem = "anybody who reaches the gateway could post results to this feed";
            found.push(
                Diagnostic::error(Code::new("C031"), problem)
                    .at(at)
                    .help("give it [lab.feed.hmac], `bearer = { env = \"…\" }` or [lab.jwt]; dangerous_no_credentials works on loopback only"),
            );
        }
        guard
    }

    fn signature(&self, at: &str, hmac: &raw::Hmac, found: &mut Vec<Diagnostic>) -> Option<Signature> {
        let at = format!("{at}.hmac");
        let secret = self.secret(&format!("{at}.secret"), &hmac.secret, found)?;
        let encoding = match hmac.encoding {
            raw::Encoding::Base64 => Encoding::Base64,
            raw::Encoding::Hex => Encoding::Hex,
        };
        let signature = Signature::new(&secret, hmac.header.clone(), encoding, hmac.prefix.clone());
        let Some(mut signature) = signature else {
            found.push(too_short(&at, Signature::SECRET_BYTES_MIN));
            return None;
        };
        signature.dated = hmac.timestamp_header.clone().map(|header| Dated {
            header,
            window: Duration::from_secs(u64::from(hmac.replay_window_s)),
            covers: match hmac.covers {
                raw::Covers::Body => Covers::Body,
                raw::Covers::TimestampAndBody => Covers::DateAndBody,
            },
        });
        if hmac.covers == raw::Covers::TimestampAndBody && hmac.timestamp_header.is_none() {
            found.push(
                Diagnostic::error(Code::new("C035"), "a signature covers a date that no header bears")
                    .at(at)
                    .help("name the `timestamp_header`, or write covers = \"body\""),
            );
        }
        Some(signature)
    }

    fn token(
        &self,
        at: &str,
        reference: &BTreeMap<String, String>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<StaticToken> {
        let token = StaticToken::new(&self.secret(at, reference, found)?);
        if token.is_none() {
            found.push(too_short(at, StaticToken::BYTES_MIN));
        }
        token
    }

    fn secret(
        &self,
        at: &str,
        reference: &BTreeMap<String, String>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<String> {
        let secret = secret::resolve(at, reference, self.base, self.environment);
        secret.map(|it| it.trim().to_owned()).map_err(|problem| found.push(problem)).ok()
    }
}

fn too_short(at: &str, min: usize) -> Diagnostic {
    Diagnostic::error(Code::new("C036"), format!("a secret has fewer than {min} bytes and could be guessed"))
        .at(at)
        .help("draw a new one, for example with `openssl rand -hex 32`, and give it to the laboratory")
}

/// A route must lead to a clinic of the laboratory and be told by something, by nothing that another is told by.
fn routes(lab: &raw::Lab) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut told = BTreeMap::new();
    for route in &lab.route {
        let names = route.accounts.iter().map(|it| ("account", it));
        let names: Vec<_> = names.chain(route.facilities.iter().map(|it| ("facility", it))).collect();
        let twice =
            names.iter().any(|name| told.insert(*name, &route.clinic).is_some_and(|it| *it != route.clinic));
        if twice || names.is_empty() || !lab.clinics.contains(&route.clinic) {
            found.push(
                Diagnostic::error(Code::new("C037"), "a route leads nowhere, or two clinics share what tells them apart")
                    .at(format!("lab `{}`: route to `{}`", lab.name, route.clinic))
                    .help("name a clinic of the laboratory's `clinics`, and accounts or facilities of that clinic alone"),
            );
        }
    }
    found
}
