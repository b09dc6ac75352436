//! `gateway send`: be a laboratory.
//!
//! Each connection sends one message and waits for its answer before the next, as MLLP asks; several connections share
//! the work. A connection that fails is opened again for the next message. What was sent without an answer is told as
//! unanswered: it may have arrived. Over SFTP files go whole, and their receipts are the answers.

mod answer;
pub(crate) mod door;
pub(crate) mod http;
mod message;
mod mllp;
pub(crate) mod sftp;
mod stream;
mod tally;
mod target;

use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use aws_lc_rs::hmac;
use hyper::header::HeaderName;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::files;
use crate::cli::send::answer::Heard;
use crate::cli::send::door::Connection;
use crate::cli::send::door::Door;
use crate::cli::send::http::Credentials;
use crate::cli::send::http::Signature;
use crate::cli::send::message::Message;
use crate::cli::send::sftp::Manner;
use crate::cli::send::tally::Line;
use crate::cli::send::tally::Tally;
use crate::cli::send::target::Target;
use crate::cli::serve::runtime;
use crate::clinical::mapping::language;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::outbound::sftp::Credential;
use crate::outbound::sftp::HostKey;
use crate::outbound::sftp::Login;

/// Results that wait to be printed.
const RESULTS_WAITING_MAX: usize = 1024;
const CONNECTIONS_MAX: u16 = 1024;
/// Characters that tell one file's passing name from another's.
const MARK_CHARS: usize = 8;
/// How long one message may wait for its answer, where the command line does not say.
const ANSWER: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway send mllp://127.0.0.1:2575 result.hl7\n  gateway send mllps://lab.example:2576 folder/ --ca ca.pem --cert lab.pem --key lab.key\n  gateway send mllp://127.0.0.1:2575 result.hl7 --repeat 1000 --fresh-control-ids --connections 16 --format json\n  gateway send http://127.0.0.1:8080/fhir bundle.json --token-file token\n  gateway send http://127.0.0.1:8080/inbound/aggregator result.json --hmac-secret-file secret --hmac-header X-Signature\n  gateway send sftp://standard-sftp@127.0.0.1:2222 folder/ --identity lab_key --host-key SHA256:… --progress\n\nOver SFTP `ack` is the word of the receipt: accepted, held or rejected. What is held was taken: a person looks at it.\nExit status: 0 all accepted, 1 something was refused or not answered, 2 the usage is wrong."
)]
pub(crate) struct Arguments {
    /// Where to: mllp://HOST:PORT, http://HOST:PORT/inbound/FEED, http://HOST:PORT/fhir or sftp://USER@HOST:PORT[/DIR];
    /// mllps:// and https:// with TLS.
    #[arg(value_name = "URL")]
    target: Target,
    /// Files of HL7 v2 (one message or many in each), FHIR, JSON or CSV; folders are walked.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Connections that share the work.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(CONNECTIONS_MAX)))]
    connections: u16,
    /// Send everything so often.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Give each HL7 v2 message a control id (MSH-10) of its own; all else stays as it is.
    #[arg(long)]
    fresh_control_ids: bool,
    /// At most so many messages a second, over all connections.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How long to wait for an answer, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 30_000)]
    timeout_ms: u64,
    /// With TLS: the authority that signed the receiver's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// With TLS: our certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// With TLS: the key of our certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Over HTTP: a file with the bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Over HTTP: a file with the secret to sign bodies with (HMAC-SHA-256, hexadecimal).
    #[arg(long, value_name = "FILE", requires = "hmac_header")]
    hmac_secret_file: Option<PathBuf>,
    /// Over HTTP: the header that carries the signature.
    #[arg(long, value_name = "NAME", requires = "hmac_secret_file")]
    hmac_header: Option<HeaderName>,
    /// Over SFTP: the private key to sign in with (OpenSSH, without a passphrase).
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Over SFTP: the receiver's host key, as SHA256:… or as the line of its public key.
    #[arg(long, value_name = "KEY")]
    host_key: Option<String>,
    /// Over SFTP: believe whoever answers. Only where nobody else can.
    #[arg(long, conflicts_with = "host_key")]
    dangerous_any_host_key: bool,
    /// Over SFTP: put an empty file of this ending after each file, for feeds that wait for a marker.
    #[arg(long, value_name = "ENDING")]
    marker: Option<String>,
    /// Over SFTP: how long to wait for a file's receipt.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// Say on standard error how far it is, as is done for folders at a terminal.
    #[arg(long)]
    progress: bool,
}

/// What all connections share.
struct Work {
    messages: Vec<Message>,
    door: Door,
    timeout: Duration,
    is_fresh: bool,
    rate: Option<u32>,
    next: AtomicUsize,
    total: usize,
    clock: SystemClock,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    let door = door(arguments)?;
    let is_folder = arguments.files.iter().any(|it| it.is_dir());
    let is_watched = arguments.progress || is_folder && std::io::stderr().is_terminal();
    let mut tally = Tally::new(format, is_watched);
    let mut messages = Vec::new();
    for file in files::of_formats(&arguments.files, formats(&arguments.target)) {
        let name = file.path.display().to_string();
        match file.bytes {
            Ok(bytes) if door.takes_files() => messages.push(message::whole(&name, bytes)),
            Ok(bytes) => messages.extend(message::split(&name, &bytes)),
            Err(problem) => tally.line(&Line::unsent(name, problem.code.as_str(), problem.message)),
        }
    }
    let total = messages.len().saturating_mul(usize::try_from(arguments.repeat).unwrap_or(usize::MAX));
    tally.expect(total);
    let work = Work {
        messages,
        door,
        timeout: Duration::from_millis(arguments.timeout_ms),
        is_fresh: arguments.fresh_control_ids,
        rate: arguments.rate,
        next: AtomicUsize::new(0),
        total,
        clock: SystemClock::new(),
    };
    let took = runtime()?.block_on(send_all(Arc::new(work), arguments.connections, &mut tally));
    Ok(tally.end(took))
}

/// What a folder is searched for: what the receiver can take, as far as its address says.
fn formats(target: &Target) -> &'static [language::Format] {
    use language::Format::Csv;
    use language::Format::Fhir;
    use language::Format::Hl7v2;
    use language::Format::Json;
    match &target.door {
        target::Door::Mllp { .. } => &[Hl7v2],
        target::Door::Http { path, .. } if path.trim_end_matches('/').ends_with("/fhir") => &[Fhir],
        target::Door::Http { .. } | target::Door::Sftp { .. } => &[Csv, Fhir, Hl7v2, Json],
    }
}

fn door(arguments: &Arguments) -> Result<Door, Failure> {
    let tls = arguments.target.is_tls().then(|| {
        stream::tls(arguments.ca.as_deref(), arguments.cert.as_deref().zip(arguments.key.as_deref()))
    });
    let manner = match &arguments.target.door {
        target::Door::Sftp { user, folder } => Some(manner(arguments, user, folder)?),
        target::Door::Http { .. } | target::Door::Mllp { .. } => None,
    };
    Ok(Door::new(&arguments.target, tls.transpose()?, credentials(arguments)?, manner))
}

/// How files are put; every problem of the arguments at once.
fn manner(arguments: &Arguments, user: &str, folder: &str) -> Result<Manner, Failure> {
    let mut found = Vec::new();
    let host_key = match &arguments.host_key {
        None if arguments.dangerous_any_host_key => Ok(HostKey::DangerousAny),
        key => HostKey::parse(key.as_deref().unwrap_or_default()),
    };
    let host_key = host_key.map_err(|what| {
        let help = "have the receiver name it, and write --host-key SHA256:… or \"ssh-ed25519 AAAA…\"; \
                    --dangerous-any-host-key is for this machine's own address";
        found.push(Diagnostic::error(Code::new("C070"), what).at("--host-key").help(help));
    });
    let identity = arguments.identity.as_deref().and_then(|file| secret_file(file).ok());
    let credential = identity.and_then(|text| Credential::parse_key(&text));
    if credential.is_none() {
        let what = "there is no private key to sign in with, or none that can be used";
        let help = "make one with `ssh-keygen -t ed25519 -N '' -f lab_key`, give the receiver lab_key.pub, and write \
                    --identity lab_key";
        found.push(Diagnostic::error(Code::new("C071"), what).at("--identity").help(help));
    }
    let (Ok(host_key), Some(credential)) = (host_key, credential) else {
        return Err(Failure::Configuration(found));
    };
    Ok(Manner {
        login: Login { address: arguments.target.authority(), user: user.to_owned(), host_key, credential },
        folder: folder.to_owned(),
        marker: arguments.marker.clone(),
        wait: Duration::from_secs(arguments.wait),
    })
}

/// Sends one message on a connection of its own; the receiver's word for it. A receipt's word is of the first message.
pub(crate) async fn once(door: &Door, name: &str, bytes: Vec<u8>) -> anyhow::Result<String> {
    let mut connection = Connection::open(door).await?;
    let heard = connection.exchange(&message::whole(name, bytes), ANSWER, "once").await;
    connection.leave().await;
    Ok(match heard? {
        Heard::Answer(answer) => answer.ack,
        Heard::Nothing => String::new(),
        Heard::Receipt(answers) => answers.into_iter().next().map(|(_, it)| it.ack).unwrap_or_default(),
    })
}

fn credentials(arguments: &Arguments) -> anyhow::Result<Credentials> {
    let bearer = arguments.token_file.as_deref().map(secret).transpose()?;
    let signature = arguments.hmac_secret_file.as_deref().zip(arguments.hmac_header.clone());
    let signature = signature.map(|(file, header)| {
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret(file)?.as_bytes()));
        anyhow::Ok(Signature { header, key })
    });
    Ok(Credentials { bearer, signature: signature.transpose()? })
}

/// The text of a file, without the line end that editors add.
fn secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = secret_file(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let is_header_text = text.trim().bytes().all(|byte| (0x20..0x7f).contains(&byte));
    anyhow::ensure!(is_header_text, "`{}` holds more than one line of printable ASCII", file.display());
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "the command line names the file")]
fn secret_file(file: &Path) -> std::io::Result<Zeroizing<String>> {
    std::fs::read_to_string(file).map(Zeroizing::new)
}

/// Sends everything; how long it took.
async fn send_all(work: Arc<Work>, connections: u16, tally: &mut Tally) -> Duration {
    let (lines, mut results) = mpsc::channel(RESULTS_WAITING_MAX);
    for _ in 0..connections {
        tokio::spawn(worker(Arc::clone(&work), lines.clone()));
    }
    drop(lines);
    while let Some(lines) = results.recv().await {
        tally.through(&lines, work.clock.monotonic());
    }
    work.clock.monotonic()
}

/// One connection's part of the work.
async fn worker(work: Arc<Work>, lines: mpsc::Sender<Vec<Line>>) {
    let mut connection = None;
    loop {
        let number = work.next.fetch_add(1, Ordering::Relaxed);
        let next = number.checked_rem(work.messages.len()).and_then(|at| work.messages.get(at));
        let Some(message) = next.filter(|_| number < work.total) else { break };
        if let Some(rate) = work.rate {
            let nanos =
                u128::try_from(number).unwrap_or(u128::MAX).saturating_mul(1_000_000_000) / u128::from(rate);
            let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            tokio::time::sleep(due.saturating_sub(work.clock.monotonic())).await;
        }
        let sent = send(&work, message, &mut connection).await;
        if lines.send(sent).await.is_err() {
            break;
        }
    }
    if let Some(connection) = connection {
        connection.leave().await;
    }
}

async fn send(work: &Work, message: &Message, connection: &mut Option<Connection>) -> Vec<Line> {
    let fresh;
    let message = if work.is_fresh {
        fresh = message.with_control_ids(|| work.clock.new_id().to_string());
        &fresh
    } else {
        message
    };
    let started = work.clock.monotonic();
    let heard = async {
        let open = match connection.take() {
            Some(mut open) => open.is_open().await.then_some(open),
            None => None,
        };
        let open = match open {
            Some(open) => open,
            None => Connection::open(&work.door).await?,
        };
        let id = work.clock.new_id().to_string();
        let mark = id.get(id.len().saturating_sub(MARK_CHARS)..).unwrap_or(&id);
        connection.insert(open).exchange(message, work.timeout, mark).await
    };
    let heard = heard.await;
    let took = work.clock.monotonic().saturating_sub(started);
    if heard.is_err() {
        *connection = None;
    }
    Line::of(message, heard, took)
}
