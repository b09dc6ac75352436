//! TLS for MLLP: rustls with aws-lc-rs, TLS 1.2 and 1.3, and no client without a certificate of the named authority.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsAcceptor;
use webpki::EndEntityCert;

use crate::inbound::mllp::Error;
use crate::inbound::mllp::Tls;

pub(super) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut authority = RootCertStore::empty();
    for certificate in certificates(&tls.client_ca)? {
        authority.add(certificate).map_err(Error::Certificates)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority), Arc::clone(&provider))
        .build()
        .map_err(Error::ClientAuthority)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|source| Error::TlsFile { file: tls.key.clone(), source })?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Certificates)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&tls.certificate)?, key)
        .map_err(Error::Certificates)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The names a client's certificate bears: its subject's common name, and its DNS names. The certificate was checked
/// against the authority already; what cannot be read bears no name.
pub(super) fn client_names(connection: &ServerConnection) -> Vec<String> {
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    let Some(certificate) = leaf.and_then(|it| EndEntityCert::try_from(it).ok()) else { return Vec::new() };
    let common = common_names(certificate.subject());
    common.chain(certificate.valid_dns_names().map(str::to_owned)).collect()
}

/// The common names (2.5.4.3) of a subject: a list of sets of pairs of type and text (RFC 5280 §4.1.2.4).
fn common_names(subject: &[u8]) -> impl Iterator<Item = String> {
    const SEQUENCE: u8 = 0x30;
    const SET: u8 = 0x31;
    const COMMON_NAME: (u8, &[u8]) = (0x06, &[0x55, 0x04, 0x03]);
    let within = |tag: u8, bytes| elements(bytes).filter(move |(it, _)| *it == tag).map(|(_, inside)| inside);
    let pairs = within(SET, subject).flat_map(move |set| within(SEQUENCE, set));
    pairs.filter_map(|pair| {
        let mut parts = elements(pair);
        let is_common = parts.next()? == COMMON_NAME;
        let (_, text) = parts.next().filter(|_| is_common)?;
        String::from_utf8(text.to_vec()).ok()
    })
}

/// The elements of some DER, each as its tag and what is inside, up to the first that is not whole.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short @ 0..=0x7F => (usize::from(short), rest),
            // A subject is far shorter than what two bytes can count.
            0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
            0x82 => {
                rest.split_first_chunk().map(|(&length, rest)| (u16::from_be_bytes(length).into(), rest))?
            }
            _ => return None,
        };
        let (inside, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        Some((tag, inside))
    })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let problem = |source| Error::TlsFile { file: file.to_owned(), source };
    CertificateDer::pem_file_iter(file).map_err(problem)?.collect::<Result<_, _>>().map_err(problem)
}
