//! The doors laboratories send through. A source frames bytes and passes answers on; it decides nothing.
//!
//! Later doors (FHIR, SFTP, signed JSON) stand beside [`mllp`], each with its own `run(Config, Intake, Shutdown)`.

pub mod mllp;
pub mod sftp_poll;
