//! What many messages used of a mapping, and what they hold that it does not read.
//!
//! Counts only: of the messages themselves nothing is kept but places, names of fields, and words of coded fields. So
//! what comes out may go into a ticket. Start at [`Coverage::add`], then [`Coverage::gaps`].

use std::collections::BTreeMap;

use crate::clinical::mapping::inbound::Answer;
use crate::clinical::mapping::inbound::Ledger;
use crate::clinical::mapping::inbound::Outcome;
use crate::clinical::mapping::inbound::Reading;
use crate::clinical::mapping::inbound::Status;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::diagnostic::Span;

/// Most fields and most words that are told apart. A sender who puts its numbers into codes has no end of them.
const NAMES_MAX: usize = 10_000;

/// The account of many messages by one mapping.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    pub messages: usize,
    pub held: usize,
    pub rejected: usize,
    /// Fields and words that found no place among those told apart.
    pub beyond: usize,
    /// In how many places each rule found something.
    uses: BTreeMap<RuleId, usize>,
    ignored: BTreeMap<usize, usize>,
    entries: BTreeMap<(RuleId, usize), usize>,
    unread: BTreeMap<String, Seen>,
    unmapped: BTreeMap<(RuleId, String), Seen>,
}

/// How often something was met, and where first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub count: usize,
    /// It holds or rejects the messages it is in.
    pub holds: bool,
    /// The first message, as whoever counts names it.
    pub message: String,
    /// The place there; empty where only the message is known.
    pub at: String,
}

/// What a mapping and the messages do not have in common.
#[derive(Debug, Clone)]
pub struct Gaps<'a> {
    /// Rules that found nothing in any message.
    pub silent: Vec<&'a Rule>,
    /// What is ignored and was in no message.
    pub needless: Vec<Needless<'a>>,
    /// Words of maps that no message had.
    pub unseen: Vec<(&'a Rule, &'a str)>,
    /// Fields that no rule reads: those that hold first, then the most frequent.
    pub unread: Vec<(&'a str, &'a Seen)>,
    /// Codes, units and words that no table or map has, in the same order.
    pub unmapped: Vec<(&'a Rule, &'a str, &'a Seen)>,
}

/// An `[[ignore]]` that matched nothing.
#[derive(Debug, Clone)]
pub struct Needless<'a> {
    pub path: String,
    pub span: &'a Span,
}

impl Coverage {
    /// Counts one reading of the mapping, of the message named `message`.
    pub fn add(&mut self, mapping: &Mapping, reading: &Reading, message: &str) {
        self.messages += 1;
        match reading.status {
            Status::Mapped => {}
            Status::Held => self.held += 1,
            Status::Rejected => self.rejected += 1,
        }
        let Ledger { entries, uses, asked, unread, .. } = &reading.ledger;
        for it in uses {
            *self.uses.entry(it.rule).or_default() += 1;
        }
        for it in entries {
            if let Outcome::Ignored(ignore) = it.outcome {
                *self.ignored.entry(ignore).or_default() += 1;
            }
        }
        for it in asked {
            match &it.answer {
                Answer::Entry(entry) => *self.entries.entry((it.rule, *entry)).or_default() += 1,
                Answer::Nothing(word) => {
                    let holds = mapping.rule(it.rule).is_some_and(holds);
                    let seen = Seen { count: 1, holds, message: message.to_owned(), at: String::new() };
                    self.beyond += count(&mut self.unmapped, (it.rule, word.clone()), seen);
                }
            }
        }
        for it in unread {
            let (count_here, holds, at) = (it.count, it.holds, it.at.to_string());
            let seen = Seen { count: count_here, holds, message: message.to_owned(), at };
            self.beyond += count(&mut self.unread, it.name(), seen);
        }
    }

    /// What was not used and what was not read.
    pub fn gaps<'a>(&'a self, mapping: &'a Mapping) -> Gaps<'a> {
        // A rule of a constant, and one whose columns say where it reads, looks for nothing.
        let looks = |rule: &Rule| rule.constant.is_none() && !rule.sources.is_empty();
        let silent = mapping.rules().filter(|(id, rule)| looks(rule) && !self.uses.contains_key(id));
        let needless = mapping.ignores.iter().enumerate().filter(|(at, _)| !self.ignored.contains_key(at));
        let unseen = mapping.rules().flat_map(|(id, rule)| {
            let words = match &rule.lookup {
                Lookup::Map(words) => words.as_slice(),
                _ => &[],
            };
            let unseen =
                words.iter().enumerate().filter(move |(at, _)| !self.entries.contains_key(&(id, *at)));
            unseen.map(move |(_, (word, _))| (rule, word.as_str()))
        });
        let mut unread: Vec<_> = self.unread.iter().map(|(name, seen)| (name.as_str(), seen)).collect();
        unread.sort_by_key(|(_, seen)| seen.order());
        let unmapped = self.unmapped.iter();
        let mut unmapped: Vec<_> = unmapped
            .filter_map(|((id, word), seen)| Some((mapping.rule(*id)?, word.as_str(), seen)))
            .collect();
        unmapped.sort_by_key(|(.., seen)| seen.order());
        Gaps {
            silent: silent.map(|(_, rule)| rule).collect(),
            needless: needless
                .map(|(_, it)| Needless { path: it.path.to_string(), span: &it.span })
                .collect(),
            unseen: unseen.collect(),
            unread,
            unmapped,
        }
    }
}

impl Gaps<'_> {
    /// Whether messages are held for want of a rule or a row.
    pub fn holds(&self) -> bool {
        self.unread.iter().any(|(_, seen)| seen.holds) || self.unmapped.iter().any(|(.., seen)| seen.holds)
    }
}

impl Seen {
    /// What holds first, then the most frequent.
    fn order(&self) -> impl Ord + use<> {
        (!self.holds, std::cmp::Reverse(self.count))
    }
}

/// What becomes of a word that the rule's table or map does not have.
fn holds(rule: &Rule) -> bool {
    match rule.unmapped {
        Some(decision) => decision != Decision::Keep,
        // A sex that is not known is told and left out.
        None => matches!(rule.lookup, Lookup::Tables(_) | Lookup::Map(_)) && rule.name != "patient.sex",
    }
}

/// Adds to what is known under a name; 1 where there was no place for it.
fn count<K: Ord>(all: &mut BTreeMap<K, Seen>, name: K, seen: Seen) -> usize {
    if let Some(known) = all.get_mut(&name) {
        known.count += seen.count;
        known.holds |= seen.holds;
        return 0;
    }
    if all.len() == NAMES_MAX {
        return 1;
    }
    all.insert(name, seen);
    0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Coverage;
    use crate::clinical::mapping::Catalog;
    use crate::clinical::mapping::Mapping;
    use crate::clinical::mapping::Status;

    const MAPPING: &str = r#"
schema = 1
lab    = "oak"
format = "hl7v2"
[patient]
nhs_number = "PID-3[type=NH].1"
telecoms   = "PID-13"
[report]
filler_number = "OBR-3.1"
[result]
code     = { from = "OBX-3", table = "codes.csv", unmapped = "hold" }
value    = { from = "OBX-5", type = "OBX-2" }
unit     = { from = "OBX-6", table = "units.csv", unmapped = "keep" }
status   = { from = "OBX-11", map = { F = "final", X = "cancelled" }, unmapped = "hold" }
performing_lab = { const = "Oak" }
[[ignore]]
path = ["ZPD", "PV1"]
why  = "billing"
"#;

    fn oak() -> Mapping {
        let files = BTreeMap::from(
            [
                ("labs/oak/mapping.toml", MAPPING),
                ("labs/oak/codes.csv", "sent,loinc,display\nK,2823-3,Potassium\n"),
                ("labs/oak/units.csv", "sent,ucum\nmmol/L,mmol/L\n"),
            ]
            .map(|(name, text)| (name.to_owned(), text.to_owned())),
        );
        Catalog::compile(&files).expect("the mapping compiles").lab("oak").expect("it is oak's").clone()
    }

    fn add(coverage: &mut Coverage, mapping: &Mapping, name: &str, segments: &[&str]) {
        let message = format!("MSH|^~\\&|OAK|LAB|||20260316||ORU^R01|1|P|2.5.1\r{}\r", segments.join("\r"));
        coverage.add(mapping, &mapping.read_bytes(message.as_bytes()), name);
    }

    #[test]
    fn what_is_not_used_and_what_is_not_read_are_told_apart() {
        let mapping = oak();
        let mut coverage = Coverage::default();
        let head = ["PID|1||9434765919^^^NHS^NH||Quillfeather", "PV1|1|O", "OBR|1||F1|UE"];
        add(&mut coverage, &mapping, "a", &[&head[..], &["OBX|1|NM|K||5.1|mmol/L|3.5-5.3||||F"]].concat());
        add(&mut coverage, &mapping, "b", &[&head[..], &["OBX|1|NM|KX||5.1|mmol/l|||||F|||X"]].concat());
        let gaps = coverage.gaps(&mapping);
        let names = |rules: &[&crate::clinical::mapping::Rule]| {
            rules.iter().map(|it| format!("{}:{}", it.name, it.span.line)).collect::<Vec<_>>()
        };
        assert_eq!(names(&gaps.silent), ["patient.telecoms:7"]);
        let needless: Vec<_> = gaps.needless.iter().map(|it| (it.path.as_str(), it.span.line)).collect();
        assert_eq!(needless, [("ZPD", 17)]);
        assert_eq!(
            gaps.unseen.iter().map(|(rule, word)| (rule.name.as_str(), *word)).collect::<Vec<_>>(),
            [("result.status", "X")]
        );
        let unread: Vec<_> =
            gaps.unread.iter().map(|(name, it)| (*name, it.count, it.holds, it.at.as_str())).collect();
        assert_eq!(
            unread,
            [
                ("OBR-4", 2, true, "OBR[1]-4"),
                ("OBX-14", 1, true, "OBX[1]-14"),
                ("OBX-7", 1, true, "OBX[1]-7"),
                ("PID-5", 2, false, "PID[1]-5"),
            ]
        );
        let unmapped: Vec<_> = gaps
            .unmapped
            .iter()
            .map(|(rule, word, it)| (rule.name.as_str(), *word, it.holds, it.message.as_str()))
            .collect();
        assert_eq!(unmapped, [("result.code", "KX", true, "b"), ("result.unit", "mmol/l", false, "b")]);
        assert!(gaps.holds());
        assert_eq!((coverage.messages, coverage.held), (2, 2));
    }

    #[test]
    fn a_message_that_is_not_read_is_counted_and_says_nothing_of_the_rules() {
        let mapping = oak();
        let mut coverage = Coverage::default();
        let reading = mapping.read_bytes(b"not a message");
        assert_eq!(reading.status, Status::Rejected);
        coverage.add(&mapping, &reading, "a");
        assert_eq!((coverage.messages, coverage.rejected), (1, 1));
        assert!(!coverage.gaps(&mapping).holds());
    }
}
