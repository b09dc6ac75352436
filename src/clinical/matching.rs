//! Which Cliniko patient a report belongs to: the decision table of the matching reference, and nothing else.
//!
//! Pure: it sees the report, the candidates a look-up found, and the clinic's settings, and it never guesses. A match
//! is automatic only on a strong identifier (an order number we issued, or a verified NHS number) with agreeing
//! demographics and no warning; any conflict is a quarantine with nobody pre-selected; everything between is a
//! person's decision. Nothing here quotes a patient: [`Evidence`] and diagnostics name fields.
//!
//! Start at [`decide`]. How two identities compare is in [`compare`]; the warnings are in [`warnings`].

pub mod compare;
mod warnings;

use jiff::civil::Date;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::matching::compare::Agreement;
use crate::clinical::matching::compare::Compared;
use crate::clinical::model::Patient;
use crate::clinical::model::Report;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Sex;
use crate::clinical::order::Order;
use crate::clinical::order::OrderNumber;
use crate::clinical::order::OrderState;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::cliniko;

/// What a look-up found for one report.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// Everyone who came up, each once; the same person found in two ways counts once.
    pub people: Vec<Candidate>,
    /// The order whose number the report carries, if this clinic issued it.
    pub order: Option<Order>,
    /// Open orders of the people above, for reports that carry no number.
    pub open_orders: Vec<Order>,
    /// How an earlier version of the same lineage was matched.
    pub earlier: Option<Earlier>,
}

/// One patient of the clinic, with the fields a match may rest on.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub cliniko_id: cliniko::Id,
    pub family: Sensitive<String>,
    pub given: Vec<Sensitive<String>>,
    pub preferred: Option<Sensitive<String>>,
    pub birth_date: Option<Sensitive<Date>>,
    /// Exactly `Female` or `Male` in Cliniko; any other text is [`Sex::Other`], blank is `None`.
    pub sex: Option<Sex>,
    pub postcode: Option<Sensitive<String>>,
    pub nhs_number: Option<NhsNumber>,
    pub archived: bool,
    pub merged: bool,
    pub deceased: bool,
    pub source: Source,
}

impl Candidate {
    /// The authorised fields of a Cliniko patient. `nhs_number` comes from the configured custom field.
    pub fn from_cliniko(
        patient: &cliniko::read::Patient,
        nhs_number: Option<NhsNumber>,
        source: Source,
    ) -> Self {
        let text = |field: &Option<String>| field.clone().map(Sensitive::new);
        Self {
            cliniko_id: patient.id.clone(),
            family: Sensitive::new(patient.last_name.clone().unwrap_or_default()),
            given: text(&patient.first_name).into_iter().collect(),
            preferred: text(&patient.preferred_first_name),
            birth_date: patient.date_of_birth.map(Sensitive::new),
            sex: patient.sex.as_deref().map(|sex| match sex {
                "Female" => Sex::Female,
                "Male" => Sex::Male,
                _ => Sex::Other,
            }),
            postcode: text(&patient.post_code),
            nhs_number,
            archived: patient.archived_at.is_some() || patient.deleted_at.is_some(),
            merged: patient.merged_at.is_some() || patient.merged_with_patient.is_some(),
            deceased: false,
            source,
        }
    }
}

/// An NHS number in the clinic's record.
#[derive(Debug, Clone)]
pub struct NhsNumber {
    pub value: Sensitive<String>,
    /// Read from the configured custom field, and confirmed once by a named user.
    pub verified: bool,
}

/// How a candidate came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An earlier version of the report was matched to them.
    Known,
    Order,
    Search,
}

/// The match of an earlier version of the same lineage, and the identity that version carried.
#[derive(Debug, Clone)]
pub struct Earlier {
    pub cliniko_id: cliniko::Id,
    pub order_number: Option<String>,
    pub sent: Patient,
}

/// What the clinic and the laboratory agreed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The laboratory's agreed profile says that names are withheld (pseudonymised kits).
    pub names_withheld: bool,
    /// The clinic opted in: name, birth date, postcode and an open order for these tests match without a person.
    pub automatic_by_demographics: bool,
    /// How long after an order a specimen may be collected and still be taken for it.
    pub order_window_days: u16,
    /// The ages the clinic's account may test, in whole years, both ends included.
    pub age_years: Option<(u8, u8)>,
    /// Lets the NHS's test range (9xx) match. Never in production.
    pub dangerous_test_nhs_numbers: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names_withheld: false,
            automatic_by_demographics: false,
            order_window_days: 90,
            age_years: None,
            dangerous_test_nhs_numbers: false,
        }
    }
}

/// The decision, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Match {
    Automatic {
        patient: cliniko::Id,
        rule: Rule,
        evidence: Evidence,
    },
    /// Nobody came up: the report waits under Unmatched, and its age is watched.
    None {
        diagnostics: Vec<Diagnostic>,
    },
    /// A conflict or several candidates: a person decides, and nobody is pre-selected.
    Quarantine {
        evidence: Evidence,
        diagnostics: Vec<Diagnostic>,
    },
    Review {
        suggested: Option<cliniko::Id>,
        evidence: Evidence,
        diagnostics: Vec<Diagnostic>,
    },
}

/// The row of the decision table that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Name, birth date, postcode and an open order for these tests; where the clinic opted in.
    Demographics,
    /// A person or a rule matched an earlier version that carried exactly this identity.
    Lineage,
    /// A verified NHS number, the birth date, and one of the names.
    NhsNumber,
    /// Our open order, the birth date and the surname.
    Order,
    /// Our open order and what was sent of birth date and sex, where the laboratory withholds names.
    OrderWithoutName,
}

/// How each field of the chosen candidate compared. Names of fields and words only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, Agreement)>,
    pub candidate_count: usize,
}

/// Decides by the first row that applies, strongest identifier first.
pub fn decide(report: &Report, candidates: &Candidates, settings: &Settings) -> Match {
    let seen: Vec<Seen<'_>> = candidates
        .people
        .iter()
        .map(|candidate| Seen::new(report, candidate, candidates, settings))
        .collect();
    let plausible: Vec<&Seen<'_>> = seen.iter().filter(|it| it.plausible()).collect();
    if plausible.is_empty() {
        return Match::None { diagnostics: vec![nobody(report, candidates)] };
    }
    let strong: Vec<&Seen<'_>> = plausible.iter().filter(|it| it.strong()).copied().collect();
    let chosen = match (strong.as_slice(), plausible.as_slice()) {
        ([only], _) | ([], [only]) => *only,
        ([], several) => return quarantine(several, vec![several_candidates(several.len())]),
        (several, _) => return quarantine(several, vec![conflict("two identifiers name two patients")]),
    };
    let conflicts = conflicts(report, candidates, chosen);
    if !conflicts.is_empty() {
        return quarantine(&[chosen], conflicts);
    }
    let warnings = warnings::of(report, candidates, settings, chosen, &plausible);
    let evidence = chosen.evidence(plausible.len());
    let suggested =
        (chosen.compared.given != Agreement::Differs).then(|| chosen.candidate.cliniko_id.clone());
    match automatic_rule(report, candidates, settings, chosen) {
        Some(rule) if warnings.is_empty() => {
            Match::Automatic { patient: chosen.candidate.cliniko_id.clone(), rule, evidence }
        }
        Some(_) => Match::Review { suggested, evidence, diagnostics: warnings },
        None => {
            let mut diagnostics = vec![not_enough()];
            diagnostics.extend(warnings);
            Match::Review { suggested, evidence, diagnostics }
        }
    }
}

/// A candidate with how it compares.
struct Seen<'a> {
    candidate: &'a Candidate,
    compared: Compared,
    /// The report carries the number of an order we issued to this patient.
    ordered: bool,
    /// An earlier version of the lineage was matched to this patient.
    known: bool,
}

impl<'a> Seen<'a> {
    fn new(report: &Report, candidate: &'a Candidate, candidates: &Candidates, settings: &Settings) -> Self {
        let order = candidates.order.as_ref();
        Self {
            candidate,
            compared: Compared::new(&report.patient, candidate, settings),
            ordered: order.is_some_and(|order| order.patient.cliniko_id == candidate.cliniko_id),
            known: candidates.earlier.as_ref().is_some_and(|it| it.cliniko_id == candidate.cliniko_id),
        }
    }

    /// One identifier that names this patient and nobody else. An NHS number counts here also when it is not
    /// verified: it cannot match, and it can contradict.
    fn strong(&self) -> bool {
        self.ordered || self.known || self.compared.nhs_number.agrees()
    }

    /// Whether anything at all speaks for this candidate.
    fn plausible(&self) -> bool {
        let it = &self.compared;
        let name = it.family.agrees() || it.family == Agreement::Transposed;
        let full_name = it.family == Agreement::Exact && it.given.agrees();
        self.strong()
            || it.birth_date.agrees() && (name || it.family == Agreement::Related)
            || full_name && matches!(it.birth_date, Agreement::Missing | Agreement::Transposed)
    }

    fn evidence(&self, candidate_count: usize) -> Evidence {
        let known = |it: bool| if it { Agreement::Exact } else { Agreement::Missing };
        let mut fields = vec![
            ("order_number".to_owned(), known(self.ordered)),
            ("earlier_version".to_owned(), known(self.known)),
        ];
        fields.extend(self.compared.fields().map(|(name, agreement)| (name.to_owned(), agreement)));
        Evidence { fields, candidate_count }
    }
}

/// The row of the table under which this candidate needs no person, if there is one.
fn automatic_rule(
    report: &Report,
    candidates: &Candidates,
    settings: &Settings,
    chosen: &Seen<'_>,
) -> Option<Rule> {
    let it = &chosen.compared;
    let name_sent = it.family != Agreement::Missing || it.given != Agreement::Missing;
    if chosen.known && candidates.earlier.as_ref().is_some_and(|earlier| same_identity(report, earlier)) {
        return Some(Rule::Lineage);
    }
    if chosen.ordered && it.birth_date == Agreement::Exact && it.family.agrees() {
        return Some(Rule::Order);
    }
    if it.nhs_number == Agreement::Exact
        && chosen.candidate.nhs_number.as_ref().is_some_and(|number| number.verified)
        && it.birth_date == Agreement::Exact
        && (it.family.agrees() || it.given.agrees())
    {
        return Some(Rule::NhsNumber);
    }
    if chosen.ordered
        && settings.names_withheld
        && !name_sent
        && (it.birth_date == Agreement::Exact || it.sex == Agreement::Exact)
    {
        return Some(Rule::OrderWithoutName);
    }
    let all_exact =
        [it.family, it.given, it.birth_date, it.postcode].iter().all(|it| *it == Agreement::Exact);
    let opted_in = settings.automatic_by_demographics && report.order_number.is_none();
    let ordered = || open_order(report, candidates, settings, &chosen.candidate.cliniko_id);
    (opted_in && all_exact && ordered()).then_some(Rule::Demographics)
}

/// Whether the patient has an open order for every panel of this report, within the window.
fn open_order(report: &Report, candidates: &Candidates, settings: &Settings, patient: &cliniko::Id) -> bool {
    candidates.open_orders.iter().any(|order| {
        order.patient.cliniko_id == *patient
            && order.state == OrderState::Open
            && warnings::all_ordered(report, order)
            && warnings::within_window(report, order, settings)
    })
}

/// Whether the report carries exactly the identity its earlier version carried.
fn same_identity(report: &Report, earlier: &Earlier) -> bool {
    let (now, then) = (&report.patient, &earlier.sent);
    !now.names.is_empty()
        && now.birth_date.is_some()
        && now.names == then.names
        && now.birth_date == then.birth_date
        && now.sex == then.sex
        && now.identifiers == then.identifiers
        && report.order_number == earlier.order_number
}

/// What contradicts the candidate; any one quarantines.
fn conflicts(report: &Report, candidates: &Candidates, chosen: &Seen<'_>) -> Vec<Diagnostic> {
    let it = &chosen.compared;
    let mut found = Vec::new();
    let mut field = |name: &str, agreement: Agreement| {
        if agreement == Agreement::Differs {
            found.push(conflict(&format!("the {name} differs from the patient's record")));
        }
    };
    field("birth date", it.birth_date);
    field("sex", it.sex);
    // Under a verified NHS number a new surname beside the same given name is what marriage looks like.
    if !(it.nhs_number == Agreement::Exact && it.given.agrees()) {
        field("surname", it.family);
    }
    field("NHS number", it.nhs_number);
    if let Some(order) = &candidates.order {
        let continues = order.answered_by(&report.lab, &report.filler_number);
        if order.patient.cliniko_id != chosen.candidate.cliniko_id {
            found.push(conflict("the order number names another patient"));
        }
        match order.state {
            OrderState::Cancelled => found.push(conflict("the order was cancelled")),
            OrderState::Resulted if !continues => found.push(conflict("the order already has its results")),
            OrderState::Open | OrderState::Resulted => {}
        }
    }
    if candidates.earlier.is_some() && !chosen.known {
        found.push(conflict("an earlier version of this report was matched to another patient"));
    }
    found
}

fn quarantine(of: &[&Seen<'_>], diagnostics: Vec<Diagnostic>) -> Match {
    let evidence = match of {
        [only] => only.evidence(1),
        several => Evidence { fields: Vec::new(), candidate_count: several.len() },
    };
    Match::Quarantine { evidence, diagnostics }
}

fn conflict(what: &str) -> Diagnostic {
    Diagnostic::error(Code::new("P003"), what)
        .fact("held: the report is in quarantine and no patient is suggested")
        .help("ask the laboratory whose specimen this is before matching it by hand")
}

fn several_candidates(count: usize) -> Diagnostic {
    Diagnostic::error(Code::new("P002"), format!("{count} patients fit this report equally well"))
        .fact("held: the report is in quarantine and no patient is suggested")
        .help("compare them side by side under Unmatched; merge duplicates in Cliniko first")
}

fn not_enough() -> Diagnostic {
    Diagnostic::error(
        Code::new("P004"),
        "the identifiers that agree are not enough to match without a person",
    )
    .help("confirm the patient under Unmatched; an order number on the request form avoids this")
}

fn nobody(report: &Report, candidates: &Candidates) -> Diagnostic {
    let number = report.order_number.as_deref().map(str::parse::<OrderNumber>);
    let why = match (&candidates.order, number) {
        (None, Some(Ok(_))) => "its order number was not issued by this clinic",
        (None, Some(Err(_))) => "its order number is not one of ours",
        _ => "it carries no order number",
    };
    Diagnostic::error(Code::new("P001"), "no patient of the clinic fits this report")
        .fact(why)
        .fact("held: the report waits under Unmatched")
        .help("match it by hand under Unmatched, or add the patient in Cliniko and search again")
}

#[cfg(test)]
mod tests;
