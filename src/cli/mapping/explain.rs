//! `gateway mapping explain`: each value back to its bytes, rule and table row; each field forward to its values.
//!
//! Reads one file as `gateway try` does, with no server and no store. What it prints is the message's own content.

mod account;
mod address;
mod json;
mod page;
mod text;
mod told;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::app::Compiled;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::files;
use crate::cli::mapping::explain::account::Account;
use crate::cli::mapping::explain::address::Asked;
use crate::cli::output;
use crate::cli::try_;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::Status;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::nearest;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway mapping explain result.hl7\n  gateway mapping explain result.hl7 'result OBX[4] unit'\n  gateway mapping explain result.hl7 'OBX[4]-6'\n  gateway mapping explain result.hl7 'Bundle.entry[3].resource.valueQuantity.code'\n  gateway mapping explain result.hl7 --html result.html\n\nWhat is printed, and the page, hold the patient's data as the message does. Keep them as you keep the message.\nExit status: 0 mapped, 1 held or rejected, 2 usage or configuration."
)]
pub(crate) struct Arguments {
    /// A message file in the format of the laboratory's mapping; an HL7 v2 file may hold many messages.
    file: PathBuf,
    /// A value of the report, the Bundle or the calls, as `gateway try` prints them, or a field of the message;
    /// without one, the whole account. `message:`, `report:`, `fhir:` or `cliniko:` before it says which is meant.
    value: Option<String>,
    /// The laboratory whose mapping reads the message.
    #[arg(long, default_value = "standard")]
    lab: String,
    /// Mappings from this folder instead of those in the binary.
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// Of a file with several messages, only this one, counted from 0 as `gateway try` does.
    #[arg(long, value_name = "N")]
    index: Option<usize>,
    /// Write one page that shows message and output side by side. It holds the patient's data.
    #[arg(long, value_name = "OUT.html")]
    html: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let compiled = Compiled::read(arguments.mappings.as_deref()).map_err(Failure::Configuration)?;
    let Some(mapping) = compiled.catalog.lab(&arguments.lab) else {
        return Err(Failure::Configuration(vec![try_::no_such_lab(&arguments.lab, &compiled.catalog)]));
    };
    let name = arguments.file.display().to_string();
    let bytes = read(arguments, mapping)?;
    let accounts: Vec<Account<'_>> = account::messages(&bytes, mapping.format())
        .into_iter()
        .enumerate()
        .filter(|(index, _)| arguments.index.is_none_or(|wanted| wanted == *index))
        .map(|(index, range)| Account::of(&name, index, &bytes, range, mapping, &compiled))
        .collect();
    if accounts.is_empty() {
        return Err(not_found("the file has no message of that number", "leave `--index` out"));
    }
    for account in &accounts {
        output::diagnostics(&account.problems, &account.subject(), format);
    }
    if let Some(page) = &arguments.html {
        write(page, &page::page(&accounts))?;
    }
    match &arguments.value {
        Some(value) => explain(&accounts, value, format)?,
        None if arguments.html.is_none() => accounts.iter().for_each(|account| whole(account, format)),
        None => {}
    }
    Ok(Outcome::from(accounts.iter().all(|account| account.status == Status::Mapped)))
}

/// The one file, or why there is none.
fn read(arguments: &Arguments, mapping: &Mapping) -> Result<Vec<u8>, Failure> {
    if arguments.file.is_dir() {
        return Err(not_found("one file is explained, and this is a folder", "name one file of it"));
    }
    let file = files::of_format(std::slice::from_ref(&arguments.file), mapping.format()).next();
    let bytes = file.map(|file| file.bytes).transpose();
    bytes.map(Option::unwrap_or_default).map_err(|problem| Failure::Configuration(vec![problem]))
}

#[expect(clippy::disallowed_methods, reason = "the command line names the page it writes")]
fn write(path: &PathBuf, page: &str) -> Result<(), Failure> {
    fs::write(path, page).with_context(|| format!("cannot write the page `{}`", path.display()))?;
    output::note(&format!("{} holds a patient's data: keep it as you keep the message", path.display()));
    Ok(())
}

fn whole(account: &Account<'_>, format: Format) {
    match format {
        Format::Json => output::json(&json::whole(account)),
        Format::Plain => output::line(text::whole(account).trim_end()),
    };
}

/// Tells of one value or field in every message that has it.
fn explain(accounts: &[Account<'_>], value: &str, format: Format) -> Result<(), Failure> {
    let mut is_found = false;
    for account in accounts {
        let Some(asked) = Asked::find(account, value) else { continue };
        is_found = true;
        match format {
            Format::Json => output::json(&json::asked(account, value, &asked)),
            Format::Plain => output::line(text::asked(account, &asked).trim_end()),
        };
    }
    if is_found {
        return Ok(());
    }
    let known: Vec<String> = accounts.iter().flat_map(address::known).collect();
    let help = nearest(value, known.iter().map(String::as_str)).map_or_else(
        || "`gateway mapping explain FILE` lists the values and fields there are".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(not_found("the message has no such value or populated field", help))
}

fn not_found(message: &str, help: impl Into<String>) -> Failure {
    Failure::Configuration(vec![Diagnostic::error(Code::new("M060"), message).help(help)])
}
