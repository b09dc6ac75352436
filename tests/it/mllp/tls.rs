//! MLLP over TLS: the laboratory must show a certificate of the named authority.

#![expect(clippy::disallowed_methods, reason = "the certificates of a test's own folder")]

use std::fs;
use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::harness::PATIENCE;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::mllp::Wire;
use crate::mllp::field;
use crate::mllp::frame;
use crate::mllp::oru;
use crate::mllp::verdict;

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of the authority and its key, in PEM.
pub(crate) fn certified(by: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, by).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A client that trusts the authority, and shows a certificate if it has one.
pub(crate) fn client(trusted: &Authority, shown: Option<(String, String)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            config
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
                .unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// What the gateway answers to a message; none where it refuses the connection, however it does.
async fn answer(gateway: &TestGateway, client: &TlsConnector, message: &str) -> Option<String> {
    let stream = TcpStream::connect(gateway.mllps()).await.unwrap();
    let mut stream = client.connect(ServerName::try_from("localhost").unwrap(), stream).await.ok()?;
    // In TLS 1.3 the refusal may come after the client's side of the handshake is done.
    stream.write_all(&frame(message)).await.ok()?;
    stream.flush().await.ok()?;
    let mut received = Vec::new();
    while !received.ends_with(b"\x1c\r") {
        let read = timeout(PATIENCE, stream.read_buf(&mut received)).await.expect("no answer in time");
        if read.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8(received).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_laboratory_with_a_certificate_of_the_authority_is_heard() {
    let files = tempfile::tempdir().unwrap();
    let (ours, theirs) = (authority(), authority());
    let (certificate, key) = certified(&ours, "localhost");
    for (name, text) in [("server.pem", certificate), ("server.key", key), ("ca.pem", ours.pem())] {
        fs::write(files.path().join(name), text).unwrap();
    }
    let folder = files.path().display();
    let more = format!(
        "[inbound.mllps]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{folder}/server.pem\"\nkey = \"{folder}/server.key\"\n\
         client_ca = \"{folder}/ca.pem\"\n"
    );
    let gateway = TestGateway::start_with(Setup { more, ..Setup::default() }).await;

    let known = client(&ours, Some(certified(&ours, "laboratory")));
    let answered = answer(&gateway, &known, &oru("T1")).await.expect("the laboratory is known");
    assert_eq!(verdict(&answered), ("AA", "T1"));
    let strange = client(&ours, Some(certified(&theirs, "laboratory")));
    assert_eq!(answer(&gateway, &strange, &oru("T2")).await, None, "a certificate of another authority");
    assert_eq!(answer(&gateway, &client(&ours, None), &oru("T3")).await, None, "no certificate");
    let deceived = client(&theirs, Some(certified(&ours, "laboratory")));
    assert_eq!(answer(&gateway, &deceived, &oru("T4")).await, None, "the client does not trust the gateway");

    let mut plain = TcpStream::connect(gateway.mllps()).await.unwrap();
    plain.write_all(&frame(&oru("T5"))).await.unwrap();
    let mut received = Vec::new();
    let _reset_or_end = timeout(PATIENCE, plain.read_to_end(&mut received)).await.expect("it is let go");
    assert!(!String::from_utf8_lossy(&received).contains("MSA"), "no answer without TLS");

    // The plain listener still serves, and both know the same messages.
    let mut wire = Wire::connect(&gateway).await;
    let again = wire.ask(&oru("T1")).await;
    assert_eq!(
        format!("\u{b}{again}\u{1c}\r"),
        answered,
        "the same message by another door is the same message"
    );
    gateway.count(2);
    assert_eq!(gateway.kept().len(), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_names_its_certificates_hears_their_bearers_alone() {
    let files = tempfile::tempdir().unwrap();
    let ours = authority();
    let (certificate, key) = certified(&ours, "localhost");
    for (name, text) in [("server.pem", certificate), ("server.key", key), ("ca.pem", ours.pem())] {
        fs::write(files.path().join(name), text).unwrap();
    }
    let folder = files.path().display();
    let more = format!(
        "client_certificates = [\"CN=Oakmere Laboratory\", \"gateway.lab.example\"]\n\
         [inbound.mllps]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{folder}/server.pem\"\nkey = \"{folder}/server.key\"\n\
         client_ca = \"{folder}/ca.pem\"\n"
    );
    let gateway = TestGateway::start_with(Setup { more, ..Setup::default() }).await;
    let bearer = client(&ours, Some(certified(&ours, "gateway.lab.example")));
    let answered = answer(&gateway, &bearer, &oru("T1")).await.expect("the certificate is good");
    assert_eq!(verdict(&answered), ("AA", "T1"));
    let mut named = CertificateParams::new(Vec::new()).unwrap();
    named.distinguished_name.push(rcgen::DnType::CommonName, "Oakmere Laboratory");
    let key = KeyPair::generate().unwrap();
    let pem = named.signed_by(&key, &ours).unwrap().pem();
    let named = answer(&gateway, &client(&ours, Some((pem, key.serialize_pem()))), &oru("T1")).await;
    assert_eq!(named.expect("its subject is named"), answered);
    let other = client(&ours, Some(certified(&ours, "other.lab.example")));
    let refused = answer(&gateway, &other, &oru("T2")).await.expect("the certificate is good, for another");
    assert_eq!(verdict(&refused), ("AR", "T2"));
    assert_eq!(field(&refused, "ERR", 5), "H110");
    let mut wire = Wire::connect(&gateway).await;
    assert_eq!(verdict(&wire.ask(&oru("T3")).await), ("AR", "T3"), "without TLS there is no certificate");
    gateway.count(4);
    assert!(gateway.metrics().await.contains("gateway_sender_mismatches 2"), "the alarm counts");
    gateway.finish().await;
}
