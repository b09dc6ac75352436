//! What we read from Cliniko, and no more of it.
//!
//! `null`, `""` and a missing key all mean absent; unknown keys are ignored. A patient's free text, contacts and other
//! fields outside the authorised set have no place here, so they are gone once a reply is decoded.

use jiff::civil::Date;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::formats::cliniko::Id;

/// `GET /user`: whom the key belongs to.
#[derive(Clone, Deserialize)]
pub struct User {
    pub id: Id,
    #[serde(default, deserialize_with = "blank")]
    pub role: Option<String>,
    #[serde(default)]
    pub active: Option<bool>,
    #[serde(default)]
    pub user_active: Option<bool>,
}

/// `GET /settings/public`: which account this is, and the custom fields its patients have.
#[derive(Clone, Deserialize)]
pub struct Settings {
    pub account: Account,
    #[serde(default)]
    pub patient_custom_fields_definition: Option<CustomFields>,
}

impl Settings {
    /// The custom field under `token` of the account's definition, archived or not.
    pub fn custom_field(&self, token: &str) -> Option<&CustomField> {
        self.patient_custom_fields_definition.as_ref()?.field(token)
    }
}

#[derive(Clone, Deserialize)]
pub struct Account {
    pub id: Id,
    #[serde(default, deserialize_with = "blank")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub subdomain: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub country_code: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Practitioner {
    pub id: Id,
    #[serde(default)]
    pub active: Option<bool>,
    #[serde(default)]
    pub user: Option<Reference>,
}

#[derive(Clone, Deserialize)]
pub struct Patient {
    pub id: Id,
    #[serde(default, deserialize_with = "blank")]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub first_name: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub last_name: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub preferred_first_name: Option<String>,
    #[serde(default, deserialize_with = "date")]
    pub date_of_birth: Option<Date>,
    #[serde(default, deserialize_with = "blank")]
    pub sex: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub address_1: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub address_2: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub address_3: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub city: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub state: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub post_code: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub old_reference_id: Option<String>,
    #[serde(default)]
    pub custom_fields: Option<CustomFields>,
    #[serde(default, deserialize_with = "blank")]
    pub archived_at: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub deleted_at: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub merged_at: Option<String>,
    #[serde(default)]
    pub merged_with_patient: Option<Reference>,
    #[serde(default, deserialize_with = "blank")]
    pub updated_at: Option<String>,
}

impl Patient {
    /// The text of the live custom field under `token`: how a clinic keeps an NHS number.
    pub fn custom_field(&self, token: &str) -> Option<&str> {
        let field = self.custom_fields.as_ref()?.field(token)?;
        if field.archived == Some(true) { None } else { field.value.as_deref() }
    }

    /// Whether something may be written to this record.
    pub const fn writable(&self) -> bool {
        self.archived_at.is_none()
            && self.deleted_at.is_none()
            && self.merged_at.is_none()
            && self.merged_with_patient.is_none()
    }
}

#[derive(Clone, Deserialize)]
pub struct CustomFields {
    #[serde(default, deserialize_with = "null_is_empty")]
    sections: Vec<CustomSection>,
}

impl CustomFields {
    /// A field by its token: its name can be changed, its token cannot. A field of an archived section is archived.
    fn field(&self, token: &str) -> Option<&CustomField> {
        self.sections
            .iter()
            .filter(|section| section.archived != Some(true))
            .flat_map(|section| &section.fields)
            .find(|field| field.token == token)
    }
}

#[derive(Clone, Deserialize)]
struct CustomSection {
    #[serde(default)]
    archived: Option<bool>,
    #[serde(default, deserialize_with = "null_is_empty")]
    fields: Vec<CustomField>,
}

#[derive(Clone, Deserialize)]
pub struct CustomField {
    pub token: String,
    #[serde(default)]
    pub archived: Option<bool>,
    #[serde(default, deserialize_with = "blank")]
    pub value: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Attachment {
    pub id: Id,
    #[serde(default, deserialize_with = "blank")]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub filename: Option<String>,
    #[serde(default)]
    pub processing_completed: Option<bool>,
    #[serde(default, deserialize_with = "blank")]
    pub created_at: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub archived_at: Option<String>,
    #[serde(default)]
    pub content: Option<Reference>,
    #[serde(default)]
    pub patient: Option<Reference>,
}

#[derive(Clone, Deserialize)]
pub struct TreatmentNote {
    pub id: Id,
    #[serde(default, deserialize_with = "blank")]
    pub title: Option<String>,
    #[serde(default)]
    pub draft: Option<bool>,
    #[serde(default, deserialize_with = "blank")]
    pub author_name: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub created_at: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    pub archived_at: Option<String>,
    /// As it came: compared with what was sent, never interpreted.
    #[serde(default)]
    pub content: Value,
    #[serde(default)]
    pub patient: Option<Reference>,
}

#[derive(Clone, Deserialize)]
pub struct NoteTemplate {
    pub id: Id,
    #[serde(default, deserialize_with = "blank")]
    pub archived_at: Option<String>,
    #[serde(default)]
    pub content: Value,
}

/// A reference is a link, `{"links": {"self": …}}`; the id is its last segment.
#[derive(Clone, Deserialize)]
pub struct Reference {
    links: Links,
}

impl Reference {
    pub fn link(&self) -> Option<&str> {
        self.links.this.as_deref()
    }

    pub fn id(&self) -> Option<Id> {
        Id::of_link(self.link()?)
    }
}

#[derive(Clone, Default, Deserialize)]
struct Links {
    #[serde(default, rename = "self", deserialize_with = "blank")]
    this: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    next: Option<String>,
}

/// One page of a list.
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Where the next page is. `total_entries` is wrong in the vendor's own samples; only this link decides.
    pub next: Option<String>,
}

impl<T: DeserializeOwned> Page<T> {
    /// Reads `{"<resource>": […], "links": {…}}`.
    ///
    /// # Errors
    /// Where it is not JSON of that shape; the error's text quotes nothing of it.
    pub fn decode(body: &[u8], resource: &'static str) -> Result<Self, NotThisShape> {
        let wrong = NotThisShape { resource };
        let mut page: serde_json::Map<String, Value> = serde_json::from_slice(body).map_err(|_| wrong)?;
        let rows = page.remove(resource).ok_or(wrong)?;
        let links: Links = match page.remove("links") {
            None | Some(Value::Null) => Links::default(),
            Some(links) => serde_json::from_value(links).map_err(|_| wrong)?,
        };
        Ok(Self { rows: serde_json::from_value(rows).map_err(|_| wrong)?, next: links.next })
    }
}

/// Reads one record. serde's own error is dropped, since it may quote what it read.
///
/// # Errors
/// Where it is not JSON of that shape.
pub fn record<T: DeserializeOwned>(body: &[u8], resource: &'static str) -> Result<T, NotThisShape> {
    serde_json::from_slice(body).map_err(|_| NotThisShape { resource })
}

/// The field names a refusal (422) speaks of. Their texts are for people and change; names are what to match on.
pub fn fields_refused(body: &[u8]) -> Vec<String> {
    let Ok(Value::Object(reply)) = serde_json::from_slice(body) else { return Vec::new() };
    let Some(Value::Object(errors)) = reply.get("errors") else { return Vec::new() };
    let named = |name: &&String| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    errors.keys().filter(named).take(FIELDS_REFUSED_MAX).cloned().collect()
}

/// More names than any body of ours has fields.
const FIELDS_REFUSED_MAX: usize = 16;

/// A reply is not of the documented shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reply is not a `{resource}` as Cliniko documents it")]
pub struct NotThisShape {
    pub resource: &'static str,
}

/// `null`, `""` and blanks are absent.
fn blank<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.trim().is_empty()))
}

/// A date Cliniko could not have meant is absent: nobody is matched by it.
fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    Ok(blank(deserializer)?.and_then(|text| text.parse().ok()))
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Page;
    use super::Patient;
    use super::fields_refused;

    fn patient(extra: &serde_json::Value) -> Patient {
        let mut record = json!({"id": "1203948571203948576", "first_name": "Odalys", "last_name": "Quillfeather",
            "date_of_birth": "1984-02-29", "notes": "free text", "city": "", "state": null});
        let fields = record.as_object_mut().unwrap();
        fields.extend(extra.as_object().unwrap().clone());
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn blank_null_and_missing_are_one_and_unknown_keys_pass() {
        let it = patient(&json!({"never_seen_before": {"a": [1]}}));
        assert_eq!((it.city, it.state, it.post_code), (None, None, None));
        assert_eq!(it.date_of_birth.unwrap().to_string(), "1984-02-29");
    }

    #[test]
    fn a_custom_field_is_found_by_its_token_unless_archived() {
        let fields = |archived: bool| {
            json!({"custom_fields": {"sections": [{"fields": null}, {"fields":
                [{"token": "nhs", "type": "text", "value": "9990000018", "archived": archived}]}]}})
        };
        assert_eq!(patient(&fields(false)).custom_field("nhs"), Some("9990000018"));
        assert_eq!(patient(&fields(true)).custom_field("nhs"), None);
        assert_eq!(patient(&json!({"custom_fields": null})).custom_field("nhs"), None);
    }

    #[test]
    fn merged_archived_and_deleted_records_are_not_written_to() {
        assert!(patient(&json!({"archived_at": "", "merged_at": null})).writable());
        for field in ["archived_at", "deleted_at", "merged_at"] {
            assert!(!patient(&json!({field: "2026-11-22T09:30:00Z"})).writable(), "{field}");
        }
        assert!(
            !patient(&json!({"merged_with_patient": {"links": {"self": "https://x/v1/patients/7"}}}))
                .writable()
        );
    }

    #[test]
    fn a_page_is_followed_by_its_link_and_not_by_its_count() {
        let body = br#"{"patients":[{"id":"1"}],"total_entries":"999999999999999999999","links":{"self":"a","next":"b"}}"#;
        let page = Page::<Patient>::decode(body, "patients").unwrap();
        assert_eq!((page.rows.len(), page.next.as_deref()), (1, Some("b")));
        assert_eq!(Page::<Patient>::decode(br#"{"patients":[]}"#, "patients").unwrap().next, None);
        let error = Page::<Patient>::decode(br#"{"people":["Quillfeather"]}"#, "patients").err().unwrap();
        assert_eq!(error.to_string(), "the reply is not a `patients` as Cliniko documents it");
    }

    #[test]
    fn a_refusal_is_known_by_its_field_names() {
        let body =
            "{\"message\":\"Validation Failed\",\"errors\":{\"title\":\"can’t be blank\",\"content\":null}}";
        assert_eq!(fields_refused(body.as_bytes()), ["title", "content"]);
        assert!(fields_refused(b"{\"message\":\"must be an object\"}").is_empty());
        assert!(fields_refused(b"<html>").is_empty());
    }
}
