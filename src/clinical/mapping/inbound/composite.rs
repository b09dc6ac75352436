//! HL7's composite types (chapter 2A) as parts of the model: CX, XPN, XAD, XTN, XCN, XON, CWE.

use std::borrow::Cow;

use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::model::Address;
use crate::clinical::model::Code;
use crate::clinical::model::Coding;
use crate::clinical::model::Identifier;
use crate::clinical::model::IdentifierKind;
use crate::clinical::model::PersonName;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Telecom;
use crate::clinical::terminology::coding_system;
use crate::formats::hl7v2::Element;

/// The text of a part, trimmed, unless it is empty or the explicit null.
pub(super) fn words(element: Element<'_>) -> Option<Cow<'_, str>> {
    if element.is_empty() || element.is_null() {
        return None;
    }
    let words = match element.text() {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) => Cow::Owned(trimmed(&text).to_owned()),
    };
    (!words.is_empty()).then_some(words)
}

fn trimmed(text: &str) -> &str {
    // Most begin and end with a letter or digit, and have nothing to trim.
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    if ends.iter().all(|end| end.is_some_and(u8::is_ascii_graphic)) { text } else { text.trim() }
}

/// [`words`] of one's own.
pub(super) fn part(element: Element<'_>) -> Option<String> {
    words(element).map(Cow::into_owned)
}

/// Whether [`head`] finds anything.
pub(super) fn has_head(element: Element<'_>, component: u32) -> bool {
    words(element.component(component).subcomponent(1)).is_some()
}

/// The first subcomponent of a component: what remains of one that a later version divided.
pub(super) fn head(element: Element<'_>, component: u32) -> Option<String> {
    part(element.component(component).subcomponent(1))
}

fn secret(element: Element<'_>) -> Option<Sensitive<String>> {
    part(element).map(Sensitive::new)
}

impl Reader<'_, '_> {
    /// NHS number first, then every other identifier; the same one is not told twice.
    pub(super) fn identifiers(&mut self, scope: Scope<'_>) -> Vec<Identifier> {
        let mut identifiers = self.nhs_numbers(scope);
        let Some(rule) = self.rule(Field::Identifiers, scope) else { return identifiers };
        for element in self.all(rule, scope) {
            let Some(value) = head(element, 1).map(Sensitive::new) else { continue };
            let written = |it: &Identifier| {
                it.value
                    .expose()
                    .chars()
                    .filter(char::is_ascii_digit)
                    .eq(value.expose().chars().filter(char::is_ascii_digit))
            };
            let known = identifiers.iter().any(|it| it.kind != IdentifierKind::Other && written(it));
            if known {
                continue;
            }
            identifiers.push(Identifier {
                kind: IdentifierKind::Other,
                value,
                type_code: head(element, 5),
                authority: head(element, 4).or_else(|| part(element.component(4).subcomponent(2))),
            });
        }
        identifiers
    }

    fn nhs_numbers(&mut self, scope: Scope<'_>) -> Vec<Identifier> {
        let Some(rule) = self.rule(Field::NhsNumber, scope) else { return Vec::new() };
        let mut identifiers: Vec<Identifier> = Vec::new();
        for element in self.all(rule, scope) {
            let Some(sent) = head(element, 1) else { continue };
            let (kind, value) = self.gaps.nhs_number(rule.1, sent, element.location());
            if identifiers.iter().all(|it| it.value.expose() != &value) {
                let value = Sensitive::new(value);
                identifiers.push(Identifier {
                    kind,
                    value,
                    type_code: Some("NH".to_owned()),
                    authority: Some("NHS".to_owned()),
                });
            }
        }
        identifiers
    }

    pub(super) fn names(&mut self, scope: Scope<'_>) -> Vec<PersonName> {
        if let Some(rule) = self.rule(Field::Names, scope) {
            let found = self.all(rule, scope);
            return found
                .into_iter()
                .map(person_name)
                .filter(|name| name.family.is_some() || !name.given.is_empty())
                .collect();
        }
        let family = self.word(Field::Family, scope).map(Sensitive::new);
        let given: Vec<_> = self.word(Field::Given, scope).map(Sensitive::new).into_iter().collect();
        if family.is_none() && given.is_empty() {
            return Vec::new();
        }
        vec![PersonName { family, given, ..PersonName::default() }]
    }

    pub(super) fn addresses(&mut self, scope: Scope<'_>) -> Vec<Address> {
        let Some(rule) = self.rule(Field::Addresses, scope) else { return Vec::new() };
        let found = self.all(rule, scope);
        found.into_iter().map(address).filter(|address| *address != Address::default()).collect()
    }

    pub(super) fn telecoms(&mut self, scope: Scope<'_>) -> Vec<Telecom> {
        let Some(rule) = self.rule(Field::Telecoms, scope) else { return Vec::new() };
        self.all(rule, scope).into_iter().filter_map(telecom).collect()
    }

    /// A person who asked (XCN): the name, else the id.
    pub(super) fn person(&mut self, field: Field, scope: Scope<'_>) -> Option<Sensitive<String>> {
        let rule = self.rule(field, scope)?;
        let names: Vec<String> = self.all(rule, scope).into_iter().filter_map(person).collect();
        let mut distinct: Vec<String> = Vec::new();
        for name in names {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        (!distinct.is_empty()).then(|| Sensitive::new(distinct.join("; ")))
    }

    /// A laboratory (XON or CWE): its name, else its id.
    pub(super) fn organisation(&mut self, field: Field, scope: Scope<'_>) -> Option<String> {
        let rule = self.rule(field, scope)?;
        if let Some(constant) = &rule.1.constant {
            return Some(constant.clone());
        }
        let element = self.first(rule, scope)?;
        let coded = element.location().field_number() == Some(15);
        let (name, id) = if coded {
            (part(element.component(2)), head(element, 1))
        } else {
            (head(element, 1), head(element, 10))
        };
        name.or(id).or_else(|| part(element))
    }

    pub(super) fn codes(&mut self, field: Field, scope: Scope<'_>) -> Vec<Code> {
        let Some(rule) = self.rule(field, scope) else { return Vec::new() };
        let mut codes = Vec::new();
        self.visit_all(rule, scope, |element| {
            codes.extend(Some(code_of(element)).filter(|code| !code.is_empty()));
        });
        codes
    }
}

/// A CWE, CE, CNE or CF: up to three codings (components 1 to 3, 4 to 6, 10 to 12) and the original text (9).
pub(super) fn code_of(element: Element<'_>) -> Code {
    let mut parts = [const { None }; 13];
    for (text, component) in parts.iter_mut().zip(element.components()) {
        *text = part(component);
    }
    let [
        id,
        name,
        system,
        id_2,
        name_2,
        system_2,
        version,
        version_2,
        text,
        id_3,
        name_3,
        system_3,
        version_3,
    ] = parts;
    let codings = [&id, &id_2, &id_3].into_iter().flatten().count();
    // A table's coding may come before those sent.
    let mut code = Code { codings: Vec::with_capacity(codings + 1), text: None };
    for (identifier, display, sent_system, version) in [
        (id, name, system, version),
        (id_2, name_2, system_2, version_2),
        (id_3, name_3, system_3, version_3),
    ] {
        let Some(identifier) = identifier else {
            code.text = code.text.or(display);
            continue;
        };
        code.codings.push(Coding {
            system: sent_system.as_deref().and_then(coding_system::uri),
            code: identifier,
            display,
            sent_system,
            version,
        });
    }
    code.text = text.or(code.text);
    code
}

fn person_name(element: Element<'_>) -> PersonName {
    let further = part(element.component(3));
    let prefix = part(element.component(5)).into_iter().collect();
    let suffix = [part(element.component(4)), part(element.component(6))].into_iter().flatten().collect();
    PersonName {
        family: head(element, 1).map(Sensitive::new),
        given: [head(element, 2), further].into_iter().flatten().map(Sensitive::new).collect(),
        prefix,
        suffix,
        type_code: head(element, 7),
    }
}

fn address(element: Element<'_>) -> Address {
    // SAD: the street in its first subcomponent, or (from 2.3.1) street name and number in the second and third.
    let street = element.component(1);
    let street = secret(street.subcomponent(1)).or_else(|| {
        let parts = [part(street.subcomponent(3)), part(street.subcomponent(2))];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then(|| Sensitive::new(text))
    });
    Address {
        lines: [street, secret(element.component(2)), secret(element.component(8))]
            .into_iter()
            .flatten()
            .collect(),
        city: secret(element.component(3)),
        district: secret(element.component(4)),
        postcode: secret(element.component(5)),
        country: part(element.component(6)),
        type_code: head(element, 7),
    }
}

fn telecom(element: Element<'_>) -> Option<Telecom> {
    // XTN.1 is withdrawn since 2.6 and still what most fill; XTN.12 is its successor, XTN.5 to 8 the parts.
    let parts = || {
        let text: Vec<String> = (5..=8).filter_map(|number| part(element.component(number))).collect();
        (!text.is_empty()).then(|| text.join(" "))
    };
    let whole = part(element.component(1)).or_else(|| part(element.component(12)));
    let value = whole.or_else(|| part(element.component(4))).or_else(parts)?;
    Some(Telecom {
        value: Sensitive::new(value),
        use_code: part(element.component(2)),
        equipment: part(element.component(3)),
    })
}

fn person(element: Element<'_>) -> Option<String> {
    let name: Vec<String> = [
        part(element.component(6)),
        head(element, 3),
        part(element.component(4)),
        head(element, 2),
        part(element.component(5)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if name.is_empty() { head(element, 1) } else { Some(name.join(" ")) }
}
