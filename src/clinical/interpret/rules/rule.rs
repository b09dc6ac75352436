//! One rule: its file form, checked into typed conditions and wording. A rule without source or cases does not load.

use std::ops::Range;

use rust_decimal::Decimal;
use serde::Deserialize;
use toml::Spanned;

use crate::clinical::interpret::guard;
use crate::clinical::interpret::rules::case::Case;
use crate::clinical::interpret::rules::condition::Condition;
use crate::clinical::interpret::rules::phrase::Audience;
use crate::clinical::interpret::rules::phrase::Forbidden;
use crate::clinical::interpret::rules::source::Source;
use crate::clinical::interpret::rules::template::Template;
use crate::clinical::model::Urgency;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

const FORBIDDEN: Code = Code::new("I011");
const TWICE: Code = Code::new("I013");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the file's form, and they are independent"
)]
struct RawRule {
    id: String,
    /// The row of the clinical draft this implements, such as `H1`.
    #[serde(rename = "ref")]
    reference: String,
    when: Spanned<Vec<toml::Value>>,
    #[serde(default)]
    each: bool,
    #[serde(default)]
    any_age: bool,
    #[serde(default)]
    preliminary: bool,
    #[serde(default)]
    pregnancy_matters: bool,
    urgency: Option<String>,
    clinician: Option<Spanned<String>>,
    patient: Option<Spanned<String>>,
    follow_up: Option<Spanned<String>>,
    source: Option<String>,
    certainty: Option<String>,
    review: Option<String>,
    #[serde(default)]
    absorbs: Vec<String>,
    #[serde(default)]
    band: Vec<RawBand>,
    #[serde(default)]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBand {
    when: Spanned<Vec<toml::Value>>,
    urgency: String,
    clinician: Option<Spanned<String>>,
    patient: Option<Spanned<String>>,
    follow_up: Option<Spanned<String>>,
}

/// A rule that can run.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the file's form, and they are independent"
)]
pub(super) struct Rule {
    pub(super) id: String,
    /// It looks at every measurement by itself.
    pub(super) each: bool,
    /// It holds for children, and where the age is unknown.
    pub(super) any_age: bool,
    /// It looks at preliminary results too.
    pub(super) preliminary: bool,
    pub(super) pregnancy_matters: bool,
    pub(super) when: Vec<Condition>,
    /// What it says; a rule without bands has one that always holds.
    pub(super) bands: Vec<Band>,
    pub(super) absorbs: Vec<String>,
    /// The source, how certain it is, and until when it may be relied on.
    pub(super) source: String,
    pub(super) standing: String,
    pub(super) cases: Vec<Case>,
    /// Every number its conditions and wording hold.
    pub(super) numbers: Vec<Decimal>,
}

/// One urgency of a rule, and what is said at it.
#[derive(Debug)]
pub(super) struct Band {
    pub(super) when: Vec<Condition>,
    pub(super) urgency: Urgency,
    pub(super) clinician: Template,
    pub(super) patient: Template,
    pub(super) follow_up: Option<Template>,
}

/// What reading a rule needs to know.
pub(super) struct Reader<'a> {
    pub(super) source: Source<'a>,
    pub(super) knows: &'a dyn Fn(&str) -> bool,
    pub(super) forbidden: &'a Forbidden,
}

/// Reads one file of rules.
pub(super) fn read(reader: &Reader<'_>, problems: &mut Vec<Diagnostic>) -> Vec<Rule> {
    let Some(file) = reader.source.parse::<RawFile>(problems) else { return Vec::new() };
    file.rule.into_iter().map(|raw| reader.rule(raw, problems)).collect()
}

/// Ids are never used twice, and what a rule absorbs exists.
pub(super) fn check_ids(rules: &[Rule], problems: &mut Vec<Diagnostic>) {
    for (i, rule) in rules.iter().enumerate() {
        if rules.iter().take(i).any(|other| other.id == rule.id) {
            let message = format!("the rule `{}` is written twice", rule.id);
            problems.push(Diagnostic::error(TWICE, message).help("give one of them another id"));
        }
        for absorbed in rule.absorbs.iter().filter(|id| !rules.iter().any(|other| other.id == **id)) {
            let message = format!("`{}` absorbs `{absorbed}`, and no rule is called so", rule.id);
            problems.push(Diagnostic::error(TWICE, message).help("correct the id in `absorbs`"));
        }
        if absorbs_itself(rules, rule) {
            let message = format!("`{}` absorbs itself, by way of others", rule.id);
            problems.push(Diagnostic::error(TWICE, message).help("let only one of them absorb the other"));
        }
    }
}

/// Whether following `absorbs` from a rule leads back to it; then both findings would vanish.
fn absorbs_itself(rules: &[Rule], rule: &Rule) -> bool {
    let mut reached: Vec<&str> = rule.absorbs.iter().map(String::as_str).collect();
    let mut at = 0;
    while let Some(id) = reached.get(at).copied() {
        let next = rules.iter().filter(|it| it.id == id).flat_map(|it| &it.absorbs).map(String::as_str);
        let new: Vec<&str> = next.filter(|id| !reached.contains(id)).collect();
        reached.extend(new);
        at += 1;
    }
    reached.contains(&rule.id.as_str())
}

impl Reader<'_> {
    fn rule(&self, raw: RawRule, problems: &mut Vec<Diagnostic>) -> Rule {
        self.check_complete(&raw, problems);
        let mut numbers = Vec::new();
        let when = self.conditions(&raw.when, problems);
        for condition in &when {
            condition.numbers(&mut numbers);
        }
        let wording = Wording { clinician: raw.clinician, patient: raw.patient, follow_up: raw.follow_up };
        let mut bands = Vec::new();
        if raw.band.is_empty() {
            let urgency = self.urgency(&raw.id, raw.urgency.as_deref().unwrap_or_default(), problems);
            bands.push(self.band(Vec::new(), urgency, &wording, &mut numbers, problems));
        }
        for band in raw.band {
            let urgency = self.urgency(&raw.id, &band.urgency, problems);
            let when = self.conditions(&band.when, problems);
            let own = Wording {
                clinician: band.clinician.or_else(|| wording.clinician.clone()),
                patient: band.patient.or_else(|| wording.patient.clone()),
                follow_up: band.follow_up.or_else(|| wording.follow_up.clone()),
            };
            bands.push(self.band(when, urgency, &own, &mut numbers, problems));
        }
        let certainty = raw.certainty.unwrap_or_default();
        Rule {
            standing: format!(
                "rule {}, {certainty}, review due {}",
                raw.reference,
                raw.review.unwrap_or_default()
            ),
            id: raw.id,
            each: raw.each,
            any_age: raw.any_age,
            preliminary: raw.preliminary,
            pregnancy_matters: raw.pregnancy_matters,
            when,
            bands,
            absorbs: raw.absorbs,
            source: raw.source.unwrap_or_default(),
            cases: raw.cases,
            numbers,
        }
    }

    fn check_complete(&self, raw: &RawRule, problems: &mut Vec<Diagnostic>) {
        let empty = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
        let unsaid = |text: &Option<Spanned<String>>| text.is_none();
        let every_band = |says: fn(&RawBand) -> bool| !raw.band.is_empty() && raw.band.iter().all(says);
        let certainty = raw.certainty.as_deref().unwrap_or_default();
        let lacks = [
            (empty(&raw.source), "it has no source"),
            (
                !matches!(certainty, "sourced" | "domain" | "product"),
                "its certainty is none of sourced, domain, product",
            ),
            (empty(&raw.review), "it has no review date"),
            (empty(&raw.urgency) && raw.band.is_empty(), "it has no urgency"),
            (
                unsaid(&raw.clinician) && !every_band(|band| band.clinician.is_some()),
                "it says nothing to the clinician",
            ),
            (
                unsaid(&raw.patient) && !every_band(|band| band.patient.is_some()),
                "it says nothing to the patient",
            ),
            (raw.when.get_ref().is_empty() && raw.band.is_empty(), "it has no condition"),
            (!raw.cases.iter().any(|case| case.fires), "it has no case that fires"),
            (raw.cases.iter().all(|case| case.fires), "it has no case that stays silent"),
        ];
        for (_, what) in lacks.iter().filter(|(lacking, _)| *lacking) {
            problems.push(self.source.incomplete(&raw.id, what));
        }
    }

    fn urgency(&self, id: &str, word: &str, problems: &mut Vec<Diagnostic>) -> Urgency {
        Urgency::from_word(word).unwrap_or_else(|| {
            if !word.is_empty() {
                problems.push(self.source.incomplete(id, "its urgency is none of the five words"));
            }
            Urgency::Emergency
        })
    }

    fn band(
        &self,
        when: Vec<Condition>,
        urgency: Urgency,
        wording: &Wording,
        numbers: &mut Vec<Decimal>,
        problems: &mut Vec<Diagnostic>,
    ) -> Band {
        for condition in &when {
            condition.numbers(numbers);
        }
        let mut template = |text: &Option<Spanned<String>>, audience| {
            let text = text.as_ref()?;
            numbers.extend(guard::numbers(text.get_ref()));
            self.template(text, audience, problems)
        };
        Band {
            clinician: template(&wording.clinician, Audience::Clinician).unwrap_or_default(),
            patient: template(&wording.patient, Audience::Patient).unwrap_or_default(),
            follow_up: template(&wording.follow_up, Audience::Clinician),
            when,
            urgency,
        }
    }

    fn template(
        &self,
        text: &Spanned<String>,
        audience: Audience,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Template> {
        if let Some(phrase) = self.forbidden.find(text.get_ref(), audience) {
            let message = format!("the wording says `{}`, which software must not say", phrase.trim());
            let span = self.source.span(&text.span(), "said here");
            problems.push(
                Diagnostic::error(FORBIDDEN, message)
                    .spanning(span)
                    .help("see forbidden.toml for why; reword it"),
            );
        }
        let template = Template::parse(text.get_ref(), self.knows);
        template
            .map_err(|reason| problems.push(self.source.unreadable(&text.span(), text.get_ref(), &reason)))
            .ok()
    }

    fn conditions(&self, when: &Spanned<Vec<toml::Value>>, problems: &mut Vec<Diagnostic>) -> Vec<Condition> {
        when.get_ref().iter().filter_map(|value| self.condition(value, &when.span(), problems)).collect()
    }

    /// A text; or a table with one of `all`, `any`, `not`.
    fn condition(
        &self,
        value: &toml::Value,
        area: &Range<usize>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Condition> {
        if let Some(text) = value.as_str() {
            return self.source.condition(text, area, self.knows, problems);
        }
        let entry = value.as_table().filter(|table| table.len() == 1).and_then(|table| table.iter().next());
        let mut parts = |inner: &toml::Value| -> Option<Vec<Condition>> {
            Some(inner.as_array()?.iter().filter_map(|part| self.condition(part, area, problems)).collect())
        };
        let combined = match entry {
            Some((name, inner)) if name == "all" => parts(inner).map(Condition::All),
            Some((name, inner)) if name == "any" => parts(inner).map(Condition::Any),
            Some((name, inner)) if name == "not" => {
                parts(inner).map(|all| Condition::Not(Box::new(Condition::All(all))))
            }
            _ => None,
        };
        if combined.is_none() {
            let reason = "neither a text nor a table with `all`, `any` or `not` and a list";
            problems.push(self.source.unreadable(area, &value.to_string(), reason));
        }
        combined
    }
}

/// What is said, before its slots are read.
struct Wording {
    clinician: Option<Spanned<String>>,
    patient: Option<Spanned<String>>,
    follow_up: Option<Spanned<String>>,
}
