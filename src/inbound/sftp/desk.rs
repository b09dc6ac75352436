//! Answers a session's requests: what each SFTP operation means on an inbox.
//!
//! A file that was taken is in the inbox no longer. Its size is remembered for the session, because many clients ask for
//! it after an upload and would send the file again if it were gone.

mod draft;
mod refusal;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use russh_sftp::protocol::Attrs;
use russh_sftp::protocol::Data;
use russh_sftp::protocol::File;
use russh_sftp::protocol::FileAttributes;
use russh_sftp::protocol::Handle;
use russh_sftp::protocol::Name;
use russh_sftp::protocol::OpenFlags;
use russh_sftp::protocol::Packet;
use russh_sftp::protocol::Status;
use russh_sftp::protocol::StatusCode;
use russh_sftp::protocol::Version;
use tokio::sync::Semaphore;

use crate::inbound::sftp::Config;
use crate::inbound::sftp::accounts::Account;
use crate::inbound::sftp::desk::draft::Bytes;
use crate::inbound::sftp::desk::draft::Draft;
use crate::inbound::sftp::desk::refusal::Refusal;
use crate::inbound::sftp::place::Place;
use crate::pipeline::inbox;
use crate::pipeline::inbox::Arrival;
use crate::pipeline::inbox::Inbox;
use crate::pipeline::inbox::Rule;
use crate::pipeline::inbox::Step;
use crate::pipeline::inbox::Waiting;
use crate::telemetry::Chain;

/// Files and folders open at the same time.
const HANDLES_MAX: usize = 32;
/// Names in one answer; more come with the next request.
const NAMES_MAX: usize = 100;
/// Longest answer to a read.
const READ_BYTES_MAX: u32 = 64 * 1024;
/// Taken files whose sizes are remembered.
const TAKEN_MAX: usize = 1_000;

const FOLDER: u32 = 0o040_700;
const FOLDER_READ_ONLY: u32 = 0o040_500;
const FILE: u32 = 0o100_600;
const FILE_READ_ONLY: u32 = 0o100_400;

/// Renames over a file that is there, as POSIX does: OpenSSH's clients ask for it by this name.
const POSIX_RENAME: &str = "posix-rename@openssh.com";

type Answer = Result<Packet, Refusal>;

pub(super) struct Desk {
    inbox: Inbox,
    rule: Rule,
    file_bytes_max: usize,
    session_bytes_max: u64,
    received: u64,
    memory: Arc<Semaphore>,
    open: BTreeMap<String, Open>,
    /// Handles ever given out.
    handles: u64,
    taken: BTreeMap<String, usize>,
}

enum Open {
    Folder(VecDeque<File>),
    /// Read only.
    Reading(Bytes, FileAttributes),
    Writing(Draft),
}

impl Desk {
    pub(super) fn new(inbox: Inbox, account: &Account, config: &Config, memory: &Arc<Semaphore>) -> Self {
        Self {
            inbox,
            rule: account.rule.clone(),
            file_bytes_max: config.file_bytes_max,
            session_bytes_max: config.session_bytes_max,
            received: 0,
            memory: Arc::clone(memory),
            open: BTreeMap::new(),
            handles: 0,
            taken: BTreeMap::new(),
        }
    }

    /// Takes what the rule would have taken, had the store not failed.
    pub(super) async fn arrive(&mut self) {
        let waiting = self.inbox.waiting().unwrap_or_default();
        for it in waiting.into_iter().filter(|it| it.file.whole) {
            if self.rule.step(&it.file.name, Arrival::Closed) == Step::Take {
                let name = it.file.name.clone();
                let taken = match self.inbox.content(&it) {
                    Ok(content) => self.inbox.take(&name, &content.into(), Some(&it), None).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = taken {
                    tracing::warn!(feed = %self.inbox.feed().name, error = %Chain(&error), "a file still waits");
                }
            }
        }
    }

    /// Keeps what the client left unfinished, to be gone on with.
    pub(super) async fn leave(self) {
        let feed = self.inbox.feed().name.clone();
        for open in self.open.into_values() {
            let Open::Writing(draft) = open else { continue };
            if !draft.is_touched || draft.bytes.is_empty() {
                continue;
            }
            let (name, base, length) = (draft.name.as_str(), draft.base.as_ref(), draft.bytes.len());
            let kept = match self.inbox.find(name) {
                Ok(now) if now.as_ref() == base => {
                    self.inbox.keep(name, &draft.bytes.into_shared(), false, base).await
                }
                Ok(_) => Err(inbox::Error::Changed),
                Err(error) => Err(error),
            };
            match kept {
                Ok(()) => tracing::info!(%feed, bytes = length, "kept an interrupted upload"),
                Err(error) => {
                    tracing::warn!(%feed, error = %Chain(&error), "dropped an interrupted upload");
                }
            }
        }
    }

    /// Whether the session has sent all it may.
    pub(super) const fn is_over(&self) -> bool {
        self.received > self.session_bytes_max
    }

    pub(super) async fn answer(&mut self, request: Packet) -> Packet {
        let id = request.get_request_id();
        match self.act(id, request).await {
            Ok(answer) => answer,
            Err(refusal) => refusal.answer(id, &self.inbox.feed().name),
        }
    }

    async fn act(&mut self, id: u32, request: Packet) -> Answer {
        match request {
            Packet::Init(_) => {
                let mut version = Version::new();
                version.extensions.insert(POSIX_RENAME.to_owned(), "1".to_owned());
                Ok(Packet::Version(version))
            }
            Packet::Open(it) => self.open(id, &it.filename, it.pflags),
            Packet::Close(it) => self.close(&it.handle).await.map(|()| ok(id)),
            Packet::Read(it) => self.read(id, &it.handle, it.offset, it.len),
            Packet::Write(it) => self.write(&it.handle, it.offset, &it.data).map(|()| ok(id)),
            Packet::Fstat(it) => self.open_attributes(&it.handle).map(|attrs| attributes(id, attrs)),
            Packet::Stat(it) => self.attributes_of(&it.path).map(|attrs| attributes(id, attrs)),
            Packet::Lstat(it) => self.attributes_of(&it.path).map(|attrs| attributes(id, attrs)),
            Packet::FSetStat(it) => self.resize(&it.handle, it.attrs.size).map(|()| ok(id)),
            Packet::SetStat(it) => self.set_attributes(&it.path, it.attrs.size).map(|()| ok(id)),
            Packet::OpenDir(it) => self.open_folder(id, &it.path),
            Packet::ReadDir(it) => self.read_folder(id, &it.handle),
            Packet::Remove(it) => self.remove(&it.filename).await.map(|()| ok(id)),
            Packet::RealPath(it) => {
                let path = Place::of(&it.path)?.path();
                Ok(Packet::Name(Name { id, files: vec![File::dummy(path)] }))
            }
            Packet::Rename(it) => self.rename(&it.oldpath, &it.newpath, false).await.map(|()| ok(id)),
            Packet::Extended(it) if it.request == POSIX_RENAME => {
                let (from, to) = refusal::two_strings(&it.data)?;
                self.rename(&from, &to, true).await.map(|()| ok(id))
            }
            Packet::MkDir(_) | Packet::RmDir(_) | Packet::Symlink(_) | Packet::ReadLink(_) => {
                Err(Refusal::not_here("there are two folders here, and no links"))
            }
            Packet::Extended(_) => Err(Refusal::Unsupported),
            _ => Err(Refusal::NotARequest),
        }
    }

    fn open(&mut self, id: u32, path: &str, flags: OpenFlags) -> Answer {
        let writes = flags.intersects(OpenFlags::WRITE | OpenFlags::APPEND | OpenFlags::CREATE);
        let open = match Place::of(path)? {
            Place::File(name) if writes => Open::Writing(self.draft(name, flags)?),
            Place::File(name) => {
                let waiting = self.inbox.find(&name)?.ok_or(inbox::Error::Absent)?;
                let content = Bytes::of(self.inbox.content(&waiting)?, &self.memory)?;
                Open::Reading(content, file_attributes(FILE, waiting.file.bytes, waiting.file.kept_at))
            }
            Place::Receipt(_) if writes => {
                return Err(Refusal::not_here("receipts are written by the gateway"));
            }
            Place::Receipt(name) => {
                let shown = self.inbox.receipt(&name)?.ok_or(inbox::Error::Absent)?;
                let attributes = file_attributes(FILE_READ_ONLY, shown.text.len(), shown.taken_at);
                Open::Reading(Bytes::of(shown.text.into_bytes(), &self.memory)?, attributes)
            }
            Place::Root | Place::Receipts => return Err(Refusal::not_here("this is a folder")),
        };
        self.hand_out(id, open)
    }

    fn draft(&self, name: String, flags: OpenFlags) -> Result<Draft, Refusal> {
        let base = self.inbox.find(&name)?;
        let content = match &base {
            Some(_) if flags.contains(OpenFlags::EXCLUDE) => return Err(Refusal::Exists),
            None if !flags.contains(OpenFlags::CREATE) => return Err(inbox::Error::Absent.into()),
            Some(waiting) if !flags.contains(OpenFlags::TRUNCATE) => self.inbox.content(waiting)?,
            _ => Vec::new(),
        };
        let is_touched = base.is_none() || flags.contains(OpenFlags::TRUNCATE);
        let appends = flags.contains(OpenFlags::APPEND);
        Ok(Draft { name, bytes: Bytes::of(content, &self.memory)?, base, appends, is_touched })
    }

    fn hand_out(&mut self, id: u32, open: Open) -> Answer {
        if self.open.len() >= HANDLES_MAX {
            return Err(Refusal::no_room(format!("{HANDLES_MAX} files are open already")));
        }
        self.handles += 1;
        let handle = self.handles.to_string();
        self.open.insert(handle.clone(), open);
        Ok(Packet::Handle(Handle { id, handle }))
    }

    async fn close(&mut self, handle: &str) -> Result<(), Refusal> {
        match self.open.remove(handle).ok_or(Refusal::NoSuchHandle)? {
            Open::Folder(_) | Open::Reading(..) => Ok(()),
            Open::Writing(draft) if !draft.is_touched => Ok(()),
            Open::Writing(draft) => self.arrived(draft).await,
        }
    }

    /// A file is closed: it is taken, or kept until it is.
    async fn arrived(&mut self, draft: Draft) -> Result<(), Refusal> {
        let (name, bytes) = (draft.name.as_str(), &draft.bytes.into_shared());
        let now = self.inbox.find(name)?;
        match self.rule.step(name, Arrival::Closed) {
            Step::Wait => self.inbox.keep(name, bytes, true, now.as_ref()).await?,
            Step::TakeMarked(marked) => self.take_marked(marked, now.as_ref()).await?,
            Step::Take => {
                if let Err(error) = self.inbox.take(name, bytes, now.as_ref(), None).await {
                    // Where the store can keep the file at least, it is taken when its sender next signs in.
                    let _told_already = self.inbox.keep(name, bytes, true, now.as_ref()).await;
                    return Err(error.into());
                }
                self.remember(name, bytes.len());
            }
        }
        Ok(())
    }

    async fn take_marked(&mut self, name: &str, marker: Option<&Waiting>) -> Result<(), Refusal> {
        let waiting = self.inbox.find(name)?.ok_or(Refusal::NothingMarked)?;
        self.take_waiting(name, &waiting, marker).await
    }

    /// Takes a file that waits, under the name it has or is given.
    async fn take_waiting(
        &mut self,
        name: &str,
        waiting: &Waiting,
        with: Option<&Waiting>,
    ) -> Result<(), Refusal> {
        if !waiting.file.whole {
            return Err(inbox::Error::Interrupted.into());
        }
        let content = Bytes::of(self.inbox.content(waiting)?, &self.memory)?;
        let length = content.len();
        self.inbox.take(name, &content.into_shared(), Some(waiting), with).await?;
        self.remember(name, length);
        Ok(())
    }

    fn remember(&mut self, name: &str, bytes: usize) {
        if self.taken.len() >= TAKEN_MAX {
            self.taken.pop_first();
        }
        self.taken.insert(name.to_owned(), bytes);
    }

    async fn rename(&mut self, from: &str, to: &str, over: bool) -> Result<(), Refusal> {
        let (Place::File(from), Place::File(to)) = (Place::of(from)?, Place::of(to)?) else {
            return Err(Refusal::not_here("only files of the inbox can be renamed, and only within it"));
        };
        if self.writing(&from).or_else(|| self.writing(&to)).is_some() {
            return Err(Refusal::Open);
        }
        let Some(waiting) = self.inbox.find(&from)? else {
            // A file that was taken under its first name is as safe under its second.
            let bytes = self.taken.remove(&from).ok_or(inbox::Error::Absent)?;
            self.remember(&to, bytes);
            return Ok(());
        };
        let there = self.inbox.find(&to)?.filter(|there| there.id != waiting.id);
        if there.is_some() && !over {
            return Err(Refusal::Exists);
        }
        match self.rule.step(&to, Arrival::Renamed) {
            Step::Wait => Ok(self.inbox.rename(&from, &to, over).await?),
            Step::Take => self.take_waiting(&to, &waiting, there.as_ref()).await,
            Step::TakeMarked(marked) => self.take_marked(marked, Some(&waiting)).await,
        }
    }

    async fn remove(&self, path: &str) -> Result<(), Refusal> {
        match Place::of(path)? {
            Place::File(name) if self.writing(&name).is_some() => Err(Refusal::Open),
            Place::File(name) => Ok(self.inbox.remove(&name).await?),
            Place::Receipt(name) => Ok(self.inbox.remove_receipt(&name).await?),
            Place::Root | Place::Receipts => Err(Refusal::not_here("this folder stays")),
        }
    }

    fn writing(&self, name: &str) -> Option<&Draft> {
        self.open.values().find_map(|open| match open {
            Open::Writing(draft) if draft.name == name => Some(draft),
            _ => None,
        })
    }

    fn read(&self, id: u32, handle: &str, offset: u64, length: u32) -> Answer {
        let bytes = match self.open.get(handle).ok_or(Refusal::NoSuchHandle)? {
            Open::Reading(bytes, _) => bytes,
            Open::Writing(draft) => &draft.bytes,
            Open::Folder(_) => return Err(Refusal::NoSuchHandle),
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let length = usize::try_from(length.min(READ_BYTES_MAX)).unwrap_or_default();
        let data: Vec<u8> = bytes.as_slice().iter().skip(start).take(length).copied().collect();
        if data.is_empty() { Err(Refusal::End) } else { Ok(Packet::Data(Data { id, data })) }
    }

    fn write(&mut self, handle: &str, offset: u64, data: &[u8]) -> Result<(), Refusal> {
        self.received = self.received.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if self.is_over() {
            return Err(Refusal::no_room(format!(
                "a session takes {} bytes at most",
                self.session_bytes_max
            )));
        }
        let Some(Open::Writing(draft)) = self.open.get_mut(handle) else { return Err(Refusal::NoSuchHandle) };
        draft.write(offset, data, self.file_bytes_max, &self.memory)
    }

    fn resize(&mut self, handle: &str, size: Option<u64>) -> Result<(), Refusal> {
        match (self.open.get_mut(handle).ok_or(Refusal::NoSuchHandle)?, size) {
            (_, None) => Ok(()),
            (Open::Writing(draft), Some(size)) => draft.truncate(size),
            (_, Some(_)) => Err(Refusal::Unsupported),
        }
    }

    /// Times, owners and rights are the gateway's own; clients that set them after an upload hear no complaint.
    fn set_attributes(&self, path: &str, size: Option<u64>) -> Result<(), Refusal> {
        let now = self.attributes_of(path)?;
        if size.is_none() || size == now.size { Ok(()) } else { Err(Refusal::Unsupported) }
    }

    fn open_attributes(&self, handle: &str) -> Result<FileAttributes, Refusal> {
        Ok(match self.open.get(handle).ok_or(Refusal::NoSuchHandle)? {
            Open::Folder(_) => folder_attributes(FOLDER),
            Open::Reading(_, attributes) => attributes.clone(),
            Open::Writing(draft) => file_attributes(FILE, draft.bytes.len(), self.inbox.now()),
        })
    }

    fn attributes_of(&self, path: &str) -> Result<FileAttributes, Refusal> {
        match Place::of(path)? {
            Place::Root => Ok(folder_attributes(FOLDER)),
            Place::Receipts => Ok(folder_attributes(FOLDER_READ_ONLY)),
            Place::Receipt(name) => {
                let shown = self.inbox.receipt(&name)?.ok_or(inbox::Error::Absent)?;
                Ok(file_attributes(FILE_READ_ONLY, shown.text.len(), shown.taken_at))
            }
            Place::File(name) => {
                if let Some(draft) = self.writing(&name) {
                    return Ok(file_attributes(FILE, draft.bytes.len(), self.inbox.now()));
                }
                if let Some(waiting) = self.inbox.find(&name)? {
                    return Ok(file_attributes(FILE, waiting.file.bytes, waiting.file.kept_at));
                }
                let taken = self.taken.get(&name).ok_or(inbox::Error::Absent)?;
                Ok(file_attributes(FILE_READ_ONLY, *taken, self.inbox.now()))
            }
        }
    }

    fn open_folder(&mut self, id: u32, path: &str) -> Answer {
        let files = match Place::of(path)? {
            Place::Root => self.list_inbox()?,
            Place::Receipts => {
                let shown = self.inbox.receipts()?.into_iter();
                let file = |it: inbox::Shown| {
                    File::new(it.name, file_attributes(FILE_READ_ONLY, it.text.len(), it.taken_at))
                };
                shown.map(file).collect()
            }
            Place::File(_) | Place::Receipt(_) => return Err(Refusal::not_here("this is no folder")),
        };
        self.hand_out(id, Open::Folder(files))
    }

    fn list_inbox(&self) -> Result<VecDeque<File>, Refusal> {
        let receipts = Place::Receipts.path();
        let receipts = File::new(receipts.trim_start_matches('/'), folder_attributes(FOLDER_READ_ONLY));
        let waiting = self.inbox.waiting()?.into_iter();
        let waiting = waiting
            .filter(|it| self.writing(&it.file.name).is_none())
            .map(|it| File::new(it.file.name.clone(), file_attributes(FILE, it.file.bytes, it.file.kept_at)));
        let open = self.open.values().filter_map(|open| match open {
            Open::Writing(draft) => Some(draft),
            _ => None,
        });
        let open = open
            .map(|it| File::new(it.name.clone(), file_attributes(FILE, it.bytes.len(), self.inbox.now())));
        Ok(std::iter::once(receipts).chain(waiting).chain(open).collect())
    }

    fn read_folder(&mut self, id: u32, handle: &str) -> Answer {
        let Some(Open::Folder(files)) = self.open.get_mut(handle) else { return Err(Refusal::NoSuchHandle) };
        let files: Vec<File> = files.drain(..files.len().min(NAMES_MAX)).collect();
        if files.is_empty() { Err(Refusal::End) } else { Ok(Packet::Name(Name { id, files })) }
    }
}

fn ok(id: u32) -> Packet {
    let status = Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "done".to_owned(),
        language_tag: "en".to_owned(),
    };
    Packet::Status(status)
}

fn attributes(id: u32, attrs: FileAttributes) -> Packet {
    Packet::Attrs(Attrs { id, attrs })
}

fn folder_attributes(mode: u32) -> FileAttributes {
    FileAttributes {
        size: Some(0),
        uid: Some(0),
        gid: Some(0),
        permissions: Some(mode),
        ..FileAttributes::default()
    }
}

fn file_attributes(mode: u32, bytes: usize, at: Timestamp) -> FileAttributes {
    let seconds = u32::try_from(at.as_second()).unwrap_or(u32::MAX);
    FileAttributes {
        size: u64::try_from(bytes).ok(),
        uid: Some(0),
        gid: Some(0),
        permissions: Some(mode),
        atime: Some(seconds),
        mtime: Some(seconds),
        ..FileAttributes::default()
    }
}
