//! `gateway mapping share`: a copy of a message that is safe to send to support.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::files;
use crate::cli::output;
use crate::cli::try_;
use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::share;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::config::library;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway mapping share result.hl7 --out shared.hl7\n  gateway mapping share --lab northlab --mappings mappings result.csv\n\nNames, numbers, addresses, dates of birth and free text become others of the same length, anew on each run. Codes,\nunits, ranges, flags, statuses and measured values stay. Look at the copy before you send it."
)]
pub(crate) struct Arguments {
    /// The message.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The laboratory whose mapping says what in it is clinical.
    #[arg(long, default_value = "standard")]
    lab: String,
    /// Mappings from this folder instead of those in the binary.
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// Where to write the copy; without it, to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let files = library::library(arguments.mappings.as_deref()).map_err(Failure::Configuration)?;
    let catalog = Catalog::compile(&files).map_err(Failure::Configuration)?;
    let Some(mapping) = catalog.lab(&arguments.lab) else {
        return Err(Failure::Configuration(vec![try_::no_such_lab(&arguments.lab, &catalog)]));
    };
    let given = [arguments.file.clone()];
    let Some(file) = files::of_format(&given, mapping.format()).next() else {
        return Err(Failure::Failed(anyhow::anyhow!(
            "there is no message in `{}`",
            arguments.file.display()
        )));
    };
    let message = file.bytes.map_err(|problem| Failure::Configuration(vec![problem]))?;
    let copy = share::share(mapping, &message, &new_key());
    let copy = copy.map_err(|problem| Failure::Configuration(vec![*problem]))?;
    match &arguments.out {
        None => drop(output::bytes(&copy)),
        Some(out) => {
            super::write(out, &copy)?;
            let before = mapping.read_bytes(&message).status.as_str();
            let after = mapping.read_bytes(&copy).status.as_str();
            match format {
                Format::Json => output::json(
                    &json!({ "file": out, "bytes": copy.len(), "message": before, "copy": after }),
                ),
                Format::Plain => output::line(&format!(
                    "wrote {}: {} bytes; the message is {before}, its copy {after}. Look at it before you send it",
                    out.display(),
                    copy.len()
                )),
            };
        }
    }
    Ok(Outcome::Done)
}

/// Another key for each copy, so that copies cannot be laid beside each other.
pub(super) fn new_key() -> share::Key {
    let mut chance = [0; 32];
    SystemClock::new().fill_random(&mut chance);
    share::Key::from_random(chance)
}
