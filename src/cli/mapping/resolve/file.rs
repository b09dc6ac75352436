//! The change to a table's file: shown, written whole or not at all, and taken back.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::fchown;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::cli::mapping::resolve::meaning::Meaning;
use crate::cli::output;
use crate::clinical::terminology::NewRow;
use crate::clinical::terminology::Table;
use crate::clinical::terminology::TableKind;
use crate::clinical::terminology::with_lines;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::MissingRow;
use crate::diagnostic::RowKind;

/// What is added to a file; nothing where it says so already.
pub(super) struct Edit {
    path: PathBuf,
    before: String,
    after: String,
    pub(super) lines: Vec<String>,
}

impl Edit {
    /// # Errors
    /// M223 where the table says something else already, or cannot hold what was sent.
    pub(super) fn new(
        path: PathBuf,
        text: &str,
        row: &MissingRow,
        meaning: &Meaning,
        remark: &str,
    ) -> Result<Self, Diagnostic> {
        let kind = match row.kind {
            RowKind::Code => TableKind::Codes,
            RowKind::Unit => TableKind::Units,
        };
        let unwritable = |message: String| {
            Diagnostic::error(Code::new("M223"), message)
                .fact("nothing was written")
                .help(format!("change {} by hand, and run `gateway mapping reload`", row.table))
        };
        let known = |text: &str| {
            let table = Table::parse(text, kind).ok()?;
            table.find(&row.sent, None).map(|found| found.target.clone())
        };
        let before = text.to_owned();
        match known(text) {
            Some(target) if target == meaning.target => {
                return Ok(Self { path, after: before.clone(), before, lines: Vec::new() });
            }
            Some(target) => {
                let message = format!("the table says already that `{}` is `{target}`", row.sent);
                return Err(unwritable(message));
            }
            None => {}
        }
        let new = NewRow { sent: &row.sent, target: &meaning.target, display: &meaning.display };
        let lines = new.lines(text, kind, remark).to_vec();
        let after = with_lines(text, &lines);
        match known(&after) {
            Some(target) if target == meaning.target => Ok(Self { path, before, after, lines }),
            _ => Err(unwritable(format!("`{}` cannot be written as a row of this table", row.sent))),
        }
    }

    /// The whole file as it is to be.
    pub(super) fn after(&self) -> &str {
        &self.after
    }

    /// The change as a small diff.
    pub(super) fn show(&self) {
        let path = self.path.display();
        if self.lines.is_empty() {
            output::line(&format!("{path} says so already"));
            return;
        }
        let at = self.before.lines().count();
        output::line(&format!("--- {path}\n+++ {path}\n@@ -{at},0 +{},{} @@", at + 1, self.lines.len()));
        for line in &self.lines {
            output::line(&format!("+{line}"));
        }
    }

    pub(super) fn write(&self) -> anyhow::Result<()> {
        if self.lines.is_empty() { Ok(()) } else { self.replace(&self.after) }
    }

    /// The file as it was.
    pub(super) fn put_back(&self) -> anyhow::Result<()> {
        if self.lines.is_empty() { Ok(()) } else { self.replace(&self.before) }
    }

    fn replace(&self, text: &str) -> anyhow::Result<()> {
        replace(&self.path, text).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Another file takes the place of the first in one step, so that no reader ever sees a half. Its name begins with a
/// point, so that it is no mapping file.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = &path.canonicalize()?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let aside = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = File::create_new(&aside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        // Whoever could read the file still can, root's command or not.
        let (old, new) = (fs::metadata(path)?, file.metadata()?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        let _may_never_have_been = fs::remove_file(&aside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TABLE: &str = "sent,loinc,display\r\nNA,2951-2,Sodium\r\n";

    fn edit(path: &Path, sent: &str, target: &str) -> Result<Edit, String> {
        let row = MissingRow { table: "t.csv".to_owned(), kind: RowKind::Code, sent: sent.to_owned() };
        let meaning = Meaning { target: target.to_owned(), display: "Potassium".to_owned() };
        let edit = Edit::new(path.to_owned(), TABLE, &row, &meaning, "resolved");
        edit.map_err(|it| format!("{} {}", it.code, it.message))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test reads what was written")]
    fn a_row_is_written_beside_those_there_are_and_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.csv");
        fs::write(&path, TABLE).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let edit = edit(&path, "K", "2823-3").unwrap();
        edit.write().unwrap();
        let longer = format!("{TABLE}# resolved\r\nK,2823-3,Potassium\r\n");
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), edit.after()),
            (longer.as_str(), longer.as_str())
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        edit.put_back().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), TABLE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_a_table_says_already_is_neither_repeated_nor_changed() {
        let path = Path::new("codes.csv");
        assert_eq!(edit(path, "NA", "2951-2").map(|it| it.lines), Ok(Vec::new()));
        let told = edit(path, "NA", "2823-3").err().unwrap();
        assert!(told.starts_with("M223 the table says already"), "{told}");
    }
}
