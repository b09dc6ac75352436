//! Blood tests a clinic asks for, and their request forms.

use std::sync::Arc;

use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::formats::cliniko;
use crate::http::State;
use crate::http::api::pdf;
use crate::http::extract::ByClinician;
use crate::http::extract::Json;
use crate::http::extract::Named;
use crate::http::extract::SignedIn;
use crate::http::problem::Refused;
use crate::pipeline::orders;
use crate::pipeline::records::OrderId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    patient_id: String,
    tests: Vec<String>,
}

pub(super) async fn place(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Json(new): Json<NewOrder>,
) -> Result<(StatusCode, axum::Json<Value>), Refused> {
    let patient = patient_id(&new.patient_id)?;
    let (id, order) = orders::create(&state.pipeline, &actor, &patient, new.tests).await?;
    Ok((StatusCode::CREATED, axum::Json(json!({ "id": id, "order_number": order.number }))))
}

pub(super) async fn form(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Named(id): Named<OrderId>,
) -> Result<Response, Refused> {
    let pipeline = Arc::clone(&state.pipeline);
    let form = tokio::task::spawn_blocking(move || orders::form(&pipeline, &actor, id));
    let bytes = form.await.map_err(|_| crate::pipeline::review::Error::Typesetter)??;
    Ok(pdf(&format!("order-{id}"), bytes))
}

/// A named clinician confirms that the NHS number in Cliniko is this patient's.
pub(super) async fn confirm_nhs_number(
    extract::State(state): extract::State<State>,
    ByClinician(clinician): ByClinician,
    Named(patient): Named<cliniko::Id>,
) -> Result<StatusCode, Refused> {
    orders::confirm_nhs_number(&state.pipeline, &clinician, &patient).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A Cliniko patient id in a body.
pub(super) fn patient_id(text: &str) -> Result<cliniko::Id, Refused> {
    text.parse()
        .map_err(|_| Refused::unprocessable("`patient_id` is not an id of Cliniko: digits, as a string"))
}
