//! The line of a receipt file: what became of one message, for a laboratory that has no other answer; written and read.
//!
//! `position ⇥ control id ⇥ outcome ⇥ code ⇥ sentence ⇥ place ⇥ help`: tabs between, one line each, and nothing in a
//! column can end it.

use std::borrow::Cow;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;

/// What became of a message, in the word of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    Held,
    Rejected,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Held => "held",
            Self::Rejected => "rejected",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Accepted, Self::Held, Self::Rejected].into_iter().find(|it| it.as_str() == word)
    }
}

/// A line as a laboratory reads it. What nothing is said of is empty.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Of the message in its file, from one.
    pub number: usize,
    pub control_id: String,
    pub outcome: Outcome,
    pub code: String,
    pub sentence: String,
    pub place: String,
}

/// What the line of a message says that came before.
const REPEATED: &str = "the same message came before, and nothing new was made of it";

/// One line, ended, with the gravest of what is said. `number` counts the messages of the file from one.
pub fn line(
    number: usize,
    control_id: &str,
    outcome: Outcome,
    is_repeated: bool,
    said: &[Diagnostic],
) -> String {
    let gravest = said.iter().find(|it| it.severity == Severity::Error).or(said.first());
    let unsaid = if is_repeated { REPEATED } else { "" };
    let [code, sentence, place, help] =
        gravest.map_or(["", unsaid, "", ""], |it| [it.code.as_str(), &it.message, &it.position, &it.help]);
    let columns = [control_id, outcome.as_str(), code, sentence, place, help].map(column);
    format!("{number}\t{}\n", columns.join("\t"))
}

/// A line read back; none where it is not the line of a message.
pub fn parse(line: &str) -> Option<Line> {
    let mut columns = line.split('\t');
    let number = columns.next()?.parse().ok()?;
    let mut text = || columns.next().map(said);
    let control_id = text()?;
    let outcome = Outcome::parse(&text()?)?;
    Some(Line { number, control_id, outcome, code: text()?, sentence: text()?, place: text()? })
}

/// The text of a column.
fn said(column: &str) -> String {
    let mut text = String::with_capacity(column.len());
    let mut rest = column.chars();
    while let Some(c) = rest.next() {
        text.push(match (c, c == '\\') {
            (c, false) => c,
            (_, true) => match rest.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
        });
    }
    text
}

/// A text that stays in its column: backslash, tab and line ends are written as escapes.
fn column(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c == '\\' || c.is_control()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len() + 8), |mut written, c| {
        match c {
            '\\' => written.push_str("\\\\"),
            '\t' => written.push_str("\\t"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            c if c.is_control() => written.push('\u{fffd}'),
            c => written.push(c),
        }
        written
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;
    use crate::formats::fhir::Issue;
    use crate::formats::fhir::IssueType;
    use crate::formats::hl7v2::acknowledgement;
    use crate::formats::hl7v2::acknowledgement::Condition0357;
    use crate::formats::hl7v2::acknowledgement::Fresh;
    use crate::formats::problem::Problem;

    #[test]
    fn nothing_in_a_column_ends_it() {
        assert_eq!(
            line(3, "A\tB\r\n\\C\u{1}", Outcome::Accepted, false, &[]),
            "3\tA\\tB\\r\\n\\\\C\u{fffd}\taccepted\t\t\t\t\n"
        );
    }

    #[test]
    fn a_line_is_read_back_as_it_was_meant() {
        let why = Diagnostic::error(Code::new("H106"), "a \\t that is no tab,\tand one that is").at("OBR[1]");
        let written = line(2, "A\n\\n", Outcome::Rejected, false, std::slice::from_ref(&why));
        let read = Line {
            number: 2,
            control_id: "A\n\\n".to_owned(),
            outcome: Outcome::Rejected,
            code: "H106".to_owned(),
            sentence: why.message,
            place: "OBR[1]".to_owned(),
        };
        assert_eq!(parse(written.trim_end()), Some(read));
        for other in ["", "file\ta.hl7\t12\tdigest\ttime", "1\tA\tperhaps\t\t\t\t", "1\tA\taccepted"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn every_door_says_the_same_of_one_diagnostic() {
        let why = Diagnostic::error(Code::new("H106"), "a result message needs at least one OBR segment")
            .at("OBR[1]-4.1")
            .help("send the order's OBR before its OBX segments");
        let message = crate::formats::hl7v2::decode(b"MSH|^~\\&|LAB|FAC|||1||ORU^R01|C1|P|2.5.1\r").message;
        let problem = acknowledgement::Problem::of(&why, Condition0357::SegmentSequence);
        let fresh = Fresh { control_id: "N1", time: "T" };
        let ack = acknowledgement::build(message.as_ref(), acknowledgement::Code::AE, &[problem], fresh);
        let err = String::from_utf8(ack).unwrap();
        let err = err.split('\r').find(|it| it.starts_with("ERR")).unwrap().to_owned();
        assert_eq!(
            err,
            "ERR||OBR^1^4^1^1|100^Segment sequence error^HL70357|E|H106||H106 at OBR[1]-4.1|a result message needs at least one OBR segment"
        );
        assert_eq!(
            serde_json::to_string(&Issue::of(&why, IssueType::Structure)).unwrap(),
            concat!(
                r#"{"severity":"error","code":"structure","details":{"coding":[{"system":"urn:haemosync:diagnostic","code":"H106"}],"#,
                r#""text":"a result message needs at least one OBR segment"},"#,
                r#""diagnostics":"send the order's OBR before its OBX segments","expression":["OBR[1]-4.1"]}"#
            )
        );
        assert_eq!(
            serde_json::to_string(&Problem::of(422, "Not readable", &why)).unwrap(),
            concat!(
                r#"{"type":"/docs/errors/H106","title":"Not readable","status":422,"#,
                r#""detail":"a result message needs at least one OBR segment","code":"H106","#,
                r#""position":"OBR[1]-4.1","help":"send the order's OBR before its OBX segments"}"#
            )
        );
        assert_eq!(
            line(1, "C1", Outcome::Rejected, true, std::slice::from_ref(&why)),
            "1\tC1\trejected\tH106\ta result message needs at least one OBR segment\tOBR[1]-4.1\tsend the order's OBR before its OBX segments\n"
        );
    }
}
