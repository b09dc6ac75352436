//! A store that cannot be written: nothing is claimed, the sender keeps the message, and the connection ends (R3, R4).

use std::sync::Arc;
use std::time::Duration;

use haemosync_gateway::app;
use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::inbound::mllp;
use haemosync_gateway::pipeline::Pipeline;
use haemosync_gateway::pipeline::Wake;
use haemosync_gateway::pipeline::accounts::Accounts;
use haemosync_gateway::pipeline::application_ack::Awaited;
use haemosync_gateway::pipeline::feeds;
use haemosync_gateway::pipeline::feeds::Feed;
use haemosync_gateway::pipeline::feeds::Feeds;
use haemosync_gateway::pipeline::feeds::OnStoreFailure;
use haemosync_gateway::pipeline::feeds::Senders;
use haemosync_gateway::pipeline::intake::Intake;
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
use tokio::net::TcpStream;

use crate::harness::no_accounts;
use crate::mllp::Wire;
use crate::mllp::field;
use crate::mllp::oru;
use crate::mllp::verdict;
use crate::mllp::with_header;

/// A listener over a store that fails on demand; nothing behind it reads the messages.
struct Door {
    address: std::net::SocketAddr,
    disk: Arc<Faulty>,
    store: Arc<Store>,
    _stop: Stop,
    _folder: TempDir,
}

impl Door {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk =
            Arc::new(Faulty::new(Arc::new(Embedded::open(&embedded::Config::new(folder.path())).unwrap())));
        let master = MasterKey::parse(MasterKey::generate_text().trim()).unwrap();
        let store = Arc::new(Store::open(disk.clone(), master).await.unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mappings = app::mappings(None, clock.now()).unwrap();
        let feeds = [
            ("error", OnStoreFailure::Error),
            ("reject", OnStoreFailure::Reject),
            ("close", OnStoreFailure::Close),
        ];
        let pipeline = Arc::new(Pipeline {
            store: Arc::clone(&store),
            accounts: Accounts::new(no_accounts(), Arc::clone(&clock)),
            feeds: Feeds::new(feeds.map(|(name, policy)| Arc::new(feed(name, policy))).to_vec()),
            mappings,
            dangerous_test_nhs_numbers: false,
            wake: Wake::default(),
            awaited: Awaited::default(),
            run: clock.new_id(),
            started_ms: 0,
            clock,
        });
        let config = mllp::Config {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            tls: None,
            frame_bytes_max: 64 * 1024,
            connections_max: 16,
            idle: Duration::from_mins(1),
            shutdown: Duration::from_secs(5),
        };
        let bound = mllp::bind(config).await.unwrap();
        let address = bound.plain_address().unwrap();
        let (stop, ending) = shutdown::channel();
        tokio::spawn(bound.run(Intake::new(pipeline), ending));
        Self { address, disk, store, _stop: stop, _folder: folder }
    }

    async fn connect(&self) -> Wire<TcpStream> {
        Wire::over(TcpStream::connect(self.address).await.unwrap())
    }
}

/// A feed whose sender has its name.
fn feed(name: &str, on_store_failure: OnStoreFailure) -> Feed {
    Feed {
        lab: "standard".to_owned(),
        name: name.to_owned(),
        door: feeds::Door::Mllp,
        mapping: "standard".to_owned(),
        clinics: vec!["test".to_owned()],
        senders: Senders::Named(vec![format!("{name}|FAC")]),
        processing_ids: vec!["P".to_owned()],
        on_store_failure,
        client_certificates: Vec::new(),
        routes: Vec::new(),
        application_acks: feeds::ApplicationAcks::None,
        control_ids: feeds::ControlIds::Unique,
        silence_alert: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_each_feed_hears_what_it_asked_for_and_never_that_it_was_kept() {
    for fault in [Fault::BeforeEffect, Fault::AfterEffect] {
        let door = Door::open().await;
        for (name, expected) in [("error", Some("AE")), ("reject", Some("AR")), ("close", None)] {
            let message = with_header(&oru("1"), 3, name);
            // Makes the feed's key durable, so that the next commit is the message's.
            let mut wire = door.connect().await;
            assert_eq!(verdict(&wire.ask(&with_header(&oru("0"), 3, name)).await), ("AA", "0"));
            door.disk.fail_commit(1, fault);
            wire.write(&crate::mllp::frame(&message)).await;
            match expected {
                Some(code) => {
                    let answer = wire.answer().await;
                    assert_eq!(verdict(&answer), (code, "1"), "{name}");
                    assert_eq!(field(&answer, "ERR", 3), "207^Application internal error^HL70357");
                    assert_eq!(field(&answer, "ERR", 5), "S101");
                    wire.ends().await;
                }
                None => wire.ends().await,
            }
            // The sender sends it again, and whatever the disk did, it is kept once.
            let mut wire = door.connect().await;
            assert_eq!(verdict(&wire.ask(&message).await), ("AA", "1"), "{name} after {fault:?}");
        }
        assert_eq!(door.store.counter(&State::Waiting.counter()).unwrap(), 6, "two messages of each feed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r04_while_the_store_takes_nothing_nobody_is_told_otherwise() {
    let door = Door::open().await;
    let message = |id: &str| with_header(&oru(id), 3, "error");
    assert_eq!(verdict(&door.connect().await.ask(&message("0")).await), ("AA", "0"));
    door.disk.stop(true);
    for id in ["1", "2", "3"] {
        let mut wire = door.connect().await;
        // Joined frames: the second is not looked at, because the connection ends.
        wire.write(&[crate::mllp::frame(&message(id)), crate::mllp::frame(&message("9"))].concat()).await;
        assert_eq!(verdict(&wire.answer().await), ("AE", id));
        wire.ends().await;
    }
    // A sender that wants no answers gets none; its connection ends all the same.
    let mut silent = door.connect().await;
    silent.write(&crate::mllp::frame(&with_header(&message("4"), 15, "NE"))).await;
    silent.ends().await;
    door.disk.stop(false);
    assert_eq!(verdict(&door.connect().await.ask(&message("1")).await), ("AA", "1"));
    assert_eq!(door.store.counter(&State::Waiting.counter()).unwrap(), 2);
}
