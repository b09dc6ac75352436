//! Blind indexes: finding a record by an identifier that the store must not be able to read.
//!
//! An index is HMAC-SHA-256 of the normalised identifier, under a key for each scope and field. It tells whether two
//! identifiers of one scope, field and table are equal, and nothing else: no ranges, no prefixes, nothing across clinics.
//! An NHS number has only a thousand million values, so the key is as precious as the data key; there is never a bare hash.

use aws_lc_rs::hmac;

use crate::security::keys::ScopeKeys;

/// Bytes of an index.
pub const INDEX_BYTES: usize = 32;

/// What kind of identifier is looked up.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Field {
    ClinikoId,
    ControlId,
    Digest,
    Email,
    /// A file in a feed's inbox, and a receipt in its folder.
    FileName,
    FillerNumber,
    /// Family name, given name and birth date, joined by the caller.
    NameAndBirthDate,
    NhsNumber,
    OrderNumber,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::ClinikoId => "cliniko id",
            Self::ControlId => "control id",
            Self::Digest => "digest",
            Self::Email => "email",
            Self::FileName => "file name",
            Self::FillerNumber => "filler number",
            Self::NameAndBirthDate => "name and birth date",
            Self::NhsNumber => "nhs number",
            Self::OrderNumber => "order number",
        }
    }

    /// One spelling for what people write in several. Identifiers of other systems keep their case: `a1` and `A1` may be two.
    fn normalise(self, value: &str) -> String {
        match self {
            Self::NhsNumber | Self::OrderNumber => {
                value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
            }
            Self::Email | Self::NameAndBirthDate => {
                value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
            }
            // A file's name is its sender's own, to the last space.
            Self::FileName => value.to_owned(),
            Self::ClinikoId | Self::ControlId | Self::Digest | Self::FillerNumber => value.trim().to_owned(),
        }
    }
}

/// The index of an identifier in one scope, for rows of one table.
pub fn index(keys: &ScopeKeys, table: &str, field: Field, value: &str) -> [u8; INDEX_BYTES] {
    mac(keys, field.name(), &[table.as_bytes(), field.normalise(value).as_bytes()])
}

/// A keyed digest of several parts, for one purpose: Cliniko markers, patient pseudonyms. Its key is never rotated.
pub fn mac(keys: &ScopeKeys, purpose: &str, parts: &[&[u8]]) -> [u8; INDEX_BYTES] {
    let key = keys.index.derive(b"index", purpose.as_bytes());
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.bytes()));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut index = [0; INDEX_BYTES];
    index.copy_from_slice(context.sign().as_ref());
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_identifier_meet() {
        let keys = ScopeKeys::generate();
        let check = |field, a, b| assert_eq!(index(&keys, "t", field, a), index(&keys, "t", field, b));
        check(Field::NhsNumber, "943 476 5919", "943-476-5919");
        check(Field::OrderNumber, "hs-7k2m ", "HS7K2M");
        check(Field::Email, " Ada@Example.org", "ada@example.org");
        check(Field::NameAndBirthDate, "Öz  Ada 1980-01-02", "öz ada 1980-01-02");
        check(Field::ControlId, " 17 ", "17");
    }

    #[test]
    fn another_value_field_table_or_scope_does_not() {
        let keys = ScopeKeys::generate();
        let base = index(&keys, "t", Field::FillerNumber, "a1");
        assert_ne!(base, index(&keys, "t", Field::FillerNumber, "A1"));
        assert_ne!(base, index(&keys, "t", Field::ControlId, "a1"));
        assert_ne!(base, index(&keys, "u", Field::FillerNumber, "a1"));
        assert_ne!(base, index(&ScopeKeys::generate(), "t", Field::FillerNumber, "a1"));
        assert_ne!(mac(&keys, "p", &[b"ab", b"c"]), mac(&keys, "p", &[b"a", b"bc"]));
    }
}
