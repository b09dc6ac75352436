//! The SFTP door: its listener, its limits, and which keys sign in to which feed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::config::address;
use crate::config::raw;
use crate::config::secret;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::inbound::sftp::Account;
use crate::inbound::sftp::Config;
use crate::inbound::sftp::HostKey;
use crate::inbound::sftp::KeyError;
use crate::inbound::sftp::parse_key;
use crate::pipeline::feeds::Feeds;
use crate::pipeline::inbox;
use crate::pipeline::inbox::Rule;
use crate::store::backend::VALUE_BYTES_MAX;

/// Sealing makes a file a little longer, and the store bounds its rows.
const FILE_BYTES_MAX: usize = VALUE_BYTES_MAX - 1024 * 1024;

pub(super) fn resolve(
    raw: &raw::Sftp,
    labs: &[raw::Lab],
    feeds: &Feeds,
    base: &Path,
    environment: &BTreeMap<String, String>,
    found: &mut Vec<Diagnostic>,
) -> Config {
    let listen = address("inbound.sftp.listen", &raw.listen, found);
    if raw.file_bytes_max > FILE_BYTES_MAX || raw.memory_bytes_max < raw.file_bytes_max {
        found.push(
            Diagnostic::error(Code::new("C041"), "the limits of the SFTP server do not fit together")
                .at("inbound.sftp")
                .help(format!(
                    "keep file_bytes_max ≤ {FILE_BYTES_MAX}, and memory_bytes_max ≥ file_bytes_max"
                )),
        );
    }
    let mut accounts = Vec::new();
    for feed in labs.iter().flat_map(|lab| &lab.feed).filter(|feed| feed.kind == raw::FeedKind::Sftp) {
        let keys: Vec<_> = feed.ssh_keys.iter().map(|text| parse_key(text)).collect();
        for problem in problems(&feed.name, &keys) {
            found.push(problem);
        }
        if let Some(named) = feeds.named(&feed.name) {
            let keys = keys.into_iter().flatten().collect();
            accounts.push(Account { feed: std::sync::Arc::clone(named), keys, rule: rule(feed, found) });
        }
    }
    if listen.is_none() && !accounts.is_empty() && raw.listen.is_empty() {
        found.push(
            Diagnostic::warning(Code::new("C042"), "there are SFTP feeds, and the SFTP server is off")
                .at("inbound.sftp.listen")
                .help("write listen = \"0.0.0.0:2222\" under [inbound.sftp]"),
        );
    }
    Config {
        listen,
        host_key: host_key(raw, base, environment, found),
        accounts,
        file_bytes_max: raw.file_bytes_max,
        session_bytes_max: raw.session_bytes_max,
        memory_bytes_max: raw.memory_bytes_max,
        sessions_max: raw.sessions_max,
        inbox: inbox::Limits { files_max: raw.files_max, receipts_max: raw.receipts_max.max(1) },
        idle: Duration::from_millis(raw.idle_ms),
        shutdown: Duration::from_millis(raw.shutdown_ms),
    }
}

fn problems<T>(feed: &str, keys: &[Result<T, KeyError>]) -> Vec<Diagnostic> {
    let wrong = |what: String, help: &str| {
        Diagnostic::error(Code::new("C040"), what).at(format!("lab.feed `{feed}`")).help(help)
    };
    if keys.is_empty() {
        let help = "add `ssh_keys = [\"ssh-ed25519 AAAA… name\"]` with the laboratory's public key";
        return vec![wrong("an SFTP feed has no key, so nobody can sign in".to_owned(), help)];
    }
    let refused = keys.iter().enumerate().filter_map(|(at, key)| Some((at + 1, key.as_ref().err()?)));
    let help = "ask for an Ed25519 or ECDSA key: ssh-keygen -t ed25519; paste the line of its .pub file";
    refused.map(|(at, error)| wrong(format!("SSH key {at} cannot be used: {error}"), help)).collect()
}

fn rule(feed: &raw::Feed, found: &mut Vec<Diagnostic>) -> Rule {
    if feed.marker_suffixes.iter().any(String::is_empty) || feed.marker_suffixes.is_empty() {
        found.push(
            Diagnostic::error(Code::new("C043"), "a marker has no ending, so every file would be one")
                .at(format!("lab.feed `{}`", feed.name))
                .help("write marker_suffixes = [\".ok\", \".done\"]"),
        );
    }
    match feed.take {
        raw::Completion::Close => Rule::Close,
        raw::Completion::Marker => Rule::Marker(feed.marker_suffixes.clone()),
        raw::Completion::Rename => Rule::Rename,
    }
}

fn host_key(
    raw: &raw::Sftp,
    base: &Path,
    environment: &BTreeMap<String, String>,
    found: &mut Vec<Diagnostic>,
) -> Option<HostKey> {
    if raw.host_key.is_empty() {
        return None;
    }
    let text = secret::resolve("inbound.sftp.host_key", &raw.host_key, base, environment)
        .map_err(|it| found.push(it))
        .ok()?;
    let unusable = |error| {
        Diagnostic::error(Code::new("C044"), format!("the SFTP host key cannot be used: {error}"))
            .at("inbound.sftp.host_key")
            .help("name an Ed25519 or ECDSA private key without a passphrase, or leave it out: the gateway makes its own")
    };
    HostKey::parse(&text).map_err(|error| found.push(unusable(error))).ok()
}
