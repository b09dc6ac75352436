//! Who may sign in: each SFTP feed by its own name, or by its laboratory's, with one of its keys.

use std::sync::Arc;

use russh::keys::Algorithm;
use russh::keys::PublicKey;

use crate::pipeline::feeds::Feed;
use crate::pipeline::inbox::Rule;

/// A feed with its keys, and the rule by which its files are taken.
#[derive(Debug, Clone)]
pub struct Account {
    pub feed: Arc<Feed>,
    pub keys: Vec<PublicKey>,
    pub rule: Rule,
}

/// Why a line is no key that can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is not a public key in OpenSSH's form")]
    NotAKey,
    /// RSA among them: the library for it has a flaw without a mend (RUSTSEC-2023-0071), so it is not built in.
    #[error("keys of its kind are not taken")]
    Kind,
}

/// A line such as `ssh-ed25519 AAAA… name`.
pub fn parse_key(text: &str) -> Result<PublicKey, KeyError> {
    let key = PublicKey::from_openssh(text.trim()).map_err(|_| KeyError::NotAKey)?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(key),
        _ => Err(KeyError::Kind),
    }
}

#[derive(Debug)]
pub(super) struct Accounts(Vec<Arc<Account>>);

impl Accounts {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        Self(accounts.into_iter().map(Arc::new).collect())
    }

    /// The account of a user with a key. A laboratory's name serves where it leads to one feed only.
    pub(super) fn find(&self, user: &str, key: &PublicKey) -> Option<&Arc<Account>> {
        let has_key = |it: &&Arc<Account>| it.keys.iter().any(|known| known.key_data() == key.key_data());
        let by_feed = self.0.iter().find(|it| it.feed.name == user);
        if let Some(account) = by_feed {
            return Some(account).filter(has_key);
        }
        let mut of_lab = self.0.iter().filter(|it| it.feed.lab == user).filter(has_key);
        of_lab.next().filter(|_| of_lab.next().is_none())
    }
}
