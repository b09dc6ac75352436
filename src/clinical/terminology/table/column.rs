//! The columns of each kind of table, each declared once: the reader of CSV, the rows in a mapping file and the JSON
//! Schema take them from here.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::clinical::terminology::table::TableKind;

/// One column.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub about: &'static str,
    /// A table must have it; a row's cell may still be empty where the column says so.
    pub is_needed: bool,
    /// What its cells look like, as a regular expression.
    pattern: &'static str,
}

const SENT: Column =
    Column { name: "sent", about: "as the laboratory writes it", is_needed: true, pattern: "." };
const FROM: Column = Column {
    name: "from",
    about: "the first day on which the row holds, by the time of the message",
    is_needed: false,
    pattern: DAY,
};
const UNTIL: Column =
    Column { name: "until", about: "the last day on which it does", is_needed: false, pattern: DAY };
const DAY: &str = "^(\\d{4}-\\d{2}-\\d{2})?$";

pub(super) const CODES: [Column; 5] = [
    SENT,
    Column {
        name: "loinc",
        about: "the LOINC code; empty for a test that is known and has none",
        is_needed: true,
        pattern: "^(\\d{1,5}-\\d)?$",
    },
    Column { name: "display", about: "the name people read", is_needed: true, pattern: "" },
    FROM,
    UNTIL,
];
pub(super) const UNITS: [Column; 5] = [
    SENT,
    Column { name: "ucum", about: "the UCUM code", is_needed: true, pattern: "." },
    Column {
        name: "factor",
        about: "one of the unit as sent is this many of the UCUM unit; empty for one that is the same",
        is_needed: false,
        pattern: "^([0-9]+(\\.[0-9]+)?)?$",
    },
    FROM,
    UNTIL,
];

/// The JSON Schema of one row.
pub fn row_schema(kind: TableKind) -> Value {
    let mut properties = Map::new();
    for column in kind.columns() {
        let schema = json!({ "type": "string", "description": column.about, "pattern": column.pattern });
        properties.insert(column.name.into(), schema);
    }
    // In a row of a mapping file an empty cell need not be written.
    let needed: Vec<&str> = match kind {
        TableKind::Codes => vec!["sent"],
        TableKind::Units => vec!["sent", "ucum"],
    };
    json!({ "type": "object", "additionalProperties": false, "required": needed, "properties": properties })
}

/// The JSON Schema of a table whose rows are objects.
pub fn json_schema(kind: TableKind) -> Value {
    let (title, file) = match kind {
        TableKind::Codes => ("Codes of a laboratory", "codes.csv"),
        TableKind::Units => ("Units of a laboratory", "units.csv"),
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": format!("The rows of `{file}`, each an object by the names of its header."),
        "type": "array",
        "items": row_schema(kind),
    })
}
