//! A comparison as people and tools read it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::cli::Format;
use crate::cli::mapping::diff::Pair;
use crate::cli::mapping::messages::Tally;
use crate::cli::output;
use crate::cli::output::tame;
use crate::clinical::mapping::comparison::Example;
use crate::clinical::mapping::comparison::Group;
use crate::clinical::mapping::comparison::Summary;
use crate::clinical::model::Sensitive;

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const PLAIN: &str = "\u{1b}[0m";

/// How a comparison is shown, and what it could not look at.
pub(super) struct Show {
    pub(super) format: Format,
    /// Values that may name a person too.
    pub(super) values: bool,
    /// Every mapping compared is the same on both sides.
    pub(super) is_same: bool,
    /// Messages that only one side has a mapping for.
    pub(super) one_sided: usize,
    pub(super) tally: Tally,
}

impl Show {
    pub(super) fn summary(&self, given: [&PathBuf; 2], pairs: &BTreeMap<&str, Pair<'_>>, summary: &Summary) {
        match self.format {
            Format::Json => output::json(&self.document(given, pairs, summary)),
            Format::Plain => output::line(self.text(summary, output::takes_colour()).trim_end()),
        };
    }

    fn document(&self, given: [&PathBuf; 2], pairs: &BTreeMap<&str, Pair<'_>>, summary: &Summary) -> Value {
        let [old, new] = given.map(|it| it.display().to_string());
        let mappings = pairs
            .iter()
            .map(|(name, [old, new])| json!({ "mapping": name, "old": old.digest(), "new": new.digest() }));
        let groups = summary.groups().into_iter().map(|group| {
            let Group { kind, field, test, count, example } = group;
            json!({
                "kind": kind.as_str(), "clinical": kind.is_clinical(), "field": field, "test": test, "count": count,
                "example": {
                    "message": example.message, "at": example.at, "private": example.is_private,
                    "old": self.side(example, example.old.as_ref()), "new": self.side(example, example.new.as_ref()),
                },
            })
        });
        json!({
            "old": old, "new": new, "mappings": mappings.collect::<Vec<_>>(),
            "messages": summary.messages, "differing": summary.differing,
            "clinically_differing": summary.clinically, "clinical": summary.is_clinical(),
            "one_sided": self.one_sided, "unreadable": self.tally.unreadable,
            "without_feed": self.tally.without_feed, "not_told_apart": summary.beyond,
            "groups": groups.collect::<Vec<_>>(),
        })
    }

    /// A value, unless it may name a person and nobody asked for those.
    fn side<'e>(&self, example: &Example, side: Option<&'e Sensitive<String>>) -> Option<&'e str> {
        let is_shown = self.values || !example.is_private;
        side.filter(|_| is_shown).map(|it| it.expose().as_str())
    }

    fn text(&self, summary: &Summary, colour: bool) -> String {
        let Summary { messages, differing, clinically, beyond, .. } = summary;
        let mut lines = vec![format!(
            "{messages} messages compared: {differing} read otherwise, {clinically} of them clinically"
        )];
        if self.is_same {
            lines.push("the mappings are the same on both sides".to_owned());
        }
        let mut kind = None;
        for group in summary.groups() {
            if kind != Some(group.kind) {
                kind = Some(group.kind);
                let besides = if group.kind.is_clinical() { "" } else { " (not clinical)" };
                lines.push(format!("\n{}{besides}", paint(BOLD, group.kind.as_str(), colour)));
            }
            let Example { message, at, .. } = &group.example;
            let test = tame(group.test.as_deref().unwrap_or(group.field));
            let field = if group.test.is_some() { group.field } else { "" };
            lines.push(format!("  {:>7} {test}  {field}", group.count).trim_end().to_owned());
            lines.push(format!("          {}", format!("{message} {at}").trim_end()));
            lines.push(format!("          {}", self.change(&group.example, colour)));
        }
        if self.one_sided > 0 {
            lines.push(format!("\n{} messages have a mapping on one side only", self.one_sided));
        }
        if *beyond > 0 {
            lines.push(format!("\n{beyond} further differences are not told apart"));
        }
        lines.join("\n")
    }

    fn change(&self, example: &Example, colour: bool) -> String {
        if example.is_private && !self.values {
            return "differs (not shown: it may name a person; `--show-values` shows it)".to_owned();
        }
        let side = |it: Option<&_>| tame(self.side(example, it).unwrap_or("nothing"));
        let (old, new) = (side(example.old.as_ref()), side(example.new.as_ref()));
        format!("{} -> {}", paint(RED, &old, colour), paint(GREEN, &new, colour))
    }
}

fn paint(colour: &str, text: &str, is_on: bool) -> String {
    if is_on { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
}
