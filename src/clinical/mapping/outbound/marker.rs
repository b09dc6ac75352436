//! The permanent mark of one planned call, by which it is found again in Cliniko (promises, "The one non-idempotent
//! neighbour").

use std::fmt;

use aws_lc_rs::hmac;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::mapping::outbound::case::ReportView;
use crate::clinical::model::Sensitive;

/// The clinic's key for markers. Never rotated.
#[derive(Debug, Clone)]
pub struct MarkerKey(Sensitive<[u8; 32]>);

impl MarkerKey {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Sensitive::new(bytes))
    }
}

/// `LAB-` and sixteen characters of base 32. Made from content and never from a random id, so that a restored or
/// re-read message finds what was filed before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marker(String);

impl Marker {
    /// RFC 4648 §6: capitals and digits, which a `~` condition carries unchanged.
    const ALPHABET: &'static [u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const CHARS: u32 = 16;

    pub(super) fn new(key: &MarkerKey, report: &ReportView, call: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.0.expose());
        let mut context = hmac::Context::with_key(&key);
        // Each part with its length before it: no two lists of parts give the same bytes.
        for part in [report.lab.as_str(), &report.filler_number, &report.content_sha256, call] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        let tag = context.sign();
        let bits = tag.as_ref().iter().take(10).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let letter = |place: u32| {
            let value = usize::try_from(bits >> (5 * place) & 31).expect("five bits fit");
            char::from(Self::ALPHABET[value])
        };
        Self("LAB-".chars().chain((0..Self::CHARS).rev().map(letter)).collect())
    }

    /// How a marker begins where it marks. One that is only mentioned, as a correction mentions what it supersedes,
    /// stands without brackets, or the look-up for the old file would find the new one too.
    pub(super) const OPENING: &'static str = "[LAB-";

    pub(super) fn stands_alone_in(&self, text: &str) -> bool {
        text.matches(Self::OPENING).count() == 1 && text.contains(&format!("[{self}]"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
