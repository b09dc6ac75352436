//! The MLLP listener over real sockets: one answer for each message that is owed one, in order, however bytes arrive.

mod acknowledgements;
mod application;
mod store_failures;
pub(crate) mod tls;

use std::time::Duration;

use haemosync_gateway::pipeline::records::message::State;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::PATIENCE;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::until;

/// A report of one invented result, of a patient whom no clinic has.
pub(crate) fn oru(control_id: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|FAC|HAEMOSYNC|CLINIC|20261122100000+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||||Nobodyhere^Zebedee||19610203|M\r\
         OBR|1||F{control_id}|24362-6^Urea and electrolytes^LN|||20261122090000+0000|||||||||||||||20261122100000+0000|||F\r\
         OBX|1|NM|2951-2^Sodium^LN||140|mmol/L|133-146||||F\r"
    )
}

/// The message with another value in one field of its header.
pub(crate) fn with_header(message: &str, field: usize, value: &str) -> String {
    let (header, rest) = message.split_once('\r').unwrap();
    let mut fields: Vec<&str> = header.split('|').collect();
    fields.resize(fields.len().max(field), "");
    fields[field - 1] = value;
    format!("{}\r{rest}", fields.join("|"))
}

pub(crate) fn frame(message: &str) -> Vec<u8> {
    [b"\x0b", message.as_bytes(), b"\x1c\r"].concat()
}

/// A laboratory's side of a connection, byte by byte.
pub(crate) struct Wire<S> {
    stream: S,
    received: Vec<u8>,
}

impl Wire<TcpStream> {
    pub(crate) async fn connect(gateway: &TestGateway) -> Self {
        Self::over(TcpStream::connect(gateway.mllp()).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next answer, without its frame; `None` when the connection ends before one begins.
    pub(crate) async fn try_answer(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.received.windows(2).position(|it| it == b"\x1c\r") {
                let answer: Vec<u8> = self.received.drain(..end + 2).collect();
                assert_eq!(answer[0], 0x0B);
                return Some(answer[1..end].to_vec());
            }
            let read =
                timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await.expect("no answer in time");
            if read.unwrap_or(0) == 0 {
                assert!(self.received.is_empty(), "half an answer");
                return None;
            }
        }
    }

    pub(crate) async fn answer(&mut self) -> String {
        String::from_utf8(self.try_answer().await.expect("the connection ended without an answer")).unwrap()
    }

    /// Sends a message and gives its answer.
    pub(crate) async fn ask(&mut self, message: &str) -> String {
        self.write(&frame(message)).await;
        self.answer().await
    }

    /// The connection ends, by the other side, and nothing more comes.
    pub(crate) async fn ends(&mut self) {
        assert_eq!(self.try_answer().await, None);
    }

    pub(crate) async fn shutdown(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Says that no more comes, and sees that no answer is left over.
    pub(crate) async fn end(mut self) {
        self.stream.shutdown().await.unwrap();
        self.ends().await;
    }
}

/// Field `number` of the first segment `name` of an answer; MSH counted as the standard does.
pub(crate) fn field<'a>(answer: &'a str, name: &str, number: usize) -> &'a str {
    let segment = answer.split('\r').find(|segment| segment.starts_with(name));
    let index = if name == "MSH" { number - 1 } else { number };
    segment.and_then(|segment| segment.split('|').nth(index)).unwrap_or_default()
}

/// MSA-1 and MSA-2.
pub(crate) fn verdict(answer: &str) -> (&str, &str) {
    (field(answer, "MSA", 1), field(answer, "MSA", 2))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_cut_at_every_byte_gets_exactly_one_answer() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::connect(&gateway).await;
    let cuts = frame(&oru("0000")).len();
    for cut in 1..cuts {
        let control_id = format!("{cut:04}");
        let bytes = frame(&oru(&control_id));
        wire.write(&bytes[..cut]).await;
        tokio::task::yield_now().await;
        wire.write(&bytes[cut..]).await;
        assert_eq!(verdict(&wire.answer().await), ("AA", control_id.as_str()), "cut at {cut}");
    }
    for byte in frame(&oru("BYTES")) {
        wire.write(&[byte]).await;
    }
    assert_eq!(verdict(&wire.answer().await), ("AA", "BYTES"));
    wire.end().await;
    gateway.count(i64::try_from(cuts).unwrap());
    assert_eq!(gateway.kept().last().unwrap(), oru("BYTES").as_bytes());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_and_pipelined_frames_are_answered_each_once_and_in_order() {
    const MESSAGES: usize = 60;
    let gateway = TestGateway::start().await;
    let mut wire = Wire::connect(&gateway).await;
    let ids: Vec<String> = (0..MESSAGES).map(|number| format!("P{number}")).collect();
    let stream: Vec<u8> = ids.iter().flat_map(|id| frame(&oru(id))).collect();
    // Cuts that fall anywhere: within frames, between them, over several of them.
    for piece in stream.chunks(997) {
        wire.write(piece).await;
    }
    for id in &ids {
        assert_eq!(verdict(&wire.answer().await), ("AA", id.as_str()));
    }
    wire.end().await;
    gateway.count(MESSAGES.try_into().unwrap());

    let mut together = tokio::task::JoinSet::new();
    for number in 0..16 {
        let stream = TcpStream::connect(gateway.mllp()).await.unwrap();
        together.spawn(async move {
            let mut wire = Wire::over(stream);
            for message in 0..5 {
                let id = format!("C{number}-{message}");
                assert_eq!(verdict(&wire.ask(&oru(&id)).await), ("AA", id.as_str()));
            }
            wire.end().await;
        });
    }
    while let Some(ended) = together.join_next().await {
        ended.unwrap();
    }
    gateway.count(16 * 5);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_frame_disturb_nobody() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::connect(&gateway).await;
    // Line ends and rubbish between frames.
    wire.write(&[b"\r\nhello".as_slice(), &frame(&oru("A1")), b"\r\n\n\x1c\r", &frame(&oru("A2"))].concat())
        .await;
    assert_eq!(verdict(&wire.answer().await), ("AA", "A1"));
    assert_eq!(verdict(&wire.answer().await), ("AA", "A2"));
    // A vertical tab is text where no header follows it.
    let tab = oru("A3").replace("Zebedee", "Zebe\u{b}dee");
    assert_eq!(verdict(&wire.ask(&tab).await), ("AA", "A3"));
    // A frame that is begun again was given up by its sender, who had no answer to it.
    wire.write(&[b"\x0b".as_slice(), &oru("LOST").as_bytes()[..80], &frame(&oru("A4"))].concat()).await;
    assert_eq!(verdict(&wire.answer().await), ("AA", "A4"));
    // Without the carriage return: ended by the next frame, or by silence.
    let unended = |id: &str| [b"\x0b", oru(id).as_bytes(), b"\x1c"].concat();
    wire.write(&[unended("A5"), unended("A6")].concat()).await;
    assert_eq!(verdict(&wire.answer().await), ("AA", "A5"));
    assert_eq!(verdict(&wire.answer().await), ("AA", "A6"));
    wire.write(&unended("A7")).await;
    assert_eq!(verdict(&wire.answer().await), ("AA", "A7"));
    wire.write(b"\r").await;
    assert_eq!(verdict(&wire.ask(&oru("A8")).await), ("AA", "A8"));
    // An empty frame is a message without a header.
    assert_eq!(verdict(&wire.ask("").await), ("AR", ""));
    wire.end().await;
    gateway.count(9);
    assert_eq!(gateway.kept()[2], tab.as_bytes());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_breaks_off_is_nobodys_message_and_the_last_whole_one_is_answered() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::connect(&gateway).await;
    wire.write(&[frame(&oru("B1")), b"\x0bMSH|^~\\&|LAB".to_vec()].concat()).await;
    assert_eq!(verdict(&wire.answer().await), ("AA", "B1"));
    wire.end().await;
    // The last frame may lack its carriage return when the sender hangs up.
    let mut wire = Wire::connect(&gateway).await;
    wire.write(&[b"\x0b", oru("B2").as_bytes(), b"\x1c"].concat()).await;
    wire.stream.shutdown().await.unwrap();
    assert_eq!(verdict(&wire.answer().await), ("AA", "B2"));
    wire.ends().await;
    gateway.count(2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_too_long_is_refused_by_name_and_the_connection_ends() {
    let setup = Setup { mllp: "frame_bytes_max = 2000", ..Setup::default() };
    let gateway = TestGateway::start_with(setup).await;
    for filler_bytes in [3_000, 60_000, 3_000_000] {
        let mut wire = Wire::connect(&gateway).await;
        let id = format!("G{filler_bytes}");
        assert_eq!(verdict(&wire.ask(&oru(&id)).await), ("AA", id.as_str()));
        let long = oru("LONG").replace("Zebedee", &"Z".repeat(filler_bytes));
        let bytes = frame(&long);
        let (mut reading, mut writing) = tokio::io::split(wire.stream);
        // The gateway may hang up before it has read it all.
        let sending = tokio::spawn(async move { writing.write_all(&bytes).await });
        let mut answer = Vec::new();
        timeout(PATIENCE, reading.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(verdict(&answer), ("AR", "LONG"), "{filler_bytes}");
        assert_eq!(
            (field(&answer, "ERR", 3), field(&answer, "ERR", 5)),
            ("207^Application internal error^HL70357", "H109")
        );
        let _hung_up = sending.await.unwrap();
    }
    gateway.count(3);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_closed_and_too_many_are_turned_away() {
    let setup = Setup { mllp: "idle_ms = 1500\nconnections_max = 2", ..Setup::default() };
    let gateway = TestGateway::start_with(setup).await;
    let mut silent = Wire::connect(&gateway).await;
    assert_eq!(verdict(&silent.ask(&oru("D1")).await), ("AA", "D1"));
    silent.ends().await;
    let mut half = Wire::connect(&gateway).await;
    half.write(b"\x0bMSH|^~\\&|LAB").await;
    half.ends().await;

    let mut first = Wire::connect(&gateway).await;
    let mut second = Wire::connect(&gateway).await;
    assert_eq!(verdict(&first.ask(&oru("D2")).await), ("AA", "D2"));
    assert_eq!(verdict(&second.ask(&oru("D3")).await), ("AA", "D3"));
    Wire::connect(&gateway).await.ends().await;
    first.end().await;
    until(async || {
        let mut third = Wire::connect(&gateway).await;
        // While it is turned away, the write may already fail.
        let _closed = third.stream.write_all(&frame(&oru("D4"))).await;
        third.try_answer().await
    })
    .await;
    gateway.count(4);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_the_message_under_way_finish_and_keeps_it() {
    let mut gateway = TestGateway::start().await;
    let address = gateway.mllp();
    let mut busy = Wire::connect(&gateway).await;
    let mut idle = Wire::connect(&gateway).await;
    assert_eq!(verdict(&idle.ask(&oru("E0")).await), ("AA", "E0"));
    let bytes = frame(&oru("E1"));
    let (beginning, rest) = bytes.split_at(bytes.len() / 2);
    busy.write(beginning).await;
    // Lets the beginning be read, and the frame be known to be open.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stopping = tokio::spawn(gateway.take_running().stop());
    idle.ends().await;
    busy.write(rest).await;
    assert_eq!(verdict(&busy.answer().await), ("AA", "E1"));
    busy.ends().await;
    stopping.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the door is closed");

    gateway.start_again().await;
    gateway.count(2);
    assert_eq!(gateway.kept(), [oru("E0").into_bytes(), oru("E1").into_bytes()]);
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Mapped), 2);
    gateway.finish().await;
}
