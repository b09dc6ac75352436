//! Bodies under a signature, and requests under a token.

#![expect(clippy::disallowed_methods, reason = "the secrets of a test's own folder")]

use std::fs;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::harness::SENDER;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::inbound_http::ER7;
use crate::inbound_http::Heard;
use crate::inbound_http::TOKEN;
use crate::inbound_http::feed;
use crate::inbound_http::post;
use crate::mllp::oru;

const SECRET: &str = "an invented secret of 32 letters";
const PATH: &str = "/inbound/standard-http";

async fn start(keys: &str) -> (TestGateway, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    let keys = keys.replace("FOLDER", &folder.path().display().to_string());
    let more = feed("http", &format!("senders = [\"{SENDER}\"]\n{keys}"));
    (TestGateway::start_with(Setup { more, ..Setup::default() }).await, folder)
}

fn sign(text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::sign(&key, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

async fn send(gateway: &TestGateway, headers: &[(&str, &str)], body: &str) -> Heard {
    let all: Vec<_> = headers.iter().copied().chain([("Content-Type", ER7)]).collect();
    post(gateway.http(), PATH, &all, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_laboratory_signed_is_kept() {
    let keys = "[lab.feed.hmac]\nsecret = { file = \"FOLDER/secret\" }\nheader = \"X-Lab-Signature\"\nprefix = \"sha256=\"";
    let (gateway, _files) = start(keys).await;
    let body = oru("1");
    let right = format!("sha256={}", sign(body.as_bytes()));
    for (headers, why) in [
        (vec![], "missing"),
        (vec![("X-Lab-Signature", "sha256=00")], "wrong"),
        (vec![("X-Lab-Signature", &right[7..])], "without its prefix"),
        (vec![("X-Lab-Signature", right.as_str()), ("X-Lab-Signature", right.as_str())], "twice"),
        (vec![("Authorization", "Bearer anything")], "a token instead"),
    ] {
        assert_eq!(send(&gateway, &headers, &body).await.refusal(), (401, "S110".to_owned()), "{why}");
    }
    let forged = body.replace("|140|", "|14.0|");
    assert_eq!(send(&gateway, &[("X-Lab-Signature", &right)], &forged).await.refusal().0, 401);
    assert!(gateway.kept().is_empty(), "nothing of a stranger's is kept");
    let accepted = send(&gateway, &[("X-Lab-Signature", &right)], &body).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    assert_eq!(send(&gateway, &[("X-Lab-Signature", &right)], &body).await.text(), accepted.text());
    gateway.count(2);
    assert_eq!(gateway.kept().len(), 1, "recorded and sent again, it makes nothing new");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dated_signature_must_be_near_and_its_date_unchanged() {
    let keys = "[lab.feed.hmac]\nsecret = { file = \"FOLDER/secret\" }\nheader = \"X-Signature\"\n\
                timestamp_header = \"X-Timestamp\"\nreplay_window_s = 60\ncovers = \"timestamp.body\"";
    let (gateway, _files) = start(keys).await;
    let body = oru("1");
    let send = async |at: i64, told: i64| {
        let signature = sign(format!("{at}.{body}").as_bytes());
        send(&gateway, &[("X-Signature", &signature), ("X-Timestamp", &told.to_string())], &body).await
    };
    let now = Timestamp::now().as_second();
    assert_eq!(
        send(now - 3600, now - 3600).await.refusal(),
        (401, "S111".to_owned()),
        "recorded an hour ago"
    );
    assert_eq!(send(now + 3600, now + 3600).await.refusal(), (401, "S111".to_owned()));
    assert_eq!(
        send(now - 3600, now).await.refusal(),
        (401, "S110".to_owned()),
        "another date than was signed"
    );
    assert_eq!(send(now, now).await.status, 200);
    gateway.count(1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_token_is_the_whole_of_itself() {
    let (gateway, _files) = start("bearer = { file = \"FOLDER/token\" }").await;
    for token in [
        "",
        "Bearer",
        "Bearer ",
        &format!("Basic {TOKEN}"),
        &format!("Bearer {TOKEN}x"),
        &format!("Bearer {}", &TOKEN[1..]),
    ] {
        let heard = send(&gateway, &[("Authorization", token)], &oru("1")).await;
        assert_eq!(heard.refusal(), (401, "S110".to_owned()), "{token}");
        assert_eq!(heard.header("www-authenticate"), "Bearer");
    }
    assert_eq!(send(&gateway, &[("Authorization", &format!("Bearer {TOKEN}"))], &oru("1")).await.status, 200);
    gateway.count(1);
    gateway.finish().await;
}
