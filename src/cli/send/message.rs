//! One message as it is sent, cut out of its file.

use std::ops::Range;
use std::sync::Arc;

use crate::formats::hl7v2;
use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Mode;
use crate::formats::hl7v2::batch;
use crate::formats::mllp;

/// MSH-10 has 20 characters before version 2.7.
const CONTROL_ID_CHARS: usize = 20;
const CONTROL_ID_FIELD: u32 = 10;

pub(crate) struct Message {
    pub(super) file: Arc<str>,
    /// From 0, within its file.
    pub(super) index: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) control_id: String,
    /// Whether an accepted message of its kind is answered at all (MSH-15, MSH-16).
    pub(super) is_owed_an_answer: bool,
}

/// The messages of a file. One without any is sent as it is: the receiver says what is wrong with it.
pub(super) fn split(file: &str, bytes: &[u8]) -> Vec<Message> {
    let file: Arc<str> = file.into();
    let mut ranges: Vec<Range<usize>> = batch::split(bytes).messages().collect();
    if ranges.is_empty() {
        ranges.push(0..bytes.len());
    }
    let parts = ranges.into_iter().map(|range| unframed(bytes.get(range).unwrap_or_default()));
    parts.enumerate().map(|(index, part)| Message::new(Arc::clone(&file), index, part.to_vec())).collect()
}

/// A file that goes as it is, whatever it holds.
pub(super) fn whole(file: &str, bytes: Vec<u8>) -> Message {
    Message::new(file.into(), 0, bytes)
}

/// A message without the frame it may have been captured with.
fn unframed(bytes: &[u8]) -> &[u8] {
    let is_frame = |byte: &u8| matches!(*byte, mllp::START | mllp::END);
    let start = bytes.iter().take_while(|byte| is_frame(byte)).count();
    let inside = bytes.get(start..).unwrap_or_default();
    let ends = |byte: &u8| is_frame(byte) || matches!(byte, b'\r' | b'\n');
    let tail = inside.iter().rev().take_while(|byte| ends(byte)).count();
    let kept = inside.len() - tail;
    match inside.get(kept..).unwrap_or_default().iter().position(is_frame) {
        Some(end) => inside.get(..kept + end).unwrap_or_default(),
        None => inside,
    }
}

impl Message {
    fn new(file: Arc<str>, index: usize, bytes: Vec<u8>) -> Self {
        let decoded = hl7v2::decode(&bytes);
        let (control_id, is_owed_an_answer) = match &decoded.message {
            Some(message) => (message.control_id().into_owned(), is_owed_an_answer(message)),
            None => (String::new(), true),
        };
        Self { file, index, bytes, control_id, is_owed_an_answer }
    }

    /// The same message, or each message of the same file, under another control id; every other byte as it is. One
    /// without a readable header, or in a character set that does not hold ASCII as it is, stays the same.
    pub(super) fn with_control_ids(&self, mut fresh: impl FnMut() -> String) -> Self {
        let part = |range: Range<usize>| self.bytes.get(range).unwrap_or_default();
        let (mut bytes, mut copied) = (Vec::with_capacity(self.bytes.len()), 0);
        for range in batch::split(&self.bytes).messages() {
            bytes.extend_from_slice(part(copied..range.start));
            copied = range.end;
            let id = fresh();
            let id = id.get(id.len().saturating_sub(CONTROL_ID_CHARS)..).unwrap_or(&id);
            let message = part(range);
            bytes.extend(replaced(message, id).unwrap_or_else(|| message.to_vec()));
        }
        bytes.extend_from_slice(part(copied..self.bytes.len()));
        Self::new(Arc::clone(&self.file), self.index, bytes)
    }
}

fn is_owed_an_answer(message: &hl7v2::Message<'_>) -> bool {
    !Mode::of(message).answers(acknowledgement::Outcome::Accept).is_empty()
}

fn replaced(bytes: &[u8], id: &str) -> Option<Vec<u8>> {
    let decoded = hl7v2::decode(bytes);
    let message = decoded.message.as_ref()?;
    if message.charset().name().starts_with("UTF-16") {
        return None;
    }
    let header = message.header();
    let place = header.field(CONTROL_ID_FIELD).position().bytes;
    let missing = CONTROL_ID_FIELD.saturating_sub(header.field_count());
    let separators = vec![message.delimiters().field; usize::try_from(missing).ok()?];
    let (before, after) = (bytes.get(..place.start)?, bytes.get(place.end..)?);
    Some([before, &separators, id.as_bytes(), after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "MSH|^~\\&|LAB|FAC|||20260301||ORU^R01|OLD-1|P|2.5.1\rPID|1\r";

    fn one(text: &str) -> Message {
        split("a.hl7", text.as_bytes()).into_iter().next().unwrap()
    }

    #[test]
    fn a_fresh_control_id_changes_nothing_else() {
        let message = one(HEADER).with_control_ids(|| "01JH8Z3K5T6V7W8X9Y0Z1A2B3C".to_owned());
        assert_eq!(message.control_id, "3K5T6V7W8X9Y0Z1A2B3C");
        assert_eq!(message.bytes, HEADER.replace("OLD-1", "3K5T6V7W8X9Y0Z1A2B3C").into_bytes());
        let short = one("MSH|^~\\&|LAB\rPID|1\r").with_control_ids(|| "NEW".to_owned());
        assert_eq!(short.bytes, b"MSH|^~\\&|LAB|||||||NEW\rPID|1\r");
        assert_eq!(short.control_id, "NEW");
        let (batch, mut number) = (format!("BHS|^~\\&|\r{HEADER}{HEADER}BTS|2\r"), 0);
        let renamed = whole("a.hl7", batch.clone().into_bytes()).with_control_ids(|| {
            number += 1;
            format!("NEW-{number}")
        });
        let expected = batch.replacen("OLD-1", "NEW-1", 1).replacen("OLD-1", "NEW-2", 1);
        assert_eq!(String::from_utf8(renamed.bytes).unwrap(), expected);
        assert_eq!(one("nothing").with_control_ids(|| "NEW".to_owned()).bytes, b"nothing");
    }

    #[test]
    fn a_captured_frame_is_taken_off_and_nothing_more() {
        let framed = format!("\x0b{HEADER}\x1c\r\x0b{HEADER}\x1c\r");
        let messages = split("a.hl7", framed.as_bytes());
        assert_eq!(messages.len(), 2);
        for message in messages {
            assert_eq!(message.bytes, HEADER.as_bytes());
        }
        assert_eq!(one("MSH|^~\\&|A\r\n\r\n").bytes, b"MSH|^~\\&|A\r\n\r\n");
    }

    #[test]
    fn who_wants_no_answer_is_not_waited_for() {
        assert!(one(HEADER).is_owed_an_answer);
        assert!(!one(&HEADER.replace("|P|2.5.1", "|P|2.5.1|||NE|NE")).is_owed_an_answer);
        assert!(!one("MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|AA|0\r").is_owed_an_answer);
    }
}
