//! Names of coding systems (HL7 table 0396) as URIs.
//!
//! A name that stands for nothing public (`L`, `99zzz`) gives `None`: a local code has no system of its own in FHIR.

use crate::clinical::model::System;

/// Table 0396 names met in laboratory messages, with the URI that HL7's terminology gives them.
const NAMES: [(&str, &str); 20] = [
    ("LN", System::LOINC),
    ("LOINC", System::LOINC),
    ("SCT", System::SNOMED),
    ("SNOMED-CT", System::SNOMED),
    ("SNOMED CT", System::SNOMED),
    ("UCUM", System::UCUM),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CDX", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("C4", "http://www.ama-assn.org/go/cpt"),
    ("CPT4", "http://www.ama-assn.org/go/cpt"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("CDCREC", "urn:oid:2.16.840.1.113883.6.238"),
    ("PHINQUESTION", "urn:oid:2.16.840.1.114222.4.5.232"),
    ("ISO3166_1", "urn:iso:std:iso:3166"),
    ("SNM", "urn:oid:2.16.840.1.113883.6.5"),
    ("SNM3", "urn:oid:2.16.840.1.113883.6.51"),
];

/// The URI of a coding system as CWE.3 names it: by table 0396, by an HL7 table's number, or by its OID.
pub fn uri(name: &str) -> Option<System> {
    let name = name.trim();
    if let Some((_, uri)) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(System((*uri).to_owned()));
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(table) = name.strip_prefix("HL7").filter(|rest| digits(rest)) {
        return Some(System(format!("http://terminology.hl7.org/CodeSystem/v2-{table}")));
    }
    let oid = name.split('.').all(digits) && name.split('.').count() > 2;
    oid.then(|| System(format!("urn:oid:{name}")))
}

/// Whether a system is one of public standing, not a laboratory's own.
pub fn is_public(system: &System) -> bool {
    const BODIES: [&str; 8] = [
        "urn:oid:",
        "urn:iso:",
        "http://terminology.hl7.org/",
        "http://hl7.org/fhir/",
        "https://fhir.hl7.org.uk/",
        "https://fhir.nhs.uk/",
        "http://www.nlm.nih.gov/",
        "http://www.ama-assn.org/",
    ];
    let uri = system.0.as_str();
    NAMES.iter().any(|(_, known)| *known == uri) || BODIES.iter().any(|body| uri.starts_with(body))
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn names_of_table_0396_become_uris_and_local_ones_do_not() {
        for (name, expected) in [
            ("LN", Some("http://loinc.org")),
            ("ln", Some("http://loinc.org")),
            ("SCT", Some("http://snomed.info/sct")),
            ("HL70078", Some("http://terminology.hl7.org/CodeSystem/v2-0078")),
            ("2.16.840.1.113883.6.1", Some("urn:oid:2.16.840.1.113883.6.1")),
            ("L", None),
            ("99LAB", None),
            ("", None),
            ("1.2", None),
            ("HL7", None),
        ] {
            assert_eq!(uri(name).map(|system| system.0).as_deref(), expected, "{name}");
        }
    }
}
