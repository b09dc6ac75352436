//! Files and frames of several messages: one outcome for each, one answer for the batch, and no byte lost.

#![expect(clippy::disallowed_methods, reason = "a test reads the files of the reference corpus")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use haemosync_gateway::formats::hl7v2::acknowledgement::Outcome;
use haemosync_gateway::pipeline::feeds::Feed;
use haemosync_gateway::pipeline::feeds::Senders;
use haemosync_gateway::pipeline::intake::FileAnswer;
use haemosync_gateway::pipeline::records::file;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::records::message::State;

use crate::harness::TestGateway;
use crate::mllp::Wire;
use crate::mllp::field;
use crate::mllp::frame;
use crate::mllp::oru;
use crate::mllp::verdict;
use crate::mllp::with_header;

const FEED: &str = "standard-mllp";
const HEADERS: &str = "FHS|^~\\&|LAB|FAC|HAEMOSYNC|CLINIC|20261122||||FILE1\rBHS|^~\\&|LAB|FAC|HAEMOSYNC|CLINIC|20261122||||BATCH1\r";

/// Gives a file to the intake, and sees that what was kept of it is all of it (R24).
async fn receive(gateway: &TestGateway, feed: &Arc<Feed>, raw: &[u8]) -> FileAnswer {
    let answer = gateway.intake().receive_file(feed, &raw.to_vec().into()).await;
    gateway.count(i64::try_from(answer.messages.len()).unwrap());
    let bytes_of = |id| {
        let standing = message::standing(gateway.store(), id).unwrap().unwrap();
        message::load(gateway.store(), id, &standing.scope()).unwrap().unwrap().raw
    };
    let mut whole = Vec::new();
    if let Some(id) = answer.file {
        let scope = message::scope_of(Some(&feed.name));
        let kept = file::load(gateway.store(), id, &scope).unwrap().unwrap();
        let mut around = kept.around.as_slice();
        for part in &kept.header.parts {
            match *part {
                file::Part::Around(bytes) => {
                    whole.extend_from_slice(&around[..bytes]);
                    around = &around[bytes..];
                }
                file::Part::Message(id) => whole.extend(bytes_of(id)),
            }
        }
        assert!(around.is_empty());
        assert_eq!(kept.header.diagnostics, answer.diagnostics);
    } else {
        whole = bytes_of(answer.messages[0].message.unwrap());
    }
    assert!(whole == raw, "R24: the file can be put together again");
    assert!(!answer.close);
    answer
}

fn outcomes(answer: &FileAnswer) -> Vec<(&str, Outcome)> {
    answer.messages.iter().map(|it| (it.control_id.as_str(), it.outcome)).collect()
}

fn codes(answer: &FileAnswer) -> Vec<&str> {
    answer.diagnostics.iter().map(|it| it.code.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_every_message_of_a_batch_has_its_own_outcome_and_every_byte_is_kept() {
    let gateway = TestGateway::start().await;
    let feed = gateway.feed(FEED);
    let without_order: String =
        oru("B2").split_inclusive('\r').filter(|segment| !segment.starts_with("OBR")).collect();
    let foreign = with_header(&oru("B3"), 9, "ADT^A01");
    let raw =
        format!("{HEADERS}{}{without_order}{foreign}BTS|4\r\nlost text\r\n{}FTS|1\r", oru("B1"), oru("B4"));
    let answer = receive(&gateway, &feed, raw.as_bytes()).await;
    let expected =
        [("B1", Outcome::Accept), ("B2", Outcome::Error), ("B3", Outcome::Reject), ("B4", Outcome::Accept)];
    assert_eq!(outcomes(&answer), expected);
    assert_eq!(codes(&answer), ["H050", "H054"], "the count differs, and text belongs to no message");
    assert_eq!(answer.outcome(), Outcome::Reject);

    let again = receive(&gateway, &feed, raw.as_bytes()).await;
    assert_eq!((outcomes(&again), again.file), (outcomes(&answer), answer.file), "R6: the same answer");
    assert!(again.messages.iter().all(|it| it.repeated));
    assert_eq!((gateway.duplicates(), gateway.counted(State::Rejected)), (4, 2));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_control_id_twice_in_one_file_is_a_duplicate_or_a_conflict() {
    let gateway = TestGateway::start().await;
    let feed = gateway.feed(FEED);
    let other = oru("SAME").replace("|140|", "|141|");
    // Without envelopes; with the frame bytes of a capture left in, and in Windows line ends.
    let raw = format!("\x0b{}\x1c\r\x0b{}\x1c\r\n{other}{}\r\n", oru("SAME"), oru("SAME"), oru("NEXT"));
    let answer = receive(&gateway, &feed, raw.as_bytes()).await;
    let expected = [
        ("SAME", Outcome::Accept),
        ("SAME", Outcome::Accept),
        ("SAME", Outcome::Error),
        ("NEXT", Outcome::Accept),
    ];
    assert_eq!(outcomes(&answer), expected);
    assert!(answer.messages[1].repeated && answer.messages[1].message == answer.messages[0].message);
    assert_eq!(answer.messages[2].diagnostics[0].code.as_str(), "H108");
    assert_eq!(gateway.duplicates(), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_any_message_is_kept_and_said_to_be_so() {
    let gateway = TestGateway::start().await;
    let feed = gateway.feed(FEED);
    let empty = receive(&gateway, &feed, format!("{HEADERS}BTS|2\rFTS|1\r").as_bytes()).await;
    assert_eq!((outcomes(&empty), codes(&empty)), (vec![], vec!["H050"]));
    let junk = receive(&gateway, &feed, format!("{HEADERS}PID|1||||Nobodyhere\rFTS|1\r").as_bytes()).await;
    assert_eq!(outcomes(&junk), [("", Outcome::Reject)], "a message that lost its header, perhaps");
    let nothing = receive(&gateway, &feed, b"no message at all").await;
    assert_eq!(nothing.messages[0].diagnostics[0].code.as_str(), "H101");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_file_is_taken_in_order() {
    const MESSAGES: usize = 300;
    let gateway = TestGateway::start().await;
    let feed = gateway.feed(FEED);
    let ids: Vec<String> = (0..MESSAGES).map(|number| format!("L{number}")).collect();
    let raw: String = ids.iter().map(|id| oru(id).replace('\r', "\r\n")).collect();
    let answer = receive(&gateway, &feed, raw.as_bytes()).await;
    let found: Vec<&str> = answer.messages.iter().map(|it| it.control_id.as_str()).collect();
    assert_eq!(found, ids);
    assert!(answer.messages.is_sorted_by_key(|it| it.message), "kept in the order of the file");
    assert!(codes(&answer).is_empty());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_a_frame_is_answered_by_a_batch() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::connect(&gateway).await;
    let foreign = with_header(&oru("W2"), 9, "ADT^A01");
    let answer = wire.ask(&format!("{HEADERS}{}{foreign}BTS|3\rFTS|1\r", oru("W1"))).await;
    let names: Vec<&str> = answer.split_terminator('\r').map(|it| &it[..3]).collect();
    assert_eq!(names, ["FHS", "BHS", "MSH", "MSA", "MSH", "MSA", "ERR", "BTS", "FTS"], "{answer}");
    assert_eq!((field(&answer, "BHS", 2), field(&answer, "BHS", 11)), ("HAEMOSYNC", "BATCH1"));
    assert!(answer.contains("\rMSA|AA|W1\r") && answer.contains("\rMSA|AR|W2\r"), "{answer}");
    assert_eq!(field(&answer, "BTS", 1), "2");
    assert!(field(&answer, "FTS", 2).starts_with("H050 at line"), "{answer}");

    // Several messages without envelopes: their answers likewise, in one frame.
    let answer = wire.ask(&format!("{}{}", oru("W3"), oru("W4"))).await;
    assert!(answer.contains("\rMSA|AA|W3\r") && answer.contains("\rMSA|AA|W4\r"), "{answer}");
    // MSH-15 and MSH-16 of each message decide whether it is owed an answer.
    let silent = |id: &str| with_header(&with_header(&oru(id), 15, "NE"), 16, "NE");
    let answer = wire.ask(&format!("BHS|^~\\&\r{}{}BTS|2\r", silent("W5"), oru("W6"))).await;
    assert!(!answer.contains("W5") && answer.contains("\rMSA|AA|W6\r"), "{answer}");
    wire.write(&frame(&format!("BHS|^~\\&\r{}BTS|1\r", silent("W7")))).await;
    assert_eq!(verdict(&wire.ask(&oru("W8")).await), ("AA", "W8"), "none was owed, none came");
    wire.end().await;
    gateway.count(8);
    gateway.finish().await;
}

/// The files of the reference corpus, with how many messages stand in each.
fn corpus() -> Vec<(PathBuf, usize)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/batch");
    let mut found = Vec::new();
    if !folder.is_dir() {
        eprintln!("SKIPPED the batches of the reference corpus: there is no {}", folder.display());
        return found;
    }
    for maker in fs::read_dir(folder).unwrap() {
        for entry in fs::read_dir(maker.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let messages = text.split(['\r', '\n', '\u{b}']).filter(|it| it.trim_start().starts_with("MSH|"));
            found.push((path.clone(), messages.count()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_every_batch_of_the_corpus_is_taken_apart_and_none_of_it_is_lost() {
    let gateway = TestGateway::start().await;
    let feed = Feed { senders: Senders::Any, ..Feed::clone(&gateway.feed(FEED)) };
    let feed = Arc::new(Feed { processing_ids: ["P", "T", "D"].map(str::to_owned).to_vec(), ..feed });
    for (path, messages) in corpus() {
        let answer = receive(&gateway, &feed, &fs::read(&path).unwrap()).await;
        let enveloped_and_empty = messages == 0 && answer.messages.is_empty();
        assert!(
            enveloped_and_empty || answer.messages.len() == messages.max(1),
            "{}: {} of {messages}",
            path.display(),
            answer.messages.len()
        );
        for it in answer.messages.iter().filter(|it| it.outcome != Outcome::Accept) {
            assert!(!it.diagnostics.is_empty(), "{}: refused without a reason", path.display());
        }
    }
    gateway.finish().await;
}
