//! Lays the operator's file and the environment over the embedded defaults.
//!
//! Unknown keys and wrong types are found in the operator's own text, with line and column.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Table;
use toml::Value;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::raw;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Span;
use crate::diagnostic::nearest;

/// Every key with its default and a comment; also the operator's documentation.
pub const DEFAULTS: &str = include_str!("../../gateway.toml");

const PREFIX: &str = "GATEWAY_";

/// Only the laboratories, so that their problems carry a place in the text.
#[derive(Deserialize)]
struct Laboratories {
    #[serde(default)]
    #[expect(dead_code, reason = "parsed for its errors; the merged table is what is used")]
    lab: Vec<raw::Lab>,
}

pub(super) fn read(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<raw::Raw, Vec<Diagnostic>> {
    let mut merged: Table = DEFAULTS.parse().expect("a test parses the embedded defaults");
    let mut found = Vec::new();
    if let Some(path) = file {
        let text = text_of(path).map_err(|it| vec![it])?;
        found.extend(problems(&path.display().to_string(), &text, &merged));
        if found.is_empty() {
            let table: Table = text.parse().expect("a text without problems parses");
            lay_over(&mut merged, table);
        }
    }
    for (name, text) in environment.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        if let Err(problem) = set(&mut merged, name, text) {
            found.push(problem);
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    Value::Table(merged).try_into().map_err(|error: toml::de::Error| {
        vec![Diagnostic::error(
            Code::new("C002"),
            format!("the configuration has a wrong value: {}", error.message()),
        )]
    })
}

#[expect(clippy::disallowed_methods, reason = "the configuration reads its own file")]
fn text_of(path: &Path) -> Result<String, Diagnostic> {
    std::fs::read_to_string(path).map_err(|error| {
        Diagnostic::error(
            Code::new("C001"),
            format!("cannot read the configuration `{}`: {error}", path.display()),
        )
        .help("name a readable file after --config; `gateway.toml` in the sources documents every key")
    })
}

/// What is wrong with the operator's text, in the order it stands there.
fn problems(file: &str, text: &str, defaults: &Table) -> Vec<Diagnostic> {
    let place = |range: Range<usize>, label: &str| span(file, text, range, label);
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let problem = Diagnostic::error(
                Code::new("C002"),
                format!("the configuration is not TOML: {}", error.message()),
            );
            return vec![problem.spanning(place(error.span().unwrap_or(0..1), "here"))];
        }
    };
    let mut found = Vec::new();
    compare(&table, defaults, "", &place, &mut found);
    found.sort_by_key(|it| it.span.as_ref().map(|span| (span.line, span.column)));
    if let Err(error) = toml::from_str::<Laboratories>(text) {
        found.push(
            Diagnostic::error(
                Code::new("C002"),
                format!("a laboratory is described wrongly: {}", error.message()),
            )
            .spanning(place(error.span().unwrap_or(0..1), "here"))
            .help("the example at the end of `gateway.toml` shows every key of [[lab]]"),
        );
    }
    found
}

fn compare(
    table: &DeTable<'_>,
    defaults: &Table,
    prefix: &str,
    place: &dyn Fn(Range<usize>, &str) -> Span,
    found: &mut Vec<Diagnostic>,
) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        if name == "lab" || name == "keys.master" || name == "inbound.sftp.host_key" {
            continue;
        }
        match (defaults.get(key.get_ref().as_ref()), value.get_ref()) {
            (None, _) => {
                found.push(unknown(&name, key.get_ref(), defaults).spanning(place(key.span(), "not a key")));
            }
            (Some(Value::Table(known)), DeValue::Table(inner)) => {
                compare(inner, known, &format!("{name}."), place, found);
            }
            (Some(known), given) if known.type_str() != given.type_str() => found.push(
                Diagnostic::error(
                    Code::new("C002"),
                    format!("`{name}` is a {}, and was given a {}", known.type_str(), given.type_str()),
                )
                .spanning(place(value.span(), "here")),
            ),
            _ => {}
        }
    }
}

fn unknown(name: &str, key: &str, known: &Table) -> Diagnostic {
    let problem = Diagnostic::error(Code::new("C006"), format!("there is no configuration key `{name}`"));
    match nearest(key, known.keys().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`gateway.toml` in the sources documents every key"),
    }
}

fn span(file: &str, text: &str, range: Range<usize>, label: &str) -> Span {
    let start = range.start.min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    Span {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        length: text.get(range).map_or(1, |it| it.lines().next().unwrap_or_default().chars().count().max(1)),
        text: line.to_owned(),
        label: label.to_owned(),
    }
}

/// Tables merge key by key; anything else is replaced whole.
fn lay_over(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            // A secret is one reference: naming a variable must not leave the default's file beside it.
            (Some(Value::Table(inner)), Value::Table(table)) if key != "master" => lay_over(inner, table),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Sets one key from `GATEWAY_A__B`; the text is read as TOML where it is some, else as a string.
fn set(merged: &mut Table, name: &str, text: &str) -> Result<(), Diagnostic> {
    let path: Vec<String> = name.trim_start_matches(PREFIX).split("__").map(str::to_lowercase).collect();
    let unknown = || {
        Diagnostic::error(
            Code::new("C006"),
            format!("the environment variable `{name}` names no configuration key"),
        )
        .help("nest keys with two underscores: GATEWAY_STORE__DIRECTORY")
    };
    let (key, tables) = path.split_last().ok_or_else(unknown)?;
    let mut table = merged;
    for inner in tables {
        table = table.get_mut(inner).and_then(Value::as_table_mut).ok_or_else(unknown)?;
    }
    let known = if path == ["lab"] { None } else { Some(table.get(key).ok_or_else(unknown)?) };
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut it| it.remove("value"));
    let value = match (known, parsed) {
        (Some(Value::String(_)), Some(Value::String(text))) => Value::String(text),
        (Some(Value::String(_)), _) | (_, None) => Value::String(text.to_owned()),
        (_, Some(value)) => value,
    };
    table.insert(key.clone(), value);
    Ok(())
}
