//! What a sender is told, and in which form: the table of acknowledgements.

use haemosync_gateway::pipeline::records::message::State;
use tokio::net::TcpStream;

use crate::harness::TestGateway;
use crate::mllp::Wire;
use crate::mllp::field;
use crate::mllp::oru;
use crate::mllp::verdict;
use crate::mllp::with_header;

/// Without its OBR, which makes it unreadable as a result.
fn without_order(message: &str) -> String {
    message.split_inclusive('\r').filter(|segment| !segment.starts_with("OBR")).collect()
}

fn in_mode(control_id: &str, commit: &str, application: &str) -> String {
    with_header(&with_header(&oru(control_id), 15, commit), 16, application)
}

async fn connected(gateway: &TestGateway) -> Wire<TcpStream> {
    Wire::connect(gateway).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_what_is_not_for_us_hears_so() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    let base = oru("X");
    for (control_id, field_number, value, condition, code, place) in [
        ("R1", 3, "STRANGER", "204^Unknown key identifier^HL70357", "H102", "MSH^1^3"),
        ("R2", 9, "ORM^O01", "200^Unsupported message type^HL70357", "H103", "MSH^1^9"),
        ("R3", 9, "ADT^A01^ADT_A01", "200^Unsupported message type^HL70357", "H103", "MSH^1^9"),
        ("R4", 9, "ORU^R30^ORU_R30", "201^Unsupported event code^HL70357", "H103", "MSH^1^9"),
        ("R5", 12, "3.0", "203^Unsupported version id^HL70357", "H104", "MSH^1^12"),
        ("R6", 12, "", "203^Unsupported version id^HL70357", "H104", "MSH^1^12"),
        ("R7", 11, "T", "202^Unsupported processing id^HL70357", "H105", "MSH^1^11"),
    ] {
        let message = with_header(&with_header(&base, 10, control_id), field_number, value);
        let answer = wire.ask(&message).await;
        assert_eq!(verdict(&answer), ("AR", control_id), "{answer}");
        assert_eq!((field(&answer, "ERR", 3), field(&answer, "ERR", 5)), (condition, code));
        assert_eq!(field(&answer, "ERR", 2), place, "{control_id}");
        assert_eq!(wire.ask(&message).await, answer, "the same bytes, the same answer");
    }
    let answer = wire.ask("PID|1||||Nobodyhere\r").await;
    assert_eq!((verdict(&answer), field(&answer, "ERR", 5)), (("AR", ""), "H101"));
    wire.end().await;
    gateway.count(15);
    assert_eq!((gateway.counted(State::Rejected), gateway.duplicates()), (8, 7));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_not_for_us_has_used_no_control_id() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    // Two strangers, who count from 1 each; then a training message whose sender mends it.
    let stranger = with_header(&oru("1"), 3, "STRANGER");
    let another = with_header(&oru("1"), 3, "ANOTHER");
    let training = with_header(&oru("1"), 11, "T");
    for message in [stranger, another, training] {
        assert_eq!(verdict(&wire.ask(&message).await), ("AR", "1"));
    }
    assert_eq!(verdict(&wire.ask(&oru("1")).await), ("AA", "1"));
    // And one that is not for us does not become an error because its control id is another's.
    assert_eq!(verdict(&wire.ask(&with_header(&oru("1"), 9, "ORM^O01")).await), ("AR", "1"));
    gateway.count(5);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_its_place_condition_code_and_sentence_as_its_version_has_them() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    for version in ["2.5", "2.5.1", "2.7", "2.9"] {
        let answer = wire.ask(&with_header(&without_order(&oru(version)), 12, version)).await;
        assert_eq!(verdict(&answer), ("AE", version));
        assert_eq!(field(&answer, "MSH", 12), version);
        assert_eq!((field(&answer, "ERR", 1), field(&answer, "ERR", 2)), ("", "OBR^1"));
        assert_eq!(field(&answer, "ERR", 3), "100^Segment sequence error^HL70357");
        assert_eq!((field(&answer, "ERR", 4), field(&answer, "ERR", 5)), ("E", "H106"));
        assert!(
            field(&answer, "ERR", 7).contains("H106") && field(&answer, "ERR", 8).contains("OBR"),
            "{answer}"
        );
        assert_eq!(field(&answer, "MSA", 3), "", "deprecated");
    }
    for version in ["2.1", "2.2", "2.3", "2.3.1", "2.4"] {
        let answer = wire.ask(&with_header(&without_order(&oru(version)), 12, version)).await;
        assert_eq!(verdict(&answer), ("AE", version));
        assert!(field(&answer, "MSA", 3).contains("OBR"), "{answer}");
        let place: Vec<&str> = field(&answer, "ERR", 1).split('^').collect();
        assert_eq!(place[..2], ["OBR", "1"], "{answer}");
        assert!(place[3].starts_with("100&Segment sequence error&HL70357"), "{answer}");
        assert_eq!(field(&answer, "ERR", 3), "", "ERR has one field before 2.5");
    }
    wire.end().await;
    gateway.count(9);
    assert_eq!(gateway.counted(State::Rejected), 9);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_the_same_bytes_get_the_same_answer_and_other_content_is_a_conflict() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    let first = wire.ask(&oru("1")).await;
    assert_eq!(verdict(&first), ("AA", "1"));
    assert!(!field(&first, "MSH", 10).is_empty());
    let mut other_wire = connected(&gateway).await;
    assert_eq!(other_wire.ask(&oru("1")).await, first, "byte for byte, on whatever connection");

    let other = oru("1").replace("|140|", "|141|");
    let conflict = wire.ask(&other).await;
    assert_eq!(verdict(&conflict), ("AE", "1"));
    assert_eq!(
        (field(&conflict, "ERR", 3), field(&conflict, "ERR", 5)),
        ("205^Duplicate key identifier^HL70357", "H108")
    );
    assert_eq!(field(&conflict, "ERR", 2), "MSH^1^10");
    assert_eq!(wire.ask(&other).await, conflict);
    let third = wire.ask(&oru("1").replace("|140|", "|142|")).await;
    assert_eq!(verdict(&third), ("AE", "1"));
    assert_eq!(wire.ask(&oru("1")).await, first, "and the first is still the first");
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.duplicates(), 3);
    assert_eq!(
        (gateway.counted(State::Mapped), gateway.counted(State::Rejected)),
        (1, 2),
        "all are kept, one is made"
    );
    gateway.count(6);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_one_message_on_many_connections_at_once_is_kept_once() {
    let gateway = TestGateway::start().await;
    let mut together = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let mut wire = connected(&gateway).await;
        together.spawn(async move { wire.ask(&oru("1")).await });
    }
    let mut answers = Vec::new();
    while let Some(answer) = together.join_next().await {
        answers.push(answer.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    gateway.count(12);
    assert_eq!((gateway.kept().len(), gateway.duplicates()), (1, 11));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_addressed_back_in_the_senders_delimiters_and_character_set() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    let answer = wire.ask(&with_header(&oru("1"), 12, "2.3.1")).await;
    let addresses: Vec<&str> = (3..=6).map(|number| field(&answer, "MSH", number)).collect();
    assert_eq!(addresses, ["HAEMOSYNC", "CLINIC", "LAB", "FAC"]);
    assert_eq!(
        (field(&answer, "MSH", 9), field(&answer, "MSH", 11), field(&answer, "MSH", 12)),
        ("ACK^R01^ACK", "P", "2.3.1")
    );

    let dialect =
        oru("2").replace("^~\\&", "\u{1}").replace('|', "$").replace('^', "*").replace('\u{1}', "*@!%");
    let answer = wire.ask(&dialect).await;
    assert!(answer.starts_with("MSH$*@!%$HAEMOSYNC$CLINIC$LAB$FAC$"), "{answer}");
    assert!(answer.contains("\rMSA$AA$2\r"), "{answer}");

    let mut latin = with_header(&with_header(&oru("3"), 5, "H\u{1}MOSYNC"), 18, "8859/1").into_bytes();
    latin.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 0xC6);
    wire.write(&[b"\x0b".as_slice(), &latin, b"\x1c\r"].concat()).await;
    let answer = wire.try_answer().await.unwrap();
    assert!(
        answer.starts_with(b"MSH|^~\\&|H\xC6MOSYNC|CLINIC|LAB|FAC|"),
        "the letter is one byte, as it was sent"
    );
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert_eq!((field(&answer, "MSH", 18), verdict(&answer)), ("8859/1", ("AA", "3")));
    gateway.count(3);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enhanced_mode_answers_as_often_as_it_is_asked_to() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    let cases = [
        // MSH-15, MSH-16, the codes for a message that is taken, cannot be read, and is not for us.
        ("AL", "NE", ["CA", "CE", "CR"]),
        ("AL", "", ["CA", "CE", "CR"]),
        ("AL", "AL", ["CA", "CE", "CR"]),
        ("NE", "NE", ["", "", ""]),
        ("NE", "", ["", "", ""]),
        ("ER", "NE", ["", "CE", "CR"]),
        ("SU", "NE", ["CA", "", ""]),
        ("", "", ["AA", "AE", "AR"]),
    ];
    let mut sent = 0;
    for (commit, application, codes) in cases {
        for (kind, expected) in codes.into_iter().enumerate() {
            let control_id = format!("M{sent}");
            let message = in_mode(&control_id, commit, application);
            let message = match kind {
                0 => message,
                1 => without_order(&message),
                _ => with_header(&message, 9, "ADT^A01"),
            };
            wire.write(&crate::mllp::frame(&message)).await;
            if !expected.is_empty() {
                assert_eq!(
                    verdict(&wire.answer().await),
                    (expected, control_id.as_str()),
                    "{commit} {application}"
                );
            }
            if kind == 0 && application == "AL" {
                // The second answer, once the message is read.
                assert_eq!(verdict(&wire.answer().await), ("AA", control_id.as_str()));
            }
            sent += 1;
        }
        // Whoever wants no answer still gets the next one that is owed.
        let control_id = format!("M{sent}");
        assert_eq!(
            verdict(&wire.ask(&oru(&control_id)).await),
            ("AA", control_id.as_str()),
            "after {commit} {application}"
        );
        sent += 1;
    }
    wire.end().await;
    gateway.count(sent);
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Mapped), i64::try_from(cases.len() * 2).unwrap());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_is_kept_and_never_answered() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    let ack = "MSH|^~\\&|LAB|FAC|HAEMOSYNC|CLINIC|20261122100000+0000||ACK^R01^ACK|1|P|2.5.1\rMSA|AA|0\r";
    let asking = with_header(ack, 15, "AL").replace("MSA|AA|0", "MSA|AA|2");
    let disguised = format!("{}MSA|AA|0\r", oru("3"));
    for message in [ack, &asking, &disguised, ack] {
        wire.write(&crate::mllp::frame(message)).await;
    }
    assert_eq!(verdict(&wire.ask(&oru("1")).await), ("AA", "1"), "the next answer is the next message's");
    wire.end().await;
    gateway.count(5);
    assert_eq!((gateway.kept().len(), gateway.duplicates()), (4, 1));
    assert_eq!(gateway.counted(State::Rejected), 3);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ours_to_clear_up_is_accepted_and_held() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    assert_eq!(
        verdict(&wire.ask(&with_header(&oru("1"), 11, "")).await),
        ("AA", "1"),
        "a blank processing id"
    );
    let strange = oru("2").replace("\rOBX|", "\rZQX|1|a segment among the results that no rule reads\rOBX|");
    assert_eq!(verdict(&wire.ask(&strange).await), ("AA", "2"));
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Held), 2);
    gateway.count(2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_message_named_by_its_structure_alone_is_taken_and_mapped() {
    let gateway = TestGateway::start().await;
    let mut wire = connected(&gateway).await;
    let kinds = ["ORU_R01", "ORU^^ORU_R01", "ORU^R01"];
    for (number, kind) in kinds.into_iter().enumerate() {
        let control_id = format!("N{number}");
        let answer = wire.ask(&with_header(&oru(&control_id), 9, kind)).await;
        assert_eq!(verdict(&answer), ("AA", control_id.as_str()), "{kind}: {answer}");
    }
    wire.end().await;
    gateway.count(3);
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Mapped), 3);
    gateway.finish().await;
}
