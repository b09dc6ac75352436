//! A connection to a receiver, plain or with TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::cli::send::target::Target;

const CONNECT: Duration = Duration::from_secs(10);

/// How TLS is spoken.
pub(crate) type Tls = Arc<ClientConfig>;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// TLS with the authority that must have signed the receiver, and our own certificate where there is one.
pub(super) fn tls(ca: Option<&Path>, own: Option<(&Path, &Path)>) -> anyhow::Result<Tls> {
    let ca = ca.context("TLS needs --ca: the authority that signed the receiver's certificate")?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).with_context(|| format!("`{}` is no authority", ca.display()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be used")?
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let private = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("cannot use `{}`", key.display()))?;
            config
                .with_client_auth_cert(certificates(certificate)?, private)
                .context("cannot use our certificate")?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let cannot = || format!("cannot use `{}`", file.display());
    CertificateDer::pem_file_iter(file).with_context(cannot)?.collect::<Result<_, _>>().with_context(cannot)
}

/// Connects, and shakes hands where TLS is spoken.
pub(super) async fn open(target: &Target, tls: Option<&Tls>) -> io::Result<Box<dyn Stream>> {
    timeout(CONNECT, connect(target, tls)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn connect(target: &Target, tls: Option<&Tls>) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
}
