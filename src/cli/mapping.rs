//! `gateway mapping`: what an integrator does with mapping files, one file for each verb.

mod active;
mod export;
mod reload;
mod resolve;

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
    /// Write the mapping files that are in the binary into a folder, to be changed there.
    Export(export::Arguments),
    /// Have the running gateway load the mapping files as they are now.
    Reload(reload::Arguments),
    /// Give an unknown code or unit of a held message its meaning, and read again what waited for it.
    Resolve(resolve::Arguments),
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    match &arguments.verb {
        Verb::Active(it) => active::run(it, format),
        Verb::Export(it) => export::run(it, format),
        Verb::Reload(it) => reload::run(it, format),
        Verb::Resolve(it) => resolve::run(it, format),
    }
}
