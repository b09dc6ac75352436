//! Fetching from a laboratory's server, against a real OpenSSH server: each file once, whatever fails.

#![expect(clippy::disallowed_methods, reason = "the tests write and read the files of the server they run")]

mod by_itself;
mod sshd;

use std::fs;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use haemosync_gateway::pipeline::records::message::State;

use self::sshd::Denies;
use self::sshd::Sshd;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::until;

/// A report of one invented result, of a patient whom no clinic has.
fn oru(control_id: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|FAC|HAEMOSYNC|CLINIC|20261122100000+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||||Nobodyhere^Zebedee||19610203|M\r\
         OBR|1||F{control_id}|24362-6^Urea and electrolytes^LN|||20261122090000+0000|||||||||||||||20261122100000+0000|||F\r\
         OBX|1|NM|2951-2^Sodium^LN||140|mmol/L|133-146||||F\r"
    )
}

fn setup(feed: String) -> Setup {
    Setup { more: feed, ..Setup::default() }
}

async fn gateway(feed: String) -> TestGateway {
    TestGateway::start_with(setup(feed)).await
}

/// The count of a family for a feed.
async fn metric(gateway: &TestGateway, family: &str, feed: &str) -> u32 {
    let start = format!("{family}{{feed=\"{feed}\"}} ");
    let page = gateway.metrics().await;
    page.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |it| it.parse().unwrap())
}

/// Waits until a feed has taken so many files in all.
async fn until_taken(gateway: &TestGateway, feed: &str, files: u32) {
    until(async || (metric(gateway, "gateway_feed_files_fetched", feed).await >= files).then_some(())).await;
}

/// Waits until a feed has looked again: it takes a file that was not there before.
async fn until_looked_again(gateway: &TestGateway, server: &Sshd, feed: &str, control_id: &str) {
    let before = metric(gateway, "gateway_feed_files_fetched", feed).await;
    server.drop_file(&format!("{control_id}.hl7"), &oru(control_id));
    gateway.count(1);
    until_taken(gateway, feed, before + 1).await;
}

async fn until_names(server: &Sshd, folder: &str, expected: &[&str]) {
    until(async || (server.names(folder) == expected).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_file_is_kept_then_told_then_archived() {
    let server = Sshd::start().await;
    let lines = server.archiving() + &server.with_receipts();
    let gateway = gateway(server.feed("archived", &lines)).await;
    server.drop_file("a.hl7", &oru("A-1"));
    fs::write(server.path("out").join("readme.txt"), "not a result").unwrap();
    until_names(&server, "done", &["a.hl7"]).await;
    assert_eq!(server.names("out"), ["readme.txt"]);
    assert_eq!(server.names("receipts"), ["a.hl7.receipt"]);
    let receipt = fs::read_to_string(server.path("receipts/a.hl7.receipt")).unwrap();
    assert_eq!(receipt, "1\tA-1\taccepted\t\t\t\t\n");
    assert_eq!(gateway.kept(), [oru("A-1").into_bytes()]);
    // Another file under the same name is another file, and the archived one is not overwritten.
    server.drop_file("a.hl7", &oru("A-2"));
    until(async || (server.names("done").len() == 2).then_some(())).await;
    assert_eq!(fs::read_to_string(server.path("done/a.hl7")).unwrap(), oru("A-1"));
    gateway.count(2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_file_that_stays_is_taken_once() {
    let server = Sshd::start().await;
    let mut gateway = gateway(server.feed("left", "")).await;
    server.drop_file("a.hl7", &oru("A-1"));
    gateway.count(1);
    until_taken(&gateway, "left", 1).await;
    until_looked_again(&gateway, &server, "left", "A-2").await;
    gateway.restart().await;
    until_looked_again(&gateway, &server, "left", "A-3").await;
    assert_eq!(metric(&gateway, "gateway_feed_files_fetched", "left").await, 3);
    assert_eq!(gateway.duplicates(), 0);
    assert_eq!(server.names("out"), ["A-2.hl7", "A-3.hl7", "a.hl7"]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_growing_file_is_read_when_it_rests() {
    let server = Sshd::start().await;
    let feed = server.feed("growing", "").replace("stable_ms = 100", "stable_ms = 4000");
    let gateway = gateway(feed).await;
    let path = server.path("out").join("slow.hl7");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let whole = oru("SLOW");
    // Each piece could be taken for a message, and comes before the one before has rested.
    for piece in whole.as_bytes().chunks(whole.len().div_ceil(8)) {
        file.write_all(piece).unwrap();
        assert!(gateway.kept().is_empty(), "read before it was whole");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until_taken(&gateway, "growing", 1).await;
    gateway.count(1);
    assert_eq!(gateway.kept(), [whole.into_bytes()]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_its_marker_and_both_are_cleared_away() {
    let server = Sshd::start().await;
    let lines = "take = \"marker\"\nmarker = \".ok\"\npattern = \"*\"\nafter = \"delete\"\n";
    let gateway = gateway(server.feed("marked", lines)).await;
    server.drop_file("waits.hl7", &oru("WAITS"));
    server.drop_file("ready.hl7", &oru("READY"));
    server.drop_file("ready.hl7.ok", "");
    until_names(&server, "out", &["waits.hl7"]).await;
    assert_eq!(gateway.kept(), [oru("READY").into_bytes()]);
    server.drop_file("waits.hl7.ok", "");
    until_names(&server, "out", &[]).await;
    gateway.count(2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_is_taken_under_its_last_name_only() {
    let server = Sshd::start().await;
    let lines = "take = \"rename\"\npattern = \"*\"\n";
    let gateway = gateway(server.feed("renamed", lines)).await;
    let out = server.path("out");
    for name in [".hidden.hl7", "a.hl7.tmp", "b.hl7.PART", "c.filepart", "d.hl7.receipt"] {
        fs::write(out.join(name), oru("HALF")).unwrap();
    }
    fs::create_dir(out.join("folder.hl7")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", out.join("link.hl7")).unwrap();
    until_looked_again(&gateway, &server, "renamed", "WHOLE-1").await;
    fs::write(out.join("a.hl7.tmp"), oru("A")).unwrap();
    fs::rename(out.join("a.hl7.tmp"), out.join("a.hl7")).unwrap();
    until_taken(&gateway, "renamed", 2).await;
    gateway.count(1);
    assert_eq!(gateway.kept(), [oru("WHOLE-1").into_bytes(), oru("A").into_bytes()]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_denied_delete_delivers_once_over_looks_and_a_restart() {
    let mut server = Sshd::prepare();
    server.serve(Denies::Clearing).await;
    let feed = server.feed("denied", "after = \"delete\"\ntake = \"rename\"\n");
    let mut gateway = gateway(feed).await;
    server.drop_file("a.hl7", &oru("A-1"));
    gateway.count(1);
    until_taken(&gateway, "denied", 1).await;
    until_looked_again(&gateway, &server, "denied", "A-2").await;
    // As after a crash between keeping and deleting: the file is still there, and known.
    gateway.restart().await;
    until_looked_again(&gateway, &server, "denied", "A-3").await;
    until_looked_again(&gateway, &server, "denied", "A-4").await;
    assert_eq!(server.names("out").len(), 4);
    assert_eq!(gateway.duplicates(), 0, "nothing was even fetched again");
    assert!(TestGateway::has_logged(&["denied", "S158"]));
    assert!(metric(&gateway, "gateway_feed_poll_failures", "denied").await >= 1);
    // What was left over is cleared away as soon as the server lets it.
    server.serve(Denies::Nothing).await;
    until_names(&server, "out", &[]).await;
    assert_eq!(metric(&gateway, "gateway_feed_files_fetched", "denied").await, 4);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_denied_archive_and_receipt_are_finished_after_a_restart() {
    let mut server = Sshd::prepare();
    server.serve(Denies::Clearing).await;
    let feed = server.feed("unfinished", &(server.archiving() + &server.with_receipts()));
    let mut gateway = gateway(feed).await;
    server.drop_file("a.hl7", &oru("A-1"));
    gateway.count(1);
    until_taken(&gateway, "unfinished", 1).await;
    until(async || TestGateway::has_logged(&["unfinished", "S159"]).then_some(())).await;
    gateway.stop().await;
    server.serve(Denies::Nothing).await;
    gateway.start_again().await;
    until_names(&server, "done", &["a.hl7"]).await;
    assert_eq!(server.names("receipts"), ["a.hl7.receipt"]);
    assert_eq!(metric(&gateway, "gateway_feed_files_fetched", "unfinished").await, 1);
    assert_eq!(gateway.duplicates(), 0);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_key_stops_the_feed_until_a_person_changes_the_pin() {
    let mut server = Sshd::start().await;
    let mut gateway = gateway(server.feed("pinned", "")).await;
    until_looked_again(&gateway, &server, "pinned", "BEFORE").await;
    server.stop();
    server.use_host_key("other-host");
    server.serve(Denies::Nothing).await;
    until(async || TestGateway::has_logged(&["pinned", "S151", "SHA256:"]).then_some(())).await;
    server.drop_file("after.hl7", &oru("AFTER"));
    // The right key again: the feed stays stopped all the same, whatever was there in between.
    let failures = metric(&gateway, "gateway_feed_poll_failures", "pinned").await;
    server.stop();
    server.use_host_key("host");
    server.serve(Denies::Nothing).await;
    // Ten looks would have been due: that nothing happens can only be waited for.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(metric(&gateway, "gateway_feed_files_fetched", "pinned").await, 1);
    assert_eq!(metric(&gateway, "gateway_feed_poll_failures", "pinned").await, failures);
    // A pin that is wrong from the start, by fingerprint.
    gateway.stop().await;
    let wrong = "SHA256:uNiVztksCsDhcc0u9e8BrSJ16fuZgqZVwhsSMIsFqx0";
    gateway.configure(&setup(server.feed_pinned("mispinned", wrong, "")));
    gateway.start_again().await;
    until(async || TestGateway::has_logged(&["mispinned", "S151"]).then_some(())).await;
    gateway.stop().await;
    gateway.configure(&setup(server.feed("pinned", "")));
    gateway.start_again().await;
    until_taken(&gateway, "pinned", 2).await;
    gateway.count(1);
    assert_eq!(gateway.duplicates(), 0);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_told_and_tried_again() {
    let server = Sshd::start().await;
    server.authorize("other-client");
    server.drop_file("a.hl7", &oru("A-1"));
    let gateway = gateway(server.feed("refused", "")).await;
    until(async || TestGateway::has_logged(&["refused", "S152"]).then_some(())).await;
    assert!(gateway.kept().is_empty());
    server.authorize("client");
    until_taken(&gateway, "refused", 1).await;
    gateway.count(1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_tried_until_it_is_up() {
    let mut server = Sshd::prepare();
    server.drop_file("a.hl7", &oru("A-1"));
    let gateway = gateway(server.feed("down", "")).await;
    until(async || TestGateway::has_logged(&["down", "S150", "failures=2"]).then_some(())).await;
    server.serve(Denies::Nothing).await;
    until_taken(&gateway, "down", 1).await;
    gateway.count(1);
    // A folder that goes and comes back is no other matter.
    fs::rename(server.path("out"), server.path("gone")).unwrap();
    until(async || TestGateway::has_logged(&["down", "S154"]).then_some(())).await;
    fs::rename(server.path("gone"), server.path("out")).unwrap();
    until_looked_again(&gateway, &server, "down", "A-2").await;
    assert_eq!(gateway.duplicates(), 0);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_a_line_for_each_message() {
    let server = Sshd::start().await;
    let gateway = gateway(server.feed("batch", &server.with_receipts())).await;
    let training = oru("B-2").replace("|P|2.5.1", "|T|2.5.1");
    let batch =
        format!("FHS|^~\\&|LAB|FAC\rBHS|^~\\&|LAB|FAC\r{}{training}{}BTS|3\rFTS|1\r", oru("B-1"), oru("B-3"));
    server.drop_file("batch.hl7", &batch);
    until_names(&server, "receipts", &["batch.hl7.receipt"]).await;
    let receipt = fs::read_to_string(server.path("receipts/batch.hl7.receipt")).unwrap();
    let lines: Vec<Vec<&str>> = receipt.lines().map(|line| line.split('\t').take(4).collect()).collect();
    assert_eq!(
        lines,
        [["1", "B-1", "accepted", ""], ["2", "B-2", "rejected", "H105"], ["3", "B-3", "accepted", ""]]
    );
    assert_eq!(gateway.counted(State::Rejected), 1, "kept in quarantine");
    gateway.count(3);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_the_same_file_under_another_name_makes_nothing_new() {
    let server = Sshd::start().await;
    let lines = server.archiving() + &server.with_receipts();
    let gateway = gateway(server.feed("renewed", &lines)).await;
    server.drop_file("a.hl7", &oru("A-1"));
    until_names(&server, "done", &["a.hl7"]).await;
    server.drop_file("b.hl7", &oru("A-1"));
    until_names(&server, "done", &["a.hl7", "b.hl7"]).await;
    let receipt = fs::read_to_string(server.path("receipts/b.hl7.receipt")).unwrap();
    assert_eq!(
        receipt,
        "1\tA-1\taccepted\t\tthe same message came before, and nothing new was made of it\t\t\n"
    );
    assert_eq!((gateway.kept().len(), gateway.duplicates()), (1, 1));
    gateway.count(2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_bad_files_hold_up_none_of_two_hundred_good_ones() {
    let server = Sshd::start().await;
    let lines = server.archiving() + "take = \"rename\"\nfile_bytes_max = 100_000\n";
    // Named after a patient of the clinic: `finish` finds the name in any log line.
    let large = "0-Quillfeather-Ottoline.hl7";
    server.drop_file(large, &oru("LARGE").replace("|140|", &format!("|{}|", "9".repeat(100_000))));
    server.drop_file("1-empty.hl7", "");
    server.drop_file("2-noise.hl7", "\u{1c}\u{b}no message at all");
    for number in 0..200 {
        server.drop_file(&format!("good-{number}.hl7"), &oru(&format!("G-{number}")));
    }
    let gateway = gateway(server.feed("many", &lines)).await;
    until_names(&server, "out", &[large]).await;
    assert_eq!(metric(&gateway, "gateway_feed_files_fetched", "many").await, 202);
    assert!(TestGateway::has_logged(&["many", "S157"]));
    assert!(!TestGateway::has_logged(&["Quillfeather"]), "a file's name is in the log");
    gateway.count(202);
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Rejected), 2);
    assert_eq!(gateway.kept().len(), 202);
    gateway.finish().await;
}
