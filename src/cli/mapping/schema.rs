//! `gateway mapping schema`: the JSON Schemas of the files that people write.

use crate::cli::Outcome;
use crate::cli::output;
use crate::clinical::mapping::language;
use crate::clinical::mapping::outbound;
use crate::clinical::terminology::TableKind;
use crate::clinical::terminology::table::column;
use crate::config;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gateway mapping schema mapping > mapping.schema.json")]
pub(crate) struct Arguments {
    /// Which kind of file.
    #[arg(value_enum)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    Block,
    Codes,
    Gateway,
    Mapping,
    Outbound,
    Units,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    output::json(&match arguments.kind {
        Kind::Block => language::schema::block_json_schema(),
        Kind::Codes => column::json_schema(TableKind::Codes),
        Kind::Gateway => config::json_schema(),
        Kind::Mapping => language::json_schema(),
        Kind::Outbound => outbound::json_schema(),
        Kind::Units => column::json_schema(TableKind::Units),
    });
    Outcome::Done
}
