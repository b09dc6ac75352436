//! The configuration: `gateway.toml`, the operator's file over it, the environment over both.
//!
//! The file at the project's root is embedded as the defaults and is also the schema of its own keys: what it does not
//! hold is unknown, and a value must have the type of its default. What comes out is typed; nothing re-checks it.
//! Secrets are references; a literal secret is refused. Start at [`load`].

mod credentials;
pub mod examples;
mod layers;
pub mod library;
mod poll;
mod raw;
mod secret;
mod sftp;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::has_errors;
use crate::inbound;
use crate::pipeline::accounts;
use crate::pipeline::feeds::ApplicationAcks;
use crate::pipeline::feeds::ControlIds;
use crate::pipeline::feeds::Door;
use crate::pipeline::feeds::Feed;
use crate::pipeline::feeds::Feeds;
use crate::pipeline::feeds::OnStoreFailure;
use crate::pipeline::feeds::Route;
use crate::pipeline::feeds::Senders;
use crate::security::keys::MasterKey;
use crate::store::embedded;
use crate::telemetry;

pub use self::layers::DEFAULTS;

/// All that `app` needs to start a gateway.
#[derive(Debug)]
pub struct Config {
    pub store_directory: PathBuf,
    pub store_cache_bytes: usize,
    pub master_key: MasterKey,
    pub http: crate::http::Config,
    pub mllp: inbound::mllp::Config,
    pub inbound_http: inbound::http::Config,
    pub sftp: inbound::sftp::Config,
    /// Empty: what the binary embeds.
    pub mappings_directory: Option<PathBuf>,
    pub feeds: Feeds,
    /// How each feed fetches that does.
    pub polls: Vec<(Arc<Feed>, inbound::sftp_poll::Config)>,
    /// Accept NHS numbers of the 9xx range; never for real patients.
    pub dangerous_test_nhs_numbers: bool,
    pub cliniko: accounts::Config,
    pub log_level: String,
    pub log_format: telemetry::Format,
}

/// Reads the configuration, or says everything that is wrong with it.
///
/// `environment` holds the variables that begin with `GATEWAY_`, and those that secrets refer to.
///
/// # Errors
/// Every problem found, at once.
pub fn load(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let raw = layers::read(file, environment)?;
    let mut found = Vec::new();
    let config = resolve(raw, base_of(file), environment, &mut found);
    match config {
        Some(config) if !has_errors(&found) => Ok((config, found)),
        _ => Err(found),
    }
}

/// Where the store is, for what reads it without any key; nothing else of the configuration is looked at.
///
/// # Errors
/// Every problem of the file's text, at once.
pub fn store(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<embedded::Config, Vec<Diagnostic>> {
    let raw = layers::read(file, environment)?;
    Ok(embedded::Config {
        directory: beside(base_of(file), &raw.store.directory),
        cache_bytes: raw.store.cache_bytes,
    })
}

fn base_of(file: Option<&Path>) -> &Path {
    file.and_then(Path::parent).unwrap_or(Path::new(""))
}

/// The JSON Schema of the configuration, for editors.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(raw::Raw).to_value();
    // An operator's file holds only what differs from the defaults; what a laboratory must say has none.
    let optional = |part: &mut serde_json::Value| part.as_object_mut().and_then(|it| it.remove("required"));
    optional(&mut schema);
    let definitions = schema.get_mut("$defs").and_then(serde_json::Value::as_object_mut);
    for (name, part) in definitions.into_iter().flatten() {
        if !["Feed", "Hmac", "Jwt", "Lab", "Route"].contains(&name.as_str()) {
            optional(part);
        }
    }
    schema
}

/// Makes paths relative to the file that names them.
fn beside(base: &Path, path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { base.join(path) }
}

fn resolve(
    raw: raw::Raw,
    base: &Path,
    environment: &BTreeMap<String, String>,
    found: &mut Vec<Diagnostic>,
) -> Option<Config> {
    let raw::Backend::Embedded = raw.store.backend;
    let master_key = secret::resolve("keys.master", &raw.keys.master, base, environment)
        .and_then(|text| {
            MasterKey::parse(text.trim()).map_err(|error| {
                Diagnostic::error(Code::new("C005"), format!("the master key cannot be used: {error}"))
                    .at("keys.master")
                    .help("make one with `gateway keys init --out master.key`, and name that file")
            })
        })
        .map_err(|it| found.push(it))
        .ok();
    let http_listen = address("http.listen", &raw.http.listen, found);
    if raw.http.listen.is_empty() {
        found.push(
            Diagnostic::error(Code::new("C003"), "the HTTP face needs an address")
                .at("http.listen")
                .help("write listen = \"127.0.0.1:8080\""),
        );
    }
    let mllp = mllp(&raw.inbound, base, found);
    let feeds = feeds(&raw.lab, &mllp, found);
    let polls = poll::polls(&raw.lab, &feeds, base, environment, found);
    let inbound_http =
        credentials::Place { base, environment, listen: http_listen }.doors(&raw, &feeds, found);
    let sftp = sftp::resolve(&raw.inbound.sftp, &raw.lab, &feeds, base, environment, found);
    let recovery = &raw.cliniko.recovery;
    if (recovery.request_life_ms < 60_000 || recovery.settle_ms < 120_000) && !recovery.dangerous_fast {
        found.push(
            Diagnostic::error(Code::new("C009"), "the recovery times are shorter than a Cliniko request may live")
                .at("cliniko.recovery")
                .help("keep request_life_ms ≥ 60000 and settle_ms ≥ 120000, or, for tests only, set dangerous_fast = true"),
        );
    }
    let log_format = match raw.log.format {
        raw::LogFormat::Json => telemetry::Format::Json,
        raw::LogFormat::Plain => telemetry::Format::Plain,
    };
    let directory = &raw.mappings.directory;
    Some(Config {
        store_directory: beside(base, &raw.store.directory),
        store_cache_bytes: raw.store.cache_bytes,
        master_key: master_key?,
        http: crate::http::Config {
            listen: http_listen?,
            body_bytes_max: raw.http.body_bytes_max,
            session: Duration::from_secs(u64::from(raw.http.session_minutes) * 60),
        },
        mllp,
        inbound_http,
        sftp,
        mappings_directory: (!directory.as_os_str().is_empty()).then(|| beside(base, directory)),
        feeds,
        polls,
        dangerous_test_nhs_numbers: raw.matching.dangerous_test_nhs_numbers,
        cliniko: accounts::Config {
            user_agent: format!("{} ({})", raw.cliniko.vendor, raw.cliniko.contact),
            rate_per_minute: raw.cliniko.rate_per_minute,
            shards: raw.cliniko.shards,
            request_life: Duration::from_millis(recovery.request_life_ms),
            settle: Duration::from_millis(recovery.settle_ms),
        },
        log_level: raw.log.level,
        log_format,
    })
}

/// An address to listen on; none where it is empty, and none with a diagnostic where it is wrong.
fn address(key: &str, text: &str, found: &mut Vec<Diagnostic>) -> Option<SocketAddr> {
    let parsed = text.parse().ok();
    if parsed.is_none() && !text.is_empty() {
        found.push(
            Diagnostic::error(Code::new("C003"), "an address to listen on is not `IP:PORT`")
                .at(key)
                .help("write it as \"127.0.0.1:2575\" or \"[::1]:2575\"; port 0 takes any free port"),
        );
    }
    parsed
}

fn mllp(raw: &raw::Inbound, base: &Path, found: &mut Vec<Diagnostic>) -> inbound::mllp::Config {
    let plain = address("inbound.mllp.listen", &raw.mllp.listen, found);
    let tls = address("inbound.mllps.listen", &raw.mllps.listen, found);
    inbound::mllp::Config {
        listen: plain,
        tls: tls.map(|listen| inbound::mllp::Tls {
            listen,
            certificate: beside(base, &raw.mllps.certificate),
            key: beside(base, &raw.mllps.key),
            client_ca: beside(base, &raw.mllps.client_ca),
        }),
        frame_bytes_max: raw.mllp.frame_bytes_max,
        connections_max: raw.mllp.connections_max,
        idle: Duration::from_millis(raw.mllp.idle_ms),
        shutdown: Duration::from_millis(raw.mllp.shutdown_ms),
    }
}

fn feeds(labs: &[raw::Lab], mllp: &inbound::mllp::Config, found: &mut Vec<Diagnostic>) -> Feeds {
    let mut names = BTreeSet::new();
    let mut senders = BTreeSet::new();
    let mut feeds = Vec::new();
    for lab in labs {
        for clinic in lab.clinics.iter().filter(|name| !is_slug(name)) {
            found.push(not_a_name(&format!("lab.{}.clinics", lab.name), clinic.len()));
        }
        if !is_slug(&lab.name) {
            found.push(not_a_name("lab.name", lab.name.len()));
        }
        for feed in &lab.feed {
            let at = format!("lab.feed `{}`", feed.name);
            if !is_slug(&feed.name) {
                found.push(not_a_name("lab.feed.name", feed.name.len()));
            }
            // Only on MLLP is a feed found by its sender; every other door knows its feed.
            let is_mllp = feed.kind == raw::FeedKind::Mllp;
            let twice = is_mllp && feed.senders.iter().any(|sender| !senders.insert(sender.clone()));
            if !names.insert(feed.name.clone()) || twice {
                found.push(
                    Diagnostic::error(
                        Code::new("C008"),
                        "two feeds have the same name or claim the same sender",
                    )
                    .at(at.clone())
                    .help("give each feed its own name, and each MSH-3|MSH-4 to one feed only"),
                );
            }
            if feed.dangerous_any_sender && is_mllp && !mllp.loopback_only() {
                found.push(
                    Diagnostic::error(
                        Code::new("C007"),
                        "a feed takes any sender on a listener others can reach",
                    )
                    .at(at.clone())
                    .help("name the senders, or listen on 127.0.0.1 only"),
                );
            }
            if feed.senders.is_empty() && !feed.dangerous_any_sender && is_mllp {
                found.push(
                    Diagnostic::error(Code::new("C010"), "a feed names no sender, so it takes no message")
                        .at(at)
                        .help("add `senders = [\"APPLICATION|FACILITY\"]`, as MSH-3 and MSH-4 of the laboratory say"),
                );
            }
            if application_acks(&feed.application_acks).is_none() {
                found.push(
                    Diagnostic::error(
                        Code::new("C003"),
                        "`application_acks` is no way an acknowledgement can go",
                    )
                    .at(format!("lab.feed `{}`", feed.name))
                    .help(
                        "write \"same-connection\", \"none\", or the laboratory's listener as \"HOST:PORT\"",
                    ),
                );
            }
            feeds.push(Arc::new(typed_feed(lab, feed)));
        }
    }
    Feeds::new(feeds)
}

fn typed_feed(lab: &raw::Lab, feed: &raw::Feed) -> Feed {
    // Whose file it is, a key says: the server's, or that of whoever signs in. `senders` may narrow that down.
    let is_known = matches!(feed.kind, raw::FeedKind::Sftp | raw::FeedKind::SftpPoll);
    let is_any = feed.dangerous_any_sender || (is_known && feed.senders.is_empty());
    Feed {
        lab: lab.name.clone(),
        name: feed.name.clone(),
        door: match feed.kind {
            raw::FeedKind::Fhir => Door::Fhir,
            raw::FeedKind::Http => Door::Http,
            raw::FeedKind::Mllp => Door::Mllp,
            raw::FeedKind::Sftp => Door::Sftp,
            raw::FeedKind::SftpPoll => Door::SftpPoll,
        },
        mapping: feed.mapping.as_ref().unwrap_or(&lab.mapping).clone(),
        clinics: lab.clinics.clone(),
        senders: if is_any { Senders::Any } else { Senders::Named(feed.senders.clone()) },
        processing_ids: feed.processing_ids.clone(),
        control_ids: match feed.control_ids {
            raw::ControlIds::Unique => ControlIds::Unique,
            raw::ControlIds::Repeating => ControlIds::Repeating,
        },
        on_store_failure: match feed.on_store_failure {
            raw::OnStoreFailure::AE => OnStoreFailure::Error,
            raw::OnStoreFailure::AR => OnStoreFailure::Reject,
            raw::OnStoreFailure::Close => OnStoreFailure::Close,
        },
        client_certificates: feed.client_certificates.iter().map(|name| certificate_name(name)).collect(),
        routes: lab.route.iter().map(typed_route).collect(),
        application_acks: application_acks(&feed.application_acks).unwrap_or(ApplicationAcks::None),
        silence_alert: feed.silence_alert_minutes.map(|it| Duration::from_mins(u64::from(it))),
    }
}

/// `CN=` is how people write a subject's name; what is compared is the name.
fn certificate_name(name: &str) -> String {
    name.strip_prefix("CN=").unwrap_or(name).to_owned()
}

fn typed_route(route: &raw::Route) -> Route {
    Route {
        clinic: route.clinic.clone(),
        accounts: route.accounts.clone(),
        facilities: route.facilities.clone(),
    }
}

fn application_acks(word: &str) -> Option<ApplicationAcks> {
    match word {
        "none" => Some(ApplicationAcks::None),
        "same-connection" => Some(ApplicationAcks::SameConnection),
        address => {
            let (host, port) = address.rsplit_once(':')?;
            let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
            (!host.is_empty() && is_port).then(|| ApplicationAcks::Address(address.to_owned()))
        }
    }
}

/// Names of laboratories, feeds and clinics stand in keys, paths and labels: letters, digits and hyphens only.
pub fn is_slug(name: &str) -> bool {
    const NAME_MAX: usize = 64;
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn not_a_name(at: &str, length: usize) -> Diagnostic {
    Diagnostic::error(Code::new("C004"), format!("a name of {length} bytes has other characters than it may"))
        .at(at)
        .help("use 1 to 64 letters, digits, hyphens and underscores")
}

#[cfg(test)]
mod tests;
