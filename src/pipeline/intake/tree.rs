//! Bytes to a tree, as JSON or as FHIR in either of its spellings; what cannot be decoded is a diagnostic.

use crate::diagnostic::Diagnostic;
use crate::formats::fhir::xml;
use crate::formats::hl7v2::xml::looks_like_xml;
use crate::formats::json;
use crate::formats::tree::Node;

/// FHIR in XML begins with an angle bracket, in JSON with a brace.
pub fn fhir(raw: &[u8]) -> Result<Node, Box<Diagnostic>> {
    if looks_like_xml(raw) {
        return xml::decode(raw).map_err(|error| Box::new(error.diagnostic()));
    }
    json(raw)
}

pub fn json(raw: &[u8]) -> Result<Node, Box<Diagnostic>> {
    json::decode(raw).map_err(|error| Box::new(error.diagnostic()))
}
