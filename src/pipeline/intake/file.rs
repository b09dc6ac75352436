//! A file, a request's body or a frame that may hold several messages: each is kept and answered by itself.
//!
//! A bad message stops none of the others. Envelopes and whatever belongs to no message are kept beside them, and what
//! is wrong with them (a count that differs, text in between) is told of the file: every byte is in a kept message or
//! in a kept file record (R24). The file counts as taken only when both are flushed.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use crate::audit;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::deviation;
use crate::clinical::mapping::language::Format;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::formats::hl7v2;
use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::formats::hl7v2::batch;
use crate::formats::hl7v2::batch::PartKind;
use crate::pipeline::feeds::Feed;
use crate::pipeline::intake::Answer;
use crate::pipeline::intake::Content;
use crate::pipeline::intake::Intake;
use crate::pipeline::intake::verdict;
use crate::pipeline::intake::verdict::Verdict;
use crate::pipeline::records::FileId;
use crate::pipeline::records::file;
use crate::pipeline::records::file::File;
use crate::pipeline::records::message;
use crate::pipeline::sha256_hex;
use crate::store;
use crate::store::Change;
use crate::telemetry::Chain;

/// Most messages of one file: their answers are held in memory until the last is flushed.
pub const FILE_MESSAGES_MAX: usize = 50_000;
/// So many messages of a file are on their way to the disk at once, and share its flushes.
const TOGETHER_MAX: usize = 64;

/// What became of a file, for its door to say in its own words.
pub struct FileAnswer {
    /// One for each message, in the order of the file.
    pub messages: Vec<Answer>,
    /// What is wrong around the messages; empty where nothing is.
    pub diagnostics: Vec<Diagnostic>,
    /// The record of the bytes around the messages; none for a file that is one message and nothing else.
    pub file: Option<FileId>,
    /// The HL7 v2 acknowledgement: that of the only message, or one for the whole batch. `None` where none is owed.
    pub bytes: Option<Vec<u8>>,
    /// The store cannot be written: the file is still its sender's, all of it.
    pub close: bool,
}

impl FileAnswer {
    /// The worst that became of a message; accepted where there is none.
    pub fn outcome(&self) -> Outcome {
        let all = || self.messages.iter().map(|it| it.outcome);
        let worst =
            all().find(|it| *it == Outcome::Reject).or_else(|| all().find(|it| *it == Outcome::Error));
        worst.unwrap_or(Outcome::Accept)
    }

    fn of(answer: Answer) -> Self {
        let (bytes, close) = (answer.bytes.clone(), answer.close);
        Self { messages: vec![answer], diagnostics: Vec::new(), file: None, bytes, close }
    }

    /// The answer to a frame, which has one.
    pub(super) fn into_answer(self) -> Answer {
        let (outcome, repeated) = (self.outcome(), self.messages.iter().all(|it| it.repeated));
        let of_messages = self.messages.iter().flat_map(|it| it.diagnostics.clone());
        Answer {
            message: self.messages.first().and_then(|it| it.message),
            control_id: self.messages.first().map(|it| it.control_id.clone()).unwrap_or_default(),
            outcome,
            repeated,
            diagnostics: self.diagnostics.iter().cloned().chain(of_messages).collect(),
            bytes: self.bytes,
            close: self.close,
        }
    }
}

impl Intake {
    /// Keeps every message of one file or body that came by a door which knows whose it is, and answers each.
    ///
    /// HL7 v2 is cut at its headers, with or without envelopes; in any other format the file is one message.
    pub async fn receive_file(&self, feed: &Arc<Feed>, raw: &Bytes) -> FileAnswer {
        let format = self.0.mappings.now().catalog.lab(&feed.mapping).map(Mapping::format);
        if format.is_some_and(|format| format != Format::Hl7v2) {
            return FileAnswer::of(self.receive_from(feed, raw).await);
        }
        self.receive_parts(Some(feed), &[], raw).await
    }

    /// The same, for a door that gives one answer to a body however many messages are in it.
    pub async fn receive_body(&self, feed: &Arc<Feed>, raw: &Bytes) -> Answer {
        self.receive_file(feed, raw).await.into_answer()
    }

    /// Keeps every message of a file; each says itself who sends it unless the feed is known. `names` are those of the
    /// sender's certificate.
    pub(super) async fn receive_parts(
        &self,
        feed: Option<&Arc<Feed>>,
        names: &[String],
        raw: &Bytes,
    ) -> FileAnswer {
        let split = batch::split(raw);
        let pieces = pieces(raw, &split);
        // Each shares the bytes of the file.
        let cut = |it: &Piece| raw.slice(it.bytes.start.min(raw.len())..it.bytes.end.min(raw.len()));
        let messages: Vec<Bytes> = pieces.iter().filter(|it| it.is_message).map(cut).collect();
        let stray = split.deviations.iter().any(|it| it.kind == hl7v2::Kind::BatchJunk);
        if messages.is_empty() && (stray || !split.is_enveloped()) {
            // Nothing in it can be told from a damaged message: into quarantine as one.
            return FileAnswer::of(self.receive_one(feed, names, raw).await);
        }
        if messages.len() > FILE_MESSAGES_MAX {
            let verdict = Verdict::too_many(feed.cloned(), FILE_MESSAGES_MAX);
            return FileAnswer::of(self.answer(raw, &Content::of(None), &verdict).await);
        }
        let mut answers = Vec::with_capacity(messages.len());
        for together in messages.chunks(TOGETHER_MAX) {
            answers.extend(
                in_order(together.iter().map(|it| self.receive_one(feed, names, it)).collect()).await,
            );
        }
        if let ([only], false, [_]) = (pieces.as_slice(), split.is_enveloped(), answers.as_slice()) {
            debug_assert!(only.is_message);
            return FileAnswer::of(answers.remove(0));
        }
        let mut diagnostics = deviation::diagnostics(&split.deviations);
        diagnostics.retain(|it| it.severity > Severity::Info);
        let answer = FileAnswer { messages: answers, diagnostics, file: None, bytes: None, close: false };
        let answer = self.keep_file(feed, raw, &split, &pieces, answer).await;
        self.acknowledge_file(raw, &split, answer)
    }

    async fn receive_one(&self, feed: Option<&Arc<Feed>>, names: &[String], raw: &Bytes) -> Answer {
        if let Some(feed) = feed {
            return self.receive_from(feed, raw).await;
        }
        let decoded = hl7v2::decode(raw);
        let verdict = verdict::decide_certified(&decoded, &self.0.feeds, names);
        self.answer(raw, &Content::of(decoded.message.as_ref()), &verdict).await
    }

    /// Keeps what stands around the messages, after them: nobody is answered before.
    async fn keep_file(
        &self,
        feed: Option<&Arc<Feed>>,
        raw: &[u8],
        split: &batch::Split,
        pieces: &[Piece],
        answer: FileAnswer,
    ) -> FileAnswer {
        if answer.messages.iter().any(|it| it.close) {
            return FileAnswer { close: true, ..answer };
        }
        let feed = feed.cloned().or_else(|| self.feed_of(raw, split, &answer));
        match self.commit_file(feed.as_deref(), raw, pieces, &answer).await {
            Ok(id) => FileAnswer { file: Some(id), ..answer },
            Err(error) => {
                tracing::error!(error = %Chain(&error), "could not keep what stands around the messages of a file");
                FileAnswer {
                    messages: answer
                        .messages
                        .into_iter()
                        .map(|it| self.take_back(feed.as_ref(), it))
                        .collect(),
                    diagnostics: Verdict::store_failed_for(feed.as_deref()).diagnostics(),
                    close: true,
                    ..answer
                }
            }
        }
    }

    /// A message that is kept, in a file that is not: its sender must send the file again, and then hears of it.
    fn take_back(&self, feed: Option<&Arc<Feed>>, answer: Answer) -> Answer {
        let verdict = Verdict::store_failed_for(feed.map(|it| &**it));
        Answer { control_id: answer.control_id, bytes: None, ..self.not_kept(&Content::of(None), &verdict) }
    }

    /// Whose batch it is: of the sender its envelope names, or of the one of its first message.
    fn feed_of(&self, raw: &[u8], split: &batch::Split, answer: &FileAnswer) -> Option<Arc<Feed>> {
        let named = batch::sender(raw, split).and_then(|it| self.0.feeds.for_sender(&it));
        let of_message = || {
            let first = answer.messages.iter().find_map(|it| it.message)?;
            let standing = message::standing(&self.0.store, first).ok()??;
            self.0.feeds.named(&standing.feed?)
        };
        named.or_else(of_message).cloned()
    }

    async fn commit_file(
        &self,
        feed: Option<&Feed>,
        raw: &[u8],
        pieces: &[Piece],
        answer: &FileAnswer,
    ) -> Result<FileId, store::Error> {
        let (store, now, id) = (&self.0.store, self.0.clock.now(), FileId(self.0.clock.new_id()));
        let scope = message::scope_of(feed.map(|it| it.name.as_str()));
        let sha256 = sha256_hex(raw);
        if let Some(earlier) = file::find(store, &sha256, &scope)? {
            return Ok(earlier);
        }
        let mut kept = answer.messages.iter().filter_map(|it| it.message);
        let mut around = Vec::new();
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            if piece.is_message {
                parts.extend(kept.next().map(file::Part::Message));
            } else {
                around.extend_from_slice(raw.get(piece.bytes.clone()).unwrap_or_default());
                parts.push(file::Part::Around(piece.bytes.len()));
            }
        }
        let codes: Vec<&str> = answer.diagnostics.iter().map(|it| it.code.as_str()).collect();
        let entry = audit::Entry::new(now, scope.label(), "file.kept", id.to_string())
            .with("sha256", sha256.as_str())
            .with("bytes", raw.len())
            .with("messages", answer.messages.len());
        let header = file::Header {
            received_at: now,
            feed: feed.map(|it| it.name.clone()),
            sha256: sha256.clone(),
            bytes: raw.len(),
            parts,
            diagnostics: answer.diagnostics.clone(),
        };
        let mut change = Change::new();
        File { header, around }.put(&mut change, id, &scope);
        change.audit(if codes.is_empty() { entry } else { entry.with("diagnostics", codes) });
        match store.commit(change).await {
            Ok(_) => Ok(id),
            // The same file on another connection was quicker.
            Err(store::Error::Conflict { table }) => {
                file::find(store, &sha256, &scope)?.ok_or(store::Error::Conflict { table })
            }
            Err(error) => Err(error),
        }
    }

    fn acknowledge_file(&self, raw: &[u8], split: &batch::Split, mut answer: FileAnswer) -> FileAnswer {
        // An empty batch is answered by an empty one (§2.10.3.3).
        let is_empty = answer.messages.is_empty() && !answer.close;
        if !is_empty && answer.messages.iter().all(|it| it.bytes.is_none()) {
            return answer;
        }
        let comments: Vec<String> = answer.diagnostics.iter().map(comment).collect();
        let acknowledgements: Vec<_> = answer.messages.iter().map(|it| it.bytes.clone()).collect();
        let time = self.0.hl7_time();
        let said =
            batch::Said { acknowledgements: &acknowledgements, comment: &comments.join("; "), time: &time };
        answer.bytes = Some(batch::reply(raw, split, &said, &mut || self.0.fresh_control_id()));
        answer
    }
}

/// A diagnostic in a trailer's comment.
fn comment(diagnostic: &Diagnostic) -> String {
    format!("{} at {}: {}", diagnostic.code, diagnostic.position, diagnostic.message)
}

/// A stretch of the file: a message, or what stands around them.
struct Piece {
    bytes: Range<usize>,
    is_message: bool,
}

/// The parts of a file, with the frame bytes and blank lines around a message taken off it: the same message must
/// be known again however it comes.
fn pieces(raw: &[u8], split: &batch::Split) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(split.parts.len());
    let mut add = |bytes: Range<usize>, is_message: bool| {
        if bytes.is_empty() {
            return;
        }
        match pieces.last_mut() {
            Some(last) if !is_message && !last.is_message => last.bytes.end = bytes.end,
            _ => pieces.push(Piece { bytes, is_message }),
        }
    };
    for part in &split.parts {
        if part.kind == PartKind::Message {
            let message = trim(raw, &part.bytes);
            add(part.bytes.start..message.start, false);
            add(message.clone(), true);
            add(message.end..part.bytes.end, false);
        } else {
            add(part.bytes.clone(), false);
        }
    }
    pieces
}

/// A message without frame bytes before and after it, ended by at most one line end.
fn trim(raw: &[u8], part: &Range<usize>) -> Range<usize> {
    let bytes = raw.get(part.clone()).unwrap_or_default();
    let is_frame = |byte: u8| matches!(byte, 0x0B | 0x1C | 0x1A);
    let before = bytes.iter().take_while(|byte| is_frame(**byte) || matches!(byte, b'\r' | b'\n')).count();
    let after =
        bytes.iter().rev().take_while(|byte| is_frame(**byte) || matches!(byte, b'\r' | b'\n')).count();
    let end = bytes.len().saturating_sub(after).max(before);
    let rest = bytes.get(end..).unwrap_or_default();
    let line_end = match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    };
    part.start + before..part.start + end + line_end
}

/// Waits for all of them at once, each first looked at in order, so that they are committed in order.
async fn in_order<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<(Pin<Box<_>>, Option<T>)> =
        futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        for (future, done) in &mut waiting {
            if done.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if waiting.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &[(bool, &str)]) {
        let raw = input.as_bytes();
        let found = pieces(raw, &batch::split(raw));
        let found: Vec<(bool, &str)> =
            found.iter().map(|it| (it.is_message, &input[it.bytes.clone()])).collect();
        assert_eq!(found, expected);
        assert_eq!(found.iter().map(|(_, text)| *text).collect::<String>(), input, "no byte is lost");
    }

    #[test]
    fn a_message_is_the_same_however_it_is_framed() {
        const A: &str = "MSH|^~\\&|A\rPID|1\r";
        check(A, &[(true, A)]);
        check(&format!("\x0b{A}\x1c\r"), &[(false, "\x0b"), (true, A), (false, "\x1c\r")]);
        check(
            &format!("BHS|^~\\&\r\n{A}\n\r\nBTS|1\r\n"),
            &[(false, "BHS|^~\\&\r\n"), (true, &format!("{A}\n")), (false, "\r\nBTS|1\r\n")],
        );
        check(&format!("{A}{A}"), &[(true, A), (true, A)]);
        check("MSH|^~\\&|A", &[(true, "MSH|^~\\&|A")]);
    }
}
