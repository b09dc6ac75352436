//! Feeds that fetch: which server, by which key, and what becomes of the files.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::raw;
use crate::config::secret;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::inbound::sftp_poll::After;
use crate::inbound::sftp_poll::Config;
use crate::inbound::sftp_poll::Take;
use crate::outbound::sftp::Credential;
use crate::outbound::sftp::HostKey;
use crate::outbound::sftp::Login;
use crate::pipeline::feeds::Feed;
use crate::pipeline::feeds::Feeds;
use crate::store::backend::VALUE_BYTES_MAX;

/// A file must fit into a row of the store with what is kept beside it.
const FILE_BYTES_MAX: u64 = VALUE_BYTES_MAX as u64 - 1_048_576;
/// A feed looks at least once a day.
const EVERY_MS_MAX: u64 = 86_400_000;

/// The variable by which an SSH agent is found.
const AGENT_VARIABLE: &str = "SSH_AUTH_SOCK";

pub(super) fn polls(
    labs: &[raw::Lab],
    feeds: &Feeds,
    base: &Path,
    environment: &BTreeMap<String, String>,
    found: &mut Vec<Diagnostic>,
) -> Vec<(Arc<Feed>, Config)> {
    let mut polls = Vec::new();
    for raw in labs.iter().flat_map(|lab| &lab.feed) {
        let at = format!("lab.feed `{}`", raw.name);
        match (raw.kind == raw::FeedKind::SftpPoll, &raw.poll) {
            (true, Some(poll)) => {
                let config = resolve(poll, &at, base, environment, found);
                polls.extend(feeds.named(&raw.name).cloned().zip(config));
            }
            (false, None) => {}
            (true, None) => found.push(
                Diagnostic::error(
                    Code::new("C048"),
                    "a feed of kind `sftp_poll` does not say where to fetch from",
                )
                .at(at)
                .help("add a table [lab.feed.poll]; the end of `gateway.toml` shows its keys"),
            ),
            (false, Some(_)) => found.push(
                Diagnostic::error(Code::new("C048"), "a feed has a table `poll` and is of another kind")
                    .at(at)
                    .help("write kind = \"sftp_poll\", or take the table [lab.feed.poll] away"),
            ),
        }
    }
    polls
}

fn resolve(
    raw: &raw::Poll,
    at: &str,
    base: &Path,
    environment: &BTreeMap<String, String>,
    found: &mut Vec<Diagnostic>,
) -> Option<Config> {
    let before = found.len();
    found.extend(unusable(raw).into_iter().map(|(key, what, help)| {
        Diagnostic::error(Code::new("C047"), what).at(format!("{at} poll.{key}")).help(help)
    }));
    let host_key = HostKey::parse(&raw.host_key)
        .map_err(|what| {
            let help = "have the laboratory name it, compare it with `ssh-keyscan -t ed25519 HOST`, and write \
                        host_key = \"ssh-ed25519 AAAA…\" or \"SHA256:…\"";
            found.push(
                Diagnostic::error(Code::new("C045"), what).at(format!("{at} poll.host_key")).help(help),
            );
        })
        .ok();
    let credential = credential(raw, at, base, environment).map_err(|it| found.push(it)).ok();
    let after = match raw.after {
        raw::After::Archive => After::Archive { folder: raw.archive_folder.clone().unwrap_or_default() },
        raw::After::Delete => After::Delete,
        raw::After::Leave => After::Leave,
    };
    let take = match raw.take {
        raw::Take::Any => Take::Any,
        raw::Take::Marker => Take::Marked { suffix: raw.marker.clone() },
        raw::Take::Rename => Take::Renamed,
    };
    let config = Config {
        login: Login {
            address: raw.address.clone(),
            user: raw.user.clone(),
            host_key: host_key?,
            credential: credential?,
        },
        folder: raw.folder.clone(),
        pattern: raw.pattern.clone(),
        every: Duration::from_millis(raw.every_ms),
        stable: Duration::from_millis(raw.stable_ms),
        take,
        after,
        receipts_folder: raw.receipts_folder.clone(),
        file_bytes_max: raw.file_bytes_max,
    };
    (found.len() == before).then_some(config)
}

/// A key, what is wrong with its value, and what to write.
type Unusable = (&'static str, &'static str, &'static str);

fn unusable(raw: &raw::Poll) -> Vec<Unusable> {
    let port = raw.address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let is_address = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|it| it > 0));
    let is_folder = |folder: &str| !folder.is_empty() && !folder.contains('\0');
    let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    let archive = raw.archive_folder.as_deref();
    let is_archive = archive.is_some_and(|it| is_folder(it) && !same(it, &raw.folder));
    let is_name = |part: &str| !part.is_empty() && !part.contains(['/', '\0']);
    let checks = [
        (is_address, "address", "the server's address is not `HOST:PORT`", "write \"sftp.lab.example:22\""),
        (!raw.user.is_empty(), "user", "the user is empty", "write the name that the laboratory gave you"),
        (
            is_folder(&raw.folder),
            "folder",
            "the folder is empty",
            "write the folder of the results, or \".\"",
        ),
        (
            is_name(&raw.pattern),
            "pattern",
            "the pattern is not one of file names",
            "write it as \"*.hl7\"; `*` stands for any text, `?` for one character, and there are no folders",
        ),
        (
            (1..=EVERY_MS_MAX).contains(&raw.every_ms),
            "every_ms",
            "the time between looks is none, or longer than a day",
            "write every_ms = 60_000 for a look each minute",
        ),
        (
            raw.stable_ms <= EVERY_MS_MAX,
            "stable_ms",
            "the time for which a file must rest is longer than a day",
            "write stable_ms = 10_000 for ten seconds",
        ),
        (
            raw.take != raw::Take::Marker || is_name(&raw.marker),
            "marker",
            "the marker is not an ending of a file name",
            "write marker = \".done\" if `a.hl7.done` says that `a.hl7` is whole",
        ),
        (
            raw.after != raw::After::Archive || is_archive,
            "archive_folder",
            "files are to be archived, and there is no folder for it, or it is the one they come from",
            "write archive_folder = \"/done\", a folder on the same server that exists and can be written",
        ),
        (
            raw.receipts_folder.as_deref().is_none_or(is_folder),
            "receipts_folder",
            "the receipts folder is empty",
            "name a folder that exists on the server, or take the key away",
        ),
        (
            (1..=FILE_BYTES_MAX).contains(&raw.file_bytes_max),
            "file_bytes_max",
            "the largest file is none, or larger than the store takes",
            "write file_bytes_max = 33_554_432; the most is 66_060_288",
        ),
    ];
    checks.into_iter().filter(|it| !it.0).map(|(_, key, what, help)| (key, what, help)).collect()
}

fn credential(
    raw: &raw::Poll,
    at: &str,
    base: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Credential, Diagnostic> {
    let position = format!("{at} poll.key");
    let key = &raw.key;
    if key.agent && key.file.is_none() && key.env.is_none() {
        let socket = environment.get(AGENT_VARIABLE).filter(|it| !it.is_empty());
        return socket.map(|it| Credential::Agent(PathBuf::from(it))).ok_or_else(|| {
            Diagnostic::error(
                Code::new("C049"),
                format!("a key agent is asked for, and `{AGENT_VARIABLE}` is not set"),
            )
            .at(position)
            .help("start the gateway with the agent's variable, or name a key with { file = \"path\" }")
        });
    }
    if key.agent {
        let what = "a key is given both by reference and through the agent";
        return Err(Diagnostic::error(Code::new("C046"), what)
            .at(position)
            .help("write { file = \"path\" } or { agent = true }"));
    }
    let file = key.file.iter().map(|it| ("file".to_owned(), it.clone()));
    let reference = file.chain(key.env.iter().map(|it| ("env".to_owned(), it.clone()))).collect();
    let text = secret::resolve(&position, &reference, base, environment)?;
    Credential::parse_key(&text).ok_or_else(|| {
        Diagnostic::error(
            Code::new("C046"),
            "the private key cannot be used: it is no OpenSSH or PKCS#8 key, needs a passphrase, or is an RSA key",
        )
        .at(position)
        .help("make one with `ssh-keygen -t ed25519 -N '' -f poll.key`, and give the laboratory poll.key.pub")
    })
}
