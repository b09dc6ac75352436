//! Clinics and the people who sign in. Keys and passwords come in and never go out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::Entry;
use crate::clinical::model::Sensitive;
use crate::clinical::workflow::Roles;
use crate::http::admin;
use crate::http::admin::Refusal;
use crate::pipeline::records::clinic;
use crate::pipeline::records::clinic::Clinic;
use crate::pipeline::records::clinic::Release;
use crate::pipeline::records::person;
use crate::pipeline::sessions;
use crate::pipeline::sessions::NewUser;
use crate::store;
use crate::store::Change;
use crate::store::Table;

/// A clinic as the command line asks for it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewClinic {
    pub name: String,
    pub cliniko_key: Sensitive<String>,
    pub shard: String,
    pub dangerous_cliniko_url: Option<String>,
    pub release: Release,
    pub nhs_number_field: Option<String>,
}

/// Another API key of the same account.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    pub name: String,
    pub cliniko_key: Sensitive<String>,
}

/// A person as the command line asks for them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    pub clinic: String,
    pub email: Sensitive<String>,
    pub name: Sensitive<String>,
    pub roles: Roles,
    pub password: Sensitive<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    pub email: Sensitive<String>,
}

pub(super) async fn clinics(State(state): State<admin::State>) -> Result<Json<Vec<Value>>, Refusal> {
    let clinics = clinic::all(&state.store)?;
    Ok(Json(clinics.iter().map(shown).collect()))
}

fn shown(it: &Clinic) -> Value {
    json!({
        "id": it.name, "shard": it.shard, "dangerous_cliniko_url": it.dangerous_cliniko_url, "release": it.release,
        "nhs_number_field": it.nhs_number_field,
    })
}

pub(super) async fn add_clinic(
    State(state): State<admin::State>,
    Json(new): Json<NewClinic>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let NewClinic { name, cliniko_key, shard, dangerous_cliniko_url, release, nhs_number_field } = new;
    let clinic = Clinic { name, cliniko_key, shard, dangerous_cliniko_url, release, nhs_number_field };
    let mut change = Change::new();
    change.expect_absent(Table::Clinics, clinic.name.as_bytes());
    clinic.put(&mut change);
    change.audit(
        Entry::new(state.clock.now(), "operator", "clinic.added", clinic.name.clone())
            .of_clinic(clinic.name.clone())
            .with("shard", clinic.shard.clone())
            .with("release", json!(clinic.release)),
    );
    match state.store.commit(change).await {
        Ok(_) => Ok((StatusCode::CREATED, Json(json!({ "id": clinic.name })))),
        Err(store::Error::Conflict { .. }) => {
            Err(Refusal::Conflict("a clinic of this name was added before"))
        }
        Err(error) => Err(error.into()),
    }
}

/// From the next request on, the clinic's account is asked with the new key.
pub(super) async fn replace_key(
    State(state): State<admin::State>,
    Json(new): Json<NewKey>,
) -> Result<Json<Value>, Refusal> {
    let clinic = clinic::load(&state.store, &new.name)?;
    let mut clinic = clinic.ok_or(Refusal::NotFound(
        "there is no clinic of this name; add it first with `gateway clinic add`",
    ))?;
    clinic.cliniko_key = new.cliniko_key;
    let mut change = Change::new();
    clinic.put(&mut change);
    let entry = Entry::new(state.clock.now(), "operator", "clinic.key_replaced", clinic.name.clone());
    change.audit(entry.of_clinic(clinic.name.clone()));
    state.store.commit(change).await?;
    Ok(Json(json!({ "id": clinic.name })))
}

pub(super) async fn add_user(
    State(state): State<admin::State>,
    Json(new): Json<NewPerson>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    if !state.named_clinics.contains(&new.clinic) && clinic::load(&state.store, &new.clinic)?.is_none() {
        return Err(Refusal::NotFound(
            "there is no clinic of this name; add it first with `gateway clinic add`",
        ));
    }
    let new = NewUser {
        clinic: &new.clinic,
        email: new.email.expose(),
        name: new.name.expose(),
        roles: new.roles,
        password: new.password.expose(),
    };
    let id = sessions::add_user(&state.store, state.clock.as_ref(), new).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

/// From the answer on, no session of the person is taken and none can be opened.
pub(super) async fn revoke_user(
    State(state): State<admin::State>,
    Json(revocation): Json<Revocation>,
) -> Result<Json<Value>, Refusal> {
    let user = person::by_email(&state.store, revocation.email.expose())?;
    let mut user = user.ok_or(Refusal::NotFound("nobody signs in with this address"))?;
    user.active = false;
    let mut change = Change::new();
    user.put(&mut change);
    let entry = Entry::new(state.clock.now(), "operator", "user.revoked", user.id.to_string());
    change.audit(entry.of_clinic(user.clinic.clone()));
    state.store.commit(change).await?;
    Ok(Json(json!({ "id": user.id })))
}
