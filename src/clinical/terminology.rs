//! Codes, units and identifiers as they are written: which spelling means what, and which is none at all.
//!
//! Tables come from the mapping folder; nothing here knows a laboratory or an analyte. A spelling that no table has
//! stays unknown: it is never guessed from a likeness.
//! Start at [`Table`] (the CSV beside a mapping), then [`coding_system`] and [`ucum`].

pub mod coding_system;
pub mod loinc;
pub mod nhs_number;
pub mod table;
mod table_row;
pub mod ucum;
pub mod unit_spelling;

pub use self::table::Problem;
pub use self::table::Row;
pub use self::table::Table;
pub use self::table::TableKind;
pub use self::table_row::NewRow;
pub use self::table_row::with_lines;
