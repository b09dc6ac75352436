//! A report's case: opened once, taken up again when its patient could be looked for, superseded by a newer report.

use crate::audit;
use crate::clinical::interpret;
use crate::clinical::interpret::Context;
use crate::clinical::interpret::guard::Guarded;
use crate::clinical::interpret::guard::guard;
use crate::clinical::matching;
use crate::clinical::matching::Match;
use crate::clinical::model::Interpretation;
use crate::clinical::model::NotAssessed;
use crate::clinical::model::Report;
use crate::clinical::workflow;
use crate::clinical::workflow::Command;
use crate::clinical::workflow::Roles;
use crate::clinical::workflow::State;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::advance::prepare::candidates;
use crate::pipeline::advance::prepare::candidates::Found;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::case::Edits;
use crate::pipeline::records::case::MatchedPatient;
use crate::pipeline::records::case::Standing;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::report;
use crate::pipeline::records::report::ReportKey;
use crate::store;
use crate::store::Change;

/// Earlier reports of a patient that an interpreter is shown.
const HISTORY_MAX: usize = 20;

/// Opens a case. Without a look-up it waits in `matching`, interpreted: a critical result is seen all the same.
pub(super) fn open(
    pipeline: &Pipeline,
    clinic: &str,
    (key, report): (ReportKey, &Report),
    before: Vec<Stored>,
    found: Option<&Found>,
    change: &mut Change,
) -> Result<(), store::Error> {
    let earlier = before.last();
    let now = pipeline.clock.now();
    let mut case = Case {
        id: CaseId(pipeline.clock.new_id()),
        clinic: clinic.to_owned(),
        lineage: report::lineage(report),
        version: earlier.map_or(1, |it| it.case.version + 1),
        report: key,
        report_sha256: report::content_sha256(report),
        previous: earlier.map(|it| it.case.id),
        opened_at: now,
        patient: None,
        suggested_patient_id: None,
        interpretation: Some(interpretation(pipeline, clinic, report)?),
        edits: Edits::default(),
        notes: Vec::new(),
        approval: None,
        rejection: None,
        holds: Vec::new(),
        seen: None,
    };
    let mut state = if let Some(found) = found {
        place(&mut case, report, found)
    } else {
        case.holds = vec![not_asked()];
        State::Matching
    };
    if before.iter().any(|it| it.case.report.message > key.message) {
        // It arrived late: a newer report of its lineage was read before it.
        state = State::Superseded;
    } else {
        supersede(pipeline, before, &case, change);
    }
    if state == State::InReview {
        candidates::answer_order(&pipeline.store, clinic, report, change)?;
    }
    let urgency = case.interpretation.as_ref().and_then(Interpretation::urgency);
    let standing = Standing { clinic: clinic.to_owned(), state, urgency, revision: 0, seen: false };
    tracing::info!(case.id = %case.id, message.id = %key.message, state = state.as_str(), "opened a case");
    change.audit(
        audit::Entry::new(now, "gateway", "case.opened", case.id.to_string())
            .of_clinic(clinic)
            .with("report", key.to_string())
            .with("report_sha256", case.report_sha256.clone())
            .with("version", case.version)
            .with("state", state.as_str())
            .with("knowledge", pipeline.knowledge.digest()),
    );
    Stored { case, standing }.insert(change);
    Ok(())
}

/// Decides whose report it is, of a case that waited in `matching`.
pub(super) fn take_up(
    pipeline: &Pipeline,
    mut waiting: Stored,
    report: &Report,
    found: &Found,
    change: &mut Change,
) -> Result<(), store::Error> {
    let before = waiting.standing.clone();
    waiting.case.holds.clear();
    waiting.standing.state = place(&mut waiting.case, report, found);
    if waiting.standing.state == State::InReview {
        candidates::answer_order(&pipeline.store, &before.clinic, report, change)?;
    }
    let (id, state) = (waiting.case.id, waiting.standing.state);
    tracing::info!(case.id = %id, state = state.as_str(), "looked for the patient of a waiting case");
    change.audit(
        audit::Entry::new(pipeline.clock.now(), "gateway", "case.matched", id.to_string())
            .of_clinic(before.clinic.clone())
            .with("state", state.as_str()),
    );
    waiting.update(change, &before);
    Ok(())
}

/// Files the match in the case; the state that follows from it.
fn place(case: &mut Case, report: &Report, found: &Found) -> State {
    let decision = match found {
        Found::NoAccount => Match::None { diagnostics: vec![clinic_missing()] },
        Found::Candidates { candidates, settings, .. } => matching::decide(report, candidates, settings),
    };
    let step = |state: State, command: Command| {
        workflow::decide(state, command, Roles::gateway()).map(|event| workflow::apply(state, event))
    };
    let matched = match decision {
        Match::Automatic { patient, evidence, .. } => {
            let evidence = evidence
                .fields
                .iter()
                .map(|(field, agreement)| format!("{field}: {}", agreement.as_str()))
                .collect();
            found.person(&patient).map(|facts| MatchedPatient { evidence, matched_by: None, ..facts })
        }
        Match::Review { suggested, diagnostics, .. } => {
            case.suggested_patient_id = suggested.map(|id| id.to_string());
            case.holds = diagnostics;
            None
        }
        Match::None { diagnostics } | Match::Quarantine { diagnostics, .. } => {
            case.holds = diagnostics;
            None
        }
    };
    case.patient = matched;
    let next = if case.patient.is_some() {
        step(State::Matching, Command::MatchFound).and_then(|state| step(state, Command::Interpreted))
    } else {
        step(State::Matching, Command::Hold)
    };
    next.expect("the workflow lets the gateway match, interpret and hold a new case")
}

/// Ends the cases before this one, as far as they have not ended.
fn supersede(pipeline: &Pipeline, before: Vec<Stored>, newer: &Case, change: &mut Change) {
    for mut old in before {
        let standing = old.standing.clone();
        let Ok(event) = workflow::decide(standing.state, Command::Supersede, Roles::gateway()) else {
            continue;
        };
        old.standing.state = workflow::apply(standing.state, event);
        change.audit(
            audit::Entry::new(pipeline.clock.now(), "gateway", "case.superseded", old.case.id.to_string())
                .of_clinic(old.case.clinic.clone())
                .with("from", standing.state.as_str())
                .with("by", newer.id.to_string()),
        );
        old.update(change, &standing);
    }
}

/// What the built-in rules say of a report, with what they may know of its patient's history.
pub(in crate::pipeline) fn interpretation(
    pipeline: &Pipeline,
    clinic: &str,
    report: &Report,
) -> Result<Interpretation, store::Error> {
    let earlier = candidates::history(&pipeline.store, clinic, report, HISTORY_MAX)?;
    let context = Context { earlier: earlier.as_deref(), ..Context::default() };
    let request = interpret::request(report, context);
    let rules = pipeline.knowledge.interpret(&request);
    let Guarded { mut interpretation, dropped } = guard(&pipeline.knowledge, &request, &rules, rules.clone());
    // What the guard drops is shown to the clinician: nothing is left out in silence.
    interpretation.not_assessed.extend(dropped.into_iter().map(|it| NotAssessed {
        subject: format!("guard {}", it.code),
        about: Vec::new(),
        reason: it.message,
    }));
    Ok(interpretation)
}

fn not_asked() -> Diagnostic {
    Diagnostic::error(Code::new("P102"), "Cliniko could not be asked whose report this is")
        .fact("waiting: the gateway asks again by itself, and the results can be read meanwhile")
        .help(
            "if it stays so, run `gateway check`: it says whether Cliniko answers and takes the clinic's key",
        )
}

fn clinic_missing() -> Diagnostic {
    Diagnostic::error(
        Code::new("P101"),
        "the clinic of this report has not been added, so nobody can be matched",
    )
    .fact("held: the report is kept and mapped")
    .help("add the clinic with `gateway clinic add`, then match the case by hand")
}
