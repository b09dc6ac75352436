//! Plain pages for people: the start page, and the frame that others stand in. No script, no inline style.

use axum::extract;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::http::State;
use crate::http::demo;

const STYLE: &str = include_str!("page/style.css");

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// Where everything is; in a demonstration, its people and documents too.
pub(super) async fn start(extract::State(state): extract::State<State>) -> Response {
    let ready = if state.pipeline.store.is_writable() {
        r#"<p class="status ok">Ready: the store takes messages.</p>"#
    } else {
        r#"<p class="status bad">Not ready: the store takes no changes. Look at the log.</p>"#
    };
    let shown = match &state.demo {
        Some(demo) => demo::section(&state, demo).await,
        None => String::new(),
    };
    let body = format!(
        r#"<p class="lead">Blood results from the laboratory to the patient’s Cliniko record, with a clinician in charge.</p>
{ready}
{shown}
<section aria-labelledby="for-programs"><h2 id="for-programs">For programs</h2>
<ul class="cards">
<li><a href="/api/v1/openapi.json">Workflow API</a><span>every path and field, as OpenAPI 3.1</span></li>
<li><a href="/inbound/openapi.json">For laboratories</a><span>where to post results, and each answer, as OpenAPI 3.1</span></li>
<li><a href="/health/live">Live</a><span>whether the process answers</span></li>
<li><a href="/health/ready">Ready</a><span>whether it can take messages</span></li>
<li><a href="/metrics">Metrics</a><span>messages, cases and waiting work, for Prometheus</span></li>
</ul></section>
<section aria-labelledby="for-people"><h2 id="for-people">For people</h2>
<ul class="cards">
<li><a href="/docs/errors">Diagnostic codes</a><span>what each means, why we hold, how to fix it</span></li>
</ul></section>"#
    );
    framed("Integration gateway", &body)
}

/// A whole page around a body that is HTML already.
pub(super) fn framed(title: &str, body: &str) -> Response {
    let title = text(title);
    Html(format!(
        r##"<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · HaemoSync</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><a href="/">HaemoSync</a> <span>integration gateway {version}</span></header>
<main id="main">
<h1>{title}</h1>
{body}
</main>
<footer>Clinical decision support. Nothing here is certified; the clinic’s clinician decides.</footer>
</body>
</html>
"##,
        version = env!("CARGO_PKG_VERSION"),
    ))
    .into_response()
}

/// Text that can stand between tags and in quoted attributes.
pub(crate) fn text(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(text(r#"<b a="1">'&"#), "&lt;b a=&quot;1&quot;&gt;&#39;&amp;");
    }
}
