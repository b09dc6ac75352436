//! A store that cannot be written: 503, and nothing is claimed (R1, R3, R4).

use std::net::SocketAddr;
use std::sync::Arc;

use haemosync_gateway::app;
use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::inbound::http;
use haemosync_gateway::pipeline::Pipeline;
use haemosync_gateway::pipeline::Wake;
use haemosync_gateway::pipeline::accounts::Accounts;
use haemosync_gateway::pipeline::feeds::Door;
use haemosync_gateway::pipeline::feeds::Feed;
use haemosync_gateway::pipeline::feeds::Feeds;
use haemosync_gateway::pipeline::feeds::OnStoreFailure;
use haemosync_gateway::pipeline::feeds::Senders;
use haemosync_gateway::pipeline::intake::Intake;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::pipeline::shutdown;
use haemosync_gateway::security::credentials::AccessTokens;
use haemosync_gateway::security::keys::MasterKey;
use haemosync_gateway::security::tokens::Signer;
use haemosync_gateway::store::Embedded;
use haemosync_gateway::store::Store;
use haemosync_gateway::store::embedded;
use haemosync_gateway::store::faulty::Fault;
use haemosync_gateway::store::faulty::Faulty;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::harness::no_accounts;
use crate::inbound_http::ER7;
use crate::inbound_http::Heard;
use crate::inbound_http::post;
use crate::mllp::oru;
use crate::mllp::verdict;

const BUNDLE: &str =
    r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"DiagnosticReport"}}]}"#;

/// The door over a store that fails on demand; nothing behind it reads the messages.
struct Open {
    to: SocketAddr,
    disk: Arc<Faulty>,
    store: Arc<Store>,
    _stop: shutdown::Stop,
    _folder: TempDir,
}

impl Open {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk =
            Arc::new(Faulty::new(Arc::new(Embedded::open(&embedded::Config::new(folder.path())).unwrap())));
        let master = MasterKey::parse(MasterKey::generate_text().trim()).unwrap();
        let store = Arc::new(Store::open(disk.clone(), master).await.unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mappings = app::mappings(None, clock.now()).unwrap();
        let feeds = [feed("v2", Door::Http), feed("fhir", Door::Fhir)];
        let guard = http::Guard { signature: None, token: None, by_lab: false, dangerous_none: true };
        let guarded = |feed: &Arc<Feed>| http::Guarded { feed: Arc::clone(feed), guard: guard.clone() };
        let config = http::Config {
            feeds: feeds.iter().map(guarded).collect(),
            principals: Vec::new(),
            public_url: None,
            body_bytes_max: 64 * 1024,
            bodies_bytes_max: 1024 * 1024,
        };
        let pipeline = Arc::new(Pipeline {
            awaited: haemosync_gateway::pipeline::application_ack::Awaited::default(),
            store: Arc::clone(&store),
            accounts: Accounts::new(no_accounts(), Arc::clone(&clock)),
            feeds: Feeds::new(feeds.to_vec()),
            mappings,
            dangerous_test_nhs_numbers: false,
            wake: Wake::default(),
            run: clock.new_id(),
            started_ms: 0,
            clock,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let tokens = AccessTokens::from_pkcs8(&Signer::generate()).unwrap();
        let door = http::Door::new(config, Intake::new(pipeline), tokens, to);
        let (stop, ending) = shutdown::channel();
        tokio::spawn(haemosync_gateway::http::serve(listener, http::router(door), ending));
        Self { to, disk, store, _stop: stop, _folder: folder }
    }

    async fn hl7(&self, id: &str) -> Heard {
        post(self.to, "/inbound/v2", &[("Content-Type", ER7)], oru(id)).await
    }

    async fn fhir(&self, body: &str) -> Heard {
        post(self.to, "/fhir", &[("Content-Type", "application/fhir+json")], body).await
    }
}

fn feed(name: &str, door: Door) -> Arc<Feed> {
    Arc::new(Feed {
        application_acks: haemosync_gateway::pipeline::feeds::ApplicationAcks::None,
        control_ids: haemosync_gateway::pipeline::feeds::ControlIds::Unique,
        silence_alert: None,
        lab: "standard".to_owned(),
        name: name.to_owned(),
        door,
        mapping: "standard".to_owned(),
        clinics: vec!["test".to_owned()],
        senders: Senders::Any,
        processing_ids: vec!["P".to_owned()],
        on_store_failure: OnStoreFailure::Error,
        client_certificates: Vec::new(),
        routes: Vec::new(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_success_is_told_only_of_what_was_flushed() {
    for fault in [Fault::BeforeEffect, Fault::AfterEffect] {
        let open = Open::start().await;
        // Makes the feeds' keys durable, so that the next commit is the message's.
        assert_eq!(open.hl7("0").await.status, 200);
        assert_eq!(open.fhir(&BUNDLE.replace("batch", "collection")).await.status, 201);
        open.disk.fail_commit(1, fault);
        let refused = open.hl7("1").await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, "30"));
        assert_eq!(verdict(&refused.text()), ("AE", "1"));
        assert_eq!(open.hl7("1").await.status, 200, "sent again after {fault:?}, it is kept once");
        open.disk.fail_commit(1, fault);
        let refused = open.fhir(BUNDLE).await;
        assert_eq!((refused.refusal(), refused.header("retry-after")), ((503, "S101".to_owned()), "30"));
        assert_eq!(refused.json()["issue"][0]["code"], "transient");
        assert_eq!(open.fhir(BUNDLE).await.status, 200);
        assert_eq!(open.store.counter(&State::Waiting.counter()).unwrap(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r04_while_the_store_takes_nothing_everybody_is_sent_away() {
    let open = Open::start().await;
    assert_eq!(open.hl7("0").await.status, 200);
    open.disk.stop(true);
    for id in ["1", "2"] {
        assert_eq!(open.hl7(id).await.status, 503);
        assert_eq!(open.fhir(BUNDLE).await.status, 503);
    }
    open.disk.stop(false);
    assert_eq!(open.hl7("1").await.status, 200);
    assert_eq!(open.store.counter(&State::Waiting.counter()).unwrap(), 2);
}
