//! What a file of unknown kind is.

use crate::clinical::mapping::draft::Sample;
use crate::clinical::mapping::draft::names::meanings;
use crate::clinical::mapping::language::Format;
use crate::formats::csv;
use crate::formats::hl7v2;
use crate::formats::json;
use crate::formats::tree::Node;
use crate::formats::xml;

/// A header has at least so many names that are known.
const COLUMNS_NAMED_MIN: usize = 2;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    Er7,
    Hl7Xml,
    FhirJson,
    FhirXml,
    Json,
    Table,
}

impl Shape {
    const ALL: [Self; 6] = [Self::Er7, Self::Hl7Xml, Self::FhirJson, Self::FhirXml, Self::Json, Self::Table];

    pub const fn format(self) -> Format {
        match self {
            Self::Er7 | Self::Hl7Xml => Format::Hl7v2,
            Self::FhirJson | Self::FhirXml => Format::Fhir,
            Self::Json => Format::Json,
            Self::Table => Format::Csv,
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Er7 => "HL7 v2",
            Self::Hl7Xml => "HL7 v2 in XML",
            Self::FhirJson => "FHIR in JSON",
            Self::FhirXml => "FHIR in XML",
            Self::Json => "JSON",
            Self::Table => "CSV",
        }
    }

    /// The ending of an example's message.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Er7 => "hl7",
            Self::Hl7Xml | Self::FhirXml => "xml",
            Self::FhirJson | Self::Json => "json",
            Self::Table => "csv",
        }
    }

    /// What some bytes are; `None` where they are none of ours.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if let Ok(text) = xml::characters(bytes)
            && text.trim_start().starts_with('<')
        {
            let is_hl7 = text.contains(xml::Namespace::HL7V2) || text.contains("<MSH");
            let is_fhir = text.contains(xml::Namespace::FHIR);
            return if is_hl7 { Some(Self::Hl7Xml) } else { is_fhir.then_some(Self::FhirXml) };
        }
        if hl7v2::decode(bytes).message.is_some() {
            return Some(Self::Er7);
        }
        if let Ok(root) = json::decode(bytes) {
            let is_tree = matches!(root, Node::Object(_) | Node::List(_));
            let is_fhir = root.get("resourceType").is_some();
            return is_tree.then_some(if is_fhir { Self::FhirJson } else { Self::Json });
        }
        let table = csv::decode(bytes, None).ok()?;
        // A first line in which no name is known may be a patient's row: names of columns are told, and rows never.
        let named = table.columns.iter().filter(|name| !meanings(name).is_empty()).count();
        (named >= COLUMNS_NAMED_MIN && !table.rows.is_empty()).then_some(Self::Table)
    }
}

/// The shape that most samples have, and which have it.
pub(super) fn most(samples: &[Sample<'_>]) -> Option<(Shape, Vec<usize>)> {
    let shapes: Vec<Option<Shape>> = samples.iter().map(|it| Shape::of(it.bytes)).collect();
    let of = |shape: Shape| -> Vec<usize> {
        shapes.iter().enumerate().filter(|(_, it)| **it == Some(shape)).map(|(at, _)| at).collect()
    };
    let counted = Shape::ALL.into_iter().map(|shape| (shape, of(shape)));
    // Of as many, the first of the list.
    counted.filter(|(_, used)| !used.is_empty()).rev().max_by_key(|(_, used)| used.len())
}
