//! What waits for a person: the list, matching by hand, reading messages again, and closing them with a reason.
//!
//! Integrators and administrators mend; they see diagnostics and never a message's content.

use axum::extract;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::clinical::model::Sensitive;
use crate::http::State;
use crate::http::api::case_view;
use crate::http::api::cases::told;
use crate::http::api::orders::patient_id;
use crate::http::extract::Asked;
use crate::http::extract::Json;
use crate::http::extract::Named;
use crate::http::extract::SignedIn;
use crate::http::problem::Refused;
use crate::pipeline::holds;
use crate::pipeline::holds::By;
use crate::pipeline::holds::Filter;
use crate::pipeline::holds::Order;
use crate::pipeline::holds::Replayed;
use crate::pipeline::holds::With;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::message;
use crate::pipeline::review;
use crate::pipeline::review::Held;
use crate::pipeline::review::Hold;
use crate::pipeline::sessions::Actor;

/// Messages that one request reads again; the answer says where the next one goes on.
const REPLAY_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    cursor: Option<String>,
    feed: Option<String>,
    code: Option<String>,
}

pub(super) async fn list(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<Value>, Refused> {
    let after = query.cursor.map(|it| it.parse::<review::HoldsCursor>()).transpose();
    let after = after.map_err(|error| Refused::bad_request(error.to_string()))?;
    let filter = review::HoldsFilter { feed: query.feed, code: query.code, after };
    let page = review::holds(&state.pipeline, &actor, &filter).await?;
    let items: Vec<Value> = page.items.iter().map(|hold| shown(hold, &actor)).collect();
    Ok(axum::Json(json!({ "items": items, "next": page.next.map(|it| it.to_string()) })))
}

fn shown(hold: &Hold, actor: &Actor) -> Value {
    let mut item = match &hold.subject {
        Held::Case(row) => case_view::row(row),
        Held::Message { id, state, received_at, lab, feed } => json!({
            "id": id, "state": state.as_str(), "received_at": received_at.to_string(), "lab": lab, "feed": feed,
        }),
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayQuery {
    #[serde(default)]
    mapping: With,
}

/// Reads one message again, with the feeds of now, and the mapping of now or of then.
pub(super) async fn replay(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Named(id): Named<MessageId>,
    Asked(query): Asked<ReplayQuery>,
) -> Result<(StatusCode, axum::Json<Replayed>), Refused> {
    let user = mends(&state, &actor, "replay").await?;
    let replayed =
        holds::replay(state.pipeline.as_ref().into(), by(&user, &actor), id, query.mapping).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(replayed)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardRequest {
    reason: Sensitive<String>,
}

/// Closes one message that nobody will mend; its bytes stay.
pub(super) async fn discard(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Named(id): Named<MessageId>,
    Json(request): Json<DiscardRequest>,
) -> Result<axum::Json<Value>, Refused> {
    let user = mends(&state, &actor, "discard").await?;
    let desk = state.pipeline.as_ref().into();
    let after = holds::discard(desk, by(&user, &actor), id, &request.reason).await?;
    Ok(axum::Json(json!({ "id": id, "state": after.state.as_str(), "discarded": after.discarded })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayRequest {
    feed: Option<String>,
    lab: Option<String>,
    code: Option<String>,
    since: Option<Timestamp>,
    /// `held` or `rejected`; both where it is left out.
    state: Option<message::State>,
    /// `next` of the answer before.
    after: Option<MessageId>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    mapping: With,
}

/// Reads the messages of a filter again, in the order received, so many at a time.
pub(super) async fn replay_many(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Json(request): Json<ReplayRequest>,
) -> Result<axum::Json<Value>, Refused> {
    let user = mends(&state, &actor, "replay").await?;
    let pipeline = state.pipeline.as_ref();
    let ReplayRequest { feed, lab, code, since, state: stands, after, dry_run, mapping } = request;
    let filter = Filter { feeds: None, state: stands, waiting_only: true, code, since };
    let filter = filter.of(&pipeline.feeds, feed.as_deref(), lab.as_deref(), Some(&actor.clinic));
    let page = holds::list(&pipeline.store, &filter, Order::OldestFirst, after, REPLAY_MAX)?;
    let (mut replayed, mut refused) = (Vec::new(), Vec::new());
    for (id, _) in page.items {
        let by = by(&user, &actor);
        let done = if dry_run {
            holds::would_replay(pipeline.into(), by, id, mapping)
        } else {
            holds::replay(pipeline.into(), by, id, mapping).await
        };
        match done {
            Ok(_) => replayed.push(id),
            Err(holds::Error::Store(error)) => return Err(error.into()),
            Err(error) => refused.push(json!({ "id": id, "diagnostic": error.diagnostic() })),
        }
    }
    Ok(axum::Json(json!({ "dry_run": dry_run, "replayed": replayed, "refused": refused, "next": page.next })))
}

/// The account's id of somebody who may mend; an attempt by anybody else is in the audit chain.
async fn mends(state: &State, actor: &Actor, what: &str) -> Result<String, Refused> {
    if actor.roles.integrator || actor.roles.administrator {
        return Ok(actor.user.to_string());
    }
    review::record_refusal(&state.pipeline, actor, &format!("{what} a message")).await?;
    Err(Refused::forbidden("integrator or administrator"))
}

fn by<'a>(user: &'a str, actor: &'a Actor) -> By<'a> {
    By { actor: user, clinic: Some(&actor.clinic) }
}
