//! One bounded HTTP/1.1 exchange over its own connection. Follows nothing, retries nothing.
//!
//! The line that matters: everything before the request is handed to the connection did not happen; everything after
//! it may have.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::header;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::outbound::cliniko::error::Error;

/// Where a request goes: `https` anywhere, `http` to this machine alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    tls: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute URL without user information; `None` for plain HTTP to another machine.
    pub(super) fn of(url: &Uri) -> Option<Self> {
        let (tls, port) = match url.scheme_str()? {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let authority = url.authority()?;
        let host = authority.host().to_ascii_lowercase();
        let plain = !authority.as_str().contains('@');
        let origin = Self { tls, host, port: authority.port_u16().unwrap_or(port) };
        (plain && (tls || origin.is_loopback())).then_some(origin)
    }

    pub(super) fn is_loopback(&self) -> bool {
        matches!(self.host.as_str(), "127.0.0.1" | "localhost" | "[::1]")
    }

    pub(super) const fn is_default_tls(&self) -> bool {
        self.tls && self.port == 443
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

/// How long and how large an exchange may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub connect: Duration,
    pub whole: Duration,
    pub answer_bytes_max: usize,
}

/// A reply, read to its end.
pub(super) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Sends `request`, whose URI is a path and query, and reads the whole reply.
pub(super) async fn exchange(
    origin: &Origin,
    mut request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Reply, Error> {
    let host = header::HeaderValue::from_str(&origin.authority()).map_err(|_| Error::ForeignLink)?;
    request.headers_mut().insert(header::HOST, host);
    let stream = connect(origin, limits.connect).await?;
    match stream {
        Stream::Plain(stream) => converse(stream, request, limits).await,
        Stream::Tls(stream) => converse(stream, request, limits).await,
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn connect(origin: &Origin, within: Duration) -> Result<Stream, Error> {
    let failed = |source| Error::Connect { host: origin.host.clone(), source };
    let connecting = async {
        let address = (origin.host.trim_matches(['[', ']']), origin.port);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if !origin.tls {
            return Ok(Stream::Plain(stream));
        }
        let name = ServerName::try_from(origin.host.clone()).map_err(std::io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(&TLS));
        Ok(Stream::Tls(Box::new(connector.connect(name, stream).await?)))
    };
    timeout(within, connecting)
        .await
        .map_err(|_| Error::ConnectTimeOut { host: origin.host.clone(), after: within })?
        .map_err(failed)
}

/// The public web's certificate authorities; the vendor advises against pinning anything narrower.
static TLS: LazyLock<Arc<rustls::ClientConfig>> = LazyLock::new(|| {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has a cipher suite for each default version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
});

async fn converse<S>(stream: S, request: Request<Full<Bytes>>, limits: Limits) -> Result<Reply, Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(Error::Lost)?;
    let exchange = async {
        let reply = sender.send_request(request).await.map_err(Error::Lost)?;
        let (head, body) = reply.into_parts();
        let too_long = || Error::AnswerTooLong { bytes_max: limits.answer_bytes_max };
        let body = Limited::new(body, limits.answer_bytes_max).collect().await.map_err(|error| {
            error.downcast::<hyper::Error>().map_or_else(|_| too_long(), |error| Error::Lost(*error))
        })?;
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
    };
    // The connection is driven here and dropped with the exchange: nothing of it outlives the deadline.
    let driven = async {
        tokio::pin!(connection, exchange);
        tokio::select! {
            biased;
            reply = &mut exchange => reply,
            ended = &mut connection => match ended {
                // The last bytes are read; what is left is to collect them.
                Ok(()) => exchange.await,
                Err(error) => Err(Error::Lost(error)),
            },
        }
    };
    timeout(limits.whole, driven).await.unwrap_or(Err(Error::NoAnswer { after: limits.whole }))
}

/// Everything but the unreserved characters of RFC 3986, for a query's names and values.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15]
                    .map(|half| HEX.get(usize::from(half)).copied().map_or('0', char::from)),
            );
        }
    }
    out
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::Origin;
    use super::encode;

    #[test]
    fn a_query_value_is_encoded_whole() {
        assert_eq!(encode("date_of_birth:=1984-02-29 é+"), "date_of_birth%3A%3D1984-02-29%20%C3%A9%2B");
    }

    #[test]
    fn plain_http_reaches_this_machine_only() {
        let origin = |url: &str| Origin::of(&url.parse().unwrap());
        assert!(origin("https://api.uk1.cliniko.com/v1").is_some_and(|it| it.is_default_tls()));
        assert!(origin("http://127.0.0.1:8080").is_some_and(|it| it.is_loopback()));
        for url in [
            "http://api.uk1.cliniko.com",
            "http://169.254.169.254/",
            "https://a@b.example/",
            "/v1",
            "ftp://x/",
        ] {
            assert_eq!(origin(url), None, "{url}");
        }
    }
}
