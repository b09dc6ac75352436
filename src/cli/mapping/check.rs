//! `gateway mapping check`: every problem of the mapping files at once, and what is legal and likely to be wrong.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::clinical::mapping::check;
use crate::clinical::mapping::check::Checked;
use crate::config::library;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::diagnostic::render;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gateway mapping check inuvi --mappings mappings\n\nExit status: 0 sound (warnings are told), 1 warnings under --strict, 2 a mapping does not compile."
)]
pub(crate) struct Arguments {
    /// Laboratories, or `cliniko` for what is sent there; without any, every mapping.
    #[arg(value_name = "LAB")]
    labs: Vec<String>,
    /// Mappings from this folder instead of those in the binary.
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// A warning fails the check, as for a pipeline that must stay clean.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let files = library::library(arguments.mappings.as_deref()).map_err(Failure::Configuration)?;
    let checked = check::check(&files, &arguments.labs).map_err(Failure::Configuration)?;
    let count = |severity: Severity| {
        checked.iter().flat_map(|it| &it.diagnostics).filter(|it| it.severity == severity).count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    for it in &checked {
        tell(it, format);
    }
    if format == Format::Plain {
        let mappings = counted(checked.len(), "mapping");
        let found = format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
        output::line(&format!("checked {mappings}: {found}"));
    }
    if errors > 0 {
        // Everything is told already.
        return Err(Failure::Configuration(Vec::new()));
    }
    Ok(Outcome::from(warnings == 0 || !arguments.strict))
}

/// One document a mapping, or its diagnostics as people read them.
fn tell(checked: &Checked, format: Format) {
    match format {
        Format::Json => {
            let compiles = !checked.diagnostics.iter().any(Diagnostic::is_error);
            output::json(&json!({
                "mapping": checked.name, "compiles": compiles, "diagnostics": checked.diagnostics,
            }));
        }
        Format::Plain => {
            for diagnostic in &checked.diagnostics {
                output::line(&render::plain(diagnostic, ""));
            }
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
