//! A rule's own cases: what is given, and whether the rule fires. They run through the real engine, on a real report.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::civil::date;
use serde::Deserialize;

use crate::clinical::interpret;
use crate::clinical::interpret::Context;
use crate::clinical::interpret::rules::Knowledge;
use crate::clinical::interpret::rules::analyte::Analyte;
use crate::clinical::interpret::rules::rule::Rule;
use crate::clinical::interpret::rules::run::ALSO_FIRED;
use crate::clinical::model::Code as ConceptCode;
use crate::clinical::model::Coding;
use crate::clinical::model::Comparator;
use crate::clinical::model::Finding;
use crate::clinical::model::Flag;
use crate::clinical::model::LabResult;
use crate::clinical::model::MessageOrigin;
use crate::clinical::model::Moment;
use crate::clinical::model::Note;
use crate::clinical::model::Number;
use crate::clinical::model::Panel;
use crate::clinical::model::Patient;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Sex;
use crate::clinical::model::System;
use crate::clinical::model::Unit;
use crate::clinical::model::Value;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

const CASE_FAILED: Code = Code::new("I012");
/// The age of a case that names none.
const AGE_YEARS: u32 = 45;
/// The day on which every case's specimen was taken.
const TAKEN_ON: Date = date(2026, 6, 15);
/// How long ago an earlier result of a case was, unless it says.
const EARLIER_DAYS: i64 = 90;

/// One case. What is not given is unknown; age is 45, pregnancy is ruled out, and every code is the analyte's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    given: BTreeMap<String, toml::Value>,
    pub(super) fires: bool,
    /// The urgency it fires at.
    #[serde(default)]
    urgency: Option<String>,
    /// It stays silent and is listed as not assessed.
    #[serde(default)]
    not_assessed: bool,
}

/// Runs the cases of one rule; one diagnostic for each that comes out otherwise.
pub(super) fn check(knowledge: &Knowledge, rule: &Rule) -> Vec<Diagnostic> {
    let problems = rule.cases.iter().zip(1..).filter_map(|(case, number)| {
        let outcome = check_one(knowledge, rule, case).err()?;
        let message = format!("case {number} of `{}` comes out otherwise: {outcome}", rule.id);
        Some(Diagnostic::error(CASE_FAILED, message).help("correct the rule or the case"))
    });
    problems.collect()
}

fn check_one(knowledge: &Knowledge, rule: &Rule, case: &Case) -> Result<(), String> {
    let setting = Setting::build(knowledge, &case.given)?;
    let request = interpret::request(&setting.report, setting.context());
    let answer = knowledge.interpret(&request);
    let is_it = |id: &str| id == rule.id || (rule.each && id.split('.').next() == Some(rule.id.as_str()));
    // A finding that another absorbed was made all the same.
    let absorbed = |line: &String| line.strip_prefix(ALSO_FIRED).is_some_and(is_it);
    let made = |finding: &&Finding| is_it(&finding.id) || finding.evidence.iter().any(absorbed);
    let finding = answer.findings.iter().find(made);
    if finding.is_some() != case.fires {
        let other: Vec<&str> = answer.findings.iter().map(|it| it.id.as_str()).collect();
        return Err(format!("fires = {}; fired: {}", finding.is_some(), other.join(", ")));
    }
    if let (Some(expected), Some(finding)) = (&case.urgency, finding)
        && finding.urgency.as_str() != expected
    {
        return Err(format!("its urgency is {}", finding.urgency.as_str()));
    }
    if case.not_assessed && !answer.not_assessed.iter().any(|it| it.subject == rule.id) {
        return Err("it is not listed as not assessed".to_owned());
    }
    Ok(())
}

/// The report and its surroundings that a case describes.
struct Setting {
    report: Report,
    earlier: Option<Vec<Report>>,
    pregnant: Option<bool>,
    fasting: Option<bool>,
    self_collected: Option<bool>,
    told: BTreeMap<String, bool>,
}

impl Setting {
    fn build(knowledge: &Knowledge, given: &BTreeMap<String, toml::Value>) -> Result<Self, String> {
        let mut setting = Self {
            report: report(TAKEN_ON),
            earlier: None,
            pregnant: Some(false),
            fasting: None,
            self_collected: None,
            told: BTreeMap::new(),
        };
        setting.born(Some(AGE_YEARS));
        // Values stand before their ranges and flags, because `x` sorts before `x.range`.
        for (name, value) in given {
            setting
                .give(knowledge, name, value)
                .ok_or_else(|| format!("`{name} = {value}` cannot be given"))?;
        }
        Ok(setting)
    }

    fn context(&self) -> Context<'_> {
        Context {
            pregnant: self.pregnant,
            fasting: self.fasting,
            self_collected: self.self_collected,
            earlier: self.earlier.as_deref(),
            told: self.told.clone(),
            settings: BTreeMap::new(),
        }
    }

    fn born(&mut self, age: Option<u32>) {
        let year = age.and_then(|age| i16::try_from(age).ok()).map(|age| TAKEN_ON.year() - age);
        self.report.patient.birth_date = year.map(|year| Sensitive::new(moment(&format!("{year}-01-01"))));
    }

    fn give(&mut self, knowledge: &Knowledge, name: &str, value: &toml::Value) -> Option<()> {
        let panel = self.report.panels.first_mut()?;
        match name.split('.').collect::<Vec<_>>().as_slice() {
            ["age"] => self.born(value.as_integer().and_then(|age| u32::try_from(age).ok())),
            ["sex"] => self.report.patient.sex = Some(Sex::from_word(value.as_str()?)?),
            ["pregnant"] => self.pregnant = value.as_bool(),
            ["told", question] => {
                self.told.insert((*question).to_owned(), value.as_bool()?);
            }
            ["specimen", "fasting"] => self.fasting = value.as_bool(),
            ["specimen", "self_collected"] => self.self_collected = value.as_bool(),
            ["specimen", "collected_hour"] => {
                panel.collected_at = Some(moment(&at_hour(TAKEN_ON, value.as_integer()?)));
            }
            ["specimen", "delay_hours"] => {
                panel.collected_at = Some(moment(&at_hour(TAKEN_ON, 0)));
                let hours = value.as_integer()?;
                let day = TAKEN_ON.checked_add((hours / 24).days()).ok()?;
                panel.received_at = Some(moment(&at_hour(day, hours % 24)));
            }
            ["specimen", "comment"] => panel.notes.push(note(value.as_str()?)),
            ["specimen", "haemolysed" | "icteric" | "lipaemic"] => {
                let said = if value.as_bool()? { "specimen" } else { "not" };
                panel.notes.push(note(&format!("{said} {}", name.split('.').nth(1)?)));
            }
            ["earlier"] => self.earlier = Some(Vec::new()),
            ["earlier", key] => self.give_earlier(knowledge.analyte(key)?, value)?,
            [key] => {
                let id = panel.results.len() + 1;
                panel.results.push(result(knowledge.analyte(key)?, id, value.as_str()?));
            }
            [key, "range"] => of_key(panel, key)?.range = Some(ReferenceRange::parse(value.as_str()?)),
            [key, "flag"] => {
                of_key(panel, key)?.flags.push(Flag { sent: value.as_str()?.to_owned(), text: None });
            }
            [key, "status"] => of_key(panel, key)?.status = ResultStatus::from_word(value.as_str()?)?,
            _ => return None,
        }
        Some(())
    }

    /// `"80 umol/L"`, or `"80 umol/L, 3 days"` before.
    fn give_earlier(&mut self, analyte: &Analyte, value: &toml::Value) -> Option<()> {
        let (sent, days) = match value.as_str()?.split_once(',') {
            Some((sent, days)) => (sent, days.trim().strip_suffix(" days")?.parse().ok()?),
            None => (value.as_str()?, EARLIER_DAYS),
        };
        let mut earlier = report(TAKEN_ON.checked_sub(days.days()).ok()?);
        earlier.panels.first_mut()?.results.push(result(analyte, 1, sent));
        self.earlier.get_or_insert_default().push(earlier);
        Some(())
    }
}

/// The result given before its range or flag; it is found by the sub-id that carries its key.
fn of_key<'a>(panel: &'a mut Panel, key: &str) -> Option<&'a mut LabResult> {
    panel.results.iter_mut().find(|result| result.sub_id.as_deref() == Some(key))
}

fn result(analyte: &Analyte, id: usize, given: &str) -> LabResult {
    let (sent, unit) = given.trim().split_once(' ').unwrap_or((given.trim(), ""));
    let (comparator, number) = Comparator::split(sent).map_or((None, sent), |(it, rest)| (Some(it), rest));
    let coding = analyte.loinc.first().map(|code| Coding {
        system: Some(System(System::LOINC.to_owned())),
        code: code.clone(),
        display: None,
        sent_system: None,
        version: None,
    });
    LabResult {
        id: ResultId(format!("OBX[{id}]")),
        code: ConceptCode { codings: coding.into_iter().collect(), text: Some(analyte.name.clone()) },
        sub_id: Some(analyte.key.clone()),
        value: match Number::parse(number) {
            Some(number) => Value::Quantity { sent: sent.to_owned(), comparator, number },
            None => Value::Text { text: sent.to_owned() },
        },
        unit: (!unit.is_empty()).then(|| Unit { sent: unit.to_owned(), ucum: None, factor: None }),
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

fn report(taken_on: Date) -> Report {
    Report {
        lab: "case".to_owned(),
        filler_number: String::new(),
        order_number: None,
        account: None,
        facility: None,
        status: ReportStatus::Final,
        patient: Patient::default(),
        panels: vec![Panel {
            id: "OBR[1]".to_owned(),
            code: ConceptCode::default(),
            status: ReportStatus::Final,
            collected_at: Some(moment(&taken_on.to_string())),
            received_at: None,
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
            control_id: String::new(),
            sender: String::new(),
            sent_at: None,
            mapping_digest: String::new(),
        },
    }
}

fn moment(iso: &str) -> Moment {
    Moment { sent: iso.to_owned(), iso: iso.to_owned() }
}

fn at_hour(day: Date, hour: i64) -> String {
    format!("{day}T{hour:02}:00:00+00:00")
}

fn note(text: &str) -> Note {
    Note { id: "NTE[1]".to_owned(), text: text.to_owned(), source: None }
}
