//! What laboratories do: put, rename, mark, go on after a break, fetch receipts.

use std::time::Duration;

use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Table;

use super::FEED;
use super::held;
use super::oru;
use super::setup;
use super::start;
use super::until;
use crate::harness::TestGateway;

/// How many files wait in the inbox.
fn waiting(gateway: &TestGateway) -> i64 {
    gateway.store().counter(&format!("inbox.waiting.{FEED}")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_when_it_is_closed_and_has_a_receipt_that_tells_how_it_stands() {
    let gateway = start("").await;
    let laboratory = gateway.laboratory();
    let content = oru("S1") + &held("S2") + "\r\n" + &oru("S3");
    laboratory.write("results.hl7", &content);
    let said = laboratory.done("put results.hl7\nls -l results.hl7\nls\nls receipts\n").await;
    assert!(said.contains("receipts/results.hl7.receipt"), "{said}");
    gateway.count(3);
    gateway.wait_until_quiet().await;

    let receipt = laboratory.receipt("results.hl7.receipt").await;
    assert_eq!(receipt[0][..3], ["file", "results.hl7", &content.len().to_string()]);
    assert_eq!(receipt[0][3].len(), 64, "a SHA-256 in hexadecimal");
    assert!(receipt[0][4].ends_with('Z') && receipt[0][4].starts_with("20"), "{receipt:?}");
    assert_eq!(receipt[1], ["1", "S1", "accepted", "", "", "", ""]);
    assert_eq!(receipt[2][..3], ["2", "S2", "held"]);
    assert!(receipt[2][3].len() == 4 && !receipt[2][4].is_empty(), "{receipt:?}");
    assert_eq!(receipt[3][..3], ["3", "S3", "accepted"]);
    assert_eq!(receipt.len(), 4);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_laboratory_signs_in_by_its_own_name_too_and_the_host_key_stays() {
    let mut gateway = start("").await;
    let laboratory = gateway.laboratory();
    assert!(laboratory.sftp_as("standard", "pwd\n").await.text.contains("Remote working directory: /"));
    let known = laboratory.read("known_hosts");
    gateway.restart().await;
    let after = gateway.laboratory();
    after.done("pwd\n").await;
    let key = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    assert_eq!(key(&known), key(&after.read("known_hosts")));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_rejected_in_its_own_line() {
    let gateway = start("").await;
    let laboratory = gateway.laboratory();
    laboratory.write("notes.txt", "these are not the results you are looking for\n");
    laboratory.write("empty.hl7", "");
    laboratory.write("other.hl7", oru("S1").replace("|P|", "|T|"));
    laboratory.done("put notes.txt\nput empty.hl7\nput other.hl7\n").await;
    gateway.count(3);
    for name in ["notes.txt.receipt", "empty.hl7.receipt", "other.hl7.receipt"] {
        let receipt = laboratory.receipt(name).await;
        assert_eq!(receipt.len(), 2);
        assert_eq!(receipt[1][2], "rejected", "{receipt:?}");
        assert!(receipt[1][3].len() == 4 && receipt[1][4].len() > 10, "{receipt:?}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_the_same_file_again_under_whatever_name_makes_nothing_new() {
    let gateway = start("").await;
    let laboratory = gateway.laboratory();
    laboratory.write("a.hl7", oru("S1") + &oru("S2"));
    laboratory.done("put a.hl7\nput a.hl7\nput a.hl7 b.hl7\n").await;
    gateway.count(6);
    gateway.wait_until_quiet().await;
    assert_eq!((gateway.counted(State::Mapped), gateway.duplicates()), (2, 4));
    for name in ["a.hl7.receipt", "a.hl7.2.receipt", "b.hl7.receipt"] {
        let receipt = laboratory.receipt(name).await;
        assert_eq!((receipt.len(), receipt[1][2].as_str()), (3, "accepted"), "{name}");
        assert_eq!(receipt[1][4].is_empty(), name == "a.hl7.receipt", "{receipt:?}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_when_it_gets_its_final_name() {
    let gateway = start("take = \"rename\"").await;
    let laboratory = gateway.laboratory();
    laboratory.write("a", oru("S1"));
    let said = laboratory.done("put a a.hl7.tmp\nls -l\n").await;
    assert!(said.contains("a.hl7.tmp"), "{said}");
    assert_eq!((waiting(&gateway), gateway.kept().len()), (1, 0));
    laboratory.done("rename a.hl7.tmp a.hl7\nls -l receipts\n").await;
    gateway.count(1);
    assert_eq!(laboratory.outcomes("a.hl7.receipt").await, ["accepted"]);
    // Put under its final name at once, it waits until it is given one.
    laboratory.write("b", oru("S2"));
    laboratory.done("put b b.hl7\nget b.hl7 back\n").await;
    assert_eq!(laboratory.read("back"), oru("S2"));
    assert_eq!(waiting(&gateway), 1);
    laboratory.done("rename b.hl7 c.hl7\n").await;
    gateway.count(1);
    assert_eq!(waiting(&gateway), 0);
    assert!(laboratory.refused("rename b.hl7 d.hl7\n").await.contains("No such file"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_uploads_under_a_temporary_name_of_its_own_is_understood() {
    let gateway = start("").await;
    let laboratory = gateway.laboratory();
    laboratory.write("a", oru("S1"));
    laboratory.done("put a a.hl7.filepart\n").await;
    assert_eq!((waiting(&gateway), gateway.kept().len()), (1, 0));
    laboratory.done("rename a.hl7.filepart a.hl7\n").await;
    gateway.count(1);
    assert_eq!((waiting(&gateway), gateway.kept().len()), (0, 1));
    // A name that says nothing is taken at once; that its sender then renames it is no failure of the file.
    laboratory.write("b", oru("S2"));
    laboratory.done("put -p b upload-17\nls -l upload-17\nrename upload-17 b.hl7\n").await;
    gateway.count(1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_when_its_marker_arrives() {
    let gateway = start("take = \"marker\"\nmarker_suffixes = [\".fertig\", \".ok\"]").await;
    let laboratory = gateway.laboratory();
    laboratory.write("a", oru("S1"));
    laboratory.write("none", "");
    let said = laboratory.refused("put none a.hl7.ok\n").await;
    assert!(said.contains("No such file") || said.contains("no file waits"), "{said}");
    laboratory.done("put a a.hl7\nls -l a.hl7\n").await;
    assert_eq!((waiting(&gateway), gateway.kept().len()), (1, 0));
    laboratory.done("put none a.hl7.ok\n").await;
    gateway.count(1);
    assert_eq!((waiting(&gateway), gateway.kept().len()), (0, 1));
    laboratory.write("b", oru("S2"));
    laboratory.done("put b b.hl7\nput none x.tmp\nrename x.tmp b.hl7.fertig\n").await;
    gateway.count(1);
    assert_eq!(waiting(&gateway), 0, "the marker waits no longer, either");
    assert_eq!(laboratory.outcomes("b.hl7.receipt").await, ["accepted"]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_26_an_interrupted_upload_is_never_read_and_can_be_gone_on_with() {
    let mut gateway = start("").await;
    let laboratory = gateway.laboratory();
    let content: String = (0..1_000).map(|n| oru(&format!("S{n}"))).collect();
    laboratory.write("big.hl7", &content);
    until(async || {
        // Now and then the client dies before it has sent anything.
        let mut client = laboratory.sftp_slowly("put big.hl7\n");
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.kill().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        (waiting(&gateway) == 1).then_some(())
    })
    .await;
    assert!(gateway.kept().is_empty());
    let said = laboratory.refused("rename big.hl7 other.hl7\n").await;
    assert!(said.contains("Failure") || said.contains("interrupted"), "{said}");
    assert!(gateway.kept().is_empty());
    gateway.restart().await;
    let again = gateway.laboratory();
    again.write("big.hl7", &content);
    again.done("reput big.hl7\n").await;
    gateway.count(1_000);
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.kept().concat(), content.as_bytes());
    assert_eq!(again.outcomes("big.hl7.receipt").await.len(), 1_000);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_waits_and_a_receipt_outlive_a_restart() {
    let mut gateway = start("take = \"rename\"").await;
    let laboratory = gateway.laboratory();
    laboratory.write("a", held("S1"));
    laboratory.done("put a first.tmp\nrename first.tmp first.hl7\nput a second.tmp\n").await;
    gateway.count(1);
    gateway.restart().await;
    let again = gateway.laboratory();
    again.done("rename second.tmp second.hl7\n").await;
    gateway.count(1);
    gateway.wait_until_quiet().await;
    for name in ["first.hl7.receipt", "second.hl7.receipt"] {
        assert_eq!(again.outcomes(name).await, ["held"], "{name}");
    }
    again.done("rm receipts/first.hl7.receipt\n").await;
    assert!(again.refused("get receipts/first.hl7.receipt x\n").await.contains("not found"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_at_once_do_not_mix_their_files() {
    let gateway = start("").await;
    let (one, two) = (gateway.laboratory(), gateway.laboratory());
    let batch = |from: usize| -> (String, Vec<String>) {
        let names: Vec<String> = (from..from + 20).map(|n| format!("S{n}")).collect();
        (names.iter().map(|name| format!("put {name} {name}.hl7\n")).collect::<Vec<_>>().concat(), names)
    };
    let ((first, ones), (second, twos)) = (batch(0), batch(20));
    for name in &ones {
        one.write(name, oru(name));
    }
    for name in &twos {
        two.write(name, oru(name));
    }
    let (first, second) = tokio::join!(one.done(&first), two.done(&second));
    assert!(!first.is_empty() && !second.is_empty());
    gateway.count(40);
    gateway.wait_until_quiet().await;
    let kept: std::collections::BTreeSet<_> = gateway.kept().into_iter().collect();
    assert_eq!(kept, ones.iter().chain(&twos).map(|name| oru(name).into_bytes()).collect());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_receipts_make_room_and_files_that_wait_are_bounded() {
    let gateway = TestGateway::start_with(setup(
        "take = \"rename\"",
        "receipts_max = 2\nfiles_max = 3\nfile_bytes_max = 600",
    ))
    .await;
    let laboratory = gateway.laboratory();
    for n in 0..4 {
        laboratory.write("a", oru(&format!("S{n}")));
        laboratory.done(&format!("put a {n}.tmp\nrename {n}.tmp {n}.hl7\n")).await;
    }
    gateway.count(4);
    let said = laboratory.done("ls receipts\n").await;
    assert!(
        !said.contains("1.hl7.receipt") && said.contains("2.hl7.receipt") && said.contains("3.hl7"),
        "{said}"
    );
    laboratory.done("put a 1.tmp\nput a 2.tmp\nput a 3.tmp\nput a 3.tmp\n").await;
    laboratory.refused("put a 4.tmp\n").await;
    laboratory.write("long", "x".repeat(601));
    laboratory.refused("rm 3.tmp\nput long 3.tmp\n").await;
    let rows = gateway.store().backend().scan(&Scan::all(Table::FileReceipts)).unwrap();
    assert_eq!(rows.len(), 2);
    gateway.finish().await;
}
