//! TLS for MLLP: rustls with aws-lc-rs, TLS 1.2 and 1.3, and no client without a certificate of the named authority.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsAcceptor;

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

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let problem = |source| Error::TlsFile { file: file.to_owned(), source };
    CertificateDer::pem_file_iter(file).map_err(problem)?.collect::<Result<_, _>>().map_err(problem)
}
