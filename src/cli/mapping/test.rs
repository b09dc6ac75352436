//! `gateway mapping test`: the examples beside a mapping against what is expected of them.
//!
//! Examples are files of whoever writes mappings; the binary holds none.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde_json::json;

use crate::app::Compiled;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::try_;
use crate::cli::try_::Stage;
use crate::clinical::mapping::Reading;
use crate::clinical::mapping::Status;
use crate::clinical::mapping::example;
use crate::clinical::mapping::example::Change;
use crate::config::examples;
use crate::config::examples::Example;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// Where examples are looked for without `--mappings`.
const MAPPINGS: &str = "mappings";
const NO_FOLDER: Code = Code::new("M082");

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway mapping test\n  gateway mapping test standard --mappings mappings\n  gateway mapping test northlab --bless"
)]
pub(crate) struct Arguments {
    /// The laboratories to test; all of the folder where none is named.
    #[arg(value_name = "LAB")]
    labs: Vec<String>,
    /// The folder of the mappings and their examples.
    #[arg(long, value_name = "DIR", default_value = MAPPINGS)]
    mappings: PathBuf,
    /// Write what was found as what is expected from now on, and say what changed. Look at it first without this.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let directory = &arguments.mappings;
    if !directory.join("labs").is_dir() {
        return Err(Failure::Configuration(vec![no_folder(directory)]));
    }
    let compiled = Compiled::read(Some(directory)).map_err(Failure::Configuration)?;
    let labs: Vec<String> = match arguments.labs.as_slice() {
        [] => compiled.catalog.names().map(str::to_owned).collect(),
        named => named.to_vec(),
    };
    let mut tally = Tally::default();
    for lab in &labs {
        let Some(mapping) = compiled.catalog.lab(lab) else {
            return Err(Failure::Configuration(vec![try_::no_such_lab(lab, &compiled.catalog)]));
        };
        let examples = examples::of_lab(directory, lab).map_err(Failure::Configuration)?;
        if examples.is_empty() {
            output::note(&format!("note: {lab} has no examples in {}", directory.display()));
        }
        for example in examples {
            let reading = mapping.read_bytes(&example.message);
            let found = found(&compiled, &example, &reading);
            let changes = example::changes(&example.expected, &found);
            let is_blessed = arguments.bless && !changes.is_empty();
            if is_blessed {
                bless(&example, &found)?;
            }
            tally.count(&changes, is_blessed);
            show(&example, &changes, is_blessed, format);
        }
    }
    tally.show(format);
    Ok(Outcome::from(tally.differ == 0))
}

/// The files that the example has, as this reading would have them.
fn found(compiled: &Compiled, example: &Example, reading: &Reading) -> BTreeMap<&'static str, String> {
    let mut found = example::found(reading);
    for (file, stage) in [
        (example::FHIR, Stage::Fhir),
        (example::FINDINGS, Stage::Findings),
        (example::CLINIKO, Stage::Cliniko),
    ] {
        if example.expected.contains_key(file) && reading.status != Status::Rejected {
            found.insert(file, try_::document(compiled, stage, &reading.reports));
        }
    }
    found
}

fn bless(example: &Example, found: &BTreeMap<&'static str, String>) -> Result<(), Failure> {
    for (file, text) in found {
        super::write(&example.folder.join(file), text.as_bytes())?;
    }
    Ok(())
}

fn show(example: &Example, changes: &[Change], is_blessed: bool, format: Format) {
    let status = match (changes.is_empty(), is_blessed) {
        (true, _) => "as expected",
        (false, true) => "blessed",
        (false, false) => "differs",
    };
    if format == Format::Json {
        output::json(&json!({
            "lab": example.lab, "example": example.name, "status": status.replace(' ', "_"), "changes": changes,
        }));
        return;
    }
    let colours = Colours { are_wanted: output::takes_colour() };
    let shade = if changes.is_empty() { Shade::Same } else { Shade::Strong };
    output::line(&format!("{}/{}: {}", example.lab, example.name, colours.paint(status, shade)));
    for change in changes {
        output::line(&format!("  {}", colours.change(change)));
    }
}

#[derive(Debug, Default)]
struct Tally {
    examples: usize,
    differ: usize,
    blessed: usize,
}

impl Tally {
    fn count(&mut self, changes: &[Change], is_blessed: bool) {
        self.examples += 1;
        self.differ += usize::from(!changes.is_empty() && !is_blessed);
        self.blessed += usize::from(is_blessed);
    }

    fn show(&self, format: Format) {
        let Self { examples, differ, blessed } = self;
        match format {
            Format::Json => output::json(
                &json!({ "summary": { "examples": examples, "differ": differ, "blessed": blessed } }),
            ),
            Format::Plain => {
                output::line(&format!("{examples} examples: {differ} differ, {blessed} blessed"))
            }
        };
    }
}

#[derive(Debug, Clone, Copy)]
enum Shade {
    Found,
    Gone,
    Same,
    Strong,
}

/// Colour adds nothing that the text lacks.
#[derive(Debug, Clone, Copy)]
struct Colours {
    are_wanted: bool,
}

impl Colours {
    fn paint(self, text: &str, shade: Shade) -> String {
        let number = match shade {
            Shade::Found | Shade::Same => "32",
            Shade::Gone => "31",
            Shade::Strong => "1;33",
        };
        if self.are_wanted { format!("\u{1b}[{number}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// `value at OBX[3] result.value (Haemoglobin): 5.1 → 51`
    fn change(self, change: &Change) -> String {
        let test = change.test.as_deref().map(|it| format!(" ({})", output::tame(it))).unwrap_or_default();
        let side = |value: &Option<String>, shade| match value {
            Some(value) => self.paint(&output::tame(value), shade),
            None => "nothing".to_owned(),
        };
        let place = if change.at.is_empty() { String::new() } else { format!(" at {}", change.at) };
        let (expected, found) = (side(&change.expected, Shade::Gone), side(&change.found, Shade::Found));
        format!("{}: {}{place}{test}: {expected} \u{2192} {found}", change.file, change.kind)
    }
}

fn no_folder(directory: &Path) -> Diagnostic {
    let message =
        format!("there are no mappings in `{}`, and the binary holds no examples", directory.display());
    Diagnostic::error(NO_FOLDER, message)
        .at("--mappings")
        .help("go to the folder that has `mappings/`, or name it: `gateway mapping test --mappings DIR`")
}

#[cfg(test)]
mod tests {
    use super::Colours;
    use crate::clinical::mapping::example::Change;

    #[test]
    fn a_change_reads_the_same_with_and_without_colour() {
        let change = Change {
            file: "report.json",
            kind: "value",
            at: "OBX[1] result.value".to_owned(),
            test: Some("718-7 Haemoglobin".to_owned()),
            expected: Some("5.1".to_owned()),
            found: None,
        };
        let plain = Colours { are_wanted: false }.change(&change);
        assert_eq!(
            plain,
            "report.json: value at OBX[1] result.value (718-7 Haemoglobin): 5.1 \u{2192} nothing"
        );
        let coloured = Colours { are_wanted: true }.change(&change);
        assert_eq!(coloured.replace("\u{1b}[31m", "").replace("\u{1b}[0m", ""), plain);
    }
}
