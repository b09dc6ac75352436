//! The decision table, row by row, on invented people.

use super::*;
use crate::clinical::model::Address;
use crate::clinical::model::Code as Concept;
use crate::clinical::model::Identifier;
use crate::clinical::model::IdentifierKind;
use crate::clinical::model::MessageOrigin;
use crate::clinical::model::Moment;
use crate::clinical::model::Panel;
use crate::clinical::model::PersonName;
use crate::clinical::model::ReportStatus;
use crate::clinical::order::OrderPatient;
use crate::clinical::order::OrderedTest;
use crate::clinical::order::ReportReference;

/// A person of the tests. Names are invented and odd on purpose.
#[derive(Clone, Debug, PartialEq)]
struct Person {
    id: u32,
    family: String,
    given: String,
    born: Date,
    sex: Sex,
    postcode: String,
    nhs: Option<String>,
}

fn odalys() -> Person {
    Person {
        id: 1,
        family: "Quillfeather".into(),
        given: "Odalys".into(),
        born: "1984-03-17".parse().unwrap(),
        sex: Sex::Female,
        postcode: "ZZ1 1AA".into(),
        nhs: Some("4123456881".into()),
    }
}

impl Person {
    fn candidate(&self, source: Source) -> Candidate {
        Candidate {
            cliniko_id: self.id.to_string().parse().unwrap(),
            family: self.family.clone().into(),
            given: vec![self.given.clone().into()],
            preferred: None,
            birth_date: Some(self.born.into()),
            sex: Some(self.sex),
            postcode: Some(self.postcode.clone().into()),
            nhs_number: self.nhs.clone().map(|number| NhsNumber { value: number.into(), verified: true }),
            archived: false,
            merged: false,
            deceased: false,
            source,
        }
    }

    fn order(&self) -> Order {
        Order {
            number: OrderNumber::from_random(
                u64::from(self.id).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes(),
            ),
            clinic: "test".into(),
            patient: OrderPatient {
                cliniko_id: self.id.to_string().parse().unwrap(),
                family: self.family.clone().into(),
                given: vec![self.given.clone().into()],
                birth_date: Some(self.born.into()),
                sex: Some(self.sex),
                postcode: None,
                nhs_number: None,
            },
            tests: vec![OrderedTest { code: Some("FBC".into()), name: "Full blood count".into() }],
            ordered_at: "2026-11-01T09:00:00Z".parse().unwrap(),
            ordered_by: "u1".into(),
            state: OrderState::Open,
            reports: Vec::new(),
        }
    }

    fn report(&self) -> Report {
        let moment = |iso: &str| Some(Moment { sent: iso.into(), iso: iso.into() });
        let identifier = |number: &String| Identifier {
            kind: IdentifierKind::NhsNumber,
            value: number.clone().into(),
            type_code: None,
            authority: None,
        };
        let born = self.born.to_string();
        Report {
            lab: "northlab".into(),
            filler_number: "26-1".into(),
            order_number: None,
            account: None,
            facility: None,
            status: ReportStatus::Final,
            patient: Patient {
                identifiers: self.nhs.iter().map(identifier).collect(),
                names: vec![PersonName {
                    family: Some(self.family.to_uppercase().into()),
                    given: vec![self.given.clone().into()],
                    ..PersonName::default()
                }],
                birth_date: moment(&born).map(Sensitive::new),
                sex: Some(self.sex),
                addresses: vec![Address {
                    postcode: Some(self.postcode.clone().into()),
                    ..Address::default()
                }],
                ..Patient::default()
            },
            panels: vec![Panel {
                id: "OBR[1]".into(),
                code: Concept { codings: Vec::new(), text: Some("Full Blood Count".into()) },
                status: ReportStatus::Final,
                collected_at: moment("2026-11-02T08:00:00Z"),
                received_at: moment("2026-11-02T17:00:00Z"),
                reported_at: None,
                requester: None,
                clinical_information: None,
                notes: Vec::new(),
                results: Vec::new(),
                extra: Vec::new(),
            }],
            specimens: Vec::new(),
            attachments: Vec::new(),
            notes: Vec::new(),
            origin: MessageOrigin {
                control_id: "1".into(),
                sender: "A|B".into(),
                sent_at: None,
                mapping_digest: String::new(),
            },
        }
    }
}

/// One case: the usual report of the usual patient under our order, then whatever the case changes.
struct Case {
    report: Report,
    candidates: Candidates,
    settings: Settings,
}

/// What a case changes in the usual report.
type Change = fn(&mut Case);

impl Case {
    fn ordered() -> Self {
        let order = odalys().order();
        let mut report = odalys().report();
        report.order_number = Some(order.number.to_string());
        report.patient.identifiers.clear();
        let candidates = Candidates {
            people: vec![odalys().candidate(Source::Order)],
            order: Some(order),
            ..Candidates::default()
        };
        Self { report, candidates, settings: Settings::default() }
    }

    fn unordered() -> Self {
        let mut case = Self::ordered();
        case.report.order_number = None;
        case.report.patient.identifiers.clear();
        case.candidates.order = None;
        case
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn decide(&self) -> Match {
        decide(&self.report, &self.candidates, &self.settings)
    }

    /// `automatic:order`, `review:P005`, `review(nobody):P005`, `quarantine:P003`, `none:P001`.
    #[track_caller]
    fn check(&self, expected: &str) {
        let codes = |diagnostics: &[Diagnostic]| {
            let codes: Vec<&str> = diagnostics.iter().map(|it| it.code.as_str()).collect();
            codes.join("+")
        };
        let told = match self.decide() {
            Match::Automatic { rule, .. } => {
                format!("automatic:{}", serde_json::to_value(rule).unwrap().as_str().unwrap())
            }
            Match::Review { suggested: Some(_), diagnostics, .. } => {
                format!("review:{}", codes(&diagnostics))
            }
            Match::Review { suggested: None, diagnostics, .. } => {
                format!("review(nobody):{}", codes(&diagnostics))
            }
            Match::Quarantine { diagnostics, .. } => format!("quarantine:{}", codes(&diagnostics)),
            Match::None { diagnostics } => format!("none:{}", codes(&diagnostics)),
        };
        assert_eq!(told, expected);
    }

    fn name(&mut self) -> &mut PersonName {
        &mut self.report.patient.names[0]
    }

    fn order(&mut self) -> &mut Order {
        self.candidates.order.as_mut().unwrap()
    }
}

fn moment(iso: &str) -> Moment {
    Moment { sent: iso.into(), iso: iso.into() }
}

#[test]
fn an_open_order_with_birth_date_and_surname_matches() {
    Case::ordered().check("automatic:order");
    Case::ordered()
        .with(|it| it.name().family = Some("Quilfeather".to_owned().into()))
        .check("automatic:order");
    Case::ordered().with(|it| it.report.patient.birth_date = None).check("review:P004");
    Case::ordered().with(|it| it.candidates.people.clear()).check("none:P001");
}

#[test]
fn an_order_alone_matches_only_where_names_are_withheld_by_agreement() {
    let withheld = || Case::ordered().with(|it| it.report.patient.names.clear());
    withheld().check("review:P004");
    withheld().with(|it| it.settings.names_withheld = true).check("automatic:order_without_name");
    withheld()
        .with(|it| {
            it.settings.names_withheld = true;
            it.report.patient.birth_date = None;
            it.report.patient.sex = None;
        })
        .check("review:P004");
}

#[test]
fn a_verified_nhs_number_with_birth_date_and_one_name_matches() {
    let by_number =
        || Case::unordered().with(|it| it.report.patient.identifiers = odalys().report().patient.identifiers);
    by_number().check("automatic:nhs_number");
    by_number()
        .with(|it| it.name().family = Some("Quillfeather-Vane".to_owned().into()))
        .check("automatic:nhs_number");
    by_number().with(|it| it.name().family = Some("Vane".to_owned().into())).check("review:P005");
    by_number()
        .with(|it| it.candidates.people[0].nhs_number.as_mut().unwrap().verified = false)
        .check("review:P004");
    by_number().with(|it| it.candidates.people[0].birth_date = None).check("review:P004");
    let test_range = |it: &mut Case| {
        it.report.patient.identifiers[0].value = "9990000018".to_owned().into();
        it.candidates.people[0].nhs_number.as_mut().unwrap().value = "999 000 0018".to_owned().into();
    };
    by_number().with(test_range).check("review:P004");
    by_number()
        .with(test_range)
        .with(|it| it.settings.dangerous_test_nhs_numbers = true)
        .check("automatic:nhs_number");
}

#[test]
fn demographics_suggest_and_match_only_where_the_clinic_opted_in() {
    let opted_in = || {
        Case::unordered().with(|it| {
            it.settings.automatic_by_demographics = true;
            it.candidates.open_orders = vec![odalys().order()];
        })
    };
    Case::unordered().with(|it| it.candidates.open_orders = vec![odalys().order()]).check("review:P004");
    opted_in().check("automatic:demographics");
    opted_in().with(|it| it.report.patient.addresses.clear()).check("review:P004");
    opted_in().with(|it| it.candidates.open_orders[0].tests.clear()).check("review:P004");
    opted_in().with(|it| it.settings.order_window_days = 0).check("review:P004");
    opted_in().with(|it| it.report.patient.birth_date = None).check("review:P004");
    opted_in().with(|it| it.report.order_number = Some("ANOTHER".to_owned())).check("review:P004");
}

#[test]
fn every_conflict_quarantines() {
    let conflicts: [(&str, Change); 8] = [
        ("birth date", |it| {
            it.candidates.people[0].birth_date = Some("1984-03-18".parse::<Date>().unwrap().into());
        }),
        ("sex", |it| it.candidates.people[0].sex = Some(Sex::Male)),
        ("surname", |it| it.name().family = Some("Vane".to_owned().into())),
        ("nhs number", |it| {
            it.report.patient.identifiers = odalys().report().patient.identifiers;
            it.candidates.people[0].nhs_number.as_mut().unwrap().value = "4010232137".to_owned().into();
        }),
        ("cancelled", |it| it.order().state = OrderState::Cancelled),
        ("resulted", |it| it.order().state = OrderState::Resulted),
        ("earlier", |it| {
            let sent = it.report.patient.clone();
            it.candidates.earlier =
                Some(Earlier { cliniko_id: "77".parse().unwrap(), order_number: None, sent });
        }),
        ("two ids, two people", |it| {
            it.report.patient.identifiers = odalys().report().patient.identifiers;
            let mut other = Person { id: 2, ..odalys() }.candidate(Source::Search);
            other.family = "Vane".to_owned().into();
            it.candidates.people[0].nhs_number = None;
            it.candidates.people.push(other);
        }),
    ];
    for (what, change) in conflicts {
        let decided = Case::ordered().with(change).decide();
        assert!(matches!(decided, Match::Quarantine { .. }), "{what}: {decided:?}");
    }
}

#[test]
fn what_always_asks_for_a_person() {
    let reasons: [(&str, Change); 13] = [
        ("twins", |it| {
            let twin = Person { id: 2, given: "Peregrine".into(), nhs: None, ..odalys() };
            it.candidates.people.push(twin.candidate(Source::Search));
        }),
        ("1 january", |it| {
            it.report.patient.birth_date = Some(moment("1984-01-01").into());
            it.candidates.people[0].birth_date = Some("1984-01-01".parse::<Date>().unwrap().into());
        }),
        ("given name", |it| it.name().given = vec!["Peregrine".to_owned().into()]),
        ("deceased, sent", |it| it.report.patient.deceased = Some(true)),
        ("deceased, recorded", |it| it.candidates.people[0].deceased = true),
        ("merged", |it| it.candidates.people[0].merged = true),
        ("archived", |it| it.candidates.people[0].archived = true),
        ("sex", |it| it.candidates.people[0].sex = Some(Sex::Other)),
        ("not ordered", |it| it.report.panels[0].code.text = Some("Lipids".into())),
        ("before the order", |it| it.report.panels[0].collected_at = Some(moment("2026-10-31"))),
        ("after receipt", |it| it.report.panels[0].collected_at = Some(moment("2026-11-03"))),
        ("second report", |it| {
            it.order().reports =
                vec![ReportReference { lab: "northlab".into(), filler_number: "26-0".into() }];
        }),
        ("age", |it| it.settings.age_years = Some((50, 120))),
    ];
    for (what, change) in reasons {
        let decided = Case::ordered().with(change).decide();
        assert!(matches!(decided, Match::Review { .. }), "{what}: {decided:?}");
    }
    // Exchanged fields are no agreement, so no row matches beside the warning.
    Case::ordered()
        .with(|it| {
            it.report.patient.birth_date = Some(moment("1984-11-03").into());
            it.candidates.people[0].birth_date = Some("1984-03-11".parse::<Date>().unwrap().into());
        })
        .check("review:P004+P005");
    Case::ordered()
        .with(|it| {
            it.name().family = Some("Odalys".to_owned().into());
            it.name().given = vec!["Quillfeather".to_owned().into()];
        })
        .check("review(nobody):P004+P005+P005");
}

#[test]
fn a_later_version_keeps_the_match_of_the_same_identity_only() {
    let later = || {
        Case::unordered().with(|it| {
            let sent = it.report.patient.clone();
            let cliniko_id = it.candidates.people[0].cliniko_id.clone();
            it.candidates.earlier = Some(Earlier { cliniko_id, order_number: None, sent });
        })
    };
    later().check("automatic:lineage");
    later().with(|it| it.report.patient.sex = None).check("review:P004");
    Case::ordered()
        .with(|it| {
            it.order().state = OrderState::Resulted;
            it.order().reports =
                vec![ReportReference { lab: "northlab".into(), filler_number: "26-1".into() }];
        })
        .check("automatic:order");
}

#[test]
fn two_who_fit_are_nobody_and_no_one_is_unmatched() {
    Case::unordered()
        .with(|it| it.candidates.people.push(Person { id: 2, ..odalys() }.candidate(Source::Search)))
        .check("quarantine:P002");
    Case::unordered()
        .with(|it| {
            it.candidates.people =
                vec![Person { family: "Vane".into(), ..odalys() }.candidate(Source::Search)];
        })
        .check("none:P001");
}

#[test]
fn no_decision_quotes_the_patient() {
    for case in [
        Case::ordered(),
        Case::unordered(),
        Case::ordered().with(|it| it.candidates.people[0].sex = Some(Sex::Male)),
    ] {
        let told = format!("{}{:?}", serde_json::to_string(&case.decide()).unwrap(), case.candidates);
        for secret in ["Quill", "Odalys", "1984", "ZZ1", "4123"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }
}

mod r10;
