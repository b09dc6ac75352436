//! What waits for a person, and matching by hand.

use axum::extract;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::clinical::model::Sensitive;
use crate::http::State;
use crate::http::api::case_view;
use crate::http::api::cases::told;
use crate::http::api::orders::patient_id;
use crate::http::extract::Json;
use crate::http::extract::Named;
use crate::http::extract::SignedIn;
use crate::http::problem::Refused;
use crate::pipeline::records::CaseId;
use crate::pipeline::review;
use crate::pipeline::review::Held;
use crate::pipeline::review::Hold;
use crate::pipeline::sessions::Actor;

pub(super) async fn list(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
) -> Result<axum::Json<Value>, Refused> {
    let holds = review::holds(&state.pipeline, &actor).await?;
    let items: Vec<Value> = holds.iter().map(|hold| shown(hold, &actor)).collect();
    Ok(axum::Json(json!({ "items": items })))
}

fn shown(hold: &Hold, actor: &Actor) -> Value {
    let mut item = match &hold.subject {
        Held::Case(row) => case_view::row(row),
        Held::Message { id, received_at, lab, feed } => {
            json!({ "id": id, "received_at": received_at.to_string(), "lab": lab, "feed": feed })
        }
    };
    let kind = if matches!(hold.subject, Held::Case(_)) { "case" } else { "message" };
    item["kind"] = kind.into();
    item["codes"] = hold.diagnostics.iter().map(|it| it.code.as_str()).collect();
    // A diagnostic may quote a coded field, which can be a result: support staff see the codes alone.
    let roles = actor.roles;
    if roles.clinician || roles.administrator || roles.integrator {
        item["diagnostics"] = json!(hold.diagnostics);
    }
    item
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchRequest {
    patient_id: String,
    reason: Sensitive<String>,
}

/// A person says whose report a held case is; the workflow decides who may.
pub(super) async fn match_by_hand(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Named(id): Named<CaseId>,
    Json(request): Json<MatchRequest>,
) -> Result<axum::Json<Value>, Refused> {
    let patient = patient_id(&request.patient_id)?;
    let matched = review::match_by_hand(&state.pipeline, &actor, id, &patient, request.reason).await;
    matched.map(told).map_err(Into::into)
}
