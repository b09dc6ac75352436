//! The account as JSON; `docs/explain.md` describes its shape.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cli::mapping::explain::account::Account;
use crate::cli::mapping::explain::address::Asked;
use crate::cli::mapping::explain::told::FieldTold;
use crate::cli::mapping::explain::told::MadeTold;
use crate::cli::mapping::explain::told::Subject;
use crate::cli::mapping::explain::told::Value;
use crate::clinical::mapping::inbound::trace::influence::Made;

/// Every value and every leaf of one message.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    subject: Subject<'a>,
    report: Vec<Value<'a>>,
    message: Vec<FieldTold<'a>>,
}

/// What was asked for, and nothing else.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    subject: Subject<'a>,
    asked: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    message: Vec<FieldTold<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    report: Vec<Value<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fhir: Vec<MadeTold<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cliniko: Vec<MadeTold<'a>>,
}

pub(super) fn whole(account: &Account<'_>) -> serde_json::Value {
    let leaves = 0..account.trace.source.leaves.len();
    data(&Whole {
        subject: account.subject_told(),
        report: account.trace.origins.iter().map(|origin| account.value(origin)).collect(),
        message: leaves.filter_map(|at| account.field(at)).collect(),
    })
}

pub(super) fn asked(account: &Account<'_>, text: &str, asked: &Asked) -> serde_json::Value {
    let answer = Answer {
        subject: account.subject_told(),
        asked: text,
        message: Vec::new(),
        report: Vec::new(),
        fhir: Vec::new(),
        cliniko: Vec::new(),
    };
    let told = |made: &'_ [Made]| -> Vec<serde_json::Value> {
        made.iter().map(|it| data(&account.made(it))).collect()
    };
    match asked {
        Asked::Message(leaves) => {
            let (fhir, cliniko) = forward(account, leaves);
            let message = leaves.iter().filter_map(|at| account.field(*at)).collect();
            let mut answer = data(&Answer { message, ..answer });
            answer["fhir"] = told(&fhir).into();
            answer["cliniko"] = told(&cliniko).into();
            answer
        }
        Asked::Report(values) => {
            let origins = values.iter().filter_map(|at| account.trace.origins.get(*at));
            data(&Answer { report: origins.map(|origin| account.value(origin)).collect(), ..answer })
        }
        Asked::Fhir(made) => {
            data(&Answer { fhir: made.iter().map(|it| account.made(it)).collect(), ..answer })
        }
        Asked::Cliniko(made) => {
            data(&Answer { cliniko: made.iter().map(|it| account.made(it)).collect(), ..answer })
        }
    }
}

/// What of the Bundle and of the calls comes of these leaves.
pub(super) fn forward(account: &Account<'_>, leaves: &[usize]) -> (Vec<Made>, Vec<Made>) {
    let values: BTreeSet<usize> =
        leaves.iter().filter_map(|at| account.trace.values.get(*at)).flatten().copied().collect();
    let paths: Vec<&str> =
        values.iter().filter_map(|at| Some(account.trace.origins.get(*at)?.path.as_str())).collect();
    let comes = |it: &Made| !it.holds.is_empty() || !it.follows.is_empty();
    let of = |made: Vec<Made>| made.into_iter().filter(comes).collect();
    (of(account.fhir(&paths)), of(account.cliniko(&paths)))
}

fn data(document: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(document).expect("our documents have text keys and serialise")
}
