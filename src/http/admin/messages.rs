//! Kept messages: the list, the exact bytes, reading one again, closing one, and each feed's figures.

use std::convert::Infallible;
use std::mem;
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

use crate::clinical::model::Sensitive;
use crate::http::admin;
use crate::http::admin::Refusal;
use crate::pipeline::feeds::figures;
use crate::pipeline::feeds::figures::Figures;
use crate::pipeline::holds;
use crate::pipeline::holds::By;
use crate::pipeline::holds::Filter;
use crate::pipeline::holds::Order;
use crate::pipeline::holds::With;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::message;
use crate::pipeline::records::message::Message;
use crate::pipeline::records::message::Standing;
use crate::store;
use crate::store::Table;
use crate::telemetry::Chain;

/// Chunks of lines that wait for a slow reader.
const CHUNKS_WAITING_MAX: usize = 4;
/// Messages read at once: each is opened whole.
const PAGE_ROWS: usize = 100;
/// A chunk is sent once it is so long: lines are short, and a message may hold a large document.
const CHUNK_BYTES: usize = 256 << 10;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    since: Option<Timestamp>,
    #[serde(default)]
    state: Option<message::State>,
    #[serde(default)]
    feed: Option<String>,
    #[serde(default)]
    lab: Option<String>,
    #[serde(default)]
    code: Option<String>,
    /// Only what waits for a person.
    #[serde(default)]
    waiting_only: bool,
    #[serde(default)]
    newest_first: bool,
    #[serde(default)]
    after: Option<MessageId>,
    #[serde(default)]
    limit: Option<usize>,
    /// After each line its message's exact bytes, as many as the line's `bytes` says, and a line feed.
    #[serde(default)]
    with_bytes: bool,
}

impl Asked {
    fn filter(&self, state: &admin::State) -> Filter {
        let Self { since, state: stands, code, waiting_only, .. } = self.clone();
        Filter { feeds: None, state: stands, waiting_only, code, since }.of(
            &state.feeds,
            self.feed.as_deref(),
            self.lab.as_deref(),
            None,
        )
    }
}

/// One line a message, as they are read: oldest first unless asked otherwise.
pub(super) async fn list(
    State(state): State<admin::State>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let filter = asked.filter(&state);
    let (lines, written) = mpsc::channel(CHUNKS_WAITING_MAX);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write_lines(&state, &filter, &asked, &lines) {
            // The status line is long sent: the last line says that it is not the end of the list.
            let _nobody_reads = lines.blocking_send(line(&json!({ "error": Chain(&error).to_string() })));
        }
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(Lines(written))).into_response())
}

fn write_lines(
    state: &admin::State,
    filter: &Filter,
    asked: &Asked,
    lines: &mpsc::Sender<Bytes>,
) -> Result<(), store::Error> {
    let order = if asked.newest_first { Order::NewestFirst } else { Order::OldestFirst };
    let (mut after, mut left) = (asked.after, asked.limit.unwrap_or(usize::MAX));
    while left > 0 {
        let page = holds::list(&state.store, filter, order, after, PAGE_ROWS.min(left))?;
        left -= page.items.len();
        let mut chunk = Vec::new();
        for (id, standing) in page.items {
            match message::load(&state.store, id, &standing.scope()) {
                Ok(Some(message)) => {
                    chunk.extend_from_slice(&line(&header(id, &standing, &message)));
                    if asked.with_bytes {
                        chunk.extend_from_slice(&message.raw);
                        chunk.push(b'\n');
                    }
                }
                Ok(None) => chunk.extend_from_slice(&line(&unreadable(id, &standing, &damaged()))),
                Err(damage) if damage.concerns_one_row() => {
                    chunk.extend_from_slice(&line(&unreadable(id, &standing, &damage)));
                }
                Err(error) => return Err(error),
            }
            if chunk.len() >= CHUNK_BYTES && lines.blocking_send(mem::take(&mut chunk).into()).is_err() {
                return Ok(());
            }
        }
        if !chunk.is_empty() && lines.blocking_send(chunk.into()).is_err() {
            return Ok(());
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
    Ok(())
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
    let mut shown = json!({
        "id": id, "received_at": it.received_at, "lab": it.lab, "feed": it.feed, "control_id": it.control_id,
        "sha256": it.sha256, "bytes": it.bytes, "state": standing.state, "ack": it.ack,
    });
    if let Some(discarded) = &standing.discarded {
        shown["discarded"] = json!(discarded);
    }
    if let Some(first) = it.read_again {
        shown["read_again"] = json!(first);
    }
    shown
}

/// What can still be said of a message whose own row cannot be opened: it is listed all the same.
fn unreadable(id: MessageId, standing: &Standing, damage: &store::Error) -> Value {
    json!({ "id": id, "feed": standing.feed, "state": standing.state, "discarded": standing.discarded, "error": Chain(damage).to_string() })
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

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HowRead {
    /// Say what would happen, and do nothing.
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    mapping: With,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    /// Say what would happen, and do nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Lets a message be read again, with the feeds of now, and the mapping of now or of then.
pub(super) async fn replay(
    State(state): State<admin::State>,
    Path(id): Path<String>,
    Query(how): Query<HowRead>,
) -> Result<Response, Refusal> {
    let id = id_of(&id)?;
    let replayed = if how.dry_run {
        holds::would_replay(state.desk(), By::OPERATOR, id, how.mapping)?
    } else {
        holds::replay(state.desk(), By::OPERATOR, id, how.mapping).await?
    };
    Ok((StatusCode::ACCEPTED, axum::Json(replayed)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Discard {
    reason: Sensitive<String>,
}

/// Closes a message that nobody will mend.
pub(super) async fn discard(
    State(state): State<admin::State>,
    Path(id): Path<String>,
    Query(how): Query<How>,
    axum::Json(request): axum::Json<Discard>,
) -> Result<Response, Refusal> {
    let id = id_of(&id)?;
    let after = if how.dry_run {
        holds::would_discard(state.desk(), By::OPERATOR, id, &request.reason)?
    } else {
        holds::discard(state.desk(), By::OPERATOR, id, &request.reason).await?
    };
    Ok(axum::Json(json!({ "id": id, "state": after.state, "discarded": after.discarded })).into_response())
}

/// What each feed has sent and what became of it.
pub(super) async fn feeds(State(state): State<admin::State>) -> Result<Response, Refusal> {
    let figures = figures::all(&state.store, &state.feeds)?;
    let row = |it: &Figures| {
        json!({
            "feed": it.feed, "lab": it.lab, "last_heard": it.last_heard, "waiting": it.waiting,
            "mapped": it.mapped, "held": it.held, "rejected": it.rejected, "discarded": it.discarded,
        })
    };
    Ok(axum::Json(figures.iter().map(row).collect::<Vec<_>>()).into_response())
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
