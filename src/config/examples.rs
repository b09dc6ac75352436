//! The examples beside mappings: `labs/<lab>/examples/<name>/`, each a message and what is expected of it.
//!
//! They are for people and tests, so the binary has none; they are read from a folder that somebody names.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::clinical::mapping::example::ALWAYS;
use crate::clinical::mapping::example::WHERE_PRESENT;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

const UNREADABLE: Code = Code::new("M081");
/// The message of an example: this and the ending of its format.
const MESSAGE: &str = "message.";

/// One example.
#[derive(Debug, Clone)]
pub struct Example {
    pub lab: String,
    pub name: String,
    pub folder: PathBuf,
    pub message: Vec<u8>,
    /// Expectations by file name.
    pub expected: BTreeMap<String, String>,
}

/// Every example of a laboratory below `mappings`, in the order of their names; none where it has no such folder.
///
/// # Errors
/// M081 for every folder or file that cannot be read, and for an example without its message.
pub fn of_lab(mappings: &Path, lab: &str) -> Result<Vec<Example>, Vec<Diagnostic>> {
    let parent = mappings.join("labs").join(lab).join("examples");
    if !parent.is_dir() {
        return Ok(Vec::new());
    }
    let mut folders = Vec::new();
    let entries = fs::read_dir(&parent).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(|error| vec![unreadable(&parent, &error.to_string())])? {
        folders.extend(entry.file_name().into_string().ok().filter(|_| entry.path().is_dir()));
    }
    folders.sort();
    let (mut examples, mut problems) = (Vec::new(), Vec::new());
    for name in folders {
        match read(&parent.join(&name), lab, &name) {
            Ok(example) => examples.push(example),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(examples) } else { Err(problems) }
}

fn read(folder: &Path, lab: &str, name: &str) -> Result<Example, Diagnostic> {
    let problem = |error: io::Error| unreadable(folder, &error.to_string());
    let mut message = None;
    for entry in fs::read_dir(folder).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        if path.file_name().and_then(|it| it.to_str()).is_some_and(|it| it.starts_with(MESSAGE)) {
            message = Some(bytes(&path).map_err(problem)?);
        }
    }
    let message = message.ok_or_else(|| unreadable(folder, "it has no message"))?;
    let mut expected = BTreeMap::new();
    for file in ALWAYS.into_iter().chain(WHERE_PRESENT) {
        let path = folder.join(file);
        if path.is_file() {
            let text = String::from_utf8(bytes(&path).map_err(problem)?);
            expected.insert(file.to_owned(), text.map_err(|_| unreadable(&path, "it is not UTF-8"))?);
        }
    }
    Ok(Example { lab: lab.to_owned(), name: name.to_owned(), folder: folder.to_owned(), message, expected })
}

#[expect(clippy::disallowed_methods, reason = "examples are files that an author keeps beside a mapping")]
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::error(UNREADABLE, format!("cannot read the example `{}`: {why}", path.display()))
        .help("an example is a folder with `message.` and its ending, such as `message.hl7`, and expectations in UTF-8")
}
