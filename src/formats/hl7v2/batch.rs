//! Files and batches: FHS/BHS/BTS/FTS envelopes, or several messages one after another without any.
//!
//! Only cuts the input; nothing is decoded. The parts cover the input, in order and without a gap.

mod reply;

use std::ops::Range;

use crate::formats::hl7v2::Decoded;
use crate::formats::hl7v2::charset;
use crate::formats::hl7v2::charset::Text;
use crate::formats::hl7v2::delimiters::usable;
use crate::formats::hl7v2::deviation::Deviation;
use crate::formats::hl7v2::deviation::Kind;
use crate::formats::hl7v2::deviation::Position;

pub use self::reply::Said;
pub use self::reply::reply;
pub use self::reply::sender;

/// An input cut into its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub parts: Vec<Part>,
    pub deviations: Vec<Deviation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub kind: PartKind,
    pub bytes: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    BatchHeader,
    BatchTrailer,
    FileHeader,
    FileTrailer,
    /// Text outside of any message; reported, unless it is only line ends and MLLP bytes.
    Junk,
    Message,
}

impl Split {
    /// The bytes of each message, in order.
    pub fn messages(&self) -> impl Iterator<Item = Range<usize>> {
        self.parts.iter().filter(|part| part.kind == PartKind::Message).map(|part| part.bytes.clone())
    }

    /// Whether the input has an envelope, and so is a batch even with one message or none.
    pub fn is_enveloped(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part.kind, PartKind::Junk | PartKind::Message))
    }
}

/// Whether an input that was decoded as one message has an envelope, or holds several.
pub fn is_batch(bytes: &[u8], decoded: &Decoded<'_>) -> bool {
    const NAMES: [&str; 4] = ["BHS", "BTS", "FHS", "FTS"];
    let margin = bytes.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0B).count();
    let beginning = bytes.get(margin..).unwrap_or_default();
    let is_name = |name: &str| beginning.starts_with(name.as_bytes());
    NAMES.into_iter().any(is_name)
        || decoded.deviations.iter().any(|it| it.kind == Kind::SecondHeader)
        || decoded.message.as_ref().is_some_and(|it| it.segments().any(|it| NAMES.contains(&it.name())))
}

/// Cuts an input into messages and what is around them.
pub fn split(bytes: &[u8]) -> Split {
    let text = Text::read(bytes);
    let content = text.content.as_bytes();
    let starts = starts(content);
    let mut cuts: Vec<(usize, PartKind)> = Vec::new();
    if starts.first().is_none_or(|&(at, _)| at > 0) && !bytes.is_empty() {
        cuts.push((0, PartKind::Junk));
    }
    cuts.extend(&starts);
    let mut ends: Vec<usize> = cuts.iter().skip(1).map(|&(at, _)| at).collect();
    ends.push(content.len());
    let offsets = offsets(&text, &ends);
    let mut parts = Vec::with_capacity(cuts.len());
    let mut lines = Vec::with_capacity(cuts.len());
    let (mut from, mut line) = (0, 1);
    for ((&(start, kind), &end), &until) in cuts.iter().zip(&ends).zip(&offsets) {
        parts.push((Part { kind, bytes: from..until }, content.get(start..end).unwrap_or_default()));
        lines.push(line);
        line += memchr::memchr2_iter(b'\r', b'\n', content.get(start..end).unwrap_or_default()).count();
        from = until;
    }
    let mut check = Check::default();
    for ((part, text), line) in parts.iter().zip(lines) {
        check.part(part, text, line);
    }
    check.finish();
    check.deviations.sort_by_key(|deviation| deviation.position.bytes.start);
    Split { parts: parts.into_iter().map(|(part, _)| part).collect(), deviations: check.deviations }
}

fn offsets(text: &Text<'_>, places: &[usize]) -> Vec<usize> {
    let body = text.bytes.get(text.mark..).unwrap_or_default();
    let borrowed = matches!(text.content, std::borrow::Cow::Borrowed(_));
    let offsets = charset::byte_offsets(text.charset, body, borrowed, places);
    offsets.into_iter().map(|offset| text.mark + offset).collect()
}

/// Where a part begins: a header or trailer name at the start of a line. Text after an envelope segment's own
/// line, up to the next such start, is junk.
fn starts(text: &[u8]) -> Vec<(usize, PartKind)> {
    let mut starts = Vec::new();
    let mut at = 0;
    let mut after_envelope = false;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let margin = rest.iter().take_while(|byte| matches!(byte, 0x0B | 0x1C | b' ' | b'\t')).count();
        let line = rest.get(margin..).unwrap_or_default();
        // A frame's end may be followed by the next one's start without a line end between them.
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C);
        let length = line.iter().position(is_end).unwrap_or(line.len());
        match kind_of(line) {
            Some(kind) => {
                starts.push((at, kind));
                after_envelope = kind != PartKind::Message;
            }
            None if after_envelope => {
                starts.push((at, PartKind::Junk));
                after_envelope = false;
            }
            None => {}
        }
        at += margin + length;
        let ends = text.get(at..).unwrap_or_default();
        at += ends.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    }
    starts
}

fn kind_of(line: &[u8]) -> Option<PartKind> {
    let (name, rest) = line.split_first_chunk::<3>()?;
    let ended = rest.first().is_none_or(|&next| usable(next) || matches!(next, b'\r' | b'\n' | 0x1C));
    match name {
        b"MSH" if rest.first().is_some_and(|&next| usable(next)) => Some(PartKind::Message),
        b"FHS" if ended => Some(PartKind::FileHeader),
        b"BHS" if ended => Some(PartKind::BatchHeader),
        b"BTS" if ended => Some(PartKind::BatchTrailer),
        b"FTS" if ended => Some(PartKind::FileTrailer),
        _ => None,
    }
}

/// Follows the envelopes, and compares the trailers' counts with what came before them.
#[derive(Default)]
struct Check {
    file: Option<Position>,
    batch: Option<Position>,
    batches: u64,
    messages: u64,
    separator: Option<u8>,
    deviations: Vec<Deviation>,
}

impl Check {
    fn part(&mut self, part: &Part, text: &[u8], line: usize) {
        let position = Position { bytes: part.bytes.clone(), line, location: None };
        let margin = text.iter().take_while(|byte| matches!(byte, 0x0B | 0x1C | b' ' | b'\t')).count();
        let line = text.get(margin..).unwrap_or_default();
        match part.kind {
            PartKind::Message => self.messages += 1,
            PartKind::FileHeader => {
                self.separator = line.get(3).copied();
                if let Some(open) = self.file.replace(position) {
                    self.report(Kind::BatchHeaderAlone, open);
                }
                (self.batches, self.messages) = (0, 0);
            }
            PartKind::BatchHeader => {
                self.separator = line.get(3).copied();
                if let Some(open) = self.batch.replace(position) {
                    self.report(Kind::BatchHeaderAlone, open);
                }
                self.batches += 1;
                self.messages = 0;
            }
            PartKind::BatchTrailer => {
                self.count(line, self.messages, &position);
                if self.batch.take().is_none() {
                    self.report(Kind::BatchTrailerAlone, position);
                }
                self.messages = 0;
            }
            PartKind::FileTrailer => {
                if let Some(open) = self.batch.take() {
                    self.report(Kind::BatchHeaderAlone, open);
                }
                self.count(line, self.batches, &position);
                if self.file.take().is_none() {
                    self.report(Kind::BatchTrailerAlone, position);
                }
            }
            PartKind::Junk => {
                let empty = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C | b' ' | b'\t' | 0x1A | 0);
                let kind = if text.iter().all(empty) { Kind::BlankLine } else { Kind::BatchJunk };
                self.report(kind, position);
            }
        }
    }

    /// Checks field 1 of a trailer; an empty one claims nothing.
    fn count(&mut self, line: &[u8], found: u64, position: &Position) {
        let separator = line.get(3).copied().filter(|&byte| usable(byte)).or(self.separator);
        let field = line.get(4..).unwrap_or_default();
        let end = |byte: &u8| Some(*byte) == separator || matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C);
        let field = field.split(end).next().unwrap_or_default();
        let declared = String::from_utf8_lossy(field);
        match declared.trim().parse::<u64>() {
            _ if declared.trim().is_empty() => {}
            Ok(declared) if declared == found => {}
            Ok(declared) => self.report(Kind::BatchCount { declared, found }, position.clone()),
            Err(_) => self.report(Kind::BatchCountUnreadable, position.clone()),
        }
    }

    fn finish(&mut self) {
        for open in [self.batch.take(), self.file.take()].into_iter().flatten() {
            self.report(Kind::BatchHeaderAlone, open);
        }
    }

    fn report(&mut self, kind: Kind, position: Position) {
        self.deviations.push(Deviation { kind, position });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, messages: &[&str], kinds: &[Kind]) {
        let split = split(input.as_bytes());
        let found: Vec<&str> = split.messages().map(|bytes| &input[bytes]).collect();
        assert_eq!(found, messages);
        assert_eq!(
            split.deviations.iter().map(|deviation| deviation.kind.clone()).collect::<Vec<_>>(),
            kinds
        );
        let covered = split.parts.iter().fold(0, |at, part| {
            assert_eq!(part.bytes.start, at);
            part.bytes.end
        });
        assert_eq!(covered, input.len());
    }

    const A: &str = "MSH|^~\\&|A\rPID|1\r";
    const B: &str = "MSH|^~\\&|B\r";

    #[test]
    fn splits_envelopes_and_checks_their_counts() {
        check(&format!("FHS|^~\\&\rBHS|^~\\&\r{A}{B}BTS|2\rFTS|1\r"), &[A, B], &[]);
        check(&format!("BHS|^~\\&\r{A}BTS|2|x\r"), &[A], &[Kind::BatchCount { declared: 2, found: 1 }]);
        check(&format!("BHS|^~\\&\r{A}BTS|two\r"), &[A], &[Kind::BatchCountUnreadable]);
        check(&format!("FHS|^~\\&\r{A}FTS\r"), &[A], &[]);
        check(&format!("BHS|^~\\&\r{A}"), &[A], &[Kind::BatchHeaderAlone]);
        check(&format!("{A}BTS|1\r"), &[A], &[Kind::BatchTrailerAlone]);
    }

    #[test]
    fn splits_messages_without_envelope() {
        check(&format!("{A}{B}"), &[A, B], &[]);
        check(
            &format!("\x0b{A}\x1c\r\x0b{B}\x1c\r"),
            &[&format!("\x0b{A}\x1c\r"), &format!("\x0b{B}\x1c\r")],
            &[],
        );
        check(&format!("\x0b{A}\x1c\x0b{B}"), &[&format!("\x0b{A}"), &format!("\x1c\x0b{B}")], &[]);
    }

    #[test]
    fn reports_what_belongs_to_no_message() {
        check(&format!("hello\r{A}"), &[A], &[Kind::BatchJunk]);
        check(&format!("BHS|^~\\&\rjunk\r{A}BTS|1\r\r\r"), &[A], &[Kind::BatchJunk]);
        check("", &[], &[]);
        check("no message", &[], &[Kind::BatchJunk]);
    }
}
