//! Codes: the canonical ones as FHIR's, and the tables of HL7 v2 that FHIR has taken over.

use crate::clinical::model::AbsentReason;
use crate::clinical::model::Code;
use crate::clinical::model::Coding;
use crate::clinical::model::Flag;
use crate::clinical::model::Specimen;
use crate::formats::fhir;

/// The concept, or `None` where neither a code nor a text was sent.
pub(super) fn concept(code: &Code) -> Option<fhir::CodeableConcept<'_>> {
    let mut codings = Vec::<fhir::Coding<'_>>::with_capacity(code.codings.len());
    for coding in code.codings.iter().filter_map(coding) {
        // A table's coding may repeat the one sent; the table's stands first and stays.
        if !codings.iter().any(|other| other.system == coding.system && other.code == coding.code) {
            codings.push(coding);
        }
    }
    let text = code.text.as_deref().and_then(fhir::text::string);
    (!codings.is_empty() || text.is_some()).then_some(fhir::CodeableConcept { coding: codings, text })
}

/// The concept where FHIR requires one.
pub(super) fn required(code: &Code) -> fhir::CodeableConcept<'_> {
    concept(code).unwrap_or_else(|| fhir::CodeableConcept::text("(no code)"))
}

fn coding(coding: &Coding) -> Option<fhir::Coding<'_>> {
    Some(fhir::Coding {
        system: coding.system.as_ref().and_then(|system| fhir::text::uri(&system.0)),
        version: coding.version.as_deref().and_then(fhir::text::string),
        code: Some(fhir::text::code(&coding.code)?),
        display: coding.display.as_deref().and_then(fhir::text::string),
    })
}

/// Several concepts where FHIR takes one: all codings, and every label in the text.
pub(super) fn joined(codes: &[Code]) -> Option<fhir::CodeableConcept<'_>> {
    if let [only] = codes {
        return concept(only);
    }
    let coding = codes.iter().filter_map(concept).flat_map(|concept| concept.coding).collect();
    Some(fhir::CodeableConcept { coding, text: Some(labels(codes)?.into()) })
}

/// What a person would call them, with `; ` between.
pub(super) fn labels<'a>(codes: impl IntoIterator<Item = &'a Code>) -> Option<String> {
    let labels = codes.into_iter().filter_map(|code| fhir::text::string(code.label())).collect::<Vec<_>>();
    (!labels.is_empty()).then(|| labels.join("; "))
}

/// Table 0078 as `v3-ObservationInterpretation` has it; a code that is not in both goes out as text.
const INTERPRETATIONS: [(&str, &str); 36] = [
    ("<", "Off scale low"),
    (">", "Off scale high"),
    ("A", "Abnormal"),
    ("AA", "Critical abnormal"),
    ("B", "Better"),
    ("CAR", "Carrier"),
    ("D", "Significant change down"),
    ("DET", "Detected"),
    ("E", "Equivocal"),
    ("EX", "outside threshold"),
    ("EXP", "Expected"),
    ("H", "High"),
    ("HH", "Critical high"),
    ("HU", "Significantly high"),
    ("I", "Intermediate"),
    ("IE", "Insufficient evidence"),
    ("IND", "Indeterminate"),
    ("L", "Low"),
    ("LL", "Critical low"),
    ("LU", "Significantly low"),
    ("N", "Normal"),
    ("NCL", "No CLSI defined breakpoint"),
    ("ND", "Not detected"),
    ("NEG", "Negative"),
    ("NR", "Non-reactive"),
    ("NS", "Non-susceptible"),
    ("POS", "Positive"),
    ("R", "Resistant"),
    ("RR", "Reactive"),
    ("S", "Susceptible"),
    ("SDD", "Susceptible-dose dependent"),
    ("SYN-R", "Synergy - resistant"),
    ("SYN-S", "Synergy - susceptible"),
    ("U", "Significant change up"),
    ("UNE", "Unexpected"),
    ("W", "Worse"),
];
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";

pub(super) fn interpretation(flag: &Flag) -> Option<fhir::CodeableConcept<'_>> {
    let text = flag.text.as_deref().and_then(fhir::text::string);
    let sent = fhir::text::string(&flag.sent);
    if let Some((code, display)) = INTERPRETATIONS.iter().find(|(code, _)| sent.as_deref() == Some(code)) {
        let concept = fhir::CodeableConcept::of(INTERPRETATION, code, display);
        return Some(fhir::CodeableConcept { text, ..concept });
    }
    let text = match (sent, text) {
        (Some(sent), Some(text)) if sent != text => format!("{sent} ({text})").into(),
        (sent, text) => sent.or(text)?,
    };
    Some(fhir::CodeableConcept::text(text))
}

const DATA_ABSENT_REASON: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";

pub(super) fn absent<'a>(reason: AbsentReason) -> fhir::CodeableConcept<'a> {
    let of = |code, display| fhir::CodeableConcept::of(DATA_ABSENT_REASON, code, display);
    match reason {
        AbsentReason::NotPerformed => of("not-performed", "Not Performed"),
        AbsentReason::Null => of("unknown", "Unknown").with_text("The sender deleted the value"),
        AbsentReason::Pending => of("temp-unknown", "Temporarily Unknown"),
        AbsentReason::Unknown => of("unknown", "Unknown"),
    }
}

/// R4 gives an Observation no attachment; the document is in `derivedFrom`.
pub(super) fn in_document<'a>() -> fhir::CodeableConcept<'a> {
    fhir::CodeableConcept::of(DATA_ABSENT_REASON, "unsupported", "Unsupported")
        .with_text("The value is an attached document")
}

/// Why a specimen was rejected (SPM-21), for which R4 has no element but a note.
pub(super) fn rejections(specimen: &Specimen) -> Option<String> {
    labels(&specimen.reject_reasons).map(|reasons| format!("Rejected: {reasons}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::concept;
    use super::interpretation;
    use super::joined;
    use crate::clinical::model::Code;
    use crate::clinical::model::Flag;

    fn flag(sent: &str, text: Option<&str>) -> Option<String> {
        let flag = Flag { sent: sent.into(), text: text.map(Into::into) };
        interpretation(&flag).map(|it| serde_json::to_string(&it).unwrap())
    }

    #[test]
    fn a_flag_of_table_0078_is_coded_and_any_other_is_text() {
        assert_eq!(
            flag("HH", None).unwrap(),
            concat!(
                r#"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","#,
                r#""code":"HH","display":"Critical high"}]}"#,
            )
        );
        assert_eq!(flag("*", None).unwrap(), r#"{"text":"*"}"#);
        assert_eq!(flag("*", Some("outside range")).unwrap(), r#"{"text":"* (outside range)"}"#);
        assert_eq!(flag("h", None).unwrap(), r#"{"text":"h"}"#);
        assert_eq!(flag(" ", None), None);
    }

    #[test]
    fn a_concept_has_each_coding_once_and_nothing_blank() {
        let code: Code = serde_json::from_value(json!({
            "codings": [
                {"system": "http://loinc.org", "code": "718-7"},
                {"system": "http://loinc.org", "code": "718-7", "display": "HB", "sent_system": "LN"},
                {"code": "HB", "display": " ", "sent_system": "L"},
                {"code": " "},
            ],
            "text": "Haemoglobin ",
        }))
        .unwrap();
        assert_eq!(
            serde_json::to_string(&concept(&code).unwrap()).unwrap(),
            r#"{"coding":[{"system":"http://loinc.org","code":"718-7"},{"code":"HB"}],"text":"Haemoglobin"}"#
        );
        assert!(concept(&Code::default()).is_none());
    }

    #[test]
    fn several_methods_become_one_concept() {
        let of = |code: &str| serde_json::from_value::<Code>(json!({"codings": [{"code": code}]})).unwrap();
        assert_eq!(
            serde_json::to_string(&joined(&[of("M1"), of("M2")]).unwrap()).unwrap(),
            r#"{"coding":[{"code":"M1"},{"code":"M2"}],"text":"M1; M2"}"#
        );
        assert!(joined(&[]).is_none());
    }
}
