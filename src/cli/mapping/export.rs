//! `gateway mapping export`: the mapping files as a folder that an operator can change.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::config::library;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gateway mapping export /etc/gateway/mappings\n\nThen name the folder in the configuration: [mappings] directory = \"/etc/gateway/mappings\". No file is overwritten."
)]
pub(crate) struct Arguments {
    /// The folder; it is made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Mappings from this folder instead of those in the binary; what it lacks comes from the binary.
    #[arg(long, value_name = "FROM")]
    mappings: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let folder = &arguments.folder;
    let files = library::library(arguments.mappings.as_deref()).map_err(Failure::Configuration)?;
    let taken: Vec<Diagnostic> = files.keys().filter_map(|name| there_already(&folder.join(name))).collect();
    if !taken.is_empty() {
        return Err(Failure::Configuration(taken));
    }
    for (name, text) in &files {
        let path = folder.join(name);
        write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match format {
        Format::Json => output::json(&json!({ "directory": folder, "files": files.len() })),
        Format::Plain => output::line(&format!("{} files in {}", files.len(), folder.display())),
    };
    Ok(Outcome::Done)
}

fn there_already(path: &Path) -> Option<Diagnostic> {
    path.exists().then(|| {
        Diagnostic::error(Code::new("C081"), format!("`{}` is there already", path.display()))
            .fact("nothing was written")
            .help("name a folder that is not there yet, or an empty one")
    })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
