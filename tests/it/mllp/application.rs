//! Enhanced mode's second answer: after the mapping, on the same connection or at the laboratory's own listener.

#![expect(clippy::disallowed_methods, reason = "a laboratory's mapping in a folder of the test's own")]

use std::fs;
use std::path::Path;

use haemosync_gateway::pipeline::records::message::State;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::mllp::Wire;
use crate::mllp::field;
use crate::mllp::oru;
use crate::mllp::verdict;
use crate::mllp::with_header;

fn in_mode(message: &str, commit: &str, application: &str) -> String {
    with_header(&with_header(message, 15, commit), 16, application)
}

/// The mapping folder with a laboratory that rejects what it does not know, and a gateway's configuration for it.
fn rejecting() -> (TempDir, Setup) {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path().join("labs/standard");
    fs::create_dir_all(&lab).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/labs/standard")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, lab.join(path.file_name().unwrap())).unwrap();
        }
    }
    let mapping = fs::read_to_string(lab.join("mapping.toml")).unwrap();
    fs::write(lab.join("mapping.toml"), mapping.replace(r#"unmapped = "hold""#, r#"unmapped = "reject""#))
        .unwrap();
    let more = format!("[mappings]\ndirectory = {:?}\n", folder.path());
    (folder, Setup { more, ..Setup::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_answer_follows_the_mapping_on_the_same_connection() {
    let (_mappings, setup) = rejecting();
    let gateway = TestGateway::start_with(setup).await;
    let mut wire = Wire::connect(&gateway).await;
    let unknown_status = |id: &str| oru(id).replace("||||F\r", "||||Q\r");

    for (id, message, second) in [
        ("S1", oru("S1"), "AA"),
        // On our side of the line: a blank processing id holds.
        ("S2", with_header(&oru("S2"), 11, ""), "AA"),
        ("S3", unknown_status("S3"), "AE"),
    ] {
        let message = in_mode(&message, "AL", "AL");
        assert_eq!(verdict(&wire.ask(&message).await), ("CA", id));
        let answer = wire.answer().await;
        assert_eq!(verdict(&answer), (second, id), "{answer}");
        if second == "AE" {
            assert_eq!(
                (field(&answer, "ERR", 2), field(&answer, "ERR", 5)),
                ("OBX^1^11", "M111"),
                "{answer}"
            );
        }
        // Sent again, because the second answer was lost: both come again.
        assert_eq!(verdict(&wire.ask(&message).await), ("CA", id));
        assert_eq!(verdict(&wire.answer().await), (second, id));
    }
    // Only on error; and without any commit, the second answer is the only one.
    wire.write(&super::frame(&in_mode(&oru("S4"), "NE", "ER"))).await;
    wire.write(&super::frame(&in_mode(&unknown_status("S5"), "NE", "ER"))).await;
    assert_eq!(verdict(&wire.answer().await), ("AE", "S5"));
    // Who has sent all and still reads, gets what it was promised.
    wire.write(&super::frame(&in_mode(&oru("S6"), "NE", "AL"))).await;
    wire.shutdown().await;
    assert_eq!(verdict(&wire.answer().await), ("AA", "S6"));
    wire.ends().await;
    gateway.count(9);
    gateway.wait_until_quiet().await;
    assert_eq!((gateway.counted(State::Rejected), gateway.counted(State::Held)), (2, 1));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_answer_goes_to_the_laboratorys_listener_until_it_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let more = format!("application_acks = \"{}\"\n", listener.local_addr().unwrap());
    let gateway = TestGateway::start_with(Setup { more, ..Setup::default() }).await;
    let mut wire = Wire::connect(&gateway).await;
    assert_eq!(verdict(&wire.ask(&in_mode(&oru("T1"), "AL", "AL")).await), ("CA", "T1"));
    wire.end().await;

    let mut first = Wire::over(listener.accept().await.unwrap().0);
    let lost = first.answer().await;
    assert_eq!(
        (verdict(&lost), field(&lost, "MSH", 15), field(&lost, "MSH", 16)),
        (("AA", "T1"), "AL", "NE")
    );
    drop(first);

    let mut second = Wire::over(listener.accept().await.unwrap().0);
    let again = second.answer().await;
    assert_eq!(again, lost, "the same bytes");
    let own_id = field(&again, "MSH", 10);
    let taken = format!("MSH|^~\\&|FAC|LAB|||20261122||ACK|Z1|P|2.5.1\rMSA|CA|{own_id}\r");
    second.write(&super::frame(&taken)).await;
    gateway.count(1);
    // That no job is left is among the laws.
    gateway.finish().await;
}
