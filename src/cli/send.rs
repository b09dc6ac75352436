//! `gateway send`: be a laboratory.
//!
//! Each connection sends one message and waits for its answer before the next, as MLLP asks; several connections share
//! the work. A connection that fails is opened again for the next message. What was sent without an answer is told as
//! unanswered: it may have arrived.

mod answer;
mod http;
mod message;
mod mllp;
mod stream;
mod target;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use aws_lc_rs::hmac;
use hyper::header::HeaderName;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::files;
use crate::cli::output;
use crate::cli::send::answer::Answer;
use crate::cli::send::answer::Error;
use crate::cli::send::answer::Told;
use crate::cli::send::http::Credentials;
use crate::cli::send::http::Signature;
use crate::cli::send::message::Message;
use crate::cli::send::target::Door;
use crate::cli::send::target::Target;
use crate::cli::serve::runtime;
use crate::clock::Clock;
use crate::clock::SystemClock;

/// From so many messages on, a person at the terminal sees how far it is.
const PROGRESS_FROM: usize = 200;
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Results that wait to be printed.
const RESULTS_WAITING_MAX: usize = 1024;
const CONNECTIONS_MAX: u16 = 1024;
/// A message that is owed no answer gets this long for one all the same.
const SILENCE: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway send mllp://127.0.0.1:2575 result.hl7\n  gateway send mllps://lab.example:2576 folder/ --ca ca.pem --cert lab.pem --key lab.key\n  gateway send mllp://127.0.0.1:2575 result.hl7 --repeat 1000 --fresh-control-ids --connections 16 --format json\n  gateway send http://127.0.0.1:8080/fhir bundle.json --token-file token\n  gateway send http://127.0.0.1:8080/inbound/aggregator result.json --hmac-secret-file secret --hmac-header X-Signature"
)]
pub(crate) struct Arguments {
    /// Where to: mllp://HOST:PORT, http://HOST:PORT/inbound/FEED or http://HOST:PORT/fhir; mllps:// and https:// with TLS.
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
}

/// One line of output.
#[derive(Serialize)]
struct Line {
    file: String,
    index: usize,
    control_id: String,
    ack: Option<String>,
    errors: Vec<Told>,
    ms: Box<RawValue>,
    #[serde(skip)]
    is_accepted: bool,
}

/// What all connections share.
struct Work {
    messages: Vec<Message>,
    arguments: Shared,
    next: AtomicUsize,
    total: usize,
    clock: SystemClock,
}

/// What a connection needs of the arguments.
struct Shared {
    target: Target,
    tls: Option<stream::Tls>,
    credentials: Credentials,
    timeout: Duration,
    is_fresh: bool,
    rate: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    let tls = arguments.target.is_tls().then(|| {
        stream::tls(arguments.ca.as_deref(), arguments.cert.as_deref().zip(arguments.key.as_deref()))
    });
    let tls = tls.transpose()?;
    let mut tally = Tally { format, sent: 0, accepted: 0, took: Duration::ZERO };
    let mut messages = Vec::new();
    for file in files::all(&arguments.files) {
        let name = file.path.display().to_string();
        match file.bytes {
            Ok(bytes) => messages.extend(message::split(&name, &bytes)),
            Err(problem) => tally.line(&Line::unsent(name, problem.code.as_str(), problem.message)),
        }
    }
    let total = messages.len().saturating_mul(usize::try_from(arguments.repeat).unwrap_or(usize::MAX));
    let shared = Shared {
        target: arguments.target.clone(),
        tls,
        credentials: credentials(arguments)?,
        timeout: Duration::from_millis(arguments.timeout_ms),
        is_fresh: arguments.fresh_control_ids,
        rate: arguments.rate,
    };
    let work =
        Work { messages, arguments: shared, next: AtomicUsize::new(0), total, clock: SystemClock::new() };
    runtime()?.block_on(send_all(Arc::new(work), arguments.connections, &mut tally));
    Ok(tally.end())
}

fn credentials(arguments: &Arguments) -> anyhow::Result<Credentials> {
    let bearer = arguments.token_file.as_deref().map(secret).transpose()?;
    let signature = arguments.hmac_secret_file.as_deref().zip(arguments.hmac_header.clone());
    let signature = signature.map(|(file, header)| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret(file)?.as_bytes());
        anyhow::Ok(Signature { header, key })
    });
    Ok(Credentials { bearer, signature: signature.transpose()? })
}

/// The text of a file, without the line end that editors add.
#[expect(clippy::disallowed_methods, reason = "the command line names the file")]
fn secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let text = Zeroizing::new(text);
    let is_header_text = text.trim().bytes().all(|byte| (0x20..0x7f).contains(&byte));
    anyhow::ensure!(is_header_text, "`{}` holds more than one line of printable ASCII", file.display());
    Ok(Zeroizing::new(text.trim().to_owned()))
}

async fn send_all(work: Arc<Work>, connections: u16, tally: &mut Tally) {
    let (lines, mut results) = mpsc::channel(RESULTS_WAITING_MAX);
    for _ in 0..connections {
        tokio::spawn(worker(Arc::clone(&work), lines.clone()));
    }
    drop(lines);
    let (mut told_at, mut done) = (Duration::ZERO, 0_usize);
    while let Some(line) = results.recv().await {
        tally.line(&line);
        done += 1;
        let now = work.clock.monotonic();
        if tally.format == Format::Plain
            && work.total >= PROGRESS_FROM
            && now.saturating_sub(told_at) >= PROGRESS_EVERY
        {
            told_at = now;
            output::note(&format!("{done} of {}", work.total));
        }
    }
    tally.took = work.clock.monotonic();
}

/// One connection's part of the work.
async fn worker(work: Arc<Work>, lines: mpsc::Sender<Line>) {
    let mut connection = None;
    loop {
        let number = work.next.fetch_add(1, Ordering::Relaxed);
        if number >= work.total {
            return;
        }
        let Some(message) = number.checked_rem(work.messages.len()).and_then(|at| work.messages.get(at))
        else {
            return;
        };
        if let Some(rate) = work.arguments.rate {
            let nanos =
                u128::try_from(number).unwrap_or(u128::MAX).saturating_mul(1_000_000_000) / u128::from(rate);
            let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            tokio::time::sleep(due.saturating_sub(work.clock.monotonic())).await;
        }
        let line = send(&work, message, &mut connection).await;
        if lines.send(line).await.is_err() {
            return;
        }
    }
}

/// A way to the receiver that is open.
enum Connection {
    Http(http::Connection),
    Mllp(mllp::Connection),
}

async fn send(work: &Work, message: &Message, connection: &mut Option<Connection>) -> Line {
    let fresh;
    let message = if work.arguments.is_fresh {
        fresh = message.with_control_id(&work.clock.new_id().to_string());
        &fresh
    } else {
        message
    };
    let started = work.clock.monotonic();
    let answer = converse(work, message, connection).await;
    let took = work.clock.monotonic().saturating_sub(started);
    if answer.is_err() {
        *connection = None;
    }
    Line::answered(message, answer, took)
}

async fn converse(
    work: &Work,
    message: &Message,
    connection: &mut Option<Connection>,
) -> Result<Option<Answer>, Error> {
    let Shared { target, tls, credentials, timeout, .. } = &work.arguments;
    let open = match connection.take() {
        Some(Connection::Http(mut open)) => open.is_open().await.then_some(Connection::Http(open)),
        other => other,
    };
    let open = match (open, &target.door) {
        (Some(open), _) => open,
        (None, Door::Mllp { .. }) => Connection::Mllp(mllp::Connection::open(target, tls.as_ref()).await?),
        (None, Door::Http { path, .. }) => {
            Connection::Http(http::Connection::open(target, path, tls.as_ref()).await?)
        }
    };
    match connection.insert(open) {
        Connection::Http(open) => open.exchange(credentials, &message.bytes, *timeout).await.map(Some),
        Connection::Mllp(open) => {
            let patience = if message.is_owed_an_answer { *timeout } else { SILENCE.min(*timeout) };
            match open.exchange(&message.bytes, &message.control_id, patience).await {
                // Silence was asked for; the connection goes on.
                Err(Error::Unanswered { .. }) if !message.is_owed_an_answer => Ok(None),
                answer => answer.map(|it| Some(it.into())),
            }
        }
    }
}

impl Line {
    fn unsent(file: String, code: &str, text: String) -> Self {
        let told = Told { code: code.to_owned(), location: String::new(), text };
        let ms = milliseconds(Duration::ZERO);
        Self {
            file,
            index: 0,
            control_id: String::new(),
            ack: None,
            errors: vec![told],
            ms,
            is_accepted: false,
        }
    }

    fn answered(message: &Message, answer: Result<Option<Answer>, Error>, took: Duration) -> Self {
        let line = Self {
            file: message.file.to_string(),
            index: message.index,
            control_id: message.control_id.clone(),
            ack: None,
            errors: Vec::new(),
            ms: milliseconds(took),
            is_accepted: true,
        };
        match answer {
            Ok(None) => line,
            Ok(Some(Answer { ack, is_accepted, errors })) => {
                Self { ack: Some(ack), is_accepted, errors, ..line }
            }
            Err(error) => {
                let told =
                    Told { code: error.word().to_owned(), location: String::new(), text: error.told() };
                Self { errors: vec![told], is_accepted: false, ..line }
            }
        }
    }
}

/// With three decimals; never by way of a float.
fn milliseconds(time: Duration) -> Box<RawValue> {
    let micros = time.as_micros();
    let text = format!("{}.{:03}", micros / 1000, micros % 1000);
    RawValue::from_string(text).expect("digits around a point are a number")
}

struct Tally {
    format: Format,
    sent: usize,
    accepted: usize,
    took: Duration,
}

impl Tally {
    fn line(&mut self, line: &Line) {
        self.sent += 1;
        self.accepted += usize::from(line.is_accepted);
        match self.format {
            Format::Json => output::json(line),
            Format::Plain => {
                let ack = line.ack.as_deref().unwrap_or("--");
                let mut text = format!(
                    "{ack}  {}  {} #{}  {} ms",
                    line.control_id,
                    line.file,
                    line.index,
                    line.ms.get()
                );
                for told in &line.errors {
                    text = format!("{text}\n    {} {} {}", told.code, told.location, told.text);
                }
                output::line(&text)
            }
        };
    }

    fn end(&self) -> Outcome {
        if self.format == Format::Plain {
            let micros = self.took.as_micros().max(1);
            let rate = u128::try_from(self.sent).unwrap_or(0) * 1_000_000 / micros;
            output::note(&format!(
                "{} sent, {} accepted, {} ms, {rate} a second",
                self.sent,
                self.accepted,
                milliseconds(self.took).get()
            ));
        }
        Outcome::from(self.sent > 0 && self.accepted == self.sent)
    }
}
