//! `gateway mapping coverage`: what messages used of a mapping, and what they hold that it does not read.
//!
//! It shows places, names of fields and words of coded fields, and nothing else of a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::mapping::messages;
use crate::cli::mapping::messages::Source;
use crate::cli::output;
use crate::cli::output::tame;
use crate::cli::try_::no_such_lab;
use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::coverage::Coverage;
use crate::clinical::mapping::coverage::Gaps;
use crate::clinical::mapping::coverage::Seen;
use crate::config::library;
use crate::diagnostic::Span;

/// Reads files where nobody says which laboratory they are of.
const LAB: &str = "standard";
/// Digits of a digest that people compare.
const DIGEST_SHOWN: usize = 12;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway mapping coverage --lab north samples/\n  gateway mapping coverage --stored --since 2026-03-01 --config gateway.toml\n\nExit status: 0 when nothing that these messages hold waits for a rule or a row; 1 when a field, code, unit or word\nthat holds its message is not read, or a message could not be read at all; 2 usage or configuration."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let source = &arguments.source;
    let config = source.config(false)?;
    let mappings = source.mappings(config.as_deref());
    let files = library::library(mappings.as_deref()).map_err(Failure::Configuration)?;
    let catalog = Catalog::compile(&files).map_err(Failure::Configuration)?;
    let opened = if let Some(config) = config {
        source.open_store(config)
    } else {
        let lab = source.lab.as_deref().unwrap_or(LAB);
        let mapping =
            catalog.lab(lab).ok_or_else(|| Failure::Configuration(vec![no_such_lab(lab, &catalog)]))?;
        source.open_files(lab, mapping.format())
    };
    let mut all: BTreeMap<Arc<str>, Coverage> = BTreeMap::new();
    let tally = source.read(
        &opened,
        |name| catalog.lab(name).is_some(),
        |message| catalog.lab(&message.mapping).map(|it| it.read_bytes(&message.bytes)),
        |message, reading| {
            if let Some((mapping, reading)) = catalog.lab(&message.mapping).zip(reading) {
                let coverage = all.entry(Arc::clone(&message.mapping)).or_default();
                coverage.add(mapping, &reading, &message.name);
            }
        },
    )?;
    let mut is_whole = tally.unreadable == 0;
    for (name, coverage) in &all {
        let Some(mapping) = catalog.lab(name) else { continue };
        let gaps = coverage.gaps(mapping);
        is_whole &= !gaps.holds();
        match format {
            Format::Json => output::json(&document(mapping, coverage, &gaps)),
            Format::Plain => output::line(&table(mapping, coverage, &gaps)),
        };
    }
    messages::tell(tally);
    if tally.messages == 0 {
        output::note("there was no message, and so nothing to say of any rule");
    }
    Ok(Outcome::from(is_whole && tally.messages > 0))
}

fn document(mapping: &Mapping, coverage: &Coverage, gaps: &Gaps<'_>) -> Value {
    let seen = |it: &Seen| json!({ "message": it.message, "at": it.at });
    let silent = gaps.silent.iter();
    let unseen = gaps.unseen.iter();
    let needless = gaps.needless.iter();
    let unread = gaps.unread.iter();
    let unmapped = gaps.unmapped.iter();
    json!({
        "mapping": mapping.lab(),
        "digest": mapping.digest(),
        "messages": { "read": coverage.messages, "held": coverage.held, "rejected": coverage.rejected },
        "silent_rules": silent
            .map(|it| json!({ "rule": it.name, "file": it.span.file, "line": it.span.line }))
            .collect::<Vec<_>>(),
        "needless_ignores": needless
            .map(|it| json!({ "path": it.path, "file": it.span.file, "line": it.span.line }))
            .collect::<Vec<_>>(),
        "unseen_words": unseen
            .map(|(rule, word)| json!({ "rule": rule.name, "word": word, "file": rule.span.file, "line": rule.span.line }))
            .collect::<Vec<_>>(),
        "unread_fields": unread
            .map(|(name, it)| json!({ "field": name, "count": it.count, "holds": it.holds, "example": seen(it) }))
            .collect::<Vec<_>>(),
        "unmapped_words": unmapped
            .map(|(rule, word, it)| json!({ "rule": rule.name, "word": word, "count": it.count, "holds": it.holds, "example": seen(it) }))
            .collect::<Vec<_>>(),
        "not_told_apart": coverage.beyond,
    })
}

fn table(mapping: &Mapping, coverage: &Coverage, gaps: &Gaps<'_>) -> String {
    let Coverage { messages, held, rejected, beyond, .. } = coverage;
    let digest: String = mapping.digest().chars().take(DIGEST_SHOWN).collect();
    let lab = mapping.lab();
    let mut lines =
        vec![format!("mapping {lab} ({digest}): {messages} messages, {held} held, {rejected} rejected")];
    let count = |it: &Seen| format!("{:>8} {}", it.count, if it.holds { "holds" } else { "     " });
    let first = |it: &Seen| format!("first in {} {}", it.message, tame(&it.at));
    let place = |what: &str, span: &Span| format!("{what:<34}  {}:{}", span.file, span.line);
    let unread = gaps.unread.iter();
    let rows = unread.map(|(name, it)| format!("{}  {:<24}  {}", count(it), tame(name), first(it)));
    section(&mut lines, "fields that no rule reads", rows);
    let unmapped = gaps.unmapped.iter().map(|(rule, word, it)| {
        format!("{}  {:<24}  {:<20}  {}", count(it), rule.name, tame(word), first(it))
    });
    section(&mut lines, "codes, units and words that no table or map has", unmapped);
    let silent = gaps.silent.iter().map(|it| place(&it.name, &it.span));
    section(&mut lines, "rules that found nothing", silent);
    let unseen = gaps.unseen.iter();
    let unseen = unseen.map(|(rule, word)| place(&format!("{} `{word}`", rule.name), &rule.span));
    section(&mut lines, "words of maps that no message had", unseen);
    let needless = gaps.needless.iter().map(|it| place(&it.path, it.span));
    section(&mut lines, "ignored and in no message", needless);
    if *beyond > 0 {
        lines.push(format!("{beyond} further fields and words are not told apart"));
    }
    lines.join("\n")
}

/// A heading and what stands under it; nothing where that is nothing.
fn section(lines: &mut Vec<String>, title: &str, rows: impl Iterator<Item = String>) {
    let rows: Vec<String> = rows.collect();
    if !rows.is_empty() {
        lines.push(format!("\n{title} ({})", rows.len()));
        lines.extend(rows.iter().map(|row| format!("  {}", row.trim_end())));
    }
}
