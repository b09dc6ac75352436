//! The doors laboratories send through. A source frames bytes and passes answers on; it decides nothing.
//!
//! [`mllp`] has listeners of its own; [`http`] is routes for the one HTTP listener. SFTP stands beside them.

pub mod http;
pub mod mllp;
pub mod sftp;
pub mod sftp_poll;
