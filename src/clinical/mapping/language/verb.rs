//! The keys of the language, each declared once: its name, what it may be given, where it may stand, what it says.
//!
//! The compiler refuses a key that is not here and reads the others in one exhaustive `match`; the JSON Schema, the
//! hints of diagnostics and the reference in `docs/mapping.md` are made of, or held against, these same lines.

use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::language::Kind;

/// What a key may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `[[result.column]]`
    Columns,
    /// One condition or several, of which all must hold.
    Conditions,
    /// `true` or `false`.
    Flag,
    /// `[[ignore]]`
    Ignores,
    /// A table of further rules, under names of the mapping's own.
    NamedRules,
    /// Tables of rows, under names of the mapping's own.
    NamedTables,
    Path,
    Paths,
    PathOrPaths,
    /// Changes of a text, in order.
    Steps,
    /// The names of tables, or `{ "as sent" = "target" }`; for `sex` the word `"sex"`.
    Tables,
    Text,
    TextOrTexts,
    /// A path, or the name of a type.
    Type,
    /// `{ "as sent" = "ours" }`
    Words,
    /// One of these.
    Word(&'static [&'static str]),
}

macro_rules! verbs {
    ($(#[$about_all:meta])* $enum:ident { $($verb:ident = $name:literal, $shape:expr, $takes:expr, $about:literal;)* }, $place:ty) => {
        $(#[$about_all])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $enum { $($verb),* }

        impl $enum {
            pub const ALL: &'static [Self] = &[$(Self::$verb),*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$verb => $name),* }
            }

            /// One line for people.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$verb => $about),* }
            }

            pub const fn shape(self) -> Shape {
                match self { $(Self::$verb => $shape),* }
            }

            /// Whether it may stand there, in a mapping of this format.
            pub fn takes(self, place: $place, format: Format) -> bool {
                let takes: fn($place, Format) -> bool = match self { $(Self::$verb => $takes),* };
                takes(place, format)
            }

            pub fn find(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.name() == name)
            }

            /// The names that may stand there.
            pub fn names(place: $place, format: Format) -> Vec<&'static str> {
                Self::ALL.iter().filter(|it| it.takes(place, format)).map(|it| it.name()).collect()
            }
        }
    };
}

verbs! {
    /// A key of a rule.
    Verb {
        As = "as", Shape::Word(&["date", "time"]), |kind, _| kind == Kind::Moment,
            "reads a date and leaves out the time of day, or reads both";
        Check = "check", Shape::Word(&["nhs-number"]), |kind, _| kind == Kind::NhsNumber,
            "ten digits, a check digit that holds, and no placeholder";
        Const = "const", Shape::Text, |kind, _| kind.may_be_constant(),
            "a fixed text or word in place of a path";
        Decimal = "decimal", Shape::Word(&["point", "comma"]), |kind, _| matches!(kind, Kind::Range | Kind::Value),
            "how the laboratory writes decimals; with `comma` a point is no number";
        Display = "display", Shape::Path, |kind, format| kind == Kind::Code && format.is_tree(),
            "where the words for a code stand";
        EachOf = "each_of", Shape::Paths, Kind::holds_many,
            "paths that are all read, for fields that hold many";
        Fallback = "fallback", Shape::Paths, |kind, format| !kind.holds_many(format) && (kind != Kind::Value || format.is_tree()),
            "paths read only where the others are empty; using one is told";
        FirstOf = "first_of", Shape::Paths, |_, _| true,
            "paths of which the first that has something is taken, within the current group";
        Format = "format", Shape::Text, |kind, _| kind == Kind::Moment,
            "how a date or time is written, in YYYY, MM, DD, HH, mm and ss";
        From = "from", Shape::Path, |_, _| true,
            "the path to read";
        Map = "map", Shape::Words, |kind, _| kind.has_words(),
            "words as sent, and the words of the gateway";
        Required = "required", Shape::Flag, |_, _| true,
            "holds the message where nothing is found";
        Retype = "retype", Shape::Words, |kind, format| kind == Kind::Value && !format.is_tree(),
            "a type the laboratory declares, and the one it means";
        System = "system", Shape::Text, |kind, _| kind == Kind::Code,
            "the system a code is of, where the message does not say";
        Table = "table", Shape::Tables, |kind, _| matches!(kind, Kind::Code | Kind::Unit | Kind::Sex),
            "where a code or unit is looked up";
        Transform = "transform", Shape::Steps, |kind, _| kind.is_of_text(),
            "changes of the text, in order, before it is looked up or read; what was sent stays";
        Type = "type", Shape::Type, |kind, _| kind == Kind::Value,
            "where the type of a value stands, or what it is";
        Unmapped = "unmapped", Shape::Word(&super::DECISIONS), |kind, _| kind.can_have_gaps(),
            "what happens where a table or map has no row, or a value is not of its type";
        When = "when", Shape::Conditions, |_, _| true,
            "what must hold for the rule to be read at all";
    }, Kind
}

verbs! {
    /// A key of a section that is no rule.
    Setting {
        At = "at", Shape::PathOrPaths, |section, format| section == "patient" && format.is_tree(),
            "leads from the report to its patient";
        Column = "column", Shape::Columns, |section, format| section == "result" && format.is_tree(),
            "a column of results, where each row is a patient";
        Extra = "extra", Shape::NamedRules, |section, _| matches!(section, "panel" | "result" | "specimen"),
            "further fields kept as text";
        ForEach = "for_each", Shape::PathOrPaths, |section, format| match section {
            "report" | "panel" => format.is_tree(),
            "result" | "specimen" | "note" => true,
            _ => false,
        },
            "where the section begins, once for each place found";
        GroupBy = "group_by", Shape::Word(&super::GROUPINGS), |section, _| section == "report",
            "what tells the reports of one message apart";
        Members = "members", Shape::PathOrPaths, |section, format| section == "result" && format.is_tree(),
            "what makes a result a panel of further results";
        TimeZone = "time_zone", Shape::Text, |section, _| section == "report",
            "the zone of times sent without an offset, as IANA names it";
    }, &str
}

verbs! {
    /// A key of the file itself. `at_top` is whether the file is a laboratory's own; a block has no `lab`.
    Head {
        Delimiter = "delimiter", Shape::Word(&super::DELIMITERS), |_, format| format == Format::Csv,
            "what stands between the cells of a table";
        Extends = "extends", Shape::TextOrTexts, |_, _| true,
            "other laboratories and blocks whose rules serve where this file has none; of several the later wins";
        Format = "format", Shape::Word(&super::FORMATS), |_, _| true,
            "how the laboratory's messages are written";
        Ignore = "ignore", Shape::Ignores, |_, _| true,
            "a path that no rule need read, and why";
        Lab = "lab", Shape::Text, |is_block, _| !is_block,
            "the name of the folder";
        Schema = "schema", Shape::Text, |_, _| true,
            "the version of the language: 1";
        Tables = "tables", Shape::NamedTables, |_, _| true,
            "tables of the mapping's own, for `table` to name";
    }, bool
}

/// The keys of one condition of `when`.
pub const CONDITION: [(&str, Shape, &str); 4] = [
    ("path", Shape::Path, "what the condition looks at"),
    ("exists", Shape::Flag, "whether there must be something, or nothing"),
    ("is", Shape::TextOrTexts, "the texts of which it must be one"),
    ("is_not", Shape::TextOrTexts, "the texts of which it must be none; where there is nothing, it is none"),
];
/// Conditions of one rule, so that reading it is bounded.
pub const CONDITIONS_MAX: usize = 8;
/// Rules for one field, of which the first whose `when` holds is read.
pub const ALTERNATIVES_MAX: usize = 16;
