//! A patient's files: presign, register, read back (reference section 6).

use hyper::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::simulator::cliniko::Fault;
use crate::simulator::cliniko::Switch;
use crate::simulator::cliniko::api::Answer;
use crate::simulator::cliniko::api::Call;
use crate::simulator::cliniko::api::Sending;
use crate::simulator::cliniko::api::invalid;
use crate::simulator::cliniko::api::not_found;
use crate::simulator::cliniko::query::encode;
use crate::simulator::cliniko::records::Fields;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::wire::Reply;
use crate::simulator::cliniko::world::Pending;

const DESCRIPTION_CHARACTERS_MAX: usize = 255;
const CONTENT_LINK_LIFETIME: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);
const BLANK: &str = "can’t be blank";

/// Step 1: a signed form for one upload into the patient's temporary folder.
pub(super) fn presign(call: &mut Call<'_>, patient_id: &str) -> Answer {
    call.permit(Resource::Attachments)?;
    call.live_patient(patient_id).ok_or_else(not_found)?;
    let folder = format!("{}{}/", temporary(&call.state.account_id(), patient_id), call.state.fresh_folder());
    let lifetime = if call.strikes.has(Fault::PresignExpired) {
        -jiff::SignedDuration::from_secs(1)
    } else {
        call.rules.policy_lifetime
    };
    let form = call.rules.signer.presigned_post(&folder, call.now, lifetime, call.rules.upload_bytes_max);
    let fields: Fields =
        form.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    let slash = if call.has(Switch::PresignTrailingSlash) { "/" } else { "" };
    let url = format!("{}{slash}", call.rules.store_origin);
    Ok(Reply::json(StatusCode::OK, &json!({ "url": url, "fields": fields })))
}

/// Step 3: the stored object becomes a record, which is processed later.
pub(super) fn register(call: &mut Call<'_>) -> Answer {
    call.permit(Resource::Attachments)?;
    let sending = Sending::read(call.received)?;
    let mut errors = Fields::new();
    let patient_id = sending.id("patient_id").filter(|id| call.live_patient(id).is_some());
    if patient_id.is_none() {
        let given = sending.fields.get("patient_id").is_some_and(|given| !given.is_null());
        errors.insert("patient".to_owned(), json!(if given { "must exist" } else { BLANK }));
    }
    let description = sending.fields.get("description").unwrap_or(&Value::Null);
    let too_long = match description {
        Value::Null => false,
        Value::String(text) => text.chars().count() > DESCRIPTION_CHARACTERS_MAX,
        _ => true,
    };
    if too_long {
        errors.insert("description".to_owned(), json!("is too long (maximum is 255 characters)"));
    }
    let url_field = if call.has(Switch::ErrorsNameUploadUrl) { "upload_url" } else { "temp_attachment_url" };
    let key =
        patient_id.as_deref().and_then(|patient_id| uploaded(call, patient_id, sending.text("upload_url")?));
    if sending.text("upload_url").is_none() {
        errors.insert(url_field.to_owned(), json!(BLANK));
    } else if key.is_none() && patient_id.is_some() {
        errors.insert(url_field.to_owned(), json!("is invalid"));
    }
    let (Some(patient_id), Some(key), true) = (patient_id, key, errors.is_empty()) else {
        return Err(invalid(&Value::Object(errors)));
    };
    let mut fields = call.new_fields();
    let columns = [
        ("description", description.clone()),
        ("filename", Value::Null),
        ("content_type", Value::Null),
        ("size", Value::Null),
        ("processing_completed", json!(false)),
        ("processed_at", Value::Null),
        ("pinned_at", Value::Null),
        ("patient_id", json!(patient_id)),
        ("user_id", json!(call.user_id)),
    ];
    fields.extend(columns.map(|(name, value)| (name.to_owned(), value)));
    let row = call.insert(Resource::Attachments, fields);
    let stuck = call.strikes.has(Fault::ProcessingStuck);
    let due_at = if stuck { None } else { call.now.saturating_add(call.rules.processing_delay).ok() };
    let attachment_id = row.text("id").to_owned();
    call.state.pending.push(Pending { attachment_id, temporary_key: key, due_at });
    Ok(call.created(Resource::Attachments, &row))
}

/// A 303 to the store: a link of its own, short-lived, to be followed without the key.
pub(super) fn content(call: &mut Call<'_>, id: &str) -> Answer {
    call.permit(Resource::Attachments)?;
    let row = call.visible(Resource::Attachments, id)?;
    let processed = row.fields.get("processing_completed") == Some(&Value::Bool(true));
    let key = call.state.final_key(id).filter(|key| processed && call.state.objects.contains_key(key));
    let path = format!("/{}", encode(&key.ok_or_else(not_found)?, "/"));
    let origin = &call.rules.store_origin;
    let host = origin.strip_prefix("http://").unwrap_or(origin);
    let query = call.rules.signer.presigned_get(host, &path, call.now, CONTENT_LINK_LIFETIME);
    Ok(Reply::empty(StatusCode::SEE_OTHER).with("location", format!("{origin}{path}?{query}")))
}

/// The key behind an `upload_url`: in our bucket, this patient's, really there, and not taken yet.
fn uploaded(call: &Call<'_>, patient_id: &str, url: &str) -> Option<String> {
    let key = url.strip_prefix(&call.rules.store_origin)?.strip_prefix('/')?;
    let own = key.starts_with(&temporary(&call.state.account_id(), patient_id));
    let taken = call.state.pending.iter().any(|pending| pending.temporary_key == key);
    (own && !taken && call.state.objects.contains_key(key)).then(|| key.to_owned())
}

fn temporary(account_id: &str, patient_id: &str) -> String {
    format!("{account_id}/patients/{patient_id}/attachments/temp/")
}
