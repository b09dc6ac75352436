//! Runs the rules on one scene: gates, conditions, bands, absorption, order.

use crate::clinical::interpret::Request;
use crate::clinical::interpret::rules;
use crate::clinical::interpret::rules::Knowledge;
use crate::clinical::interpret::rules::evaluate;
use crate::clinical::interpret::rules::evaluate::Trace;
use crate::clinical::interpret::rules::evaluate::View;
use crate::clinical::interpret::rules::interval::Truth;
use crate::clinical::interpret::rules::range::ADULT_YEARS;
use crate::clinical::interpret::rules::rule::Band;
use crate::clinical::interpret::rules::rule::Rule;
use crate::clinical::interpret::rules::scene;
use crate::clinical::interpret::rules::scene::Measurement;
use crate::clinical::interpret::rules::scene::Scene;
use crate::clinical::model::Finding;
use crate::clinical::model::Interpretation;
use crate::clinical::model::NotAssessed;
use crate::clinical::model::RangeFlag;
use crate::clinical::model::ResultId;
use crate::clinical::model::Sex;
use crate::clinical::model::Urgency;

/// The last year of age in which a pregnancy that nobody has ruled out stops the rules that it matters to.
const CHILDBEARING_YEARS_MAX: u32 = 55;

/// Begins the line of evidence that names an absorbed finding.
pub(super) const ALSO_FIRED: &str = "also fired: ";

/// A finding that may yet be absorbed by another.
struct Draft<'k> {
    rule: &'k Rule,
    /// Where the rule stands among all; keeps the order stable.
    order: usize,
    finding: Finding,
}

/// What one rule had to say.
enum Outcome {
    Fired(Finding),
    NotAssessed(NotAssessed),
    Silent,
}

pub(super) fn interpret(knowledge: &Knowledge, request: &Request<'_>) -> Interpretation {
    let scene = Scene::of(knowledge, request);
    let mut drafts = Vec::new();
    let mut not_assessed = unread(&scene);
    let is_adult = request.age_years.is_some_and(|age| age >= ADULT_YEARS);
    if !is_adult && !scene.measurements.is_empty() {
        not_assessed.push(not_adult(&scene));
    }
    for (order, rule) in knowledge.rules.iter().enumerate().filter(|(_, rule)| is_adult || rule.any_age) {
        let looks: Vec<Option<&Measurement<'_>>> = if rule.each {
            scene.measurements.iter().filter(|it| rule.preliminary || !it.preliminary).map(Some).collect()
        } else {
            vec![None]
        };
        for each in looks {
            match run(rule, View { scene: &scene, each }) {
                Outcome::Fired(finding) => drafts.push(Draft { rule, order, finding }),
                Outcome::NotAssessed(it) => not_assessed.push(it),
                Outcome::Silent => {}
            }
        }
    }
    let mut drafts = absorb(drafts);
    drafts.sort_by(|a, b| {
        let key = |draft: &Draft<'_>| {
            (std::cmp::Reverse(draft.finding.urgency), draft.order, draft.finding.id.clone())
        };
        key(a).cmp(&key(b))
    });
    let mut findings: Vec<Finding> = drafts.into_iter().map(|draft| draft.finding).collect();
    keep_each_follow_up_once(&mut findings);
    Interpretation {
        interpreter: rules::ID.to_owned(),
        version: rules::VERSION.to_owned(),
        digest: knowledge.digest.clone(),
        findings,
        not_assessed,
        range_flags: range_flags(&scene),
    }
}

fn run(rule: &Rule, view: View<'_, '_>) -> Outcome {
    let mut trace = Trace::default();
    let held = view.all(&rule.when, &mut trace);
    if held == Truth::False {
        return Outcome::Silent;
    }
    let mut best: Option<(&Band, Trace<'_>)> = None;
    let mut unknown = held == Truth::Unknown;
    for band in &rule.bands {
        let mut own = Trace::default();
        match view.all(&band.when, &mut own) {
            Truth::True if best.as_ref().is_none_or(|(so_far, _)| so_far.urgency < band.urgency) => {
                best = Some((band, own));
            }
            Truth::True | Truth::False => {}
            Truth::Unknown => {
                unknown = true;
                trace.about.extend(own.about);
                trace.missing.extend(own.missing);
            }
        }
    }
    match best {
        Some((band, own)) if held == Truth::True => {
            trace.absorb(own);
            fire(rule, band, view, trace)
        }
        None if held == Truth::True && !unknown => Outcome::Silent,
        _ => silence_with_reason(rule, &trace),
    }
}

/// A rule that lacks something is listed only where it looked at a result at all.
fn silence_with_reason(rule: &Rule, trace: &Trace<'_>) -> Outcome {
    if trace.about.is_empty() {
        return Outcome::Silent;
    }
    let missing: Vec<&str> = trace.missing.iter().map(String::as_str).collect();
    Outcome::NotAssessed(NotAssessed {
        subject: rule.id.clone(),
        about: evaluate::ordered(&trace.about),
        reason: format!("not known: {}", missing.join(", ")),
    })
}

fn fire<'a>(rule: &Rule, band: &Band, view: View<'_, 'a>, mut trace: Trace<'a>) -> Outcome {
    if rule.pregnancy_matters
        && let Some(reason) = pregnancy_unclear(view.scene.request)
    {
        let about = evaluate::ordered(&trace.about);
        return Outcome::NotAssessed(NotAssessed {
            subject: rule.id.clone(),
            about,
            reason: reason.to_owned(),
        });
    }
    let clinician_text = band.clinician.render(view, &mut trace);
    let patient_text = band.patient.render(view, &mut trace);
    let follow_up = band.follow_up.as_ref().map(|template| template.render(view, &mut trace));
    let mut evidence = trace.evidence();
    evidence.push(rule.standing.clone());
    let about = evaluate::ordered(&trace.about);
    Outcome::Fired(Finding {
        id: view.each.map_or_else(|| rule.id.clone(), |each| format!("{}.{}", rule.id, each.analyte.key)),
        urgency: band.urgency,
        // A rule about the report as a whole, such as its delay, rests on all that was measured.
        about: if about.is_empty() { everything(view.scene) } else { about },
        clinician_text,
        patient_text,
        follow_up,
        evidence,
        source: Some(rule.source.clone()),
    })
}

fn pregnancy_unclear(request: &Request<'_>) -> Option<&'static str> {
    let may_be =
        request.sex != Some(Sex::Male) && request.age_years.is_none_or(|age| age <= CHILDBEARING_YEARS_MAX);
    match request.pregnant {
        _ if !may_be => None,
        Some(false) => None,
        Some(true) => Some("needs clinician interpretation: the patient is pregnant"),
        None => Some("needs clinician interpretation: pregnancy is not known"),
    }
}

/// Merges what one rule says into another that says more. A more urgent finding is never absorbed.
fn absorb(drafts: Vec<Draft<'_>>) -> Vec<Draft<'_>> {
    let swallows = |by: &Draft<'_>, it: &Draft<'_>| {
        by.rule.absorbs.contains(&it.rule.id)
            && it.finding.urgency <= by.finding.urgency
            // What one value set off is absorbed only by a finding about that value.
            && (!it.rule.each || it.finding.about.iter().all(|id| by.finding.about.contains(id)))
    };
    let by: Vec<Option<usize>> =
        drafts.iter().map(|it| drafts.iter().position(|by| swallows(by, it))).collect();
    // What absorbed one may be absorbed in turn; the last of the chain speaks for all.
    let last = |from: usize| {
        let mut at = from;
        for _ in 0..by.len() {
            let Some(next) = by.get(at).copied().flatten() else { break };
            at = next;
        }
        at
    };
    let absorbed_by: Vec<Option<usize>> =
        (0..by.len()).map(|at| Some(last(at)).filter(|last| *last != at)).collect();
    let merged: Vec<(usize, Vec<ResultId>, Vec<String>)> = drafts
        .iter()
        .zip(&absorbed_by)
        .filter_map(|(it, by)| Some(((*by)?, it.finding.about.clone(), also_fired(&it.finding))))
        .collect();
    let mut drafts: Vec<Draft<'_>> = drafts;
    for (by, about, evidence) in merged {
        if let Some(draft) = drafts.get_mut(by) {
            draft.finding.about.extend(about);
            draft.finding.evidence.extend(evidence);
            draft.finding.about.sort_by(|a, b| scene::place(a).cmp(&scene::place(b)));
            draft.finding.about.dedup();
        }
    }
    drafts.into_iter().zip(absorbed_by).filter(|(_, by)| by.is_none()).map(|(draft, _)| draft).collect()
}

/// What remains of an absorbed finding: that it was made, and what it rested on.
fn also_fired(finding: &Finding) -> Vec<String> {
    let made = format!("{ALSO_FIRED}{}", finding.id);
    std::iter::once(made).chain(finding.evidence.iter().cloned()).collect()
}

/// The same thing to do is written once, under the most urgent finding that asks for it.
fn keep_each_follow_up_once(findings: &mut [Finding]) {
    let mut seen = std::collections::BTreeSet::new();
    for finding in findings {
        finding.follow_up = finding.follow_up.take().filter(|it| !it.is_empty() && seen.insert(it.clone()));
    }
}

fn unread(scene: &Scene<'_>) -> Vec<NotAssessed> {
    let unread = scene.unread.iter().map(|it| (it.id, it.reason));
    let preliminary = scene.measurements.iter().filter(|it| it.preliminary);
    let preliminary = preliminary.map(|it| {
        let reason = if it.status_unknown {
            "its status is not known: only critical limits were looked at"
        } else {
            "it is preliminary: only critical limits were looked at"
        };
        (it.id, reason)
    });
    let mut all: Vec<(&ResultId, &str)> = unread.chain(preliminary).collect();
    all.sort_by(|a, b| scene::place(a.0).cmp(&scene::place(b.0)));
    all.into_iter()
        .map(|(id, reason)| NotAssessed {
            subject: id.0.clone(),
            about: vec![id.clone()],
            reason: reason.to_owned(),
        })
        .collect()
}

fn not_adult(scene: &Scene<'_>) -> NotAssessed {
    let reason = match scene.request.age_years {
        Some(_) => "the patient is under 18: only critical limits were looked at",
        None => "the age at collection is unknown: only critical limits were looked at",
    };
    NotAssessed { subject: rules::ID.to_owned(), about: everything(scene), reason: reason.to_owned() }
}

fn everything(scene: &Scene<'_>) -> Vec<ResultId> {
    evaluate::ordered(&scene.measurements.iter().map(|measurement| measurement.id).collect())
}

/// One flag a result, in the report's order; none where neither the laboratory nor we have a range.
fn range_flags(scene: &Scene<'_>) -> Vec<(ResultId, RangeFlag)> {
    let flag_of = |id: &ResultId| {
        if scene.unread.iter().any(|it| it.id == id) {
            return Some(RangeFlag::NotInterpreted);
        }
        let measurement = scene.measurements.iter().find(|it| it.id == id)?;
        if measurement.preliminary { Some(RangeFlag::NotInterpreted) } else { measurement.flag }
    };
    scene.request.results.iter().filter_map(|result| Some((result.id.clone(), flag_of(result.id)?))).collect()
}

/// The most urgent of the findings that speak of any of `about`.
pub(in crate::clinical::interpret) fn urgency_of(
    interpretation: &Interpretation,
    about: &[ResultId],
) -> Option<Urgency> {
    let speaks = |finding: &&Finding| finding.about.iter().any(|id| about.contains(id));
    interpretation.findings.iter().filter(speaks).map(|finding| finding.urgency).max()
}
