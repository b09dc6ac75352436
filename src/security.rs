//! Secrets and what they protect: keys, sealed records and tagged rows, blind indexes, passwords, session tokens,
//! and what laboratories' programs prove themselves by.
//!
//! Pure of storage and of time: keys, rows and `now` are arguments, and where things are kept is for `store`.
//! Keys, salts and signing keys are drawn here, from the operating system alone.
//! There is no cipher that does nothing and no default key; an error says what was refused and never what was in it.
//! Start with [`keys`], then [`sealing`].

pub mod blind_index;
pub mod credentials;
pub mod keys;
pub mod passwords;
pub mod row_tag;
pub mod sealing;
pub mod tokens;
