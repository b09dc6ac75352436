//! The demonstration's part of the start page: who can sign in, and its invented patients' documents.
//!
//! Exists only where the gateway was started as a demonstration, on this machine's own address. It has no door of its
//! own: it signs in as the demonstration's clinician and asks as they would.

use std::sync::Arc;
use std::sync::OnceLock;

use axum::Router;
use axum::extract;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Mutex;

use crate::clinical::document::Kind;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Urgency;
use crate::http::State;
use crate::http::api::pdf;
use crate::http::extract::Named;
use crate::http::page::text;
use crate::http::problem::Refused;
use crate::pipeline::records::CaseId;
use crate::pipeline::review;
use crate::pipeline::review::Filter;
use crate::pipeline::review::Row;
use crate::pipeline::sessions::Clinician;
use crate::pipeline::sessions::Sessions;

/// What the demonstration tells its visitors, once it is set up. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Demo(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    welcome: OnceLock<Welcome>,
    /// The reader's session; opened anew when it ends.
    token: Mutex<Sensitive<String>>,
}

/// The people and places of a demonstration.
#[derive(Debug)]
pub struct Welcome {
    /// The first is the clinician whose view the page shows.
    pub accounts: Vec<Account>,
    /// Further addresses: what each is, and where.
    pub links: Vec<(String, String)>,
}

/// Somebody who can sign in to the demonstration.
#[derive(Debug)]
pub struct Account {
    pub role: String,
    pub email: String,
    pub password: String,
}

impl Demo {
    /// Says who is there; the first word counts.
    pub fn welcome(&self, welcome: Welcome) {
        let _already_said = self.0.welcome.set(welcome);
    }

    /// The demonstration's clinician, signed in.
    async fn reader(&self, sessions: &Sessions) -> Result<Clinician, Refused> {
        let clinician =
            self.0.welcome.get().and_then(|it| it.accounts.first()).ok_or_else(Refused::not_found)?;
        let mut token = self.0.token.lock().await;
        if let Ok(actor) = sessions.check(token.expose()) {
            return Ok(actor.clinician()?);
        }
        let (fresh, _) = sessions.sign_in(&clinician.email, &clinician.password).await?;
        *token = fresh.into();
        Ok(sessions.check(token.expose())?.clinician()?)
    }
}

pub(super) fn router() -> Router<State> {
    Router::new()
        .route("/demo/cases/{id}/clinician.pdf", get(clinician_pdf))
        .route("/demo/cases/{id}/patient.pdf", get(patient_pdf))
}

async fn clinician_pdf(state: extract::State<State>, id: Named<CaseId>) -> Result<Response, Refused> {
    document(state, id, Kind::Clinician).await
}

async fn patient_pdf(state: extract::State<State>, id: Named<CaseId>) -> Result<Response, Refused> {
    document(state, id, Kind::Patient).await
}

async fn document(
    extract::State(state): extract::State<State>,
    Named(id): Named<CaseId>,
    kind: Kind,
) -> Result<Response, Refused> {
    let demo = state.demo.as_ref().ok_or_else(Refused::not_found)?;
    let reader = demo.reader(&state.sessions).await?;
    let bytes = review::document(&state.pipeline, &reader, id, kind).await?;
    Ok(pdf(&format!("case-{id}-{}", review::word(kind)), bytes))
}

/// The section of the start page.
pub(super) async fn section(state: &State, demo: &Demo) -> String {
    let Some(welcome) = demo.0.welcome.get() else {
        return r#"<p class="status">The demonstration is being set up; reload in a moment.</p>"#.to_owned();
    };
    let account = |it: &Account| {
        let (role, email, password) = (text(&it.role), text(&it.email), text(&it.password));
        format!(
            r#"<tr><th scope="row">{role}</th><td><code>{email}</code></td><td><code>{password}</code></td></tr>"#
        )
    };
    let link = |(what, address): &(String, String)| {
        let (what, address) = (text(what), text(address));
        format!(r#"<li><a href="{address}">{what}</a><span><code>{address}</code></span></li>"#)
    };
    let accounts: String = welcome.accounts.iter().map(account).collect();
    let links: String = welcome.links.iter().map(link).collect();
    let cases = match cases(state, demo).await {
        Ok(rows) => rows.iter().map(case).collect(),
        Err(_) => {
            r#"<tr><td colspan="4">The cases cannot be read now; look at the log.</td></tr>"#.to_owned()
        }
    };
    format!(
        r#"<section aria-labelledby="demo"><h2 id="demo">Demonstration</h2>
<div class="scroll"><table><caption>Invented patients, most urgent first. Drafts say so on every page.</caption>
<thead><tr><th scope="col">Patient</th><th scope="col">State</th><th scope="col">Urgency</th><th scope="col">Documents</th></tr></thead>
<tbody>{cases}</tbody></table></div>
<h2>Sign in with POST /api/v1/session as</h2>
<div class="scroll"><table><thead><tr><th scope="col">Role</th><th scope="col">E-mail</th><th scope="col">Password</th></tr></thead>
<tbody>{accounts}</tbody></table></div>
<ul class="cards">{links}</ul></section>"#
    )
}

async fn cases(state: &State, demo: &Demo) -> Result<Vec<Row>, Refused> {
    let reader = demo.reader(&state.sessions).await?;
    Ok(review::list(&state.pipeline, reader.actor(), &Filter::default()).await?.items)
}

fn case(row: &Row) -> String {
    let name = row.clinical.as_ref().and_then(|it| it.patient_name.as_ref());
    let documents = if name.is_some() {
        let id = row.id;
        format!(
            r#"<a href="/demo/cases/{id}/clinician.pdf">clinician report</a>, <a href="/demo/cases/{id}/patient.pdf">patient summary</a>"#
        )
    } else {
        "none until somebody says whose it is".to_owned()
    };
    let class = if matches!(row.urgency, Some(Urgency::Emergency | Urgency::SameDay)) {
        r#" class="urgent""#
    } else {
        ""
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td{class}>{}</td><td>{documents}</td></tr>",
        name.map_or_else(|| "not matched".to_owned(), |name| text(name.expose())),
        row.state.as_str().replace('_', " "),
        row.urgency.map_or("none", Urgency::as_str).replace('_', " "),
    )
}
