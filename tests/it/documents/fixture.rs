//! One invented report with something of everything, and what stands around it in a case.

use std::collections::BTreeMap;

use haemosync_gateway::clinical::document::Clinic;
use haemosync_gateway::clinical::document::ClinicianEdits;
use haemosync_gateway::clinical::document::ClinicianNote;
use haemosync_gateway::clinical::document::Content;
use haemosync_gateway::clinical::document::OrderFacts;
use haemosync_gateway::clinical::document::PatientFacts;
use haemosync_gateway::clinical::document::RequestForm;
use haemosync_gateway::clinical::document::Standing;
use haemosync_gateway::clinical::document::Superseded;
use haemosync_gateway::clinical::lineage;
use haemosync_gateway::clinical::model::Code;
use haemosync_gateway::clinical::model::Comparator;
use haemosync_gateway::clinical::model::Finding;
use haemosync_gateway::clinical::model::Flag;
use haemosync_gateway::clinical::model::Interpretation;
use haemosync_gateway::clinical::model::LabResult;
use haemosync_gateway::clinical::model::MessageOrigin;
use haemosync_gateway::clinical::model::Moment;
use haemosync_gateway::clinical::model::NotAssessed;
use haemosync_gateway::clinical::model::Note;
use haemosync_gateway::clinical::model::Number;
use haemosync_gateway::clinical::model::Panel;
use haemosync_gateway::clinical::model::Patient;
use haemosync_gateway::clinical::model::ReferenceRange;
use haemosync_gateway::clinical::model::Report;
use haemosync_gateway::clinical::model::ReportStatus;
use haemosync_gateway::clinical::model::ResultId;
use haemosync_gateway::clinical::model::ResultStatus;
use haemosync_gateway::clinical::model::Specimen;
use haemosync_gateway::clinical::model::Unit;
use haemosync_gateway::clinical::model::Urgency;
use haemosync_gateway::clinical::model::Value;

pub(super) fn moment(iso: &str) -> Moment {
    Moment { sent: iso.to_owned(), iso: iso.to_owned() }
}

pub(super) fn text_code(text: &str) -> Code {
    Code { codings: vec![], text: Some(text.to_owned()) }
}

pub(super) fn value(sent: &str) -> Value {
    let (comparator, digits) = Comparator::split(sent).map_or((None, sent), |(it, rest)| (Some(it), rest));
    match Number::parse(digits) {
        Some(number) => Value::Quantity { sent: sent.to_owned(), comparator, number },
        None => Value::Text { text: sent.to_owned() },
    }
}

pub(super) fn result(index: usize, name: &str, sent: &str, unit: &str, range: &str, flag: &str) -> LabResult {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    LabResult {
        id: ResultId(format!("OBX[{index}]")),
        code: text_code(name),
        sub_id: None,
        value: value(sent),
        unit: some(unit).map(|sent| Unit { sent, ucum: None, factor: None }),
        range: some(range).map(|sent| ReferenceRange::parse(&sent)),
        flags: some(flag).map(|sent| Flag { sent, text: None }).into_iter().collect(),
        status: ResultStatus::Final,
        detail: None,
        notes: vec![],
        observed_at: None,
        analysed_at: None,
        methods: vec![],
        performing_lab: None,
        specimen: None,
        not_interpreted: false,
        extra: vec![],
    }
}

pub(super) fn note(text: &str) -> Note {
    Note { id: "NTE[1]".to_owned(), text: text.to_owned(), source: Some("L".to_owned()) }
}

pub(super) fn panel(name: &str, results: Vec<LabResult>) -> Panel {
    Panel {
        id: "OBR[1]".to_owned(),
        code: text_code(name),
        status: ReportStatus::Final,
        collected_at: Some(moment("2026-03-05T08:10:00+00:00")),
        received_at: Some(moment("2026-03-05T15:42:00+00:00")),
        reported_at: Some(moment("2026-03-06T07:05:00+00:00")),
        requester: None,
        clinical_information: None,
        notes: vec![],
        results,
        extra: vec![],
    }
}

pub(super) fn report() -> Report {
    let mut potassium = result(9, "Potassium", "6.7", "mmol/L", "3.5-5.3", "HH");
    potassium
        .notes
        .push(note("Sample slightly haemolysed; potassium may be falsely raised.\nTelephoned 06:55."));
    let mut crp = result(12, "C-reactive protein", "<0.6", "mg/L", "<5", "");
    crp.status = ResultStatus::Preliminary;
    let mut unknown = result(14, "Lipoprotein X index", "1.2", "AU", "0.5-1.5", "");
    unknown.not_interpreted = true;
    let culture = "No significant growth after 48 hours of incubation.\nMixed skin flora only; contamination is likely.";
    Report {
        lab: "Northern Reference Laboratory".to_owned(),
        filler_number: "26N0048817".to_owned(),
        order_number: None,
        account: None,
        facility: None,
        status: ReportStatus::Final,
        patient: Patient::default(),
        panels: vec![
            panel(
                "Full blood count",
                vec![
                    result(1, "Haemoglobin", "128", "g/L", "130-180", "L"),
                    result(2, "White cell count", "6.40", "10*9/L", "4.0-11.0", ""),
                    result(3, "Platelets", "265", "x10^9/L", "150-400", ""),
                    result(4, "Red cell count", "4.51", "10*12/L", "4.50 - 6.00", ""),
                ],
            ),
            panel(
                "Urea and electrolytes",
                vec![
                    result(8, "Sodium", "139", "mmol/L", "133-146", ""),
                    potassium,
                    result(10, "Creatinine", "88", "µmol/L", "59-104", ""),
                    result(11, "eGFR", ">90", "mL/min/1.73m²", "≥60", ""),
                    crp,
                ],
            ),
            panel(
                "Other tests",
                vec![
                    result(13, "TSH", "<0.01", "mU/L", "0.27-4.20", "L"),
                    unknown,
                    result(15, "ANA titre", "1:128", "", "", "*"),
                    result(16, "Hepatitis B surface antigen", "Not detected", "", "Not detected", ""),
                    result(17, "Urine culture", culture, "", "", ""),
                ],
            ),
        ],
        specimens: vec![Specimen {
            id: "SPM[1]".to_owned(),
            accession: Some("26N0048817-1".to_owned()),
            kind: Some(text_code("Venous blood, EDTA")),
            ..Specimen::default()
        }],
        attachments: vec![],
        notes: vec![note("Reported by the duty biochemist.")],
        origin: MessageOrigin {
            control_id: "0001".to_owned(),
            sender: "LIS|NRL".to_owned(),
            sent_at: Some(moment("2026-03-06T07:06:00+00:00")),
            mapping_digest: "4f1c".repeat(16),
        },
    }
}

pub(super) fn finding(id: &str, urgency: Urgency, about: &[&str], clinician: &str, patient: &str) -> Finding {
    Finding {
        id: id.to_owned(),
        urgency,
        about: about.iter().map(|id| ResultId((*id).to_owned())).collect(),
        clinician_text: clinician.to_owned(),
        patient_text: patient.to_owned(),
        follow_up: Some("Repeat urea and electrolytes on a fresh sample.".to_owned()),
        evidence: vec!["potassium 6.7 ≥ 6.5 mmol/L".to_owned()],
        source: Some("RCPath G158 (2017)".to_owned()),
    }
}

pub(super) fn interpretation() -> Interpretation {
    Interpretation {
        interpreter: "rules".to_owned(),
        version: "1.4.0".to_owned(),
        digest: "9b2e".repeat(16),
        findings: vec![
            finding(
                "potassium-critical",
                Urgency::Emergency,
                &["OBX[9]"],
                "Potassium at or beyond 6.5 mmol/L. The laboratory reports haemolysis, so it may be spurious: treat as real until repeated.",
                "Your potassium is high and must be checked again now.",
            ),
            Finding {
                follow_up: Some("Full blood count and ferritin at the next contact.".to_owned()),
                evidence: vec!["haemoglobin 128 < 130 g/L".to_owned()],
                source: Some("CKS anaemia (2024)".to_owned()),
                ..finding(
                    "haemoglobin-mildly-low",
                    Urgency::Routine,
                    &["OBX[1]"],
                    "Haemoglobin just under the laboratory's range. Can be seen with iron deficiency.",
                    "Your haemoglobin, which carries oxygen, is a little low. Your clinician may check your iron.",
                )
            },
        ],
        not_assessed: vec![NotAssessed {
            subject: "lipoprotein-x".to_owned(),
            about: vec![ResultId("OBX[14]".to_owned())],
            reason: "the code is not in the knowledge".to_owned(),
        }],
        range_flags: vec![],
    }
}

pub(super) fn clinic() -> Clinic {
    Clinic {
        name: "Harbour Street Clinic".to_owned(),
        contact: vec!["14 Harbour Street, Bristol BS1 4ZZ".to_owned(), "Telephone 0117 496 0123".to_owned()],
        urgent_help: vec![],
        time_zone: "Europe/London".to_owned(),
    }
}

pub(super) fn patient() -> PatientFacts {
    PatientFacts {
        name: "Orlaith O’Quillfeather-Ågren".to_owned().into(),
        birth_date: Some("1979-11-02".to_owned().into()),
        nhs_number: Some("9434765919".to_owned().into()),
        sex: Some("Female".to_owned().into()),
        cliniko_reference: Some("1084417".to_owned()),
    }
}

pub(super) fn content<'a>(report: &'a Report, interpretations: &'a [Interpretation]) -> Content<'a> {
    Content {
        clinic: clinic(),
        case_id: "01JNQ8W3ZC4M6T7Q".to_owned(),
        case_version: 2,
        order: Some(OrderFacts {
            order_number: "HS-7Q2M-4XKD-T".to_owned(),
            tests: vec!["Full blood count".to_owned(), "Urea and electrolytes".to_owned()],
            ordered_at: "2026-03-04T16:20:00+00:00".to_owned(),
            requested_by: Some("Dr Imogen Vale".to_owned()),
        }),
        patient: patient(),
        report,
        interpretations,
        edits: ClinicianEdits {
            summary_clinician: Some(
                "Spoke with the laboratory; repeat arranged for this morning.".to_owned(),
            ),
            summary_patient: Some("We would like to see you for another sample.".to_owned()),
            notes: vec![ClinicianNote {
                author: "Dr Imogen Vale".to_owned(),
                at: "2026-03-06T08:02:00+00:00".to_owned(),
                text: "No ECG changes recorded last month.".to_owned(),
            }],
        },
        contact_confirmed: false,
        supersedes: Some(Superseded {
            case_version: 1,
            filed_at: Some("2026-03-06T07:30:00+00:00".to_owned()),
        }),
        changed: vec![],
        carried: BTreeMap::new(),
        reads: lineage::Standing::Complete,
        changes: BTreeMap::from([(ResultId("OBX[9]".to_owned()), "5.1 mmol/L".to_owned())]),
        plain_names: BTreeMap::from([(ResultId("OBX[2]".to_owned()), "White blood cells".to_owned())]),
        versions: vec![("Gateway".to_owned(), "0.1.0".to_owned()), ("Mapping".to_owned(), "4f1c".repeat(16))],
    }
}

pub(super) fn approved() -> Standing {
    Standing::Approved {
        approver: "Dr Imogen Vale".to_owned(),
        registration: Some("GMC 7654321".to_owned()),
        at: "2026-03-06T08:15:00+00:00".to_owned(),
    }
}

pub(super) fn form() -> RequestForm {
    RequestForm {
        clinic: clinic(),
        patient: patient(),
        order_number: "HS-7Q2M-4XKD-T".to_owned(),
        tests: vec!["Full blood count".to_owned(), "Urea and electrolytes".to_owned(), "TSH".to_owned()],
        ordered_at: "2026-03-04T16:20:00+00:00".to_owned(),
        requester: "Dr Imogen Vale (GMC 7654321)".to_owned(),
        instructions: vec!["Fasting: no food for 10 hours, water is fine.".to_owned()],
    }
}
