//! Which files of a listing are for us, and when each is whole. No I/O.

use std::collections::HashMap;
use std::time::Duration;

use crate::inbound::sftp_poll::Config;
use crate::inbound::sftp_poll::Take;
use crate::outbound::sftp::Entry;

/// Names that laboratories' systems give to files that are not whole, and that we give to receipts.
const IGNORED_ENDINGS: [&str; 4] = [".tmp", ".part", ".filepart", ".receipt"];

/// The name is of the feed's pattern, and of no file that is still being written or not the laboratory's.
pub(super) fn is_ours(config: &Config, name: &str) -> bool {
    let is_marker = matches!(&config.take, Take::Marked { suffix } if name.ends_with(suffix.as_str()));
    let lower = name.to_ascii_lowercase();
    let is_ignored = name.starts_with('.') || IGNORED_ENDINGS.iter().any(|ending| lower.ends_with(ending));
    !is_marker && !is_ignored && matches(&config.pattern, name)
}

/// Whether a name is of a pattern: `*` stands for any text, `?` for one character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much of the name it has taken: the only place worth going back to.
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(sign) if *sign == '?' || sign == letter => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|sign| *sign == '*')
}

/// How long each file has been as it is. Times are those of one run's monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Watch(HashMap<String, Since>);

#[derive(Debug, Clone, Copy)]
struct Since {
    bytes: u64,
    modified_at: u32,
    first_seen: Duration,
}

impl Watch {
    /// Whether a file was seen unchanged in two looks that lie at least `stable` apart.
    pub(super) fn is_stable(&mut self, file: &Entry, now: Duration, stable: Duration) -> bool {
        let fresh = Since { bytes: file.bytes, modified_at: file.modified_at, first_seen: now };
        match self.0.get_mut(&file.name) {
            Some(it) if (it.bytes, it.modified_at) == (file.bytes, file.modified_at) => {
                now.saturating_sub(it.first_seen) >= stable
            }
            Some(it) => {
                *it = fresh;
                false
            }
            None => {
                self.0.insert(file.name.clone(), fresh);
                false
            }
        }
    }

    /// For how long a file is known to be as it is.
    pub(super) fn age(&self, file: &Entry, now: Duration) -> Duration {
        let seen = self.0.get(&file.name);
        let same = seen.filter(|it| (it.bytes, it.modified_at) == (file.bytes, file.modified_at));
        same.map_or(Duration::ZERO, |it| now.saturating_sub(it.first_seen))
    }

    /// Begins anew for a file that was found to change.
    pub(super) fn changed(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Forgets files that need no more watching.
    pub(super) fn keep(&mut self, is_watched: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_watched(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("*.hl7", "a.hl7", true),
            ("*.hl7", ".hl7", true),
            ("*.hl7", "a.hl7.bak", false),
            ("*.hl7", "a.HL7", false),
            ("R?_*.txt", "R1_2026.txt", true),
            ("R?_*.txt", "R_2026.txt", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("é?", "éß", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        // What makes naive matchers take for ever.
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn a_file_is_stable_once_it_rested() {
        let mut watch = Watch::default();
        let stable = Duration::from_secs(10);
        let file = |bytes| Entry { name: "a".to_owned(), bytes, modified_at: 1 };
        let mut look = |bytes, at| watch.is_stable(&file(bytes), Duration::from_secs(at), stable);
        assert!(!look(1, 0), "one look is none");
        assert!(!look(1, 9));
        assert!(look(1, 10));
        assert!(!look(2, 20), "it grew");
        assert!(!look(2, 29));
        assert!(look(2, 30));
        watch.changed("a");
        assert!(!watch.is_stable(&file(2), Duration::from_secs(50), stable));
        watch.keep(|_| false);
        assert!(!watch.is_stable(&file(2), Duration::from_secs(90), stable));
    }

    #[test]
    fn two_looks_are_needed_even_if_no_time_is_asked_for() {
        let mut watch = Watch::default();
        let file = Entry { name: "a".to_owned(), bytes: 1, modified_at: 1 };
        assert!(!watch.is_stable(&file, Duration::ZERO, Duration::ZERO));
        assert!(watch.is_stable(&file, Duration::ZERO, Duration::ZERO));
    }
}
