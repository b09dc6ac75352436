//! One look at a laboratory's folder: take what is whole, then archive or delete what was taken.
//!
//! The order for each file is: read, keep its messages, remember the file, write the receipt, move or delete. Each step
//! finds in the store or on the server how far an earlier look came, so it may break off between any two.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::diagnostic::Code;
use crate::inbound::sftp_poll::After;
use crate::inbound::sftp_poll::Config;
use crate::inbound::sftp_poll::Take;
use crate::inbound::sftp_poll::choose;
use crate::inbound::sftp_poll::choose::Watch;
use crate::outbound::sftp::ENTRIES_MAX;
use crate::outbound::sftp::Entry;
use crate::outbound::sftp::Error as ServerError;
use crate::outbound::sftp::Server;
use crate::pipeline::fetches;
use crate::pipeline::fetches::Fetches;
use crate::pipeline::fetches::Seen;
use crate::pipeline::records::fetched::Fetched;
use crate::pipeline::records::fetched::FetchedKey;
use crate::pipeline::sha256_hex;
use crate::store;
use crate::telemetry::Chain;

/// A file that was taken and cannot be moved or deleted; it was compared with what was read before.
const NOT_CLEARED: Code = Code::new("S158");
/// Servers tell times by the second, some by every other. What was seen so long ago with one time and has it still is
/// changed under another.
const SETTLES: Duration = Duration::from_secs(2);
/// Most files that one look takes; the next look follows at once.
const FILES_PER_LOOK_MAX: usize = 1_000;

/// Why a look broke off. What it had taken by then is taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the laboratory's server cannot be used")]
    Server(#[from] ServerError),
    #[error("the gateway's store cannot be used")]
    Store(#[from] store::Error),
    #[error("a file was read and not taken")]
    NotTaken(#[from] fetches::Error),
}

impl Error {
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Server(error) => error.code(),
            Self::Store(_) | Self::NotTaken(_) => Code::new("S101"),
        }
    }
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more than one look may take.
    AtOnce,
    /// A file waits until it has been unchanged for long enough.
    WhenStable,
    /// In the feed's own time.
    InTurn,
}

/// What one run of the gateway knows of a folder from look to look.
#[derive(Debug)]
pub(super) struct Looker {
    config: Config,
    fetches: Fetches,
    watch: Watch,
    /// What was said of a file already, so that it is not said again at every look.
    told: BTreeMap<FetchedKey, Code>,
    is_told_of_folder: bool,
}

impl Looker {
    pub(super) fn new(config: Config, fetches: Fetches) -> Self {
        Self { config, fetches, watch: Watch::default(), told: BTreeMap::new(), is_told_of_folder: false }
    }

    /// Connects, looks, and leaves.
    pub(super) async fn look(&mut self) -> Result<Next, Error> {
        let server = Server::connect(&self.config.login).await?;
        let next = self.look_at(&server).await;
        server.leave().await;
        next
    }

    async fn look_at(&mut self, server: &Server) -> Result<Next, Error> {
        let listing = server.list(&self.config.folder).await?;
        self.tell_of_folder(listing.is_whole, listing.unusable).await?;
        let names: BTreeSet<&str> = listing.files.iter().map(|it| it.name.as_str()).collect();
        let mut files: Vec<&Entry> =
            listing.files.iter().filter(|it| choose::is_ours(&self.config, &it.name)).collect();
        files.sort_by(|a, b| (a.modified_at, &a.name).cmp(&(b.modified_at, &b.name)));
        let mut known = self.fetches.known()?;
        for (key, fetched) in &mut known {
            self.write_receipt(server, *key, fetched).await?;
        }
        let (mut present, mut taken, mut next) = (BTreeSet::new(), 0, Next::InTurn);
        for file in files {
            let path = below(&self.config.folder, &file.name);
            let seen = Seen { path: &path, bytes: file.bytes, modified_at: file.modified_at };
            let key = self.fetches.key(seen).await?;
            present.insert(key);
            if let Some(fetched) = known.get(&key) {
                if self.is_still_there(server, file, key, fetched).await? {
                    self.clear_away(server, file, key, fetched, &names).await?;
                }
            } else if !self.is_marked(file, &names) {
                // The laboratory will say when it is whole.
            } else if !self.is_whole(file) {
                next = if next == Next::InTurn { Next::WhenStable } else { next };
            } else if taken == FILES_PER_LOOK_MAX {
                next = Next::AtOnce;
            } else if let Some(mut fetched) = self.take(server, file, key).await? {
                taken += 1;
                self.write_receipt(server, key, &mut fetched).await?;
                self.clear_away(server, file, key, &fetched, &names).await?;
            }
        }
        self.forget(&known, &present, &names, listing.is_whole).await?;
        Ok(next)
    }

    /// Whether a file has its marker, where the feed asks for one.
    fn is_marked(&self, file: &Entry, names: &BTreeSet<&str>) -> bool {
        match &self.config.take {
            Take::Any | Take::Renamed => true,
            Take::Marked { suffix } => names.contains(format!("{}{suffix}", file.name).as_str()),
        }
    }

    /// Whether the laboratory has finished a file, as far as can be seen from its size and time.
    fn is_whole(&mut self, file: &Entry) -> bool {
        let now = self.fetches.pipeline().clock.monotonic();
        self.config.take == Take::Renamed || self.watch.is_stable(file, now, self.config.stable)
    }

    /// Reads a file and keeps it; none where it is left for a later look.
    async fn take(
        &mut self,
        server: &Server,
        file: &Entry,
        key: FetchedKey,
    ) -> Result<Option<Fetched>, Error> {
        let path = below(&self.config.folder, &file.name);
        let settled = self.watch.age(file, self.fetches.pipeline().clock.monotonic()) >= SETTLES;
        let raw = match server.read(&path, file, self.config.file_bytes_max).await {
            Ok(Some(raw)) => raw,
            Ok(None) => {
                tracing::info!(
                    feed = self.fetches.feed(),
                    file = fetches::label(key),
                    "left a file that changes"
                );
                self.watch.changed(&file.name);
                return Ok(None);
            }
            Err(error) if error.concerns_one_file() => {
                self.complain(key, file, error.code(), &error).await?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let receipt_of = self.config.receipts_folder.is_some().then_some(file.name.as_str());
        let fetched = self.fetches.take(key, &raw.into(), receipt_of, settled).await?;
        tracing::info!(
            feed = self.fetches.feed(),
            file = fetches::label(key),
            bytes = fetched.bytes,
            messages = fetched.messages,
            "took a file"
        );
        Ok(Some(fetched))
    }

    /// Writes a receipt that is due, under a passing name first: whoever sees it sees it whole.
    async fn write_receipt(
        &mut self,
        server: &Server,
        key: FetchedKey,
        fetched: &mut Fetched,
    ) -> Result<(), Error> {
        let (Some(receipt), Some(folder)) = (&fetched.receipt, &self.config.receipts_folder) else {
            return Ok(());
        };
        let path = below(folder, &format!("{}.receipt", receipt.name));
        let passing = format!("{path}.part");
        let bytes = receipt.text.as_bytes();
        let written = async {
            server.write(&passing, bytes).await?;
            if server.look_up(&path).await?.is_some() {
                server.remove(&path).await?;
            }
            server.rename(&passing, &path).await
        };
        match written.await {
            Ok(()) => {
                *fetched = self.fetches.told(key, fetched).await?;
                Ok(())
            }
            Err(error) if error.concerns_one_file() => {
                let as_read = Entry { name: String::new(), bytes: fetched.bytes as u64, modified_at: 0 };
                self.complain(key, &as_read, Code::new("S159"), &error).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the file that an earlier look took is the one that lies there, before it is archived or deleted; of one
    /// that is left, once, when its time has passed.
    ///
    /// Its size and time, to the second, may be those of the laboratory's next file of that name: that one is forgotten
    /// as taken, and the next look takes it.
    async fn is_still_there(
        &mut self,
        server: &Server,
        file: &Entry,
        key: FetchedKey,
        fetched: &Fetched,
    ) -> Result<bool, Error> {
        let is_left = self.config.after == After::Leave;
        let is_compared = if is_left {
            fetched.settled || !self.has_settled(fetched)
        } else {
            self.told.get(&key) == Some(&NOT_CLEARED)
        };
        if is_compared || fetched.receipt.is_some() {
            return Ok(true);
        }
        let path = below(&self.config.folder, &file.name);
        match server.read(&path, file, self.config.file_bytes_max).await {
            Ok(Some(raw)) if sha256_hex(&raw) == fetched.sha256 => {
                if is_left {
                    self.fetches.settled(key, fetched).await?;
                }
                Ok(true)
            }
            Ok(Some(_)) => {
                self.fetches.forget(&[key]).await?;
                Ok(false)
            }
            Ok(None) => Ok(false),
            Err(error) if error.concerns_one_file() => {
                self.complain(key, file, error.code(), &error).await?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a file's time of change has passed since it was read.
    fn has_settled(&self, fetched: &Fetched) -> bool {
        self.fetches.pipeline().clock.now() >= fetched.taken_at + SETTLES
    }

    /// Archives or deletes a file that was taken, if it is still the file that was read.
    async fn clear_away(
        &mut self,
        server: &Server,
        file: &Entry,
        key: FetchedKey,
        fetched: &Fetched,
        names: &BTreeSet<&str>,
    ) -> Result<(), Error> {
        // The laboratory reads its receipt by the file's name, so the file stays until that is written.
        let is_receipt_due = fetched.receipt.is_some() && self.config.receipts_folder.is_some();
        if self.config.after == After::Leave || is_receipt_due {
            return Ok(());
        }
        match self.clear(server, file, names).await {
            // Another file may come under its name within the second.
            Ok(true) => Ok(self.fetches.forget(&[key]).await?),
            Ok(false) => Ok(()),
            Err(error) if error.concerns_one_file() => self.complain(key, file, NOT_CLEARED, &error).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the file was put away.
    async fn clear(
        &self,
        server: &Server,
        file: &Entry,
        names: &BTreeSet<&str>,
    ) -> Result<bool, ServerError> {
        let path = below(&self.config.folder, &file.name);
        // Another file under the same name is the laboratory's next one.
        if server.look_up(&path).await? != Some((file.bytes, file.modified_at)) {
            return Ok(false);
        }
        // The marker goes first: left alone, it would vouch for the next file of that name.
        if let Take::Marked { suffix } = &self.config.take {
            let marker = format!("{}{suffix}", file.name);
            if names.contains(marker.as_str()) {
                self.put_away(server, &marker).await?;
            }
        }
        self.put_away(server, &file.name).await?;
        Ok(true)
    }

    async fn put_away(&self, server: &Server, name: &str) -> Result<(), ServerError> {
        let path = below(&self.config.folder, name);
        match &self.config.after {
            After::Leave => Ok(()),
            After::Delete => server.remove(&path).await,
            After::Archive { folder } => {
                let to = below(folder, name);
                if server.look_up(&to).await?.is_none() {
                    return server.rename(&path, &to).await;
                }
                // A file of that name lies there already, and nothing of the laboratory's is overwritten.
                let id = self.fetches.pipeline().clock.new_id();
                server.rename(&path, &format!("{to}.{id}")).await
            }
        }
    }

    /// Forgets what is no longer in the folder. Were it to come back, its messages would be recognised.
    async fn forget(
        &mut self,
        known: &BTreeMap<FetchedKey, Fetched>,
        present: &BTreeSet<FetchedKey>,
        names: &BTreeSet<&str>,
        is_whole: bool,
    ) -> Result<(), Error> {
        self.watch.keep(|name| names.contains(name));
        if !is_whole {
            return Ok(());
        }
        let has_receipts = self.config.receipts_folder.is_some();
        let is_due = |it: &Fetched| has_receipts && it.receipt.is_some();
        let gone = known.iter().filter(|(key, fetched)| !present.contains(key) && !is_due(fetched));
        let gone: Vec<FetchedKey> = gone.map(|(key, _)| *key).collect();
        self.told.retain(|key, _| present.contains(key) || known.contains_key(key));
        Ok(self.fetches.forget(&gone).await?)
    }

    /// Says what is wrong with a file: once, until something else is.
    async fn complain(
        &mut self,
        key: FetchedKey,
        file: &Entry,
        code: Code,
        error: &ServerError,
    ) -> Result<(), Error> {
        if self.told.get(&key) == Some(&code) {
            return Ok(());
        }
        tracing::error!(
            feed = self.fetches.feed(),
            code = code.as_str(),
            file = fetches::label(key),
            file.bytes = file.bytes,
            file.modified_at = file.modified_at,
            error = %Chain(error),
            "a file needs a person"
        );
        self.told.insert(key, code);
        Ok(self.fetches.failed().await?)
    }

    async fn tell_of_folder(&mut self, is_whole: bool, unusable: usize) -> Result<(), Error> {
        let is_fine = is_whole && unusable == 0;
        if is_fine || self.is_told_of_folder {
            self.is_told_of_folder = !is_fine;
            return Ok(());
        }
        self.is_told_of_folder = true;
        if !is_whole {
            let (code, max) = (Code::new("S155"), ENTRIES_MAX);
            tracing::error!(
                feed = self.fetches.feed(),
                code = code.as_str(),
                max,
                "the folder holds more than one look reads, so files in it may never be seen"
            );
        }
        if unusable > 0 {
            let code = Code::new("S160");
            tracing::error!(
                feed = self.fetches.feed(),
                code = code.as_str(),
                files = unusable,
                "files have names that cannot be used"
            );
        }
        Ok(self.fetches.failed().await?)
    }
}

fn below(folder: &str, name: &str) -> String {
    if folder.ends_with('/') { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}
