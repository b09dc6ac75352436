//! Session tokens: short-lived JWTs signed with Ed25519, by this gateway and for this gateway.
//!
//! A token names a session and grants nothing: whether the session lives, and what its user may do, is read from the
//! store at each request, so a revocation works at once (R12).
//! The algorithm is fixed and no key, URL or certificate is ever taken from a token's header (ASVS 9.1).

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
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
use zeroize::Zeroizing;

const ISSUER: &str = "haemosync-gateway";
const AUDIENCE: &str = "haemosync-gateway/api";
/// RFC 8725 §3.11: an explicit type, so that no other kind of JWT passes for a session.
const TYPE: &str = "session+jwt";

/// How far the clocks of two nodes may differ.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// The longest life a token may claim; sessions end sooner by the store's word.
pub const LIFE_MAX: Duration = Duration::from_hours(12);
/// Longest token looked at.
pub const TOKEN_BYTES_MAX: usize = 2 * 1024;

/// Whom a token speaks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    pub user: String,
    pub session: String,
    pub clinic: String,
}

/// Why a token was refused. Callers answer 401 to each alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("the session token has expired")]
    Expired,
    #[error("the session token was not issued by this gateway for this use")]
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
    sub: String,
    sid: String,
    clinic: String,
}

/// Signs and verifies session tokens.
pub struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signer([redacted])")
    }
}

impl Signer {
    /// Draws a signing key, in PKCS #8; it is stored sealed.
    pub fn generate() -> Zeroizing<Vec<u8>> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .expect("the operating system's generator does not fail once it is seeded");
        Zeroizing::new(document.as_ref().to_vec())
    }

    /// Reads a signing key that [`Signer::generate`] made.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| Error::UnreadableKey)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // The library would ask the machine's clock; `verify` is told the time.
        validation.validate_exp = false;
        Ok(Self {
            encoding: EncodingKey::from_ed_der(pkcs8),
            decoding: DecodingKey::from_ed_der(pair.public_key().as_ref()),
            validation,
        })
    }

    /// Issues a token for a session; `life` is cut at [`LIFE_MAX`]. Returns it with the second it expires.
    pub fn issue(
        &self,
        session: Session,
        now: Timestamp,
        life: Duration,
    ) -> Result<(String, Timestamp), Error> {
        let iat = now.as_second();
        let exp = iat.saturating_add(seconds(life.min(LIFE_MAX)));
        let expires_at = Timestamp::from_second(exp).map_err(|_| Error::Refused)?;
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::EdDSA) };
        let (iss, aud) = (ISSUER.to_owned(), AUDIENCE.to_owned());
        let Session { user: sub, session: sid, clinic } = session;
        let claims = Claims { iss, aud, iat, exp, sub, sid, clinic };
        let token =
            jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(|_| Error::UnreadableKey)?;
        Ok((token, expires_at))
    }

    /// Reads a token that this gateway issued and that has not expired.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Session, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::Refused);
        }
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| Error::Refused)?;
        let Claims { iat, exp, sub, sid, clinic, .. } = data.claims;
        let (now, leeway) = (now.as_second(), seconds(LEEWAY));
        if data.header.typ.as_deref() != Some(TYPE)
            || iat > now.saturating_add(leeway)
            || exp.saturating_sub(iat) > seconds(LIFE_MAX)
        {
            return Err(Error::Refused);
        }
        if now >= exp.saturating_add(leeway) {
            return Err(Error::Expired);
        }
        Ok(Session { user: sub, session: sid, clinic })
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
    const LIFE: Duration = Duration::from_mins(15);

    fn session() -> Session {
        Session { user: "u1".to_owned(), session: "s1".to_owned(), clinic: "north".to_owned() }
    }

    fn signer() -> Signer {
        Signer::from_pkcs8(&Signer::generate()).unwrap()
    }

    #[test]
    fn a_token_lives_for_its_life_and_the_leeway() {
        let signer = signer();
        let (token, expires_at) = signer.issue(session(), NOW, LIFE).unwrap();
        assert_eq!(expires_at, NOW + LIFE);
        assert_eq!(signer.verify(&token, NOW), Ok(session()));
        assert_eq!(signer.verify(&token, NOW + LIFE + LEEWAY - Duration::from_secs(1)), Ok(session()));
        assert_eq!(signer.verify(&token, NOW + LIFE + LEEWAY), Err(Error::Expired));
        assert_eq!(signer.verify(&token, NOW - Duration::from_secs(31)), Err(Error::Refused));
        let (_, expires_at) = signer.issue(session(), NOW, LIFE * 1000).unwrap();
        assert_eq!(expires_at, NOW + LIFE_MAX);
    }

    #[test]
    fn hostile_tokens_are_refused() {
        let signer = signer();
        let (token, _) = signer.issue(session(), NOW, LIFE).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let forged = |header: &str| format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), parts[1], parts[2]);

        let (other, _) = self::signer().issue(session(), NOW, LIFE).unwrap();
        let with = |header: Header, claims: Claims| {
            jsonwebtoken::encode(&header, &claims, &signer.encoding).unwrap()
        };
        let claims = || Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: NOW.as_second(),
            exp: NOW.as_second() + 900,
            sub: session().user,
            sid: session().session,
            clinic: session().clinic,
        };
        let typed = || Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::EdDSA) };
        assert!(signer.verify(&with(typed(), claims()), NOW).is_ok());

        for hostile in [
            other,
            forged(r#"{"alg":"none","typ":"session+jwt"}"#),
            forged(r#"{"alg":"HS256","typ":"session+jwt"}"#),
            format!("{}.{}.", parts[0], parts[1]),
            with(Header::new(Algorithm::EdDSA), claims()),
            with(typed(), Claims { aud: "other".to_owned(), ..claims() }),
            with(typed(), Claims { iss: "other".to_owned(), ..claims() }),
            with(typed(), Claims { exp: NOW.as_second() + 10_000_000, ..claims() }),
            String::new(),
            "a".repeat(TOKEN_BYTES_MAX + 1),
        ] {
            assert_eq!(signer.verify(&hostile, NOW), Err(Error::Refused), "{hostile}");
        }
    }
}
