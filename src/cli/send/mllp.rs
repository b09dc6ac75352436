//! One MLLP connection to a receiver: a message out, its answer in.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::cli::send::answer::Error;
use crate::cli::send::stream;
use crate::cli::send::stream::Stream;
use crate::cli::send::stream::Tls;
use crate::cli::send::target::Target;
use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Acknowledgement;
use crate::formats::mllp;
use crate::formats::mllp::Event;

/// An acknowledgement repeats a header and lists what is wrong; a longer one is none.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const CHUNK_BYTES: usize = 16 * 1024;

pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    decoder: mllp::Decoder,
    /// Frames that arrived with an earlier one.
    waiting: VecDeque<Vec<u8>>,
    chunk: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(target: &Target, tls: Option<&Tls>) -> Result<Self, Error> {
        let stream = stream::open(target, tls).await.map_err(Error::Connect)?;
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
