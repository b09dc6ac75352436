//! Which of the places that a rule read gave which value.
//!
//! The reader keeps which rule read which place for what; which part of a composite field became which part of the
//! model is found here by what stands in both: the text as sent, the row or entry that has it, else the whole field.

use std::collections::BTreeMap;

use crate::clinical::mapping::inbound::Ledger;
use crate::clinical::mapping::inbound::Position;
use crate::clinical::mapping::inbound::trace::How;
use crate::clinical::mapping::inbound::trace::Origin;
use crate::clinical::mapping::inbound::trace::canonical;
use crate::clinical::mapping::inbound::trace::canonical::Canonical;
use crate::clinical::mapping::inbound::trace::canonical::Leaf;
use crate::clinical::mapping::inbound::trace::canonical::Owner;
use crate::clinical::mapping::inbound::trace::canonical::Part;
use crate::clinical::mapping::inbound::trace::relation;
use crate::clinical::mapping::inbound::trace::source::Source;
use crate::clinical::mapping::inbound::trace::source::is_within;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Column;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;

pub(super) struct Attribution<'a> {
    mapping: &'a Mapping,
    source: &'a Source,
    canonical: &'a Canonical,
    uses: BTreeMap<(RuleId, u32), Vec<&'a Position>>,
    /// Texts of `identifiers[0].kind` and `extra[0][0]`, by path: what decides which rule filled the item.
    names: BTreeMap<&'a str, &'a str>,
    /// Uses that an earlier item of the same list came from.
    taken: BTreeMap<(usize, RuleId), Vec<usize>>,
}

/// One reading of one place by one rule: the leaves there, or the constant of the rule.
struct Read<'a> {
    id: RuleId,
    rule: &'a Rule,
    leaves: Vec<usize>,
}

/// The leaves of one member, or of one item of it, with what may have filled them.
struct Group<'g, 'a> {
    owner: &'g Owner,
    leaves: &'g [Leaf],
    reads: &'g [Read<'a>],
    chosen: &'g [usize],
}

impl<'a> Attribution<'a> {
    pub(super) fn new(
        mapping: &'a Mapping,
        source: &'a Source,
        ledger: &'a Ledger,
        canonical: &'a Canonical,
    ) -> Self {
        let mut uses: BTreeMap<(RuleId, u32), Vec<&Position>> = BTreeMap::new();
        for it in &ledger.uses {
            let known = uses.entry((it.rule, it.scope)).or_default();
            if !known.contains(&&it.at) {
                known.push(&it.at);
            }
        }
        let decides = |leaf: &&Leaf| leaf.path.ends_with("].kind") || leaf.path.ends_with("][0]");
        let names = canonical.leaves.iter().filter(decides);
        let names = names.map(|leaf| (leaf.path.as_str(), leaf.text.as_str())).collect();
        Self { mapping, source, canonical, uses, names, taken: BTreeMap::new() }
    }

    /// The origin of every leaf that a rule read; the others are derived from these.
    pub(super) fn origins(mut self) -> Vec<Option<Origin>> {
        let leaves = &self.canonical.leaves;
        let mut origins = Vec::with_capacity(leaves.len());
        for group in leaves.chunk_by(|a, b| (a.owner, &a.member, a.item) == (b.owner, &b.member, b.item)) {
            let Some((leaf, owner)) = group.first().and_then(|it| Some((it, self.canonical.owner(it)?)))
            else {
                continue;
            };
            let reads = self.reads(owner, leaf);
            let chosen = self.choose(leaf.owner, group, &reads);
            let group = Group { owner, leaves: group, reads: &reads, chosen: &chosen };
            origins.extend(group.leaves.iter().map(|leaf| self.origin(&group, leaf)));
        }
        origins
    }

    /// Every reading of the rules that fill this member, in the order of the rules.
    fn reads(&self, owner: &Owner, leaf: &Leaf) -> Vec<Read<'a>> {
        let mut reads = Vec::new();
        let rules = self.rules(owner, leaf);
        for id in rules.into_iter().flat_map(|id| self.mapping.alternatives(id)) {
            let Some(rule) = self.mapping.rule(id) else { continue };
            if rule.constant.is_some() {
                reads.push(Read { id, rule, leaves: Vec::new() });
            }
            for scope in &owner.scopes {
                let positions = self.uses.get(&(id, *scope)).map(Vec::as_slice).unwrap_or_default();
                reads.extend(positions.iter().map(|at| Read { id, rule, leaves: self.source.below(at) }));
            }
        }
        if owner.part == Part::Attachment {
            reads.extend(self.attached(owner));
        }
        reads
    }

    /// A document of a report, where a rule of the report reads it.
    fn attached(&self, owner: &Owner) -> Vec<Read<'a>> {
        let Some((first, _)) = self.mapping.of(Field::Attachments) else { return Vec::new() };
        let mut reads = Vec::new();
        for id in self.mapping.alternatives(first) {
            let Some(rule) = self.mapping.rule(id) else { continue };
            let of_rule = self.uses.iter().filter(|((it, _), _)| *it == id);
            let here = of_rule
                .flat_map(|(_, positions)| positions)
                .filter(|at| matches!(at, Position::Place(place) if is_within(place, &owner.id)));
            reads.extend(here.map(|at| Read { id, rule, leaves: self.source.below(at) }));
        }
        reads
    }

    fn rules(&self, owner: &Owner, leaf: &Leaf) -> Vec<RuleId> {
        let section = owner.part.section();
        let member = leaf.member.as_str();
        let item = leaf.item.map(|item| format!("{}.{member}[{item}]", owner.path)).unwrap_or_default();
        if member == "id" {
            return Vec::new();
        }
        if owner.part == Part::Attachment {
            let field = if member == "title" { Field::ResultCode } else { Field::ResultValue };
            return self.mapping.of(field).map(|(id, _)| id).into_iter().collect();
        }
        if owner.part == Part::Specimen && owner.id.ends_with(canonical::OBR_15) {
            return self.mapping.of(Field::PanelSpecimen).map(|(id, _)| id).into_iter().collect();
        }
        if member == "extra" {
            let name = self.names.get(format!("{item}[0]").as_str()).copied().unwrap_or_default();
            return self.extra_rules(section, name);
        }
        let kind = self.names.get(format!("{item}.kind").as_str()).copied();
        let fills = |field: &Field| {
            let is_one = field.name() == member || canonical::members(*field).contains(&member);
            let is_of_kind = match (field, kind) {
                (Field::NhsNumber, Some(kind)) => kind != "other",
                (Field::Identifiers, Some(kind)) => kind == "other",
                _ => true,
            };
            field.section() == section && is_one && is_of_kind
        };
        let fields = Field::ALL.iter().copied().filter(fills);
        fields
            .filter_map(|field| self.in_column(owner, field).or_else(|| Some(self.mapping.of(field)?.0)))
            .collect()
    }

    /// The rule of the column that a result stands in.
    fn in_column(&self, owner: &Owner, field: Field) -> Option<RuleId> {
        let (_, name) = owner.id.split_once(", ")?;
        let of = |column: &Column, field: Field| {
            column.rules.iter().find(|(it, _)| *it == field).map(|(_, id)| *id)
        };
        let column = self.mapping.columns.iter().find(|column| {
            let value = of(column, Field::ResultValue).and_then(|id| self.mapping.rule(id));
            value.and_then(|rule| rule.sources.first()).is_some_and(|path| path.to_string() == name)
        })?;
        of(column, field)
    }

    fn extra_rules(&self, section: &str, name: &str) -> Vec<RuleId> {
        let listed = match section {
            "panel" => &self.mapping.panel_extra,
            "specimen" => &self.mapping.specimen_extra,
            _ => &self.mapping.result_extra,
        };
        if let Some((_, id)) = listed.iter().find(|(it, _)| it == name) {
            return vec![*id];
        }
        // What the reader puts there itself, rather than lose it.
        let field = match name {
            "order_number" => Field::OrderNumber,
            "specimen" => Field::PanelSpecimen,
            "value_absent_reason" => Field::ResultAbsentReason,
            _ => return Vec::new(),
        };
        self.mapping.of(field).map(|(id, _)| id).into_iter().collect()
    }

    /// Of each rule the one reading that this group of leaves came from.
    fn choose(&mut self, owner: usize, group: &[Leaf], reads: &[Read<'a>]) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::new();
        for (first, read) in reads.iter().enumerate() {
            if reads.iter().take(first).any(|earlier| earlier.id == read.id) {
                continue;
            }
            let taken = self.taken.entry((owner, read.id)).or_default();
            let is_list = relation::is_list(read.rule);
            let of_rule = reads.iter().enumerate().filter(|(_, it)| it.id == read.id);
            let best = of_rule.max_by_key(|(at, it)| {
                let score = score(self.source, group, it);
                let is_new = !is_list || !taken.contains(at);
                (score, is_new, std::cmp::Reverse(*at))
            });
            if let Some((at, _)) = best {
                taken.push(at);
                chosen.push(at);
            }
        }
        chosen
    }

    fn origin(&self, group: &Group<'_, 'a>, leaf: &Leaf) -> Option<Origin> {
        let Group { reads, chosen, .. } = *group;
        let rest = leaf.rest(group.owner);
        let origin = |from: Vec<usize>, read: &Read<'_>, how| Origin {
            path: leaf.path.clone(),
            text: leaf.text.clone(),
            from,
            rule: Some(read.id),
            how,
        };
        for read in chosen.iter().filter_map(|at| reads.get(*at)) {
            if let Some(constant) = &read.rule.constant {
                let how = relation::of(read.rule, leaf, rest, constant).unwrap_or(How::Constant);
                let how = if matches!(how, How::AsSent) { How::Constant } else { how };
                return Some(origin(Vec::new(), read, how));
            }
            if let Some((from, how)) = self.related(group, leaf, read) {
                return Some(origin(from, read, how));
            }
        }
        let first = reads.iter().find(|read| !read.leaves.is_empty()).or(reads.first())?;
        let of_rule = || reads.iter().filter(|read| read.id == first.id);
        let parts: Vec<usize> = of_rule()
            .flat_map(|read| &read.leaves)
            .copied()
            .filter(|at| {
                self.source.leaves.get(*at).is_some_and(|it| relation::is_part(&leaf.text, &it.text))
            })
            .collect();
        if !parts.is_empty() {
            return Some(origin(parts, first, How::Part));
        }
        // A value is what it is by its type, which the same rule reads from elsewhere.
        let is_whole = first.rule.value_type.is_some();
        let of_one = chosen.iter().filter_map(|at| reads.get(*at)).find(|read| read.id == first.id);
        let from = match of_one.filter(|_| !is_whole) {
            Some(read) => read.leaves.clone(),
            None => of_rule().flat_map(|read| read.leaves.clone()).collect(),
        };
        Some(origin(from, first, How::Derived(relation::derivation(first.rule, leaf))))
    }

    /// The leaves of one reading that say this value, and how.
    fn related(&self, group: &Group<'_, 'a>, leaf: &Leaf, read: &Read<'_>) -> Option<(Vec<usize>, How)> {
        let rest = leaf.rest(group.owner);
        let mut from: Vec<(usize, How)> = Vec::new();
        for at in &read.leaves {
            let text = self.source.leaves.get(*at).map(|it| it.text.as_str()).unwrap_or_default();
            if let Some(how) = relation::of(read.rule, leaf, rest, text) {
                from.push((*at, how));
            }
        }
        let (_, first) = from.first().cloned()?;
        // The same text may stand in several parts; a row or entry is asked with the first only.
        let same = |(at, how): &(usize, How)| (*how == first).then_some(*at);
        let all: Vec<usize> = from.iter().filter_map(same).collect();
        let from = match first {
            How::AsSent if relation::is_code(read.rule) => in_order(group.leaves, leaf, &all),
            How::AsSent => all,
            _ => all.into_iter().take(1).collect(),
        };
        Some((from, first))
    }
}

/// Where a text stands in as many parts of the field as of the model, each is the other's in its turn.
fn in_order(group: &[Leaf], leaf: &Leaf, all: &[usize]) -> Vec<usize> {
    let same: Vec<&Leaf> = group.iter().filter(|it| it.text == leaf.text).collect();
    let turn = same.iter().position(|it| it.path == leaf.path).filter(|_| same.len() == all.len());
    turn.and_then(|turn| all.get(turn)).map_or_else(|| all.to_vec(), |at| vec![*at])
}

/// How many leaves of a group one reading says.
fn score(source: &Source, group: &[Leaf], read: &Read<'_>) -> usize {
    let says = |leaf: &&Leaf| {
        read.leaves.iter().any(|at| {
            source.leaves.get(*at).is_some_and(|it| relation::of(read.rule, leaf, "", &it.text).is_some())
        })
    };
    group.iter().filter(says).count()
}
