//! The API's description, OpenAPI 3.1: written by hand in `schemas/openapi.json`, held true by a test over the routes.

use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

pub(super) const DOCUMENT: &str = include_str!("../../schemas/openapi.json");

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
