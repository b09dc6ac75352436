//! `gateway mapping`: what an integrator does with mapping files.

mod explain;

use crate::cli::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Why a value came out as it did, and what became of every field of a message.
    Explain(explain::Arguments),
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    match &arguments.verb {
        Verb::Explain(it) => explain::run(it, format),
    }
}
