//! SMART backend services: an assertion for a token, and the token for the laboratory's own feeds alone.

#![expect(clippy::disallowed_methods, reason = "the keys of a test's own folder")]

use std::fs;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::SENDER;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::inbound_http::ER7;
use crate::inbound_http::Heard;
use crate::inbound_http::feed;
use crate::inbound_http::post;
use crate::inbound_http::request;
use crate::mllp::oru;

const CLIENT: &str = "standard-client";
const PATH: &str = "/inbound/standard-http";

/// A laboratory's program with its key.
struct Program {
    key: EncodingKey,
    algorithm: Algorithm,
}

impl Program {
    fn elliptic() -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self { key: EncodingKey::from_ec_der(pkcs8.as_ref()), algorithm: Algorithm::ES384 }
    }

    fn rsa() -> Self {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pkcs8.as_ref())
        );
        Self { key: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), algorithm: Algorithm::RS384 }
    }

    fn jwks(&self) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = "k1".into();
        json!({ "keys": [jwk] })
    }

    /// An assertion; `change` has the last word about its claims.
    fn assertion(&self, audience: &str, jti: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": CLIENT, "sub": CLIENT, "aud": audience, "jti": jti,
            "exp": Timestamp::now().as_second() + 240,
        });
        change(&mut claims);
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

async fn start(program: &Program) -> (TestGateway, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("jwks.json"), program.jwks().to_string()).unwrap();
    let more = format!(
        "{}[lab.jwt]\nclient_id = \"{CLIENT}\"\njwks = {{ file = \"{}/jwks.json\" }}\n\
         [[lab]]\nname = \"other\"\nmapping = \"standard\"\nclinics = [\"test\"]\n\
         [[lab.feed]]\nname = \"other-http\"\nkind = \"http\"\nbearer = {{ file = \"{}/jwks.json\" }}\n",
        feed("http", &format!("senders = [\"{SENDER}\"]")),
        folder.path().display(),
        folder.path().display(),
    );
    (TestGateway::start_with(Setup { more, ..Setup::default() }).await, folder)
}

async fn ask(gateway: &TestGateway, assertion: &str) -> Heard {
    let form = format!(
        "grant_type=client_credentials&scope=system%2F*.c&client_assertion_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    );
    post(gateway.http(), "/fhir/token", &[("Content-Type", "application/x-www-form-urlencoded")], form).await
}

async fn token_endpoint(gateway: &TestGateway) -> String {
    let heard = request(gateway.http(), "GET", "/.well-known/smart-configuration", &[], b"").await;
    heard.json()["token_endpoint"].as_str().unwrap().to_owned()
}

async fn send(gateway: &TestGateway, path: &str, token: &str) -> Heard {
    let bearer = format!("Bearer {token}");
    post(gateway.http(), path, &[("Content-Type", ER7), ("Authorization", &bearer)], oru("1")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_changes_its_assertion_for_a_token_of_its_own_feeds() {
    for program in [Program::elliptic(), Program::rsa()] {
        let (gateway, _files) = start(&program).await;
        let audience = token_endpoint(&gateway).await;
        let granted = ask(&gateway, &program.assertion(&audience, "1", |_| {})).await;
        assert_eq!(granted.status, 200, "{}", granted.text());
        let granted = granted.json();
        assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("bearer"), &json!(300)));
        let token = granted["access_token"].as_str().unwrap();
        assert_eq!(send(&gateway, PATH, token).await.status, 200);
        gateway.count(1);
        assert_eq!(send(&gateway, "/inbound/other-http", token).await.refusal(), (403, "S112".to_owned()));
        assert_eq!(send(&gateway, PATH, &format!("{token}x")).await.refusal(), (401, "S110".to_owned()));
        let session = gateway.sign_in("test", "integrator").await;
        assert_eq!(send(&gateway, PATH, &session.token).await.refusal().0, 401, "a person's session is none");
        let bearer = format!("Bearer {token}");
        let api = request(gateway.http(), "GET", "/api/v1/holds", &[("Authorization", &bearer)], b"").await;
        assert_eq!(api.status, 401, "and the token is no session");
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_assertions_get_no_token() {
    let (program, stranger) = (Program::elliptic(), Program::elliptic());
    let (gateway, _files) = start(&program).await;
    let audience = token_endpoint(&gateway).await;
    let now = Timestamp::now().as_second();
    let used = program.assertion(&audience, "used", |_| {});
    assert_eq!(ask(&gateway, &used).await.status, 200);
    let replayed = ask(&gateway, &used).await;
    assert_eq!(replayed.status, 401);
    assert!(replayed.text().contains("S114"), "{}", replayed.text());
    let parts: Vec<String> = used.split('.').map(str::to_owned).collect();
    let encode = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
    let secret = EncodingKey::from_secret(program.jwks().to_string().as_bytes());
    let claims = json!({ "iss": CLIENT, "sub": CLIENT, "aud": audience, "jti": "hs", "exp": now + 240 });
    for (why, hostile) in [
        ("expired", program.assertion(&audience, "2", |it| it["exp"] = json!(now - 60))),
        ("long-lived", program.assertion(&audience, "3", |it| it["exp"] = json!(now + 3600))),
        ("another audience", program.assertion("https://elsewhere.example/token", "4", |_| {})),
        ("not yet", program.assertion(&audience, "5", |it| it["nbf"] = json!(now + 120))),
        ("another issuer", program.assertion(&audience, "6", |it| it["iss"] = json!("other"))),
        ("another subject", program.assertion(&audience, "7", |it| it["sub"] = json!("other"))),
        ("no id", program.assertion(&audience, "", |_| {})),
        ("no expiry", program.assertion(&audience, "8", |it| it["exp"] = Value::Null)),
        ("another's key", stranger.assertion(&audience, "9", |_| {})),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", format!("{}.{}.", encode(r#"{"alg":"none","kid":"k1"}"#), parts[1])),
        (
            "the public key as a secret",
            jsonwebtoken::encode(&Header::new(Algorithm::HS384), &claims, &secret).unwrap(),
        ),
        (
            "a critical header",
            format!(
                "{}.{}.{}",
                encode(r#"{"alg":"ES384","kid":"k1","crit":["x"],"x":1}"#),
                parts[1],
                parts[2]
            ),
        ),
        ("nothing", String::new()),
        ("too long", "a".repeat(9_000)),
    ] {
        let heard = ask(&gateway, &hostile).await;
        assert_eq!(heard.status, 401, "{why}: {}", heard.text());
        assert_eq!(heard.json()["error"], "invalid_client", "{why}");
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    for (body, error) in [
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "unsupported_grant_type"),
    ] {
        let heard = post(gateway.http(), "/fhir/token", &form, body).await;
        assert_eq!((heard.status, &heard.json()["error"]), (400, &json!(error)), "{body}");
    }
    gateway.finish().await;
}
