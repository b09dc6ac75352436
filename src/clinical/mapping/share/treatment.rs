//! What of a message is clinical and stays, and what is hidden: by the kind of the rule that reads it.
//!
//! An allow-list: what no rule reads, and what a rule reads that is not of a coded or measured kind, is hidden.

use crate::clinical::attachment;
use crate::clinical::mapping::condition::Test;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Kind;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;

/// What becomes of one leaf of a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Treatment {
    /// A date; moved with all others. `None` where it is written as its format writes dates.
    Date(Option<String>),
    Document(DocumentForm),
    /// Every word replaced.
    Hide,
    Keep,
    /// XHTML: the words between tags, and what attributes say.
    Markup,
    /// A result's value: a number stays, and a word that every laboratory uses of results.
    Measure {
        is_number: bool,
    },
    /// A reference: its schemes and types stay, so that it leads where it led.
    Reference,
    /// A word of one of HL7's tables; what does not look like one is hidden.
    Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DocumentForm {
    Base64,
    Hexadecimal,
}

impl Treatment {
    /// Of two rules that read one leaf, what hides more.
    pub(super) fn and(self, other: Self) -> Self {
        let rank = |it: &Self| match it {
            Self::Hide => 0,
            Self::Markup => 1,
            Self::Reference => 2,
            Self::Document(_) => 3,
            Self::Date(_) => 4,
            Self::Measure { .. } => 5,
            Self::Word => 6,
            Self::Keep => 7,
        };
        if rank(&other) < rank(&self) { other } else { self }
    }

    pub(super) fn of_encoding(word: &str) -> Self {
        match attachment::Encoding::read(word) {
            Some(attachment::Encoding::Base64) => Self::Document(DocumentForm::Base64),
            Some(attachment::Encoding::Hex) => Self::Document(DocumentForm::Hexadecimal),
            Some(attachment::Encoding::Text) | None => Self::Hide,
        }
    }
}

/// The kind of a rule; none for an extra, of which nothing is known.
pub(super) fn kind_of(rule: &Rule) -> Option<(Field, Kind)> {
    let field = rule.field()?;
    Some((field, field.kind()))
}

/// Whether a field says something in codes, or in the laboratory's words for one.
const fn is_coded(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Code
            | Kind::Codes
            | Kind::Flags
            | Kind::Range
            | Kind::ReportStatus
            | Kind::ResultStatus
            | Kind::Sex
            | Kind::SpecimenSource
            | Kind::Unit
            | Kind::YesNo
    )
}

/// Of a component of HL7 v2, counted from one. `declared` is the type of a value.
pub(super) fn of_component(
    (field, kind): (Field, Kind),
    rule: &Rule,
    component: u32,
    declared: &str,
) -> Treatment {
    match (kind, component) {
        // CWE.9 is what somebody wrote before it was coded; SPS.2, 3 and 7 are words of whoever took the specimen.
        (Kind::Code | Kind::Codes | Kind::Unit, 9) | (Kind::SpecimenSource, 2 | 3 | 7) => Treatment::Hide,
        _ if is_coded(kind) => Treatment::Keep,
        (Kind::Moment, 1) => Treatment::Date(rule.date_format.clone()),
        (Kind::Value, _) => of_value(component, declared),
        // What kind of identifier, name, address or number it is: tables 0200, 0190, 0201, 0202 and 0203.
        (Kind::NhsNumber | Kind::Identifiers, 3 | 5)
        | (Kind::Names | Kind::Addresses, 7)
        | (Kind::Telecoms, 2 | 3) => Treatment::Word,
        _ if matches!(kind, Kind::Moment) || field == Field::ResultSubId => Treatment::Keep,
        _ => Treatment::Hide,
    }
}

/// A value by its declared type (chapter 2A).
fn of_value(component: u32, declared: &str) -> Treatment {
    match declared {
        "CE" | "CF" | "CNE" | "CWE" if component == 9 => Treatment::Hide,
        "CE" | "CF" | "CNE" | "CWE" | "ID" | "IS" => Treatment::Keep,
        "DR" | "DT" | "DTM" | "TS" => Treatment::Date(None),
        // ED: type, subtype and encoding say how to read what component 5 holds.
        "ED" if matches!(component, 2..=4) => Treatment::Keep,
        "ED" if component == 5 => Treatment::Document(DocumentForm::Base64),
        "RP" if matches!(component, 3 | 4) => Treatment::Keep,
        "ED" | "RP" => Treatment::Hide,
        "NM" | "NR" | "SI" | "SN" | "TM" => Treatment::Measure { is_number: true },
        _ => Treatment::Measure { is_number: false },
    }
}

/// Of a leaf below a place that a rule of a tree reads; `below` are the names from that place to the leaf, and
/// `place` is its own.
pub(super) fn of_tree((field, kind): (Field, Kind), rule: &Rule, place: &str, below: &[&str]) -> Treatment {
    let leaf = below.last().copied().unwrap_or(place);
    match kind {
        _ if below.contains(&"extension") => Treatment::Hide,
        _ if is_coded(kind) => Treatment::Keep,
        Kind::Moment => Treatment::Date(rule.date_format.clone()),
        Kind::Identifiers | Kind::NhsNumber if below.first() == Some(&"type") => Treatment::Keep,
        Kind::Attachments => match leaf {
            "contentType" | "size" => Treatment::Keep,
            _ if below.is_empty() || leaf == "data" => Treatment::Document(DocumentForm::Base64),
            _ => Treatment::Hide,
        },
        Kind::Value => match of_choice(place) {
            "DateTime" | "Period" | "Date" | "Instant" => Treatment::Date(None),
            "Attachment" if leaf == "data" => Treatment::Document(DocumentForm::Base64),
            "Attachment" if leaf == "contentType" => Treatment::Keep,
            "Attachment" | "Reference" | "Identifier" => Treatment::Hide,
            _ if !below.is_empty() => Treatment::Keep,
            _ => Treatment::Measure { is_number: false },
        },
        _ if field == Field::ResultSubId => Treatment::Keep,
        _ => Treatment::Hide,
    }
}

/// `DateTime` of `valueDateTime`.
fn of_choice(name: &str) -> &str {
    name.strip_prefix("value").unwrap_or_default()
}

/// Of a leaf of FHIR that says how the resource is built, whoever reads it.
pub(super) fn of_fhir_structure(names: &[&str]) -> Option<Treatment> {
    let (leaf, before) = names.split_last()?;
    let parent = before.last().copied().unwrap_or_default();
    match (*leaf, parent) {
        ("resourceType" | "system" | "use", _)
        | ("url", "extension" | "modifierExtension")
        | ("type", "")
        | ("method", "request")
        | ("mode", "search")
        | ("status", "text") => Some(Treatment::Keep),
        ("id" | "reference" | "fullUrl" | "url", _) => Some(Treatment::Reference),
        ("div", "text") => Some(Treatment::Markup),
        ("lastUpdated" | "timestamp", _) => Some(Treatment::Date(None)),
        _ => None,
    }
}

/// Values by which the mapping's paths choose: `NH` of `PID-3[type=NH].1`.
pub(super) fn choosing_words(mapping: &Mapping) -> Vec<String> {
    let of_rule = |rule: &Rule| -> Vec<String> {
        let paths = rule.sources.iter().chain(&rule.fallback).chain(&rule.display);
        let conditions = rule.more.iter().flat_map(|it| &it.when);
        let tested = conditions.flat_map(|it| match &it.test {
            Test::Exists(_) => Vec::new(),
            Test::Is(words) | Test::IsNot(words) => words.clone(),
        });
        paths.flat_map(Path::choosing_words).chain(tested).collect()
    };
    let anchors = &mapping.anchors;
    let sections = [
        &anchors.report,
        &anchors.patient,
        &anchors.panel,
        &anchors.result,
        &anchors.members,
        &anchors.specimen,
        &anchors.note,
    ];
    let of_sections = sections.into_iter().flatten().flat_map(|it| Path::Tree(it.clone()).choosing_words());
    mapping.rules.iter().flat_map(of_rule).chain(of_sections).collect()
}
