//! The ways laboratories send: which sender belongs to which feed, and what that feed takes.

pub mod figures;
pub mod silence;

use std::sync::Arc;
use std::time::Duration;

/// One configured way a laboratory sends, bound to one mapping and one or more clinics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    pub lab: String,
    pub name: String,
    pub door: Door,
    /// The mapping folder under `labs/`.
    pub mapping: String,
    pub clinics: Vec<String>,
    pub senders: Senders,
    /// MSH-11 values this feed takes (table 0103).
    pub processing_ids: Vec<String>,
    pub on_store_failure: OnStoreFailure,
    /// How long it may say nothing before an operator hears of it.
    pub silence_alert: Option<Duration>,
    pub control_ids: ControlIds,
    pub application_acks: ApplicationAcks,
    /// Over TLS: the names of which the sender's certificate must bear one. Empty: any that the authority vouches for.
    pub client_certificates: Vec<String>,
    /// Which clinic a report goes to, where the laboratory serves several.
    pub routes: Vec<Route>,
}

/// What tells a clinic's reports from those of the laboratory's other clinics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub clinic: String,
    /// The clinic's numbers with the laboratory, as reports bear them.
    pub accounts: Vec<String>,
    /// The clinic's names as a receiver (MSH-6).
    pub facilities: Vec<String>,
}

impl Route {
    fn fits(&self, account: Option<&str>, facility: Option<&str>) -> bool {
        let names =
            |list: &[String], sent: Option<&str>| sent.is_some_and(|it| list.iter().any(|name| name == it));
        names(&self.accounts, account) || names(&self.facilities, facility)
    }
}

impl Feed {
    /// The one clinic whose routes fit; none where none does, or several do.
    pub fn routed(&self, account: Option<&str>, facility: Option<&str>) -> Option<&str> {
        let mut fitting = self.routes.iter().filter(|route| route.fits(account, facility));
        let clinic = fitting.next()?.clinic.as_str();
        fitting.all(|route| route.clinic == clinic).then_some(clinic)
    }
}

/// Where enhanced mode's second answer goes, for messages whose MSH-16 asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationAcks {
    /// The laboratory's own MLLP listener, as `HOST:PORT`.
    Address(String),
    /// Nowhere after the mapping: what can be said is said at once.
    None,
    /// The connection the message came by, while it is open.
    SameConnection,
}

/// Whether a control id names one message of a feed (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlIds {
    /// It does: the same id with other content is a conflict.
    Unique,
    /// The laboratory's counter starts again, such as every day: the content names a message.
    Repeating,
}

/// By which of our faces a feed comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Fhir,
    Http,
    Mllp,
    Sftp,
    /// A server of the laboratory's, from which we fetch.
    SftpPoll,
}

/// Whose messages a feed takes, by MSH-3 and MSH-4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Senders {
    /// Anybody's; the configuration allows it on loopback listeners only.
    Any,
    /// `APPLICATION|FACILITY`, each by its first component.
    Named(Vec<String>),
}

impl Senders {
    /// Whether a message may claim to be from this `APPLICATION|FACILITY`.
    pub fn allow(&self, sender: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named(names) => names.iter().any(|name| name == sender),
        }
    }
}

/// What a sender hears when the store cannot be written. Never a positive acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// `AE` with table 0357 code 207, then the connection closes.
    Error,
    /// `AR` with the same, then the connection closes.
    Reject,
    /// The connection closes without a word.
    Close,
}

/// All feeds, in the order configured.
#[derive(Debug, Clone, Default)]
pub struct Feeds(Vec<Arc<Feed>>);

impl Feeds {
    pub const fn new(feeds: Vec<Arc<Feed>>) -> Self {
        Self(feeds)
    }

    /// The MLLP feed that names this sender; else the first that takes anybody.
    pub fn for_sender(&self, sender: &str) -> Option<&Arc<Feed>> {
        let mllp = || self.0.iter().filter(|feed| feed.door == Door::Mllp);
        let named = |feed: &&Arc<Feed>| feed.senders != Senders::Any && feed.senders.allow(sender);
        mllp().find(named).or_else(|| mllp().find(|feed| feed.senders == Senders::Any))
    }

    /// The feed of this name, for a message kept earlier.
    pub fn named(&self, name: &str) -> Option<&Arc<Feed>> {
        self.0.iter().find(|feed| feed.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Feed>> {
        self.0.iter()
    }
}
