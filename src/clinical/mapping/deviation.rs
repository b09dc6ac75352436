//! The codec's deviations as diagnostics.
//!
//! A deviation that leaves bytes or text unread holds the message; one where something was assumed warns.

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2;
use crate::formats::hl7v2::Kind;

/// One diagnostic for each deviation, in order.
pub fn diagnostics(deviations: &[hl7v2::Deviation]) -> Vec<Diagnostic> {
    deviations.iter().map(diagnostic).collect()
}

fn diagnostic(deviation: &hl7v2::Deviation) -> Diagnostic {
    let (code, help) = explain(&deviation.kind);
    let message = deviation.kind.to_string();
    let diagnostic = match deviation.kind.severity() {
        hl7v2::Severity::Note => Diagnostic::info(code, message),
        hl7v2::Severity::Warning => Diagnostic::warning(code, message),
        hl7v2::Severity::Error => Diagnostic::error(code, message),
    };
    let place = &deviation.position;
    let position =
        place.location.map_or_else(|| format!("line {}", place.line), |location| location.to_string());
    diagnostic.at(position).fact(format!("bytes {} to {}", place.bytes.start, place.bytes.end)).help(help)
}

const ASK: &str = "ask the sender to send the message again, whole and as HL7 v2 has it";
const CHARSET: &str =
    "ask the sender to name the character set in MSH-18, such as `UNICODE UTF-8` or `8859/1`";
const ESCAPE: &str =
    "ask the sender to write delimiters in text as `\\F\\`, `\\S\\`, `\\T\\`, `\\R\\` and `\\E\\`";
const LINES: &str = "ask the sender to end each segment with a carriage return, and to write line breaks in text as `\\.br\\`";
const BATCH: &str = "ask the sender for the whole file; what was read is kept";

const fn explain(kind: &Kind) -> (Code, &'static str) {
    let (code, help) = match kind {
        Kind::NoHeader => ("H001", ASK),
        Kind::TooLong { .. } => ("H002", "ask the sender to send documents apart from results"),
        Kind::NotASegment => ("H003", LINES),
        Kind::SecondHeader => ("H004", ASK),
        Kind::SegmentIndented => ("H005", LINES),
        Kind::BlankLine => ("H006", LINES),
        Kind::LastSegmentOpen => ("H007", LINES),
        Kind::LineFeedInText => ("H008", LINES),
        Kind::LineEndsMixed => ("H009", LINES),
        Kind::LineEndsNotCr => ("H010", LINES),
        Kind::StrayFrameByte => ("H011", "ask the sender to write MLLP frame bytes around messages only"),
        Kind::ControlCharacter => ("H012", ASK),
        Kind::ByteOrderMark => ("H013", "nothing need be done"),
        Kind::DelimitersMissing => ("H020", "ask the sender to write MSH-2 as `^~\\&`"),
        Kind::DelimitersUnusable => ("H021", "ask the sender to write MSH-2 as `^~\\&`"),
        Kind::CharsetUnknown { .. } => ("H030", CHARSET),
        Kind::CharsetNameNotInTable => ("H031", CHARSET),
        Kind::CharsetUndeclared { .. } => ("H032", CHARSET),
        Kind::CharsetContradicted { .. } => ("H033", CHARSET),
        Kind::MalformedBytes => ("H034", CHARSET),
        Kind::EscapeBytesMalformed => ("H040", ESCAPE),
        Kind::EscapeForeign => ("H041", ESCAPE),
        Kind::EscapeHighlight => ("H042", "nothing need be done"),
        Kind::EscapeUnknown => ("H043", ESCAPE),
        Kind::EscapeUnterminated => ("H044", ESCAPE),
        Kind::ValueTruncated => ("H045", "ask the sender for the whole value"),
        Kind::BatchCount { .. } => ("H050", BATCH),
        Kind::BatchCountUnreadable => ("H051", BATCH),
        Kind::BatchHeaderAlone => ("H052", BATCH),
        Kind::BatchTrailerAlone => ("H053", BATCH),
        Kind::BatchJunk => ("H054", BATCH),
        Kind::More { .. } => ("H060", ASK),
    };
    (Code::new(code), help)
}
