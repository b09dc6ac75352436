//! `gateway mapping diff`: what another mapping would make of the same messages, clinically.
//!
//! Each message is decoded once where both mappings read one format, and read by both; only what differs is kept. A
//! value that may name a person is shown only to whoever asks for it.

mod show;
mod side;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;

use self::show::Show;
use self::side::Given;
use self::side::Side;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::mapping::messages;
use crate::cli::mapping::messages::Message;
use crate::cli::mapping::messages::Opened;
use crate::cli::mapping::messages::Source;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::comparison;
use crate::clinical::mapping::comparison::Difference;
use crate::clinical::mapping::comparison::Summary;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway mapping diff mappings/ /tmp/new-mappings --stored --since 2026-02-01 --config gateway.toml\n  gateway mapping diff mappings/labs/north /tmp/north samples/\n  gateway mapping diff 3f9c21ab mappings/labs/north --stored --lab north --config gateway.toml\n\nExit status: 0 when a clinician would see nothing else, 1 when something clinical changes or a message could not be\ncompared, 2 usage or configuration."
)]
pub(crate) struct Arguments {
    /// The mappings of now: a folder with labs/ in it, one laboratory's folder, or a digest that the store remembers.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The mappings to compare with.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Show values that may name a person: identities, numbers, notes and other prose.
    #[arg(long)]
    show_values: bool,
}

/// Both mappings of one name.
type Pair<'a> = [&'a Mapping; 2];

/// What came of one message.
enum Compared {
    Differences(Vec<Difference>),
    /// Only one side has a mapping for it.
    OneSided,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let source = &arguments.source;
    let (old, new) = (Given::look(&arguments.old)?, Given::look(&arguments.new)?);
    let config = source.config(old.is_stored() || new.is_stored())?;
    let base = source.mappings(config.as_deref());
    let old = old.open(base.as_deref(), config.as_deref())?;
    let new = new.open(base.as_deref(), config.as_deref())?;
    let names = names(&old, &new)?;
    let pairs: BTreeMap<&str, Pair<'_>> = names
        .iter()
        .filter_map(|name| Some((*name, [old.catalog.lab(name)?, new.catalog.lab(name)?])))
        .collect();
    let opened = match config.filter(|_| source.is_stored()) {
        Some(config) => source.open_store(config),
        None => open_files(source, &pairs)?,
    };
    let (mut summary, mut one_sided) = (Summary::default(), 0);
    let tally = source.read(
        &opened,
        |name| names.contains(name),
        |message| compare(&pairs, message),
        |message, compared| match compared {
            Compared::Differences(differences) => summary.add(differences, || message.name.clone()),
            Compared::OneSided => one_sided += 1,
        },
    )?;
    let is_same = pairs.values().all(|[old, new]| old.digest() == new.digest());
    let show = Show { format, values: arguments.show_values, is_same, one_sided, tally };
    show.summary([&arguments.old, &arguments.new], &pairs, &summary);
    messages::tell(tally);
    Ok(Outcome::from(!summary.is_clinical() && one_sided + tally.unreadable == 0))
}

fn compare(pairs: &BTreeMap<&str, Pair<'_>>, message: &Message) -> Compared {
    let Some(pair) = pairs.get(&*message.mapping) else { return Compared::OneSided };
    let [old, new] = pair;
    if old.digest() == new.digest() {
        return Compared::Differences(Vec::new());
    }
    let [said, says] = Mapping::read_by(*pair, &message.bytes);
    Compared::Differences(comparison::compare_readings(&said, &says))
}

/// The mappings that are compared: those of the one laboratory whose folder was given, else all that either side has.
fn names<'a>(old: &'a Side, new: &'a Side) -> Result<BTreeSet<&'a str>, Failure> {
    let of = |side: &'a Side| side.catalog.names().collect::<BTreeSet<_>>();
    match (old.only.as_deref(), new.only.as_deref()) {
        (Some(one), Some(other)) if one != other => {
            let message = format!("OLD is a mapping of `{one}`, and NEW one of `{other}`");
            Err(refused(Code::new("M071"), &message, "compare two mappings of one laboratory"))
        }
        (Some(lab), _) | (_, Some(lab)) => Ok(BTreeSet::from([lab])),
        (None, None) => Ok(of(old).union(&of(new)).copied().collect()),
    }
}

/// Files are of one laboratory: the one named, or the only one of which there is anything to compare.
fn open_files(source: &Source, pairs: &BTreeMap<&str, Pair<'_>>) -> Result<Opened, Failure> {
    let changed: Vec<&str> =
        pairs.iter().filter(|(_, [old, new])| old.digest() != new.digest()).map(|(name, _)| *name).collect();
    let lab = match (source.lab.as_deref(), changed.as_slice(), pairs.len()) {
        (Some(lab), _, _) => lab,
        (None, [only], _) => *only,
        (None, [], 1) => pairs.keys().next().copied().unwrap_or_default(),
        (None, ..) => {
            let message = "which laboratory's messages the files are is not said";
            let help = match changed.as_slice() {
                [] => "name it: `--lab LAB`".to_owned(),
                many => format!("name it: `--lab LAB`; the two differ for {}", many.join(", ")),
            };
            return Err(refused(Code::new("M072"), message, &help));
        }
    };
    if let Some([old, _]) = pairs.get(lab) {
        return Ok(source.open_files(lab, old.format()));
    }
    let message = format!("OLD and NEW have not both a mapping for a laboratory `{lab}`");
    let known: Vec<&str> = pairs.keys().copied().collect();
    Err(refused(Code::new("M073"), &message, &format!("both have: {}", known.join(", "))))
}

fn refused(code: Code, message: &str, help: &str) -> Failure {
    Failure::Configuration(vec![Diagnostic::error(code, message).help(help)])
}
