//! Ids that the same report always gets, and that nobody without the key can tie to its filler number.

use aws_lc_rs::hmac;

use crate::clinical::model::Report;
use crate::clinical::model::Sensitive;

/// The key of the ids. One installation keeps one key for ever, or its ids change.
pub struct IdKey(Sensitive<[u8; Self::BYTES]>);

impl IdKey {
    pub const BYTES: usize = 32;
    /// For `gateway try` and for tests, which say so: ids under it are no secret.
    pub const PUBLIC_TEST: Self = Self::new(*b"public test key, never a secret.");

    pub const fn new(key: [u8; Self::BYTES]) -> Self {
        Self(Sensitive::new(key))
    }
}

/// Draws the ids of one report: HMAC-SHA-256 over laboratory, filler number, kind of resource and position.
///
/// Every part goes in after its length, so that no two lists of parts are the same bytes.
pub(super) struct Ids {
    prefix: hmac::Context,
}

impl Ids {
    /// `repeat` counts earlier reports of the same message under the same number.
    pub(super) fn new(key: &IdKey, report: &Report, repeat: usize) -> Self {
        let mut prefix = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.0.expose()));
        add(&mut prefix, report.lab.as_bytes());
        add(&mut prefix, report.filler_number.as_bytes());
        add(&mut prefix, &number(repeat));
        Self { prefix }
    }

    pub(super) fn id(&self, kind: &'static str, position: usize) -> String {
        let mut id = String::with_capacity(UUID_CHARS);
        push_uuid(&mut id, self.tag(kind, position).as_ref());
        id
    }

    /// The `fullUrl` of the resource with [`Ids::id`].
    pub(super) fn url(&self, kind: &'static str, position: usize) -> String {
        let mut url = String::with_capacity(URN.len() + UUID_CHARS);
        url.push_str(URN);
        push_uuid(&mut url, self.tag(kind, position).as_ref());
        url
    }

    fn tag(&self, kind: &'static str, position: usize) -> hmac::Tag {
        let mut context = self.prefix.clone();
        add(&mut context, kind.as_bytes());
        add(&mut context, &number(position));
        context.sign()
    }
}

const URN: &str = "urn:uuid:";
const UUID_CHARS: usize = 36;

/// The id within a `fullUrl` of ours.
pub(super) fn id_of(url: &str) -> &str {
    url.strip_prefix(URN).unwrap_or(url)
}

fn add(context: &mut hmac::Context, part: &[u8]) {
    context.update(&number(part.len()));
    context.update(part);
}

fn number(number: usize) -> [u8; 8] {
    u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes()
}

/// The first 128 bits as a UUID of version 8, the one for ids of one's own making (RFC 9562, 5.8).
fn push_uuid(text: &mut String, tag: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in tag.iter().take(16).enumerate() {
        let byte = match at {
            6 => byte & 0x0F | 0x80,
            8 => byte & 0x3F | 0x80,
            _ => *byte,
        };
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0x0F] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::push_uuid;

    fn uuid(tag: &[u8]) -> String {
        let mut text = String::new();
        push_uuid(&mut text, tag);
        text
    }

    #[test]
    fn a_uuid_says_its_version_and_variant() {
        assert_eq!(uuid(&[0xFF; 32]), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(uuid(&[0x00; 32]), "00000000-0000-8000-8000-000000000000");
    }
}
