//! FHIR's data types, and plain texts, as parts of the model.
//!
//! What is read of a type is marked leaf by leaf, so that a member nobody knows stays unaccounted.

use std::borrow::Cow;

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::gaps::Read;
use crate::clinical::mapping::inbound::tree::reader::Reader;
use crate::clinical::mapping::inbound::tree::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::model::Address;
use crate::clinical::model::Code;
use crate::clinical::model::Coding;
use crate::clinical::model::Flag;
use crate::clinical::model::Identifier;
use crate::clinical::model::IdentifierKind;
use crate::clinical::model::PersonName;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Sex;
use crate::clinical::model::System;
use crate::clinical::model::Telecom;
use crate::diagnostic::Diagnostic;
use crate::formats::csv::Damage;
use crate::formats::tree::Node;

/// What a map or status rule found.
pub(super) enum Word<'r> {
    /// With where it was looked for.
    Absent(String),
    Found(Cow<'r, str>),
    /// Told already.
    Unknown,
}

impl<'a> Reader<'a, '_> {
    fn is_object(&self, at: usize) -> bool {
        matches!(self.document.node(at), Node::Object(_))
    }

    fn secret(&mut self, at: usize, name: &str) -> Option<Sensitive<String>> {
        self.part(at, name).map(|text| Sensitive::new(text.to_owned()))
    }

    /// Holds what a spreadsheet spoilt; FHIR has no spreadsheets behind it.
    pub(super) fn is_damaged(&mut self, at: usize, text: &str, rule: &Rule) -> bool {
        if self.mapping.format == Format::Fhir {
            return false;
        }
        let (name, is_decimal) = (&rule.name, rule.has_decimal_comma());
        let mut diagnostic = match Damage::of(text) {
            Some(damage) => damage.diagnostic(),
            None if !is_decimal && has_comma(text) => {
                let message = "the number has a comma, which may be a decimal point or mark thousands";
                let help =
                    "ask the sender to write numbers with a decimal point and nothing between thousands";
                Diagnostic::error(code::DECIMAL_COMMA, message).help(help)
            }
            None => return false,
        };
        diagnostic.message = format!("`{name}`: {}", diagnostic.message);
        self.gaps.decide(Decision::Hold, diagnostic.at(self.document.position(at)));
        true
    }

    /// A word, number or name: a text, or what identifies the object that stands there.
    pub(super) fn word(&mut self, field: Field, scope: Scope) -> Option<String> {
        let rule = self.rule(field, scope)?;
        if let Some(constant) = &rule.1.constant {
            return Some(constant.clone());
        }
        let at = self.first(rule, scope)?;
        if !self.is_object(at) {
            let text = self.text_at(at)?;
            let is_number = matches!(
                field,
                Field::FillerNumber
                    | Field::OrderNumber
                    | Field::SpecimenAccession
                    | Field::SpecimenPlacerNumber
            );
            if is_number && Damage::of(text).is_some() {
                self.is_damaged(at, text, rule.1);
            }
            let word = rule.1.changed(text);
            return (!word.is_empty()).then(|| word.into_owned());
        }
        let found = ["value", "code", "text", "display"].into_iter().find_map(|name| self.part(at, name));
        found.map(|text| rule.1.changed(text).into_owned())
    }

    /// The whole text of a field; several are lines, and an object is its leaves.
    pub(super) fn text(&mut self, rule: (RuleId, &'a Rule), scope: Scope) -> Option<String> {
        if let Some(constant) = &rule.1.constant {
            return Some(constant.clone());
        }
        let mut lines = Vec::new();
        for at in self.all(rule, scope) {
            lines.extend(self.leaves(at));
        }
        (!lines.is_empty()).then(|| rule.1.changed_owned(lines.join("\n")))
    }

    pub(super) fn field_text(&mut self, field: Field, scope: Scope) -> Option<String> {
        let rule = self.rule(field, scope)?;
        self.text(rule, scope)
    }

    fn leaves(&mut self, at: usize) -> Option<String> {
        let mut parts = Vec::new();
        for leaf in self.document.below(at) {
            if let Node::Text(text) = self.document.node(leaf)
                && leaf == at
            {
                // A text alone keeps its own line breaks and spaces.
                self.mark(at);
                return (!text.trim().is_empty()).then(|| text.clone());
            }
            parts.extend(self.text_at(leaf));
        }
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    pub(super) fn mapped_word(&mut self, field: Field, scope: Scope) -> Option<Word<'a>> {
        let rule = self.rule(field, scope)?;
        if let Some(constant) = &rule.1.constant {
            return Some(Word::Found(Cow::Borrowed(constant)));
        }
        let absent = Word::Absent(self.expected_at(rule.1, scope));
        let Some(at) = self.first(rule, scope) else { return Some(absent) };
        let sent = if self.is_object(at) {
            let code = self.code_at(at);
            code.codings.first().map(|coding| coding.code.clone()).or(code.text)
        } else {
            self.text_at(at).map(str::to_owned)
        };
        let Some(sent) = sent else { return Some(absent) };
        let position = self.position(at);
        Some(self.gaps.mapped(rule.1, &sent, position).map_or(Word::Unknown, Word::Found))
    }

    pub(super) fn sex(&mut self, scope: Scope) -> (Option<Sex>, Option<String>) {
        let Some(rule) = self.rule(Field::Sex, scope) else { return (None, None) };
        let Some(at) = self.first(rule, scope) else { return (None, None) };
        let Some(sent) = self.text_at(at) else { return (None, None) };
        let position = self.position(at);
        (self.gaps.known_sex(rule.1, sent, position), Some(sent.to_owned()))
    }

    pub(super) fn yes_or_no(&mut self, field: Field, scope: Scope) -> Option<bool> {
        let rule = self.rule(field, scope)?;
        let at = self.first(rule, scope)?;
        if self.document.choice(at) == Some("DateTime") {
            // When somebody died says that they did.
            return self.text_at(at).map(|_| true);
        }
        let sent = self.text_at(at)?.to_owned();
        let position = self.position(at);
        match self.gaps.mapped(rule.1, &sent, position)?.as_ref() {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        }
    }

    /// A coded concept: the table's coding first, then those sent.
    pub(super) fn code(&mut self, field: Field, scope: Scope) -> Option<Read<Code>> {
        let rule = self.rule(field, scope)?;
        let (mut code, position) = if let Some(constant) = &rule.1.constant {
            (plain_code(constant), self.position(scope.at))
        } else {
            let at = self.first(rule, scope)?;
            (self.code_at(at), self.position(at))
        };
        for path in &rule.1.display {
            let Path::Tree(path) = path else { continue };
            let found = self.document.select(path, scope.at).places;
            let display = found.first().and_then(|at| self.text_at(*at)).map(str::to_owned);
            if let Some(coding) = code.codings.first_mut() {
                coding.display = coding.display.take().or(display);
            } else {
                code.text = code.text.take().or(display);
            }
        }
        if let (Some(system), Some(coding)) = (&rule.1.system, code.codings.first_mut()) {
            coding.system = coding.system.take().or_else(|| Some(System(system.clone())));
        }
        (!code.is_empty()).then(|| self.gaps.known_code(rule.1, code, position))
    }

    pub(super) fn codes(&mut self, field: Field, scope: Scope) -> Vec<Code> {
        let Some(rule) = self.rule(field, scope) else { return Vec::new() };
        let found = self.all(rule, scope);
        found.into_iter().map(|at| self.code_at(at)).filter(|code| !code.is_empty()).collect()
    }

    /// A CodeableConcept, a Coding, or a bare code.
    pub(super) fn code_at(&mut self, at: usize) -> Code {
        if !self.is_object(at) {
            return self.text_at(at).map(plain_code).unwrap_or_default();
        }
        let mut code = Code::default();
        let codings = self.document.members(at, "coding");
        let codings = if codings.is_empty() { vec![at] } else { codings };
        for coding in codings {
            let [system, value, display, version] = ["system", "code", "display", "version"]
                .map(|name| self.part(coding, name).map(str::to_owned));
            // Which of several a person chose changes nothing of what they say.
            self.part(coding, "userSelected");
            match value {
                Some(value) => code.codings.push(Coding {
                    system: system.map(System),
                    code: value,
                    display,
                    sent_system: None,
                    version,
                }),
                None => code.text = code.text.take().or(display),
            }
        }
        code.text = self.part(at, "text").map(str::to_owned).or(code.text);
        code
    }

    /// Abnormal flags, as sent.
    pub(super) fn flags(&mut self, scope: Scope) -> Vec<Flag> {
        let Some(rule) = self.rule(Field::ResultFlags, scope) else { return Vec::new() };
        let mut flags = Vec::new();
        for at in self.all(rule, scope) {
            let code = self.code_at(at);
            let text = code.text.clone().or_else(|| code.codings.first()?.display.clone());
            match code.codings.first() {
                Some(coding) => flags.push(Flag { sent: coding.code.clone(), text }),
                None => flags.extend(text.map(|sent| Flag { sent, text: None })),
            }
        }
        flags
    }

    /// NHS number first, then every other identifier; the same one is not told twice.
    pub(super) fn identifiers(&mut self, scope: Scope) -> Vec<Identifier> {
        let mut identifiers: Vec<Identifier> = Vec::new();
        if let Some(rule) = self.rule(Field::NhsNumber, scope) {
            for at in self.all(rule, scope) {
                let Some(sent) = self.text_at(at).map(str::to_owned) else { continue };
                let position = self.position(at);
                let (kind, value) = self.gaps.nhs_number(rule.1, sent, position);
                if identifiers.iter().all(|it| it.value.expose() != &value) {
                    identifiers.push(Identifier {
                        kind,
                        value: Sensitive::new(value),
                        type_code: Some("NH".to_owned()),
                        authority: Some("NHS".to_owned()),
                    });
                }
            }
        }
        let Some(rule) = self.rule(Field::Identifiers, scope) else { return identifiers };
        for at in self.all(rule, scope) {
            let is_object = self.is_object(at);
            let value = if is_object { self.part(at, "value") } else { self.text_at(at) };
            let authority = self.part(at, "system").map(str::to_owned);
            let kinds = self.document.members(at, "type");
            let kind = kinds.first().map(|at| self.code_at(*at)).unwrap_or_default();
            let Some(value) = value else { continue };
            let bare = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
            let is_known =
                |it: &Identifier| it.kind != IdentifierKind::Other && bare(it.value.expose()) == bare(value);
            if !identifiers.iter().any(is_known) {
                identifiers.push(Identifier {
                    kind: IdentifierKind::Other,
                    value: Sensitive::new(value.to_owned()),
                    type_code: kind.codings.first().map(|coding| coding.code.clone()).or(kind.text),
                    authority,
                });
            }
        }
        identifiers
    }

    pub(super) fn names(&mut self, scope: Scope) -> Vec<PersonName> {
        if let Some(rule) = self.rule(Field::Names, scope) {
            let found = self.all(rule, scope);
            let names = found.into_iter().map(|at| self.name_at(at));
            return names.filter(|name| name.family.is_some() || !name.given.is_empty()).collect();
        }
        let family = self.word(Field::Family, scope).map(Sensitive::new);
        let given: Vec<_> = self.word(Field::Given, scope).map(Sensitive::new).into_iter().collect();
        if family.is_none() && given.is_empty() {
            return Vec::new();
        }
        vec![PersonName { family, given, ..PersonName::default() }]
    }

    fn name_at(&mut self, at: usize) -> PersonName {
        if !self.is_object(at) {
            // Which part of one text is the family's is a guess, so the whole is.
            let family = self.text_at(at).map(|text| Sensitive::new(text.to_owned()));
            return PersonName { family, ..PersonName::default() };
        }
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let given = owned(self.parts_of(at, "given"));
        let (prefix, suffix) = (owned(self.parts_of(at, "prefix")), owned(self.parts_of(at, "suffix")));
        let type_code = self.part(at, "use").map(str::to_owned);
        let whole = self.secret(at, "text");
        let family = self.secret(at, "family").or_else(|| whole.filter(|_| given.is_empty()));
        PersonName {
            family,
            given: given.into_iter().map(Sensitive::new).collect(),
            prefix,
            suffix,
            type_code,
        }
    }

    pub(super) fn addresses(&mut self, scope: Scope) -> Vec<Address> {
        let Some(rule) = self.rule(Field::Addresses, scope) else { return Vec::new() };
        let mut addresses = Vec::new();
        for at in self.all(rule, scope) {
            if !self.is_object(at) {
                let lines = self.text_at(at).into_iter().map(|it| Sensitive::new(it.to_owned())).collect();
                addresses.push(Address { lines, ..Address::default() });
                continue;
            }
            let whole = self.secret(at, "text");
            let mut lines: Vec<_> =
                self.parts_of(at, "line").into_iter().map(|it| Sensitive::new(it.to_owned())).collect();
            let [city, district, state, postcode] =
                ["city", "district", "state", "postalCode"].map(|name| self.secret(at, name));
            if lines.is_empty() && city.is_none() && postcode.is_none() {
                lines.extend(whole);
            }
            addresses.push(Address {
                lines,
                city,
                district: district.or(state),
                postcode,
                country: self.part(at, "country").map(str::to_owned),
                type_code: self.part(at, "use").map(str::to_owned),
            });
        }
        addresses.retain(|address| *address != Address::default());
        addresses
    }

    pub(super) fn telecoms(&mut self, scope: Scope) -> Vec<Telecom> {
        let Some(rule) = self.rule(Field::Telecoms, scope) else { return Vec::new() };
        let mut telecoms = Vec::new();
        for at in self.all(rule, scope) {
            let is_object = self.is_object(at);
            let value = if is_object { self.part(at, "value") } else { self.text_at(at) };
            let [system, use_code] = ["system", "use"].map(|name| self.part(at, name).map(str::to_owned));
            telecoms.extend(value.map(|value| Telecom {
                value: Sensitive::new(value.to_owned()),
                use_code,
                equipment: system,
            }));
        }
        telecoms
    }

    /// Someone who asked: each once.
    pub(super) fn person(&mut self, field: Field, scope: Scope) -> Option<Sensitive<String>> {
        let rule = self.rule(field, scope)?;
        let mut people: Vec<String> = Vec::new();
        for at in self.all(rule, scope) {
            let person = self.called(at);
            people.extend(person.filter(|person| !people.contains(person)));
        }
        (!people.is_empty()).then(|| Sensitive::new(people.join("; ")))
    }

    /// A laboratory, by its name.
    pub(super) fn organisation(&mut self, field: Field, scope: Scope) -> Option<String> {
        let rule = self.rule(field, scope)?;
        if let Some(constant) = &rule.1.constant {
            return Some(constant.clone());
        }
        let at = self.first(rule, scope)?;
        self.called(at)
    }

    /// The name of whoever stands here: a text, a HumanName, a resource with a name, a reference's display.
    fn called(&mut self, at: usize) -> Option<String> {
        if !self.is_object(at) {
            return self.text_at(at).map(str::to_owned);
        }
        let names = self.document.members(at, "name");
        if let Some(name) = names.first().copied() {
            return self.called(name);
        }
        if let Some(display) = self.part(at, "display").or_else(|| self.part(at, "text")) {
            return Some(display.to_owned());
        }
        let name = self.name_at(at);
        let given = name.given.iter().map(Sensitive::expose);
        let family = name.family.iter().map(Sensitive::expose);
        let parts: Vec<&str> = name.prefix.iter().chain(given).chain(family).map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

/// A comma between digits, in what is otherwise a number or a range of two.
fn has_comma(text: &str) -> bool {
    let is_numeric = |c: char| {
        c.is_ascii_digit() || matches!(c, ',' | '.' | '-' | '–' | '<' | '>' | '=' | '≤' | '≥' | '+' | ' ')
    };
    let is_between = |it: &[u8]| matches!(it, [a, b',', b] if a.is_ascii_digit() && b.is_ascii_digit());
    text.chars().all(is_numeric) && text.as_bytes().windows(3).any(is_between)
}

fn plain_code(code: &str) -> Code {
    let coding =
        Coding { system: None, code: code.to_owned(), display: None, sent_system: None, version: None };
    Code { codings: vec![coding], text: None }
}
