//! People who sign in, and their sessions.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Sensitive;
use crate::clinical::workflow::Roles;
use crate::pipeline::records::SessionId;
use crate::pipeline::records::UserId;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

/// A person with an account in one clinic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub clinic: String,
    pub email: Sensitive<String>,
    /// As it stands on documents, with the registration where there is one.
    pub name: Sensitive<String>,
    pub roles: Roles,
    /// An argon2id string.
    pub password: Sensitive<String>,
    pub active: bool,
}

impl User {
    /// Adds a new user; a conflict if the address already has an account.
    pub fn insert(&self, change: &mut Change) {
        let key = self.id.key();
        change.index_unique(Table::Users, &key, &Scope::Gateway, Field::Email, self.email.expose());
        self.put(change);
    }

    pub fn put(&self, change: &mut Change) {
        change.put_sealed(Table::Users, &self.id.key(), &Scope::Gateway, encode(self));
    }
}

pub fn load(store: &Store, id: UserId) -> Result<Option<User>, store::Error> {
    let row = store.get_sealed(Table::Users, &id.key(), &Scope::Gateway)?;
    row.map(|row| decode(Table::Users, &row)).transpose()
}

pub fn by_email(store: &Store, email: &str) -> Result<Option<User>, store::Error> {
    let keys = store.find(Table::Users, &Scope::Gateway, Field::Email, email)?;
    let Some(id) = keys.first().and_then(|key| UserId::try_from(key.as_slice()).ok()) else {
        return Ok(None);
    };
    load(store, id)
}

/// One sign-in; deleting the row ends it at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub user: UserId,
    pub expires_at: Timestamp,
}

impl Session {
    pub fn put(&self, change: &mut Change, id: SessionId) {
        change.put_plain(Table::Sessions, &id.key(), encode(self));
    }
}

pub fn session(store: &Store, id: SessionId) -> Result<Option<Session>, store::Error> {
    let row = store.get_plain(Table::Sessions, &id.key())?;
    row.map(|row| decode(Table::Sessions, &row)).transpose()
}
