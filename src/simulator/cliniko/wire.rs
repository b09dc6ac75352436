//! The simulator's sockets: a bounded HTTP/1.1 request in, a reply out, whole or spoilt on purpose.
//!
//! Knows nothing of Cliniko. A listener reads one bounded request, asks its [`Service`] for a
//! [`Sent`], and then delivers it as told: at once, torn in the middle of the body, or never.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use http_body_util::BodyExt as _;
use http_body_util::Limited;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a listener waits after a failed accept (no free descriptors, say) before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A request whose body was read whole and fits the listener's bound.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    /// As sent, still percent-encoded.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::typed(status, "application/json; charset=utf-8", body.to_string())
    }

    pub(super) fn typed(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What becomes of a reply on its way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The connection is held this long and then closed without a byte.
    Silent { after: Duration },
    /// The length is announced, half the body is sent, the connection is closed.
    Torn,
    #[default]
    Whole,
}

#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) reply: Reply,
    pub(super) delivery: Delivery,
}

impl From<Reply> for Sent {
    fn from(reply: Reply) -> Self {
        Self { reply, delivery: Delivery::Whole }
    }
}

pub(super) type Service = Arc<dyn Fn(&Received) -> Sent + Send + Sync>;

/// Accepts until `stop` changes or its sender is gone; open connections end with it.
pub(super) async fn serve(
    listener: TcpListener,
    body_bytes_max: usize,
    service: Service,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let service = Arc::clone(&service);
        connections.spawn(async move {
            let answer = service_fn(move |request| answer(request, body_bytes_max, Arc::clone(&service)));
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer);
            // A peer that hangs up, and a reply we withhold on purpose, both end here.
            let _ended = connection.await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    body_bytes_max: usize,
    service: Service,
) -> Result<Response<Outgoing>, io::Error> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, body_bytes_max).collect().await else {
        return Ok(response(Reply::empty(StatusCode::PAYLOAD_TOO_LARGE), false));
    };
    let received = Received {
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        method: head.method,
        headers: head.headers,
        body: body.to_bytes(),
    };
    let sent = service(&received);
    match sent.delivery {
        Delivery::Silent { after } => {
            tokio::time::sleep(after).await;
            Err(io::Error::other("the reply is withheld"))
        }
        Delivery::Torn => Ok(response(sent.reply, true)),
        Delivery::Whole => Ok(response(sent.reply, false)),
    }
}

fn response(reply: Reply, torn: bool) -> Response<Outgoing> {
    let mut builder = Response::builder().status(reply.status).header(CONTENT_LENGTH, reply.body.len());
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    let half = reply.body.len() / 2;
    let first = if torn { reply.body.slice(..half) } else { reply.body };
    // A seeded file name that no header can carry is the one way to get here.
    builder.body(Outgoing { first: Some(first), torn }).unwrap_or_else(|_| {
        let mut refused = Response::new(Outgoing { first: None, torn: false });
        *refused.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        refused
    })
}

struct Outgoing {
    first: Option<Bytes>,
    torn: bool,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        Poll::Ready(self.torn.then(|| Err(io::Error::from(io::ErrorKind::ConnectionReset))))
    }
}
