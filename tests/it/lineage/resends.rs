//! R6: the same message again makes nothing new, another under its control id is a conflict, and both are counted.

use std::sync::Arc;

use haemosync_gateway::formats::hl7v2::acknowledgement::Outcome;
use haemosync_gateway::pipeline::intake::Intake;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::simulator::lab::Sample;

use crate::harness::Ordered;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::option;
use crate::lineage::sodium;

/// Distinct messages; `R06_MESSAGES` asks for more (2,000 for the promise's quick count).
const MESSAGES: usize = 200;
/// How often each is sent again.
const RESENDS: usize = 10;
/// Every so many-th message has another under its control id.
const CONFLICT_EVERY: usize = 8;
/// Messages under way at the same time.
const TOGETHER: usize = 32;

fn count() -> usize {
    option("R06_MESSAGES", MESSAGES)
}

/// A message for nobody in particular: what becomes of it later is another test's.
fn message(gateway: &TestGateway, sender: &str, number: usize, value: &str) -> Vec<u8> {
    let (_, mut person) = gateway.patient("Fenwick", "Mumblethorpe");
    person.family = "Unheardof".to_owned();
    let nobody = Ordered { person, number: String::new() };
    let sample = gateway.sample(&number.to_string(), &nobody, &[sodium(value, "F")]);
    Sample { sender: sender.to_owned(), time: "20261101093000+0000".to_owned(), ..sample }.encode()
}

/// Sends all, many at a time and in a mixed order; how many were accepted, refused and repeats.
async fn send(gateway: &TestGateway, feed: &str, messages: Vec<Vec<u8>>) -> (usize, usize, usize) {
    let pipeline = gateway.pipeline();
    let feed = Arc::clone(pipeline.feeds.named(feed).unwrap());
    let intake = Intake::new(pipeline);
    gateway.count(i64::try_from(messages.len()).unwrap());
    let (mut accepted, mut refused, mut repeated) = (0, 0, 0);
    for some in messages.chunks(TOGETHER) {
        let mut sending = tokio::task::JoinSet::new();
        for (at, raw) in some.iter().cloned().enumerate() {
            let (intake, feed) = (intake.clone(), Arc::clone(&feed));
            sending.spawn(async move {
                // Doors that know the sender, and the one that asks the message.
                if at % 2 == 0 {
                    intake.receive(&raw.into()).await
                } else {
                    intake.receive_from(&feed, &raw.into()).await
                }
            });
        }
        while let Some(answer) = sending.join_next().await {
            let answer = answer.unwrap();
            match answer.outcome {
                Outcome::Accept => accepted += 1,
                Outcome::Error => {
                    assert_eq!(answer.diagnostics[0].code.as_str(), "H108");
                    refused += 1;
                }
                Outcome::Reject => panic!("nothing here is for others"),
            }
            repeated += usize::from(answer.repeated);
        }
    }
    (accepted, refused, repeated)
}

/// Every message, its resends after it and among others.
fn with_resends(distinct: &[Vec<u8>]) -> Vec<Vec<u8>> {
    (0..=RESENDS)
        .flat_map(|round| distinct.iter().cycle().skip(round * 7).take(distinct.len()))
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_resends_make_nothing_new_and_conflicts_are_found_exactly() {
    let counting = "[[lab.feed]]\nname = \"counting\"\nkind = \"mllp\"\nsenders = [\"COUNT|FAC\"]\ncontrol_ids = \"repeating\"\n";
    let gateway = TestGateway::start_with(Setup { more: counting.to_owned(), ..Setup::default() }).await;
    let count = count();
    let conflicts = count.div_ceil(CONFLICT_EVERY);
    let every = |sender: &str| -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let first = (0..count).map(|number| message(&gateway, sender, number, "140")).collect();
        let other = (0..count).step_by(CONFLICT_EVERY).map(|number| message(&gateway, sender, number, "150"));
        (first, other.collect())
    };

    let (distinct, seeded) = every("LAB|FAC");
    let sent = with_resends(&distinct);
    assert_eq!(send(&gateway, "standard-mllp", sent).await, (count * (RESENDS + 1), 0, count * RESENDS));
    let told = send(&gateway, "standard-mllp", with_resends(&seeded)).await;
    assert_eq!(told, (0, conflicts * (RESENDS + 1), conflicts * RESENDS), "the same answer again");
    assert_eq!(gateway.counted(State::Rejected), i64::try_from(conflicts).unwrap());

    // Where ids are known to repeat, the content names a message, and no content is lost.
    let (distinct, seeded) = every("COUNT|FAC");
    let all = [distinct, seeded].concat();
    let told = send(&gateway, "counting", with_resends(&all)).await;
    assert_eq!(told, (all.len() * (RESENDS + 1), 0, all.len() * RESENDS));
    gateway.wait_until_quiet().await;
    let stored = gateway.kept().len();
    assert_eq!(stored, 2 * (count + conflicts), "stored distinct = sent distinct");
    assert_eq!(gateway.counted(State::Rejected), i64::try_from(conflicts).unwrap());
    gateway.finish().await;
}
