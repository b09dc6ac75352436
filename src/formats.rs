//! How things are written: bytes to typed values and back.
//!
//! Knows nothing of laboratories, patients or mappings. A codec reports a deviation; it never repairs one in silence.

pub mod characters;
pub mod cliniko;
pub mod csv;
pub mod fhir;
pub mod hl7v2;
pub mod json;
pub mod mllp;
pub mod problem;
pub mod receipt;
pub mod tree;
pub mod xml;
