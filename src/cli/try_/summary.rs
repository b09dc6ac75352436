//! Counts over many messages: what became of them, why, and whether any result went missing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::cli::try_::reading::Message;
use crate::cli::try_::reading::Status;
use crate::cli::try_::sent::plain;
use crate::clinical::model::Report;
use crate::diagnostic::Diagnostic;

/// The results of one message: each that was sent is in a report, or a diagnostic names it, or it is lost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Results {
    sent: usize,
    read: usize,
    named: usize,
    lost: usize,
}

impl Results {
    /// `sent` are the places of the results, found without the reader.
    pub(super) fn of(sent: &BTreeSet<String>, reports: &[Report], diagnostics: &[Diagnostic]) -> Self {
        let read: BTreeSet<String> =
            reports.iter().flat_map(Report::results).map(|result| plain(&result.id.to_string())).collect();
        let told: Vec<String> = diagnostics.iter().map(|it| plain(&it.position)).collect();
        // An Observation that no report refers to is named with all that is in it.
        let alone = diagnostics.iter().filter(|it| it.code.as_str() == "F021").map(|it| plain(&it.position));
        let alone: Vec<String> = alone.collect();
        let missing: Vec<&String> = sent.difference(&read).collect();
        let is_named = |place: &str| {
            told.iter().any(|it| is_within(it, place)) || alone.iter().any(|it| is_within(place, it))
        };
        let named = missing.iter().filter(|place| is_named(place.as_str())).count();
        Self { sent: sent.len(), read: sent.len() - missing.len(), named, lost: missing.len() - named }
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.read += other.read;
        self.named += other.named;
        self.lost += other.lost;
    }

    fn document(self) -> Value {
        let Self { sent, read, named, lost } = self;
        json!({ "sent": sent, "read": read, "named": named, "lost": lost })
    }
}

/// Whether a position is this place or something in it: `OBX[3]-6.1` is in `OBX[3]`, and not in `OBX[31]`.
fn is_within(position: &str, place: &str) -> bool {
    position
        .strip_prefix(place)
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
}

/// What became of some messages.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    mapped: usize,
    held: usize,
    rejected: usize,
    /// Messages held or rejected, by each code that did it.
    reasons: BTreeMap<String, usize>,
    results: Results,
    readable: usize,
    readable_mapped: usize,
    slowest: Duration,
}

impl Tally {
    fn count(&mut self, index: usize, message: &Message) {
        self.files += usize::from(index == 0);
        match message.status {
            Status::Mapped => self.mapped += 1,
            Status::Held => self.held += 1,
            Status::Rejected => self.rejected += 1,
        }
        let errors = message.diagnostics.iter().filter(|it| it.is_error());
        let codes: BTreeSet<&str> = errors.map(|it| it.code.as_str()).collect();
        for code in codes {
            *self.reasons.entry(code.to_owned()).or_default() += 1;
        }
        self.results.add(message.results);
        if message.is_readable_result {
            self.readable += 1;
            self.readable_mapped += usize::from(message.status == Status::Mapped);
        }
        self.slowest = self.slowest.max(message.took);
    }

    fn messages(&self) -> usize {
        self.mapped + self.held + self.rejected
    }

    fn permille_mapped(&self) -> usize {
        (self.readable_mapped * 1000).checked_div(self.readable).unwrap_or(1000)
    }

    fn document(&self) -> Value {
        json!({
            "files": self.files, "messages": self.messages(),
            "mapped": self.mapped, "held": self.held, "rejected": self.rejected, "reasons": self.reasons,
            "results": self.results.document(),
            "readable": { "messages": self.readable, "mapped": self.readable_mapped, "permille": self.permille_mapped() },
            "slowest_ms": milliseconds(self.slowest),
        })
    }

    fn reasons(&self) -> String {
        let reasons: Vec<String> =
            self.reasons.iter().map(|(code, count)| format!("{code}×{count}")).collect();
        reasons.join(" ")
    }
}

/// All messages, and those of each path given and laboratory that read them.
#[derive(Debug, Default)]
pub(super) struct Summary {
    all: Tally,
    rows: BTreeMap<(String, String), Tally>,
}

impl Summary {
    pub(super) fn count(&mut self, row: (&str, &str), index: usize, message: &Message) {
        self.all.count(index, message);
        self.rows.entry((row.0.to_owned(), row.1.to_owned())).or_default().count(index, message);
    }

    pub(super) fn all_mapped(&self) -> bool {
        self.all.held + self.all.rejected == 0
    }

    pub(super) fn document(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|((given, lab), tally)| {
                let mut row = json!({ "given": given, "lab": lab });
                merge(&mut row, tally.document());
                row
            })
            .collect();
        let mut document = self.all.document();
        merge(&mut document, json!({ "rows": rows }));
        json!({ "summary": document })
    }

    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        if self.rows.len() > 1 {
            self.rows_into(&mut text);
        }
        let all = &self.all;
        let Results { sent, read, named, lost } = all.results;
        let permille = all.permille_mapped();
        let mut row = |name: &str, value: &str| {
            writeln!(text, "{name:<44} {value:>10}").expect("writing to a String does not fail");
        };
        row("files", &all.files.to_string());
        row("messages", &all.messages().to_string());
        row("  mapped", &all.mapped.to_string());
        row("  held", &all.held.to_string());
        row("  rejected", &all.rejected.to_string());
        row("held or rejected, by code", "");
        for (code, count) in &all.reasons {
            let title = crate::diagnostic::codes::find(code).map_or("", |it| it.title.as_str());
            row(&format!("  {code} {title}"), &count.to_string());
        }
        row("results of messages not rejected", &sent.to_string());
        row("  in reports", &read.to_string());
        row("  named in diagnostics instead", &named.to_string());
        row("  lost", &lost.to_string());
        row("readable as a report with results", &all.readable.to_string());
        row("  mapped", &format!("{}.{} %", permille / 10, permille % 10));
        row("slowest message", &format!("{} ms", milliseconds(all.slowest)));
        text
    }

    /// One line for each path given, with its reasons at the end.
    fn rows_into(&self, text: &mut String) {
        const HEADS: [&str; 10] = [
            "files", "messages", "mapped", "held", "rejected", "results", "read", "named", "lost", "slowest",
        ];
        let width = |of: fn(&(String, String)) -> &String, head: &str| {
            self.rows.keys().map(|row| of(row).chars().count()).max().unwrap_or(0).max(head.len())
        };
        let (given, lab) = (width(|row| &row.0, "given"), width(|row| &row.1, "read by"));
        let mut line = |first: &str, second: &str, cells: &[String], last: &str| {
            write!(text, "{first:<given$}  {second:<lab$}").expect("writing to a String does not fail");
            for cell in cells {
                write!(text, " {cell:>9}").expect("writing to a String does not fail");
            }
            writeln!(text, "  {last}").expect("writing to a String does not fail");
        };
        line("given", "read by", &HEADS.map(str::to_owned), "held or rejected, by code");
        for ((first, second), tally) in &self.rows {
            let Results { sent, read, named, lost } = tally.results;
            let counts = [
                tally.files,
                tally.messages(),
                tally.mapped,
                tally.held,
                tally.rejected,
                sent,
                read,
                named,
                lost,
            ];
            let mut cells: Vec<String> = counts.iter().map(usize::to_string).collect();
            cells.push(milliseconds(tally.slowest));
            line(first, second, &cells, &tally.reasons());
        }
        text.push('\n');
    }
}

/// Adds the members of one object to another.
fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// With three decimals, as text.
pub(crate) fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn a_position_is_within_the_place_it_begins_with() {
        for (position, place, is) in [
            ("OBX[3]-6.1", "OBX[3]", true),
            ("OBX[3]", "OBX[3]", true),
            ("OBX[31]", "OBX[3]", false),
            ("Bundle.entry[1].resource.code", "Bundle.entry[1].resource", true),
            ("line 12, value", "line 1", false),
            ("line 1, value", "line 1", true),
            ("MSH-9", "OBX[3]", false),
        ] {
            assert_eq!(is_within(position, place), is, "{position} in {place}");
        }
    }
}
