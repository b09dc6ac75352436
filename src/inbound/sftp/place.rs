//! What a client's path means here: one of four places, and nothing of the real file system.
//!
//! Paths are read as text. `.` and `..` are resolved in the text and end at the root; what is left names the inbox, a
//! file in it, the receipts folder or a receipt, or there is no such place. A name is a key and never a path.

/// The folder with the receipts; no file of the inbox can have its name.
pub(super) const RECEIPTS: &str = "receipts";
/// Longest name of a file, so that its receipt's name is a file name everywhere.
const NAME_BYTES_MAX: usize = 200;
/// Longest path that is read at all.
const PATH_BYTES_MAX: usize = 4_096;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    /// A file of the inbox, there or not.
    File(String),
    Receipts,
    /// A receipt, there or not.
    Receipt(String),
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// Below something that is no folder.
    NoSuchFolder,
    /// A name that no file here can have.
    NotAName,
}

impl Place {
    pub(super) fn of(path: &str) -> Result<Self, Nowhere> {
        if path.len() > PATH_BYTES_MAX {
            return Err(Nowhere::NotAName);
        }
        let mut names: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    names.pop();
                }
                name => names.push(name),
            }
        }
        match names.as_slice() {
            [] => Ok(Self::Root),
            [RECEIPTS] => Ok(Self::Receipts),
            [name] => checked(name).map(Self::File),
            [RECEIPTS, name] => checked(name).map(Self::Receipt),
            _ => Err(Nowhere::NoSuchFolder),
        }
    }

    /// The one spelling of this place.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Root => "/".to_owned(),
            Self::File(name) => format!("/{name}"),
            Self::Receipts => format!("/{RECEIPTS}"),
            Self::Receipt(name) => format!("/{RECEIPTS}/{name}"),
        }
    }
}

/// A name that is safe in a listing, in a receipt's line, and as a file on the laboratory's side: receipts are fetched
/// by scripts, and a backslash is a path on some of their systems.
fn checked(name: &str) -> Result<String, Nowhere> {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\\' | '\u{2028}' | '\u{2029}' | '\u{FEFF}')
            // Marks that let a name be read in another order than it is written in.
            || matches!(c, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}')
    };
    if name.len() > NAME_BYTES_MAX || name.chars().any(hostile) {
        return Err(Nowhere::NotAName);
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_resolved_in_text_and_end_at_the_root() {
        for root in ["", ".", "/", "//", "..", "/../..", "receipts/..", "/a/../../."] {
            assert_eq!(Place::of(root), Ok(Place::Root), "{root:?}");
        }
        assert_eq!(Place::of("/../../a.hl7"), Ok(Place::File("a.hl7".to_owned())));
        assert_eq!(Place::of("receipts/./a"), Ok(Place::Receipt("a".to_owned())));
        assert_eq!(Place::of("/receipts/"), Ok(Place::Receipts));
    }

    #[test]
    fn nothing_lies_deeper() {
        for path in ["/etc/passwd", "../etc/passwd", "/receipts/a/b", "a/b/c"] {
            assert_eq!(Place::of(path), Err(Nowhere::NoSuchFolder), "{path:?}");
        }
    }

    #[test]
    fn names_that_mislead_are_none() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in ["a\\b", "..\\..\\x", "a\nb", "a\0", "a\u{7f}", "\u{202E}txt.exe", "a\u{2028}b", &long] {
            assert_eq!(Place::of(name), Err(Nowhere::NotAName), "{name:?}");
        }
        for name in ["...", "-rf", "~", "a b", "résultats.hl7", "C:x", "RECEIPTS", "x;ls", "%2e%2e"] {
            assert_eq!(Place::of(name), Ok(Place::File(name.to_owned())), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn every_path_has_one_spelling_which_leads_to_the_same_place(path in "(\\.|/|\\.\\.|[a-z\\\\\n~]|receipts){0,24}") {
            if let Ok(place) = Place::of(&path) {
                prop_assert_eq!(Place::of(&place.path()), Ok(place));
            }
        }
    }
}
