//! The pages of the diagnostic codes, from the one list that `gateway explain` prints.

use axum::extract::Path;
use axum::response::Response;

use crate::diagnostic::codes;
use crate::diagnostic::codes::Explanation;
use crate::http::page::framed;
use crate::http::page::text;
use crate::http::problem::Refused;

pub(super) async fn index() -> Response {
    let row = |it: &Explanation| {
        let (code, title) = (text(&it.code), text(&it.title));
        format!(r#"<tr><th scope="row"><a href="/docs/errors/{code}">{code}</a></th><td>{title}</td></tr>"#)
    };
    let rows: String = codes::all().iter().map(row).collect();
    let body = format!(
        r#"<p class="lead">Every hold and every refusal carries one of these.</p>
<div class="scroll"><table><thead><tr><th scope="col">Code</th><th scope="col">Means</th></tr></thead><tbody>{rows}</tbody></table></div>"#
    );
    framed("Diagnostic codes", &body)
}

pub(super) async fn code(Path(code): Path<String>) -> Result<Response, Refused> {
    let it = codes::find(&code).ok_or_else(Refused::not_found)?;
    let body = format!(
        r#"<p class="lead">{}</p>
<h2>What the gateway does</h2><p>{}</p>
<h2>How to fix it</h2><p>{}</p>
<p><a href="/docs/errors">All codes</a></p>"#,
        marked(&it.meaning),
        marked(&it.action),
        marked(&it.remedy)
    );
    Ok(framed(&format!("{}: {}", it.code, it.title), &body))
}

/// Text with what stands in backquotes as code.
fn marked(plain: &str) -> String {
    let part = |(at, part): (usize, &str)| {
        if at % 2 == 1 { format!("<code>{}</code>", text(part)) } else { text(part) }
    };
    plain.trim().split('`').enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn backquotes_become_code_and_nothing_else_becomes_markup() {
        assert_eq!(marked("run `a <b>` & go"), "run <code>a &lt;b&gt;</code> &amp; go");
    }
}
