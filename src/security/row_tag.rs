//! A tag on each row that is not sealed: state, jobs, leases hold no patient data, but a flipped bit in one must not be
//! believed, and a row must not pass for another. HMAC-SHA-256 cut to 16 bytes, over table, row key and value.

use std::fmt;

use aws_lc_rs::constant_time;
use aws_lc_rs::hmac;

use crate::security::keys::ScopeKeys;

/// What the tag adds to the length of a value. NIST SP 800-107 §5.3.3 allows a cut to 16 bytes.
pub const TAG_BYTES: usize = 16;

/// Makes and checks the tags of one store.
pub struct RowTag(hmac::Key);

impl fmt::Debug for RowTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RowTag([redacted])")
    }
}

impl RowTag {
    pub fn new(keys: &ScopeKeys) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, keys.index.derive(b"row", b"tag").bytes()))
    }

    /// The value as it is stored: itself, then its tag.
    pub fn attach(&self, table: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
        let tag = self.tag(table, key, value);
        value.iter().chain(tag.as_ref().iter().take(TAG_BYTES)).copied().collect()
    }

    /// The value of a stored row; none when the row was damaged or moved.
    pub fn detach(&self, table: &str, key: &[u8], mut stored: Vec<u8>) -> Option<Vec<u8>> {
        let (value, found) = stored.split_last_chunk::<TAG_BYTES>()?;
        let tag = self.tag(table, key, value);
        constant_time::verify_slices_are_equal(tag.as_ref().get(..TAG_BYTES)?, found).ok()?;
        stored.truncate(value.len());
        Some(stored)
    }

    fn tag(&self, table: &str, key: &[u8], value: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [table.as_bytes(), key] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.update(value);
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r05_a_flipped_bit_or_a_move_is_noticed() {
        let tag = RowTag::new(&ScopeKeys::generate());
        let stored = tag.attach("jobs", b"j1", b"waiting");
        assert_eq!(tag.detach("jobs", b"j1", stored.clone()).unwrap(), b"waiting");
        for at in 0..stored.len() {
            let mut flipped = stored.clone();
            flipped[at] ^= 4;
            assert_eq!(tag.detach("jobs", b"j1", flipped), None);
            assert_eq!(tag.detach("jobs", b"j1", stored[..at].to_vec()), None);
        }
        assert_eq!(tag.detach("jobs", b"j2", stored.clone()), None);
        assert_eq!(tag.detach("job", b"sj1", stored), None);
    }
}
