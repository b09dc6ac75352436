//! Coded fields: through the mapping's tables, with its decision for every gap.

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::composite::code_of;
use crate::clinical::mapping::inbound::composite::part;
use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::model::Code;
use crate::clinical::model::Coding;
use crate::clinical::model::Flag;
use crate::clinical::model::Sex;
use crate::clinical::model::System;
use crate::clinical::model::Unit;
use crate::clinical::terminology::Row;
use crate::clinical::terminology::loinc;
use crate::clinical::terminology::ucum;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::formats::hl7v2::Location;

/// A code or unit, and whether rules may speak of it.
pub(super) struct Read<T> {
    pub(super) value: T,
    pub(super) interpretable: bool,
}

/// What a map or status rule found.
pub(super) enum Word {
    Absent(Location),
    Found(String),
    /// Told already.
    Unknown,
}

impl Reader<'_, '_> {
    /// A coded concept: the table's coding first, then those sent.
    pub(super) fn code(&mut self, field: Field, scope: Scope<'_>) -> Option<Read<Code>> {
        let rule = self.rule(field)?;
        let element = self.first(rule, scope)?;
        let mut code = code_of(element);
        if code.is_empty() {
            return None;
        }
        let at = element.location();
        let sent = code
            .codings
            .first()
            .map(|coding| coding.code.clone())
            .or_else(|| code.text.clone())
            .unwrap_or_default();
        let known = code.codings.iter().any(|coding| coding.system.is_some());
        let interpretable = match (&rule.1.lookup, row(rule.1, &sent)) {
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
                self.no_row(rule.1, code::CODE_UNMAPPED, at, "code", &sent, "<LOINC>,<name>");
                false
            }
            // Without a table a code is known by the system its sender names.
            _ if !known && let Some(decision) = rule.1.unmapped => {
                let message = format!("code `{sent}` is of no code system that has a public name");
                let help = format!(
                    "map it: `table = \"codes.csv\"` in `{}`, and a row `{sent},<LOINC>,<name>`",
                    rule.1.name
                );
                self.gap(decision, rule.1, code::CODE_UNMAPPED, at, message, help);
                false
            }
            _ => known,
        };
        let sound = self.check_loinc(&code, at);
        Some(Read { value: code, interpretable: interpretable && sound })
    }

    fn check_loinc(&mut self, code: &Code, at: Location) -> bool {
        let Some(sent) = code.in_system(System::LOINC).filter(|sent| !loinc::check_digit_holds(sent)) else {
            return true;
        };
        let message = format!("`{sent}` is no LOINC code: its check digit does not hold");
        let help = "the result is shown and not interpreted; ask the sender for the right code";
        self.warn(code::CODE_CHECK_DIGIT, at, message, help);
        false
    }

    /// A unit as sent, and in UCUM where a table has it or the sender says that it is UCUM.
    pub(super) fn unit(&mut self, scope: Scope<'_>) -> Option<Read<Unit>> {
        let rule = self.rule(Field::ResultUnit)?;
        let element = self.first(rule, scope)?;
        let sent = part(element.component(1)).or_else(|| part(element.component(2)))?;
        let mut code = row(rule.1, &sent).map(|row| row.target.clone());
        if code.is_none() && element.component(3).text().eq_ignore_ascii_case("UCUM") {
            code = ucum::is_valid(&sent).then(|| sent.clone());
            if code.is_none() {
                let message = format!("unit `{sent}` is said to be UCUM and is not");
                let help = "ask the sender for the UCUM unit";
                self.warn(code::NOT_UCUM, element.location(), message, help);
            }
        }
        if code.is_none() {
            self.no_row(rule.1, code::UNIT_UNMAPPED, element.location(), "unit", &sent, "<UCUM>");
        }
        let interpretable = code.is_some();
        Some(Read { value: Unit { sent, ucum: code }, interpretable })
    }

    /// Tells that a table has no row, with the row to paste.
    fn no_row(
        &mut self,
        rule: &Rule,
        code: crate::diagnostic::Code,
        at: Location,
        what: &str,
        sent: &str,
        target: &str,
    ) {
        let Lookup::Tables(tables) = &rule.lookup else { return };
        let Some((file, table)) = tables.first() else { return };
        let near = table.nearest(sent).map(|near| format!(" (it has `{near}`)")).unwrap_or_default();
        let place = if what == "unit" { "UCUM mapping" } else { "LOINC mapping" };
        let message = format!("{what} `{sent}` has no {place}{near}");
        let field = if sent.contains([',', '"']) {
            format!("\"{}\"", sent.replace('"', "\"\""))
        } else {
            sent.to_owned()
        };
        let help = format!("add `{field},{target}` to {file}, then run `gateway message replay ID`");
        self.gap(rule.unmapped.unwrap_or(Decision::Hold), rule, code, at, message, help);
    }

    fn gap(
        &mut self,
        decision: Decision,
        rule: &Rule,
        code: crate::diagnostic::Code,
        at: Location,
        message: String,
        help: String,
    ) {
        let mut diagnostic = Diagnostic::error(code, message).at(at.to_string()).help(help);
        // Where the mapping keeps, its line has nothing to correct, and a long report would repeat it for each result.
        if decision != Decision::Keep {
            diagnostic.span = Some(rule.lookup_span.clone().unwrap_or_else(|| rule.span.clone()));
        }
        self.decide(decision, diagnostic);
    }

    /// A field whose words the mapping lists.
    pub(super) fn mapped_word(&mut self, field: Field, scope: Scope<'_>) -> Option<Word> {
        let rule = self.rule(field)?;
        let Some(element) = self.first(rule, scope) else {
            return Some(Word::Absent(self.expected_at(rule.1, scope)));
        };
        let Some(sent) = part(element.component(1)) else { return Some(Word::Absent(element.location())) };
        let Lookup::Map(entries) = &rule.1.lookup else { return Some(Word::Found(sent)) };
        if let Some((_, word)) = entries.iter().find(|(from, _)| *from == sent) {
            return Some(Word::Found(word.clone()));
        }
        let message = format!("`{}` does not know `{sent}`", rule.1.name);
        let help = format!(
            "add `\"{sent}\" = \"…\"` to the map in line {} of {}",
            rule.1.span.line, rule.1.span.file
        );
        let decision = rule.1.unmapped.unwrap_or(Decision::Hold);
        self.gap(decision, rule.1, code::UNKNOWN_STATUS, element.location(), message, help);
        Some(Word::Unknown)
    }

    /// PID-8 as sent, and as a sex where table 0001, the NHS codes or the mapping's own map know it.
    pub(super) fn sex(&mut self, scope: Scope<'_>) -> (Option<Sex>, Option<String>) {
        let Some(rule) = self.rule(Field::Sex) else { return (None, None) };
        let Some(element) = self.first(rule, scope) else { return (None, None) };
        let Some(sent) = part(element.component(1)) else { return (None, None) };
        let sex = match &rule.1.lookup {
            Lookup::Map(entries) => {
                entries.iter().find(|(from, _)| *from == sent).and_then(|(_, word)| Sex::from_word(word))
            }
            _ => sex_of(&sent),
        };
        if sex.is_none() {
            let message = format!("administrative sex `{sent}` is not in the table");
            let help = "the report is read without it; ranges by sex do not apply";
            let diagnostic =
                Diagnostic::warning(code::SEX_UNKNOWN, message).at(element.location().to_string()).help(help);
            match rule.1.unmapped {
                None | Some(Decision::Keep) => self.diagnostics.push(diagnostic),
                Some(decision) => {
                    let diagnostic = Diagnostic { severity: Severity::Error, ..diagnostic };
                    self.decide(decision, diagnostic);
                }
            }
        }
        (sex, Some(sent))
    }

    pub(super) fn yes_or_no(&mut self, field: Field, scope: Scope<'_>) -> Option<bool> {
        match self.mapped_word(field, scope)? {
            Word::Found(word) => match word.as_str() {
                "yes" | "Y" => Some(true),
                "no" | "N" => Some(false),
                _ => None,
            },
            Word::Absent(_) | Word::Unknown => None,
        }
    }

    /// Abnormal flags: each repetition, and each part of one written as a CWE.
    pub(super) fn flags(&mut self, scope: Scope<'_>) -> Vec<Flag> {
        let Some((id, rule)) = self.rule(Field::ResultFlags) else { return Vec::new() };
        let mut flags = Vec::new();
        self.visit(id, &rule.sources, scope, |element| {
            let text = part(element.component(2));
            let sent = part(element.component(1)).or_else(|| text.clone()).or_else(|| part(element));
            flags.extend(sent.map(|sent| Flag { sent, text }));
        });
        flags
    }
}

fn row<'a>(rule: &'a Rule, sent: &str) -> Option<&'a Row> {
    let Lookup::Tables(tables) = &rule.lookup else { return None };
    tables.iter().find_map(|(_, table)| table.find(sent))
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
