//! A first mapping for a laboratory, from messages it has sent: what they show, with the evidence for every guess.
//!
//! A draft compiles and reads its samples as far as they say what they mean. What they do not say is left to hold: a
//! code or unit of which nothing is known has no row, a word of no known meaning no entry. Every line that is more than
//! was seen is marked `# guess:`. Start at [`draft`].
//!
//! A draft is made twice: loosely, so that codes and units can be read with the samples' own eyes, then with its tables.

mod columns;
mod evidence;
mod fhir;
mod hl7v2;
mod names;
mod page;
mod shape;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use self::evidence::Tally;
use self::page::Page;
pub use self::shape::Shape;
use self::tables::Tables;
use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::Reading;
use crate::clinical::mapping::language::Format;
use crate::clinical::terminology::TableKind;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

const NO_SAMPLES: Code = Code::new("M083");
const NOT_SOUND: Code = Code::new("M084");
const MAPPING: &str = "mapping.toml";
const CODES: &str = "codes.csv";
const UNITS: &str = "units.csv";
const README: &str = "README.md";
/// What is told of a long list.
const NAMES_TOLD_MAX: usize = 12;

/// One message.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    pub bytes: &'a [u8],
}

/// What is known before any sample is looked at.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The mapping files of the gateway, by name: `labs/…` and `knowledge/…`.
    pub files: &'a BTreeMap<String, String>,
}

/// The first version of a laboratory's folder.
pub struct Draft {
    pub shape: Shape,
    /// `mapping.toml`, `codes.csv`, `units.csv` and `README.md`.
    pub files: BTreeMap<&'static str, String>,
    pub mapping: Mapping,
    /// Which of the samples are of its shape; the others were not looked at.
    pub samples: Vec<usize>,
    /// What a person must decide, most urgent first.
    pub questions: Vec<String>,
}

/// What a format's own drafter makes of its samples.
struct Sections {
    /// The mapping up to its `[[ignore]]` entries; `None` of what depends on tables stays out of it.
    page: Page,
    questions: Vec<String>,
}

/// How the code and unit of a result are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tightness {
    /// Everything is kept: to see what there is.
    Loose,
    /// By the draft's own tables, and what is not in them holds.
    Tight,
}

impl Tightness {
    /// The keys of a code's rule beside those that say where it stands.
    const fn code(self) -> &'static str {
        match self {
            Self::Loose => "unmapped = \"keep\"",
            Self::Tight => "table = \"codes.csv\", unmapped = \"hold\"",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Loose => "table = \"units.csv\", unmapped = \"keep\"",
            Self::Tight => "table = \"units.csv\", unmapped = \"hold\"",
        }
    }
}

/// Drafts the mapping of a laboratory from samples.
///
/// # Errors
///
/// M083 where no sample is of a known format, M084 where the draft does not compile.
pub fn draft(lab: &str, samples: &[Sample<'_>], known: Known<'_>) -> Result<Draft, Vec<Diagnostic>> {
    let (shape, used) = shape::most(samples).ok_or_else(|| vec![no_samples()])?;
    let own: Vec<&[u8]> = used.iter().filter_map(|at| samples.get(*at)).map(|it| it.bytes).collect();
    let loose = sections(lab, shape, &own, known, Tightness::Loose)?;
    let units = format!("{}\n", TableKind::Units.header());
    let mapping = compile(lab, &loose.page.text(), "", &units)?;
    let readings: Vec<Reading> = own.iter().map(|bytes| mapping.read_bytes(bytes)).collect();
    let tables = Tables::of(&readings, known);
    let mut tight = sections(lab, shape, &own, known, Tightness::Tight)?;
    tight.questions.extend(tables.questions());
    ignores(&mut tight, &readings, mapping.format());
    let text = tight.page.text();
    let mapping = compile(lab, &text, &tables.codes(), &tables.units())?;
    let readings: Vec<Reading> = own.iter().map(|bytes| mapping.read_bytes(bytes)).collect();
    let files = BTreeMap::from([
        (MAPPING, text),
        (CODES, tables.codes()),
        (UNITS, tables.units()),
        (README, readme(lab, shape, &readings, &tight.questions)),
    ]);
    Ok(Draft { shape, files, mapping, samples: used, questions: tight.questions })
}

fn sections(
    lab: &str,
    shape: Shape,
    samples: &[&[u8]],
    known: Known<'_>,
    tightness: Tightness,
) -> Result<Sections, Vec<Diagnostic>> {
    match shape.format() {
        Format::Hl7v2 => {
            let catalog = Catalog::compile(&labs_of(known))?;
            Ok(hl7v2::sections(lab, samples, &catalog, tightness))
        }
        Format::Fhir => Ok(fhir::sections(lab, samples, known, tightness)),
        Format::Csv | Format::Json => Ok(columns::sections(lab, shape, samples, tightness)),
    }
}

fn labs_of(known: Known<'_>) -> BTreeMap<String, String> {
    let labs = known.files.iter().filter(|(name, _)| name.starts_with("labs/"));
    labs.map(|(name, text)| (name.clone(), text.clone())).collect()
}

fn compile(lab: &str, mapping: &str, codes: &str, units: &str) -> Result<Mapping, Vec<Diagnostic>> {
    let mut files = BTreeMap::new();
    for (name, text) in [(MAPPING, mapping), (CODES, codes), (UNITS, units)] {
        files.insert(format!("labs/{lab}/{name}"), text.to_owned());
    }
    let catalog = Catalog::compile(&files).map_err(|problems| {
        let told = Diagnostic::error(NOT_SOUND, "the draft does not compile: a defect of the gateway")
            .help("report this with the shape of the messages, from `gateway mapping share`");
        [vec![told], problems].concat()
    })?;
    catalog.lab(lab).cloned().ok_or_else(|| vec![Diagnostic::error(NOT_SOUND, "the draft is not there")])
}

/// What no rule reads: outside of results it is ignored by a guess, among them it is left to hold.
fn ignores(sections: &mut Sections, readings: &[Reading], format: Format) {
    let mut outside = Tally::default();
    let mut among = Tally::default();
    for reading in readings {
        for unread in &reading.ledger.unread {
            let name = unread.name();
            // A table has no places but rows of results; what a column is of, only its name can say.
            let is_of_results = unread.holds && !(format == Format::Csv && names::is_beside_results(&name));
            if is_of_results { &mut among } else { &mut outside }.add(&name, unread.count);
        }
    }
    let messages = readings.len();
    for (name, count) in outside.most_first() {
        sections.page.guess(&format!(
            "read by no rule, {count} times in {messages} messages; it stands outside of results"
        ));
        sections.page.ignore(&name, "guess: nothing of a result");
    }
    if among.is_empty() {
        return;
    }
    let comment = "These stand among results and no rule reads them, so they hold. For each, add a rule that reads it, or an\n[[ignore]] that says why nothing is lost:";
    sections.page.comment(comment);
    let among = among.most_first();
    for (name, count) in &among {
        sections.page.comment(&format!("  {name}, {count} times"));
    }
    let some: Vec<String> = among.iter().take(NAMES_TOLD_MAX).map(|(name, _)| format!("`{name}`")).collect();
    let more = if among.len() > some.len() { ", …" } else { "" };
    sections.questions.push(format!(
        "{} fields stand among results and hold, until a rule reads or ignores each: {}{more}",
        among.len(),
        some.join(", ")
    ));
}

fn readme(lab: &str, shape: Shape, readings: &[Reading], questions: &[String]) -> String {
    let mut text = format!(
        "# {lab}\n\nA first mapping, drafted from {} messages ({}).\nIt is a draft: every line marked `# guess:` rests on these messages alone and must be checked against the\nlaboratory's own specification, and `codes.csv` by a clinician, before a real result is read.\n",
        readings.len(),
        shape.words()
    );
    for status in ["mapped", "held", "rejected"] {
        let count = readings.iter().filter(|it| it.status.as_str() == status).count();
        let _infallible = write!(text, "\n- {status}: {count}");
    }
    text.push_str("\n\n## To be decided\n\n");
    for question in questions {
        let _infallible = writeln!(text, "- {question}");
    }
    text.push_str(
        "\n## Examples\n\nThe examples were made from the messages by `gateway mapping share`: their people are invented.\nRun them with `gateway mapping test`, and after a reviewed change write what is expected with `--bless`.\n",
    );
    text
}

fn no_samples() -> Diagnostic {
    Diagnostic::error(NO_SAMPLES, "none of the files is HL7 v2, FHIR, JSON or a table")
        .help("name a folder with messages as the laboratory sends them, one or more in a file")
}
