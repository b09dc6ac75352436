//! The account's records: rows of JSON fields, the filterable ones typed, shown as the API shows them.
//!
//! A row keeps references as plain id columns (`patient_id`); only [`shown`] turns them into the
//! links of reference section 4.1. Nothing is ever removed from a table.

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

pub(super) type Fields = Map<String, Value>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Alerts,
    Attachments,
    Businesses,
    Notes,
    Patients,
    Practitioners,
    Templates,
    Users,
}

/// How a field is filtered (reference section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Date,
    DateTime,
    Flag,
    Number,
    Text,
}

impl Resource {
    pub(super) const ALL: [Self; 8] = [
        Self::Alerts,
        Self::Attachments,
        Self::Businesses,
        Self::Notes,
        Self::Patients,
        Self::Practitioners,
        Self::Templates,
        Self::Users,
    ];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Alerts => "medical_alerts",
            Self::Attachments => "patient_attachments",
            Self::Businesses => "businesses",
            Self::Notes => "treatment_notes",
            Self::Patients => "patients",
            Self::Practitioners => "practitioners",
            Self::Templates => "treatment_note_templates",
            Self::Users => "users",
        }
    }

    pub(super) fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.path() == path)
    }

    /// The only fields a list can be filtered and sorted by, besides those of every resource.
    fn own_filters(self) -> &'static [(&'static str, Kind)] {
        match self {
            Self::Alerts => &[
                ("archived_at", Kind::DateTime),
                ("deleted_at", Kind::DateTime),
                ("patient_id", Kind::Number),
            ],
            Self::Attachments => &[
                ("archived_at", Kind::DateTime),
                ("content_type", Kind::Text),
                ("description", Kind::Text),
                ("filename", Kind::Text),
                ("patient_id", Kind::Number),
                ("processed_at", Kind::DateTime),
                ("size", Kind::Number),
                ("user_id", Kind::Number),
            ],
            Self::Businesses | Self::Templates => {
                &[("archived_at", Kind::DateTime), ("deleted_at", Kind::DateTime)]
            }
            Self::Notes => &[
                ("archived_at", Kind::DateTime),
                ("attendee_id", Kind::Number),
                ("booking_id", Kind::Number),
                ("deleted_at", Kind::DateTime),
                ("draft", Kind::Flag),
                ("patient_id", Kind::Number),
                ("practitioner_id", Kind::Number),
                ("treatment_note_template_id", Kind::Number),
            ],
            Self::Patients => &[
                ("accepted_privacy_policy", Kind::Flag),
                ("archived_at", Kind::DateTime),
                ("date_of_birth", Kind::Date),
                ("email", Kind::Text),
                ("first_name", Kind::Text),
                ("last_name", Kind::Text),
                ("old_reference_id", Kind::Text),
                ("preferred_first_name", Kind::Text),
            ],
            Self::Practitioners => {
                &[("active", Kind::Flag), ("show_in_online_bookings", Kind::Flag), ("user_id", Kind::Number)]
            }
            Self::Users => &[],
        }
    }

    pub(super) fn filter_kind(self, field: &str) -> Option<Kind> {
        match field {
            "id" => Some(Kind::Number),
            "created_at" | "updated_at" => Some(Kind::DateTime),
            _ => self.own_filters().iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind),
        }
    }
}

/// Id columns, the name they are shown under, and what they point at.
const REFERENCES: [(&str, &str, &str); 8] = [
    ("attendee_id", "attendee", "attendees"),
    ("booking_id", "booking", "bookings"),
    ("business_id", "business", "businesses"),
    ("merged_with_patient_id", "merged_with_patient", "patients"),
    ("patient_id", "patient", "patients"),
    ("practitioner_id", "practitioner", "practitioners"),
    ("treatment_note_template_id", "treatment_note_template", "treatment_note_templates"),
    ("user_id", "user", "users"),
];

/// What hangs on a patient and is reached by a link.
const PATIENT_LISTS: [&str; 4] = ["appointments", "invoices", "medical_alerts", "patient_attachments"];

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) fields: Fields,
    /// Before this instant the row is found by its id only: the lag between a write and the lists.
    pub(super) listed_at: Timestamp,
}

impl Row {
    pub(super) fn new(fields: Fields) -> Self {
        Self { fields, listed_at: Timestamp::MIN }
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn is_null(&self, field: &str) -> bool {
        self.fields.get(field).is_none_or(Value::is_null)
    }

    /// Neither archived, deleted nor merged away: a record that may be written to.
    pub(super) fn is_live(&self) -> bool {
        ["archived_at", "deleted_at", "merged_at"].iter().all(|field| self.is_null(field))
    }

    pub(super) fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.fields.insert(field.to_owned(), value.into());
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    tables: [Vec<Row>; 8],
}

impl Tables {
    pub(super) fn rows(&self, resource: Resource) -> &[Row] {
        &self.tables[resource as usize]
    }

    pub(super) fn rows_mut(&mut self, resource: Resource) -> &mut Vec<Row> {
        &mut self.tables[resource as usize]
    }

    pub(super) fn find(&self, resource: Resource, id: &str) -> Option<&Row> {
        self.rows(resource).iter().find(|row| row.text("id") == id)
    }

    pub(super) fn find_mut(&mut self, resource: Resource, id: &str) -> Option<&mut Row> {
        self.rows_mut(resource).iter_mut().find(|row| row.text("id") == id)
    }
}

/// A row as the API answers it, with absolute links under `base` (`http://host:port/v1`).
pub(super) fn shown(resource: Resource, row: &Row, base: &str) -> Value {
    let mut body = Fields::new();
    for (name, value) in &row.fields {
        match (REFERENCES.iter().find(|(column, ..)| column == name), value.as_str()) {
            (Some((_, shown_as, path)), Some(id)) => {
                body.insert((*shown_as).to_owned(), link(&format!("{base}/{path}/{id}")));
            }
            (Some(_), None) => {}
            (None, _) => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    let own = format!("{base}/{}/{}", resource.path(), row.text("id"));
    match resource {
        Resource::Attachments => {
            body.insert("content".to_owned(), link(&format!("{own}/content")));
        }
        Resource::Patients => {
            body.extend(PATIENT_LISTS.map(|list| (list.to_owned(), link(&format!("{own}/{list}")))));
        }
        _ => {}
    }
    body.insert("links".to_owned(), json!({ "self": own }));
    Value::Object(body)
}

fn link(target: &str) -> Value {
    json!({ "links": { "self": target } })
}

/// A time as the API writes it: UTC, whole seconds, `Z`.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_absolute_links_and_blank_ones_are_left_out() {
        let Value::Object(fields) = json!({ "id": "5", "patient_id": "7", "booking_id": null, "title": "t" })
        else {
            unreachable!("an object was written")
        };
        let body = shown(Resource::Notes, &Row::new(fields), "http://h/v1");
        assert_eq!(
            body,
            json!({ "id": "5", "patient": { "links": { "self": "http://h/v1/patients/7" } }, "title": "t",
                    "links": { "self": "http://h/v1/treatment_notes/5" } })
        );
    }
}
