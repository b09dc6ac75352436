//! `gateway mapping`: what an integrator does with mapping files. One file for each verb.

mod active;
mod check;
mod coverage;
mod diff;
mod explain;
mod export;
mod in_order;
mod messages;
mod new;
mod reload;
mod resolve;
mod schema;
mod share;
mod test;

use std::path::Path;

use anyhow::Context;

use crate::cli::Failure;
use crate::cli::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// What runs, by digest and time of load, and whether the files are otherwise by now.
    Active(active::Arguments),
    /// Every problem of the mapping files at once, each with its place and a line to paste.
    Check(check::Arguments),
    /// What messages used of a mapping, and what they hold that it does not read.
    Coverage(coverage::Arguments),
    /// What another mapping would make of the same messages, clinically.
    Diff(diff::Arguments),
    /// Why a value came out as it did, and what became of every field of a message.
    Explain(explain::Arguments),
    /// Write the mapping files that are in the binary into a folder, to be changed there.
    Export(export::Arguments),
    /// A first mapping for a laboratory, drafted from messages it has sent.
    New(new::Arguments),
    /// Have the running gateway load the mapping files as they are now.
    Reload(reload::Arguments),
    /// Give an unknown code or unit of a held message its meaning, and read again what waited for it.
    Resolve(resolve::Arguments),
    /// The JSON Schema of a kind of file, for an editor that completes and checks while one types.
    Schema(schema::Arguments),
    /// A copy of a message that is safe to send to support.
    Share(share::Arguments),
    /// The examples beside a mapping, against what is expected of them.
    Test(test::Arguments),
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    match &arguments.verb {
        Verb::Active(it) => active::run(it, format),
        Verb::Check(it) => check::run(it, format),
        Verb::Coverage(it) => coverage::run(it, format),
        Verb::Diff(it) => diff::run(it, format),
        Verb::Explain(it) => explain::run(it, format),
        Verb::Export(it) => export::run(it, format),
        Verb::New(it) => new::run(it, format),
        Verb::Reload(it) => reload::run(it, format),
        Verb::Resolve(it) => resolve::run(it, format),
        Verb::Schema(it) => Ok(schema::run(it)),
        Verb::Share(it) => share::run(it, format),
        Verb::Test(it) => test::run(it, format),
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line names what is written")]
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()));
    written.map_err(Failure::Failed)
}
