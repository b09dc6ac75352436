//! Where a text stands in a message, and what became of that place.

use haemosync_gateway::clinical::mapping::Outcome;
use haemosync_gateway::clinical::mapping::Reading;
use haemosync_gateway::formats::csv;
use haemosync_gateway::formats::hl7v2;
use haemosync_gateway::formats::hl7v2::Element;
use haemosync_gateway::formats::tree::Node;

use crate::corpus::peers::texts::Texts;

/// One field of a message, cell of a table or leaf of a document.
pub(super) struct Place {
    /// As the ledger and diagnostics name it.
    pub(super) at: String,
    /// None where the message was not read so far.
    pub(super) outcome: Option<Outcome>,
    pub(super) texts: Texts,
}

impl Place {
    /// Of HL7 v2, the field without the segment's number, such as `OBR-25`.
    pub(super) fn field(&self) -> String {
        let (segment, field) = self.at.split_once('-').unwrap_or((&self.at, ""));
        format!("{}-{field}", segment.split('[').next().unwrap_or(segment))
    }

    /// Whether the place is this one, or within it.
    pub(super) fn is_within(&self, position: &str) -> bool {
        self.at.strip_prefix(position).is_some_and(|rest| !rest.starts_with(|it: char| it.is_ascii_digit()))
    }
}

/// The places of a message of HL7 v2. The number of a segment among its like is no text of the message.
pub(super) fn of_message(message: &hl7v2::Message<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for segment in message.segments() {
        for field in segment.fields().filter(Element::is_populated) {
            let is_number = field.raw().bytes().all(|it| it.is_ascii_digit());
            if is_number && field.location().field_number() == Some(1) {
                continue;
            }
            let mut texts = Texts::default();
            texts.add(field.raw());
            texts.add(&field.text());
            for part in field.repetitions().flat_map(|it| it.components()) {
                texts.add(&part.text());
                part.subcomponents().for_each(|it| texts.add(&it.text()));
            }
            places.push(Place { at: field.location().to_string(), outcome: None, texts });
        }
    }
    places
}

/// The places of a FHIR document.
pub(super) fn of_document(root: &Node) -> Vec<Place> {
    let mut places = Vec::new();
    let name = root.get("resourceType").and_then(Node::text).unwrap_or("$this");
    leaves(root, name, &mut places);
    places
}

fn leaves(node: &Node, at: &str, places: &mut Vec<Place>) {
    match node {
        Node::Object(members) => {
            for (name, member) in members {
                leaves(member, &format!("{at}.{name}"), places);
            }
        }
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{at}[{index}]"), places);
            }
        }
        leaf => places.push(place(at.to_owned(), leaf.text().unwrap_or_default())),
    }
}

pub(super) fn of_table(table: &csv::Table) -> Vec<Place> {
    let rows = table.rows.iter();
    let cells = rows.flat_map(|row| table.columns.iter().zip(&row.cells).map(move |it| (row.line, it)));
    cells.map(|(line, (column, cell))| place(format!("line {line}, {column}"), cell)).collect()
}

fn place(at: String, text: &str) -> Place {
    let mut texts = Texts::default();
    texts.add(text);
    Place { at, outcome: None, texts }
}

/// Adds what became of each place.
pub(super) fn close(places: &mut [Place], reading: &Reading) {
    let entries = reading.ledger.entries.iter().map(|it| (it.field.to_string(), it.outcome));
    let outcomes: std::collections::HashMap<String, Outcome> = entries.collect();
    for place in places {
        place.outcome = outcomes.get(&place.at).copied();
    }
}
