//! Verifying the chain of a store that is open.

use axum::Json;
use axum::extract::Query;
use axum::extract::State;
use serde::Deserialize;

use crate::audit::Hash;
use crate::audit::Verified;
use crate::http::admin;
use crate::http::admin::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    #[serde(default)]
    expect_head: Option<String>,
}

pub(super) async fn verify(
    State(state): State<admin::State>,
    Query(query): Query<Verify>,
) -> Result<Json<Verified>, Refusal> {
    let expected = query.expect_head.map(|text| text.parse::<Hash>()).transpose();
    let expected = expected.map_err(|error| Refusal::Unusable(error.to_string()))?;
    admin::blocking(move || Ok(Json(state.store.verify_audit(expected)?))).await
}
