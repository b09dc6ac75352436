//! `gateway explain`: what a diagnostic code means and how to fix it.

use serde_json::json;

use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::codes;
use crate::diagnostic::nearest;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gateway explain T014")]
pub(crate) struct Arguments {
    /// The code, such as T014; without it, all codes are listed.
    code: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    let Some(code) = &arguments.code else {
        for it in codes::all() {
            match format {
                Format::Plain => output::line(&format!("{}  {}", it.code, it.title)),
                Format::Json => output::json(&json!({ "code": it.code, "title": it.title })),
            };
        }
        return Ok(Outcome::Done);
    };
    let Some(it) = codes::find(code) else {
        let problem = Diagnostic::error(Code::new("C012"), "there is no such diagnostic code");
        let near = nearest(code, codes::all().iter().map(|it| it.code.as_str()));
        return Err(Failure::Configuration(vec![problem.help(near.map_or_else(
            || "`gateway explain` lists them all".to_owned(),
            |near| format!("did you mean `{near}`?"),
        ))]));
    };
    match format {
        Format::Plain => output::line(it.page().trim_end()),
        Format::Json => output::json(&json!({
            "code": it.code, "title": it.title, "meaning": it.meaning, "action": it.action, "remedy": it.remedy,
        })),
    };
    Ok(Outcome::Done)
}
