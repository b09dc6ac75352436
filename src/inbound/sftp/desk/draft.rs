//! A file that is being written: bytes in memory, each with its share of what all sessions may hold.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::inbound::sftp::desk::refusal::Refusal;
use crate::pipeline::inbox::Waiting;

/// Bytes of an open file, counted against the memory of all.
pub(super) struct Bytes {
    bytes: Vec<u8>,
    share: OwnedSemaphorePermit,
}

impl Bytes {
    pub(super) fn of(bytes: Vec<u8>, memory: &Arc<Semaphore>) -> Result<Self, Refusal> {
        Ok(Self { share: share(bytes.len(), memory)?, bytes })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The same for whoever keeps them; their room is given back with the last that holds them.
    pub(super) fn into_shared(self) -> bytes::Bytes {
        bytes::Bytes::from_owner(self)
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

fn share(bytes: usize, memory: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    let share = u32::try_from(bytes).ok().and_then(|it| Arc::clone(memory).try_acquire_many_owned(it).ok());
    share.ok_or_else(|| {
        Refusal::no_room("too many bytes are on their way at once; try again later".to_owned())
    })
}

/// A file that grows beyond this is a long one.
const LONG_BYTES: usize = 1024 * 1024;

pub(super) struct Draft {
    pub(super) name: String,
    pub(super) bytes: Bytes,
    /// What stood under the name when it was opened.
    pub(super) base: Option<Waiting>,
    /// Whatever offset is asked for, bytes go to the end.
    pub(super) appends: bool,
    /// It is new, or has changed since it was opened.
    pub(super) is_touched: bool,
}

impl Draft {
    pub(super) fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        max: usize,
        memory: &Arc<Semaphore>,
    ) -> Result<(), Refusal> {
        let length = self.bytes.len();
        let start = if self.appends { length } else { usize::try_from(offset).unwrap_or(usize::MAX) };
        // Zeros that nobody sent would be read as if somebody had.
        if start > length {
            return Err(Refusal::Gap);
        }
        let end = start.saturating_add(data.len());
        if end > max {
            return Err(Refusal::no_room(format!("a file has {max} bytes at most")));
        }
        self.bytes.share.merge(share(end.saturating_sub(length), memory)?);
        let (over, new) = data.split_at(data.len().min(length - start));
        if let Some(old) = self.bytes.bytes.get_mut(start..start + over.len()) {
            old.copy_from_slice(over);
        }
        if end > LONG_BYTES {
            // Room for the longest, of which only what arrives is ever touched.
            self.bytes.bytes.reserve_exact(max - self.bytes.bytes.len());
        }
        self.bytes.bytes.extend_from_slice(new);
        self.is_touched = true;
        Ok(())
    }

    /// Shortens the file; a longer one would have a gap.
    pub(super) fn truncate(&mut self, size: u64) -> Result<(), Refusal> {
        let size = usize::try_from(size).ok().filter(|size| *size <= self.bytes.len()).ok_or(Refusal::Gap)?;
        self.is_touched |= size < self.bytes.len();
        drop(self.bytes.share.split(self.bytes.len() - size));
        self.bytes.bytes.truncate(size);
        Ok(())
    }
}
