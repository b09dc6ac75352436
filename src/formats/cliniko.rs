//! Cliniko's own shapes: what its API says ([`read`]), what we say to it ([`write`]), the object store's answer
//! ([`upload`]) and the little HTML of a note ([`html`]).
//!
//! Reading is tolerant, because the vendor's own texts disagree (`null`, `""` and a missing key mean the same, unknown
//! keys come without notice); writing is exact and has no field we did not mean to send. Free text of a patient's
//! record that nobody authorised us to keep has no field here, so it is dropped while it is read.

pub mod html;
mod id;
pub mod read;
pub mod upload;
pub mod write;

pub use self::id::Id;
pub use self::id::NotAnId;
