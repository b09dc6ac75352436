//! The demonstration's feeds beside MLLP, and what its laboratory shows at each: drawn anew for every run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws_lc_rs::hmac;
use hyper::header::HeaderName;
use russh::keys::PrivateKey;
use russh::keys::PublicKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use zeroize::Zeroizing;

use crate::app;
use crate::cli::demo::messages::By;
use crate::cli::send::door::Door;
use crate::cli::send::http::Credentials;
use crate::cli::send::http::Signature;
use crate::cli::send::sftp::Manner;
use crate::clock::Clock;
use crate::outbound::sftp::Credential;
use crate::outbound::sftp::HostKey;
use crate::outbound::sftp::Login;
use crate::pipeline::hex;

pub(super) const JSON: &str = "demo-json";
pub(super) const SFTP: &str = "demo-sftp";
/// The file of the SFTP server's key.
pub(super) const HOST_KEY: &str = "host_key";
const TOKEN: &str = "fhir.token";
const SECRET: &str = "json.secret";
const SIGNATURE: &str = "x-demo-signature";
const RECEIPT: Duration = Duration::from_secs(30);

/// The secrets that laboratory and gateway share.
pub(super) struct Feeds {
    token: Zeroizing<String>,
    secret: Zeroizing<String>,
    host_key: Arc<PrivateKey>,
    lab_key: Arc<PrivateKey>,
}

impl Feeds {
    pub(super) fn drawn(clock: &dyn Clock) -> Self {
        let bytes = || {
            let mut drawn = Zeroizing::new([0; 32]);
            clock.fill_random(drawn.as_mut());
            drawn
        };
        let text = || Zeroizing::new(hex(bytes().as_ref()));
        let key = || Arc::new(PrivateKey::from(Ed25519Keypair::from_seed(&bytes())));
        Self { token: text(), secret: text(), host_key: key(), lab_key: key() }
    }

    /// The files that the configuration refers to.
    pub(super) fn secrets(&self) -> [(&'static str, Zeroizing<String>); 3] {
        let host_key = self.host_key.to_openssh(LineEnding::LF).unwrap_or_default();
        [(TOKEN, self.token.clone()), (SECRET, self.secret.clone()), (HOST_KEY, host_key)]
    }

    /// The feeds, as an operator writes them below the laboratory.
    pub(super) fn toml(&self) -> String {
        let key = line(self.lab_key.public_key());
        format!(
            r#"[[lab.feed]]
name = "demo-fhir"
kind = "fhir"
mapping = "standard-fhir"
bearer = {{ file = "{TOKEN}" }}
[[lab.feed]]
name = "{SFTP}"
kind = "sftp"
ssh_keys = ["{key}"]
take = "rename"
[[lab.feed]]
name = "{JSON}"
kind = "http"
mapping = "json-aggregator"
[lab.feed.hmac]
secret = {{ file = "{SECRET}" }}
header = "{SIGNATURE}"
"#
        )
    }

    /// The laboratory's way to a door that is not MLLP.
    pub(super) fn door(&self, by: By, gateway: &app::Running) -> anyhow::Result<Door> {
        let http = |path: &str, credentials| {
            Door::http(&format!("http://{}{path}", gateway.http), credentials).map_err(anyhow::Error::msg)
        };
        match by {
            By::Fhir => {
                http("/fhir", Credentials { bearer: Some(self.token.clone()), ..Credentials::default() })
            }
            By::Json => {
                let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes()));
                let signature = Signature { header: HeaderName::from_static(SIGNATURE), key };
                let credentials = Credentials { signature: Some(signature), ..Credentials::default() };
                http(&format!("/inbound/{JSON}"), credentials)
            }
            By::Mllp => anyhow::bail!("MLLP is spoken by the simulated laboratory itself"),
            By::Sftp => {
                let address = gateway.sftp.context("the gateway has no SFTP listener")?;
                let login = Login {
                    address: address.to_string(),
                    user: SFTP.to_owned(),
                    host_key: HostKey::Key(Box::new(self.host_key.public_key().clone())),
                    credential: Credential::Key(Arc::clone(&self.lab_key)),
                };
                Ok(Door::Sftp(Manner { login, folder: String::new(), marker: None, wait: RECEIPT }))
            }
        }
    }
}

/// A public key as configurations name it.
fn line(key: &PublicKey) -> String {
    key.to_openssh().unwrap_or_default()
}
