//! `gateway mapping new`: a laboratory's folder, drafted from messages it has sent.
//!
//! Nothing is overwritten. The examples are copies with other people in them; what a message said of its own stays
//! where it was.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::files;
use crate::cli::mapping::share::new_key;
use crate::cli::mapping::write;
use crate::cli::output;
use crate::clinical::mapping::Reading;
use crate::clinical::mapping::draft;
use crate::clinical::mapping::draft::Draft;
use crate::clinical::mapping::draft::Sample;
use crate::clinical::mapping::draft::Shape;
use crate::clinical::mapping::example;
use crate::clinical::mapping::language;
use crate::clinical::mapping::share;
use crate::clinical::model::Report;
use crate::config::library;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

const NAME_TAKEN: Code = Code::new("M085");
/// More would be read by nobody.
const EXAMPLES_MAX: usize = 12;
/// Enough to see what a laboratory sends.
const SAMPLES_MAX: usize = 2_000;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gateway mapping new northlab messages/ --out mappings\n\nThen read what is marked `# guess:`, and run:\n  gateway mapping test northlab\n  gateway try --lab northlab --mappings mappings messages/"
)]
pub(crate) struct Arguments {
    /// The laboratory's name: small letters, digits and hyphens.
    #[arg(value_name = "LAB", value_parser = name)]
    lab: String,
    /// Messages as the laboratory sends them, or folders of them.
    #[arg(required = true, value_name = "DIR")]
    samples: Vec<PathBuf>,
    /// The folder of the mappings.
    #[arg(long, value_name = "DIR", default_value = "mappings")]
    out: PathBuf,
}

fn name(text: &str) -> Result<String, String> {
    let is_part = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    let is_name = text.starts_with(|it: char| it.is_ascii_lowercase()) && text.bytes().all(is_part);
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("write it as small letters, digits and hyphens".to_owned())
    }
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let folder = arguments.out.join("labs").join(&arguments.lab);
    if folder.exists() {
        return Err(Failure::Configuration(vec![name_taken(&folder)]));
    }
    let messages = messages(&arguments.samples);
    let samples: Vec<Sample<'_>> = messages.iter().map(|bytes| Sample { bytes }).collect();
    let files = library::library(None).map_err(Failure::Configuration)?;
    let draft = draft::draft(&arguments.lab, &samples, draft::Known { files: &files });
    let draft = draft.map_err(Failure::Configuration)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for (file, text) in &draft.files {
        write(&folder.join(file), text.as_bytes())?;
    }
    let own: Vec<&Vec<u8>> = draft.samples.iter().filter_map(|at| messages.get(*at)).collect();
    let examples = examples(&draft, &own, &folder)?;
    let readings: Vec<Reading> = own.iter().map(|bytes| draft.mapping.read_bytes(bytes)).collect();
    let count = |status: &str| readings.iter().filter(|it| it.status.as_str() == status).count();
    let (mapped, held, rejected) = (count("mapped"), count("held"), count("rejected"));
    let others = messages.len() - own.len();
    match format {
        Format::Json => output::json(&json!({
            "folder": folder, "format": draft.shape.format().as_str(), "messages": own.len(), "others": others,
            "mapped": mapped, "held": held, "rejected": rejected, "examples": examples, "questions": draft.questions,
        })),
        Format::Plain => {
            output::line(&told(&draft, &folder, [own.len(), others, mapped, held, rejected, examples]))
        }
    };
    Ok(Outcome::Done)
}

fn told(draft: &Draft, folder: &Path, counts: [usize; 6]) -> String {
    let [messages, others, mapped, held, rejected, examples] = counts;
    let mut text = format!(
        "wrote {}: a draft from {messages} messages in {}, with {examples} examples\n",
        folder.display(),
        draft.shape.words()
    );
    if others > 0 {
        let _infallible = writeln!(text, "{others} files are of another format and were left out");
    }
    let _infallible = writeln!(text, "it reads them so: {mapped} mapped, {held} held, {rejected} rejected");
    if !draft.questions.is_empty() {
        text.push_str("to be decided, beside every line marked `# guess:`:\n");
        for question in &draft.questions {
            let _infallible = writeln!(text, "  - {question}");
        }
    }
    text.trim_end().to_owned()
}

/// Every message of the files; of a file that may be HL7 v2 each of its messages.
fn messages(given: &[PathBuf]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut paths = BTreeSet::new();
    let formats = language::Format::ALL;
    for file in formats.into_iter().flat_map(|format| files::of_format(given, format)) {
        let Ok(bytes) = file.bytes else {
            output::note(&format!("note: `{}` cannot be read and was left out", file.path.display()));
            continue;
        };
        if !paths.insert(file.path) || messages.len() >= SAMPLES_MAX {
            continue;
        }
        let is_hl7 = Shape::of(&bytes) == Some(Shape::Er7);
        let format = if is_hl7 { language::Format::Hl7v2 } else { language::Format::Json };
        messages.extend(files::split(&bytes, format).map(|part| part.bytes.to_vec()));
    }
    messages
}

/// Writes examples of as many kinds as there are; the count of those written.
fn examples(draft: &Draft, messages: &[&Vec<u8>], folder: &Path) -> Result<usize, Failure> {
    let mut kinds: Vec<(String, Vec<&Vec<u8>>)> = Vec::new();
    for message in messages {
        let kind = kind(&draft.mapping.read_bytes(message));
        match kinds.iter_mut().find(|(it, _)| *it == kind) {
            Some((_, own)) => own.push(message),
            None => kinds.push((kind, vec![message])),
        }
    }
    // One of each kind, then a second of each, until there are enough.
    let most = kinds.iter().map(|(_, own)| own.len()).max().unwrap_or(0);
    let chosen = (0..most)
        .flat_map(|turn| kinds.iter().filter_map(move |(kind, own)| Some((kind, own.get(turn)?, turn))));
    let mut written = 0;
    for (kind, message, turn) in chosen {
        if written == EXAMPLES_MAX {
            break;
        }
        let Ok(copy) = share::share(&draft.mapping, message, &new_key()) else {
            output::note("note: one message could not be made safe to keep, and is no example");
            continue;
        };
        let name = if turn == 0 { kind.clone() } else { format!("{kind}-{}", turn + 1) };
        let example = folder.join("examples").join(name);
        fs::create_dir_all(&example).with_context(|| format!("cannot make `{}`", example.display()))?;
        write(&example.join(format!("message.{}", draft.shape.ending())), &copy)?;
        for (file, text) in example::found(&draft.mapping.read_bytes(&copy)) {
            write(&example.join(file), text.as_bytes())?;
        }
        written += 1;
    }
    Ok(written)
}

/// What became of a message, as a folder's name: `mapped`, `mapped-corrected`, `held-t010-m110`.
fn kind(reading: &Reading) -> String {
    const PARTS_MAX: usize = 4;
    let codes: BTreeSet<String> = reading
        .diagnostics
        .iter()
        .filter(|it| it.is_error())
        .map(|it| it.code.as_str().to_lowercase())
        .collect();
    let results = reading.reports.iter().flat_map(Report::results);
    let statuses: BTreeSet<String> =
        results.map(|it| it.status.as_str().to_owned()).filter(|it| it != "final").collect();
    let parts = std::iter::once(reading.status.as_str().to_owned())
        .chain(codes.into_iter().take(PARTS_MAX))
        .chain(statuses.into_iter().take(PARTS_MAX));
    parts.collect::<Vec<_>>().join("-")
}

fn name_taken(folder: &Path) -> Diagnostic {
    Diagnostic::error(
        NAME_TAKEN,
        format!("`{}` is there already, and nothing is overwritten", folder.display()),
    )
    .at("LAB")
    .help("choose another name, another `--out`, or move the folder away")
}
