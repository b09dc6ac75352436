//! Passwords: argon2id (RFC 9106) in PHC strings, of a length that people can live with.
//!
//! A hash costs 64 MiB and a good part of a second by design: run it off the async workers.
//! One is computed at a time, so a flood of logins costs the memory of one.
//! There are no composition rules (ASVS 6.2.5); whether a password is known to be breached is not decided here.

use std::sync::Mutex;
use std::sync::PoisonError;

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::Version;
use aws_lc_rs::constant_time;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// Fewest characters accepted; 15 are advised.
pub const CHARACTERS_MIN: usize = 12;
/// Most characters accepted: far above a passphrase, and a bound on what is hashed.
pub const CHARACTERS_MAX: usize = 128;

const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// A stored string may ask for no more than this, so that a forged row cannot exhaust the machine.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 10;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Why a password or a stored hash was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("a password has at least {CHARACTERS_MIN} characters, and 15 are advised")]
    TooShort,
    #[error("a password has at most {CHARACTERS_MAX} characters")]
    TooLong,
    #[error("a stored password hash cannot be read")]
    UnreadableHash,
}

/// Hashes a new password for storage.
pub fn hash(password: &str) -> Result<String, Error> {
    match password.chars().count() {
        ..CHARACTERS_MIN => return Err(Error::TooShort),
        CHARACTERS_MIN..=CHARACTERS_MAX => {}
        _ => return Err(Error::TooLong),
    }
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).expect("the operating system's generator does not fail once it is seeded");
    let cost = Cost { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES };
    let hash = compute(cost, password, &salt).ok_or(Error::UnreadableHash)?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(*hash));
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
}

/// Tells whether a password is the one that was hashed, in a time that does not depend on where it differs.
pub fn verify(password: &str, stored: &str) -> Result<bool, Error> {
    if password.chars().count() > CHARACTERS_MAX {
        verify_nobody("");
        return Ok(false);
    }
    let (cost, salt, expected) = parse(stored).ok_or(Error::UnreadableHash)?;
    let hash = compute(cost, password, &salt).ok_or(Error::UnreadableHash)?;
    Ok(constant_time::verify_slices_are_equal(hash.as_slice(), &expected).is_ok())
}

/// Takes as long as [`verify`] and accepts nothing: for a user who does not exist, so that time does not tell.
pub fn verify_nobody(password: &str) {
    let cost = Cost { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES };
    let bounded: Zeroizing<String> = Zeroizing::new(password.chars().take(CHARACTERS_MAX).collect());
    compute(cost, &bounded, &[0; SALT_BYTES]);
}

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

fn compute(cost: Cost, password: &str, salt: &[u8]) -> Option<Zeroizing<[u8; HASH_BYTES]>> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(HASH_BYTES)).ok()?;
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let result = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
        password.as_bytes(),
        salt,
        hash.as_mut_slice(),
    );
    drop(turn);
    result.ok().map(|()| hash)
}

fn parse(stored: &str) -> Option<(Cost, Vec<u8>, Vec<u8>)> {
    let mut parts = stored.strip_prefix("$argon2id$v=19$")?.split('$');
    let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = cost.split(',');
    let mut number = |name: &str| numbers.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let cost = Cost { memory_kib: number("m=")?, passes: number("t=")?, lanes: number("p=")? };
    if cost.memory_kib > MEMORY_KIB_MAX || cost.passes > PASSES_MAX || parts.next().is_some() {
        return None;
    }
    Some((cost, STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let stored = hash("correct horse battery").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"));
        assert_eq!(verify("correct horse battery", &stored), Ok(true));
        assert_eq!(verify("correct horse batterz", &stored), Ok(false));
        assert_ne!(stored, hash("correct horse battery").unwrap());
    }

    #[test]
    fn another_implementations_hash_verifies() {
        // The first argon2id case of the reference implementation's own tests: m=256, t=2, p=1.
        let stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert_eq!(verify("password", stored), Ok(true));
        assert_eq!(verify("differentpassword", stored), Ok(false));
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(hash("elevenchars"), Err(Error::TooShort));
        assert_eq!(hash(&"é".repeat(129)), Err(Error::TooLong));
        assert!(hash(&"é".repeat(12)).is_ok());
    }

    #[test]
    fn a_forged_or_damaged_hash_is_refused_before_it_costs_anything() {
        for bad in [
            "",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65",
            "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$nf65",
            "$argon2id$v=19$m=256,t=99,p=1$c29tZXNhbHQ$nf65",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65$more",
        ] {
            assert_eq!(verify("password", bad), Err(Error::UnreadableHash), "{bad}");
        }
    }
}
