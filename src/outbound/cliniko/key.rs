//! A clinic's API key, and the one host it may be sent to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::clinical::model::Sensitive;

/// A Cliniko API key with the shard it names. It has all the rights of its owner, so it is never printed.
#[derive(Debug, Clone)]
pub struct Key {
    /// The value of the `Authorization` header.
    authorization: Sensitive<String>,
    shard: String,
}

impl Key {
    /// Longer than any key seen, and it bounds what we put in a header.
    const BYTES_MAX: usize = 512;
    /// A key without a suffix belongs to the vendor's oldest shard (portal, guide to sharding).
    const SHARD_WITHOUT_SUFFIX: &'static str = "au1";

    /// Reads a key; its shard is the text after the last hyphen and must be on the deployment's list, so that a
    /// mistyped key cannot send patients' data to another country.
    ///
    /// # Errors
    /// Names the shard, which is no secret, and nothing else of the key.
    pub fn parse(text: &str, shards_allowed: &[String]) -> Result<Self, BadKey> {
        let text = text.trim();
        if text.is_empty()
            || text.len() > Self::BYTES_MAX
            || !text.bytes().all(|b| b.is_ascii_graphic() && b != b':')
        {
            return Err(BadKey::NotAKey);
        }
        let shard = match text.rsplit_once('-') {
            Some((_, suffix)) => suffix.to_ascii_lowercase(),
            None => Self::SHARD_WITHOUT_SUFFIX.to_owned(),
        };
        if !is_shard(&shard) {
            return Err(BadKey::NotAKey);
        }
        if !shards_allowed.contains(&shard) {
            return Err(BadKey::ShardNotAllowed { shard });
        }
        let authorization = Sensitive::new(format!("Basic {}", STANDARD.encode(format!("{text}:"))));
        Ok(Self { authorization, shard })
    }

    pub fn shard(&self) -> &str {
        &self.shard
    }

    pub(super) fn authorization(&self) -> &str {
        self.authorization.expose()
    }
}

/// Two letters, then one or two digits.
fn is_shard(text: &str) -> bool {
    let Some((letters, digits)) = text.split_at_checked(2) else { return false };
    letters.bytes().all(|b| b.is_ascii_lowercase())
        && (1..=2).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("the text is not a Cliniko API key")]
    NotAKey,
    #[error("the key belongs to shard `{shard}`, which this deployment does not allow")]
    ShardNotAllowed { shard: String },
}

#[cfg(test)]
mod tests {
    use super::BadKey;
    use super::Key;

    #[test]
    fn the_shard_stands_after_the_last_hyphen_and_must_be_allowed() {
        let allowed = ["uk1".to_owned(), "uk12".to_owned()];
        let key = Key::parse(" MS0x-LTQy-uk1\n", &allowed).unwrap();
        assert_eq!(key.shard(), "uk1");
        assert_eq!(key.authorization(), "Basic TVMweC1MVFF5LXVrMTo=");
        assert_eq!(Key::parse("MS0x-UK12", &allowed).unwrap().shard(), "uk12");
        assert!(!format!("{key:?}").contains("TVMw"));
        for (text, error) in [
            ("MS0x-au1", BadKey::ShardNotAllowed { shard: "au1".to_owned() }),
            ("MS0x", BadKey::ShardNotAllowed { shard: "au1".to_owned() }),
            ("", BadKey::NotAKey),
            ("MS0x-uk1.evil.example", BadKey::NotAKey),
            ("MS0x-uk123", BadKey::NotAKey),
            ("MS:0x-uk1", BadKey::NotAKey),
        ] {
            assert_eq!(Key::parse(text, &allowed).unwrap_err(), error, "{text}");
        }
    }
}
