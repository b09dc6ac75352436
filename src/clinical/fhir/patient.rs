//! The patient as the laboratory knows them.

use crate::clinical::fhir::ids::id_of;
use crate::clinical::fhir::links::Links;
use crate::clinical::model::Address;
use crate::clinical::model::Identifier;
use crate::clinical::model::IdentifierKind;
use crate::clinical::model::PersonName;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Telecom;
use crate::formats::fhir;
use crate::formats::fhir::text::string;

const PROFILE: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Patient";
const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
const VERIFICATION: &str =
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus";
const VERIFICATION_CODES: &str =
    "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland";
const IDENTIFIER_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
/// The types of table 0203 that a person's identifier has; another goes out as text.
const PERSON_TYPES: [&str; 21] = [
    "AN", "ANON", "BR", "CZ", "DL", "EI", "HC", "MC", "MR", "MRT", "NH", "NI", "PE", "PI", "PN", "PNT",
    "PPN", "PT", "SS", "U", "VN",
];
/// `YYYY-MM-DD`: FHIR's `date` has no time.
const DATE_CHARS_MAX: usize = 10;

pub(super) fn patient<'a>(links: &Links<'a>) -> fhir::Resource<'a> {
    let patient = &links.report.patient;
    let birth_date = patient.birth_date.as_ref().and_then(|moment| {
        let iso = &moment.expose().iso;
        fhir::text::code(iso.get(..DATE_CHARS_MAX).unwrap_or(iso))
    });
    let nhs_number = patient.nhs_number();
    fhir::Resource::Patient(Box::new(fhir::Patient {
        id: Some(id_of(&links.patient).to_owned().into()),
        meta: fhir::Meta::profile(PROFILE),
        identifier: patient.identifiers.iter().filter_map(|id| identifier(links, id, nhs_number)).collect(),
        name: patient.names.iter().filter_map(name).collect(),
        telecom: patient.telecoms.iter().filter_map(telecom).collect(),
        gender: patient.sex.map(|sex| sex.as_str().into()),
        birth_date,
        deceased_boolean: patient.deceased,
        address: patient.addresses.iter().filter_map(address).collect(),
    }))
}

/// The NHS system goes to the one valid number only: UK Core takes one at most, and two say that something is wrong.
fn identifier<'a>(
    links: &Links<'a>,
    id: &'a Identifier,
    nhs_number: Option<&Sensitive<String>>,
) -> Option<fhir::Identifier<'a>> {
    let value = string(id.value.expose())?;
    if id.kind == IdentifierKind::NhsNumber && nhs_number == Some(&id.value) {
        return Some(fhir::Identifier {
            extension: vec![not_traced()],
            system: Some(NHS_NUMBER.into()),
            value: Some(value),
            ..fhir::Identifier::default()
        });
    }
    let kind = id.type_code.as_deref().and_then(string).map(|code| {
        match PERSON_TYPES.iter().find(|it| **it == code) {
            Some(code) => fhir::CodeableConcept {
                coding: vec![fhir::Coding {
                    system: Some(IDENTIFIER_TYPES.into()),
                    code: Some((*code).into()),
                    ..fhir::Coding::default()
                }],
                text: None,
            },
            None => fhir::CodeableConcept::text(code),
        }
    });
    let authority = id.authority.as_deref().and_then(string);
    let system = match authority.as_deref() {
        Some(oid) if is_oid(oid) => format!("urn:oid:{oid}").into(),
        Some(name) => links.system(&format!("authority:{}", fhir::text::percent_encoded(name))),
        None => links.system("patient"),
    };
    let assigner = authority.map(fhir::Reference::display);
    Some(fhir::Identifier { extension: Vec::new(), kind, system: Some(system), value: Some(value), assigner })
}

/// The check digit holds and nobody has asked the national service: code 02.
fn not_traced<'a>() -> fhir::Extension<'a> {
    fhir::Extension {
        url: VERIFICATION.into(),
        value_codeable_concept: fhir::CodeableConcept::of(
            VERIFICATION_CODES,
            "02",
            "Number present but not traced",
        ),
    }
}

fn is_oid(text: &str) -> bool {
    let arc = |arc: &str| arc == "0" || (!arc.starts_with('0') && arc.bytes().all(|b| b.is_ascii_digit()));
    matches!(text.split_once('.'), Some(("0" | "1" | "2", rest)) if rest.split('.').all(|it| !it.is_empty() && arc(it)))
}

fn name(name: &PersonName) -> Option<fhir::HumanName<'_>> {
    // Table 0200, as the v2-to-FHIR tables give it; the others have no use of the same meaning.
    let name_use = match name.type_code.as_deref().unwrap_or_default() {
        "BAD" => Some("old"),
        "D" => Some("usual"),
        "L" | "R" => Some("official"),
        "M" => Some("maiden"),
        "MSK" => Some("anonymous"),
        "N" => Some("nickname"),
        "NAV" | "TEMP" => Some("temp"),
        _ => None,
    };
    let written = fhir::HumanName {
        name_use: name_use.map(Into::into),
        family: exposed(name.family.as_ref()),
        given: name.given.iter().filter_map(|given| string(given.expose())).collect(),
        prefix: name.prefix.iter().filter_map(|prefix| string(prefix)).collect(),
        suffix: name.suffix.iter().filter_map(|suffix| string(suffix)).collect(),
    };
    let is_empty = written.family.is_none()
        && written.given.is_empty()
        && written.prefix.is_empty()
        && written.suffix.is_empty();
    (!is_empty).then_some(written)
}

fn address(address: &Address) -> Option<fhir::Address<'_>> {
    // Table 0190: a type says where, or what for.
    let (address_use, kind) = match address.type_code.as_deref().unwrap_or_default() {
        "B" | "O" => (Some("work"), None),
        "BA" => (Some("old"), None),
        "BI" => (Some("billing"), None),
        "C" => (Some("temp"), None),
        "H" => (Some("home"), None),
        "M" | "SH" => (None, Some("postal")),
        _ => (None, None),
    };
    let written = fhir::Address {
        address_use: address_use.map(Into::into),
        kind: kind.map(Into::into),
        line: address.lines.iter().filter_map(|line| string(line.expose())).collect(),
        city: exposed(address.city.as_ref()),
        district: exposed(address.district.as_ref()),
        postal_code: exposed(address.postcode.as_ref()),
        country: address.country.as_deref().and_then(string),
    };
    let is_empty = written.line.is_empty()
        && [&written.city, &written.district, &written.postal_code, &written.country]
            .iter()
            .all(|it| it.is_none());
    (!is_empty).then_some(written)
}

fn telecom(telecom: &Telecom) -> Option<fhir::ContactPoint<'_>> {
    let value = string(telecom.value.expose())?;
    let use_code = telecom.use_code.as_deref().unwrap_or_default();
    // Table 0202, and where it was not sent what the use (0201) implies.
    let system = match (telecom.equipment.as_deref().unwrap_or_default(), use_code) {
        ("CP" | "PH", _) | ("", "ASN" | "EMR" | "ORN" | "PRN" | "PRS" | "VHN" | "WPN") => "phone",
        ("FX", _) => "fax",
        ("BP", _) | ("", "BPN") => "pager",
        ("Internet" | "X.400", _) | ("", "NET") => "email",
        _ => "other",
    };
    let contact_use = match (telecom.equipment.as_deref(), use_code) {
        (Some("CP"), _) | (_, "PRS") => Some("mobile"),
        (_, "PRN") => Some("home"),
        (_, "WPN") => Some("work"),
        _ => None,
    };
    Some(fhir::ContactPoint { system: system.into(), value, contact_use: contact_use.map(Into::into) })
}

fn exposed(text: Option<&Sensitive<String>>) -> Option<fhir::Text<'_>> {
    string(text?.expose())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::is_oid;
    use crate::clinical::fhir::IdKey;
    use crate::clinical::fhir::bundle;
    use crate::clinical::model::Report;

    /// The Patient of a report with this patient and nothing else.
    fn patient(patient: &Value) -> Value {
        let report: Report = serde_json::from_value(json!({
            "lab": "north", "filler_number": "F1", "status": "final", "patient": patient, "panels": [],
            "origin": {"control_id": "1", "sender": "A|B", "mapping_digest": "00"},
        }))
        .unwrap();
        let bundle = serde_json::to_value(bundle(&report, &IdKey::PUBLIC_TEST)).unwrap();
        bundle["entry"][0]["resource"].clone()
    }

    #[test]
    fn one_valid_nhs_number_has_the_system_and_its_verification_status() {
        let written = patient(&json!({"identifiers": [
            {"kind": "nhs_number", "value": "9990000018", "type_code": "NH", "authority": "NHS"},
            {"kind": "other", "value": "H77", "type_code": "MR", "authority": "2.16.840.1"},
            {"kind": "other", "value": "X 1", "type_code": "ZZ", "authority": "St A"},
        ]}));
        let identifiers = &written["identifier"];
        assert_eq!(identifiers[0]["system"], "https://fhir.nhs.uk/Id/nhs-number");
        assert_eq!(identifiers[0]["extension"][0]["valueCodeableConcept"]["coding"][0]["code"], "02");
        assert_eq!(identifiers[1]["system"], "urn:oid:2.16.840.1");
        assert_eq!(identifiers[1]["type"]["coding"][0]["code"], "MR");
        assert_eq!(identifiers[2]["system"], "urn:haemosync:lab:north:authority:St%20A");
        assert_eq!(identifiers[2]["type"], json!({"text": "ZZ"}));
    }

    #[test]
    fn neither_an_invalid_nor_a_second_nhs_number_has_the_system() {
        for identifiers in [
            json!([{"kind": "nhs_number_invalid", "value": "9990000019", "type_code": "NH"}]),
            json!([{"kind": "nhs_number", "value": "9990000018"}, {"kind": "nhs_number", "value": "9990000026"}]),
        ] {
            let written = patient(&json!({"identifiers": identifiers}));
            for identifier in written["identifier"].as_array().unwrap() {
                assert_eq!(identifier["system"], "urn:haemosync:lab:north:patient");
            }
        }
    }

    #[test]
    fn what_a_person_has_takes_fhir_s_names() {
        let written = patient(&json!({
            "names": [{"family": "Quillfeather", "given": ["Odette", " "], "type_code": "L"}, {"type_code": "M"}],
            "birth_date": {"sent": "195001020304", "iso": "1950-01-02T03:04:00+00:00"},
            "sex": "female", "deceased": false,
            "telecoms": [
                {"value": "0000 1", "use_code": "PRN", "equipment": "CP"}, {"value": "a@example.org", "use_code": "NET"},
                {"value": "?"}, {"value": " "},
            ],
            "addresses": [{"lines": ["1 Invented Row", ""], "postcode": "ZZ1 1ZZ", "type_code": "H"}, {}],
        }));
        assert_eq!(
            written["name"],
            json!([{"use": "official", "family": "Quillfeather", "given": ["Odette"]}])
        );
        assert_eq!((&written["birthDate"], &written["gender"]), (&json!("1950-01-02"), &json!("female")));
        assert_eq!(written["deceasedBoolean"], false);
        assert_eq!(
            written["telecom"],
            json!([
                {"system": "phone", "value": "0000 1", "use": "mobile"},
                {"system": "email", "value": "a@example.org"},
                {"system": "other", "value": "?"},
            ])
        );
        assert_eq!(
            written["address"],
            json!([{"use": "home", "line": ["1 Invented Row"], "postalCode": "ZZ1 1ZZ"}])
        );
    }

    #[test]
    fn an_oid_is_told_from_a_name() {
        assert!(is_oid("2.16.840.1.113883.2.1.4.1"));
        for name in ["", "2", "3.1", "2.", "2..1", "2.01", "NHS", "1.x"] {
            assert!(!is_oid(name), "{name}");
        }
    }
}
