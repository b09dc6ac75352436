//! Receives a body: bounded in bytes and in time, and all of them together in memory.

use std::ops::Deref;
use std::pin::pin;
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use http_body_util::BodyExt;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use tokio::sync::SemaphorePermit;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::inbound::http::Door;
use crate::inbound::http::refusal::Refusal;

/// Room is given out in units of so many bytes.
pub(super) const BUDGET_UNIT_BYTES: usize = 16 * 1024;
/// A body that does not come within this time is not waited for.
const BODY_READ: Duration = Duration::from_mins(1);
/// How long a request waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(10);

impl Door {
    /// Reads a whole body, or says why not.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Received<'_>, Refusal> {
        let max = self.config.body_bytes_max;
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|it| it > max) {
            return Err(too_large(max));
        }
        let units = declared.unwrap_or(max).div_ceil(BUDGET_UNIT_BYTES).max(1);
        let room = self.room.acquire_many(u32::try_from(units).unwrap_or(u32::MAX));
        let Ok(Ok(room)) = tokio::time::timeout(ROOM_WAIT, room).await else { return Err(busy()) };
        match tokio::time::timeout(BODY_READ, whole(Limited::new(body, max), declared)).await {
            Ok(Ok(bytes)) => Ok(Received { bytes: bytes.into(), _room: room }),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(max)),
            Ok(Err(_)) | Err(_) => Err(cut_off()),
        }
    }
}

/// A body, which has its room as long as it is held.
pub(super) struct Received<'d> {
    bytes: Bytes,
    _room: SemaphorePermit<'d>,
}

impl Deref for Received<'_> {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

/// The body in one piece, gathered as it comes: a large one is never held twice.
async fn whole(body: Limited<Body>, declared: Option<usize>) -> Result<Vec<u8>, BoxError> {
    let mut body = pin!(body);
    let mut bytes = Vec::with_capacity(declared.unwrap_or_default());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

fn too_large(max: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Diagnostic::error(Code::new("W120"), format!("the body has more than {max} bytes and was not kept"))
            .help("send the results in several messages, or have `inbound.http.body_bytes_max` raised"),
    )
}

fn busy() -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        Diagnostic::error(Code::new("W121"), "too many messages are being received at the same time")
            .help("send it again later; nothing was kept"),
    )
}

fn cut_off() -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        Diagnostic::error(Code::new("W123"), "the body ended early, or did not come in time")
            .help("send it again; nothing was kept"),
    )
}
