//! The account for people: what each value is, where it stands in the file, and which line of which file made it so.

use std::fmt::Write as _;

use crate::cli::mapping::explain::account::Account;
use crate::cli::mapping::explain::address::Asked;
use crate::cli::mapping::explain::json::forward;
use crate::cli::mapping::explain::told::FieldTold;
use crate::cli::mapping::explain::told::MadeTold;
use crate::cli::mapping::explain::told::Place;
use crate::cli::mapping::explain::told::RuleTold;
use crate::cli::mapping::explain::told::Value;
use crate::clinical::mapping::Outcome;
use crate::clinical::mapping::inbound::trace::influence::Made;

/// A longer text is a document or a letter: its beginning tells which.
const TEXT_CHARS_MAX: usize = 72;

/// Writes lines; writing to a String cannot fail.
macro_rules! put {
    ($out:expr, $($text:tt)*) => { let _ = writeln!($out, $($text)*); };
}

pub(super) fn whole(account: &Account<'_>) -> String {
    let mut out = head(account);
    put!(out, "\nVALUES: each with its source\n");
    for origin in &account.trace.origins {
        value(&mut out, &account.value(origin), "");
    }
    put!(out, "\nLEDGER: every populated field of the message\n");
    for (at, entry) in account.trace.reading.ledger.entries.iter().enumerate() {
        let leaf = account.trace.source.leaves.iter().position(|leaf| leaf.field == at);
        let text = leaf.and_then(|leaf| account.place(leaf)).map(|it| short(it.text)).unwrap_or_default();
        match entry.outcome {
            Outcome::Used => {
                put!(out, "  used         {:<16} {text}", entry.field.to_string());
            }
            Outcome::Ignored(index) => {
                let why = account.mapping.why_ignored(index).unwrap_or_default();
                put!(out, "  ignored      {:<16} {text}  ({why})", entry.field.to_string());
            }
            Outcome::Unaccounted => {
                put!(out, "  unaccounted  {:<16} {text}", entry.field.to_string());
            }
        }
    }
    out
}

pub(super) fn asked(account: &Account<'_>, asked: &Asked) -> String {
    let mut out = head(account);
    match asked {
        Asked::Message(leaves) => {
            for it in leaves.iter().filter_map(|at| account.field(*at)) {
                out.push('\n');
                field(&mut out, &it);
            }
            let (bundle, calls) = forward(account, leaves);
            onward(&mut out, account, "in the Bundle", &bundle);
            onward(&mut out, account, "in the Cliniko calls", &calls);
        }
        Asked::Report(values) => {
            for origin in values.iter().filter_map(|at| account.trace.origins.get(*at)) {
                out.push('\n');
                value(&mut out, &account.value(origin), "");
            }
        }
        Asked::Fhir(values) | Asked::Cliniko(values) => {
            for it in values {
                out.push('\n');
                made(&mut out, &account.made(it));
            }
        }
    }
    out
}

fn head(account: &Account<'_>) -> String {
    let subject = account.subject_told();
    let counts = subject.counts;
    let mut out = String::new();
    put!(out, "{} #{}: {}", subject.file, subject.index, subject.status);
    put!(out, "mapping {}, digest {}", subject.lab, subject.mapping);
    put!(
        out,
        "fields {}: {} used, {} ignored, {} unaccounted",
        counts.used + counts.ignored + counts.unaccounted,
        counts.used,
        counts.ignored,
        counts.unaccounted
    );
    out
}

fn value(out: &mut String, value: &Value<'_>, indent: &str) {
    put!(out, "{indent}{} = {}", value.path, short(value.text));
    for it in &value.from {
        put!(out, "{indent}    from  {}", place(it));
    }
    put!(out, "{indent}    how   {}", value.how.words());
    if let Some(it) = &value.rule {
        rule(out, it, indent);
    }
}

fn rule(out: &mut String, rule: &RuleTold<'_>, indent: &str) {
    put!(out, "{indent}    rule  {}  {}:{}", rule.name, rule.file, rule.line);
    put!(out, "{indent}          {}", rule.text);
}

fn field(out: &mut String, field: &FieldTold<'_>) {
    put!(out, "{}: {}", place(&field.place), field.outcome);
    if let Some(ignored) = &field.ignored {
        put!(out, "    [[ignore]] path = \"{}\"  why: {}", ignored.path, ignored.why);
    }
    for it in &field.rules {
        rule(out, it, "");
    }
    if field.report.is_empty() {
        let reason = match (field.outcome, field.rules.is_empty()) {
            ("used", true) => "nothing: the gateway reads it of every message, or beside what a rule reads",
            ("used", false) => "nothing of its own: another place served, or it says how to read one",
            _ => "nothing",
        };
        put!(out, "  in the report: {reason}");
        return;
    }
    put!(out, "  in the report");
    for it in &field.report {
        put!(out, "    {} = {}  ({})", it.path, short(it.text), it.how.words());
    }
}

fn onward(out: &mut String, account: &Account<'_>, title: &str, values: &[Made]) {
    if values.is_empty() {
        return;
    }
    put!(out, "  {title}");
    for it in values {
        let told = account.made(it);
        let how = if told.holds.is_empty() { "follows it" } else { "holds it" };
        put!(out, "    {} = {}  ({how})", told.path, short(told.text));
    }
}

fn made(out: &mut String, made: &MadeTold<'_>) {
    put!(out, "{} = {}", made.path, short(made.text));
    for it in &made.holds {
        value(out, it, "    ");
    }
    if !made.follows.is_empty() {
        put!(out, "    follows  {}", made.follows.join(", "));
    }
    if made.holds.is_empty() && made.follows.is_empty() {
        put!(out, "    the gateway's own: no value of the report changes it");
    }
}

fn place(it: &Place<'_>) -> String {
    let mut text = format!("{}  {}", it.name, short(it.text));
    // Writing to a String cannot fail.
    if let (Some(offset), Some(length)) = (it.offset, it.length) {
        let _ = write!(text, "  bytes {offset}..{} ({length})", offset + length);
    }
    if let Some(line) = it.line {
        let _ = write!(text, ", line {line}");
    }
    text
}

/// In quotes, on one line, and not without end.
fn short(text: &str) -> String {
    let line = text.replace(['\r', '\n'], " ");
    let count = line.chars().count();
    if count <= TEXT_CHARS_MAX {
        return format!("\"{line}\"");
    }
    let beginning: String = line.chars().take(TEXT_CHARS_MAX).collect();
    format!("\"{beginning}…\" ({count} characters)")
}
