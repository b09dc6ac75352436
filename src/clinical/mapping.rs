//! Mapping files (`design.md` §4): how one laboratory's messages become canonical reports.
//!
//! A mapping is data, closed and total: it compiles to typed rules or the start stops, and reading a message with it
//! ends with every populated field used, ignored by a named rule, or told of. Nothing is defaulted or dropped in
//! silence, nothing here reads a file, tells the time or knows a laboratory by name.
//! Start at [`Catalog::compile`] (the files), then [`Mapping::read`] (a message) and [`Reading`] (what came of it).
//! The language itself is one table, in `language.rs`; people read of it in `docs/mapping.md`.

mod catalog;
pub mod check;
pub mod comparison;
mod compile;
mod condition;
pub mod coverage;
pub mod deviation;
pub mod draft;
pub mod example;
pub mod inbound;
pub mod language;
pub mod outbound;
mod plan;
pub mod share;
mod source;
pub mod transform;

pub use self::catalog::Catalog;
pub use self::inbound::Ledger;
pub use self::inbound::Outcome;
pub use self::inbound::Reading;
pub use self::inbound::Status;
pub use self::plan::Decision;
pub use self::plan::Mapping;
pub use self::plan::Rule;
