//! The request: what it holds, what it leaves out; and the small reports that the tests of this module share.

use crate::clinical::interpret::Context;
use crate::clinical::interpret::request;
use crate::clinical::model::Code;
use crate::clinical::model::Coding;
use crate::clinical::model::Comparator;
use crate::clinical::model::Identifier;
use crate::clinical::model::IdentifierKind;
use crate::clinical::model::LabResult;
use crate::clinical::model::MessageOrigin;
use crate::clinical::model::Moment;
use crate::clinical::model::Note;
use crate::clinical::model::Number;
use crate::clinical::model::Panel;
use crate::clinical::model::Patient;
use crate::clinical::model::PersonName;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sensitive;
use crate::clinical::model::System;
use crate::clinical::model::Unit;
use crate::clinical::model::Value;

pub(super) fn named(id: usize, name: &str, value: &str, unit: &str) -> LabResult {
    let (comparator, number) = Comparator::split(value).map_or((None, value), |(it, rest)| (Some(it), rest));
    LabResult {
        id: ResultId(format!("OBX[{id}]")),
        code: Code { codings: Vec::new(), text: Some(name.to_owned()) },
        sub_id: None,
        value: match Number::parse(number) {
            Some(number) => Value::Quantity { sent: value.to_owned(), comparator, number },
            None => Value::Text { text: value.to_owned() },
        },
        unit: Some(Unit { sent: unit.to_owned(), ucum: None, factor: None }),
        range: None,
        flags: Vec::new(),
        status: ResultStatus::Final,
        detail: None,
        notes: Vec::new(),
        observed_at: None,
        analysed_at: None,
        methods: Vec::new(),
        performing_lab: None,
        specimen: None,
        not_interpreted: false,
        extra: Vec::new(),
    }
}

pub(super) fn coded(id: usize, system: &str, code: &str, value: &str, unit: &str) -> LabResult {
    let coding = Coding {
        system: Some(System(system.to_owned())),
        code: code.to_owned(),
        display: None,
        sent_system: None,
        version: None,
    };
    LabResult { code: Code { codings: vec![coding], text: None }, ..named(id, "", value, unit) }
}

pub(super) fn born(day: &str) -> Sensitive<Moment> {
    Sensitive::new(moment(day))
}

fn moment(iso: &str) -> Moment {
    Moment { sent: iso.to_owned(), iso: iso.to_owned() }
}

/// A final report of a person of 50, taken on a summer morning.
pub(super) fn report(results: Vec<LabResult>) -> Report {
    Report {
        lab: "lab".to_owned(),
        filler_number: "F-1".to_owned(),
        order_number: None,
        account: None,
        facility: None,
        status: ReportStatus::Final,
        patient: Patient { birth_date: Some(born("1976-06-15")), ..Patient::default() },
        panels: vec![Panel {
            id: "OBR[1]".to_owned(),
            code: Code::default(),
            status: ReportStatus::Final,
            collected_at: Some(moment("2026-06-15T09:30:00+01:00")),
            received_at: None,
            reported_at: None,
            requester: None,
            clinical_information: None,
            notes: Vec::new(),
            results,
            extra: Vec::new(),
        }],
        specimens: Vec::new(),
        attachments: Vec::new(),
        notes: Vec::new(),
        origin: MessageOrigin {
            control_id: "C-1".to_owned(),
            sender: "A|B".to_owned(),
            sent_at: None,
            mapping_digest: String::new(),
        },
    }
}

#[test]
fn a_request_says_nothing_of_who_the_patient_is() {
    let mut report = report(vec![named(1, "Potassium", "4.1", "mmol/L")]);
    report
        .patient
        .names
        .push(PersonName { family: Some(Sensitive::new("Quillfeather".into())), ..PersonName::default() });
    let value = Sensitive::new("9434765919".to_owned());
    report.patient.identifiers.push(Identifier {
        kind: IdentifierKind::NhsNumber,
        value,
        type_code: None,
        authority: None,
    });
    report.order_number = Some("ORDER-77".to_owned());
    report.notes.push(Note { id: "NTE[1]".into(), text: "Quillfeather rang".into(), source: None });
    if let Some(result) = report.panels.first_mut().and_then(|panel| panel.results.first_mut()) {
        result.extra.push(("kit".into(), "KIT-88".into()));
    }
    let shown = serde_json::to_string(&request(&report, Context::default())).unwrap();
    for secret in ["Quillfeather", "9434765919", "1976-06-15", "ORDER-77", "KIT-88", "F-1", "C-1"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("4.1") && shown.contains("\"age_years\":50"));
}

#[test]
fn age_is_in_completed_years_on_the_day_of_collection() {
    for (birth, age) in [
        ("1976-06-15", Some(50)),
        ("1976-06-16", Some(49)),
        ("2008-06-16", Some(17)),
        ("2026-06-15", Some(0)),
        ("2027-01-01", None),
        ("1976", None),
    ] {
        let mut report = report(Vec::new());
        report.patient.birth_date = Some(born(birth));
        assert_eq!(request(&report, Context::default()).age_years, age, "{birth}");
    }
}

#[test]
fn history_is_unknown_unless_somebody_looked_and_never_of_the_future() {
    let now = report(Vec::new());
    assert!(request(&now, Context::default()).earlier.is_none());
    let at = |iso: &str| {
        let mut report = report(vec![named(1, "Potassium", "4.1", "mmol/L")]);
        if let Some(panel) = report.panels.first_mut() {
            panel.collected_at = Some(moment(iso));
        }
        report
    };
    let earlier = [at("2026-06-05"), at("2026-06-16"), at("2026")];
    let found = request(&now, Context { earlier: Some(&earlier), ..Context::default() }).earlier.unwrap();
    assert_eq!(found.iter().map(|it| it.days_before).collect::<Vec<_>>(), [10]);
}
