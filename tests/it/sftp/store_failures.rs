//! A store that cannot be written: the client hears a failure, nothing is claimed, and the next try is accepted (R1, R3).

use std::sync::Arc;
use std::time::Duration;

use haemosync_gateway::app;
use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::inbound::sftp;
use haemosync_gateway::pipeline::Pipeline;
use haemosync_gateway::pipeline::Wake;
use haemosync_gateway::pipeline::accounts::Accounts;
use haemosync_gateway::pipeline::feeds;
use haemosync_gateway::pipeline::feeds::Feed;
use haemosync_gateway::pipeline::feeds::Feeds;
use haemosync_gateway::pipeline::feeds::OnStoreFailure;
use haemosync_gateway::pipeline::feeds::Senders;
use haemosync_gateway::pipeline::inbox;
use haemosync_gateway::pipeline::inbox::Rule;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::shutdown;
use haemosync_gateway::pipeline::shutdown::Stop;
use haemosync_gateway::security::keys::MasterKey;
use haemosync_gateway::store::Embedded;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Store;
use haemosync_gateway::store::Table;
use haemosync_gateway::store::embedded;
use haemosync_gateway::store::faulty::Fault;
use haemosync_gateway::store::faulty::Faulty;
use tempfile::TempDir;

use crate::harness::no_accounts;

use super::FEED;
use super::Laboratory;
use super::lab_key;
use super::oru;

/// A server over a store that fails on demand; nothing behind it reads the messages.
struct Door {
    laboratory: Laboratory,
    disk: Arc<Faulty>,
    store: Arc<Store>,
    _stop: Stop,
    _folder: TempDir,
}

impl Door {
    async fn open(rule: Rule) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk =
            Arc::new(Faulty::new(Arc::new(Embedded::open(&embedded::Config::new(folder.path())).unwrap())));
        let master = MasterKey::parse(MasterKey::generate_text().trim()).unwrap();
        let store = Arc::new(Store::open(disk.clone(), master).await.unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mappings = app::mappings(None, clock.now()).unwrap();
        let feed = Arc::new(feed());
        let pipeline = Arc::new(Pipeline {
            awaited: haemosync_gateway::pipeline::application_ack::Awaited::default(),
            store: Arc::clone(&store),
            accounts: Accounts::new(no_accounts(), Arc::clone(&clock)),
            feeds: Feeds::new(vec![Arc::clone(&feed)]),
            mappings,
            dangerous_test_nhs_numbers: false,
            wake: Wake::default(),
            run: clock.new_id(),
            started_ms: 0,
            clock,
        });
        let (stop, ending) = shutdown::channel();
        let account = sftp::Account { feed, keys: vec![lab_key().public_key().clone()], rule };
        let bound = sftp::bind(config(account), &pipeline, ending).await.unwrap().unwrap();
        let laboratory = Laboratory::at(bound.address().unwrap());
        tokio::spawn(bound.run());
        Self { laboratory, disk, store, _stop: stop, _folder: folder }
    }

    fn rows(&self, table: Table) -> usize {
        self.store.scan_plain(&Scan::all(Table::MessageStates)).unwrap();
        self.store.backend().scan(&Scan::all(table)).unwrap().len()
    }

    fn duplicates(&self) -> i64 {
        self.store.counter(message::DUPLICATES).unwrap()
    }
}

fn config(account: sftp::Account) -> sftp::Config {
    sftp::Config {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        host_key: None,
        accounts: vec![account],
        file_bytes_max: 1024 * 1024,
        session_bytes_max: 1024 * 1024,
        memory_bytes_max: 1024 * 1024,
        sessions_max: 4,
        inbox: inbox::Limits { files_max: 100, receipts_max: 100 },
        idle: Duration::from_mins(1),
        shutdown: Duration::from_secs(5),
    }
}

fn feed() -> Feed {
    Feed {
        application_acks: feeds::ApplicationAcks::None,
        control_ids: feeds::ControlIds::Unique,
        silence_alert: None,
        client_certificates: Vec::new(),
        routes: Vec::new(),
        lab: "standard".to_owned(),
        name: FEED.to_owned(),
        door: feeds::Door::Sftp,
        mapping: "standard".to_owned(),
        clinics: vec!["test".to_owned()],
        senders: Senders::Any,
        processing_ids: vec!["P".to_owned()],
        on_store_failure: OnStoreFailure::Error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_rename_succeeds_only_when_every_message_is_flushed() {
    for fault in [Fault::BeforeEffect, Fault::AfterEffect] {
        // The commits of the session that renames: its audit entry, three messages, their file's record, the receipt.
        for failing in 2..=6 {
            let door = Door::open(Rule::Rename).await;
            let laboratory = &door.laboratory;
            let content = oru("S1") + &oru("S2") + &oru("S3");
            laboratory.write("a", &content);
            laboratory.done("put a a.tmp\n").await;
            door.disk.fail_commit(failing, fault);
            let said = laboratory.refused("rename a.tmp a.hl7\n").await;
            assert!(said.contains("Failure") || said.contains("S130"), "{said}");
            let is_gone = failing == 6 && fault == Fault::AfterEffect;
            if !is_gone {
                assert_eq!((door.rows(Table::Drops), door.rows(Table::FileReceipts)), (1, 0));
                laboratory.done("rename a.tmp a.hl7\n").await;
            }
            assert_eq!(door.rows(Table::Messages), 3, "R6: tried again, nothing is there twice");
            let receipt = laboratory.receipt("a.hl7.receipt").await;
            assert_eq!(receipt.len(), 4);
            assert!(receipt[1..].iter().all(|line| line[2] == "accepted"), "{receipt:?}");
            assert_eq!((door.rows(Table::Drops), door.rows(Table::DropContents)), (0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_close_fails_while_the_store_does_and_the_file_is_taken_later() {
    let door = Door::open(Rule::Close).await;
    let laboratory = &door.laboratory;
    laboratory.write("a.hl7", oru("S1"));
    laboratory.done("pwd\n").await;
    door.disk.stop(true);
    laboratory.refused("put a.hl7\n").await;
    assert_eq!(
        (door.rows(Table::Messages), door.rows(Table::Drops), door.rows(Table::FileReceipts)),
        (0, 0, 0)
    );
    door.disk.stop(false);
    laboratory.done("put a.hl7\n").await;
    assert_eq!((door.rows(Table::Messages), door.duplicates()), (1, 0));
    // One commit failed, and the store takes the file itself: it is taken when its sender comes again.
    laboratory.write("b.hl7", oru("S2"));
    door.disk.fail_commit(2, Fault::BeforeEffect);
    laboratory.refused("put b.hl7\n").await;
    assert_eq!((door.rows(Table::Messages), door.rows(Table::Drops)), (1, 1));
    laboratory.done("ls receipts\n").await;
    assert_eq!((door.rows(Table::Messages), door.rows(Table::Drops), door.duplicates()), (2, 0, 0));
}
