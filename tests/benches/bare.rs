//! The raw limit: an MLLP server that appends each message to one file, flushes what has gathered, and answers `AA`.
//!
//! It frames and flushes as the gateway must, and does nothing else: no reading, no sealing, no index, no audit.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use memchr::memchr;
use memchr::memchr_iter;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use haemosync_gateway::formats::mllp;

/// Most messages in one flush, as in the gateway's own writer.
const GROUP_MAX: usize = 512;
const CHUNK_BYTES: usize = 16 * 1024;

pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    /// Ends the connections when it is dropped, and with them the writer.
    _runtime: Runtime,
}

/// A message, and who waits for its flush.
struct Entry {
    bytes: Vec<u8>,
    flushed: oneshot::Sender<()>,
}

impl Bare {
    /// Serves on a free port and keeps what it takes in `file`.
    pub(crate) fn start(file: &Path) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let file = File::create(file).expect("the folder can be written");
        let (queue, entries) = mpsc::channel(GROUP_MAX);
        thread::spawn(|| write_groups(file, entries));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, queue.clone()));
            }
        });
        Self { address, _runtime: runtime }
    }
}

/// Takes all that is queued, writes it, flushes once, answers all.
fn write_groups(mut file: File, mut entries: mpsc::Receiver<Entry>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    let mut bytes = Vec::new();
    while entries.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        bytes.clear();
        for entry in &group {
            bytes.extend_from_slice(&entry.bytes);
        }
        file.write_all(&bytes).expect("the disk has room");
        file.sync_data().expect("the disk flushes");
        for entry in group.drain(..) {
            let _sender_left = entry.flushed.send(());
        }
    }
}

async fn serve(mut stream: TcpStream, queue: mpsc::Sender<Entry>) {
    stream.set_nodelay(true).expect("a socket takes this option");
    let mut received = Vec::with_capacity(CHUNK_BYTES);
    while stream.read_buf(&mut received).await.is_ok_and(|read| read > 0) {
        while let Some(end) = memchr(mllp::END, &received).filter(|end| received.len() > end + 1) {
            let rest = received.split_off(end + 2);
            let bytes = std::mem::replace(&mut received, rest);
            let answer = acknowledge(&bytes);
            let (flushed, wait) = oneshot::channel();
            if queue.send(Entry { bytes, flushed }).await.is_err() || wait.await.is_err() {
                return;
            }
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

/// `AA` with the control id of the frame: MSH-10, after the ninth field separator.
fn acknowledge(frame: &[u8]) -> Vec<u8> {
    let mut separators = memchr_iter(b'|', frame).skip(8);
    let control_id = match (separators.next(), separators.next()) {
        (Some(start), Some(end)) => &frame[start + 1..end],
        _ => b"",
    };
    let header = b"MSH|^~\\&|GATEWAY|CLINIC|BENCH|GENERATOR|20260302101500||ACK^R01^ACK|A1|P|2.5.1\rMSA|AA|";
    mllp::encode(&[header.as_slice(), control_id, b"\r"].concat())
}
