//! The files of the `mappings` folder as texts by name: those in the binary, or an operator's in their place.
//!
//! Names are relative to the folder and written with `/`: `labs/standard/mapping.toml`, `knowledge/ranges.tsv`. Only
//! what the gateway reads is listed; examples are for people and tests. Nothing is compiled here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use crate::clinical::interpret::rules;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// The parts of the folder. One that an operator's folder does not have stays as it is in the binary.
const PARTS: [&str; 4] = ["labs", "blocks", "cliniko", "knowledge"];
/// What is read: mappings and rules, code tables, ranges.
const ENDINGS: [&str; 3] = ["toml", "csv", "tsv"];
/// Beside each mapping, for people and tests.
const EXAMPLES: &str = "examples";
/// A code table of a large laboratory is far smaller.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// `labs/<lab>/<table>` and `knowledge/rules/<file>` are the deepest there are.
const DEPTH_MAX: usize = 4;
const FILES_MAX: usize = 2_000;

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../mappings/", $name)))),*]
    };
}

/// All but the knowledge, which brings its own list. A test holds it against the folder.
const FILES: &[(&str, &str)] = files![
    "cliniko/mapping.toml"
    "labs/alderley-lighthouse/codes.csv"
    "labs/alderley-lighthouse/mapping.toml"
    "labs/alderley-lighthouse/units.csv"
    "labs/inuvi/codes.csv"
    "labs/inuvi/mapping.toml"
    "labs/inuvi/units.csv"
    "labs/json-aggregator/codes.csv"
    "labs/json-aggregator/mapping.toml"
    "labs/standard-csv/mapping.toml"
    "labs/standard-fhir/mapping.toml"
    "labs/standard/mapping.toml"
    "labs/standard/units.csv"
    "labs/wide-csv/codes.csv"
    "labs/wide-csv/mapping.toml"
];

/// The mapping files: of `directory`, else those in the binary.
///
/// # Errors
/// C013 for every folder or file that cannot be read.
pub fn library(directory: Option<&Path>) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let mut files = embedded();
    let Some(directory) = directory else { return Ok(files) };
    let mut reader = Reader { files: BTreeMap::new(), problems: Vec::new() };
    let mut is_there = false;
    for part in PARTS {
        let path = directory.join(part);
        if path.is_dir() {
            is_there = true;
            files.retain(|name, _| !belongs_to(name, part));
            reader.folder(&path, part, DEPTH_MAX);
        }
    }
    if !is_there {
        reader.problems.push(unreadable(directory, "it has none of labs/, blocks/, cliniko/ and knowledge/"));
    }
    if reader.problems.is_empty() {
        files.extend(reader.files);
        Ok(files)
    } else {
        Err(reader.problems)
    }
}

/// The files of one laboratory's folder, named as they would be in a folder of mappings: `labs/<lab>/codes.csv`.
///
/// # Errors
/// C013 for every file that cannot be read.
pub fn laboratory(directory: &Path) -> Result<(String, BTreeMap<String, String>), Vec<Diagnostic>> {
    let mut reader = Reader { files: BTreeMap::new(), problems: Vec::new() };
    reader.folder(directory, "", 1);
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    // What the mapping says of itself; the folder may be a copy under another name.
    let own = reader.files.get("/mapping.toml").and_then(|text| text.parse::<toml::Table>().ok());
    let said = own.as_ref().and_then(|it| it.get("lab")?.as_str()).map(str::to_owned);
    let named = || directory.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let lab = said.unwrap_or_else(named);
    let files = reader.files.into_iter().map(|(name, text)| (format!("labs/{lab}{name}"), text)).collect();
    Ok((lab, files))
}

/// What is seen of a folder without reading a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look(BTreeMap<PathBuf, Option<Stamp>>);

/// What changes when a file does, whatever it is that changes it: a copy that keeps the time of its source still has
/// another file number and another time of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    number: u64,
}

/// Looks at the files that [`library`] would read, and at the folders they stand in.
pub fn look(directory: &Path) -> Look {
    let mut look = Look::default();
    for part in PARTS {
        look.folder(&directory.join(part), DEPTH_MAX);
    }
    look
}

impl Look {
    /// A folder that cannot be read is seen as one; that it cannot is for the reader to tell.
    fn folder(&mut self, path: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(path) else { return };
        self.0.insert(path.to_owned(), None);
        for entry in entries.flatten().take(FILES_MAX) {
            let path = entry.path();
            if path.is_dir() {
                if let Some((depth, _)) = depth.checked_sub(1).zip(folder_name(&path)) {
                    self.folder(&path, depth);
                }
            } else if file_name(&path).is_some() {
                let stamp = fs::metadata(&path).ok().map(|it| Stamp {
                    bytes: it.len(),
                    modified: (it.mtime(), it.mtime_nsec()),
                    changed: (it.ctime(), it.ctime_nsec()),
                    number: it.ino(),
                });
                self.0.insert(path, stamp);
            }
        }
    }
}

/// The name of a folder that is looked into.
fn folder_name(path: &Path) -> Option<&str> {
    own_name(path).filter(|name| *name != EXAMPLES)
}

/// The name of a file that is read.
fn file_name(path: &Path) -> Option<&str> {
    let is_read = path.extension().is_some_and(|it| ENDINGS.iter().any(|known| it == *known));
    own_name(path).filter(|_| is_read)
}

/// A name that is not UTF-8 is none that a mapping could refer to.
fn own_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str().filter(|own| !own.starts_with('.'))
}

/// The files of one part, named relative to it.
pub fn part(files: &BTreeMap<String, String>, part: &str) -> BTreeMap<String, String> {
    let inside = |name: &String| Some(name.strip_prefix(part)?.strip_prefix('/')?.to_owned());
    files.iter().filter_map(|(name, text)| Some((inside(name)?, text.clone()))).collect()
}

fn belongs_to(name: &str, part: &str) -> bool {
    name.strip_prefix(part).is_some_and(|rest| rest.starts_with('/'))
}

fn embedded() -> BTreeMap<String, String> {
    let knowledge = rules::embedded().into_iter().map(|(name, text)| (format!("knowledge/{name}"), text));
    FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).chain(knowledge).collect()
}

struct Reader {
    files: BTreeMap<String, String>,
    problems: Vec<Diagnostic>,
}

impl Reader {
    fn folder(&mut self, path: &Path, name: &str, depth: usize) {
        let entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(unreadable(path, &error.to_string())),
        };
        for entry in entries {
            let path = entry.path();
            if path.is_dir() {
                let Some(own) = folder_name(&path) else { continue };
                match depth.checked_sub(1) {
                    Some(depth) => self.folder(&path, &format!("{name}/{own}"), depth),
                    None => self.problems.push(unreadable(&path, "the folders are nested too deep")),
                }
            } else if let Some(own) = file_name(&path) {
                self.file(&path, format!("{name}/{own}"));
            }
        }
    }

    fn file(&mut self, path: &Path, name: String) {
        if self.files.len() == FILES_MAX {
            return self.problems.push(unreadable(path, "there are too many files"));
        }
        match read(path) {
            Ok(text) => drop(self.files.insert(name, text)),
            Err(error) => self.problems.push(unreadable(path, &error.to_string())),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the configuration names the folder of the mappings")]
fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any mapping"));
    }
    fs::read_to_string(path)
}

fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::error(Code::new("C013"), format!("cannot read the mappings in `{}`: {why}", path.display()))
        .help("name a readable folder with labs/, blocks/, cliniko/ or knowledge/ in it, in UTF-8; what it lacks comes from the binary")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_binary_holds_is_the_folder_in_the_sources() {
        let mut reader = Reader { files: BTreeMap::new(), problems: Vec::new() };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        for part in PARTS.into_iter().filter(|part| folder.join(part).is_dir()) {
            reader.folder(&folder.join(part), part, DEPTH_MAX);
        }
        assert_eq!(reader.problems, []);
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&embedded()), names(&reader.files));
        assert!(embedded() == reader.files, "the texts differ");
    }

    #[test]
    fn an_operators_folder_replaces_the_parts_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("labs/own");
        fs::create_dir_all(own.join("examples/one")).unwrap();
        for (name, text) in
            [("mapping.toml", "a"), ("codes.csv", "b"), ("notes.md", "c"), ("examples/one/x.toml", "d")]
        {
            fs::File::create(own.join(name))
                .and_then(|mut it| io::Write::write_all(&mut it, text.as_bytes()))
                .unwrap();
        }
        let files = library(Some(folder.path())).unwrap();
        let labs: Vec<_> = part(&files, "labs").into_keys().collect();
        assert_eq!(labs, ["own/codes.csv", "own/mapping.toml"]);
        assert!(files.contains_key("knowledge/analytes.tsv"), "the rest comes from the binary");
    }

    #[test]
    fn a_folder_without_mappings_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let problems = library(Some(folder.path())).unwrap_err();
        assert_eq!(problems.iter().map(|it| it.code.as_str()).collect::<Vec<_>>(), ["C013"]);
    }
}
