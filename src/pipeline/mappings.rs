//! The mappings that serve: compiled together, swapped as a whole, each remembered under its digest before it reads.
//!
//! Whoever reads a message, prepares a case or plans calls takes [`Mappings::now`] once and works with that to the end.
//! What does not compile never serves: [`reload`] keeps what is there and says why. Where the files come from is told
//! by whoever starts the gateway; nothing here knows the file system.

mod compiled;
pub mod pairing;
mod reload;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::clinical::mapping::Catalog;
use crate::diagnostic::Diagnostic;
use crate::pipeline::records::mapping;
use crate::pipeline::records::mapping::Remembering;
use crate::store;
use crate::store::Change;
use crate::store::Store;

pub use self::compiled::Compiled;
pub use self::reload::Reloaded;
pub use self::reload::Swap;
pub use self::reload::reload;

/// The texts of the mappings folder, by their names below it.
pub type Files = BTreeMap<String, String>;

/// Where the files come from: a folder, or without one the binary.
#[derive(Debug, Clone)]
pub struct Source {
    pub directory: Option<PathBuf>,
    pub read: fn(Option<&Path>) -> Result<Files, Vec<Diagnostic>>,
}

impl Source {
    /// The files as they are now.
    ///
    /// # Errors
    /// Every folder or file that cannot be read.
    pub fn files(&self) -> Result<Files, Vec<Diagnostic>> {
        (self.read)(self.directory.as_deref())
    }
}

/// One state of the folder that compiled, and since when each part of it serves.
#[derive(Debug)]
pub struct Loaded {
    pub compiled: Arc<Compiled>,
    pub files: Files,
    pub at: Timestamp,
    /// By the part's place in the folder.
    pub parts: BTreeMap<String, Part>,
}

/// A laboratory's mapping, the knowledge, or the calls to Cliniko.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub digest: String,
    /// When this digest began to serve.
    pub since: Timestamp,
}

impl Loaded {
    /// Compiles the files; a part that is as it was has served since it did.
    ///
    /// # Errors
    /// Every problem of every file, at once.
    pub fn compile(
        files: Files,
        now: Timestamp,
        before: Option<&BTreeMap<String, Part>>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let compiled = Compiled::compile(&files)?;
        let part = |(name, digest): (String, String)| {
            let same = before.and_then(|it| it.get(&name)).filter(|it| it.digest == digest);
            let since = same.map_or(now, |it| it.since);
            (name, Part { digest, since })
        };
        let parts = compiled.digests(&files).into_iter().map(part).collect();
        Ok(Self { compiled: Arc::new(compiled), files, at: now, parts })
    }

    /// The names of the files that are otherwise in `files`: changed, new or gone.
    pub fn differs<'a>(&'a self, files: &'a Files) -> Vec<&'a str> {
        let changed = files.iter().filter(|(name, text)| self.files.get(*name) != Some(text));
        let gone = self.files.keys().filter(|name| !files.contains_key(*name));
        let mut names: Vec<&str> = changed.map(|(name, _)| name).chain(gone).map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// Why the files of now do not serve.
#[derive(Debug, Clone)]
pub struct Failure {
    pub at: Timestamp,
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Clone)]
struct Standing {
    loaded: Arc<Loaded>,
    failure: Option<Arc<Failure>>,
}

/// What serves, and where the next comes from.
#[derive(Debug)]
pub struct Mappings {
    source: Source,
    standing: RwLock<Standing>,
    /// One reload at a time.
    turn: Mutex<()>,
}

impl Mappings {
    pub fn new(source: Source, loaded: Loaded) -> Self {
        let standing = RwLock::new(Standing { loaded: Arc::new(loaded), failure: None });
        Self { source, standing, turn: Mutex::new(()) }
    }

    /// What serves now: for one message or one case, from its beginning to its end.
    pub fn now(&self) -> Arc<Compiled> {
        self.loaded().compiled.clone()
    }

    pub fn loaded(&self) -> Arc<Loaded> {
        self.standing().loaded
    }

    /// Why the files of now do not serve, where they do not.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.standing().failure
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    fn standing(&self) -> Standing {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stand(&self, standing: Standing) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

/// What the store does not remember yet of these mappings, to be committed before any of them reads a message.
pub fn remembering(
    store: &Store,
    now: Timestamp,
    catalog: &Catalog,
    files: &Files,
) -> Result<Change, store::Error> {
    let mut change = Change::new();
    for it in catalog.iter() {
        if mapping::load(store, it.digest())?.is_some() {
            continue;
        }
        if let Remembering::TooLarge { bytes } = mapping::remember(&mut change, now, it, files) {
            tracing::warn!(lab = it.lab(), bytes, "a mapping is too large to be remembered");
        }
    }
    Ok(change)
}

#[cfg(test)]
mod tests;
