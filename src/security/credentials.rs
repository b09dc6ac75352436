//! What laboratories' programs prove themselves by over HTTP: a signature over the body, a token, a signed assertion.
//!
//! Every comparison of secrets takes the same time for right and wrong. No key, URL or certificate is taken from what
//! is to be checked (ASVS 9.1).

mod access;
mod assertion;
mod signature;

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;

pub use self::access::AccessTokens;
pub use self::access::Error as AccessError;
pub use self::assertion::ASSERTION_LIFE_MAX;
pub use self::assertion::Assertions;
pub use self::assertion::Client;
pub use self::assertion::Error as AssertionError;
pub use self::signature::Covers;
pub use self::signature::Dated;
pub use self::signature::Encoding;
pub use self::signature::Error as SignatureError;
pub use self::signature::Signature;

/// A token that a laboratory always sends. Only its digest is held.
#[derive(Clone)]
pub struct StaticToken([u8; digest::SHA256_OUTPUT_LEN]);

impl StaticToken {
    /// Shorter ones can be guessed.
    pub const BYTES_MIN: usize = 20;

    /// None where the token is too short to be a secret.
    pub fn new(token: &str) -> Option<Self> {
        (token.len() >= Self::BYTES_MIN).then(|| Self(sha256(token)))
    }

    pub fn is(&self, sent: &str) -> bool {
        verify_slices_are_equal(&self.0, &sha256(sent)).is_ok()
    }
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StaticToken([redacted])")
    }
}

fn sha256(text: &str) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::StaticToken;

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token = StaticToken::new("an invented token of the laboratory").unwrap();
        assert!(token.is("an invented token of the laboratory"));
        assert!(!token.is("an invented token of the laborator") && !token.is(""));
        assert!(StaticToken::new("short").is_none());
        assert_eq!(format!("{token:?}"), "StaticToken([redacted])");
    }
}
