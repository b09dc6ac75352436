//! `gateway mapping`: what an integrator does with mapping files. One file for each verb.

mod coverage;
mod diff;
mod in_order;
mod messages;

use crate::cli::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// What messages used of a mapping, and what they hold that it does not read.
    Coverage(coverage::Arguments),
    /// What another mapping would make of the same messages, clinically.
    Diff(diff::Arguments),
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    match &arguments.verb {
        Verb::Coverage(it) => coverage::run(it, format),
        Verb::Diff(it) => diff::run(it, format),
    }
}
