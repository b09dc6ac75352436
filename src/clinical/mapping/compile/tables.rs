//! Tables: files beside a mapping, `[tables.NAME]` in it, or the few words of a rule's own.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use crate::clinical::mapping::compile::Compiler;
use crate::clinical::mapping::compile::NO_TABLE;
use crate::clinical::mapping::compile::Node;
use crate::clinical::mapping::compile::UNSOUND_TABLE;
use crate::clinical::mapping::compile::WRONG_TYPE;
use crate::clinical::mapping::language::Kind;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::source::Source;
use crate::clinical::terminology::Problem;
use crate::clinical::terminology::Table;
use crate::clinical::terminology::TableKind;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Span;
use crate::diagnostic::nearest;

/// The keys of `[tables.NAME]`.
/// How a table's file ends, in this spelling only.
const TABLE_ENDING: &str = ".csv";
const NAMED: [&str; 2] = ["owner", "rows"];

impl Compiler<'_> {
    pub(super) fn tables_of(&mut self, rule: &mut Rule, kind: Kind, node: &Node<'_>) {
        if kind == Kind::Sex {
            if let Some(word) = self.string(node, "table") {
                self.known_word(word, &["sex"], node.span(), "table");
            }
            return;
        }
        let kind = if kind == Kind::Unit { TableKind::Units } else { TableKind::Codes };
        rule.lookup_span = Some(self.source.span(node.span(), "no row for it"));
        let mut tables = Vec::new();
        if let Some(words) = node.get_ref().as_table() {
            tables.extend(self.words_as_table(words, kind, &node.span()));
        } else {
            for (name, at) in self.strings(node, "table") {
                let found = self.resolve(&name, kind, at.clone());
                if let Some((shown, table)) = found {
                    if table.kind() == kind {
                        tables.push((shown, table));
                    } else {
                        let wanted = format!("a table with the columns {}", kind.header());
                        let message = format!("{shown} is not {wanted}");
                        self.error(WRONG_TYPE, at, message, "another kind", "name another");
                    }
                }
            }
        }
        rule.lookup = Lookup::Tables(tables);
    }

    /// `{ "as sent" = "target" }`
    fn words_as_table(
        &mut self,
        words: &DeTable<'_>,
        kind: TableKind,
        at: &Range<usize>,
    ) -> Option<(String, Arc<Table>)> {
        let mut rows = Vec::new();
        for (sent, target) in words {
            let text = self.string(target, "table")?;
            rows.push((sent.get_ref().as_ref().trim(), text.trim(), target.span()));
        }
        let target_column = kind.columns().get(1).map_or("", |it| it.name);
        let table = Table::of_rows(
            kind,
            None,
            rows.iter().map(|(sent, target, _)| {
                move |column: &str| match column {
                    "sent" => *sent,
                    it if it == target_column => *target,
                    _ => "",
                }
            }),
        );
        let shown = self.place_of(at);
        let spans: Vec<Range<usize>> = rows.into_iter().map(|(.., at)| at).collect();
        self.sound(table, &spans).map(|table| (shown, table))
    }

    /// `mappings/labs/inuvi/mapping.toml, line 12`
    fn place_of(&self, at: &Range<usize>) -> String {
        format!("{}, line {}", self.source.file, self.source.span(at.clone(), "").line)
    }

    /// Every `[tables.NAME]` of the file at hand that no higher file has.
    pub(super) fn named_tables(&mut self, document: &DeTable<'_>) {
        let Some(node) = document.get("tables") else { return };
        let Some(tables) = self.table(node, "tables") else { return };
        for (name, node) in tables {
            let name = name.get_ref().as_ref();
            if self.named.iter().any(|it| it.name == name) {
                continue;
            }
            let Some(fields) = self.table(node, name) else { continue };
            self.check_keys(fields, &NAMED, &format!("`[tables.{name}]`"));
            let owner = fields.get("owner").and_then(|it| self.string(it, "owner")).map(str::to_owned);
            let Some(rows) = fields.get("rows") else {
                self.missing(node.span(), "rows", "rows = [{ sent = \"mmol/L\", ucum = \"mmol/L\" }]");
                continue;
            };
            let table = self.rows(name, owner, rows);
            let shown = format!("[tables.{name}] of {}", self.source.file);
            let at = self.source.span(node.span(), "");
            self.named.push(Named { name: name.to_owned(), shown, at, table });
        }
    }

    /// `rows = [{ sent = …, loinc = …, display = … }]`; the column that a kind alone has says which kind it is.
    fn rows(&mut self, name: &str, owner: Option<String>, node: &Node<'_>) -> Option<Arc<Table>> {
        let Some(items) = node.get_ref().as_array() else {
            self.wrong_type(node.span(), "rows", "a list of rows, each a table");
            return None;
        };
        let has = |column: &str| {
            items.iter().any(|it| it.get_ref().as_table().is_some_and(|it| it.contains_key(column)))
        };
        let kind = if has("ucum") { TableKind::Units } else { TableKind::Codes };
        let known: Vec<&str> = kind.columns().iter().map(|it| it.name).collect();
        let mut rows: Vec<Vec<(String, String)>> = Vec::new();
        let mut spans = Vec::new();
        for item in items {
            let fields = self.table(item, "rows")?;
            self.check_keys(fields, &known, &format!("a row of `[tables.{name}]`"));
            let mut cells = Vec::new();
            for (column, cell) in fields {
                let text = self.string(cell, column.get_ref().as_ref())?;
                cells.push((column.get_ref().as_ref().to_owned(), text.trim().to_owned()));
            }
            rows.push(cells);
            spans.push(item.span());
        }
        let table = Table::of_rows(
            kind,
            owner,
            rows.iter().map(|cells| {
                move |column: &str| {
                    cells.iter().find(|(name, _)| name == column).map_or("", |(_, cell)| cell.as_str())
                }
            }),
        );
        self.sound(table, &spans)
    }

    /// Tells what is wrong with rows that stand in the file at hand, each at its own place.
    fn sound(&mut self, table: Result<Table, Vec<Problem>>, spans: &[Range<usize>]) -> Option<Arc<Table>> {
        let problems = match table {
            Ok(table) => return Some(Arc::new(table)),
            Err(problems) => problems,
        };
        for it in problems {
            let at = spans.get(it.line.saturating_sub(1)).cloned().unwrap_or_default();
            let message = it.message.replace("in line ", "in row ");
            self.error(UNSOUND_TABLE, at, message, "this row", help_for_row(&it.help));
        }
        None
    }

    /// The table of this name: of `[tables]`, of the laboratory's own folder, beside the file that names it, or
    /// `<lab>/<file>` for another laboratory's.
    fn resolve(&mut self, name: &str, kind: TableKind, at: Range<usize>) -> Option<(String, Arc<Table>)> {
        if let Some(named) = self.named.iter().find(|it| it.name == name) {
            self.used.insert(format!("[tables.{name}]"));
            return named.table.clone().map(|table| (named.shown.clone(), table));
        }
        let own = format!("labs/{}/{name}", self.lab);
        let beside = format!("{}/{name}", self.folder);
        let key = match name {
            _ if name.contains('/') => format!("labs/{name}"),
            _ if self.files.contains_key(&own) => own,
            _ if self.files.contains_key(&beside) => beside,
            _ => own,
        };
        let shown = format!("mappings/{key}");
        self.used.insert(key.clone());
        if let Some(known) = self.tables.get(&key) {
            return known.clone().map(|table| (shown, table));
        }
        let files = self.files;
        let Some(text) = files.get(&key) else {
            self.no_table(name, &shown, kind, at);
            return None;
        };
        let table = match Table::parse(text, kind) {
            Ok(table) => Some(Arc::new(table)),
            Err(problems) => {
                let source = Source { file: &shown, text };
                for it in problems {
                    let span = source.line(it.line, it.column, it.length, "this row");
                    let help = help_for_row(&it.help);
                    self.report(Diagnostic::error(UNSOUND_TABLE, it.message).spanning(span).help(help));
                }
                None
            }
        };
        self.tables.insert(key, table.clone());
        table.map(|table| (shown, table))
    }

    fn no_table(&mut self, name: &str, shown: &str, kind: TableKind, at: Range<usize>) {
        let own = format!("labs/{}/", self.lab);
        let mut known: Vec<&str> = self.named.iter().map(|it| it.name.as_str()).collect();
        known.extend(
            self.files.keys().filter_map(|it| it.strip_prefix(&own)).filter(|it| it.ends_with(TABLE_ENDING)),
        );
        let help = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("make {shown}, with the first line `{}`", kind.header()),
        };
        self.error(NO_TABLE, at, format!("there is no table {shown}"), "no such file", help);
    }
}

fn help_for_row(help: &str) -> String {
    if help.is_empty() { "correct the row, or take it out".to_owned() } else { help.to_owned() }
}

/// A table of the mapping's own.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) shown: String,
    pub(super) at: Span,
    /// `None` for one that is unsound.
    pub(super) table: Option<Arc<Table>>,
}
