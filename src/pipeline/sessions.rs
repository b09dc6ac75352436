//! Who is asking, and what they may do: sign-in, sessions, and permission as an argument.
//!
//! A token only names a session. Whether it lives, and which roles its person has, is read from the store at each
//! request, so that a revocation works from the reply on (R12). [`Clinician`] can be made by the
//! token check alone: a function that takes one cannot be called for anybody else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::audit;
use crate::clinical::model::Sensitive;
use crate::clinical::workflow::Roles;
use crate::clock::Clock;
use crate::pipeline::records::SessionId;
use crate::pipeline::records::UserId;
use crate::pipeline::records::case::Signed;
use crate::pipeline::records::person;
use crate::pipeline::records::person::Session;
use crate::pipeline::records::person::User;
use crate::security::passwords;
use crate::security::tokens;
use crate::security::tokens::Signer;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

/// Makes and checks sessions.
#[derive(Debug)]
pub struct Sessions {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    signer: Signer,
    life: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No, whatever the reason: the same answer for an unknown address, a wrong password and a dead session.
    #[error("there is no such session")]
    NotSignedIn,
    #[error("another role is needed for this")]
    Forbidden,
    #[error("the address already has an account")]
    AddressTaken,
    #[error("cannot use the password")]
    Password(#[source] passwords::Error),
    #[error("cannot use the session tokens")]
    Token(#[source] tokens::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A person whose session was found alive.
#[derive(Debug, Clone)]
pub struct Actor {
    pub user: UserId,
    pub session: SessionId,
    pub name: Sensitive<String>,
    pub clinic: String,
    pub roles: Roles,
}

/// A person who may read, edit, approve and release.
#[derive(Debug, Clone)]
pub struct Clinician(Actor);

impl Actor {
    /// The same person, if they are a clinician.
    pub fn clinician(self) -> Result<Clinician, Error> {
        if self.roles.clinician { Ok(Clinician(self)) } else { Err(Error::Forbidden) }
    }

    pub fn signed(&self, at: Timestamp) -> Signed {
        Signed { user: self.user, name: self.name.clone(), at }
    }
}

impl Clinician {
    pub const fn actor(&self) -> &Actor {
        &self.0
    }
}

/// A new account.
#[derive(Debug)]
pub struct NewUser<'a> {
    pub clinic: &'a str,
    pub email: &'a str,
    pub name: &'a str,
    pub roles: Roles,
    pub password: &'a str,
}

impl Sessions {
    /// Reads the signing key, or makes it.
    pub async fn open(store: Arc<Store>, clock: Arc<dyn Clock>, life: Duration) -> Result<Self, Error> {
        let key = store.secret("session tokens", Signer::generate).await?;
        let signer = Signer::from_pkcs8(&key).map_err(Error::Token)?;
        Ok(Self { store, clock, signer, life })
    }

    /// Opens a session for an address and its password.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<(String, Timestamp), Error> {
        let user = person::by_email(&self.store, email)?.filter(|user| user.active);
        let stored = user.as_ref().map(|user| user.password.expose().clone());
        let password = password.to_owned();
        let is_right = tokio::task::spawn_blocking(move || {
            if let Some(stored) = stored {
                return passwords::verify(&password, &stored);
            }
            passwords::verify_nobody(&password);
            Ok(false)
        })
        .await
        .expect("checking a password does not panic")
        .map_err(Error::Password)?;
        let now = self.clock.now();
        let Some(user) = user.filter(|_| is_right) else {
            let mut change = Change::new();
            change.audit(audit::Entry::new(now, "nobody", "session.refused", "session"));
            self.store.commit(change).await?;
            return Err(Error::NotSignedIn);
        };
        let id = SessionId(self.clock.new_id());
        let names = tokens::Session {
            user: user.id.to_string(),
            session: id.to_string(),
            clinic: user.clinic.clone(),
        };
        let (token, expires_at) = self.signer.issue(names, now, self.life).map_err(Error::Token)?;
        let mut change = Change::new();
        Session { user: user.id, expires_at }.put(&mut change, id);
        change.audit(
            audit::Entry::new(now, user.id.to_string(), "session.opened", id.to_string())
                .of_clinic(user.clinic),
        );
        self.store.commit(change).await?;
        Ok((token, expires_at))
    }

    /// The person behind a token, if their session lives and they are still active.
    pub fn check(&self, token: &str) -> Result<Actor, Error> {
        let now = self.clock.now();
        let claimed = self.signer.verify(token, now).map_err(|_| Error::NotSignedIn)?;
        let id: SessionId = claimed.session.parse().map_err(|_| Error::NotSignedIn)?;
        let session =
            person::session(&self.store, id)?.filter(|it| it.expires_at > now).ok_or(Error::NotSignedIn)?;
        let user =
            person::load(&self.store, session.user)?.filter(|user| user.active).ok_or(Error::NotSignedIn)?;
        if user.id.to_string() != claimed.user {
            return Err(Error::NotSignedIn);
        }
        Ok(Actor { user: user.id, session: id, name: user.name, clinic: user.clinic, roles: user.roles })
    }

    /// Ends a session; from the return on, its token is refused.
    pub async fn end(&self, actor: &Actor) -> Result<(), Error> {
        let mut change = Change::new();
        change.delete(Table::Sessions, &actor.session.key());
        change.audit(
            audit::Entry::new(
                self.clock.now(),
                actor.user.to_string(),
                "session.ended",
                actor.session.to_string(),
            )
            .of_clinic(actor.clinic.clone()),
        );
        self.store.commit(change).await?;
        Ok(())
    }
}

/// Gives a person an account. Takes most of a second, for the password's hash.
pub async fn add_user(store: &Store, clock: &dyn Clock, new: NewUser<'_>) -> Result<UserId, Error> {
    let id = UserId(clock.new_id());
    let password = new.password.to_owned();
    let hash = tokio::task::spawn_blocking(move || passwords::hash(&password))
        .await
        .expect("hashing a password does not panic")
        .map_err(Error::Password)?;
    let user = User {
        id,
        clinic: new.clinic.to_owned(),
        email: new.email.to_owned().into(),
        name: new.name.to_owned().into(),
        roles: new.roles,
        password: hash.into(),
        active: true,
    };
    let mut change = Change::new();
    user.insert(&mut change);
    change.audit(
        audit::Entry::new(clock.now(), "operator", "user.added", id.to_string())
            .of_clinic(new.clinic.to_owned()),
    );
    match store.commit(change).await {
        Ok(_) => Ok(id),
        Err(store::Error::Conflict { .. }) => Err(Error::AddressTaken),
        Err(error) => Err(error.into()),
    }
}
