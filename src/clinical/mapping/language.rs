//! The words of the mapping language, in one table: sections, what may be read in each, and how.
//!
//! The compiler takes its names from here, and so does the JSON Schema that editors use, so the two cannot drift.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The one version of the language.
pub const SCHEMA: i64 = 1;
pub const FORMATS: [&str; 4] =
    [Format::Csv.as_str(), Format::Fhir.as_str(), Format::Hl7v2.as_str(), Format::Json.as_str()];
pub const SECTIONS: [&str; 7] = ["message", "patient", "report", "panel", "result", "specimen", "note"];
/// Segments in which every populated field must be used or ignored by name.
pub const RESULT_SEGMENTS: [&str; 4] = ["OBR", "OBX", "NTE", "SPM"];
/// The parts of a declared date, as `format` names them.
pub const DATE_PARTS: [&str; 6] = ["YYYY", "MM", "DD", "HH", "mm", "ss"];
/// FHIR's resources that carry results.
pub const RESULT_RESOURCES: [&str; 3] = ["DiagnosticReport", "Observation", "Specimen"];
/// What may stand between the cells of a table, in the order of the decoder's own list.
pub const DELIMITERS: [&str; 4] = ["comma", "semicolon", "tab", "pipe"];
pub const DECISIONS: [&str; 3] = ["hold", "reject", "keep"];
/// What tells the reports of one message apart.
pub const GROUPINGS: [&str; 3] = ["filler_number", "order_number", "message"];

/// How the messages of a mapping are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Fhir,
    /// ER7, or the XML encoding of the same structures.
    Hl7v2,
    Json,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Csv, Self::Fhir, Self::Hl7v2, Self::Json];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Fhir => "fhir",
            Self::Hl7v2 => "hl7v2",
            Self::Json => "json",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// How a canonical field is read from what a path finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Addresses,
    Attachments,
    Code,
    Codes,
    Flags,
    Identifiers,
    Moment,
    Names,
    NhsNumber,
    Organisation,
    Person,
    Range,
    ReportStatus,
    ResultStatus,
    Sex,
    SpecimenSource,
    Telecoms,
    Text,
    Unit,
    Value,
    Word,
    YesNo,
}

impl Kind {
    /// The keys a rule of this kind may have in any format, beside `from`, `first_of`, `fallback` and `required`.
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Addresses
            | Self::Attachments
            | Self::Codes
            | Self::Identifiers
            | Self::Names
            | Self::Person
            | Self::Telecoms => &["each_of"],
            Self::Code | Self::Unit => &["table", "unmapped"],
            Self::Flags | Self::Range | Self::SpecimenSource => &[],
            Self::Moment => &["as", "unmapped"],
            Self::NhsNumber => &["each_of", "check"],
            Self::Organisation | Self::Text | Self::Word => &["const"],
            Self::ReportStatus | Self::ResultStatus | Self::YesNo => &["map", "unmapped"],
            Self::Sex => &["table", "map", "unmapped"],
            Self::Value => &["type", "retype", "unmapped"],
        }
    }

    /// Whether it is a word of a map, so that a fallback may have a map of its own.
    pub const fn is_word_of_map(self) -> bool {
        matches!(self, Self::ReportStatus | Self::ResultStatus | Self::YesNo)
    }

    /// The keys it may have in a tree besides: what HL7 v2 says of itself, other formats leave to the mapping.
    pub const fn keys_in_tree(self) -> &'static [&'static str] {
        match self {
            Self::Code => &["const", "display", "system"],
            Self::Flags | Self::Names | Self::Identifiers | Self::Range | Self::Unit => &["const", "each_of"],
            Self::Moment => &["format"],
            Self::ReportStatus | Self::ResultStatus => &["const"],
            Self::Text => &["each_of"],
            _ => &[],
        }
    }
}

/// Keys of every rule.
pub const RULE_KEYS: [&str; 4] = ["from", "first_of", "fallback", "required"];

/// The keys of a fallback whose words differ from those of the rule.
pub const FALLBACK_KEYS: [&str; 2] = ["from", "map"];

macro_rules! fields {
    ($($target:ident = $section:literal . $name:literal : $kind:ident, $about:literal;)*) => {
        /// A canonical field that a rule may fill.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field { $($target),* }

        impl Field {
            pub const ALL: &'static [Self] = &[$(Self::$target),*];

            pub const fn section(self) -> &'static str {
                match self { $(Self::$target => $section),* }
            }

            pub const fn name(self) -> &'static str {
                match self { $(Self::$target => $name),* }
            }

            pub const fn kind(self) -> Kind {
                match self { $(Self::$target => Kind::$kind),* }
            }

            pub const fn about(self) -> &'static str {
                match self { $(Self::$target => $about),* }
            }
        }
    };
}

fields! {
    ControlId = "message"."control_id": Word, "what tells this message from every other of its sender";
    MessageSender = "message"."sender": Word, "who sent it";
    MessageSentAt = "message"."sent_at": Moment, "when it was sent";
    MessageIsTest = "message"."test": YesNo, "whether it is a test; one that is holds";
    NhsNumber = "patient"."nhs_number": NhsNumber, "the NHS number; `check` says whether it is one";
    Identifiers = "patient"."identifiers": Identifiers, "every other identifier (CX), each repetition one";
    Names = "patient"."names": Names, "whole names (XPN), each repetition one; instead of `family` and `given`";
    Family = "patient"."family": Word, "the family name";
    Given = "patient"."given": Word, "the first given name";
    BirthDate = "patient"."birth_date": Moment, "the date of birth";
    Sex = "patient"."sex": Sex, "administrative sex";
    Addresses = "patient"."addresses": Addresses, "addresses (XAD), each repetition one";
    Telecoms = "patient"."telecoms": Telecoms, "telephone numbers and the like (XTN)";
    Deceased = "patient"."deceased": YesNo, "whether the patient has died";
    FillerNumber = "report"."filler_number": Word, "the laboratory's own number for the report";
    OrderNumber = "report"."order_number": Word, "the clinic's order number";
    Account = "report"."account": Word, "the clinic's number with the laboratory, for routes";
    Facility = "report"."facility": Word, "the receiver the report names, for routes";
    Attachments = "report"."attachments": Attachments, "documents in the message, such as the laboratory's PDF";
    PanelCode = "panel"."code": Code, "what was ordered (CWE)";
    PanelStatus = "panel"."status": ReportStatus, "where the panel stands";
    PanelCollectedAt = "panel"."collected_at": Moment, "when the specimen was taken";
    PanelReceivedAt = "panel"."received_at": Moment, "when the laboratory received it";
    PanelReportedAt = "panel"."reported_at": Moment, "when the laboratory reported";
    Requester = "panel"."requester": Person, "who asked (XCN)";
    ClinicalInformation = "panel"."clinical_information": Text, "clinical information given with the request";
    PanelSpecimen = "panel"."specimen": SpecimenSource, "the specimen's kind (SPS) where there is no SPM";
    ResultCode = "result"."code": Code, "what was measured (CWE)";
    ResultSubId = "result"."sub_id": Word, "tells repeats of one code apart";
    ResultValue = "result"."value": Value, "the value, read by its declared type";
    ResultAbsentReason = "result"."absent_reason": Codes, "why there is no value";
    ResultUnit = "result"."unit": Unit, "the unit";
    ResultRange = "result"."range": Range, "the reference range, as sent";
    ResultFlags = "result"."flags": Flags, "abnormal flags, as sent";
    ResultStatus = "result"."status": ResultStatus, "where the result stands";
    ResultObservedAt = "result"."observed_at": Moment, "when it was observed";
    ResultAnalysedAt = "result"."analysed_at": Moment, "when it was analysed";
    ResultMethods = "result"."methods": Codes, "how it was measured";
    PerformingLab = "result"."performing_lab": Organisation, "which laboratory did the work";
    SpecimenAccession = "specimen"."accession": Word, "the laboratory's number for the specimen";
    SpecimenPlacerNumber = "specimen"."placer_number": Word, "the clinic's number for it, such as a kit barcode";
    SpecimenKind = "specimen"."kind": Code, "what it is (CWE)";
    SpecimenCollectedAt = "specimen"."collected_at": Moment, "when it was taken";
    SpecimenReceivedAt = "specimen"."received_at": Moment, "when the laboratory received it";
    SpecimenConditions = "specimen"."conditions": Codes, "such as haemolysed";
    SpecimenRejectReasons = "specimen"."reject_reasons": Codes, "why it was refused";
    NoteText = "note"."text": Text, "the comment; its repetitions are lines";
    NoteSource = "note"."source": Word, "who commented";
}

impl Field {
    pub fn find(section: &str, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.section() == section && field.name() == name)
    }

    /// Whether HL7 v2 has no rule for it: its header and its values say so themselves.
    pub const fn is_of_trees_only(self) -> bool {
        matches!(
            self,
            Self::ControlId
                | Self::MessageSender
                | Self::MessageSentAt
                | Self::MessageIsTest
                | Self::Attachments
                | Self::ResultAbsentReason
        )
    }

    /// `result.unit`
    pub fn path(self) -> String {
        format!("{}.{}", self.section(), self.name())
    }
}

/// The keys of a section that are no rules.
pub const fn settings(section: &str, format: Format) -> &'static [&'static str] {
    if matches!(format, Format::Hl7v2) {
        return match section.as_bytes() {
            b"report" => &["group_by", "time_zone"],
            b"panel" => &["extra"],
            b"result" | b"specimen" => &["for_each", "extra"],
            b"note" => &["for_each"],
            _ => &[],
        };
    }
    match section.as_bytes() {
        b"report" => &["group_by", "time_zone", "for_each"],
        b"patient" => &["at"],
        b"panel" | b"specimen" => &["for_each", "extra"],
        b"result" => &["for_each", "members", "column", "extra"],
        b"note" => &["for_each"],
        _ => &[],
    }
}

/// The segment a section is repeated for in HL7 v2, where it is.
pub const fn repeated_for(section: &str) -> Option<&'static str> {
    match section.as_bytes() {
        b"result" => Some("OBX"),
        b"specimen" => Some("SPM"),
        b"note" => Some("NTE"),
        _ => None,
    }
}

/// The JSON Schema of an inbound mapping file.
pub fn json_schema() -> Value {
    let mut properties = Map::new();
    properties.insert("schema".into(), json!({ "const": SCHEMA }));
    properties.insert("lab".into(), json!({ "type": "string", "description": "the name of the folder" }));
    properties.insert("format".into(), json!({ "enum": FORMATS }));
    properties.insert("delimiter".into(), json!({ "enum": DELIMITERS }));
    for section in SECTIONS {
        properties.insert(section.into(), section_schema(section));
    }
    properties.insert(
        "ignore".into(),
        json!({ "type": "array", "items": {
            "type": "object", "additionalProperties": false, "required": ["path", "why"],
            "properties": { "path": path_or_paths(), "why": { "type": "string", "minLength": 1 } } } }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Inbound mapping of one laboratory",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "lab", "format", "report", "result"],
        "properties": properties,
    })
}

fn section_schema(section: &str) -> Value {
    let mut properties = Map::new();
    let both = settings(section, Format::Hl7v2).iter().chain(settings(section, Format::Fhir));
    for setting in both {
        let schema = match *setting {
            "group_by" => json!({ "enum": GROUPINGS }),
            "time_zone" => json!({ "type": "string", "description": "an IANA name such as Europe/London" }),
            "for_each" | "at" | "members" => path_or_paths(),
            "column" => column_schema(),
            _ => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        };
        properties.insert((*setting).into(), schema);
    }
    for field in Field::ALL.iter().filter(|field| field.section() == section) {
        properties.insert(field.name().into(), rule_schema(*field));
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// One column of results, where each row is a patient: any rule of a result but its value, which is the column.
fn column_schema() -> Value {
    let mut properties = Map::new();
    properties
        .insert("column".into(), json!({ "type": "string", "description": "the column of its values" }));
    for field in Field::ALL.iter().filter(|field| field.section() == "result") {
        properties.insert(field.name().into(), rule_schema(*field));
    }
    json!({ "type": "array", "items": {
        "type": "object", "additionalProperties": false, "required": ["column"], "properties": properties } })
}

fn rule_schema(field: Field) -> Value {
    let mut properties = Map::new();
    for key in RULE_KEYS.iter().chain(field.kind().keys()).chain(field.kind().keys_in_tree()) {
        properties.insert((*key).into(), key_schema(key));
    }
    if field.kind().is_word_of_map() {
        properties.insert("fallback".into(), json!({ "anyOf": [paths(), fallback_schema()] }));
    }
    json!({
        "description": field.about(),
        "anyOf": [
            { "type": "string" },
            { "type": "object", "additionalProperties": false, "properties": properties },
        ],
    })
}

fn key_schema(key: &str) -> Value {
    match key {
        "first_of" | "each_of" | "fallback" => paths(),
        "required" => json!({ "type": "boolean" }),
        "as" => json!({ "enum": ["date", "time"] }),
        "check" => json!({ "const": "nhs-number" }),
        "unmapped" => json!({ "enum": DECISIONS }),
        "map" | "retype" => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        "table" => path_or_paths(),
        _ => json!({ "type": "string" }),
    }
}

/// A fallback with words of its own.
fn fallback_schema() -> Value {
    let properties: Map<String, Value> = FALLBACK_KEYS
        .into_iter()
        .zip([path_or_paths(), key_schema("map")])
        .map(|(key, it)| (key.to_owned(), it))
        .collect();
    json!({ "type": "object", "additionalProperties": false, "required": FALLBACK_KEYS, "properties": properties })
}

fn paths() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn path_or_paths() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] })
}

#[cfg(test)]
mod tests {
    use super::Field;
    use super::SECTIONS;
    use super::json_schema;

    #[test]
    fn every_field_stands_once_in_a_known_section() {
        for field in Field::ALL {
            assert!(SECTIONS.contains(&field.section()), "{}", field.path());
            assert_eq!(Field::find(field.section(), field.name()), Some(*field));
        }
    }

    #[test]
    fn the_schema_knows_every_field() {
        let schema = json_schema();
        for field in Field::ALL {
            let rule = &schema["properties"][field.section()]["properties"][field.name()];
            assert_eq!(rule["description"], field.about(), "{}", field.path());
        }
    }
}
