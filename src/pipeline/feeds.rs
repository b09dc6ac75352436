//! The ways laboratories send: which sender belongs to which feed, and what that feed takes.

use std::sync::Arc;

/// One configured way a laboratory sends, bound to one mapping and one or more clinics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    pub lab: String,
    pub name: String,
    /// The mapping folder under `labs/`.
    pub mapping: String,
    pub clinics: Vec<String>,
    pub senders: Senders,
    /// MSH-11 values this feed takes (table 0103).
    pub processing_ids: Vec<String>,
    pub on_store_failure: OnStoreFailure,
}

/// Whose messages a feed takes, by MSH-3 and MSH-4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Senders {
    /// Anybody's; the configuration allows it on loopback listeners only.
    Any,
    /// `APPLICATION|FACILITY`, each by its first component.
    Named(Vec<String>),
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

    /// The feed that names this sender; else the first that takes anybody.
    pub fn for_sender(&self, sender: &str) -> Option<&Arc<Feed>> {
        let named = |feed: &&Arc<Feed>| match &feed.senders {
            Senders::Any => false,
            Senders::Named(names) => names.iter().any(|name| name == sender),
        };
        self.0.iter().find(named).or_else(|| self.0.iter().find(|feed| feed.senders == Senders::Any))
    }

    /// The feed of this name, for a message kept earlier.
    pub fn named(&self, name: &str) -> Option<&Arc<Feed>> {
        self.0.iter().find(|feed| feed.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Feed>> {
        self.0.iter()
    }
}
