//! Which laboratory's mapping reads a file: the one that was named, or the standard one of the file's format.

use std::path::Path;

use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::language::Format;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::nearest;

/// The name under which no laboratory is meant, but each file's own format.
pub(super) const BY_CONTENT: &str = "auto";
/// The mapping of any conformant HL7 v2; those of the other formats are named after it.
pub(super) const STANDARD: &str = "standard";

/// The namespace of HL7 v2 in XML; any other XML is taken for FHIR's.
const V2_XML: &[u8] = b"urn:hl7-org:v2xml";

/// Whose mapping reads what.
pub(super) enum Choice<'a> {
    ByContent(&'a Catalog),
    Named(&'a Mapping),
}

impl<'a> Choice<'a> {
    pub(super) fn of(lab: &str, catalog: &'a Catalog) -> Result<Self, Box<Diagnostic>> {
        if lab == BY_CONTENT {
            return Ok(Self::ByContent(catalog));
        }
        catalog.lab(lab).map(Self::Named).ok_or_else(|| Box::new(no_such_lab(lab, catalog)))
    }

    /// The formats whose files count in a folder; none where all files do.
    pub(super) fn formats(&self) -> Vec<Format> {
        match self {
            Self::ByContent(_) => Vec::new(),
            Self::Named(mapping) => vec![mapping.format()],
        }
    }

    pub(super) fn mapping(&self, path: &Path, bytes: &[u8]) -> Result<&'a Mapping, Box<Diagnostic>> {
        match self {
            Self::Named(mapping) => Ok(mapping),
            Self::ByContent(catalog) => {
                let name = match format_of(path, bytes) {
                    Format::Hl7v2 => STANDARD.to_owned(),
                    other => format!("{STANDARD}-{}", other.as_str()),
                };
                catalog.lab(&name).ok_or_else(|| Box::new(no_such_lab(&name, catalog)))
            }
        }
    }
}

/// What a file is by how it begins; a table shows by its name alone.
fn format_of(path: &Path, bytes: &[u8]) -> Format {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let holds = |text: &[u8]| memchr::memmem::find(bytes, text).is_some();
    let is_named = |ending: &str| path.extension().is_some_and(|it| it.eq_ignore_ascii_case(ending));
    match text.first() {
        Some(b'<') if holds(V2_XML) => Format::Hl7v2,
        Some(b'<') => Format::Fhir,
        Some(b'{') if holds(b"\"resourceType\"") => Format::Fhir,
        Some(b'{' | b'[') => Format::Json,
        _ if ["MSH", "FHS", "BHS"].iter().any(|name| text.starts_with(name.as_bytes())) => Format::Hl7v2,
        _ if is_named("csv") || is_named("tsv") => Format::Csv,
        _ => Format::Hl7v2,
    }
}

/// A laboratory that no mapping is for.
pub(crate) fn no_such_lab(lab: &str, catalog: &Catalog) -> Diagnostic {
    let known: Vec<&str> = catalog.names().collect();
    let help = nearest(lab, known.iter().copied())
        .map_or_else(|| format!("there are: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
    let message = format!("there is no mapping for a laboratory `{lab}`");
    Diagnostic::error(Code::new("C016"), message).at("--lab").help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_shows_its_format_by_how_it_begins() {
        for (name, bytes, format) in [
            ("a.txt", "\u{feff}MSH|^~\\&|", Format::Hl7v2),
            ("a.csv", "MSH|^~\\&|", Format::Hl7v2),
            ("a.xml", "<ORU_R01 xmlns=\"urn:hl7-org:v2xml\"/>", Format::Hl7v2),
            ("a.xml", "<?xml version=\"1.0\"?><Bundle xmlns=\"http://hl7.org/fhir\"/>", Format::Fhir),
            ("a.json", " {\"resourceType\": \"Bundle\"}", Format::Fhir),
            ("a.json", "{\"order\": 1}", Format::Json),
            ("a.CSV", "code,value\n", Format::Csv),
            ("a.bin", "\u{b}MSH|", Format::Hl7v2),
            ("notes", "code,value\n", Format::Hl7v2),
        ] {
            assert_eq!(format_of(Path::new(name), bytes.as_bytes()), format, "{name}: {bytes}");
        }
    }
}
