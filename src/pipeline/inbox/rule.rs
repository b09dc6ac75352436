//! When a file of an inbox is taken: the feed's rule.
//!
//! A name that says "not yet" (`*.tmp`, `*.part`, a leading dot) is never taken under any rule: clients such as WinSCP
//! upload under one of their own accord, and rename when all is there.

/// Endings of names under which clients upload what they will rename.
const TEMPORARY: [&str; 6] = [".filepart", ".part", ".partial", ".temp", ".tmp", ".uploading"];

/// How a laboratory says that a file is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// It closes the file.
    Close,
    /// Another file arrives, named like this one with one of these endings.
    Marker(Vec<String>),
    /// It renames the file to its final name.
    Rename,
}

/// How a file came to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    Closed,
    Renamed,
}

/// What an arrival means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The file itself is complete.
    Take,
    /// It marks the file of this name as complete, and holds nothing itself.
    TakeMarked(&'a str),
    Wait,
}

impl Rule {
    pub fn step<'a>(&self, name: &'a str, arrival: Arrival) -> Step<'a> {
        if is_temporary(name) {
            return Step::Wait;
        }
        match (self, arrival) {
            (Self::Close, _) | (Self::Rename, Arrival::Renamed) => Step::Take,
            (Self::Rename, Arrival::Closed) => Step::Wait,
            (Self::Marker(endings), _) => {
                let marked = endings.iter().find_map(|ending| name.strip_suffix(ending.as_str()));
                marked.filter(|marked| !marked.is_empty()).map_or(Step::Wait, Step::TakeMarked)
            }
        }
    }
}

fn is_temporary(name: &str) -> bool {
    let ends = |ending: &str| {
        let at = name.len().saturating_sub(ending.len());
        name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(ending))
    };
    name.starts_with('.') || TEMPORARY.iter().any(|ending| ends(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_when_the_rule_says_that_it_is_complete() {
        use Arrival::Closed;
        use Arrival::Renamed;
        let marker = Rule::Marker(vec![".ok".to_owned(), ".done".to_owned()]);
        let cases = [
            (&Rule::Close, "a.hl7", Closed, Step::Take),
            (&Rule::Close, "a.hl7", Renamed, Step::Take),
            (&Rule::Close, "a.hl7.filepart", Closed, Step::Wait),
            (&Rule::Rename, "a.hl7", Closed, Step::Wait),
            (&Rule::Rename, "a.hl7", Renamed, Step::Take),
            (&Rule::Rename, "a.TMP", Renamed, Step::Wait),
            (&Rule::Rename, ".a.hl7", Renamed, Step::Wait),
            (&marker, "a.hl7", Closed, Step::Wait),
            (&marker, "a.hl7.ok", Closed, Step::TakeMarked("a.hl7")),
            (&marker, "a.hl7.done", Renamed, Step::TakeMarked("a.hl7")),
            (&marker, "a.hl7.ok.tmp", Closed, Step::Wait),
            (&marker, "Ä", Closed, Step::Wait),
        ];
        for (rule, name, arrival, step) in cases {
            assert_eq!(rule.step(name, arrival), step, "{rule:?} {name} {arrival:?}");
        }
    }
}
