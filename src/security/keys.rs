//! The key hierarchy: the master key wraps the keys of each scope; a scope's keys seal and index its records.
//!
//! Raw messages belong to a feed, reports and what follows to a clinic, the rest to the gateway; nothing opens across scopes.
//! Key bytes are wiped when dropped and never shown: `Debug` prints `[redacted]`.

use std::fmt;
use std::str;

use aws_lc_rs::aead;
use aws_lc_rs::hkdf;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::security::sealing;
use crate::security::sealing::Row;

/// Bytes of every key: AES-256, HMAC-SHA-256 and the input of HKDF alike.
pub const KEY_BYTES: usize = 32;

/// What a wrong key or a wrong key file is refused with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    #[error(
        "the master key is {found} characters where 64 hexadecimal digits are needed; make one with `gateway keys init --out FILE`"
    )]
    NotAMasterKey { found: usize },
    #[error(
        "the master key is all zeros or one repeated byte, which is no key; make one with `gateway keys init --out FILE`"
    )]
    NotRandom,
    #[error("a wrapped key does not open under this master key")]
    Unwrap(#[source] sealing::Error),
}

/// 32 secret bytes.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    /// Draws a key from the operating system.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(bytes.as_mut_slice())
            .expect("the operating system's generator does not fail once it is seeded");
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Derives the key for one purpose, by HKDF-SHA-256 (RFC 5869).
    pub(crate) fn derive(&self, salt: &[u8], purpose: &[u8]) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(self.bytes())
            .expand(&[purpose], &aead::AES_256_GCM)
            .and_then(|okm| okm.fill(bytes.as_mut_slice()))
            .expect("32 bytes are within what HKDF-SHA-256 can expand");
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Whose data a record is: which keys seal and index it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    Clinic(String),
    Feed(String),
    Gateway,
}

impl Scope {
    /// The spelling in stored rows and in associated data. No two scopes share one.
    pub fn label(&self) -> String {
        match self {
            Self::Clinic(id) => format!("clinic:{id}"),
            Self::Feed(name) => format!("feed:{name}"),
            Self::Gateway => "gateway".to_owned(),
        }
    }
}

/// Which of a scope's data keys sealed a record; counts up at each rotation.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub u32);

impl KeyId {
    pub const FIRST: Self = Self(1);
}

/// The keys of a scope. The data key may be replaced; the index key stays, or look-ups would no longer find.
#[derive(Debug)]
pub struct ScopeKeys {
    pub id: KeyId,
    pub(crate) data: Key,
    pub(crate) index: Key,
}

impl ScopeKeys {
    /// Draws the first keys of a scope.
    pub fn generate() -> Self {
        Self { id: KeyId::FIRST, data: Key::generate(), index: Key::generate() }
    }
}

/// The key that wraps all others, from the operator's key file.
#[derive(Debug, Clone)]
pub struct MasterKey(Key);

impl MasterKey {
    /// Bytes of the key check value.
    pub const CHECK_BYTES: usize = 16;

    /// Reads the text of a key file: 64 hexadecimal digits, with white space around them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let digits = text.trim().as_bytes();
        let not_a_key = Error::NotAMasterKey { found: digits.len() };
        if digits.len() != 2 * KEY_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(not_a_key);
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| not_a_key)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| not_a_key)?;
        }
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(Error::NotRandom);
        }
        Ok(Self(Key(bytes)))
    }

    /// The text of a new key file.
    pub fn generate_text() -> Zeroizing<String> {
        use std::fmt::Write;

        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES));
        for byte in Key::generate().bytes() {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
        }
        text
    }

    /// A value that tells this key from another and tells nothing else of it.
    pub fn check_value(&self) -> [u8; Self::CHECK_BYTES] {
        let derived = self.0.derive(b"haemosync", b"key check value");
        let mut value = [0; Self::CHECK_BYTES];
        value.iter_mut().zip(derived.bytes()).for_each(|(byte, derived)| *byte = *derived);
        value
    }

    /// Wraps a scope's keys for storage in the row they are bound to.
    pub fn wrap(&self, scope: &Scope, keys: &ScopeKeys) -> Vec<u8> {
        let plain = Zeroizing::new([*keys.data.bytes(), *keys.index.bytes()].concat());
        sealing::seal(&self.0, keys.id, &wrapped_row(scope), &plain)
    }

    /// Unwraps what [`MasterKey::wrap`] wrapped for the same scope.
    pub fn unwrap_keys(&self, scope: &Scope, wrapped: &[u8]) -> Result<ScopeKeys, Error> {
        let id = sealing::key_id(wrapped).map_err(Error::Unwrap)?;
        let plain =
            Zeroizing::new(sealing::open(&self.0, &wrapped_row(scope), wrapped).map_err(Error::Unwrap)?);
        let (data, index) = plain.split_first_chunk().ok_or(Error::Unwrap(sealing::Error::Refused))?;
        let index = index.try_into().map_err(|_| Error::Unwrap(sealing::Error::Refused))?;
        Ok(ScopeKeys { id, data: Key(Zeroizing::new(*data)), index: Key(Zeroizing::new(index)) })
    }
}

fn wrapped_row(scope: &Scope) -> Row<'_> {
    Row { table: "keys", key: b"", scope }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master() -> MasterKey {
        MasterKey::parse(&MasterKey::generate_text()).unwrap()
    }

    #[test]
    fn a_key_file_is_64_digits_and_nothing_else() {
        let text = MasterKey::generate_text();
        assert!(MasterKey::parse(&format!("  {}\r\n", text.to_uppercase())).is_ok());
        for bad in ["", "00ff", &"zz".repeat(32), &"+1".repeat(32), &format!("{}0", *text)] {
            assert!(matches!(MasterKey::parse(bad), Err(Error::NotAMasterKey { .. })));
        }
        assert_eq!(MasterKey::parse(&"ab".repeat(32)).unwrap_err(), Error::NotRandom);
    }

    #[test]
    fn nothing_shows_a_key() {
        let text = MasterKey::generate_text();
        let key = MasterKey::parse(&text).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey([redacted])");
        let error = MasterKey::parse(&text[1..]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&text[1..9]));
    }

    #[test]
    fn the_check_value_is_the_keys_own() {
        let text = MasterKey::generate_text();
        let parse = || MasterKey::parse(&text).unwrap().check_value();
        assert_eq!(parse(), parse());
        assert_ne!(parse(), master().check_value());
    }

    #[test]
    fn r05_wrapped_keys_open_under_their_master_and_scope_only() {
        let (master_key, scope) = (master(), Scope::Clinic("north".to_owned()));
        let keys = ScopeKeys::generate();
        let wrapped = master_key.wrap(&scope, &keys);

        let unwrapped = master_key.unwrap_keys(&scope, &wrapped).unwrap();
        assert_eq!(unwrapped.data.bytes(), keys.data.bytes());
        assert_eq!(unwrapped.index.bytes(), keys.index.bytes());
        assert!(master_key.unwrap_keys(&Scope::Feed("north".to_owned()), &wrapped).is_err());
        assert!(master().unwrap_keys(&scope, &wrapped).is_err());
    }
}
