//! Cases: the work list, one case, its documents, and what a clinician decides.

use axum::extract;
use axum::response::Response;
use serde::Deserialize;
use serde::Deserializer;
use serde_json::Value;
use serde_json::json;

use crate::clinical::document::Kind;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Urgency;
use crate::clinical::workflow::ContentDigest;
use crate::http::State;
use crate::http::api::case_view;
use crate::http::api::download;
use crate::http::api::pdf;
use crate::http::extract::Asked;
use crate::http::extract::ByClinician;
use crate::http::extract::Json;
use crate::http::extract::Named;
use crate::http::extract::SignedIn;
use crate::http::problem::Refused;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::case::Stored;
use crate::pipeline::review;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    urgency: Option<String>,
    cursor: Option<String>,
}

impl ListQuery {
    /// An empty parameter is one that was not given: forms send them so.
    fn filter(&self) -> Result<review::Filter, Refused> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let wrong = |name: &'static str| {
            move || Refused::bad_request(format!("`{name}` has a value it does not take"))
        };
        Ok(review::Filter {
            state: given(&self.state)
                .map(|it| review::state_from_word(&it).ok_or_else(wrong("state")))
                .transpose()?,
            urgency: given(&self.urgency)
                .map(|it| Urgency::from_word(&it).ok_or_else(wrong("urgency")))
                .transpose()?,
            after: given(&self.cursor).map(|it| it.parse().map_err(|_| wrong("cursor")())).transpose()?,
        })
    }
}

pub(super) async fn list(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<Value>, Refused> {
    let page = review::list(&state.pipeline, &actor, &query.filter()?).await?;
    let items: Vec<Value> = page.items.iter().map(case_view::row).collect();
    Ok(axum::Json(json!({ "items": items, "next": page.next.map(|it| it.to_string()) })))
}

/// Everything for a clinician; for everybody else of the clinic, where the case stands.
pub(super) async fn show(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
    Named(id): Named<CaseId>,
) -> Result<axum::Json<Value>, Refused> {
    let shown = match actor.clone().clinician() {
        Ok(clinician) => case_view::full(&review::view(&state.pipeline, &clinician, id).await?),
        Err(_) => case_view::row(&review::status(&state.pipeline, &actor, id)?),
    };
    Ok(axum::Json(shown))
}

pub(super) async fn clinician_pdf(
    state: extract::State<State>,
    by: ByClinician,
    id: Named<CaseId>,
) -> Result<Response, Refused> {
    document(state, by, id, Kind::Clinician).await
}

pub(super) async fn patient_pdf(
    state: extract::State<State>,
    by: ByClinician,
    id: Named<CaseId>,
) -> Result<Response, Refused> {
    document(state, by, id, Kind::Patient).await
}

async fn document(
    extract::State(state): extract::State<State>,
    ByClinician(clinician): ByClinician,
    Named(id): Named<CaseId>,
    kind: Kind,
) -> Result<Response, Refused> {
    let bytes = review::document(&state.pipeline, &clinician, id, kind).await?;
    Ok(pdf(&format!("case-{id}-{}", review::word(kind)), bytes))
}

pub(super) async fn attachment(
    extract::State(state): extract::State<State>,
    ByClinician(clinician): ByClinician,
    extract::Path((id, number)): extract::Path<(String, String)>,
) -> Result<Response, Refused> {
    let named = id.parse::<CaseId>().ok().zip(number.parse().ok());
    let (id, number) = named.ok_or(review::Error::NotFound)?;
    let (attachment, bytes) = review::attachment(&state.pipeline, &clinician, id, number).await?;
    Ok(download(&format!("case-{id}-attachment-{number}"), attachment.media_type.as_deref(), bytes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "a JSON merge patch has three cases (RFC 7396)")]
pub(super) struct TextPatch {
    #[serde(default, deserialize_with = "given")]
    clinician_text: Option<Option<Sensitive<String>>>,
    #[serde(default, deserialize_with = "given")]
    patient_text: Option<Option<Sensitive<String>>>,
    #[serde(default)]
    contact_confirmed: Option<bool>,
}

/// Tells `null` (take the text back) from a field that is not there (leave it).
#[expect(clippy::option_option, reason = "a JSON merge patch has three cases (RFC 7396)")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Sensitive<String>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) async fn edit(
    extract::State(state): extract::State<State>,
    ByClinician(clinician): ByClinician,
    Named(id): Named<CaseId>,
    Json(patch): Json<TextPatch>,
) -> Result<axum::Json<Value>, Refused> {
    let TextPatch { clinician_text, patient_text, contact_confirmed } = patch;
    let edit = review::Edit { clinician_text, patient_text, contact_confirmed };
    review::edit(&state.pipeline, &clinician, id, edit).await.map(told).map_err(Into::into)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNote {
    text: Sensitive<String>,
}

pub(super) async fn note(
    extract::State(state): extract::State<State>,
    ByClinician(clinician): ByClinician,
    Named(id): Named<CaseId>,
    Json(new): Json<NewNote>,
) -> Result<axum::Json<Value>, Refused> {
    review::note(&state.pipeline, &clinician, id, new.text).await.map(told).map_err(Into::into)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalRequest {
    version: u32,
    content_sha256: String,
}

pub(super) async fn approve(
    extract::State(state): extract::State<State>,
    ByClinician(clinician): ByClinician,
    Named(id): Named<CaseId>,
    Json(request): Json<ApprovalRequest>,
) -> Result<axum::Json<Value>, Refused> {
    let wrong = || Refused::unprocessable("`content_sha256` is not 64 hexadecimal digits");
    let shown = digest(&request.content_sha256).ok_or_else(wrong)?;
    let approved = review::approve(&state.pipeline, &clinician, id, request.version, shown).await;
    approved.map(told).map_err(Into::into)
}

/// A SHA-256 in hexadecimal.
fn digest(text: &str) -> Option<ContentDigest> {
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(ContentDigest(digest))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectionRequest {
    reason: Sensitive<String>,
}

pub(super) async fn reject(
    extract::State(state): extract::State<State>,
    ByClinician(clinician): ByClinician,
    Named(id): Named<CaseId>,
    Json(request): Json<RejectionRequest>,
) -> Result<axum::Json<Value>, Refused> {
    review::reject(&state.pipeline, &clinician, id, request.reason).await.map(told).map_err(Into::into)
}

pub(super) async fn release(
    extract::State(state): extract::State<State>,
    ByClinician(clinician): ByClinician,
    Named(id): Named<CaseId>,
) -> Result<axum::Json<Value>, Refused> {
    review::release(&state.pipeline, &clinician, id).await.map(told).map_err(Into::into)
}

/// What an act answers: where the case stands now. What it shows now, hash included, is read anew.
pub(super) fn told(stored: Stored) -> axum::Json<Value> {
    let Stored { case, standing } = stored;
    axum::Json(json!({ "id": case.id, "version": case.version, "state": standing.state.as_str() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_tells_null_from_absent() {
        let read = |text| serde_json::from_str::<TextPatch>(text).ok();
        let patch = read(r#"{"clinician_text": null, "contact_confirmed": true}"#).unwrap();
        assert!(matches!(patch.clinician_text, Some(None)) && patch.patient_text.is_none());
        assert_eq!(patch.contact_confirmed, Some(true));
        assert!(
            read(r#"{"clinician_text": "a", "clinician_text": "b"}"#).is_none(),
            "a key that comes twice"
        );
        assert!(read(r#"{"text": "a"}"#).is_none());
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        assert_eq!(digest(&"0a".repeat(32)), Some(ContentDigest([10; 32])));
        for wrong in ["", "0a", &"+a".repeat(32), &"é".repeat(32), &"0a".repeat(33)] {
            assert_eq!(digest(wrong), None);
        }
    }
}
