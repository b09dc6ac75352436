//! Client assertions: SMART backend services' `private_key_jwt` (RFC 7523), by keys the operator was given.
//!
//! Only RS384 and ES384, as SMART asks; the key comes from the client's own set and never from the token. An assertion
//! is used once: its id is remembered until it expires, in memory, which a restart forgets for five minutes at most.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::jwk::KeyAlgorithm;
use serde::Deserialize;

use crate::security::tokens::LEEWAY;

/// SMART: the expiration must be no more than five minutes in the future.
pub const ASSERTION_LIFE_MAX: Duration = Duration::from_mins(5);
/// Longest assertion looked at.
const ASSERTION_BYTES_MAX: usize = 8 * 1024;
const ID_BYTES_MAX: usize = 256;
/// Ids remembered at the same time. Above it, new assertions are refused and not old ones forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// A program of a laboratory, and the public keys it signs with.
#[derive(Clone)]
pub struct Client {
    pub id: String,
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: DecodingKey,
}

/// Why an assertion, or a set of keys, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the keys are not a JWK set with a public key for RS384 or ES384")]
    NoUsableKey,
    #[error("the assertion is not one of this client's for this address")]
    Refused,
    #[error("the assertion has expired, or lives for more than five minutes")]
    Expired,
    #[error("the assertion was used before")]
    Replayed,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn is(&self, address: &str) -> bool {
        match self {
            Self::One(one) => one == address,
            Self::Several(all) => all.iter().any(|it| it == address),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Client {
    /// Reads a client's JWK set. Keys for other algorithms are passed over.
    pub fn new(id: String, jwks: &str) -> Result<Self, Error> {
        let set: JwkSet = serde_json::from_str(jwks).map_err(|_| Error::NoUsableKey)?;
        let keys: Vec<Key> = set.keys.iter().filter_map(key).collect();
        if keys.is_empty() { Err(Error::NoUsableKey) } else { Ok(Self { id, keys }) }
    }

    fn claims(&self, assertion: &str, key_id: Option<&str>, algorithm: Algorithm) -> Result<Claims, Error> {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        let fitting = fitting.filter(|key| key_id.is_none() || key.id.as_deref() == key_id);
        let read = |key: &Key| jsonwebtoken::decode::<Claims>(assertion, &key.public, &validation).ok();
        fitting.filter_map(read).map(|it| it.claims).next().ok_or(Error::Refused)
    }
}

fn key(jwk: &Jwk) -> Option<Key> {
    let algorithm = match (jwk.common.key_algorithm, &jwk.algorithm) {
        (Some(KeyAlgorithm::RS384) | None, jsonwebtoken::jwk::AlgorithmParameters::RSA(_)) => {
            Algorithm::RS384
        }
        (Some(KeyAlgorithm::ES384) | None, jsonwebtoken::jwk::AlgorithmParameters::EllipticCurve(it))
            if it.curve == jsonwebtoken::jwk::EllipticCurve::P384 =>
        {
            Algorithm::ES384
        }
        _ => return None,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { id: jwk.common.key_id.clone(), algorithm, public: key })
}

/// Checks assertions, each once.
#[derive(Debug, Default)]
pub struct Assertions {
    /// Client and id of each that was used, with the second it expires.
    used: Mutex<BTreeMap<(String, String), i64>>,
}

impl Assertions {
    /// Which of the clients an assertion for this audience is from.
    pub fn check<'a>(
        &self,
        clients: impl Iterator<Item = &'a Client>,
        assertion: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<&'a Client, Error> {
        if assertion.len() > ASSERTION_BYTES_MAX {
            return Err(Error::Refused);
        }
        let header = jsonwebtoken::decode_header(assertion).map_err(|_| Error::Refused)?;
        if !matches!(header.alg, Algorithm::ES384 | Algorithm::RS384) || header.crit.is_some() {
            return Err(Error::Refused);
        }
        // Only to choose whose keys are tried; nothing is believed before the signature is checked.
        let claimed: Claims =
            jsonwebtoken::dangerous::insecure_decode_claims(assertion).map_err(|_| Error::Refused)?;
        let client = { clients }.find(|client| client.id == claimed.iss).ok_or(Error::Refused)?;
        let claims = client.claims(assertion, header.kid.as_deref(), header.alg)?;
        let id_fits = (1..=ID_BYTES_MAX).contains(&claims.jti.len());
        if claims.iss != client.id || claims.sub != client.id || !claims.aud.is(audience) || !id_fits {
            return Err(Error::Refused);
        }
        let (second, leeway) = (now.as_second(), LEEWAY.as_secs().cast_signed());
        let latest = second + ASSERTION_LIFE_MAX.as_secs().cast_signed() + leeway;
        if claims.exp <= second - leeway
            || claims.exp > latest
            || claims.nbf.is_some_and(|it| it > second + leeway)
        {
            return Err(Error::Expired);
        }
        self.once(client, claims.jti, claims.exp, second - leeway)?;
        Ok(client)
    }

    fn once(&self, client: &Client, id: String, expires: i64, now: i64) -> Result<(), Error> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, expires| *expires > now);
        if used.len() >= REMEMBERED_MAX {
            return Err(Error::Refused);
        }
        match used.insert((client.id.clone(), id), expires) {
            None => Ok(()),
            Some(_) => Err(Error::Replayed),
        }
    }
}
