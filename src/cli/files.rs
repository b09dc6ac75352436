//! Message files named on the command line: those given, and those in the folders given, in order of name.
//!
//! A file that is named is read, whatever it is. In a folder, where expectations and notes stand beside messages, a
//! file counts that begins as messages of the format do, or has the ending of one.

use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::clinical::mapping::language::Format;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2;
use crate::formats::hl7v2::Deviation;
use crate::formats::hl7v2::batch;

/// A file is read whole; a longer one is split first.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Folders within folders; a link that leads back ends here.
const DEPTH_MAX: usize = 16;
/// Enough to see a header behind a byte order mark, a frame byte or blank lines, or an XML document's namespace.
const BEGINNING_BYTES: usize = 512;

/// One file, read or not.
pub(crate) struct File {
    /// The path on the command line that led to it.
    pub(crate) given: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Result<Vec<u8>, Diagnostic>,
}

/// Each file of a format, read when its turn comes.
pub(crate) fn of_format(given: &[PathBuf], format: Format) -> impl Iterator<Item = File> + use<> {
    of_formats(given, &[format])
}

/// Each file of some formats, read when its turn comes.
pub(crate) fn of_formats(given: &[PathBuf], formats: &[Format]) -> impl Iterator<Item = File> + use<> {
    chosen(given, formats, &[])
}

/// Each file of some formats, or of any where none is named, but for those of a folder whose name has one of the texts to skip.
pub(crate) fn chosen(
    given: &[PathBuf],
    formats: &[Format],
    skip: &[String],
) -> impl Iterator<Item = File> + use<> {
    let mut files = Vec::new();
    for path in given {
        let mut paths = Vec::new();
        if path.is_dir() {
            walk(path, DEPTH_MAX, formats, &mut paths);
            paths.retain(|path| !is_skipped(path, skip));
        } else {
            paths.push(path.to_owned());
        }
        files.extend(paths.into_iter().map(|found| (path.to_owned(), found)));
    }
    files.into_iter().map(|(given, path)| {
        let bytes = read(&path).map_err(|error| unreadable(&error));
        File { given, path, bytes }
    })
}

/// One message of a file.
pub(crate) struct Part<'a> {
    pub(crate) bytes: &'a [u8],
    /// What is wrong around it. What stands between two messages is told with the one before it.
    pub(crate) around: Vec<Deviation>,
}

/// Each message of a file, in order. A file in which none is found is one, whose reading says why.
pub(crate) fn split(bytes: &[u8], format: Format) -> impl Iterator<Item = Part<'_>> {
    // Only HL7 v2 has many messages one after the other; anything else is one document.
    let is_many = format == Format::Hl7v2 && !hl7v2::xml::looks_like_xml(bytes);
    let split = batch::split(if is_many { bytes } else { &[] });
    let mut ranges: Vec<_> = split.messages().collect();
    if ranges.is_empty() {
        ranges.push(0..bytes.len());
    }
    let starts: Vec<usize> = ranges.iter().skip(1).map(|range| range.start).collect();
    let owner = move |at: usize| starts.partition_point(|start| *start <= at);
    ranges.into_iter().enumerate().map(move |(index, range)| {
        let around = split.deviations.iter().filter(|it| owner(it.position.bytes.start) == index);
        Part { bytes: bytes.get(range).unwrap_or_default(), around: around.cloned().collect() }
    })
}

fn is_skipped(path: &Path, skip: &[String]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    skip.iter().any(|text| name.contains(text.as_str()))
}

fn walk(path: &Path, depth: usize, formats: &[Format], paths: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        if formats.is_empty() || formats.iter().any(|format| holds_messages(path, *format)) {
            paths.push(path.to_owned());
        }
        return;
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let Some((mut entries, depth)) = entries.ok().zip(depth.checked_sub(1)) else {
        // Reading it as a file tells why it cannot be read.
        paths.push(path.to_owned());
        return;
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.iter().filter(|it| !it.file_name().as_encoded_bytes().starts_with(b".")) {
        walk(&entry.path(), depth, formats, paths);
    }
}

/// Whether a file of a folder is meant; one that cannot be read is, so that it is told.
fn holds_messages(path: &Path, format: Format) -> bool {
    let endings: &[&str] = match format {
        Format::Csv => &["csv", "tsv"],
        Format::Fhir => &["json", "xml"],
        Format::Hl7v2 => &["hl7"],
        Format::Json => &["json"],
    };
    if path.extension().is_some_and(|ending| endings.iter().any(|it| ending.eq_ignore_ascii_case(it))) {
        return true;
    }
    let mut beginning = Vec::with_capacity(BEGINNING_BYTES);
    let read =
        fs::File::open(path).and_then(|file| file.take(BEGINNING_BYTES as u64).read_to_end(&mut beginning));
    let text = String::from_utf8_lossy(&beginning);
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{b}'));
    let is_hl7 = || {
        ["MSH", "FHS", "BHS"].iter().any(|name| text.starts_with(name)) || text.contains("urn:hl7-org:v2xml")
    };
    read.is_err() || format == Format::Hl7v2 && is_hl7()
}

#[expect(clippy::disallowed_methods, reason = "the command line names the files it reads")]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

fn unreadable(error: &io::Error) -> Diagnostic {
    Diagnostic::error(Code::new("C015"), format!("the file cannot be read: {error}"))
        .help("check its name and who may read it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_split_into_its_messages() {
        let parts =
            |text: &str, format| split(text.as_bytes(), format).map(|it| it.bytes.len()).collect::<Vec<_>>();
        assert_eq!(parts("MSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\r", Format::Hl7v2), [17, 11]);
        assert_eq!(parts("nothing of the kind", Format::Hl7v2), [19]);
        assert_eq!(parts("{}", Format::Json), [2]);
    }

    #[test]
    fn folders_are_walked_in_order_and_what_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/2.hl7", "a.hl7", "b/1.hl7", "b/.hidden"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap();
        }
        let missing = folder.path().join("missing.hl7");
        let given = [folder.path().to_owned(), missing.clone()];
        let files: Vec<File> = of_format(&given, Format::Hl7v2).collect();
        let names: Vec<_> = files
            .iter()
            .map(|it| it.path.strip_prefix(folder.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a.hl7", "b/1.hl7", "b/2.hl7", "missing.hl7"]);
        let skip = ["1.hl".to_owned()];
        let some = chosen(&[folder.path().to_owned()], &[], &skip).map(|it| it.given);
        assert_eq!(some.collect::<Vec<_>>(), [folder.path(), folder.path()]);
        assert_eq!(files.iter().filter(|it| it.bytes.is_err()).count(), 1);
    }
}
