//! The laboratory that drives both servers: one message outstanding on each connection, every answer read and checked.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use haemosync_gateway::formats::mllp;

use crate::generator;

/// Results in each message: about 3 kB, a common profile.
pub(crate) const RESULTS: usize = 14;

/// One message, in its frame.
pub(crate) struct Message {
    control_id: String,
    frame: Vec<u8>,
}

/// Messages of one round, each with a control id and a filler number that no other message of the run has.
pub(crate) fn messages(round: usize, count: usize) -> Vec<Message> {
    let message = |number| {
        let control_id = format!("B{round}-{number}");
        let frame = mllp::encode(&generator::oru(&control_id, &format!("F{round}-{number}"), RESULTS));
        Message { control_id, frame }
    };
    (0..count).map(message).collect()
}

/// Sends all messages over so many connections; how long each waited for its acknowledgement.
///
/// # Panics
/// When a message is not answered `AA` under its own control id: such a round measures nothing.
pub(crate) async fn send(address: SocketAddr, messages: Vec<Message>, connections: usize) -> Vec<Duration> {
    let mut shares: Vec<Vec<Message>> = (0..connections).map(|_| Vec::new()).collect();
    for (number, message) in messages.into_iter().enumerate() {
        shares[number % connections].push(message);
    }
    let senders: JoinSet<_> = shares.into_iter().map(|share| send_in_turn(address, share)).collect();
    senders.join_all().await.concat()
}

async fn send_in_turn(address: SocketAddr, messages: Vec<Message>) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket takes this option");
    let mut waits = Vec::with_capacity(messages.len());
    let mut answer = Vec::new();
    for message in messages {
        let start = Instant::now();
        stream.write_all(&message.frame).await.expect("the server reads");
        answer.clear();
        while !answer.ends_with(&[mllp::END, mllp::CARRIAGE_RETURN]) {
            let read = stream.read_buf(&mut answer).await.expect("the server answers");
            assert!(read > 0, "the server closed the connection before it answered");
        }
        waits.push(start.elapsed());
        let accepted = format!("MSA|AA|{}", message.control_id);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains(&accepted), "an answer that accepts the message: {text}");
    }
    waits
}
