//! Sealing a record: AES-256-GCM under a key of its own, bound to the row it belongs in.
//!
//! Layout: format version (1 byte) ‖ key id (4) ‖ salt (32) ‖ ciphertext ‖ tag (16).
//! Each record's key is HKDF-SHA-256 of the scope's data key with a fresh salt, so a key seals once and the nonce is constant:
//! there is no limit on records per key and no nonce to reuse.
//! The associated data are version, key id, table, row key and scope, so a sealed value opens in its own row and nowhere else.

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use aws_lc_rs::rand;

use crate::security::keys::Key;
use crate::security::keys::KeyId;
use crate::security::keys::Scope;

const FORMAT_VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + SALT_BYTES;

/// What sealing adds to the length of a value.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// Why a sealed value does not open. Which byte was wrong cannot be told, and is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    #[error(
        "a sealed value does not open: it was damaged, moved from another row, or sealed under another key"
    )]
    Refused,
    #[error("a sealed value has format version {found}, and this program knows {FORMAT_VERSION}")]
    UnknownVersion { found: u8 },
}

/// The place a sealed value belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub table: &'a str,
    pub key: &'a [u8],
    pub scope: &'a Scope,
}

impl Row<'_> {
    fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let scope = self.scope.label();
        let mut data = header.to_vec();
        // Lengths first: no two rows can spell the same bytes.
        for part in [self.table.as_bytes(), self.key, scope.as_bytes()] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// Seals a value for its row.
pub fn seal(key: &Key, id: KeyId, row: &Row<'_>, plain: &[u8]) -> Vec<u8> {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).expect("the operating system's generator does not fail once it is seeded");

    let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD_BYTES);
    sealed.push(FORMAT_VERSION);
    sealed.extend_from_slice(&id.0.to_be_bytes());
    let associated = row.associated_data(&sealed);
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(plain);

    let body = sealed.split_at_mut(HEADER_BYTES).1;
    let tag = record_key(key, &salt)
        .seal_in_place_separate_tag(nonce(), Aad::from(associated), body)
        .expect("a record is shorter than what one AES-GCM message may hold");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// Opens what was sealed for this row.
pub fn open(key: &Key, row: &Row<'_>, sealed: &[u8]) -> Result<Vec<u8>, Error> {
    key_id(sealed)?;
    let (header, body) = sealed.split_at_checked(HEADER_BYTES).ok_or(Error::Refused)?;
    let (header, salt) = header.split_at(1 + KEY_ID_BYTES);

    let mut body = body.to_vec();
    let plain = record_key(key, salt)
        .open_in_place(nonce(), Aad::from(row.associated_data(header)), &mut body)
        .map_err(|_| Error::Refused)?
        .len();
    body.truncate(plain);
    Ok(body)
}

/// Which key a sealed value asks for.
pub fn key_id(sealed: &[u8]) -> Result<KeyId, Error> {
    match sealed {
        [FORMAT_VERSION, a, b, c, d, ..] => Ok(KeyId(u32::from_be_bytes([*a, *b, *c, *d]))),
        [found, ..] if *found != FORMAT_VERSION => Err(Error::UnknownVersion { found: *found }),
        _ => Err(Error::Refused),
    }
}

fn record_key(key: &Key, salt: &[u8]) -> LessSafeKey {
    let derived = key.derive(salt, b"record");
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derived.bytes()).expect("an AES-256 key has 32 bytes"))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GATEWAY: Scope = Scope::Gateway;

    fn row(key: &[u8]) -> Row<'_> {
        Row { table: "reports", key, scope: &GATEWAY }
    }

    #[test]
    fn a_value_opens_in_its_own_row_and_nowhere_else() {
        let key = Key::generate();
        let sealed = seal(&key, KeyId::FIRST, &row(b"r1"), b"value");
        assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
        assert_eq!(open(&key, &row(b"r1"), &sealed).unwrap(), b"value");

        let clinic = Scope::Clinic("gateway".to_owned());
        let elsewhere = [
            row(b"r2"),
            Row { table: "cases", ..row(b"r1") },
            Row { scope: &clinic, ..row(b"r1") },
            // The same bytes, cut at another place.
            Row { table: "reportsr", key: b"1", scope: &GATEWAY },
        ];
        for other in elsewhere {
            assert_eq!(open(&key, &other, &sealed), Err(Error::Refused));
        }
        assert_eq!(open(&Key::generate(), &row(b"r1"), &sealed), Err(Error::Refused));
    }

    #[test]
    fn equal_values_do_not_look_equal() {
        let key = Key::generate();
        let seal = || seal(&key, KeyId::FIRST, &row(b"r1"), b"value");
        assert_ne!(seal(), seal());
    }

    #[test]
    fn another_format_version_is_named() {
        assert_eq!(open(&Key::generate(), &row(b"r1"), &[9; 80]), Err(Error::UnknownVersion { found: 9 }));
    }

    proptest! {
        #[test]
        fn r05_a_flipped_bit_or_a_cut_is_refused(plain in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, bit in 0..8_u8) {
            let key = Key::generate();
            let sealed = seal(&key, KeyId(7), &row(b"r1"), &plain);
            prop_assert_eq!(open(&key, &row(b"r1"), &sealed).unwrap(), plain);

            let at = at.index(sealed.len());
            let mut flipped = sealed.clone();
            flipped[at] ^= 1_u8 << bit;
            prop_assert!(open(&key, &row(b"r1"), &flipped).is_err());
            prop_assert!(open(&key, &row(b"r1"), &sealed[..at]).is_err());
        }
    }
}
