//! The mappings that were ever loaded, with the text of their files.

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use serde_json::Value;
use serde_json::json;

use crate::http::admin;
use crate::http::admin::Refusal;
use crate::pipeline::records::mapping;

/// The shortest beginning of a digest that may stand for all of it.
const BEGINNING_CHARS_MIN: usize = 8;

pub(super) async fn list(State(state): State<admin::State>) -> Result<Json<Value>, Refusal> {
    admin::blocking(move || Ok(Json(json!(mapping::list(&state.store, "")?)))).await
}

/// One mapping, by its digest or the beginning of it.
pub(super) async fn show(
    State(state): State<admin::State>,
    Path(beginning): Path<String>,
) -> Result<Json<Value>, Refusal> {
    if beginning.len() < BEGINNING_CHARS_MIN {
        let words = format!("a digest is asked for by its first {BEGINNING_CHARS_MIN} characters or more");
        return Err(Refusal::Unusable(words));
    }
    admin::blocking(move || {
        let found = mapping::list(&state.store, &beginning)?;
        let digest = match found.as_slice() {
            [only] => &only.digest,
            [] => return Err(Refusal::NotFound("no mapping of this digest was ever loaded")),
            _ => return Err(Refusal::Conflict("several digests begin so")),
        };
        let remembered = mapping::load(&state.store, digest)?;
        let remembered = remembered.ok_or(Refusal::NotFound("no mapping of this digest was ever loaded"))?;
        let mapping::Remembered { lab, since, files } = remembered;
        Ok(Json(json!({ "digest": digest, "lab": lab, "since": since, "files": files })))
    })
    .await
}
