//! Finds what a rule's paths name, keeps the ledger, and collects diagnostics.

use std::iter;

use memchr::memmem;

use crate::clinical::mapping::condition::Condition;
use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::composite::has_head;
use crate::clinical::mapping::inbound::composite::head;
use crate::clinical::mapping::inbound::composite::words;
use crate::clinical::mapping::inbound::gaps::Gaps;
use crate::clinical::mapping::inbound::ledger;
use crate::clinical::mapping::inbound::ledger::Home;
use crate::clinical::mapping::inbound::ledger::Ledger;
use crate::clinical::mapping::inbound::ledger::LedgerEntry;
use crate::clinical::mapping::inbound::ledger::Marks;
use crate::clinical::mapping::inbound::ledger::Outcome;
use crate::clinical::mapping::inbound::ledger::Position;
use crate::clinical::mapping::inbound::ledger::Unread;
use crate::clinical::mapping::inbound::ledger::Use;
use crate::clinical::mapping::inbound::outline::Order;
use crate::clinical::mapping::inbound::outline::Patient;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::RESULT_SEGMENT;
use crate::clinical::mapping::language::RESULT_SEGMENTS;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::formats::hl7v2;
use crate::formats::hl7v2::Element;
use crate::formats::hl7v2::Location;
use crate::formats::hl7v2::Message;
use crate::formats::hl7v2::Segment;

/// Fields of MSH that intake reads for every message: delimiters, sender and receiver, time, type, ids, version,
/// acknowledgement conditions, character set.
const HEADER_FIELDS: [u32; 15] = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 18, 21];

/// Populated fields of a segment of results, as most senders fill it.
const FIELDS_USUAL: usize = 16;

/// Where a rule looks: "within the current group" of `design.md` §4.
#[derive(Clone, Copy)]
pub(super) struct Scope<'o> {
    pub(super) patient: &'o Patient,
    pub(super) order: Option<&'o Order>,
    /// The OBX, SPM or NTE at hand.
    pub(super) current: Option<usize>,
}

impl Scope<'_> {
    pub(super) const fn at(self, current: usize) -> Self {
        Self { current: Some(current), ..self }
    }

    /// The segment that the reading is for.
    pub(super) fn owner(self) -> usize {
        self.current.or(self.order.map(|order| order.obr)).or(self.patient.pid).unwrap_or(0)
    }
}

pub(super) struct Reader<'a, 'm> {
    pub(super) mapping: &'a Mapping,
    pub(super) segments: Vec<Segment<'m>>,
    pub(super) gaps: Gaps<'a>,
    marks: Vec<Marks>,
    uses: Vec<Use>,
    unread: Vec<Unread>,
    pub(super) homes: Vec<Home>,
}

impl<'a, 'm> Reader<'a, 'm> {
    pub(super) fn new(mapping: &'a Mapping, message: &'m Message<'m>) -> Self {
        let segments: Vec<_> = message.segments().collect();
        Self {
            mapping,
            marks: vec![Marks::default(); segments.len()],
            uses: Vec::with_capacity(segments.len() * FIELDS_USUAL),
            homes: Vec::new(),
            segments,
            gaps: Gaps::new(mapping),
            unread: Vec::new(),
        }
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        at: Location,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.gaps.error(code, at, message, help);
    }

    pub(super) fn warn(
        &mut self,
        code: Code,
        at: Location,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.gaps.warn(code, at, message, help);
    }

    pub(super) fn decide(&mut self, decision: Decision, diagnostic: Diagnostic) {
        self.gaps.decide(decision, diagnostic);
    }

    /// The rule of a field that is read here: of its alternatives the first whose conditions hold.
    #[inline]
    pub(super) fn rule(&mut self, field: Field, scope: Scope<'_>) -> Option<(RuleId, &'a Rule)> {
        self.chosen(self.mapping.of(field)?, scope)
    }

    pub(super) fn chosen(
        &mut self,
        rule: (RuleId, &'a Rule),
        scope: Scope<'_>,
    ) -> Option<(RuleId, &'a Rule)> {
        // Few rules have conditions.
        if rule.1.more.is_none() {
            return Some(rule);
        }
        self.mapping.chosen(rule, |condition| self.holds(condition, scope))
    }

    /// Whether a condition holds. What it looks at is accounted for: the mapping has considered it.
    fn holds(&mut self, condition: &Condition, scope: Scope<'_>) -> bool {
        let nothing = || condition.test.holds(iter::empty::<&str>());
        let Path::Hl7v2(path) = &condition.path else { return nothing() };
        let (Some(at), Some(number)) = (self.segment(path, scope), path.field) else { return nothing() };
        let Some(segment) = self.segments.get(at).copied() else { return nothing() };
        if let Some(marks) = self.marks.get_mut(at).filter(|_| segment.has(number)) {
            marks.set(number);
        }
        condition.test.holds(path.select(segment).filter_map(|element| words(element.component(1))))
    }

    /// A blank MSH-11 could be a test; `design.md` §3.2 holds it.
    pub(super) fn processing_id(&mut self) {
        let Some(header) = self.segments.first().copied() else { return };
        let field = header.field(11);
        if field.component(1).text().trim().is_empty() {
            let help = "ask the sender to fill MSH-11 with P for production";
            self.error(
                code::PROCESSING_ID,
                field.location(),
                "the processing id is blank: this may be a test message",
                help,
            );
        }
    }

    /// Takes back an error that turns out to leave nothing unread.
    ///
    /// An unknown character set changes nothing where every character is ASCII, which all of table 0211 contain.
    /// Where MSH-2 gives a role no character of its own, nothing is divided by it and its text stays whole, so only a
    /// missing component or repetition separator leaves fields that cannot be told apart.
    pub(super) fn excuse(&mut self, deviations: &[hl7v2::Deviation], delimiters: hl7v2::Delimiters) {
        let ascii = |segment: &Segment<'_>| segment.raw().bytes().all(|byte| byte.is_ascii() && byte != 0x1B);
        for (deviation, diagnostic) in deviations.iter().zip(&mut self.gaps.diagnostics) {
            let harmless = match deviation.kind {
                hl7v2::Kind::CharsetUnknown { .. } => self.segments.iter().all(ascii),
                hl7v2::Kind::DelimitersUnusable => {
                    delimiters.component.is_some() && delimiters.repetition.is_some()
                }
                _ => false,
            };
            if harmless {
                diagnostic.severity = Severity::Warning;
            }
        }
    }

    /// The segment a path speaks of, in this scope.
    #[inline]
    fn segment(&self, path: &hl7v2::Path, scope: Scope<'_>) -> Option<usize> {
        let name = path.segment_name();
        match &name {
            b"MSH" => Some(0),
            b"PID" => scope.patient.pid,
            b"ORC" => scope.order?.orc,
            b"OBR" => scope.order.map(|order| order.obr),
            _ => {
                let named = |at: &usize| self.segments.get(*at).is_some_and(|segment| segment.is(name));
                scope.current.filter(named).or_else(|| {
                    let order = scope.order.map_or(0..0, |order| order.range.clone());
                    order.chain(scope.patient.head.clone()).find(named)
                })
            }
        }
    }

    /// Whether a rule can be passed over, because nothing was sent where it looks. Most extras are such.
    pub(super) fn finds_nothing(&self, rule: &Rule, scope: Scope<'_>) -> bool {
        let is_plain = rule.constant.is_none() && rule.more.is_none() && !rule.required;
        is_plain && !rule.sources.iter().any(|path| self.is_sent(path, scope))
    }

    fn is_sent(&self, path: &Path, scope: Scope<'_>) -> bool {
        let Path::Hl7v2(path) = path else { return false };
        let segment = self.segment(path, scope).and_then(|at| self.segments.get(at));
        segment.zip(path.field).is_some_and(|(segment, number)| segment.has(number))
    }

    /// Every populated element that the rule's sources name, marked as used; explicit nulls are left out.
    pub(super) fn all(&mut self, rule: (RuleId, &'a Rule), scope: Scope<'_>) -> Vec<Element<'m>> {
        let mut found = Vec::new();
        self.visit_all(rule, scope, |element| found.push(element));
        found
    }

    pub(super) fn visit_all(
        &mut self,
        (id, rule): (RuleId, &'a Rule),
        scope: Scope<'_>,
        mut each: impl FnMut(Element<'m>),
    ) {
        let mut count = 0_usize;
        for path in &rule.sources {
            // Of `first_of` the first path that has something serves; the others have been considered.
            let serves = rule.each || count == 0;
            self.visit_path(id, path, scope, |element| {
                if serves {
                    count += 1;
                    each(element);
                }
            });
        }
        if count == 0 {
            self.demand(rule, scope);
        }
    }

    /// Holds where a rule that must find something finds nothing.
    fn demand(&mut self, rule: &Rule, scope: Scope<'_>) {
        if rule.required {
            let at = self.expected_at(rule, scope);
            self.gaps.demand(rule, at);
        }
    }

    /// The first element that the rule's sources name, else that its fallbacks name.
    ///
    /// All sources count as used, also those after the first that has something: the rule has considered them.
    pub(super) fn first(&mut self, rule: (RuleId, &'a Rule), scope: Scope<'_>) -> Option<Element<'m>> {
        self.first_that(rule, scope, |_| true)
    }

    fn first_that(
        &mut self,
        (id, rule): (RuleId, &'a Rule),
        scope: Scope<'_>,
        serves: impl Fn(Element<'m>) -> bool,
    ) -> Option<Element<'m>> {
        let mut found: Option<Element<'m>> = None;
        let mut further = None;
        self.visit(id, &rule.sources, scope, |element| match found {
            _ if !serves(element) => {}
            None => found = Some(element),
            Some(first) if same_field(first, element) && first.raw() != element.raw() => {
                further = Some(element);
            }
            Some(_) => {}
        });
        if let Some(element) = further {
            let message = format!("the field repeats, and `{}` reads its first repetition only", rule.name);
            let help = format!("choose one in the mapping: `{}[2]`, or by its type", first_path(rule));
            self.warn(code::REPEATED, element.location(), message, help);
        }
        let mut fallback = None;
        self.visit(id, &rule.fallback, scope, |element| {
            fallback = fallback.or_else(|| serves(element).then_some(element));
        });
        if found.is_none()
            && let Some(element) = fallback
        {
            let message = format!("`{}` was read from here: {} is empty", rule.name, first_path(rule));
            let help = format!("ask the sender to fill {}", first_path(rule));
            self.warn(code::FALLBACK, element.location(), message, help);
        }
        if found.or(fallback).is_none() {
            self.demand(rule, scope);
        }
        found.or(fallback)
    }

    pub(super) fn visit(
        &mut self,
        id: RuleId,
        paths: &[Path],
        scope: Scope<'_>,
        mut each: impl FnMut(Element<'m>),
    ) {
        for path in paths {
            self.visit_path(id, path, scope, &mut each);
        }
    }

    /// Gives every populated element of one path to `each`, and enters it in the ledger.
    pub(super) fn visit_path(
        &mut self,
        id: RuleId,
        path: &Path,
        scope: Scope<'_>,
        mut each: impl FnMut(Element<'m>),
    ) {
        let Path::Hl7v2(path) = path else { return };
        let (Some(at), Some(number)) = (self.segment(path, scope), path.field) else { return };
        let Some(segment) = self.segments.get(at).copied() else { return };
        // Most fields that a mapping names are empty in most messages.
        if !segment.has(number) || !segment.is(path.segment_name()) {
            return;
        }
        for element in path.select_in(segment.field(number)).filter(Element::is_populated) {
            if let Some(marks) = self.marks.get_mut(at) {
                marks.set(number);
            }
            let at = Position::Field(element.location());
            self.uses.push(Use { rule: id, at, scope: ledger::scope(scope.owner()) });
            if !element.is_null() {
                each(element);
            }
        }
    }

    /// The text of a field that holds one word, number or name: its first part, trimmed.
    pub(super) fn word(&mut self, field: Field, scope: Scope<'_>) -> Option<String> {
        let rule = self.rule(field, scope)?;
        if let Some(constant) = &rule.1.constant {
            return Some(constant.clone());
        }
        // An entity identifier may have its namespace filled and no identifier; the next source then serves.
        let element = self.first_that(rule, scope, |element| has_head(element, 1))?;
        let word = rule.1.changed_owned(head(element, 1)?);
        (!word.is_empty()).then_some(word)
    }

    /// The whole text of a field, repetitions as lines.
    pub(super) fn text(&mut self, rule: (RuleId, &'a Rule), scope: Scope<'_>) -> Option<String> {
        if let Some(constant) = &rule.1.constant {
            return Some(constant.clone());
        }
        self.lines(rule, scope).map(|text| rule.1.changed_owned(text))
    }

    /// The whole text as sent.
    pub(super) fn lines(&mut self, rule: (RuleId, &'a Rule), scope: Scope<'_>) -> Option<String> {
        let mut lines: Option<String> = None;
        self.visit_all(rule, scope, |element| match &mut lines {
            None => lines = Some(element.text().into_owned()),
            Some(lines) => {
                lines.push('\n');
                lines.push_str(&element.text());
            }
        });
        lines
    }

    /// Whether the sender wrote the explicit null where a rule looks.
    pub(super) fn is_null(&self, path: &Path, scope: Scope<'_>) -> bool {
        let Path::Hl7v2(path) = path else { return false };
        let segment = self.segment(path, scope).and_then(|at| self.segments.get(at).copied());
        segment.is_some_and(|segment| path.select(segment).any(|element| element.is_null()))
    }

    /// Where a rule looks first, for a diagnostic about what is not there.
    pub(super) fn expected_at(&self, rule: &Rule, scope: Scope<'_>) -> Location {
        let nowhere = Location::segment(*b"MSH", 1);
        rule.sources
            .iter()
            .find_map(|path| {
                let Path::Hl7v2(path) = path else { return None };
                let segment = self.segments.get(self.segment(path, scope)?)?;
                Some(segment.location().field(path.field?))
            })
            .unwrap_or(nowhere)
    }

    /// Marks a whole segment as used: one that has had its own diagnostic.
    pub(super) fn settle(&mut self, at: usize) {
        let Some(segment) = self.segments.get(at) else { return };
        if let Some(marks) = self.marks.get_mut(at) {
            (1..=segment.field_count()).for_each(|field| marks.set(field));
        }
    }

    /// Goes through every populated field once, and tells of those that nothing accounts for.
    pub(super) fn close_ledger(&mut self) -> Ledger {
        self.gaps.tell_times_without_offset();
        let segments = std::mem::take(&mut self.segments);
        let is_result = |segment: &Segment<'_>| RESULT_SEGMENTS.contains(&segment.name());
        let first_result = segments.iter().position(is_result).unwrap_or(segments.len());
        let last_result = segments.iter().rposition(is_result).unwrap_or(0);
        let mut entries = Vec::with_capacity(segments.len() * FIELDS_USUAL);
        for (at, segment) in segments.iter().enumerate() {
            let from = entries.len();
            self.account(at, *segment, &mut entries);
            self.tell_swallowed(*segment);
            let unread: Vec<Location> = entries
                .iter()
                .skip(from)
                .filter(|entry: &&LedgerEntry| entry.outcome == Outcome::Unaccounted)
                .filter_map(|entry| match entry.field {
                    Position::Field(location) => Some(location),
                    Position::Place(_) => None,
                })
                .collect();
            self.tell_unread(*segment, &unread, first_result < at && at < last_result);
        }
        self.segments = segments;
        Ledger {
            entries,
            homes: std::mem::take(&mut self.homes),
            uses: std::mem::take(&mut self.uses),
            asked: std::mem::take(&mut self.gaps.asked),
            unread: std::mem::take(&mut self.unread),
        }
    }

    /// Holds where a result stands inside another segment, because the line break before it is missing.
    fn tell_swallowed(&mut self, segment: Segment<'m>) {
        if memmem::rfind(segment.raw().as_bytes(), RESULT_SEGMENT.as_bytes()).is_none_or(|at| at == 0) {
            return;
        }
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Tables 0440 and 0125: every type is two or three capital letters.
        let is_type =
            |text: &str| matches!(text.len(), 2 | 3) && text.bytes().all(|byte| byte.is_ascii_uppercase());
        let begins_after = |number: &u32| {
            let [before, set_id, kind] = [0, 1, 2].map(|more| segment.field(number + more).raw());
            before.ends_with(RESULT_SEGMENT) && is_digits(set_id) && is_type(kind)
        };
        if let Some(number) = (1..=segment.field_count()).find(begins_after) {
            let help = "ask the sender to end every segment with a carriage return";
            let message = "a result begins inside this field: the line break before it is missing";
            self.error(code::SWALLOWED, segment.location().field(number), message, help);
        }
    }

    fn account(&self, at: usize, segment: Segment<'m>, entries: &mut Vec<LedgerEntry>) {
        let marks = self.marks.get(at).copied().unwrap_or_default();
        let name = segment.name();
        let ignores = &self.mapping.ignores;
        let read_always: &[u32] = match name {
            "MSH" => &HEADER_FIELDS,
            // The set id counts segments, as we do.
            "OBR" | "OBX" | "NTE" | "SPM" | "PID" => &[1],
            _ => &[],
        };
        for number in (1..=segment.field_count()).filter(|number| segment.has(*number)) {
            let field = segment.field(number);
            if !field.is_populated() {
                continue;
            }
            let by_name = || {
                ignores
                    .iter()
                    .position(|it| matches!(&it.path, Path::Hl7v2(path) if segment.is(path.segment_name()) && path.field.is_none_or(|it| it == number)))
            };
            let outcome = if marks.has(number) || read_always.contains(&number) {
                Outcome::Used
            } else {
                by_name().map_or(Outcome::Unaccounted, Outcome::Ignored)
            };
            entries.push(LedgerEntry { field: Position::Field(field.location()), outcome });
        }
    }

    fn tell_unread(&mut self, segment: Segment<'m>, unread: &[Location], among_results: bool) {
        let Some(first) = unread.first() else { return };
        let name = segment.name();
        let holds = RESULT_SEGMENTS.contains(&name) || name.starts_with('Z') && among_results;
        let entry = |at: &Location| Unread { at: Position::Field(*at), name: None, count: 1, holds };
        self.unread.extend(unread.iter().map(entry));
        let mapping = format!("mappings/labs/{}/mapping.toml", self.mapping.lab);
        if RESULT_SEGMENTS.contains(&name) {
            for at in unread {
                let field = at.field_number().unwrap_or_default();
                self.error(
                    code::UNACCOUNTED,
                    *at,
                    format!("no rule reads {name}-{field}, and it may matter to the result"),
                    format!("add to {mapping} a rule that reads `{name}-{field}`, or `[[ignore]]` with `path = \"{name}-{field}\"` and `why = \"…\"`"),
                );
            }
        } else if name.starts_with('Z') && among_results {
            let help = format!(
                "add to {mapping} a rule that reads it, or `[[ignore]]` with `path = \"{name}\"` and `why = \"…\"`"
            );
            self.error(
                code::LOCAL_SEGMENT,
                segment.location(),
                format!("the local segment {name} stands among the results, and no rule reads it"),
                help,
            );
        } else {
            let fields: Vec<String> = unread
                .iter()
                .filter_map(Location::field_number)
                .map(|field| format!("{name}-{field}"))
                .collect();
            let message = format!("no rule reads {}", fields.join(", "));
            let help = format!(
                "nothing need be done; to silence this, add `[[ignore]]` with `path = \"{name}\"` to {mapping}"
            );
            self.gaps
                .diagnostics
                .push(Diagnostic::info(code::UNREAD, message).at(first.to_string()).help(help));
        }
    }
}

fn same_field(a: Element<'_>, b: Element<'_>) -> bool {
    let (a, b) = (a.location(), b.location());
    a.segment_name() == b.segment_name() && a.field_number() == b.field_number()
}

fn first_path(rule: &Rule) -> String {
    rule.sources.first().map(ToString::to_string).unwrap_or_default()
}
