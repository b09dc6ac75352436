//! HL7 v2 over MLLP, plain and over TLS with client certificates.
//!
//! Each connection is served in order: a frame is kept and answered before the next one is looked at, however the
//! bytes were cut or joined on their way. Frames, connections and silence are bounded. It cannot acknowledge: it
//! passes on what [`Intake`] gives back.

mod places;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::formats::mllp::Decoder;
use crate::formats::mllp::Event;
use crate::formats::mllp::encode;
use crate::inbound::mllp::places::Place;
use crate::inbound::mllp::places::Places;
use crate::pipeline::application_ack::CONNECTION_ANSWERS_MAX;
use crate::pipeline::intake::Intake;
use crate::pipeline::shutdown::Shutdown;
use crate::telemetry::Chain;

/// The first reads from a socket: thousands of silent connections must cost little.
const CHUNK_BYTES_FIRST: usize = 1024;
/// One read from a socket that has much to say. Larger frames take several.
const CHUNK_BYTES: usize = 16 * 1024;
/// A sender that leaves out the carriage return after FS is understood after so long a silence.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a peer that was refused may go on writing before its connection is cut.
const LINGER: Duration = Duration::from_secs(5);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A peer that does not read its answer is not waited for longer than this.
const WRITE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Config {
    /// Without TLS.
    pub listen: Option<SocketAddr>,
    pub tls: Option<Tls>,
    pub frame_bytes_max: usize,
    pub connections_max: usize,
    pub idle: Duration,
    pub shutdown: Duration,
}

/// The TLS listener: our certificate, and the authority whose clients we take.
#[derive(Debug, Clone)]
pub struct Tls {
    pub listen: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: PathBuf,
}

impl Config {
    /// Whether nobody but this machine can reach the listeners.
    pub fn loopback_only(&self) -> bool {
        let tls = self.tls.as_ref().map(|tls| tls.listen);
        self.listen.iter().chain(tls.iter()).all(|address| address.ip().is_loopback())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot use the TLS file `{}`", file.display())]
    TlsFile {
        file: PathBuf,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    #[error("cannot use the certificates of the TLS listener")]
    Certificates(#[source] rustls::Error),
    #[error("cannot use the client authority of the TLS listener")]
    ClientAuthority(#[source] rustls::server::VerifierBuilderError),
}

/// Listeners that are bound and not yet served.
pub struct Bound {
    config: Config,
    plain: Option<TcpListener>,
    tls: Option<(TcpListener, TlsAcceptor)>,
}

/// Binds what is configured, so that its ports are known before the first message.
pub async fn bind(config: Config) -> Result<Bound, Error> {
    let plain = match config.listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let tls = match &config.tls {
        Some(it) => Some((listen(it.listen).await?, tls::acceptor(it)?)),
        None => None,
    };
    Ok(Bound { config, plain, tls })
}

/// Whether the TLS files can be used, without listening.
pub fn check(tls: &Tls) -> Result<(), Error> {
    tls::acceptor(tls).map(drop)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

impl Bound {
    /// Where the plain listener is.
    pub fn plain_address(&self) -> Option<SocketAddr> {
        self.plain.as_ref().and_then(|it| it.local_addr().ok())
    }

    /// Where the TLS listener is.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref().and_then(|(it, _)| it.local_addr().ok())
    }

    /// Serves until asked to end; connections may then finish the frame they are at.
    pub async fn run(self, intake: Intake, shutdown: Shutdown) {
        let door = Door {
            intake,
            places: Places::new(self.config.connections_max),
            config: Arc::new(self.config),
            shutdown,
        };
        let plain = self.plain.map(|listener| tokio::spawn(door.clone().accept(listener, None)));
        let tls = self.tls.map(|(listener, tls)| tokio::spawn(door.accept(listener, Some(tls))));
        for task in [plain, tls].into_iter().flatten() {
            if let Err(error) = task.await {
                tracing::error!(error = %Chain(&error), "an MLLP listener ended");
            }
        }
    }
}

#[derive(Clone)]
struct Door {
    intake: Intake,
    config: Arc<Config>,
    places: Arc<Places>,
    shutdown: Shutdown,
}

impl Door {
    async fn accept(mut self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = self.shutdown.requested() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => (stream, peer.ip()),
                    Err(error) => {
                        // Out of handles, most likely: whoever is silent gives one back.
                        self.places.free_one();
                        tracing::warn!(error = %Chain(&error), "could not accept a connection");
                        tokio::time::sleep(SETTLE).await;
                        continue;
                    }
                },
            };
            let Some(place) = self.places.take(peer) else {
                tracing::warn!(
                    connections = self.config.connections_max,
                    "refused a connection above the limit"
                );
                continue;
            };
            let (door, tls) = (self.clone(), tls.clone());
            connections.spawn(async move {
                door.serve(stream, tls, &place).await;
                drop(place);
            });
        }
        drop(listener);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.config.shutdown, all_ended).await.is_err() {
            tracing::warn!("closed MLLP connections that did not end in time");
        }
    }

    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>, place: &Place) {
        let _not_vital = stream.set_nodelay(true);
        let result = match tls {
            None => self.converse(stream, &[], place).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let names = tls::client_names(stream.get_ref().1);
                    self.converse(stream, &names, place).await
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
        };
        if let Err(error) = result {
            tracing::debug!(error = %Chain(&error), "an MLLP connection broke off");
        }
    }

    /// `names` are those of the client's certificate.
    async fn converse(
        mut self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        names: &[String],
        place: &Place,
    ) -> io::Result<()> {
        let (connection, mut later) = mpsc::channel(CONNECTION_ANSWERS_MAX);
        self.intake = self.intake.on(connection);
        let mut decoder = Decoder::new(self.config.frame_bytes_max);
        let mut chunk = vec![0; CHUNK_BYTES_FIRST];
        loop {
            let patience = if decoder.is_inside() { SETTLE.min(self.config.idle) } else { self.config.idle };
            let read = tokio::select! {
                // A frame that has begun may end; the listener bounds how long.
                () = self.shutdown.requested(), if !decoder.is_inside() => return Ok(()),
                // An answer that was not ready before goes out between others, never inside one.
                Some(answer) = later.recv() => {
                    write(&mut stream, &answer).await?;
                    continue;
                }
                () = place.wanted() => {
                    sent_away();
                    return Ok(());
                }
                read = tokio::time::timeout(patience, stream.read(&mut chunk)) => read,
            };
            let events = match read {
                Ok(Ok(0)) => {
                    self.answer(&mut stream, decoder.finish(), names).await?;
                    drop(self);
                    return last_answers(&mut stream, &mut later).await;
                }
                Ok(Ok(count)) => {
                    place.heard();
                    let events = decoder.push(chunk.get(..count).unwrap_or_default());
                    if count == chunk.len() {
                        chunk.resize(CHUNK_BYTES, 0);
                    }
                    events
                }
                Ok(Err(error)) => return Err(error),
                Err(_) if decoder.is_inside() && patience < self.config.idle => {
                    let settled = decoder.settle();
                    if settled.is_empty() {
                        let Some(events) =
                            self.wait_inside(&mut stream, &mut decoder, &mut chunk, place).await?
                        else {
                            sent_away();
                            return Ok(());
                        };
                        events
                    } else {
                        settled
                    }
                }
                Err(_) => return Ok(()),
            };
            place.serving(true);
            let is_over = self.answer(&mut stream, events, names).await?;
            while let Ok(answer) = later.try_recv() {
                write(&mut stream, &answer).await?;
            }
            place.serving(false);
            if is_over {
                linger(&mut stream, &mut chunk).await;
                return Ok(());
            }
            if decoder.is_too_long() {
                self.answer(&mut stream, decoder.finish(), names).await?;
                linger(&mut stream, &mut chunk).await;
                return Ok(());
            }
        }
    }

    /// A frame has begun and pauses: the rest may take as long as any silence. `None` where the place is wanted.
    async fn wait_inside(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        decoder: &mut Decoder,
        chunk: &mut [u8],
        place: &Place,
    ) -> io::Result<Option<Vec<Event>>> {
        let read = tokio::select! {
            () = place.wanted() => return Ok(None),
            read = tokio::time::timeout(self.config.idle, stream.read(chunk)) => read,
        };
        match read {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(count)) => {
                place.heard();
                Ok(Some(decoder.push(chunk.get(..count).unwrap_or_default())))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Answers each message in order; whether the connection ends.
    async fn answer(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        events: Vec<Event>,
        names: &[String],
    ) -> io::Result<bool> {
        for event in events {
            let answer = match event {
                Event::Frame(message) => self.intake.receive_certified(names, &Bytes::from(message)).await,
                Event::TooLong { kept, max, .. } => self.intake.too_long(&kept, max),
                // The sender had no answer to these and so still has the message.
                Event::Abandoned(bytes) | Event::Stray(bytes) | Event::Unfinished(bytes) => {
                    tracing::warn!(bytes = bytes.len(), "dropped bytes that are no whole MLLP frame");
                    continue;
                }
            };
            if let Some(bytes) = &answer.bytes {
                write(stream, bytes).await?;
            }
            if answer.close {
                let _peer_may_be_gone = stream.shutdown().await;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), answer: &[u8]) -> io::Result<()> {
    let writing = async {
        stream.write_all(&encode(answer)).await?;
        stream.flush().await
    };
    tokio::time::timeout(WRITE, writing).await.map_err(io::Error::from)?
}

/// The peer sends no more and may still read: what it was promised follows, as far as it is made in time.
async fn last_answers(
    stream: &mut (impl AsyncWrite + Unpin),
    later: &mut mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    let giving = async {
        while let Some(answer) = later.recv().await {
            write(stream, &answer).await?;
        }
        Ok(())
    };
    tokio::time::timeout(LINGER, giving).await.unwrap_or(Ok(()))
}

fn sent_away() {
    tracing::info!("closed the connection that was silent longest: its place was wanted");
}

/// Reads on, for a while, what a peer still writes after its last answer. Closing a socket with unread bytes resets
/// it, and the peer might lose the answer (RFC 1122 §4.2.2.13).
async fn linger(stream: &mut (impl AsyncRead + Unpin), chunk: &mut [u8]) {
    let draining = async { while matches!(stream.read(chunk).await, Ok(1..)) {} };
    let _still_writing = tokio::time::timeout(LINGER, draining).await;
}
