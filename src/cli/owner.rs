//! The store's one owner, however it is reached: the running gateway over its socket, or this command itself.
//!
//! With none running, the command opens the store and serves the very same router to itself over a pair of sockets, so
//! that there is one way to ask and the output is the same either way.

use std::sync::Arc;

use anyhow::Context;
use anyhow::bail;
use axum::body::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::app;
use crate::clinical::mapping::Catalog;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::config::library;
use crate::http::admin;
use crate::store;
use crate::store::embedded;

/// The longest answer that is read whole; lists are read line by line.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// What to do where there is no store yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Refuse,
}

/// A connection to whoever has the store open.
pub(crate) struct Owner(http1::SendRequest<Full<Bytes>>);

impl Owner {
    /// Connects to the running gateway, or opens the store.
    pub(crate) async fn reach(config: &Config, missing: Missing) -> anyhow::Result<Self> {
        let stream = match UnixStream::connect(config.store_directory.join(admin::SOCKET_NAME)).await {
            Ok(stream) => stream,
            // Nobody listens; if somebody has the store open all the same, opening it says so.
            Err(_) => own(config, missing).await?,
        };
        Self::over(stream).await
    }

    /// Whether a gateway has the store open and listens.
    pub(crate) async fn is_running(config: &Config) -> bool {
        UnixStream::connect(config.store_directory.join(admin::SOCKET_NAME)).await.is_ok()
    }

    /// Talks over a stream that is connected.
    pub(crate) async fn over(stream: UnixStream) -> anyhow::Result<Self> {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.context("cannot talk to the gateway")?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Asks, and gives the answer as it comes; a refusal is an error with the owner's own words.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<Response<Incoming>> {
        let response = self.request(method, path, body).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let refusal = refusal(response).await?;
        bail!("{}", refusal.get("error").and_then(Value::as_str).unwrap_or("the gateway refused"))
    }

    async fn request(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<Response<Incoming>> {
        let request = Request::builder().method(method).uri(path).header("host", "gateway");
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Full::from(serde_json::to_vec(body).context("the request cannot be written")?)),
            None => request.body(Full::default()),
        };
        // The connection takes the next request a moment after the last answer was read.
        self.0.ready().await.context("the gateway broke off")?;
        self.0.send_request(request?).await.context("the gateway did not answer")
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let answer = whole(self.ask(Method::GET, path, None::<&()>).await?).await?;
        serde_json::from_slice(&answer).context("the gateway's answer is not JSON")
    }

    pub(crate) async fn get_bytes(&mut self, path: &str) -> anyhow::Result<Bytes> {
        whole(self.ask(Method::GET, path, None::<&()>).await?).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &impl Serialize) -> anyhow::Result<Value> {
        let answer = whole(self.ask(Method::POST, path, Some(body)).await?).await?;
        serde_json::from_slice(&answer).context("the gateway's answer is not JSON")
    }

    /// Asks for what may be refused, for one of many: the inner error is the refusal's document.
    pub(crate) async fn try_post(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<Result<Value, Value>> {
        let response = self.request(Method::POST, path, Some(body)).await?;
        if !response.status().is_success() {
            return refusal(response).await.map(Err);
        }
        let answer = whole(response).await?;
        serde_json::from_slice(&answer).map(Ok).context("the gateway's answer is not JSON")
    }

    /// Gives each line of a streamed answer to `take`, until it has had enough.
    pub(crate) async fn lines(
        &mut self,
        path: &str,
        mut take: impl FnMut(&str) -> bool,
    ) -> anyhow::Result<()> {
        let mut answer = Streamed::of(self.ask(Method::GET, path, None::<&()>).await?);
        while let Some(line) = answer.line().await? {
            if !take(str::from_utf8(&line).context(NOT_TEXT)?.trim_end()) {
                break;
            }
        }
        Ok(())
    }

    /// Gives each line of a list to `take`, with the exact bytes of its message: none for one that cannot be opened.
    pub(crate) async fn messages(
        &mut self,
        path: &str,
        mut take: impl FnMut(&Value, Option<Bytes>),
    ) -> anyhow::Result<()> {
        let mut answer = Streamed::of(self.ask(Method::GET, path, None::<&()>).await?);
        while let Some(line) = answer.line().await? {
            let line: Value = serde_json::from_slice(&line).context(NOT_TEXT)?;
            if let (None, Some(error)) = (line.get("id"), line.get("error").and_then(Value::as_str)) {
                bail!("{error}");
            }
            let bytes = match line.get("bytes").and_then(Value::as_u64) {
                Some(length) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let mut bytes = answer.bytes(length.saturating_add(1)).await?;
                    bytes.truncate(length);
                    Some(bytes)
                }
                None => None,
            };
            take(&line, bytes);
        }
        Ok(())
    }
}

const NOT_TEXT: &str = "the gateway's answer is not what was asked for";
const BROKE_OFF: &str = "the gateway broke off";

/// An answer that is read as it comes.
struct Streamed {
    body: Incoming,
    /// What has come and was not taken.
    rest: BytesMut,
}

impl Streamed {
    fn of(answer: Response<Incoming>) -> Self {
        Self { body: answer.into_body(), rest: BytesMut::new() }
    }

    /// Waits for more; false where there is no more.
    async fn more(&mut self) -> anyhow::Result<bool> {
        let Some(frame) = self.body.frame().await else { return Ok(false) };
        if let Ok(data) = frame.context(BROKE_OFF)?.into_data() {
            self.rest.extend_from_slice(&data);
        }
        Ok(true)
    }

    /// The next line, with its end; none at the end. What stands after the last line feed is half a line, and none.
    async fn line(&mut self) -> anyhow::Result<Option<Bytes>> {
        let mut looked_at = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', self.rest.get(looked_at..).unwrap_or_default()) {
                return Ok(Some(self.rest.split_to(looked_at + end + 1).freeze()));
            }
            looked_at = self.rest.len();
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// So many bytes, whatever they are.
    async fn bytes(&mut self, length: usize) -> anyhow::Result<Bytes> {
        if length > ANSWER_BYTES_MAX {
            bail!(NOT_TEXT);
        }
        while self.rest.len() < length {
            if !self.more().await? {
                bail!(BROKE_OFF);
            }
        }
        Ok(self.rest.split_to(length).freeze())
    }
}

/// A refusal's document, which says `error`.
async fn refusal(response: Response<Incoming>) -> anyhow::Result<Value> {
    let status = response.status();
    let words = whole(response).await.unwrap_or_default();
    let refusal = serde_json::from_slice::<Value>(&words).ok().filter(|it| it.get("error").is_some());
    match refusal {
        Some(refusal) => Ok(refusal),
        None => bail!("the gateway answered with status {status}; is it of another version?"),
    }
}

async fn whole(response: Response<Incoming>) -> anyhow::Result<Bytes> {
    let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let collected =
        body.collect().await.map_err(|error| anyhow::anyhow!("the gateway broke off: {error}"))?;
    Ok(collected.to_bytes())
}

/// Opens the store and serves it to ourselves.
async fn own(config: &Config, missing: Missing) -> anyhow::Result<UnixStream> {
    let directory = &config.store_directory;
    if missing == Missing::Refuse && !directory.join(embedded::FILE_NAME).exists() {
        return Err(store::Error::NoStore { directory: directory.clone() }.into());
    }
    let store = Arc::new(app::open(config).await?);
    let files = library::library(config.mappings_directory.as_deref()).ok();
    let catalog = files.and_then(|files| Catalog::compile(&files).ok()).map(Arc::new);
    let state = admin::State::new(store, Arc::new(SystemClock::new()), &config.feeds, catalog);
    let (ours, theirs) = UnixStream::pair().context("cannot make a pair of sockets")?;
    tokio::spawn(admin::serve_one(theirs, admin::router(state)));
    Ok(ours)
}
