//! The arithmetic of the audit chain: what an entry is, how it is written, how it links, how a chain verifies.
//!
//! An entry is one line of canonical JSON and is hashed as those bytes, so nothing is ever written anew to check it:
//! `hash = SHA-256(previous hash ‖ line)`, and the first entry follows [`Hash::ORIGIN`].
//! Entries are numbered from 0 without a gap; the number is the place in the chain and not part of the line.
//! An entry names acts, actors and objects by id, and never holds patient data.
//! The chain needs no key, so anyone can verify it; whoever can write the whole file can also cut its end or forge all of it,
//! and that shows only against a head that was kept elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// Longest line of one entry. Entries hold ids and digests; more than this is not an entry.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// One act: who did what to which object, when, and with which versions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    #[serde(with = "instant")]
    pub at: Timestamp,
    /// The clinic whose trail this belongs to; none for what belongs to no clinic yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clinic: Option<String>,
    /// A user's or feed's id, or the part of the gateway that acted.
    pub actor: String,
    /// What was done, as a dotted word: `message.kept`, `case.approved`.
    pub act: Cow<'static, str>,
    /// The id of what it was done to.
    pub object: String,
    /// Versions, digests, counts. Ordered by name, so that the line is canonical.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<Cow<'static, str>, Value>,
}

impl Entry {
    pub fn new(
        at: Timestamp,
        actor: impl Into<String>,
        act: impl Into<Cow<'static, str>>,
        object: impl Into<String>,
    ) -> Self {
        let (actor, act, object) = (actor.into(), act.into(), object.into());
        Self { at, clinic: None, actor, act, object, detail: BTreeMap::new() }
    }

    /// Files the entry under a clinic's trail.
    #[must_use]
    pub fn of_clinic(mut self, clinic: impl Into<String>) -> Self {
        self.clinic = Some(clinic.into());
        self
    }

    /// Adds one detail.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.detail.insert(name.into(), value.into());
        self
    }

    /// The canonical line: what is stored, hashed and exported.
    pub fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry has text keys and no failing serializer")
    }
}

/// The head of a chain after an entry.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Hash([u8; Hash::BYTES]);

impl Hash {
    pub const BYTES: usize = 32;

    /// What the first entry follows.
    pub const ORIGIN: Self = Self([0; Self::BYTES]);

    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The head after `line` is appended to a chain that ends here.
    #[must_use]
    pub fn then(&self, line: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.0);
        context.update(line);
        let mut hash = [0; Self::BYTES];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Hash {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let digits = text.trim().as_bytes();
        let mut hash = [0; Self::BYTES];
        if digits.len() != 2 * Self::BYTES {
            return Err(NotAHead);
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| NotAHead)?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(NotAHead);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAHead)?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not the head of a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an audit head is 64 hexadecimal digits")]
pub struct NotAHead;

/// One link as it is stored: the hash after the entry, then the entry's line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    pub hash: Hash,
    pub line: Vec<u8>,
}

impl Link {
    /// Appends a line to a chain that ends in `head`.
    pub fn after(head: &Hash, line: Vec<u8>) -> Self {
        Self { hash: head.then(&line), line }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        [self.hash.as_bytes().as_slice(), &self.line].concat()
    }

    /// Reads a stored link; none when it is too short to be one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (hash, line) = bytes.split_first_chunk()?;
        Some(Self { hash: Hash::from_bytes(*hash), line: line.to_vec() })
    }
}

/// What verifying a chain found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Verified {
    /// How many entries there are, the bad ones included.
    pub entries: u64,
    /// The stored head: the hash that the last entry carries.
    pub head: Hash,
    /// Whether every entry links to the one before, and the head is the expected one if one was given.
    pub verified: bool,
    /// The number of the first entry that does not fit its place; the count of entries when only the head differs.
    pub first_bad: Option<u64>,
}

/// Verifies a chain entry by entry, in constant memory.
#[derive(Clone, Debug)]
pub struct Verifier {
    entries: u64,
    head: Hash,
    first_bad: Option<u64>,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { entries: 0, head: Hash::ORIGIN, first_bad: None }
    }
}

impl Verifier {
    /// Takes the next stored entry; `link` is none when the row cannot be read as a link.
    pub fn push(&mut self, sequence: u64, link: Option<&Link>) {
        let fits =
            sequence == self.entries && link.is_some_and(|link| self.head.then(&link.line) == link.hash);
        if !fits && self.first_bad.is_none() {
            self.first_bad = Some(self.entries);
        }
        if let Some(link) = link {
            self.head = link.hash;
        }
        self.entries += 1;
    }

    /// Ends the chain, and compares its head with one that was kept elsewhere.
    pub fn finish(self, expect_head: Option<Hash>) -> Verified {
        let Self { entries, head, mut first_bad } = self;
        if first_bad.is_none() && expect_head.is_some_and(|expected| expected != head) {
            first_bad = Some(entries);
        }
        Verified { entries, head, verified: first_bad.is_none(), first_bad }
    }
}

/// Verifies numbered links in order.
pub fn verify(links: impl IntoIterator<Item = (u64, Link)>, expect_head: Option<Hash>) -> Verified {
    let mut verifier = Verifier::default();
    for (sequence, link) in links {
        verifier.push(sequence, Some(&link));
    }
    verifier.finish(expect_head)
}

/// An instant as RFC 3339 text in UTC.
mod instant {
    use std::borrow::Cow;

    use jiff::Timestamp;
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(count: usize) -> Vec<(u64, Link)> {
        let mut head = Hash::ORIGIN;
        (0..count as u64)
            .map(|sequence| {
                let entry =
                    Entry::new(Timestamp::UNIX_EPOCH, "feed-1", "message.kept", format!("m{sequence}"))
                        .with("sha256", "00ff")
                        .with("bytes", sequence);
                let link = Link::after(&head, entry.line());
                head = link.hash;
                (sequence, link)
            })
            .collect()
    }

    #[test]
    fn a_line_is_canonical_whatever_the_order_of_its_details() {
        let entry = || Entry::new(Timestamp::UNIX_EPOCH, "u1", "case.approved", "c1").of_clinic("north");
        let line = entry().with("b", 2).with("a", "x").line();

        assert_eq!(line, entry().with("a", "x").with("b", 2).line());
        assert_eq!(
            String::from_utf8(line).unwrap(),
            r#"{"at":"1970-01-01T00:00:00Z","clinic":"north","actor":"u1","act":"case.approved","object":"c1","detail":{"a":"x","b":2}}"#
        );
    }

    #[test]
    fn an_empty_chain_verifies_and_its_head_is_the_origin() {
        let verified = verify([], None);
        assert_eq!(verified, Verified { entries: 0, head: Hash::ORIGIN, verified: true, first_bad: None });
    }

    #[test]
    fn a_cut_end_shows_only_against_a_head_kept_elsewhere() {
        let whole = chain(5);
        let head = whole[4].1.hash;
        let cut = &whole[..4];

        assert!(verify(cut.to_vec(), None).verified);
        let verified = verify(cut.to_vec(), Some(head));
        assert_eq!((verified.verified, verified.first_bad), (false, Some(4)));
    }

    #[test]
    fn a_head_reads_back_and_nothing_else_does() {
        let head = chain(1)[0].1.hash;
        assert_eq!(head.to_string().parse(), Ok(head));
        assert_eq!("+1".repeat(32).parse::<Hash>(), Err(NotAHead));
        assert_eq!("00".repeat(31).parse::<Hash>(), Err(NotAHead));
    }

    proptest! {
        #[test]
        fn r05_flipping_any_byte_is_found_at_its_index(count in 1_usize..12, entry: prop::sample::Index, byte: prop::sample::Index, bit in 0..8_u8) {
            let mut links = chain(count);
            let at = entry.index(count);
            let mut bytes = links[at].1.to_bytes();
            let place = byte.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            links[at].1 = Link::from_bytes(&bytes).unwrap();

            prop_assert_eq!(verify(links, None).first_bad, Some(at as u64));
        }

        #[test]
        fn dropping_repeating_or_swapping_is_found_where_it_begins(count in 2_usize..12, at: prop::sample::Index, how in 0..3) {
            let mut links = chain(count);
            let at = at.index(count - 1);
            match how {
                0 => drop(links.remove(at)),
                1 => links.insert(at, links[at].clone()),
                _ => {
                    let (first, second) = (links[at].1.clone(), links[at + 1].1.clone());
                    (links[at].1, links[at + 1].1) = (second, first);
                }
            }
            let expected = if how == 1 { at + 1 } else { at };

            prop_assert_eq!(verify(links, None).first_bad, Some(expected as u64));
        }
    }
}
