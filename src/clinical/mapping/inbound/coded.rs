//! Coded fields of HL7 v2: found here, looked up in [`Gaps`](crate::clinical::mapping::inbound::gaps::Gaps).

use std::borrow::Cow;

use crate::clinical::mapping::inbound::composite::code_of;
use crate::clinical::mapping::inbound::composite::part;
use crate::clinical::mapping::inbound::composite::words;
use crate::clinical::mapping::inbound::gaps::Read;
use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::model::Code;
use crate::clinical::model::Flag;
use crate::clinical::model::Sex;
use crate::clinical::model::System;
use crate::clinical::model::Unit;
use crate::formats::hl7v2::Location;
use crate::formats::hl7v2::Segment;

/// What a map or status rule found.
pub(super) enum Word<'r> {
    Absent(Location),
    Found(Cow<'r, str>),
    /// Told already.
    Unknown,
}

impl<'a> Reader<'a, '_> {
    /// A coded concept: the table's coding first, then those sent.
    pub(super) fn code(&mut self, field: Field, scope: Scope<'_>) -> Option<Read<Code>> {
        let rule = self.rule(field, scope)?;
        if let Some(constant) = &rule.1.constant {
            let at = self.place(scope);
            return Some(self.gaps.constant_code(rule.1, constant, at));
        }
        let element = self.first(rule, scope)?;
        let mut code = code_of(element);
        if let (Some(system), Some(coding)) = (&rule.1.system, code.codings.first_mut()) {
            coding.system = coding.system.take().or_else(|| Some(System(system.clone())));
        }
        (!code.is_empty()).then(|| self.gaps.known_code(rule.1, code, element.location()))
    }

    /// Where something stands that the mapping says and no field does: the segment at hand.
    fn place(&self, scope: Scope<'_>) -> Location {
        let at = scope.current.or_else(|| scope.order.map(|order| order.obr)).or(scope.patient.pid);
        at.and_then(|at| self.segments.get(at)).map_or(Location::segment(*b"MSH", 1), Segment::location)
    }

    pub(super) fn unit(&mut self, scope: Scope<'_>) -> Option<Read<Unit>> {
        let rule = self.rule(Field::ResultUnit, scope)?;
        if let Some(constant) = &rule.1.constant {
            let at = self.place(scope);
            return Some(self.gaps.known_unit(rule.1, constant.clone(), false, at));
        }
        let element = self.first(rule, scope)?;
        let sent = part(element.component(1)).or_else(|| part(element.component(2)))?;
        let is_said_ucum = element.component(3).text().eq_ignore_ascii_case("UCUM");
        Some(self.gaps.known_unit(rule.1, sent, is_said_ucum, element.location()))
    }

    /// A field whose words the mapping lists.
    pub(super) fn mapped_word(&mut self, field: Field, scope: Scope<'_>) -> Option<Word<'a>> {
        let rule = self.rule(field, scope)?;
        if let Some(constant) = &rule.1.constant {
            return Some(Word::Found(Cow::Borrowed(constant)));
        }
        let Some(element) = self.first(rule, scope) else {
            return Some(Word::Absent(self.expected_at(rule.1, scope)));
        };
        let Some(sent) = words(element.component(1)) else { return Some(Word::Absent(element.location())) };
        let word = self.gaps.mapped(rule.1, &sent, element.location());
        Some(word.map_or(Word::Unknown, Word::Found))
    }

    /// PID-8 as sent, and as a sex where it is known to be one.
    pub(super) fn sex(&mut self, scope: Scope<'_>) -> (Option<Sex>, Option<String>) {
        let Some(rule) = self.rule(Field::Sex, scope) else { return (None, None) };
        let Some(element) = self.first(rule, scope) else { return (None, None) };
        let Some(sent) = part(element.component(1)) else { return (None, None) };
        (self.gaps.known_sex(rule.1, &sent, element.location()), Some(sent))
    }

    pub(super) fn yes_or_no(&mut self, field: Field, scope: Scope<'_>) -> Option<bool> {
        match self.mapped_word(field, scope)? {
            Word::Found(word) => match word.as_ref() {
                "yes" | "Y" => Some(true),
                "no" | "N" => Some(false),
                _ => None,
            },
            Word::Absent(_) | Word::Unknown => None,
        }
    }

    /// Abnormal flags: each repetition, and each part of one written as a CWE.
    pub(super) fn flags(&mut self, scope: Scope<'_>) -> Vec<Flag> {
        let Some(rule) = self.rule(Field::ResultFlags, scope) else { return Vec::new() };
        let mut flags = Vec::new();
        self.visit_all(rule, scope, |element| {
            let text = part(element.component(2));
            let sent = part(element.component(1)).or_else(|| text.clone()).or_else(|| part(element));
            flags.extend(sent.map(|sent| Flag { sent, text }));
        });
        flags
    }
}
