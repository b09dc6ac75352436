//! `gateway mapping check`: everything that can be told of mapping files without a message.
//!
//! Errors are what keeps a mapping from compiling; warnings are what compiles and is likely to be wrong.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::clinical::mapping::catalog::lab_names;
use crate::clinical::mapping::compile;
use crate::clinical::mapping::outbound;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::has_errors;

/// Where the outbound mapping stands in the mapping folder, and the name it is checked under.
pub const OUTBOUND_FILE: &str = "cliniko/mapping.toml";
pub const OUTBOUND: &str = "cliniko";
/// How a table's file ends, in this spelling only.
const TABLE_ENDING: &str = ".csv";
const UNREAD_FILE: Code = Code::new("M038");
const NO_SUCH: Code = Code::new("M043");

/// What is told of one mapping.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The laboratory, or [`OUTBOUND`].
    pub name: String,
    /// In the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks the mappings of these names, or all there are.
///
/// # Errors
/// A name that no mapping has.
pub fn check(files: &BTreeMap<String, String>, names: &[String]) -> Result<Vec<Checked>, Vec<Diagnostic>> {
    let has_outbound = files.contains_key(OUTBOUND_FILE);
    let known: Vec<&str> = lab_names(files).chain(has_outbound.then_some(OUTBOUND)).collect();
    let unknown: Vec<Diagnostic> = names
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| no_such(name, &known))
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    // One laboratory's table may be read by another only, so all are compiled whichever are asked for.
    let mut used = BTreeSet::new();
    let mut checked = Vec::new();
    for lab in lab_names(files) {
        let compiled = compile::check(lab, files);
        used.extend(compiled.used);
        checked.push(Checked { name: lab.to_owned(), diagnostics: compiled.diagnostics });
    }
    // A file with mistakes may not have come to the rule that asks.
    for it in checked.iter_mut().filter(|it| !has_errors(&it.diagnostics)) {
        it.diagnostics.extend(unread_files(files, &it.name, &used));
    }
    if let Some(text) = files.get(OUTBOUND_FILE) {
        let diagnostics = outbound::rehearse(&format!("mappings/{OUTBOUND_FILE}"), text);
        checked.push(Checked { name: OUTBOUND.to_owned(), diagnostics });
    }
    checked.retain(|it| names.is_empty() || names.contains(&it.name));
    Ok(checked)
}

/// The tables in a laboratory's folder that no rule of any laboratory asks.
fn unread_files(files: &BTreeMap<String, String>, lab: &str, used: &BTreeSet<String>) -> Vec<Diagnostic> {
    let folder = format!("labs/{lab}/");
    let tables = files.keys().filter(|it| it.starts_with(&folder) && it.ends_with(TABLE_ENDING));
    let unread = tables.filter(|it| !used.contains(*it)).map(|file| {
        let name = file.strip_prefix(&folder).unwrap_or(file);
        Diagnostic::warning(UNREAD_FILE, format!("no rule asks mappings/{file}"))
            .help(format!("name it in a rule, `table = \"{name}\"`, or delete the file"))
    });
    unread.collect()
}

fn no_such(name: &str, known: &[&str]) -> Diagnostic {
    let help = match crate::diagnostic::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", known.join(", ")),
    };
    Diagnostic::error(NO_SUCH, format!("there is no mapping `{name}`")).help(help)
}
