//! What the laboratory said in words. Comments are data: they are searched for stems, and nothing in them is obeyed.

use crate::clinical::interpret::Request;
use crate::clinical::interpret::rules::condition::Stated;

/// Words that deny what stands next to them, as in `no platelet clumps seen` or `haemolysis: not detected`.
const DENIALS: [&str; 9] = ["no", "not", "non", "nil", "without", "absent", "negative", "none", "neither"];
/// How many words before a stem a denial reaches over, and how many after it.
const REACH_BEFORE: usize = 3;
const REACH_AFTER: usize = 2;

/// All that was said of the results, panels and specimens, in lower case; conditions by label and code too.
pub(super) fn all(request: &Request<'_>) -> Vec<String> {
    let of_results = request.results.iter().flat_map(|result| result.notes.iter().copied());
    let of_specimens = request.specimens.iter().flat_map(|specimen| specimen.notes.iter().copied());
    let conditions = request.specimens.iter().flat_map(|specimen| specimen.conditions.iter());
    let of_conditions = conditions.flat_map(|code| {
        let codes =
            code.codings.iter().flat_map(|coding| [Some(coding.code.as_str()), coding.display.as_deref()]);
        codes.flatten().chain(code.text.as_deref())
    });
    let texts = request.notes.iter().chain(&request.report_notes).copied();
    let mut all: Vec<String> =
        texts.chain(of_results).chain(of_specimens).chain(of_conditions).map(str::to_lowercase).collect();
    all.sort();
    all.dedup();
    all
}

/// The stems by which a condition of the specimen is named; `hem` is its code in table 0493.
pub(super) const fn stems(stated: Stated) -> &'static [&'static str] {
    match stated {
        Stated::Haemolysed => &["haemoly", "hemoly", "hem "],
        Stated::Icteric => &["icter"],
        Stated::Lipaemic => &["lipaem", "lipem"],
    }
}

/// Whether one of the stems is said and not denied.
pub(super) fn says(comments: &[String], stems: &[impl AsRef<str>]) -> bool {
    let clauses = comments.iter().flat_map(|comment| comment.split(['.', ';', '\n', ',']));
    clauses.into_iter().any(|clause| stems.iter().any(|stem| clause_says(clause, stem.as_ref())))
}

fn clause_says(clause: &str, stem: &str) -> bool {
    let clause = format!("{clause} ");
    clause.match_indices(stem).any(|(at, _)| {
        let before = clause.get(..at).unwrap_or_default();
        let after = clause.get(at..).unwrap_or_default();
        let starts_word = before.chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        let denied = words(before).rev().take(REACH_BEFORE).any(is_denial)
            || words(after).skip(1).take(REACH_AFTER).any(is_denial);
        starts_word && !denied
    })
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn is_denial(word: &str) -> bool {
    DENIALS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::says;

    #[test]
    fn a_denied_word_is_not_said() {
        for (comment, said) in [
            ("sample haemolysed", true),
            ("moderately haemolysed, potassium may be affected", true),
            ("haemolysed so potassium not reported", true),
            ("please note: haemolysis present", true),
            ("no haemolysis seen", false),
            ("not haemolysed", false),
            ("haemolysis: not detected", false),
            ("haemolysis index nil", false),
            ("no fibrin. haemolysed", true),
            ("non-haemolysed", false),
            ("", false),
        ] {
            assert_eq!(says(&[comment.to_owned()], &["haemoly"]), said, "{comment}");
        }
    }
}
