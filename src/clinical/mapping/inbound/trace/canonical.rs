//! The canonical reports as leaves, each with the part of the report it belongs to.

use serde_json::Value;

use crate::clinical::mapping::inbound::ledger::Home;
use crate::clinical::mapping::inbound::trace::source::Source;
use crate::clinical::mapping::language::Field;

/// What of a report a leaf is part of; all but the last two are sections of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Message,
    Patient,
    Report,
    Panel,
    Result,
    Specimen,
    Note,
    Attachment,
}

impl Part {
    /// The section of the mapping that fills it. A result's document is read by the rule for its value.
    pub(super) const fn section(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Patient => "patient",
            Self::Report | Self::Attachment => "report",
            Self::Panel => "panel",
            Self::Result => "result",
            Self::Specimen => "specimen",
            Self::Note => "note",
        }
    }
}

/// One object of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) part: Part,
    /// `reports[0].panels[0]`
    pub(super) path: String,
    /// Where it stands in the message, as the model names it.
    pub(super) id: String,
    /// What was read for it, as the ledger counts.
    pub(super) scopes: Vec<u32>,
    /// The owner it is part of.
    pub(super) parent: Option<usize>,
}

/// One value of the canonical reports. It has no `Debug`: it may be a patient's.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// `reports[0].panels[0].results[3].unit.ucum`
    pub(super) path: String,
    pub(super) text: String,
    pub(super) owner: usize,
    /// The owner's member it is in: `unit`.
    pub(super) member: String,
    /// Its own item, where the member is a list of objects: the third of `identifiers`.
    pub(super) item: Option<usize>,
}

impl Leaf {
    /// The path below the member, such as `.ucum`.
    pub(super) fn rest<'l>(&'l self, owner: &Owner) -> &'l str {
        self.path.get(owner.path.len() + 1 + self.member.len()..).unwrap_or_default()
    }
}

#[derive(Clone, Default)]
pub(super) struct Canonical {
    pub(super) owners: Vec<Owner>,
    pub(super) leaves: Vec<Leaf>,
}

impl Canonical {
    /// Lays out `{"reports": […]}`; `homes` are where the reports were read.
    pub(super) fn of(reports: &[Value], homes: &[Home], source: &Source) -> Self {
        let mut canonical = Self::default();
        for (index, (report, home)) in reports.iter().zip(homes).enumerate() {
            let walk = Walk { home, source };
            let path = format!("reports[{index}]");
            let owner = canonical.own(Part::Report, &path, String::new(), home.report.clone(), None);
            walk.object(&mut canonical, report, &path, owner);
        }
        canonical
    }

    fn own(&mut self, part: Part, path: &str, id: String, scopes: Vec<u32>, parent: Option<usize>) -> usize {
        self.owners.push(Owner { part, path: path.to_owned(), id, scopes, parent });
        self.owners.len() - 1
    }

    pub(super) fn owner(&self, leaf: &Leaf) -> Option<&Owner> {
        self.owners.get(leaf.owner)
    }
}

struct Walk<'w> {
    home: &'w Home,
    source: &'w Source,
}

impl Walk<'_> {
    /// The members of an owner; those that are owners themselves are walked as such.
    fn object(&self, canonical: &mut Canonical, value: &Value, path: &str, owner: usize) {
        let part = canonical.owners.get(owner).map(|it| it.part);
        for (name, member) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let inner = match (part, name.as_str()) {
                (Some(Part::Report), "patient") => Part::Patient,
                (Some(Part::Report), "origin") => Part::Message,
                (Some(Part::Report), "panels") => Part::Panel,
                (Some(Part::Report), "specimens") => Part::Specimen,
                (Some(Part::Report), "attachments") => Part::Attachment,
                (Some(Part::Panel), "results") => Part::Result,
                (_, "notes") => Part::Note,
                _ => {
                    leaves(canonical, member, &path, owner, name, None);
                    continue;
                }
            };
            match member {
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        self.owned(canonical, item, &format!("{path}[{index}]"), inner, owner);
                    }
                }
                one => self.owned(canonical, one, &path, inner, owner),
            }
        }
    }

    fn owned(&self, canonical: &mut Canonical, value: &Value, path: &str, part: Part, parent: usize) {
        let id = value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let scopes = match part {
            Part::Message => vec![0],
            Part::Patient => vec![self.home.patient],
            Part::Result => self.source.scope(row_of(&id)).into_iter().collect(),
            // Where there is no SPM, a specimen is that of its OBR's fifteenth field.
            _ => (self.source.scope(&id).or_else(|| self.source.scope(id.strip_suffix(OBR_15)?)))
                .into_iter()
                .collect(),
        };
        let owner = canonical.own(part, path, id, scopes, Some(parent));
        self.object(canonical, value, path, owner);
    }
}

/// What an id of a specimen ends in that is no segment of its own.
pub(super) const OBR_15: &str = "-15";

/// The place of a result's id: one in a column is of its row.
fn row_of(id: &str) -> &str {
    match id.split_once(", ") {
        Some((row, _)) if row.starts_with("line ") => row,
        _ => id,
    }
}

fn leaves(
    canonical: &mut Canonical,
    value: &Value,
    path: &str,
    owner: usize,
    member: &str,
    item: Option<usize>,
) {
    let text = match value {
        Value::Object(members) => {
            for (name, inner) in members {
                leaves(canonical, inner, &format!("{path}.{name}"), owner, member, item);
            }
            return;
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                let item = item.or(Some(index));
                leaves(canonical, inner, &format!("{path}[{index}]"), owner, member, item);
            }
            return;
        }
        Value::Null => return,
        Value::String(text) if text.is_empty() => return,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    canonical.leaves.push(Leaf { path: path.to_owned(), text, owner, member: member.to_owned(), item });
}

/// The members of the model that a field fills.
pub(super) fn members(field: Field) -> &'static [&'static str] {
    match field {
        Field::NhsNumber | Field::Identifiers => &["identifiers"],
        Field::Names | Field::Family | Field::Given => &["names"],
        Field::Sex => &["sex", "sex_sent"],
        Field::ResultStatus => &["status", "detail"],
        Field::ResultAbsentReason => &["value", "extra"],
        Field::PanelSpecimen => &["extra"],
        _ => &[],
    }
}
