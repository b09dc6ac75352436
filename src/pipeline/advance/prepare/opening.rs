//! A report's case: opened once, taken up again when its patient could be looked for, superseded by a newer report.

use crate::audit;
use crate::clinical::interpret;
use crate::clinical::interpret::Context;
use crate::clinical::interpret::guard::Guarded;
use crate::clinical::interpret::guard::guard;
use crate::clinical::lineage::Reading;
use crate::clinical::lineage::Standing;
use crate::clinical::matching;
use crate::clinical::matching::Match;
use crate::clinical::model::Interpretation;
use crate::clinical::model::NotAssessed;
use crate::clinical::model::Report;
use crate::clinical::workflow;
use crate::clinical::workflow::Command;
use crate::clinical::workflow::Roles;
use crate::clinical::workflow::State;
use crate::clinical::workflow::Step;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::advance::prepare::candidates;
use crate::pipeline::advance::prepare::candidates::Found;
use crate::pipeline::advance::prepare::notices;
use crate::pipeline::advance::prepare::notices::ActedOn;
use crate::pipeline::advance::prepare::versions::Arrived;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::call;
use crate::pipeline::records::call::Phase;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::case::Edits;
use crate::pipeline::records::case::MatchedPatient;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::lineage as kept;
use crate::pipeline::records::report;
use crate::pipeline::review::changes;
use crate::store;
use crate::store::Change;

/// Earlier reports of a patient that an interpreter is shown.
const HISTORY_MAX: usize = 20;

/// Opens a case. Without a look-up it waits in `matching`, interpreted: a critical result is seen all the same.
pub(super) fn open(
    pipeline: &Pipeline,
    clinic: &str,
    arrived: Arrived,
    before: Vec<Stored>,
    found: Option<&Found>,
    change: &mut Change,
) -> Result<State, store::Error> {
    let now = pipeline.clock.now();
    let Arrived { key, versions, reading, is_late, conflicts_with, hold } = arrived;
    let report = &reading.report;
    let previous = previous(&before);
    let mut case = Case {
        id: CaseId(pipeline.clock.new_id()),
        clinic: clinic.to_owned(),
        lineage: report::lineage(report),
        version: before.last().map_or(1, |it| it.case.version + 1),
        report: key,
        versions,
        conflicts_with,
        report_sha256: report::content_sha256(report),
        previous: previous.map(|it| it.case.id),
        opened_at: now,
        patient: None,
        suggested_patient_id: None,
        interpretation: Some(interpreted(pipeline, clinic, &reading, previous, &before)?),
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
    if is_late {
        // A newer version stands already, and this one changes nothing of it.
        (state, case.holds) = (State::Superseded, Vec::new());
    } else if let Some(hold) = hold {
        // What stood before stands until a person has decided.
        state = State::Held(Step::Matching);
        case.suggested_patient_id = case.patient.take().map(|it| it.cliniko_id).or(case.suggested_patient_id);
        case.holds.insert(0, hold);
    } else if reading.standing == Standing::Withdrawn && !reached_cliniko(pipeline, &before)? {
        // Nothing was filed, so there is nothing to file.
        (state, case.holds) = (State::Withdrawn, Vec::new());
        end(pipeline, before, &case, Command::Withdraw, change);
    } else {
        end(pipeline, before, &case, Command::Supersede, change);
    }
    if state == State::InReview {
        candidates::answer_order(&pipeline.store, clinic, report, change)?;
    }
    let urgency = case.interpretation.as_ref().and_then(Interpretation::urgency);
    let knowledge = case.interpretation.as_ref().map(|it| it.digest.clone());
    let standing = case::Standing { clinic: clinic.to_owned(), state, urgency, revision: 0, seen: false };
    tracing::info!(case.id = %case.id, message.id = %key.message, state = state.as_str(), "opened a case");
    change.audit(
        audit::Entry::new(now, "gateway", "case.opened", case.id.to_string())
            .of_clinic(clinic)
            .with("report", key.to_string())
            .with("report_sha256", case.report_sha256.clone())
            .with("version", case.version)
            .with("reads", reading.standing.as_str())
            .with("state", state.as_str())
            .with("knowledge", knowledge),
    );
    Stored { case, standing }.insert(change);
    Ok(state)
}

/// The case a reader of the new one knows: the newest that was approved, else the newest that stood until now.
fn previous(before: &[Stored]) -> Option<&Stored> {
    let stood = |it: &&Stored| it.standing.state != State::Superseded && it.case.conflicts_with.is_none();
    let newest = || before.iter().rfind(stood).or(before.last());
    before.iter().rfind(|it| it.case.approval.is_some()).or_else(newest)
}

/// What the interpreters say of the reading, and what the versions themselves say.
fn interpreted(
    pipeline: &Pipeline,
    clinic: &str,
    reading: &Reading,
    previous: Option<&Stored>,
    before: &[Stored],
) -> Result<Interpretation, store::Error> {
    let mut interpretation = interpretation(pipeline, clinic, &reading.report)?;
    let changes = match previous {
        Some(previous) => {
            let old = kept::reading(&pipeline.store, &previous.case)?;
            let read = |it| changes::Read { report: it, interpretation: None };
            changes::between(
                changes::Read { interpretation: previous.case.interpretation.as_ref(), ..read(&old.report) },
                changes::Read { interpretation: Some(&interpretation), ..read(&reading.report) },
            )
        }
        None => Vec::new(),
    };
    let acted = before.iter().map(|it| match (&it.case.approval, &it.case.seen) {
        (Some(_), _) => ActedOn::Approved,
        (None, Some(_)) => ActedOn::Seen,
        (None, None) => ActedOn::Nobody,
    });
    let acted = acted.max().unwrap_or(ActedOn::Nobody);
    interpretation.findings.extend(notices::findings(reading, &changes, acted));
    interpretation.findings.sort_by_key(|finding| std::cmp::Reverse(finding.urgency));
    Ok(interpretation)
}

/// Whether something of these cases is in Cliniko, or may be.
fn reached_cliniko(pipeline: &Pipeline, cases: &[Stored]) -> Result<bool, store::Error> {
    for stored in cases {
        let calls = call::of_case(&pipeline.store, &stored.case.clinic, stored.case.id)?;
        if calls.iter().any(|it| !matches!(it.phase, Phase::Planned)) {
            return Ok(true);
        }
    }
    Ok(false)
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
pub(in crate::pipeline) fn end(
    pipeline: &Pipeline,
    before: Vec<Stored>,
    newer: &Case,
    command: Command,
    change: &mut Change,
) {
    let act = if command == Command::Withdraw { "case.withdrawn" } else { "case.superseded" };
    for mut old in before {
        let standing = old.standing.clone();
        let Ok(event) = workflow::decide(standing.state, command, Roles::gateway()) else { continue };
        old.standing.state = workflow::apply(standing.state, event);
        change.audit(
            audit::Entry::new(pipeline.clock.now(), "gateway", act, old.case.id.to_string())
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
    let mappings = pipeline.mappings.now();
    let knowledge = &mappings.knowledge;
    let rules = knowledge.interpret(&request);
    let Guarded { mut interpretation, dropped } = guard(knowledge, &request, &rules, rules.clone());
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
