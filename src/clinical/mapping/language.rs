//! The words of the mapping language: formats, sections, what may be read in each, and how.
//!
//! The compiler takes its names from here, and so does the JSON Schema that editors use, so the two cannot drift.
//! A field is one line of the table below; a key of a rule is one line of [`verb`], a change of a text one line of
//! [`transform`](crate::clinical::mapping::transform), a column of a table one line of `clinical::terminology`.

pub mod schema;
pub mod verb;

pub use self::schema::json_schema;
pub use self::verb::Head;
pub use self::verb::Setting;
pub use self::verb::Verb;

/// The one version of the language.
pub const SCHEMA: i64 = 1;
pub const FORMATS: [&str; 5] =
    [Format::Csv.as_str(), Format::Fhir.as_str(), Format::Hl7v2.as_str(), HL7V2_XML, Format::Json.as_str()];
/// The laboratory says that it sends HL7 v2 as XML. It is the same language, and the other writing is read too, and told.
pub const HL7V2_XML: &str = "hl7v2-xml";
pub const SECTIONS: [&str; 7] = ["message", "patient", "report", "panel", "result", "specimen", "note"];
/// Segments in which every populated field must be used or ignored by name.
pub const RESULT_SEGMENTS: [&str; 4] = ["OBR", "OBX", "NTE", "SPM"];
/// The one that is looked for inside others, where the line break before it is missing.
pub const RESULT_SEGMENT: &str = "OBX";
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
        let word = if word == HL7V2_XML { Self::Hl7v2.as_str() } else { word };
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// Named places in a tree, not fields of segments.
    pub const fn is_tree(self) -> bool {
        !matches!(self, Self::Hl7v2)
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
    /// Read whole: every repetition of every path, not the first.
    pub const fn holds_many(self, format: Format) -> bool {
        match self {
            Self::Addresses
            | Self::Attachments
            | Self::Codes
            | Self::Flags
            | Self::Identifiers
            | Self::Names
            | Self::NhsNumber
            | Self::Person
            | Self::Telecoms
            | Self::Text => true,
            Self::Range => format.is_tree(),
            _ => false,
        }
    }

    /// A table or map may lack it, or it may not be of its type.
    const fn can_have_gaps(self) -> bool {
        matches!(self, Self::Code | Self::Moment | Self::Unit | Self::Value) || self.has_words()
    }

    /// Its words are the gateway's own.
    const fn has_words(self) -> bool {
        matches!(self, Self::ReportStatus | Self::ResultStatus | Self::Sex | Self::YesNo)
    }

    /// It is one text, which a mapping may change or give.
    const fn is_of_text(self) -> bool {
        matches!(
            self,
            Self::Code
                | Self::Moment
                | Self::NhsNumber
                | Self::Range
                | Self::Text
                | Self::Unit
                | Self::Value
                | Self::Word
        ) || self.has_words()
    }

    const fn may_be_constant(self) -> bool {
        matches!(
            self,
            Self::Code
                | Self::Organisation
                | Self::Range
                | Self::ReportStatus
                | Self::ResultStatus
                | Self::Text
                | Self::Unit
                | Self::Word
        )
    }
}

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

/// The segment a section is repeated for in HL7 v2, where it is.
pub const fn repeated_for(section: &str) -> Option<&'static str> {
    match section.as_bytes() {
        b"result" => Some("OBX"),
        b"specimen" => Some("SPM"),
        b"note" => Some("NTE"),
        _ => None,
    }
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
