//! Where commands print: documents to standard output, diagnostics and failures to standard error.
//!
//! A reader that has gone away (`gateway message list | head`) ends the output and is no failure.

use std::io::IsTerminal;
use std::io::Write;

use serde::Serialize;

use crate::cli::Format;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::render;

/// One line on standard output. Whether anybody still reads it.
pub(crate) fn line(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// One JSON document, on one line.
pub(crate) fn json(document: &impl Serialize) -> bool {
    line(&serde_json::to_string(document).expect("our documents have text keys and serialise"))
}

/// Exact bytes on standard output.
pub(crate) fn bytes(bytes: &[u8]) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// A text of a message as it may stand on a terminal: what would steer it is written out.
pub(crate) fn tame(text: &str) -> String {
    let mut tame = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { tame.extend(letter.escape_default()) } else { tame.push(letter) }
    }
    tame
}

/// Whether standard output takes colours, and nobody asked for none (`NO_COLOR`).
pub(crate) fn takes_colour() -> bool {
    let said = |name: &str| std::env::var_os(name).unwrap_or_default();
    std::io::stdout().is_terminal() && said("NO_COLOR").is_empty() && said("TERM") != "dumb"
}

/// A line for the person at the terminal, on standard error.
pub(crate) fn note(text: &str) {
    let _nobody_reads = writeln!(std::io::stderr().lock(), "{text}");
}

/// Diagnostics on standard error, in the format asked for.
pub(crate) fn diagnostics(diagnostics: &[Diagnostic], subject: &str, format: Format) {
    for diagnostic in diagnostics {
        match format {
            Format::Plain => note(render::plain(diagnostic, subject).trim_end()),
            Format::Json => note(&serde_json::to_string(diagnostic).expect("a diagnostic serialises")),
        }
    }
}

/// A failure with its causes, on standard error.
pub(crate) fn failure(error: &anyhow::Error, format: Format) {
    let text = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    match format {
        Format::Plain => note(&format!("error: {text}")),
        Format::Json => note(&serde_json::json!({ "error": text }).to_string()),
    }
}
