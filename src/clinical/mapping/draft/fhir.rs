//! FHIR says what it means: the mapping of any conformant report, with the laboratory's own tables of codes and units.

use crate::clinical::mapping::draft::Known;
use crate::clinical::mapping::draft::Sections;
use crate::clinical::mapping::draft::Tightness;
use crate::clinical::mapping::draft::page::Page;
use crate::clinical::mapping::draft::page::quoted;

const TEMPLATE: &str = "labs/standard-fhir/mapping.toml";
const TABLE_OF_STANDARD: &str = "table = \"standard/units.csv\", unmapped = \"keep\"";

pub(super) fn sections(lab: &str, samples: &[&[u8]], known: Known<'_>, tightness: Tightness) -> Sections {
    let template = known.files.get(TEMPLATE).map_or("", String::as_str);
    let mut page = Page::default();
    page.guess(&format!(
        "{} documents are FHIR; the rules below are those of any conformant report, the tables this laboratory's own",
        samples.len()
    ));
    let mut section = "";
    for line in template.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let name = line.split('=').next().unwrap_or_default().trim();
        match (section, name) {
            ("", "lab") => page.rule("lab   ", &quoted(lab)),
            ("[result]", "code") => {
                page.rule("code          ", &format!("{{ from = \"code\", {} }}", tightness.code()));
            }
            ("[result]", "unit") => page.line(&line.replace(TABLE_OF_STANDARD, tightness.unit())),
            _ => page.line(line),
        }
    }
    page.line("");
    Sections { page, questions: Vec::new() }
}
