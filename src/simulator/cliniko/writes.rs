//! The calls the gateway must never make, which work here so that a slip shows as changed data
//! (reference sections 10 and 12.2, row 20), and what a fault does to a patient behind its back.

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

use crate::simulator::cliniko::Fault;
use crate::simulator::cliniko::api::Answer;
use crate::simulator::cliniko::api::Call;
use crate::simulator::cliniko::api::Sending;
use crate::simulator::cliniko::api::not_found;
use crate::simulator::cliniko::faults::Strikes;
use crate::simulator::cliniko::query;
use crate::simulator::cliniko::records::Fields;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::records::stamp;
use crate::simulator::cliniko::seed::complete;
use crate::simulator::cliniko::wire::Received;
use crate::simulator::cliniko::wire::Reply;
use crate::simulator::cliniko::world::State;

const RENAMED: &str = "Renamed-Behindyourback";

/// Archive, unarchive, and the creation of what is not the gateway's.
pub(super) fn post(call: &mut Call<'_>, segments: &[&str]) -> Answer {
    match segments {
        [list, id, "archive"] => {
            let archived_at = Value::String(stamp(call.now));
            edit(call, list, id, [("archived_at".to_owned(), archived_at)].into_iter().collect())?;
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        [list, id, "unarchive"] => {
            edit(call, list, id, [("archived_at".to_owned(), Value::Null)].into_iter().collect())
        }
        [list] => {
            let resource = Resource::from_path(list).ok_or_else(not_found)?;
            let mut fields = Sending::read(call.received)?.fields;
            fields.extend(call.new_fields());
            let row = call.insert(resource, complete(resource, fields, &stamp(call.now)));
            Ok(call.created(resource, &row))
        }
        _ => Err(not_found()),
    }
}

/// PATCH, PUT and DELETE, the last of which archives.
pub(super) fn change(call: &mut Call<'_>, segments: &[&str]) -> Answer {
    let [list, id] = segments else { return Err(not_found()) };
    match call.received.method.as_str() {
        "PATCH" | "PUT" => {
            let mut fields = Sending::read(call.received)?.fields;
            fields.remove("id");
            edit(call, list, id, fields)
        }
        "DELETE" => post(call, &[list, id, "archive"]),
        _ => Err(Reply::empty(StatusCode::METHOD_NOT_ALLOWED)),
    }
}

fn edit(call: &mut Call<'_>, list: &str, id: &str, fields: Fields) -> Answer {
    let resource = Resource::from_path(list).ok_or_else(not_found)?;
    call.permit(resource)?;
    let now = stamp(call.now);
    let row = call.state.tables.find_mut(resource, id).ok_or_else(not_found)?;
    row.fields.extend(fields);
    row.set("updated_at", now);
    let row = row.clone();
    Ok(Reply::json(StatusCode::OK, &call.shown(resource, &row)))
}

/// Archives, renames or merges a patient just before a call is served.
///
/// The patient is the fault's value (an id, or an object with one), or the one the call is about.
pub(super) fn change_patient(state: &mut State, strikes: &Strikes, received: &Received, now: Timestamp) {
    for fault in [Fault::ArchivePatient, Fault::MergePatient, Fault::RenamePatient] {
        let Some(value) = strikes.value(fault) else { continue };
        let named = value.as_str().or_else(|| value["id"].as_str()).map(str::to_owned);
        let Some(id) = named.or_else(|| patient_of(state, received)) else { continue };
        let patients = state.tables.rows(Resource::Patients);
        let into = value["into"].as_str().map(str::to_owned).or_else(|| {
            patients
                .iter()
                .find(|row| row.is_live() && row.text("id") != id)
                .map(|row| row.text("id").to_owned())
        });
        let Some(patient) = state.tables.find_mut(Resource::Patients, &id) else { continue };
        match fault {
            Fault::RenamePatient => patient.set("last_name", value["last_name"].as_str().unwrap_or(RENAMED)),
            Fault::MergePatient => {
                patient.set("archived_at", stamp(now));
                patient.set("merged_at", stamp(now));
                patient.set("merged_with_patient_id", into);
            }
            _ => patient.set("archived_at", stamp(now)),
        }
        patient.set("updated_at", stamp(now));
    }
}

fn patient_of(state: &State, received: &Received) -> Option<String> {
    if let ["v1", "patients", id, ..] = received.segments().as_slice() {
        return Some((*id).to_owned());
    }
    if let ["v1", "patient_attachments", id, ..] = received.segments().as_slice() {
        return Some(state.tables.find(Resource::Attachments, id)?.text("patient_id").to_owned());
    }
    let asked = query::pairs(&received.query);
    let filtered = asked.iter().find_map(|(_, text)| text.strip_prefix("patient_id:="));
    filtered.map(str::to_owned).or_else(|| Sending::read(received).ok()?.id("patient_id"))
}
