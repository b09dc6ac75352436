//! The workflow API under `/api/v1`: one file for each noun, one table of routes.
//!
//! A handler checks who asks, calls one function of the pipeline, and shapes the answer. It decides nothing.

mod case_view;
mod cases;
mod holds;
mod messages;
mod orders;
mod session;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::routing::get;
use axum::routing::patch;
use axum::routing::post;

use crate::http::State;
use crate::http::openapi;

pub(super) const PREFIX: &str = "/api/v1";

/// A route: its path, its methods in alphabetical order, and what answers.
pub(super) type Route = (&'static str, &'static [&'static str], MethodRouter<State>);

/// Every route, as the API's description has them.
pub(super) fn routes() -> [Route; 21] {
    [
        ("/session", &["delete", "post"], post(session::open).delete(session::end)),
        ("/orders", &["post"], post(orders::place)),
        ("/orders/{id}/form.pdf", &["get"], get(orders::form)),
        ("/patients/{id}/nhs-number/confirm", &["post"], post(orders::confirm_nhs_number)),
        ("/cases", &["get"], get(cases::list)),
        ("/cases/{id}", &["get"], get(cases::show)),
        ("/cases/{id}/attachments/{number}", &["get"], get(cases::attachment)),
        ("/cases/{id}/documents/clinician.pdf", &["get"], get(cases::clinician_pdf)),
        ("/cases/{id}/documents/patient.pdf", &["get"], get(cases::patient_pdf)),
        ("/cases/{id}/text", &["patch"], patch(cases::edit)),
        ("/cases/{id}/notes", &["post"], post(cases::note)),
        ("/cases/{id}/approve", &["post"], post(cases::approve)),
        ("/cases/{id}/reject", &["post"], post(cases::reject)),
        ("/cases/{id}/release", &["post"], post(cases::release)),
        ("/holds", &["get"], get(holds::list)),
        ("/holds/replay", &["post"], post(holds::replay_many)),
        ("/holds/{id}/discard", &["post"], post(holds::discard)),
        ("/holds/{id}/replay", &["post"], post(holds::replay)),
        ("/holds/{id}/match", &["post"], post(holds::match_by_hand)),
        ("/messages/{id}", &["get"], get(messages::show)),
        ("/openapi.json", &["get"], get(openapi::document)),
    ]
}

pub(super) fn router() -> Router<State> {
    routes().into_iter().fold(Router::new(), |router, (path, _, answer)| router.route(path, answer))
}

/// A document of the laboratory's, to be saved and never shown in our own name: a browser must not run what is in it.
pub(super) fn download(name: &str, media_type: Option<&str>, bytes: Vec<u8>) -> Response {
    let (kind, ending) = match media_type {
        Some("application/pdf") => ("application/pdf", "pdf"),
        Some("image/jpeg") => ("image/jpeg", "jpg"),
        Some("image/png") => ("image/png", "png"),
        Some("image/tiff") => ("image/tiff", "tif"),
        // Whatever else it is said to be, the reader's machine decides what opens it.
        _ => ("application/octet-stream", "bin"),
    };
    let disposition = format!("attachment; filename=\"{name}.{ending}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], bytes)
        .into_response()
}

/// A document for a person to read; its name says nothing of whose it is.
pub(super) fn pdf(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("inline; filename=\"{name}.pdf\"");
    (
        [(header::CONTENT_TYPE, "application/pdf".to_owned()), (header::CONTENT_DISPOSITION, disposition)],
        bytes,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::download;

    #[test]
    fn a_document_of_a_laboratory_is_saved_and_never_shown_in_our_name() {
        for (media_type, kind, ending) in [
            (Some("application/pdf"), "application/pdf", "pdf"),
            (Some("text/html"), "application/octet-stream", "bin"),
            (None, "application/octet-stream", "bin"),
        ] {
            let answer = download("case-1", media_type, b"bytes".to_vec());
            assert_eq!(answer.headers()[header::CONTENT_TYPE], kind);
            let disposition = format!("attachment; filename=\"case-1.{ending}\"");
            assert_eq!(answer.headers()[header::CONTENT_DISPOSITION], disposition.as_str());
        }
    }
}
