//! HL7 v2 over HTTP: the acknowledgement of MLLP, and a status that says the same.

use std::sync::Arc;

use haemosync_gateway::pipeline::records::message::State;
use tokio::task::JoinSet;

use crate::harness::SENDER;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::inbound_http::ER7;
use crate::inbound_http::Heard;
use crate::inbound_http::feed;
use crate::inbound_http::post;
use crate::mllp::field;
use crate::mllp::oru;
use crate::mllp::verdict;
use crate::mllp::with_header;

const PATH: &str = "/inbound/standard-http";

async fn start() -> TestGateway {
    let keys = format!("senders = [\"{SENDER}\"]\ndangerous_no_credentials = true");
    TestGateway::start_with(Setup { more: feed("http", &keys), ..Setup::default() }).await
}

async fn send(gateway: &TestGateway, message: &str) -> Heard {
    gateway.count(1);
    post(gateway.http(), PATH, &[("Content-Type", ER7)], message).await
}

/// The status, MSA-1 and our code.
fn told(heard: &Heard) -> (u16, String, String) {
    let text = heard.text();
    (heard.status, verdict(&text).0.to_owned(), field(&text, "ERR", 5).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_each_message_hears_its_acknowledgement_and_again_the_same() {
    let mut gateway = start().await;
    let first = send(&gateway, &oru("1")).await;
    assert_eq!(told(&first), (200, "AA".to_owned(), String::new()));
    assert_eq!(first.header("content-type"), ER7);
    assert_eq!(send(&gateway, &oru("1")).await.text(), first.text(), "the same again");
    let other = oru("1").replace("|140|", "|141|");
    assert_eq!(told(&send(&gateway, &other).await), (500, "AE".to_owned(), "H108".to_owned()));
    let no_report = oru("2").split("OBR").next().unwrap().to_owned();
    assert_eq!(told(&send(&gateway, &no_report).await), (500, "AE".to_owned(), "H106".to_owned()));
    let admission = with_header(&oru("3"), 9, "ADT^A01");
    assert_eq!(told(&send(&gateway, &admission).await), (400, "AR".to_owned(), "H103".to_owned()));
    let elsewhere = with_header(&oru("4"), 4, "OTHERS");
    assert_eq!(told(&send(&gateway, &elsewhere).await), (403, "AR".to_owned(), "H110".to_owned()));
    assert_eq!(send(&gateway, "no message at all").await.status, 400);
    gateway.restart().await;
    assert_eq!(send(&gateway, &oru("1")).await.text(), first.text(), "a restart keeps it");
    assert_eq!(gateway.duplicates(), 2);
    assert_eq!(gateway.counted(State::Rejected), 5);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_feed_takes_is_refused_before_it_is_kept() {
    let gateway = start().await;
    let to = gateway.http();
    let refused = async |path: &str, kind: &str, body: &str| {
        post(to, path, &[("Content-Type", kind)], body).await.refusal()
    };
    assert_eq!(refused("/inbound/nowhere", ER7, &oru("1")).await, (401, "S110".to_owned()));
    assert_eq!(refused("/inbound/standard-mllp", ER7, &oru("1")).await, (401, "S110".to_owned()));
    assert_eq!(refused(PATH, "application/pdf", &oru("1")).await, (415, "W122".to_owned()));
    let declared = [("Content-Type", ER7), ("Content-Length", "33554433")];
    assert_eq!(post(to, PATH, &declared, "").await.refusal(), (413, "W120".to_owned()));
    let got = crate::inbound_http::request(to, "GET", PATH, &[], b"").await;
    assert_eq!(got.status, 405);
    assert!(gateway.kept().is_empty());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_the_same_message_at_the_same_time_is_one() {
    let gateway = Arc::new(start().await);
    let mut senders = JoinSet::new();
    for _ in 0..16 {
        let gateway = Arc::clone(&gateway);
        senders.spawn(async move { send(&gateway, &oru("1")).await });
    }
    let heard = senders.join_all().await;
    assert!(heard.iter().all(|it| it.status == 200 && it.text() == heard[0].text()));
    let gateway = Arc::into_inner(gateway).unwrap();
    assert_eq!((gateway.kept().len(), gateway.duplicates()), (1, 15));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_laboratory_s_messages_go_to_the_clinic_their_route_names() {
    let more = format!(
        "{}[[lab]]\nname = \"regional\"\nmapping = \"standard\"\nclinics = [\"test\", \"elsewhere\"]\n\
         [[lab.feed]]\nname = \"regional\"\nkind = \"http\"\nsenders = [\"LAB|FAC\"]\ndangerous_no_credentials = true\n\
         [[lab.route]]\nclinic = \"test\"\naccounts = [\"A100\"]\n\
         [[lab.route]]\nclinic = \"elsewhere\"\nfacilities = [\"NORTH\"]\n",
        feed("http", "dangerous_no_credentials = true")
    );
    let gateway = TestGateway::start_with(Setup { more, ..Setup::default() }).await;
    let account = |id: &str, number: &str| {
        oru(id).replace("|19610203|M\r", &format!("|19610203|M||||||||||{number}\r"))
    };
    for message in [
        with_header(&oru("1"), 6, "NORTH"),
        account("2", "A100"),
        with_header(&account("3", "A100"), 6, "NORTH"),
        account("4", "A999"),
    ] {
        gateway.count(1);
        let heard = post(gateway.http(), "/inbound/regional", &[("Content-Type", ER7)], message).await;
        assert_eq!(heard.status, 200, "{}", heard.text());
    }
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Mapped), 2);
    assert_eq!(gateway.counted(State::Held), 2, "both clinics, or neither, is nobody's");
    let metrics = gateway.metrics().await;
    for clinic in ["test", "elsewhere"] {
        assert!(metrics.contains(&format!("gateway_cases{{clinic=\"{clinic}\"")), "{clinic}");
    }
    gateway.finish().await;
}
