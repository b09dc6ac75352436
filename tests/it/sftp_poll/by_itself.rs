//! The poller run by itself: on a store that fails, with a key from an agent, and as `gateway check` tries it.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::process::Child;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use haemosync_gateway::app;
use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::FixedClock;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::config;
use haemosync_gateway::config::Config;
use haemosync_gateway::inbound::sftp_poll;
use haemosync_gateway::pipeline::Pipeline;
use haemosync_gateway::pipeline::Wake;
use haemosync_gateway::pipeline::accounts::Accounts;
use haemosync_gateway::pipeline::fetches::Fetches;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::pipeline::shutdown;
use haemosync_gateway::pipeline::shutdown::Stop;
use haemosync_gateway::security::keys::MasterKey;
use haemosync_gateway::store::Embedded;
use haemosync_gateway::store::Store;
use haemosync_gateway::store::embedded;
use haemosync_gateway::store::faulty::Fault;
use haemosync_gateway::store::faulty::Faulty;
use tempfile::TempDir;

use crate::harness::TestGateway;
use crate::harness::capture_log;
use crate::harness::until;
use crate::sftp_poll::oru;
use crate::sftp_poll::sshd::Sshd;

/// One feed's poller over a store that fails on demand; nothing behind it reads the messages.
struct Poller {
    disk: Arc<Faulty>,
    store: Arc<Store>,
    stop: Stop,
    _folder: TempDir,
}

impl Poller {
    /// Runs the first feed of a configuration that fetches.
    async fn start(feed: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_by(feed, environment, Arc::new(SystemClock::new())).await
    }

    /// As [`Poller::start`], with time as the test wants it.
    async fn start_by(feed: &str, environment: &[(&str, &str)], clock: Arc<dyn Clock>) -> Self {
        capture_log();
        let (folder, config) = configured(feed, environment);
        let backend = Embedded::open(&embedded::Config::new(folder.path())).unwrap();
        let disk = Arc::new(Faulty::new(Arc::new(backend)));
        let store = Arc::new(Store::open(disk.clone(), config.master_key).await.unwrap());
        let mappings = app::mappings(None, clock.now()).unwrap();
        let pipeline = Arc::new(Pipeline {
            awaited: haemosync_gateway::pipeline::application_ack::Awaited::default(),
            store: Arc::clone(&store),
            accounts: Accounts::new(config.cliniko, Arc::clone(&clock)),
            feeds: config.feeds,
            mappings,
            dangerous_test_nhs_numbers: false,
            wake: Wake::default(),
            run: clock.new_id(),
            started_ms: 0,
            clock,
        });
        let (stop, ending) = shutdown::channel();
        let (feed, poll) = config.polls.into_iter().next().unwrap();
        tokio::spawn(sftp_poll::run(poll, Fetches::new(pipeline, feed), ending));
        Self { disk, store, stop, _folder: folder }
    }

    fn waiting(&self) -> i64 {
        self.store.counter(&State::Waiting.counter()).unwrap()
    }

    async fn until_waiting(&self, messages: i64) {
        until(async || (self.waiting() == messages).then_some(())).await;
    }
}

/// A configuration with one laboratory, and the folder it is in.
fn configured(feed: &str, environment: &[(&str, &str)]) -> (TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let lab = "[[lab]]\nname = \"standard\"\nmapping = \"standard\"\nclinics = [\"test\"]\n";
    fs::write(&file, format!("{lab}{feed}")).unwrap();
    fs::write(folder.path().join("master.key"), MasterKey::generate_text().as_bytes()).unwrap();
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let (config, _) = config::load(Some(&file), &environment).unwrap();
    (folder, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tries_the_server_and_takes_nothing() {
    let server = Sshd::start().await;
    server.drop_file("a.hl7", &oru("A-1"));
    let good = server.feed("checked", "after = \"delete\"\ntake = \"rename\"\n");
    let wrong = "SHA256:uNiVztksCsDhcc0u9e8BrSJ16fuZgqZVwhsSMIsFqx0";
    let elsewhere = good.replace("/out\"", "/nowhere\"");
    for (feed, expected) in
        [(good, None), (server.feed_pinned("checked", wrong, ""), Some("S151")), (elsewhere, Some("S154"))]
    {
        let (_folder, config) = configured(&feed, &[]);
        let tried = sftp_poll::check(&config.polls[0].1).await;
        assert_eq!(tried.err().map(|it| it.code.to_string()).as_deref(), expected, "{feed}");
    }
    assert_eq!(server.names("out"), ["a.hl7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_while_the_store_takes_nothing_a_file_stays_with_the_laboratory() {
    let server = Sshd::start().await;
    let lines = "after = \"delete\"\ntake = \"rename\"\n";
    let poller = Poller::start(&server.feed("no-store", lines), &[]).await;
    server.drop_file("a.hl7", &oru("A-1"));
    poller.until_waiting(1).await;
    until(async || server.names("out").is_empty().then_some(())).await;
    poller.disk.stop(true);
    server.drop_file("b.hl7", &oru("A-2"));
    until(async || TestGateway::has_logged(&["no-store", "S101", "failures=2"]).then_some(())).await;
    assert_eq!(server.names("out"), ["b.hl7"]);
    poller.disk.stop(false);
    poller.until_waiting(2).await;
    until(async || server.names("out").is_empty().then_some(())).await;
    poller.stop.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_file_whose_record_failed_is_fetched_again_and_makes_nothing_new() {
    for fault in [Fault::BeforeEffect, Fault::AfterEffect] {
        let server = Sshd::start().await;
        let lines = "after = \"delete\"\ntake = \"rename\"\n";
        let poller = Poller::start(&server.feed("no-record", lines), &[]).await;
        // The first file makes the feed's key durable, so that the commits are counted from the next file's on.
        server.drop_file("a.hl7", &oru("A-1"));
        poller.until_waiting(1).await;
        until(async || server.names("out").is_empty().then_some(())).await;
        // Of the next file: its message, then its record. Forgetting the first file may come between.
        poller.disk.fail_commit(2, fault);
        server.drop_file("b.hl7", &oru("A-2"));
        until(async || server.names("out").is_empty().then_some(())).await;
        server.drop_file("c.hl7", &oru("A-3"));
        poller.until_waiting(3).await;
        until(async || server.names("out").is_empty().then_some(())).await;
        let repeated = poller.store.counter(message::DUPLICATES).unwrap();
        assert!(repeated <= 1, "{repeated} after {fault:?}");
        poller.stop.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_file_that_replaces_a_left_one_within_its_second_is_taken_too_and_each_once() {
    let server = Sshd::start().await;
    let clock = Arc::new(FixedClock::new("2026-11-22T10:00:00Z".parse().unwrap(), 1));
    let feed = server.feed("left-racy", "take = \"rename\"\n");
    let poller = Poller::start_by(&feed, &[], clock.clone()).await;
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let drop_file = |name: &str, control_id: &str| {
        let passing = server.path("out").join(format!(".{name}"));
        fs::write(&passing, oru(control_id)).unwrap();
        File::options().append(true).open(&passing).unwrap().set_modified(modified).unwrap();
        fs::rename(passing, server.path("out").join(name)).unwrap();
    };
    let taken = || poller.store.counter("files_fetched.left-racy").unwrap();
    // Another file is taken in a look that saw the first one, as its name comes later.
    let looked_at_all = async |name: &str| {
        let before = taken();
        server.drop_file(name, &oru(name));
        until(async || (taken() > before).then_some(())).await;
    };
    // A file is counted as taken after its message is kept.
    let until_taken = async |files: i64| until(async || (taken() == files).then_some(())).await;
    drop_file("a.hl7", "A-1");
    until_taken(1).await;
    drop_file("a.hl7", "A-2");
    looked_at_all("y.hl7").await;
    assert_eq!(poller.waiting(), 2, "while its second lasts, it may still become another");
    clock.advance(Duration::from_secs(3));
    until_taken(3).await;
    clock.advance(Duration::from_secs(3));
    for name in ["z1.hl7", "z2.hl7"] {
        looked_at_all(name).await;
    }
    assert_eq!((poller.waiting(), taken()), (5, 5));
    assert_eq!(poller.store.counter(message::DUPLICATES).unwrap(), 0);
    poller.stop.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_an_agent_signs_in() {
    let server = Sshd::start().await;
    let socket = server.path("agent.socket");
    let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).spawn();
    let _agent = Agent(agent.expect("install openssh-client"));
    until(async || socket.exists().then_some(())).await;
    // The second of two keys is the one that is taken.
    for key in ["other-client", "client"] {
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(server.path(key)).env("SSH_AUTH_SOCK", &socket);
        assert!(add.status().unwrap().success());
    }
    let by_file = format!("key = {{ file = {:?} }}", server.path("client"));
    let feed = server.feed("agent", "").replace(&by_file, "key = { agent = true }");
    let poller = Poller::start(&feed, &[("SSH_AUTH_SOCK", socket.to_str().unwrap())]).await;
    server.drop_file("a.hl7", &oru("A-1"));
    poller.until_waiting(1).await;
    poller.stop.stop();
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
