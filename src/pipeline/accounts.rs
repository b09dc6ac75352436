//! The clinics' Cliniko accounts: one client for each, made when first needed and shared by all who talk to it, so
//! that the rate allowance is shared too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::clock::Clock;
use crate::outbound::cliniko;
use crate::outbound::cliniko::Client;
use crate::outbound::cliniko::Key;
use crate::pipeline::records::clinic;
use crate::pipeline::records::clinic::Clinic;
use crate::store;
use crate::store::Store;

#[derive(Debug, Clone)]
pub struct Config {
    /// `Vendor (contact@example.org)`.
    pub user_agent: String,
    pub rate_per_minute: u32,
    /// Shards that may be talked to.
    pub shards: Vec<String>,
    /// The longest life of a request (R7).
    pub request_life: Duration,
    /// How long two look-ups that find nothing must lie apart (R7).
    pub settle: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the clinic has not been added")]
    NotAdded,
    #[error("the clinic's Cliniko key cannot be used")]
    Key(#[source] cliniko::BadKey),
    #[error("the clinic's Cliniko account cannot be reached as configured")]
    Client(#[source] cliniko::BadConfig),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A clinic with the client of its account.
#[derive(Debug, Clone)]
pub struct Account {
    pub clinic: Clinic,
    pub client: Client,
}

#[derive(Debug)]
pub struct Accounts {
    config: Config,
    clock: Arc<dyn Clock>,
    clients: Mutex<HashMap<String, Account>>,
}

impl Accounts {
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock, clients: Mutex::default() }
    }

    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The account of a clinic, as it is configured now.
    pub fn account(&self, store: &Store, name: &str) -> Result<Account, Error> {
        let clinic = clinic::load(store, name)?.ok_or(Error::NotAdded)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = clients.get(name).filter(|account| account.clinic == clinic) {
            return Ok(account.clone());
        }
        let account = Account { client: self.client(&clinic)?, clinic };
        clients.insert(name.to_owned(), account.clone());
        Ok(account)
    }

    /// A client that gives up before its request has outlived what recovery waits for.
    fn client(&self, clinic: &Clinic) -> Result<Client, Error> {
        let key = Key::parse(clinic.cliniko_key.expose(), &self.config.shards).map_err(Error::Key)?;
        let defaults = cliniko::Config::default();
        let life_ms = u32::try_from(self.config.request_life.as_millis()).unwrap_or(u32::MAX);
        let config = cliniko::Config {
            dangerous_base_url: clinic.dangerous_cliniko_url.clone(),
            user_agent: self.config.user_agent.clone(),
            rate_per_minute: u16::try_from(self.config.rate_per_minute).unwrap_or(u16::MAX),
            connect_timeout_ms: defaults.connect_timeout_ms.min(life_ms / 6),
            request_timeout_ms: defaults.request_timeout_ms.min(life_ms / 12 * 7),
            ..defaults
        };
        Client::new(config, key, Arc::clone(&self.clock)).map_err(Error::Client)
    }
}
