//! One HL7 v2 message to somebody else's MLLP listener, and its answer. Keeps nothing, repeats nothing.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::formats::mllp;
use crate::formats::mllp::Event;

/// A connection that is not made by then is not made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// A longer answer is no acknowledgement.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("the connection broke off")]
    Broken(#[source] io::Error),
    #[error("no answer within {} s", ANSWER.as_secs())]
    Silent,
    #[error("the connection ended without a whole answer")]
    NoAnswer,
}

/// Sends a message to `HOST:PORT` on a connection of its own; the bytes of its answer.
pub async fn send(address: &str, message: &[u8]) -> Result<Vec<u8>, Error> {
    let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
    let mut stream =
        connecting.map_err(|_| Error::Connect(io::ErrorKind::TimedOut.into()))?.map_err(Error::Connect)?;
    tokio::time::timeout(ANSWER, converse(&mut stream, message)).await.map_err(|_| Error::Silent)?
}

async fn converse(stream: &mut TcpStream, message: &[u8]) -> Result<Vec<u8>, Error> {
    stream.write_all(&mllp::encode(message)).await.map_err(Error::Broken)?;
    let mut decoder = mllp::Decoder::new(ANSWER_BYTES_MAX);
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).await.map_err(Error::Broken)?;
        let events = match count {
            0 => return first(decoder.finish()).ok_or(Error::NoAnswer),
            _ => decoder.push(chunk.get(..count).unwrap_or_default()),
        };
        if let Some(answer) = first(events) {
            return Ok(answer);
        }
        if decoder.is_too_long() {
            return Err(Error::NoAnswer);
        }
    }
}

fn first(events: Vec<Event>) -> Option<Vec<u8>> {
    events.into_iter().find_map(|event| match event {
        Event::Frame(bytes) => Some(bytes),
        _ => None,
    })
}
