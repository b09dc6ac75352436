//! Kept messages: the list, the exact bytes, and reading a held one again.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use hyper::body::Frame;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;

use crate::audit::Entry;
use crate::clock::Id;
use crate::http::admin;
use crate::http::admin::Refusal;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
use crate::pipeline::records::message;
use crate::pipeline::records::message::Message;
use crate::pipeline::records::message::Standing;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Table;
use crate::telemetry::Chain;

/// Chunks of lines that wait for a slow reader.
const CHUNKS_WAITING_MAX: usize = 4;
/// Messages read at once: each is opened whole.
const PAGE_ROWS: usize = 100;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    #[serde(default)]
    since: Option<Timestamp>,
    #[serde(default)]
    state: Option<message::State>,
}

/// One line a message, oldest first, as they are read.
pub(super) async fn list(State(state): State<admin::State>, Query(filter): Query<Filter>) -> Response {
    let (lines, written) = mpsc::channel(CHUNKS_WAITING_MAX);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write_lines(&state, &filter, &lines) {
            // The status line is long sent: the last line says that it is not the end of the list.
            let _nobody_reads = lines.blocking_send(line(&json!({ "error": Chain(&error).to_string() })));
        }
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::new(Lines(written))).into_response()
}

fn write_lines(
    state: &admin::State,
    filter: &Filter,
    lines: &mpsc::Sender<Bytes>,
) -> Result<(), store::Error> {
    let mut scan = Scan::all(Table::MessageStates).limit(PAGE_ROWS);
    if let Some(since) = filter.since {
        scan = scan.from(&Id::floor(since).to_bytes());
    }
    loop {
        let page = state.store.scan_plain(&scan)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        scan = scan.after(last);
        let mut chunk = Vec::new();
        for (key, _) in &page {
            let id = MessageId::try_from(key.as_slice()).map_err(|_| damaged())?;
            let Some(standing) = message::standing(&state.store, id)? else { continue };
            if filter.state.is_some_and(|wanted| wanted != standing.state) {
                continue;
            }
            let row = match message::load(&state.store, id, &standing.scope()) {
                Ok(Some(message)) => header(id, &standing, &message),
                Ok(None) => unreadable(id, &standing, &damaged()),
                Err(damage) if damage.concerns_one_row() => unreadable(id, &standing, &damage),
                Err(error) => return Err(error),
            };
            chunk.extend_from_slice(&line(&row));
        }
        if !chunk.is_empty() && lines.blocking_send(chunk.into()).is_err() {
            return Ok(());
        }
    }
}

fn damaged() -> store::Error {
    store::Error::Damaged { table: Table::MessageStates }
}

fn line(document: &Value) -> Bytes {
    Bytes::from(format!("{document}\n"))
}

/// What a list and a journey say first of a message.
pub(super) fn header(id: MessageId, standing: &Standing, message: &Message) -> Value {
    let it = &message.header;
    json!({
        "id": id, "received_at": it.received_at, "lab": it.lab, "feed": it.feed, "control_id": it.control_id,
        "sha256": it.sha256, "bytes": it.bytes, "state": standing.state, "ack": it.ack,
    })
}

/// What can still be said of a message whose own row cannot be opened: it is listed all the same.
fn unreadable(id: MessageId, standing: &Standing, damage: &store::Error) -> Value {
    json!({ "id": id, "feed": standing.feed, "state": standing.state, "error": Chain(damage).to_string() })
}

/// A message and where it stands, if there is one.
pub(super) fn load(state: &admin::State, id: MessageId) -> Result<Option<(Standing, Message)>, store::Error> {
    let Some(standing) = message::standing(&state.store, id)? else { return Ok(None) };
    let message = message::load(&state.store, id, &standing.scope())?;
    Ok(message.map(|message| (standing, message)))
}

pub(super) fn id_of(text: &str) -> Result<MessageId, Refusal> {
    text.parse().map_err(|error: crate::clock::NotAnId| Refusal::Unusable(error.to_string()))
}

/// The exact bytes as received.
pub(super) async fn raw(
    State(state): State<admin::State>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = id_of(&id)?;
    admin::blocking(move || {
        let (_, message) = load(&state, id)?.ok_or(Refusal::NotFound("there is no such message"))?;
        Ok(([(CONTENT_TYPE, "application/octet-stream")], message.raw).into_response())
    })
    .await
}

/// Lets a held message be read again, with the mapping of now.
pub(super) async fn replay(
    State(state): State<admin::State>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = id_of(&id)?;
    let before = message::standing(&state.store, id)?.ok_or(Refusal::NotFound("there is no such message"))?;
    if before.state != message::State::Held {
        return Err(Refusal::Conflict("only a held message can be read again"));
    }
    let (now, after) = (state.clock.now(), Standing { state: message::State::Waiting, ..before.clone() });
    let mut change = Change::new();
    change.expect_equals(Table::MessageStates, &id.key(), before.encode());
    change.put_plain(Table::MessageStates, &id.key(), after.encode());
    change.delete(Table::Holds, &id.key());
    change.count(before.state.counter(), -1).count(after.state.counter(), 1);
    Job::new(job::Kind::Read, now, id.0).put(&mut change);
    change.audit(Entry::new(now, "operator", "message.replayed", id.to_string()));
    match state.store.commit(change).await {
        Ok(_) => {
            Ok((StatusCode::ACCEPTED, axum::Json(json!({ "id": id, "state": after.state }))).into_response())
        }
        Err(store::Error::Conflict { .. }) => Err(Refusal::Conflict("the message has changed meanwhile")),
        Err(error) => Err(error.into()),
    }
}

/// A body made of chunks as they come.
struct Lines(mpsc::Receiver<Bytes>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
