//! Finds what a rule's paths name in a tree, and keeps the account of every leaf.

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::gaps::Gaps;
use crate::clinical::mapping::inbound::ledger;
use crate::clinical::mapping::inbound::ledger::Home;
use crate::clinical::mapping::inbound::ledger::Ledger;
use crate::clinical::mapping::inbound::ledger::LedgerEntry;
use crate::clinical::mapping::inbound::ledger::Outcome;
use crate::clinical::mapping::inbound::ledger::Position;
use crate::clinical::mapping::inbound::ledger::Unread;
use crate::clinical::mapping::inbound::ledger::Use;
use crate::clinical::mapping::inbound::tree::document::Document;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::language::RESULT_RESOURCES;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::diagnostic::Diagnostic;
use crate::formats::tree;
use crate::formats::tree::Node;

/// Other places at which the same was found, beyond which they are only counted.
const PLACES_TOLD_MAX: usize = 3;

/// Where a rule looks.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    pub(super) at: usize,
    /// The observation of which this is a component, which says what the component does not.
    pub(super) outer: Option<usize>,
    /// The column of results at hand, where each row is a patient.
    pub(super) column: Option<usize>,
}

impl Scope {
    pub(super) const fn at(at: usize) -> Self {
        Self { at, outer: None, column: None }
    }
}

/// What a place belongs to; an unread leaf of a result holds, of anything else it is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Of what its parent is.
    Inherited,
    Other,
    Result,
}

pub(super) struct Reader<'a, 'n> {
    pub(super) mapping: &'a Mapping,
    pub(super) gaps: Gaps<'a>,
    pub(super) document: Document<'n>,
    used: Vec<bool>,
    parts: Vec<Part>,
    uses: Vec<Use>,
    pub(super) homes: Vec<Home>,
}

impl<'a, 'n> Reader<'a, 'n> {
    pub(super) fn new(mapping: &'a Mapping, root: &'n Node, lines: Vec<usize>) -> Self {
        let document = Document::of(root, mapping.format, lines);
        let mut parts = vec![Part::Inherited; document.len()];
        for (at, part) in parts.iter_mut().enumerate() {
            if at == 0 || document.resource_type(at).is_some() {
                *part = Part::Other;
            }
        }
        Self {
            mapping,
            gaps: Gaps::new(mapping),
            used: vec![false; document.len()],
            parts,
            document,
            uses: Vec::new(),
            homes: Vec::new(),
        }
    }

    /// The rule of a field: that of the column at hand, else the section's.
    pub(super) fn rule(&mut self, field: Field, scope: Scope) -> Option<(RuleId, &'a Rule)> {
        let rule = self.rule_anywhere(field, scope)?;
        self.chosen(rule, scope)
    }

    /// The rule of a field, whether or not its conditions hold here.
    pub(super) fn rule_anywhere(&self, field: Field, scope: Scope) -> Option<(RuleId, &'a Rule)> {
        let mapping = self.mapping;
        let of_column = scope
            .column
            .and_then(|column| mapping.columns.get(column)?.rules.iter().find(|(of, _)| *of == field))
            .and_then(|(_, id)| Some((*id, mapping.rule(*id)?)));
        of_column.or_else(|| mapping.of(field))
    }

    /// Of a rule's alternatives the first whose conditions hold.
    pub(super) fn chosen(&mut self, rule: (RuleId, &'a Rule), scope: Scope) -> Option<(RuleId, &'a Rule)> {
        let mapping = self.mapping;
        mapping.chosen(rule, |condition| {
            condition.test.holds(self.considered(&condition.path, scope).into_iter())
        })
    }

    /// The texts where a condition looks. They are accounted for: the mapping has considered them.
    fn considered(&mut self, path: &Path, scope: Scope) -> Vec<String> {
        let Path::Tree(path) = path else { return Vec::new() };
        let found = self.document.select(path, scope.at);
        found.touched.iter().for_each(|at| self.mark(*at));
        let leaves: Vec<usize> = found.places.iter().flat_map(|at| self.document.below(*at)).collect();
        leaves.into_iter().filter_map(|at| self.text_at(at).map(str::to_owned)).collect()
    }

    pub(super) fn mark(&mut self, at: usize) {
        if let Some(used) = self.used.get_mut(at) {
            *used = true;
        }
    }

    pub(super) fn mark_below(&mut self, at: usize) {
        self.document.below(at).for_each(|at| self.mark(at));
    }

    pub(super) fn belongs(&mut self, at: usize, to: Part) {
        if let Some(part) = self.parts.get_mut(at) {
            *part = to;
        }
    }

    /// The places where a section begins; the place at hand where the mapping names none.
    pub(super) fn begins(&mut self, paths: &'a [tree::Path], from: usize) -> Vec<usize> {
        let mut places = Vec::new();
        for path in paths {
            let found = self.document.select(path, from);
            found.touched.iter().for_each(|at| self.mark(*at));
            for at in found.unresolved {
                self.mark_below(at);
                let help = "ask the sender to put what it refers to into the same Bundle";
                let position = self.document.position(at);
                self.gaps.error(
                    code::UNRESOLVED,
                    position,
                    "the reference points at nothing in the document",
                    help,
                );
            }
            for at in found.places {
                if !places.contains(&at) {
                    places.push(at);
                }
            }
        }
        places
    }

    /// The text of a leaf, trimmed; `None` where it is empty. It is read from here on.
    pub(super) fn text_at(&mut self, at: usize) -> Option<&'n str> {
        let text = self.document.node(at).text()?.trim();
        self.mark(at);
        (!text.is_empty()).then_some(text)
    }

    /// The text of an object's member, read.
    pub(super) fn part(&mut self, at: usize, name: &str) -> Option<&'n str> {
        let members = self.document.members(at, name);
        self.text_at(*members.first()?)
    }

    /// The texts of all members of this name, as for `given` of a name.
    pub(super) fn parts_of(&mut self, at: usize, name: &str) -> Vec<&'n str> {
        let members = self.document.members(at, name);
        members.into_iter().filter_map(|it| self.text_at(it)).collect()
    }

    fn is_populated(&self, at: usize) -> bool {
        match self.document.node(at) {
            Node::Object(members) => !members.is_empty(),
            node => node.text().is_some_and(|text| !text.trim().is_empty()),
        }
    }

    /// Whether a path leads to something, which stays unread.
    pub(super) fn is_there(&self, path: &Path, at: usize) -> bool {
        let Path::Tree(path) = path else { return false };
        self.document.select(path, at).places.iter().any(|at| self.is_populated(*at))
    }

    fn visit(&mut self, id: RuleId, path: &Path, scope: Scope, each: &mut dyn FnMut(usize)) {
        let Path::Tree(path) = path else { return };
        let mut found = self.document.select(path, scope.at);
        if found.places.iter().all(|at| !self.is_populated(*at))
            && let Some(outer) = scope.outer
        {
            found = self.document.select(path, outer);
        }
        found.touched.iter().for_each(|at| self.mark(*at));
        for at in found.places {
            if self.is_populated(at) {
                let position = Position::Place(self.document.position(at));
                self.uses.push(Use { rule: id, at: position, scope: ledger::scope(scope.at) });
                each(at);
            }
        }
    }

    /// Every populated place that the rule's sources name.
    pub(super) fn all(&mut self, (id, rule): (RuleId, &'a Rule), scope: Scope) -> Vec<usize> {
        let mut found = Vec::new();
        for path in &rule.sources {
            let mut here = Vec::new();
            self.visit(id, path, scope, &mut |at| here.push(at));
            if rule.each || found.is_empty() {
                found.append(&mut here);
            } else {
                // Of `first_of` the first path that has something serves; the others have been considered.
                for at in here {
                    self.mark_below(at);
                }
            }
        }
        if found.is_empty() {
            self.demand(rule, scope);
        }
        found
    }

    /// Holds where a rule that must find something finds nothing.
    fn demand(&mut self, rule: &Rule, scope: Scope) {
        if rule.required {
            let position = self.expected_at(rule, scope);
            self.gaps.demand(rule, position);
        }
    }

    /// The first populated place that the rule's sources name, else that its fallbacks name.
    ///
    /// What the other sources name counts as read: the rule has considered it.
    pub(super) fn first(&mut self, (id, rule): (RuleId, &'a Rule), scope: Scope) -> Option<usize> {
        let mut chosen: Option<usize> = None;
        for path in &rule.sources {
            let mut found = Vec::new();
            self.visit(id, path, scope, &mut |at| found.push(at));
            let [first, rest @ ..] = found.as_slice() else { continue };
            if chosen.is_some() {
                for at in found {
                    self.mark_below(at);
                }
                continue;
            }
            chosen = Some(*first);
            let differs = |at: &&usize| self.document.node(**at) != self.document.node(*first);
            if let Some(further) = rest.iter().find(differs) {
                let message = format!("there are several, and `{}` reads the first only", rule.name);
                let help = format!("choose one in the mapping, instead of `{path}`");
                let position = self.document.position(*further);
                self.gaps.warn(code::REPEATED, position, message, help);
            }
            for at in rest {
                self.mark_below(*at);
            }
        }
        for path in &rule.fallback {
            let mut found = Vec::new();
            self.visit(id, path, scope, &mut |at| found.push(at));
            for at in found {
                if chosen.is_none() {
                    chosen = Some(at);
                    let first = rule.sources.first().map(ToString::to_string).unwrap_or_default();
                    let message = format!("`{}` was read from here: {first} is empty", rule.name);
                    let position = self.document.position(at);
                    self.gaps.warn(
                        code::FALLBACK,
                        position,
                        message,
                        format!("ask the sender to fill {first}"),
                    );
                } else if chosen != Some(at) {
                    self.mark_below(at);
                }
            }
        }
        if chosen.is_none() {
            self.demand(rule, scope);
        }
        chosen
    }

    pub(super) fn position(&self, at: usize) -> String {
        self.document.position(at)
    }

    /// Where a rule looks first, for a diagnostic about what is not there.
    pub(super) fn expected_at(&self, rule: &Rule, scope: Scope) -> String {
        let path = rule.sources.first().map(ToString::to_string).unwrap_or_default();
        let place = self.document.position(scope.at);
        match self.mapping.format {
            Format::Fhir => format!("{place}.{path}"),
            Format::Json if path.starts_with('/') => path,
            Format::Json => format!("{}/{path}", place.trim_end_matches('/')),
            _ => format!("{place}, {path}"),
        }
    }

    /// Goes through every populated leaf once, and tells of those that nothing accounts for.
    pub(super) fn close_ledger(&mut self) -> Ledger {
        self.gaps.tell_times_without_offset();
        let mut entries = Vec::new();
        let mut unread: Vec<Unread> = Vec::new();
        let mut resources_told: Vec<usize> = Vec::new();
        for at in 0..self.document.len() {
            if self.document.node(at).text().is_none_or(|text| text.trim().is_empty()) {
                continue;
            }
            let outcome = if self.used.get(at).copied().unwrap_or_default() {
                Outcome::Used
            } else {
                self.ignored(at).map_or(Outcome::Unaccounted, Outcome::Ignored)
            };
            if outcome == Outcome::Unaccounted {
                let resource = self.document.resource(at);
                if self.is_result_nobody_read(resource) {
                    if !resources_told.contains(&resource) {
                        resources_told.push(resource);
                    }
                } else {
                    let (name, holds) = (self.spelled(at), self.is_of_result(at));
                    let known =
                        unread.iter_mut().find(|it| it.name.as_ref() == Some(&name) && it.holds == holds);
                    if let Some(known) = known {
                        known.count += 1;
                    } else {
                        let at = Position::Place(self.document.position(at));
                        unread.push(Unread { at, name: Some(name), count: 1, holds });
                    }
                }
            }
            entries.push(LedgerEntry { field: Position::Place(self.document.position(at)), outcome });
        }
        let alone: Vec<Unread> = resources_told.into_iter().map(|at| self.tell_alone(at)).collect();
        self.tell_unread(&unread);
        unread.extend(alone);
        Ledger {
            entries,
            homes: std::mem::take(&mut self.homes),
            uses: std::mem::take(&mut self.uses),
            asked: std::mem::take(&mut self.gaps.asked),
            unread,
        }
    }

    /// Tells of a resource of results that no path led to.
    fn tell_alone(&mut self, at: usize) -> Unread {
        let kind = self.document.resource_type(at).unwrap_or_default();
        let message = format!("no report of the document refers to this {kind}");
        let help = "ask the sender for a DiagnosticReport that names every result it reports";
        let position = self.position(at);
        self.gaps.error(code::RESULT_ALONE, position.clone(), message, help);
        Unread { at: Position::Place(position), name: Some(kind.to_owned()), count: 1, holds: true }
    }

    /// Whether nothing led to a resource of results.
    fn is_result_nobody_read(&self, resource: usize) -> bool {
        self.mapping.format == Format::Fhir
            && self.parts.get(resource) == Some(&Part::Other)
            && self.document.resource_type(resource).is_some_and(|it| RESULT_RESOURCES.contains(&it))
    }

    fn is_of_result(&self, at: usize) -> bool {
        let mut at = at;
        loop {
            match self.parts.get(at) {
                Some(Part::Inherited) if at != 0 => at = self.document.parent(at),
                part => return part == Some(&Part::Result),
            }
        }
    }

    fn ignored(&self, at: usize) -> Option<usize> {
        let names = self.document.names(at);
        let in_resource = || {
            let resource = self.document.resource(at);
            let depth = self.document.names(resource).len();
            (self.document.resource_type(resource), names.get(depth..).unwrap_or_default())
        };
        self.mapping.ignores.iter().position(|ignore| {
            let Path::Tree(path) = &ignore.path else { return false };
            let wanted: Vec<&str> = path.names().collect();
            match path.root_type() {
                Some(kind) => {
                    let (own, names) = in_resource();
                    own == Some(kind) && names.starts_with(&wanted)
                }
                None if path.is_anchored() => names.starts_with(&wanted),
                None => names.windows(wanted.len().max(1)).any(|part| part == wanted),
            }
        })
    }

    /// A leaf as `[[ignore]]` would name it.
    fn spelled(&self, at: usize) -> String {
        let names = self.document.names(at);
        match self.mapping.format {
            Format::Fhir => {
                let resource = self.document.resource(at);
                let depth = self.document.names(resource).len();
                let kind = self.document.resource_type(resource).unwrap_or("$this");
                let inner = names.get(depth..).unwrap_or_default().join(".");
                format!("{kind}.{inner}")
            }
            Format::Json => format!("/{}", names.join("/")),
            _ => names.join("."),
        }
    }

    fn tell_unread(&mut self, unread: &[Unread]) {
        let mapping = format!("mappings/labs/{}/mapping.toml", self.mapping.lab);
        for it in unread {
            let (name, position) = (it.name(), it.at.to_string());
            let times = if it.count > 1 { format!(" ({} times)", it.count) } else { String::new() };
            if it.holds {
                let message = format!("no rule reads `{name}`{times}, and it may matter to the result");
                let help = format!(
                    "add to {mapping} a rule that reads it, or `[[ignore]]` with `path = \"{name}\"` and `why = \"…\"`"
                );
                self.gaps.error(code::UNACCOUNTED, position, message, help);
            } else {
                let message = format!("no rule reads `{name}`{times}");
                let help = format!(
                    "nothing need be done; to silence this, add `[[ignore]]` with `path = \"{name}\"` to {mapping}"
                );
                self.gaps.diagnostics.push(Diagnostic::info(code::UNREAD, message).at(position).help(help));
            }
        }
    }

    /// Makes one of many that say the same, as each row of a file may.
    pub(super) fn gather(&mut self) {
        let mut gathered: Vec<(Diagnostic, usize, Vec<String>)> = Vec::new();
        for diagnostic in std::mem::take(&mut self.gaps.diagnostics) {
            // Each result that is in no report is told by its own place: nothing else shows that it was sent.
            let same = gathered.iter_mut().find(|(it, ..)| {
                it.code == diagnostic.code
                    && it.code != code::RESULT_ALONE
                    && it.message == diagnostic.message
                    && it.severity == diagnostic.severity
            });
            match same {
                Some((first, count, places)) => {
                    if first.position != diagnostic.position {
                        *count += 1;
                        if places.len() < PLACES_TOLD_MAX {
                            places.push(diagnostic.position);
                        }
                    }
                }
                None => gathered.push((diagnostic, 0, Vec::new())),
            }
        }
        self.gaps.diagnostics = gathered
            .into_iter()
            .map(|(diagnostic, count, places)| match count.checked_sub(places.len()) {
                _ if count == 0 => diagnostic,
                Some(0) | None => diagnostic.fact(format!("also at {}", places.join("; "))),
                Some(more) => diagnostic.fact(format!("also at {}; and {more} more", places.join("; "))),
            })
            .collect();
    }
}
