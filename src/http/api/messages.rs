//! Kept messages of the clinic's feeds: where they stand, and for those who mend feeds, why. Never their content.

use axum::extract;
use serde_json::Value;
use serde_json::json;

use crate::http::State;
use crate::http::extract::Named;
use crate::http::extract::SignedIn;
use crate::http::problem::Refused;
use crate::pipeline::records::MessageId;
use crate::pipeline::review;

pub(super) async fn show(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Named(id): Named<MessageId>,
) -> Result<axum::Json<Value>, Refused> {
    let message = review::message_status(&state.pipeline, &actor, id)?;
    let header = &message.header;
    let mut shown = json!({
        "id": message.id,
        "state": message.standing.state.as_str(),
        "received_at": header.received_at.to_string(),
        "lab": header.lab,
        "feed": header.feed,
        "mapping": message.standing.mapping,
        "discarded": message.standing.discarded,
    });
    if let Some(diagnostics) = &message.diagnostics {
        shown["control_id"] = json!(header.control_id);
        shown["sha256"] = json!(header.sha256);
        shown["bytes"] = json!(header.bytes);
        shown["ack"] = json!(header.ack);
        shown["diagnostics"] = json!(diagnostics);
        shown["discard_reason"] = json!(message.discard_reason);
    }
    Ok(axum::Json(shown))
}
