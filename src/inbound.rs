//! The doors laboratories send through. A source frames bytes and passes answers on; it decides nothing.
//!
//! [`mllp`] and [`sftp`] have listeners of their own; [`http`] is routes for the one HTTP listener; [`sftp_poll`] opens none, and
//! goes to where a laboratory hosts its files.

pub mod http;
pub mod mllp;
pub mod sftp;
pub mod sftp_poll;
