//! What could not be read, and what the mapping decided of it; and the look-ups of which every reader asks the same.
//!
//! A place is whatever the reader's format calls one: it is only ever shown.

use std::borrow::Cow;
use std::fmt::Display;

use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::ledger::Answer;
use crate::clinical::mapping::inbound::ledger::Asked;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::model::Code;
use crate::clinical::model::Coding;
use crate::clinical::model::IdentifierKind;
use crate::clinical::model::Moment;
use crate::clinical::model::Number;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::Sex;
use crate::clinical::model::System;
use crate::clinical::model::Unit;
use crate::clinical::model::Value;
use crate::clinical::terminology::Row;
use crate::clinical::terminology::coding_system;
use crate::clinical::terminology::loinc;
use crate::clinical::terminology::nhs_number;
use crate::clinical::terminology::ucum;
use crate::diagnostic::Code as DiagnosticCode;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::MissingRow;
use crate::diagnostic::RowKind;
use crate::diagnostic::Severity;

const DAY_LENGTH: usize = "2026-11-22".len();

/// A code or unit, and whether rules may speak of it.
pub(super) struct Read<T> {
    pub(super) value: T,
    pub(super) interpretable: bool,
}

pub(super) struct Gaps<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) rejected: bool,
    pub(super) asked: Vec<Asked>,
    /// The day the message was sent, where it says so: which rows of a table hold.
    pub(super) sent_on: Option<String>,
    /// Times without offset under a mapping without zone: the first, and how many.
    without_offset: Option<(String, usize)>,
}

impl<'a> Gaps<'a> {
    pub(super) const fn new(mapping: &'a Mapping) -> Self {
        Self {
            mapping,
            diagnostics: Vec::new(),
            rejected: false,
            asked: Vec::new(),
            sent_on: None,
            without_offset: None,
        }
    }

    pub(super) fn error(
        &mut self,
        code: DiagnosticCode,
        at: impl Display,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic::error(code, message).at(at.to_string()).help(help));
    }

    pub(super) fn warn(
        &mut self,
        code: DiagnosticCode,
        at: impl Display,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic::warning(code, message).at(at.to_string()).help(help));
    }

    /// Tells of a gap as the mapping decided: an error, a rejection, or a warning where it keeps.
    pub(super) fn decide(&mut self, decision: Decision, diagnostic: Diagnostic) {
        let mut diagnostic = diagnostic;
        match decision {
            Decision::Hold => diagnostic.facts.push("held: nothing was sent on".to_owned()),
            Decision::Reject => {
                self.rejected = true;
                diagnostic.facts.push("rejected: the mapping says so".to_owned());
            }
            Decision::Keep => {
                diagnostic.severity = Severity::Warning;
                // A field for a time has no room for anything else.
                let fate = if diagnostic.code == code::NOT_A_TIME {
                    "no time is read from it; the message keeps it"
                } else {
                    "kept as sent: shown, and not interpreted"
                };
                diagnostic.facts.push(fate.to_owned());
            }
        }
        self.diagnostics.push(diagnostic);
    }

    /// Tells of a rule that must find something and found nothing.
    pub(super) fn demand(&mut self, rule: &Rule, at: impl Display) {
        let message = format!("`{}` is required, and there is none", rule.name);
        let help = "ask the sender for it, or take `required` out of the rule";
        let diagnostic = Diagnostic::error(code::REQUIRED, message).spanning(rule.span.clone());
        self.decide(Decision::Hold, diagnostic.at(at.to_string()).help(help));
    }

    /// Tells of a report that says nothing, though its sender does not say that there is nothing to come or stand.
    pub(super) fn tell_of_an_empty_report(&mut self, report: &Report) {
        let explained = [ReportStatus::Registered, ReportStatus::Cancelled, ReportStatus::EnteredInError];
        let is_empty = report.attachments.is_empty() && report.results().next().is_none();
        if is_empty && !explained.contains(&report.status) {
            let at = report.panels.first().map_or("", |panel| panel.id.as_str());
            let help = "ask the sender where the results are";
            self.warn(code::NO_RESULTS, at, "the report has no result and no document", help);
        }
    }

    /// Tells of a result of which its sender says that it does not know how far it is.
    pub(super) fn status_not_known(&mut self, at: impl Display) {
        let message = "the status of the result is not known: it may be preliminary or withdrawn";
        let help =
            "ask the sender for it; the result is shown with that, and only critical limits are looked at";
        self.warn(code::STATUS_NOT_KNOWN, at, message, help);
    }

    /// Tells of a text that is not written as dates and times are here.
    pub(super) fn not_a_time(&mut self, decision: Decision, wanted: &str, at: impl Display) {
        let message = format!("not a date or time as `{wanted}` has it");
        let declared = if wanted.contains("DD/") { wanted } else { "DD/MM/YYYY" };
        let help =
            format!("ask the sender to write it so, or declare how it is written: `format = \"{declared}\"`");
        self.decide(decision, Diagnostic::error(code::NOT_A_TIME, message).at(at.to_string()).help(help));
    }

    /// Remembers when the message was sent, as far as it is certain to the day.
    pub(super) fn sent_at(&mut self, sent_at: Option<&Moment>) {
        let day = sent_at.and_then(|moment| moment.iso.get(..DAY_LENGTH));
        self.sent_on = day.map(str::to_owned);
    }

    /// The row of a rule's tables for what was sent, on the day the message was.
    pub(super) fn row<'r>(&self, rule: &'r Rule, sent: &str) -> Option<&'r Row> {
        let Lookup::Tables(tables) = &rule.lookup else { return None };
        let sent = rule.changed(sent);
        tables.iter().find_map(|(_, table)| table.find(&sent, self.sent_on.as_deref()))
    }

    /// A code that the mapping says and no field does.
    pub(super) fn constant_code(&mut self, rule: &Rule, code: &str, at: impl Display) -> Read<Code> {
        let coding = Coding {
            system: rule.system.clone().map(System),
            code: code.to_owned(),
            display: None,
            sent_system: None,
            version: None,
        };
        self.known_code(rule, Code { codings: vec![coding], text: None }, at)
    }

    /// Adds the table's coding in front of those sent, and says whether rules may speak of the code.
    pub(super) fn known_code(&mut self, rule: &Rule, mut code: Code, at: impl Display) -> Read<Code> {
        let known =
            code.codings.iter().filter_map(|coding| coding.system.as_ref()).any(coding_system::is_public);
        let interpretable = match (&rule.lookup, self.row(rule, as_sent(&code))) {
            (Lookup::Tables(_), Some(row)) => {
                let target = row.target.clone();
                let found = !target.is_empty();
                if found {
                    code.codings.retain(|coding| {
                        coding.code != target || coding.system.as_ref().is_none_or(|it| it.0 != System::LOINC)
                    });
                    code.codings.insert(0, loinc_coding(target, row.display.clone()));
                }
                found
            }
            (Lookup::Tables(_), None) => {
                self.no_row(rule, code::CODE_UNMAPPED, &at, RowKind::Code, as_sent(&code));
                false
            }
            // Without a table a code is known by the system its sender names.
            _ if !known && let Some(decision) = rule.unmapped => {
                let sent = as_sent(&code);
                self.asked.push(Asked { rule: rule.id, answer: Answer::Nothing(sent.to_owned()) });
                let message = format!("code `{sent}` is of no code system that has a public name");
                let help = match rule.field() {
                    Some(Field::PanelCode | Field::ResultCode) => format!(
                        "map it: `table = \"codes.csv\"` in `{}`, and a row `{sent},<LOINC>,<name>`",
                        rule.name
                    ),
                    // Codes of other things, such as specimens, are no LOINC codes.
                    _ => "nothing need be done: what was sent is shown".to_owned(),
                };
                self.gap(decision, rule, code::CODE_UNMAPPED, &at, message, help);
                false
            }
            _ => known,
        };
        let sound = self.check_loinc(&code, &at);
        Read { value: code, interpretable: interpretable && sound }
    }

    fn check_loinc(&mut self, code: &Code, at: impl Display) -> bool {
        let Some(sent) = code.in_system(System::LOINC).filter(|sent| !loinc::check_digit_holds(sent)) else {
            return true;
        };
        let message = format!("`{sent}` is no LOINC code: its check digit does not hold");
        let help = "the result is shown and not interpreted; ask the sender for the right code";
        self.warn(code::CODE_CHECK_DIGIT, at, message, help);
        false
    }

    /// A unit as sent, and in UCUM where a table has it or the sender says that it is UCUM.
    pub(super) fn known_unit(
        &mut self,
        rule: &Rule,
        sent: String,
        is_said_ucum: bool,
        at: impl Display,
    ) -> Read<Unit> {
        let row = self.row(rule, &sent);
        let factor = row.and_then(|row| row.factor.clone());
        let mut code = row.map(|row| row.target.clone());
        if code.is_none() && is_said_ucum {
            code = ucum::is_valid(&sent).then(|| sent.clone());
            if code.is_none() {
                self.not_ucum(&sent, &at);
            }
        }
        if code.is_none() {
            self.no_row(rule, code::UNIT_UNMAPPED, &at, RowKind::Unit, &sent);
        }
        let interpretable = code.is_some();
        Read { value: Unit { sent, ucum: code, factor }, interpretable }
    }

    /// Brings the numbers of a result into the UCUM unit of its unit, where a table says that the two differ. Whether
    /// that could be done exactly; the texts stay as sent.
    pub(super) fn in_ucum(
        &mut self,
        unit: Option<&Unit>,
        value: &mut Value,
        range: Option<&mut ReferenceRange>,
        at: impl Display,
    ) -> bool {
        let Some(factor) = unit.and_then(|unit| unit.factor.as_ref()) else { return true };
        let scale = |numbers: &mut [&mut Number]| -> bool {
            let scaled: Option<Vec<Number>> = numbers.iter().map(|it| it.times(factor)).collect();
            let is_exact = scaled.is_some();
            for (number, scaled) in numbers.iter_mut().zip(scaled.into_iter().flatten()) {
                **number = scaled;
            }
            is_exact
        };
        let is_exact = match value {
            Value::Quantity { number, .. } => scale(&mut [number]),
            Value::Range { low, high, .. } => scale(&mut [low, high]),
            Value::Ratio { .. } => false,
            Value::Absent { .. }
            | Value::Attachment { .. }
            | Value::Coded { .. }
            | Value::Moment { .. }
            | Value::Text { .. } => return true,
        };
        if is_exact {
            if let Some(range) = range {
                let times = |bound: &Option<Number>| bound.as_ref().and_then(|it| it.times(factor));
                let (low, high) = (times(&range.low), times(&range.high));
                let is_whole = low.is_some() == range.low.is_some() && high.is_some() == range.high.is_some();
                // A range of which one bound cannot be told is text, as it was sent.
                (range.low, range.high) = if is_whole { (low, high) } else { (None, None) };
            }
            return true;
        }
        let message = "the value cannot be brought into its UCUM unit exactly";
        let help = "look at the row's `factor`; the result is shown as sent, and not interpreted";
        self.warn(code::NOT_SCALED, at, message, help);
        false
    }

    pub(super) fn not_ucum(&mut self, sent: &str, at: impl Display) {
        let message = format!("unit `{sent}` is said to be UCUM and is not");
        self.warn(code::NOT_UCUM, at, message, "ask the sender for the UCUM unit");
    }

    /// Tells that a table has no row, with the row to paste.
    fn no_row(&mut self, rule: &Rule, code: DiagnosticCode, at: impl Display, kind: RowKind, sent: &str) {
        let Lookup::Tables(tables) = &rule.lookup else { return };
        let Some((file, table)) = tables.first() else { return };
        let looked_up = rule.changed(sent);
        let sent = looked_up.as_ref();
        self.asked.push(Asked { rule: rule.id, answer: Answer::Nothing(sent.to_owned()) });
        let dated = tables.iter().any(|(_, table)| table.has(sent));
        let near = match table.nearest(sent) {
            _ if dated => " that holds on the day of the message".to_owned(),
            Some(near) => format!(" (it has `{near}`)"),
            None => String::new(),
        };
        let (place, target) = match kind {
            RowKind::Code => ("LOINC mapping", "<LOINC>,<name>"),
            RowKind::Unit => ("UCUM mapping", "<UCUM>"),
        };
        let message = format!("{} `{sent}` has no {place}{near}", kind.as_str());
        let field = if sent.contains([',', '"']) {
            format!("\"{}\"", sent.replace('"', "\"\""))
        } else {
            sent.to_owned()
        };
        let mut help = format!("add `{field},{target}` to {file}, then run `gateway message replay ID`");
        if let Some(owner) = table.owner() {
            help = format!("{help}; {owner} answers for the table");
        }
        let decision = rule.unmapped.unwrap_or(Decision::Hold);
        let row = MissingRow { table: file.clone(), kind, sent: sent.to_owned() };
        let diagnostic = Diagnostic::error(code, message).at(at.to_string()).missing(row).help(help);
        self.told_of_gap(decision, rule, diagnostic);
    }

    pub(super) fn gap(
        &mut self,
        decision: Decision,
        rule: &Rule,
        code: DiagnosticCode,
        at: impl Display,
        message: String,
        help: String,
    ) {
        self.told_of_gap(decision, rule, Diagnostic::error(code, message).at(at.to_string()).help(help));
    }

    fn told_of_gap(&mut self, decision: Decision, rule: &Rule, mut diagnostic: Diagnostic) {
        // Where the mapping keeps, its line has nothing to correct, and a long report would repeat it for each result.
        if decision != Decision::Keep {
            diagnostic.span = Some(rule.lookup_span.clone().unwrap_or_else(|| rule.span.clone()));
        }
        self.decide(decision, diagnostic);
    }

    /// The mapping's word for one as sent; `None` where its map has none, which has been told.
    pub(super) fn mapped<'r>(
        &mut self,
        rule: &'r Rule,
        sent: &str,
        at: impl Display,
    ) -> Option<Cow<'r, str>> {
        let sent = rule.changed(sent);
        let Lookup::Map(entries) = &rule.lookup else { return Some(Cow::Owned(sent.into_owned())) };
        if let Some((entry, (_, word))) = entries.iter().enumerate().find(|(_, (from, _))| *from == sent) {
            self.asked.push(Asked { rule: rule.id, answer: Answer::Entry(entry) });
            return Some(Cow::Borrowed(word));
        }
        let message = format!("`{}` does not know `{sent}`", rule.name);
        let help =
            format!("add `\"{sent}\" = \"…\"` to the map in line {} of {}", rule.span.line, rule.span.file);
        self.asked.push(Asked { rule: rule.id, answer: Answer::Nothing(sent.into_owned()) });
        self.gap(rule.unmapped.unwrap_or(Decision::Hold), rule, code::UNKNOWN_STATUS, at, message, help);
        None
    }

    /// A sex where table 0001, the NHS codes or the mapping's own map know it.
    pub(super) fn known_sex(&mut self, rule: &Rule, sent: &str, at: impl Display) -> Option<Sex> {
        let changed = rule.changed(sent);
        let sex = match &rule.lookup {
            Lookup::Map(entries) => {
                let entry = entries.iter().position(|(from, _)| *from == changed);
                self.asked.extend(entry.map(|it| Asked { rule: rule.id, answer: Answer::Entry(it) }));
                entry.and_then(|it| entries.get(it)).and_then(|(_, word)| Sex::from_word(word))
            }
            _ => sex_of(&changed),
        };
        if sex.is_none() {
            self.asked.push(Asked { rule: rule.id, answer: Answer::Nothing(sent.to_owned()) });
            let message = format!("administrative sex `{sent}` is not in the table");
            let help = "the report is read without it; ranges by sex do not apply";
            let diagnostic = Diagnostic::warning(code::SEX_UNKNOWN, message).at(at.to_string()).help(help);
            match rule.unmapped {
                None | Some(Decision::Keep) => self.diagnostics.push(diagnostic),
                Some(decision) => {
                    let diagnostic = Diagnostic { severity: Severity::Error, ..diagnostic };
                    self.decide(decision, diagnostic);
                }
            }
        }
        sex
    }

    /// An NHS number, or what was sent as one and is none.
    pub(super) fn nhs_number(
        &mut self,
        rule: &Rule,
        sent: String,
        at: impl Display,
    ) -> (IdentifierKind, String) {
        let sent = rule.changed_owned(sent);
        if !rule.check_nhs_number {
            return (IdentifierKind::NhsNumber, sent);
        }
        let problem = match nhs_number::read(&sent) {
            nhs_number::Reading::Valid(digits) => return (IdentifierKind::NhsNumber, digits),
            nhs_number::Reading::WrongForm => "it has not ten digits",
            nhs_number::Reading::WrongCheckDigit => "its check digit does not hold",
            nhs_number::Reading::Placeholder => "one digit ten times is a placeholder",
        };
        let help = "ask the sender for the patient's number; the report is matched without it";
        self.warn(code::NOT_NHS_NUMBER, at, format!("not an NHS number: {problem}"), help);
        (IdentifierKind::NhsNumberInvalid, sent)
    }

    /// A local time in the mapping's zone, or its date where there is none or the hour is not one hour.
    pub(super) fn in_zone(&mut self, at: impl Display, local: &str, date: String) -> String {
        let Some(zone) = &self.mapping.time_zone else {
            match &mut self.without_offset {
                Some((_, count)) => *count += 1,
                none => *none = Some((at.to_string(), 1)),
            }
            return date;
        };
        let Ok(civil) = local.parse::<DateTime>() else { return date };
        let help = "ask the sender to add the offset (`+0100` or `+0000`) to the time";
        let (code, message) = match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                return format!("{local}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            }
            AmbiguousOffset::Fold { .. } => {
                (code::TIME_TWICE, "the clocks went back in this hour, so it happened twice")
            }
            AmbiguousOffset::Gap { .. } => {
                (code::TIME_NEVER, "the clocks went forward over this hour, so it never was")
            }
        };
        self.decide(Decision::Hold, Diagnostic::error(code, message).at(at.to_string()).help(help));
        date
    }

    /// Tells once of the times of which only the date is certain.
    pub(super) fn tell_times_without_offset(&mut self) {
        let Some((at, count)) = self.without_offset.take() else { return };
        let message = match count {
            1 => "a time has no offset, and the mapping no `time_zone`: only its date is certain".to_owned(),
            _ => format!(
                "{count} times have no offset, and the mapping no `time_zone`: only their dates are certain"
            ),
        };
        let help = "add `time_zone = \"Europe/London\"` to `[report]`, if that is where they were written";
        self.warn(code::NO_OFFSET, at, message, help);
    }
}

/// By what a table knows a code: the first coding, else the words.
fn as_sent(code: &Code) -> &str {
    let first = code.codings.first().map(|coding| coding.code.as_str());
    first.or(code.text.as_deref()).unwrap_or_default()
}

fn loinc_coding(code: String, display: Option<String>) -> Coding {
    Coding { system: Some(System(System::LOINC.to_owned())), code, display, sent_system: None, version: None }
}

/// HL7 table 0001 as v2-to-FHIR maps it, and the codes of the NHS data dictionary (`1`, `2`, `9`, `0`).
fn sex_of(sent: &str) -> Option<Sex> {
    Some(match sent.to_ascii_uppercase().as_str() {
        "F" | "FEMALE" | "2" => Sex::Female,
        "M" | "MALE" | "1" => Sex::Male,
        "A" | "O" | "OTHER" | "9" | "I" => Sex::Other,
        "U" | "N" | "UNKNOWN" | "0" => Sex::Unknown,
        _ => return None,
    })
}
