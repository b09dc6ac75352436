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
use x509_parser::prelude::FromDer;
use x509_parser::prelude::GeneralName;
use x509_parser::prelude::X509Certificate;

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
    let Some((_, certificate)) = leaf.and_then(|it| X509Certificate::from_der(it).ok()) else {
        return Vec::new();
    };
    let common = certificate.subject().iter_common_name().filter_map(|it| it.as_str().ok());
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative = alternative.iter().flat_map(|it| &it.value.general_names).filter_map(|it| match it {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    common.chain(alternative).map(str::to_owned).collect()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let problem = |source| Error::TlsFile { file: file.to_owned(), source };
    CertificateDer::pem_file_iter(file).map_err(problem)?.collect::<Result<_, _>>().map_err(problem)
}
