//! A message as it was received: never changed, never deleted before its retention ends.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

/// What is known of a message beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub received_at: Timestamp,
    /// None for a sender that no feed names.
    pub lab: Option<String>,
    pub feed: Option<String>,
    /// MSH-10; empty where it could not be read.
    pub control_id: String,
    /// Of the raw bytes, in hexadecimal.
    pub sha256: String,
    pub bytes: usize,
    /// MSA-1 of our answer; none for a message that is owed none.
    pub ack: Option<String>,
    /// The message of which this is a further reading; none of one that a laboratory sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_again: Option<MessageId>,
    /// Length of the acknowledgement that stands between header and raw bytes.
    ack_bytes: usize,
}

/// A message with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub header: Header,
    /// The answer as sent; the same bytes again get the same answer.
    pub acknowledgement: Vec<u8>,
    pub raw: Vec<u8>,
}

/// Exactly one of these holds for every kept message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Waiting,
    Mapped,
    Held,
    Rejected,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Mapped, Self::Held, Self::Rejected];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Mapped => "mapped",
            Self::Held => "held",
            Self::Rejected => "rejected",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// The durable count of messages in this state.
    pub fn counter(self) -> String {
        format!("{COUNTER_PREFIX}{}", self.as_str())
    }
}

/// Counts of messages, by state; `duplicates` beside them.
pub const COUNTER_PREFIX: &str = "messages.";
pub const DUPLICATES: &str = "duplicates";
/// Kept messages that no laboratory sent: further readings of others.
pub const FURTHER_READINGS: &str = "readings.further";
/// Messages refused because their sender claimed another's name.
pub const IMPOSTORS: &str = "senders.mismatched";
/// Counts of a feed's messages, by where they stand: `feeds.<feed>.<word>`. The feed is empty where no feed is known.
pub const FEED_COUNTER_PREFIX: &str = "feeds.";
/// The word of a held or rejected message that a person closed; its state stays what it was.
pub const DISCARDED: &str = "discarded";
/// Beside the diagnostics of a message: why a person closed it.
const REASON_SUFFIX: &[u8] = b"reason";

/// The plain row: where a message stands, and whose keys open it and its reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub state: State,
    /// None: kept under the gateway's own key.
    pub feed: Option<String>,
    /// Whose key opens each of its reports, by their index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub report_clinics: Vec<String>,
    /// The digest of the mapping that read it last; none where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
    /// A held or rejected message that nobody waits for any more. The bytes and the state stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<Discarded>,
}

/// Who closed a message, and when. Why is sealed: people write names into reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// The id of the person's account, or `operator` for the command line.
    pub by: String,
    pub at: Timestamp,
}

impl Standing {
    pub fn new(state: State, feed: Option<String>) -> Self {
        Self { state, feed, report_clinics: Vec::new(), mapping: None, discarded: None }
    }

    /// Whether a person must still do something about it.
    pub fn waits_for_a_person(&self) -> bool {
        matches!(self.state, State::Held | State::Rejected) && self.discarded.is_none()
    }

    fn feed_counter(&self) -> String {
        let word = if self.discarded.is_some() { DISCARDED } else { self.state.as_str() };
        format!("{FEED_COUNTER_PREFIX}{}.{word}", self.feed.as_deref().unwrap_or_default())
    }

    pub fn scope(&self) -> Scope {
        scope_of(self.feed.as_deref())
    }

    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

/// Writes where a message stands now, and counts the step, for the gateway and for its feed.
pub fn put_standing(change: &mut Change, id: MessageId, before: Option<&Standing>, after: &Standing) {
    if let Some(before) = before {
        change.expect_equals(Table::MessageStates, &id.key(), before.encode());
        change.count(before.state.counter(), -1).count(before.feed_counter(), -1);
    }
    change.put_plain(Table::MessageStates, &id.key(), after.encode());
    change.count(after.state.counter(), 1).count(after.feed_counter(), 1);
}

/// Messages of no feed are the gateway's own.
pub fn scope_of(feed: Option<&str>) -> Scope {
    feed.map_or(Scope::Gateway, |name| Scope::Feed(name.to_owned()))
}

impl Message {
    fn header(facts: HeaderFacts, ack_bytes: usize, ack: Option<&str>, bytes: usize) -> Header {
        let HeaderFacts { received_at, lab, feed, control_id, sha256, read_again } = facts;
        let ack = ack.map(str::to_owned);
        Header { received_at, lab, feed, control_id, sha256, bytes, ack, read_again, ack_bytes }
    }

    /// Adds a message to a change, sealed under its feed's key. The bytes are not copied: a message may be long.
    pub fn put(
        change: &mut Change,
        id: MessageId,
        scope: &Scope,
        header: HeaderFacts,
        (ack, acknowledgement): (Option<&str>, &[u8]),
        raw: Bytes,
    ) {
        let header = Self::header(header, acknowledgement.len(), ack, raw.len());
        let mut head = encode(&header);
        head.push(b'\n');
        head.extend_from_slice(acknowledgement);
        change.put_sealed_long(Table::Messages, &id.key(), scope, head, raw);
    }

    /// The bytes stay where they were opened: a message may hold a large document.
    fn from_row(mut row: Vec<u8>) -> Result<Self, store::Error> {
        let damaged = || store::Error::Damaged { table: Table::Messages };
        let end = memchr::memchr(b'\n', &row).ok_or_else(damaged)?;
        let header: Header = decode(Table::Messages, row.get(..end).ok_or_else(damaged)?)?;
        let start = end.saturating_add(1).saturating_add(header.ack_bytes);
        let acknowledgement = row.get(end + 1..start).ok_or_else(damaged)?.to_vec();
        row.drain(..start);
        if row.len() != header.bytes {
            return Err(damaged());
        }
        Ok(Self { header, acknowledgement, raw: row })
    }
}

/// What intake knows before the answer is made.
#[derive(Debug, Clone)]
pub struct HeaderFacts {
    pub received_at: Timestamp,
    pub lab: Option<String>,
    pub feed: Option<String>,
    pub control_id: String,
    pub sha256: String,
    pub read_again: Option<MessageId>,
}

/// A kept message, opened.
pub fn load(store: &Store, id: MessageId, scope: &Scope) -> Result<Option<Message>, store::Error> {
    store.get_sealed(Table::Messages, &id.key(), scope)?.map(Message::from_row).transpose()
}

/// Where a message stands.
pub fn standing(store: &Store, id: MessageId) -> Result<Option<Standing>, store::Error> {
    let row = store.get_plain(Table::MessageStates, &id.key())?;
    row.map(|row| decode(Table::MessageStates, &row)).transpose()
}

/// Why a message is held or rejected, and what was noted when it was read.
pub fn diagnostics(store: &Store, id: MessageId, scope: &Scope) -> Result<Vec<Diagnostic>, store::Error> {
    let row = store.get_sealed(Table::Holds, &id.key(), scope)?;
    row.map_or(Ok(Vec::new()), |row| decode(Table::Holds, &row))
}

/// Adds the diagnostics of a message to a change; nothing where there are none.
pub fn put_diagnostics(change: &mut Change, id: MessageId, scope: &Scope, diagnostics: &[Diagnostic]) {
    if !diagnostics.is_empty() {
        change.put_sealed(Table::Holds, &id.key(), scope, encode(&diagnostics));
    }
}

/// Adds why a person closed a message.
pub fn put_reason(change: &mut Change, id: MessageId, scope: &Scope, reason: &str) {
    change.put_sealed(Table::Holds, &reason_key(id), scope, reason);
}

/// Why a person closed a message.
pub fn reason(store: &Store, id: MessageId, scope: &Scope) -> Result<Option<String>, store::Error> {
    let row = store.get_sealed(Table::Holds, &reason_key(id), scope)?;
    row.map(|row| String::from_utf8(row).map_err(|_| store::Error::Damaged { table: Table::Holds }))
        .transpose()
}

/// Takes away what was said of a message: it is looked at anew.
pub fn delete_diagnostics(change: &mut Change, id: MessageId) {
    change.delete(Table::Holds, &id.key()).delete(Table::Holds, &reason_key(id));
}

fn reason_key(id: MessageId) -> Vec<u8> {
    [id.key().as_slice(), REASON_SUFFIX].concat()
}
