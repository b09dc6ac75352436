//! MLLP framing (HL7 Transport Specification, release 1): `<VT> message <FS> <CR>`.
//!
//! Pure: chunks of bytes in, events out, the same whatever the chunks. No byte is dropped in silence: what is
//! not in a frame comes out as an event of its own.

use memchr::memchr;
use memchr::memmem;

pub const START: u8 = 0x0B;
pub const END: u8 = 0x1C;
pub const CARRIAGE_RETURN: u8 = b'\r';

/// Bytes outside a frame are given out in pieces of at most this size.
pub const STRAY_BYTES_MAX: usize = 1024;

/// Wraps a message into a frame.
pub fn encode(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + 3);
    frame.push(START);
    frame.extend_from_slice(message);
    frame.extend_from_slice(&[END, CARRIAGE_RETURN]);
    frame
}

/// What came out of the stream. The bytes are a patient's: `Debug` shows how many, not which.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A frame that was begun again before it had ended: the sender gave it up.
    Abandoned(Vec<u8>),
    /// A message, without its frame.
    Frame(Vec<u8>),
    /// Bytes outside any frame.
    Stray(Vec<u8>),
    /// A frame above the limit. Its first bytes, up to the limit; the rest of it was skipped.
    TooLong { kept: Vec<u8>, bytes: usize, max: usize },
    /// A frame that the stream ended inside of.
    Unfinished(Vec<u8>),
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, bytes) = match self {
            Self::Abandoned(bytes) => ("Abandoned", bytes.len()),
            Self::Frame(bytes) => ("Frame", bytes.len()),
            Self::Stray(bytes) => ("Stray", bytes.len()),
            Self::TooLong { bytes, .. } => ("TooLong", *bytes),
            Self::Unfinished(bytes) => ("Unfinished", bytes.len()),
        };
        write!(f, "{name}({bytes} bytes)")
    }
}

/// Finds frames in a stream. It has no `Debug`: its bytes are a patient's.
pub struct Decoder {
    frame_bytes_max: usize,
    state: State,
    /// The bytes of the frame, or the stray ones, seen so far.
    buffer: Vec<u8>,
    /// Bytes of a frame above the limit that were skipped.
    skipped: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Outside,
    Inside,
    /// Inside, and the last byte was FS: CR makes it the end.
    Ending,
}

/// A frame that grows beyond this is a long one.
const LONG_BYTES: usize = 1024 * 1024;

impl Decoder {
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { frame_bytes_max, state: State::Outside, buffer: Vec::new(), skipped: 0 }
    }

    /// Whether a frame has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.state != State::Outside
    }

    /// Whether the frame begun is already above the limit, so that the reader may give up before its end.
    pub fn is_too_long(&self) -> bool {
        self.skipped > 0
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut rest = chunk;
        while let Some((&first, after)) = rest.split_first() {
            rest = match self.state {
                State::Outside => self.outside(rest, &mut events),
                State::Inside => self.inside(rest),
                State::Ending => {
                    match first {
                        CARRIAGE_RETURN => self.end(&mut events),
                        // The sender leaves out the CR, and the next frame begins: this one has ended.
                        START => {
                            self.end(&mut events);
                            self.state = State::Inside;
                        }
                        END => self.keep(&[END]),
                        _ => {
                            self.keep(&[END, first]);
                            self.state = State::Inside;
                        }
                    }
                    after
                }
            };
        }
        events
    }

    /// The stream fell silent: a frame that lacks only the CR after its FS is taken as ended.
    pub fn settle(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.state == State::Ending {
            self.end(&mut events);
        }
        events
    }

    /// The stream ended: gives out what is left.
    pub fn finish(mut self) -> Vec<Event> {
        let mut events = self.settle();
        if self.state == State::Inside {
            let kept = std::mem::take(&mut self.buffer);
            events.push(if self.skipped > 0 { self.too_long(kept) } else { Event::Unfinished(kept) });
        }
        self.give_stray(&mut events);
        events
    }

    fn outside<'c>(&mut self, rest: &'c [u8], events: &mut Vec<Event>) -> &'c [u8] {
        let room = STRAY_BYTES_MAX - self.buffer.len();
        let start = memchr(START, rest);
        let (stray, after) = rest.split_at(start.unwrap_or(rest.len()).min(room));
        self.buffer.extend_from_slice(stray);
        if after.first() == Some(&START) {
            self.give_stray(events);
            self.state = State::Inside;
            return after.get(1..).unwrap_or_default();
        }
        if self.buffer.len() == STRAY_BYTES_MAX {
            self.give_stray(events);
        }
        after
    }

    fn inside<'c>(&mut self, rest: &'c [u8]) -> &'c [u8] {
        let Some(end) = memchr(END, rest) else {
            self.keep(rest);
            return &[];
        };
        let (content, after) = rest.split_at(end);
        self.keep(content);
        self.state = State::Ending;
        after.get(1..).unwrap_or_default()
    }

    /// Adds to the frame what the limit allows, and counts the rest.
    fn keep(&mut self, bytes: &[u8]) {
        let room = self.frame_bytes_max - self.buffer.len();
        let (kept, skipped) = bytes.split_at(room.min(bytes.len()));
        if self.buffer.len() + kept.len() > LONG_BYTES {
            // Room for the longest, of which only what arrives is ever touched: growing step by step would leave the
            // steps behind.
            self.buffer.reserve_exact(room);
        }
        self.buffer.extend_from_slice(kept);
        self.skipped += skipped.len();
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        self.state = State::Outside;
        let mut frame = std::mem::take(&mut self.buffer);
        if self.skipped > 0 {
            events.push(self.too_long(frame));
            return;
        }
        // VT inside a frame is a new start where a header follows it; elsewhere it is text, badly chosen.
        if let Some(start) = memmem::rfind(&frame, b"\x0bMSH") {
            let message = frame.split_off(start + 1);
            frame.truncate(start);
            if !frame.is_empty() {
                events.push(Event::Abandoned(frame));
            }
            frame = message;
        }
        events.push(Event::Frame(frame));
    }

    fn too_long(&mut self, kept: Vec<u8>) -> Event {
        let bytes = kept.len() + std::mem::take(&mut self.skipped);
        Event::TooLong { kept, bytes, max: self.frame_bytes_max }
    }

    fn give_stray(&mut self, events: &mut Vec<Event>) {
        if !self.buffer.is_empty() {
            events.push(Event::Stray(std::mem::take(&mut self.buffer)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::new(100);
        let mut events: Vec<Event> = chunks.iter().flat_map(|chunk| decoder.push(chunk)).collect();
        events.extend(decoder.finish());
        events
    }

    fn check(stream: &[u8], expected: &[Event]) {
        assert!(events(&[stream]) == expected, "{:?}", events(&[stream]));
    }

    fn frame(bytes: &[u8]) -> Event {
        Event::Frame(bytes.to_vec())
    }

    fn stray(bytes: &[u8]) -> Event {
        Event::Stray(bytes.to_vec())
    }

    #[test]
    fn finds_frames() {
        check(b"\x0bMSH|a\r\x1c\r\x0bMSH|b\r\x1c\r", &[frame(b"MSH|a\r"), frame(b"MSH|b\r")]);
        check(b"\x0b\x1c\r", &[frame(b"")]);
        check(b"\x0ba\x1cb\x1c\x1c\r", &[frame(b"a\x1cb\x1c")]);
        check(b"\x0bMSH|line\x0bbreak\x1c\r", &[frame(b"MSH|line\x0bbreak")]);
    }

    #[test]
    fn reports_what_is_no_frame() {
        check(b"GET /\r\n", &[stray(b"GET /\r\n")]);
        check(b"\n\x0ba\x1c\r\n", &[stray(b"\n"), frame(b"a"), stray(b"\n")]);
        check(b"\x0bMSH|a", &[Event::Unfinished(b"MSH|a".to_vec())]);
        check(b"\x0bMSH|a\x1c", &[frame(b"MSH|a")]);
        check(b"\x0ba\x1c\x0bb\x1c\r", &[frame(b"a"), frame(b"b")]);
        check(b"\x0bMSH|a\r\x0bMSH|b\x1c\r", &[Event::Abandoned(b"MSH|a\r".to_vec()), frame(b"MSH|b")]);
        assert_eq!(events(&[&[b'x'; 2500]]).len(), 3);
    }

    #[test]
    fn bounds_a_frame() {
        let long = [b'x'; 150];
        check(&encode(&[b'x'; 100]), &[frame(&[b'x'; 100])]);
        check(&encode(&long), &[Event::TooLong { kept: long[..100].to_vec(), bytes: 150, max: 100 }]);
    }

    #[test]
    fn settles_a_frame_that_lacks_its_last_byte() {
        let mut decoder = Decoder::new(100);
        assert_eq!(decoder.push(b"\x0bMSH|a\r\x1c"), []);
        assert_eq!(decoder.settle(), [frame(b"MSH|a\r")]);
        assert_eq!(decoder.push(b"\r\x0bb\x1c\r"), [stray(b"\r"), frame(b"b")]);
    }

    proptest! {
        #[test]
        fn frames_the_same_wherever_it_is_cut(
            stream in prop::collection::vec(prop::sample::select(b"\x0b\x0b\x1c\x1c\r\r\nMSH|x".to_vec()), 0..300),
        ) {
            let whole = events(&[&stream]);
            for cut in 0..=stream.len() {
                let (before, after) = stream.split_at(cut);
                prop_assert!(events(&[before, after]) == whole);
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert!(events(&bytes) == whole);
        }

        #[test]
        fn decodes_what_it_encodes(message in prop::collection::vec(32_u8.., 0..90)) {
            prop_assert!(events(&[&encode(&message)]) == [frame(&message)]);
        }
    }
}
