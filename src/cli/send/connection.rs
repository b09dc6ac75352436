//! One MLLP connection to a receiver, plain or with TLS: a message out, its answer in.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::cli::send::target::Target;
use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Acknowledgement;
use crate::formats::mllp;
use crate::formats::mllp::Event;

const CONNECT: Duration = Duration::from_secs(10);
/// An acknowledgement repeats a header and lists what is wrong; a longer one is none.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const CHUNK_BYTES: usize = 16 * 1024;

/// How TLS is spoken.
pub(super) type Tls = Arc<ClientConfig>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    decoder: mllp::Decoder,
    /// Frames that arrived with an earlier one.
    waiting: VecDeque<Vec<u8>>,
    chunk: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("the connection broke off; the message may have arrived")]
    Broken(#[source] io::Error),
    #[error("the receiver closed the connection without an answer; the message may have arrived")]
    Closed,
    #[error("no answer within {patience:?}; the message may have arrived")]
    Unanswered { patience: Duration },
    #[error("the answer cannot be read")]
    Answer(#[source] acknowledgement::Error),
}

impl Error {
    /// In place of the code an answer would have.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Broken(_) | Self::Closed => "closed",
            Self::Unanswered { .. } => "timeout",
            Self::Answer(_) => "answer",
        }
    }

    pub(super) fn told(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |it| it.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

/// TLS with the authority that must have signed the receiver, and our own certificate where there is one.
pub(super) fn tls(ca: Option<&Path>, own: Option<(&Path, &Path)>) -> anyhow::Result<Tls> {
    let ca = ca.context("mllps:// needs --ca: the authority that signed the receiver's certificate")?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).with_context(|| format!("`{}` is no authority", ca.display()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be used")?
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let private = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("cannot use `{}`", key.display()))?;
            config
                .with_client_auth_cert(certificates(certificate)?, private)
                .context("cannot use our certificate")?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let cannot = || format!("cannot use `{}`", file.display());
    CertificateDer::pem_file_iter(file).with_context(cannot)?.collect::<Result<_, _>>().with_context(cannot)
}

impl Connection {
    pub(super) async fn open(target: &Target, tls: Option<&Tls>) -> Result<Self, Error> {
        let stream = timeout(CONNECT, connect(target, tls))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(Error::Connect)?;
        let decoder = mllp::Decoder::new(ANSWER_BYTES_MAX);
        Ok(Self { stream, decoder, waiting: VecDeque::new(), chunk: vec![0; CHUNK_BYTES] })
    }

    /// Sends a message and waits for the answer that names it. One that names another is a late one: it is passed over.
    pub(super) async fn exchange(
        &mut self,
        message: &[u8],
        control_id: &str,
        patience: Duration,
    ) -> Result<Acknowledgement, Error> {
        let frame = mllp::encode(message);
        let talk = async {
            // A receiver may refuse a message before its end and close: then its answer is there to be read.
            let written = self.write(&frame).await;
            loop {
                let answer = match self.frame().await {
                    Err(Error::Closed) => return Err(written.err().map_or(Error::Closed, Error::Broken)),
                    answer => acknowledgement::parse(&answer?).map_err(Error::Answer)?,
                };
                if control_id.is_empty() || answer.control_id.is_empty() || answer.control_id == control_id {
                    return Ok(answer);
                }
            }
        };
        timeout(patience, talk).await.unwrap_or(Err(Error::Unanswered { patience }))
    }

    async fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(frame).await?;
        self.stream.flush().await
    }

    async fn frame(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Ok(frame);
            }
            let count = self.stream.read(&mut self.chunk).await.map_err(Error::Broken)?;
            let events = match count {
                0 => self.decoder.settle(),
                _ => self.decoder.push(self.chunk.get(..count).unwrap_or_default()),
            };
            self.waiting.extend(events.into_iter().filter_map(|event| match event {
                Event::Frame(frame) => Some(frame),
                _ => None,
            }));
            if count == 0 && self.waiting.is_empty() {
                return Err(Error::Closed);
            }
        }
    }
}

async fn connect(target: &Target, tls: Option<&Tls>) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
}
