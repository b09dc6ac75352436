//! HMAC-SHA-256 over a request's body, in a header of the laboratory's choice.
//!
//! The signature is checked before the date it is sent with: a stranger learns nothing from a stale one. A replay inside
//! the window is the same bytes again, which intake answers as before.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// A larger number than this counts milliseconds: in seconds it is the year 5138.
const SECONDS_MAX: i64 = 100_000_000_000;

/// How a laboratory signs.
#[derive(Clone)]
pub struct Signature {
    key: hmac::Key,
    pub header: String,
    pub encoding: Encoding,
    /// Stands before the signature in its header, such as `sha256=`.
    pub prefix: String,
    pub dated: Option<Dated>,
}

/// Where the sender says when it sent, and how old that may be.
#[derive(Debug, Clone)]
pub struct Dated {
    pub header: String,
    pub window: Duration,
    pub covers: Covers,
}

/// What the signature is made over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    Body,
    /// The text of the date's header, a full stop, and the body: the date cannot be changed.
    DateAndBody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Base64,
    Hex,
}

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the request bears no signature")]
    Missing,
    #[error("the signature is not that of this body under the feed's secret")]
    Wrong,
    #[error("the request says not when it was sent, or not so that it can be read")]
    Undated,
    #[error("the request was sent too long ago, or is dated in the future")]
    Stale,
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signature").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Signature {
    /// Shorter secrets can be guessed.
    pub const SECRET_BYTES_MIN: usize = 16;

    /// None where the secret is too short to be one.
    pub fn new(secret: &str, header: String, encoding: Encoding, prefix: String) -> Option<Self> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        (secret.len() >= Self::SECRET_BYTES_MIN).then_some(Self {
            key,
            header,
            encoding,
            prefix,
            dated: None,
        })
    }

    /// Checks a body; `sent` gives the one value of a header.
    pub fn check<'a>(
        &self,
        sent: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Error> {
        let text = sent(&self.header).ok_or(Error::Missing)?.trim();
        let text = text.strip_prefix(self.prefix.as_str()).ok_or(Error::Wrong)?;
        let signature = self.encoding.decode(text).ok_or(Error::Wrong)?;
        let date = self.dated.as_ref().map(|dated| (dated, sent(&dated.header)));
        let verified = match &date {
            Some((dated, Some(date))) if dated.covers == Covers::DateAndBody => {
                let signed = [date.as_bytes(), b".", body].concat();
                hmac::verify(&self.key, &signed, &signature)
            }
            Some((dated, None)) if dated.covers == Covers::DateAndBody => return Err(Error::Undated),
            _ => hmac::verify(&self.key, body, &signature),
        };
        verified.map_err(|_| Error::Wrong)?;
        match date {
            None => Ok(()),
            Some((dated, date)) => {
                let at = date.and_then(moment).ok_or(Error::Undated)?;
                let age = now.duration_since(at).unsigned_abs();
                if age <= dated.window { Ok(()) } else { Err(Error::Stale) }
            }
        }
    }
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex if text.is_ascii() && text.len().is_multiple_of(2) => {
                let pairs = text.as_bytes().chunks(2);
                pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
            }
            Self::Hex => None,
        }
    }
}

/// Seconds or milliseconds since 1970, or RFC 3339.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(seconds) if seconds < SECONDS_MAX => Timestamp::from_second(seconds).ok(),
        Ok(milliseconds) => Timestamp::from_millisecond(milliseconds).ok(),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
    const SECRET: &str = "an invented secret of 32 letters";

    fn signer(encoding: Encoding, prefix: &str, dated: Option<Covers>) -> Signature {
        let mut signature =
            Signature::new(SECRET, "X-Signature".to_owned(), encoding, prefix.to_owned()).unwrap();
        signature.dated =
            dated.map(|covers| Dated { header: "X-Date".to_owned(), window: Duration::from_mins(5), covers });
        signature
    }

    fn sign(text: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::sign(&key, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }

    fn check(signature: &Signature, sent: &str, date: &str, body: &[u8]) -> Result<(), Error> {
        let header = |name: &str| match name {
            "X-Signature" if !sent.is_empty() => Some(sent),
            "X-Date" if !date.is_empty() => Some(date),
            _ => None,
        };
        signature.check(header, body, NOW)
    }

    #[test]
    fn only_the_signature_of_this_body_passes() {
        let hex = signer(Encoding::Hex, "sha256=", None);
        let right = format!("sha256={}", sign(b"body"));
        assert_eq!(check(&hex, &right, "", b"body"), Ok(()));
        assert_eq!(check(&hex, &right.to_uppercase(), "", b"body"), Err(Error::Wrong));
        assert_eq!(check(&hex, &right, "", b"bodY"), Err(Error::Wrong));
        assert_eq!(check(&hex, "", "", b"body"), Err(Error::Missing));
        for wrong in [&right[7..], "sha256=", "sha256=zz", "sha256=é1", &right[..70], "sha256=+1"] {
            assert_eq!(check(&hex, wrong, "", b"body"), Err(Error::Wrong), "{wrong}");
        }
        let base64 = signer(Encoding::Base64, "", None);
        let bytes: Vec<u8> = Encoding::Hex.decode(&sign(b"body")).unwrap();
        assert_eq!(check(&base64, &STANDARD.encode(bytes), "", b"body"), Ok(()));
        assert!(Signature::new("short", String::new(), Encoding::Hex, String::new()).is_none());
    }

    #[test]
    fn a_date_is_read_in_each_spelling_and_must_be_near() {
        let dated = signer(Encoding::Hex, "", Some(Covers::Body));
        let right = sign(b"body");
        for near in ["1800000000", "1799999700", "1800000300", "1800000000123", "2027-01-15T08:00:00Z"] {
            assert_eq!(check(&dated, &right, near, b"body"), Ok(()), "{near}");
        }
        for stale in ["1799999699", "1800000301", "2027-01-15T08:06:00Z", "1"] {
            assert_eq!(check(&dated, &right, stale, b"body"), Err(Error::Stale), "{stale}");
        }
        for none in ["", "yesterday"] {
            assert_eq!(check(&dated, &right, none, b"body"), Err(Error::Undated), "{none}");
        }
        // A stranger does not learn that the date was wrong.
        assert_eq!(check(&dated, "00", "1", b"body"), Err(Error::Wrong));
    }

    #[test]
    fn a_covered_date_cannot_be_changed() {
        let covered = signer(Encoding::Hex, "", Some(Covers::DateAndBody));
        let right = sign(b"1800000000.body");
        assert_eq!(check(&covered, &right, "1800000000", b"body"), Ok(()));
        assert_eq!(check(&covered, &right, "1800000001", b"body"), Err(Error::Wrong));
        assert_eq!(check(&covered, &right, "", b"body"), Err(Error::Undated));
    }
}
