//! The records a simulator starts with: the embedded demonstration clinic, or a file laid over it.
//!
//! Everyone in it is invented; NHS numbers are of the 999 range, which is reserved for testing. A
//! patient may give `nhs_number` in place of the custom field that holds it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::simulator::cliniko::Error;
use crate::simulator::cliniko::access::Key;
use crate::simulator::cliniko::records::Fields;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::records::Row;
use crate::simulator::cliniko::records::Tables;

const DEMO: &str = include_str!("demo-seed.json");
/// Enough for three pages of the default size (reference section 12.1).
const FULL_PATIENTS: usize = 120;
const PAGING_ID_FIRST: u64 = 1_203_990_000_000_000_001;
const CREATED_AT: &str = "2025-01-02T09:00:00Z";

/// The custom field in which the demonstration clinic keeps NHS numbers.
pub const NHS_NUMBER_TOKEN: &str = "6a1d7c52-8c0f-4a6b-b8a0-5d1f1f0e7c22";
const NHS_SECTION_TOKEN: &str = "0b6c1f0e-3a0e-4c1e-9a57-2f1d6f6f3b11";

/// Every column of a patient, so that blanks are null and not absent (reference section 5.2).
const PATIENT_COLUMNS: &str = "title first_name last_name preferred_first_name date_of_birth sex gender_identity \
    gender pronouns address_1 address_2 address_3 city state post_code country_code country email \
    patient_phone_numbers old_reference_id medicare medicare_reference_number dva_card_number custom_fields \
    accepted_privacy_policy accepted_email_marketing accepted_sms_marketing notes appointment_notes \
    emergency_contact occupation referral_source invoice_default_to time_zone archived_at deleted_at merged_at";

/// What to start with.
#[derive(Clone, Debug, Default)]
pub enum Seed {
    /// The demonstration clinic: every user, and the patients that are interesting one by one.
    Demo,
    /// Arrays named as the API's lists (`patients`, `users`, …) and `settings`, each in place of the demonstration's.
    File(Value),
    /// The demonstration clinic with 120 patients, for paging.
    #[default]
    Full,
}

#[derive(Debug)]
pub(super) struct Planted {
    pub(super) tables: Tables,
    pub(super) settings: Value,
    pub(super) keys: Vec<Key>,
}

impl Seed {
    pub(super) fn plant(self, shard: &str) -> Result<Planted, Error> {
        let mut document: Fields =
            serde_json::from_str(DEMO).expect("the embedded seed is JSON, as its test shows");
        match self {
            Self::Demo => {}
            Self::File(Value::Object(given)) => document.extend(given),
            Self::File(_) => return Err(Error::Seed { path: "/".to_owned() }),
            Self::Full => {
                if let Some(Value::Array(patients)) = document.get_mut("patients") {
                    let missing = FULL_PATIENTS.saturating_sub(patients.len());
                    patients.extend((0..missing).map(paging_patient));
                }
            }
        }
        let settings = document.remove("settings").unwrap_or_default();
        let mut tables = Tables::default();
        for (name, rows) in document {
            let wrong = || Error::Seed { path: format!("/{name}") };
            let resource = Resource::from_path(&name).ok_or_else(wrong)?;
            for row in rows.as_array().ok_or_else(wrong)? {
                let fields = row.as_object().filter(|fields| fields.get("id").is_some_and(Value::is_string));
                tables.rows_mut(resource).push(Row::new(complete(
                    resource,
                    fields.ok_or_else(wrong)?.clone(),
                    CREATED_AT,
                )));
            }
        }
        let account = settings["account"]["id"].as_str().unwrap_or_default();
        let keys = keys(&tables, account, shard);
        Ok(Planted { tables, settings, keys })
    }
}

/// Fills in the columns a record of its kind always has.
pub(super) fn complete(resource: Resource, given: Fields, created_at: &str) -> Fields {
    let mut fields = Fields::new();
    if resource == Resource::Patients {
        fields.extend(PATIENT_COLUMNS.split_whitespace().map(|column| (column.to_owned(), Value::Null)));
        fields.insert("patient_phone_numbers".to_owned(), json!([]));
    }
    for column in ["created_at", "updated_at"] {
        fields.insert(column.to_owned(), json!(created_at));
    }
    fields.insert("archived_at".to_owned(), Value::Null);
    fields.extend(given);
    if resource == Resource::Patients
        && let Some(number) = fields.remove("nhs_number")
    {
        fields.insert("custom_fields".to_owned(), nhs_custom_field(&number));
    }
    fields
}

fn nhs_custom_field(number: &Value) -> Value {
    json!({ "sections": [{ "name": "NHS", "token": NHS_SECTION_TOKEN, "fields": [
        { "name": "NHS number", "type": "text", "token": NHS_NUMBER_TOKEN, "value": number } ] }] })
}

fn paging_patient(number: usize) -> Value {
    let id = PAGING_ID_FIRST + u64::try_from(number).unwrap_or_default();
    json!({ "id": id.to_string(), "first_name": format!("Numero{number}"), "last_name": "Pagefiller",
            "date_of_birth": format!("19{:02}-{:02}-01", 50 + number % 40, 1 + number % 12), "sex": "Female",
            "country_code": "GB", "accepted_privacy_policy": true })
}

/// One key for every user who may log in, a second for the first of them, and one of another shard.
fn keys(tables: &Tables, account: &str, shard: &str) -> Vec<Key> {
    let key = |user_id: &str, number: u32, shard: &str| Key {
        body: STANDARD_NO_PAD.encode(format!("simulated-{shard}-{account}-{user_id}-{number}")),
        shard: shard.to_owned(),
        user_id: user_id.to_owned(),
    };
    let users = tables.rows(Resource::Users);
    let mut keys: Vec<Key> = users
        .iter()
        .filter(|user| user.fields.get("user_active") != Some(&Value::Bool(false)))
        .map(|user| key(user.text("id"), 1, shard))
        .collect();
    if let Some(first) = users.first().map(|user| user.text("id")) {
        keys.push(key(first, 2, shard));
        keys.push(key(first, 1, if shard == "au1" { "uk1" } else { "au1" }));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nhs_number_is_valid(number: &str) -> bool {
        let digits: Vec<u32> = number.chars().filter_map(|digit| digit.to_digit(10)).collect();
        let sum: u32 = digits.iter().take(9).zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
        digits.len() == 10
            && number.starts_with("999")
            && digits.last().copied() == Some((11 - sum % 11) % 11)
    }

    #[test]
    fn the_demonstration_has_everyone_the_reference_asks_for() {
        let planted = Seed::Demo.plant("uk1").unwrap();
        let patients = planted.tables.rows(Resource::Patients);
        let numbers: Vec<&str> = patients
            .iter()
            .filter_map(|patient| {
                patient.fields.get("custom_fields")?.pointer("/sections/0/fields/0/value")?.as_str()
            })
            .collect();
        assert_eq!(
            numbers.iter().filter(|number| !nhs_number_is_valid(number)).count(),
            1,
            "one is malformed"
        );
        assert!(numbers.len() > 25);
        let merged = patients.iter().find(|patient| !patient.is_null("merged_at")).unwrap();
        let target = planted.tables.find(Resource::Patients, merged.text("merged_with_patient_id")).unwrap();
        assert!(target.is_live() && !merged.is_live());
        let sexes = ["Female", "Male", "AFAB", "AMAB", "Intersex", "Female to Male", "Male to Female", ""];
        for sex in sexes {
            assert!(patients.iter().any(|patient| patient.text("sex") == sex), "{sex}");
        }
        assert!(patients.iter().any(|patient| patient.is_null("date_of_birth")));
        assert!(patients.iter().any(|patient| patient.text("id").len() == 8));
        assert_eq!(planted.keys.iter().filter(|key| key.shard == "au1").count(), 1);
    }

    #[test]
    fn ids_are_unique_and_a_file_replaces_only_what_it_names() {
        let planted = Seed::Full.plant("uk1").unwrap();
        let mut ids: Vec<&str> =
            planted.tables.rows(Resource::Patients).iter().map(|patient| patient.text("id")).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), FULL_PATIENTS);
        let file = json!({ "patients": [{ "id": "7", "nhs_number": "9990000018" }] });
        let planted = Seed::File(file).plant("uk1").unwrap();
        assert_eq!(planted.tables.rows(Resource::Patients).len(), 1);
        assert!(planted.tables.rows(Resource::Users).len() > 5);
        for wrong in [json!([]), json!({ "patient": [] }), json!({ "patients": [{ "id": 7 }] })] {
            Seed::File(wrong).plant("uk1").expect_err("a seed of the wrong shape");
        }
    }
}
