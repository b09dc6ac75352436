//! `gateway try`: every stage of a message file, with no server, store or configuration.
//!
//! What intake would reject is rejected here, by the same rules, save those that need a feed. A panic in one message
//! holds that message alone.

pub(crate) mod plan;
mod reading;
mod summary;

use std::path::PathBuf;

use crate::app::Compiled;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::files;
use crate::cli::output;
use crate::cli::try_::reading::Message;
use crate::cli::try_::reading::Reader;
use crate::cli::try_::reading::Status;
use crate::cli::try_::summary::Summary;
use crate::clinical::mapping::Catalog;
use crate::clinical::model::Report;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::nearest;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway try --stage fhir result.hl7\n  gateway try --lab standard --format json folder/\n  gateway try --summary folder/"
)]
pub(crate) struct Arguments {
    /// The laboratory whose mapping reads the messages.
    #[arg(long, default_value = "standard")]
    lab: String,
    /// What to show of each message.
    #[arg(long, value_enum, default_value_t = Stage::Report)]
    stage: Stage,
    /// Mappings from this folder instead of those in the binary.
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// Count instead of showing documents: states, reasons, results, time.
    #[arg(long)]
    summary: bool,
    /// Files in the format of the laboratory's mapping; folders are walked. An HL7 v2 file may hold many messages.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// How far a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Stage {
    /// The canonical reports.
    Report,
    /// What the rules find in them.
    Findings,
    /// The FHIR Bundle.
    Fhir,
    /// The Cliniko calls of an assumed approved case.
    Cliniko,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    let compiled = Compiled::read(arguments.mappings.as_deref()).map_err(Failure::Configuration)?;
    let Some(mapping) = compiled.catalog.lab(&arguments.lab) else {
        return Err(Failure::Configuration(vec![no_such_lab(&arguments.lab, &compiled.catalog)]));
    };
    let reader = Reader { mapping, compiled: &compiled, stage: arguments.stage };
    if arguments.stage == Stage::Fhir && format == Format::Plain {
        output::note("note: the ids are made with a public test key; a gateway has a key of its own");
    }
    let show = Show { format, is_summary: arguments.summary };
    let mut summary = Summary::default();
    let clock = SystemClock::new();
    for file in files::of_format(&arguments.files, mapping.format()) {
        let name = file.path.display().to_string();
        match file.bytes {
            Err(problem) => {
                let message = Message::unreadable(problem);
                summary.count(&message);
                show.message(&name, 0, &message);
            }
            Ok(bytes) => {
                for (index, message) in messages(&reader, &bytes, &clock).enumerate() {
                    summary.count(&message);
                    show.message(&name, index, &message);
                }
            }
        }
    }
    if arguments.summary {
        match format {
            Format::Plain => output::line(summary.table().trim_end()),
            Format::Json => output::json(&summary.document()),
        };
    }
    Ok(Outcome::from(summary.all_mapped()))
}

/// The document of a stage, as a file beside an example has it.
pub(crate) fn document(compiled: &Compiled, stage: Stage, reports: &[Report]) -> String {
    reading::document(compiled, stage, reports) + "\n"
}

/// A laboratory that no mapping is for.
pub(crate) fn no_such_lab(lab: &str, catalog: &Catalog) -> Diagnostic {
    let known: Vec<&str> = catalog.names().collect();
    let help = nearest(lab, known.iter().copied())
        .map_or_else(|| format!("there are: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
    Diagnostic::error(Code::new("C016"), format!("there is no mapping for a laboratory `{lab}`"))
        .at("--lab")
        .help(help)
}

/// Each message of a file, read as it is asked for. A file without any is read as one, which says why.
fn messages<'a>(
    reader: &'a Reader<'_>,
    bytes: &'a [u8],
    clock: &'a SystemClock,
) -> impl Iterator<Item = Message> + 'a {
    files::split(bytes, reader.mapping.format()).map(move |part| {
        let started = clock.monotonic();
        let mut message = reader.read(part.bytes, &part.around);
        message.took = clock.monotonic().saturating_sub(started);
        message
    })
}

struct Show {
    format: Format,
    is_summary: bool,
}

impl Show {
    fn message(&self, file: &str, index: usize, message: &Message) {
        match self.format {
            Format::Json => {
                output::line(&message.line(file, index));
            }
            Format::Plain if self.is_summary => {}
            Format::Plain => {
                output::diagnostics(&message.diagnostics, &format!("{file} #{index}"), self.format);
                if message.status == Status::Mapped {
                    output::line(&message.pretty());
                }
            }
        }
    }
}
