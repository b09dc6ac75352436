//! The key by which clients know the gateway.

use std::fmt;

use aws_lc_rs::rand;
use russh::keys::Algorithm;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use zeroize::Zeroizing;

use crate::inbound::sftp::accounts::KeyError;
use crate::store;
use crate::store::Store;
use crate::store::Table;

/// The name of the gateway's own key among the secrets of the store.
const SECRET: &str = "sftp host key";
const SEED_BYTES: usize = 32;

/// A host key; it shows its public half only.
#[derive(Clone)]
pub struct HostKey(PrivateKey);

impl HostKey {
    /// An OpenSSH private key without a passphrase.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let key = PrivateKey::from_openssh(text).map_err(|_| KeyError::NotAKey)?;
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } if !key.is_encrypted() => Ok(Self(key)),
            _ => Err(KeyError::Kind),
        }
    }

    /// The gateway's own: Ed25519, made at first start, sealed in the store.
    pub(super) async fn own(store: &Store) -> Result<Self, store::Error> {
        let make = || {
            let mut seed = Zeroizing::new(vec![0; SEED_BYTES]);
            rand::fill(&mut seed).expect("the system has random bytes");
            seed
        };
        let seed = store.secret(SECRET, make).await?;
        let seed: &[u8; SEED_BYTES] =
            seed.as_slice().try_into().map_err(|_| store::Error::Damaged { table: Table::Secrets })?;
        Ok(Self(PrivateKey::from(Ed25519Keypair::from_seed(seed))))
    }

    /// The public half, as clients write it in their list of known hosts.
    pub(super) fn public(&self) -> String {
        self.0.public_key().to_openssh().unwrap_or_default()
    }

    pub(super) fn into_inner(self) -> PrivateKey {
        self.0
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HostKey({})", self.public())
    }
}
