//! `gateway mapping`: what an integrator does with mapping files, one file for each verb.

mod check;
mod schema;

use crate::cli::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Every problem of the mapping files at once, each with its place and a line to paste.
    Check(check::Arguments),
    /// The JSON Schema of a kind of file, for an editor that completes and checks while one types.
    Schema(schema::Arguments),
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    match &arguments.verb {
        Verb::Check(it) => check::run(it, format),
        Verb::Schema(it) => schema::run(it),
    }
}
