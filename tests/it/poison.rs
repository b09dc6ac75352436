//! R13: one bad message stops nobody. Five hundred of them among good ones, from several connections at once.

mod doors;

use haemosync_gateway::pipeline::records::MessageId;
use haemosync_gateway::pipeline::records::case;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::simulator::lab::Lab;
use tokio::task::JoinSet;

use crate::harness::CLINIC;
use crate::harness::TestGateway;
use crate::journeys::sodium;

const POISONS: usize = 500;
const CONNECTIONS: usize = 4;
/// One in so many poisons is a frame of this size.
const LARGE_EVERY: usize = 250;
const LARGE_BYTES: usize = 20 << 20;
const GOOD: usize = 20;

/// A message that does its worst, each kind in turn.
fn poison(number: usize) -> Vec<u8> {
    let header = format!("MSH|^~\\&|LAB|FAC|||20261122100000+0000||ORU^R01^ORU_R01|P{number}|P|2.5.1");
    let patient = "PID|1||||Nobodyhere^Zebedee||19610203|M";
    let order = format!(
        "OBR|1||F{number}|24362-6^Panel^LN|||20261122090000+0000|||||||||||||||20261122100000+0000|||F"
    );
    let result = |value: &str| format!("OBX|1|NM|2951-2^Sodium^LN||{value}|mmol/L|133-146||||F");
    let whole = |body: String| format!("{header}\r{patient}\r{order}\r{body}\r").into_bytes();
    if number.is_multiple_of(LARGE_EVERY) {
        return whole(result(&"9".repeat(LARGE_BYTES)));
    }
    match number % 8 {
        0 => {
            let many: Vec<String> =
                (0..300).map(|at| format!("OBX|{at}|NM|2951-2^Sodium^LN||140|mmol/L|133-146||||?")).collect();
            whole(many.join("\r"))
        }
        1 => format!(
            "{header}\rPID|1||{}||Nobodyhere^Zebedee\r{order}\r{}\r",
            "1^^^X~".repeat(2_000),
            result("x")
        )
        .into_bytes(),
        2 => whole(result(&"a^b&c~".repeat(2_000))),
        3 => whole(result(&"\\F\\\\S\\\\X0D\\\\Zzz".repeat(1_000))),
        4 => {
            [whole(String::new()), b"OBX|1|ST|2951-2^Sodium^LN||\xff\xfe\xc0\xaf||||||F\r".to_vec()].concat()
        }
        5 => format!("MSH|||||||||||P{number}|||\r{}", "\r\r|||\r".repeat(1_000)).into_bytes(),
        6 => format!("{header}\r{patient}\r{}\r", "ZZZ|".repeat(10_000)).into_bytes(),
        _ => whole(format!("{}\rOBX|2|NM||||||||||\r{}", result("not a number"), order.repeat(50))),
    }
}

/// The poisons of one connection: each is answered, so that the next can be sent.
async fn send_poisons(address: std::net::SocketAddr, first: usize) -> Vec<String> {
    let mut lab = Lab::connect(address).await.unwrap();
    let mut answers = Vec::new();
    for number in (first..POISONS).step_by(CONNECTIONS) {
        let answer =
            lab.send(&poison(number)).await.unwrap_or_else(|error| panic!("poison {number}: {error}"));
        answers.push(String::from_utf8_lossy(&answer).into_owned());
    }
    answers
}

fn standing(gateway: &TestGateway, id: MessageId) -> State {
    message::standing(gateway.store(), id).unwrap().unwrap().state
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_five_hundred_poisons_stop_no_good_message_and_keep_the_order_of_an_order() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Ottoline", "Marmalade-Jones").await;
    let mut poisoners = JoinSet::new();
    for first in 0..CONNECTIONS {
        poisoners.spawn(send_poisons(gateway.mllp(), first));
    }
    gateway.count(i64::try_from(POISONS).unwrap());
    let mut sent = Vec::new();
    for number in 0..GOOD {
        let sample = gateway.sample(&format!("G{number:02}"), &ordered, &[sodium("140")]);
        let answer = gateway.send(&sample.encode()).await;
        assert!(String::from_utf8_lossy(&answer).contains("\rMSA|AA|"), "good message {number}");
        sent.push(sample.filler_number);
    }
    while let Some(answers) = poisoners.join_next().await {
        for answer in answers.unwrap() {
            assert!(answer.contains("\rMSA|"), "every poison has its answer: {answer}");
        }
    }
    gateway.wait_until_quiet().await;

    let (mut mapped, mut stopped) = (Vec::new(), 0);
    for id in gateway.ids() {
        if standing(&gateway, id) == State::Mapped {
            let kept = message::load(gateway.store(), id, &message::scope_of(Some("standard-mllp"))).unwrap();
            mapped.push(kept.unwrap().header.control_id);
        } else {
            assert!(!gateway.codes(id).is_empty(), "what is held or rejected says why");
            stopped += 1;
        }
    }
    let good: Vec<&String> = mapped.iter().filter(|it| it.starts_with('G')).collect();
    assert_eq!(good.len(), GOOD, "every good message is mapped");
    // Some are readable in the end: `standard` keeps a value that is not of its type as text.
    assert_eq!(stopped + mapped.len(), POISONS + GOOD, "each ended in one place");
    assert!(stopped > POISONS / 2, "most are held or rejected: {stopped}");
    // All but the first wait for a person: a second result for one order always does.
    let opened = sent.iter().map(|filler_number| {
        let cases = case::of_lineage(gateway.store(), CLINIC, &format!("standard|{filler_number}")).unwrap();
        assert_eq!(cases.len(), 1, "{filler_number}");
        cases[0].case.id
    });
    assert!(opened.is_sorted(), "one order's reports are taken up in the order sent");
    gateway.finish().await;
}
