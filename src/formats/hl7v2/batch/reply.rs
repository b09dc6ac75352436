//! The answer to a batch (chapter 2, §2.10.3): the acknowledgements of its messages, in the envelopes they came in.

use crate::formats::hl7v2::Delimiters;
use crate::formats::hl7v2::Message;
use crate::formats::hl7v2::batch::Part;
use crate::formats::hl7v2::batch::PartKind;
use crate::formats::hl7v2::batch::Split;
use crate::formats::hl7v2::charset::Charset;
use crate::formats::hl7v2::decode;
use crate::formats::hl7v2::encode::Writer;

/// What is to be said of a batch.
#[derive(Debug)]
pub struct Said<'a> {
    /// The acknowledgement of each message, in order; `None` for one that is owed none.
    pub acknowledgements: &'a [Option<Vec<u8>>],
    /// What is wrong around the messages: the comment of the last trailer. Free of patient data.
    pub comment: &'a str,
    /// FHS-7 and BHS-7, in HL7's spelling.
    pub time: &'a str,
}

/// Builds the answer to an input that was cut, its envelopes mirrored; without any, the acknowledgements alone.
///
/// Each envelope names the one it answers (FHS-12, BHS-12) and has a control id of its own from `fresh`.
pub fn reply(bytes: &[u8], split: &Split, said: &Said<'_>, fresh: &mut dyn FnMut() -> String) -> Vec<u8> {
    let mut reply = Reply { bytes: Vec::new(), batches: 0, batch: None, file: None };
    let mut acknowledgements = said.acknowledgements.iter();
    for part in &split.parts {
        match part.kind {
            PartKind::FileHeader => {
                reply.end_file("");
                reply.file = Some(reply.begin("FHS", bytes, part, said.time, &fresh()));
            }
            PartKind::BatchHeader => {
                reply.end_batch("");
                let form = reply.begin("BHS", bytes, part, said.time, &fresh());
                reply.batch = Some((form, 0));
                reply.batches += 1;
            }
            PartKind::Message => {
                let Some(Some(answer)) = acknowledgements.next() else { continue };
                reply.bytes.extend_from_slice(answer);
                if let Some((_, messages)) = &mut reply.batch {
                    *messages += 1;
                }
            }
            // Trailers are written where their envelope ends, so that the answer is whole even if the input is not.
            PartKind::BatchTrailer | PartKind::FileTrailer | PartKind::Junk => {}
        }
    }
    let in_file = reply.file.is_some();
    reply.end_batch(if in_file { "" } else { said.comment });
    reply.end_file(said.comment);
    reply.bytes
}

/// How an envelope is written: as its sender wrote it.
type Form = (Delimiters, Charset);

struct Reply {
    bytes: Vec<u8>,
    batches: usize,
    /// The open batch, and its messages so far.
    batch: Option<(Form, usize)>,
    file: Option<Form>,
}

impl Reply {
    fn begin(&mut self, name: &str, bytes: &[u8], part: &Part, time: &str, control_id: &str) -> Form {
        let header = as_message_header(bytes.get(part.bytes.clone()).unwrap_or_default());
        let decoded = decode(&header).message;
        let form = decoded
            .as_ref()
            .map_or((Delimiters::STANDARD, Charset::UTF_8), |it| (it.delimiters(), it.charset()));
        let mut writer = Writer::new(form.0);
        writer.segment(name);
        for number in [5, 6, 3, 4] {
            copy(&mut writer, decoded.as_ref(), number);
        }
        writer.field(time).field("").field("").field("").field(control_id);
        copy(&mut writer, decoded.as_ref(), 11);
        self.bytes.extend(writer.finish(form.1).0);
        form
    }

    fn end_batch(&mut self, comment: &str) {
        if let Some((form, messages)) = self.batch.take() {
            self.trailer("BTS", form, messages, comment);
        }
    }

    fn end_file(&mut self, comment: &str) {
        self.end_batch("");
        if let Some(form) = self.file.take() {
            self.trailer("FTS", form, self.batches, comment);
        }
        self.batches = 0;
    }

    fn trailer(&mut self, name: &str, (delimiters, charset): Form, count: usize, comment: &str) {
        let mut writer = Writer::new(delimiters);
        writer.segment(name).field(&count.to_string());
        if !comment.is_empty() {
            writer.field(comment);
        }
        self.bytes.extend(writer.finish(charset).0);
    }
}

/// FHS and BHS are laid out as MSH is, so that they are read as one.
fn as_message_header(segment: &[u8]) -> Vec<u8> {
    let start = segment.iter().position(|byte| matches!(byte, b'F' | b'B')).unwrap_or(0);
    let rest = segment.get(start + 3..).unwrap_or_default();
    [b"MSH", rest].concat()
}

fn copy(writer: &mut Writer, header: Option<&Message<'_>>, number: u32) {
    match header {
        Some(message) => writer.element(&message.header().field(number)),
        None => writer.field(""),
    };
}

/// The sender an envelope names, as `APPLICATION|FACILITY`, each by its first component.
pub fn sender(bytes: &[u8], split: &Split) -> Option<String> {
    let is_header = |part: &&Part| matches!(part.kind, PartKind::BatchHeader | PartKind::FileHeader);
    split.parts.iter().filter(is_header).find_map(|part| {
        let header = as_message_header(bytes.get(part.bytes.clone())?);
        let message = decode(&header).message?;
        let [application, facility] =
            [3, 4].map(|number| message.header().field(number).component(1).text().into_owned());
        (!application.is_empty() || !facility.is_empty()).then(|| format!("{application}|{facility}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hl7v2::batch::split;

    fn check(input: &str, acknowledgements: &[Option<&str>], comment: &str, expected: &str) {
        let acknowledgements: Vec<_> =
            acknowledgements.iter().map(|it| it.map(|it| it.as_bytes().to_vec())).collect();
        let said = Said { acknowledgements: &acknowledgements, comment, time: "T" };
        let mut number = 0;
        let mut fresh = || {
            number += 1;
            format!("N{number}")
        };
        let answer = reply(input.as_bytes(), &split(input.as_bytes()), &said, &mut fresh);
        assert_eq!(String::from_utf8(answer).unwrap().replace('\r', "\n"), expected);
    }

    #[test]
    fn answers_in_the_envelopes_that_came() {
        let input = "FHS|^~\\&|LAB|FAC|US|HERE|1||||F7\rBHS|^~\\&|LAB|FAC|US|HERE|1||||B8\rMSH|^~\\&|A\rMSH|^~\\&|B\rBTS|2\rFTS|1\r";
        check(
            input,
            &[Some("first\r"), Some("second\r")],
            "",
            "FHS|^~\\&|US|HERE|LAB|FAC|T||||N1|F7\nBHS|^~\\&|US|HERE|LAB|FAC|T||||N2|B8\nfirst\nsecond\nBTS|2\nFTS|1\n",
        );
    }

    #[test]
    fn answers_whole_where_the_input_is_not_and_says_so() {
        check(
            "BHS#*~\\&#LAB\rMSH|^~\\&|A\r",
            &[None],
            "no | trailer",
            "BHS#*~\\&###LAB##T####N1#\nBTS#0#no | trailer\n",
        );
        check("MSH|^~\\&|A\rMSH|^~\\&|B\r", &[Some("a\r"), Some("b\r")], "unsaid", "a\nb\n");
        check("BHS\rBTS|0\r", &[], "", "BHS|^~\\&|||||T||||N1|\nBTS|0\n");
    }
}
