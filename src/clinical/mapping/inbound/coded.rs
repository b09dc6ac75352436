//! Coded fields of HL7 v2: found here, looked up in [`Gaps`](crate::clinical::mapping::inbound::gaps::Gaps).

use crate::clinical::mapping::inbound::composite::code_of;
use crate::clinical::mapping::inbound::composite::part;
use crate::clinical::mapping::inbound::gaps::Read;
use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::model::Code;
use crate::clinical::model::Flag;
use crate::clinical::model::Sex;
use crate::clinical::model::Unit;
use crate::formats::hl7v2::Location;

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
        let code = code_of(element);
        (!code.is_empty()).then(|| self.gaps.known_code(rule.1, code, element.location()))
    }

    pub(super) fn unit(&mut self, scope: Scope<'_>) -> Option<Read<Unit>> {
        let rule = self.rule(Field::ResultUnit)?;
        let element = self.first(rule, scope)?;
        let sent = part(element.component(1)).or_else(|| part(element.component(2)))?;
        let is_said_ucum = element.component(3).text().eq_ignore_ascii_case("UCUM");
        Some(self.gaps.known_unit(rule.1, sent, is_said_ucum, element.location()))
    }

    /// A field whose words the mapping lists.
    pub(super) fn mapped_word(&mut self, field: Field, scope: Scope<'_>) -> Option<Word> {
        let rule = self.rule(field)?;
        let found = self.first(rule, scope);
        let Some((element, sent)) = found.and_then(|it| Some((it, part(it.component(1))?))) else {
            let word = self.word_of_fallback(rule, scope);
            let at = found.map_or_else(|| self.expected_at(rule.1, scope), |it| it.location());
            return Some(word.map_or(Word::Absent(at), Word::Found));
        };
        let word = self.gaps.mapped(rule.1, sent, element.location());
        Some(word.map_or(Word::Unknown, Word::Found))
    }

    /// A word from where it means something else than at the rule's own place, if it is known what.
    fn word_of_fallback(&mut self, (id, rule): (RuleId, &Rule), scope: Scope<'_>) -> Option<String> {
        let mut found = None;
        self.visit(id, rule.fallback.translated(), scope, |element| {
            let word = part(element.component(1)).and_then(|sent| rule.fallback.word(&sent));
            found = found.take().or_else(|| Some((word?, element.location())));
        });
        let (word, at) = found?;
        self.tell_fallback(rule, at);
        Some(word)
    }

    /// PID-8 as sent, and as a sex where it is known to be one.
    pub(super) fn sex(&mut self, scope: Scope<'_>) -> (Option<Sex>, Option<String>) {
        let Some(rule) = self.rule(Field::Sex) else { return (None, None) };
        let Some(element) = self.first(rule, scope) else { return (None, None) };
        let Some(sent) = part(element.component(1)) else { return (None, None) };
        (self.gaps.known_sex(rule.1, &sent, element.location()), Some(sent))
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
