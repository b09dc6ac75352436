//! Access tokens: what an assertion is changed for, short-lived and for the laboratory's own feeds alone.
//!
//! Signed with a key of their own, and of a type of their own (RFC 9068), so that none passes for a session and no
//! session for one.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::Validation;
use serde::Deserialize;
use serde::Serialize;

use crate::security::tokens::LEEWAY;
use crate::security::tokens::TOKEN_BYTES_MAX;

const ISSUER: &str = "haemosync-gateway";
const AUDIENCE: &str = "haemosync-gateway/inbound";
const TYPE: &str = "at+jwt";

/// Signs and verifies access tokens.
pub struct AccessTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the access token has expired")]
    Expired,
    #[error("the access token was not issued by this gateway for this use")]
    Refused,
    #[error("the stored signing key cannot be read")]
    UnreadableKey,
}

#[derive(Deserialize, Serialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
    /// The laboratory.
    sub: String,
    scope: String,
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessTokens([redacted])")
    }
}

impl AccessTokens {
    /// How long a token lives.
    pub const LIFE: Duration = Duration::from_mins(5);
    /// All that a laboratory may do here: create.
    pub const SCOPE: &'static str = "system/*.c";

    /// Reads a signing key that [`Signer::generate`](crate::security::tokens::Signer::generate) made.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| Error::UnreadableKey)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // The library would ask the machine's clock; `check` is told the time.
        validation.validate_exp = false;
        Ok(Self {
            encoding: EncodingKey::from_ed_der(pkcs8),
            decoding: DecodingKey::from_ed_der(pair.public_key().as_ref()),
            validation,
        })
    }

    pub fn issue(&self, lab: &str, now: Timestamp) -> Result<String, Error> {
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::EdDSA) };
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now.as_second(),
            exp: now.as_second() + Self::LIFE.as_secs().cast_signed(),
            sub: lab.to_owned(),
            scope: Self::SCOPE.to_owned(),
        };
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(|_| Error::UnreadableKey)
    }

    /// The laboratory a token speaks for.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<String, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::Refused);
        }
        let read = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| Error::Refused)?;
        if read.header.typ.as_deref() != Some(TYPE) || read.claims.scope != Self::SCOPE {
            return Err(Error::Refused);
        }
        let expired = read.claims.exp + LEEWAY.as_secs().cast_signed() <= now.as_second();
        if expired { Err(Error::Expired) } else { Ok(read.claims.sub) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::AccessTokens;
    use super::Error;
    use crate::security::tokens::Session;
    use crate::security::tokens::Signer;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    #[test]
    fn a_token_speaks_for_its_laboratory_while_it_lives() {
        let key = Signer::generate();
        let tokens = AccessTokens::from_pkcs8(&key).unwrap();
        let token = tokens.issue("north", NOW).unwrap();
        assert_eq!(tokens.check(&token, NOW).as_deref(), Ok("north"));
        assert_eq!(tokens.check(&token, NOW + Duration::from_secs(330)), Err(Error::Expired));
        let other = AccessTokens::from_pkcs8(&Signer::generate()).unwrap();
        assert_eq!(other.check(&token, NOW), Err(Error::Refused));
        // A session's token under the same key is none.
        let signer = Signer::from_pkcs8(&key).unwrap();
        let session = Session { user: "u".to_owned(), session: "s".to_owned(), clinic: "c".to_owned() };
        let (session, _) = signer.issue(session, NOW, Duration::from_mins(1)).unwrap();
        assert_eq!(tokens.check(&session, NOW), Err(Error::Refused));
    }
}
