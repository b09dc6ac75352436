//! Files that we fetch from a laboratory's server: what was taken is kept, then remembered, and only then may anything
//! be changed on the laboratory's side.
//!
//! A file is known by its path, size and time, and by its digest once it was read. Whatever fails afterwards (a delete,
//! a rename, this process), it is not fetched again; and were the record lost, its messages would be recognised as
//! repeated. So nothing is taken twice, and nothing is skipped.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::audit;
use crate::diagnostic::Code;
use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::formats::receipt;
use crate::pipeline::Pipeline;
use crate::pipeline::feeds::Feed;
use crate::pipeline::hex;
use crate::pipeline::intake::Answer;
use crate::pipeline::intake::Intake;
use crate::pipeline::records::fetched;
use crate::pipeline::records::fetched::Fetched;
use crate::pipeline::records::fetched::FetchedKey;
use crate::pipeline::records::fetched::Receipt;
use crate::pipeline::records::message;
use crate::pipeline::sha256_hex;
use crate::store;
use crate::store::Change;

/// Durable counts, by feed: looks and files that failed, and files taken.
pub const FAILURES_PREFIX: &str = "fetch_failures.";
pub const TAKEN_PREFIX: &str = "files_fetched.";

/// Hexadecimal digits by which logs and the audit chain name a file, whose own name may be a patient's.
const LABEL_DIGITS: usize = 16;

/// What a server tells of a file without its being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    pub path: &'a str,
    pub bytes: u64,
    /// In seconds since 1970, as the server says.
    pub modified_at: u32,
}

/// Why a file was not taken. It is still the laboratory's, all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a message of the file could not be kept")]
    NotKept,
    #[error("the file could not be remembered")]
    Store(#[from] store::Error),
}

/// The files of one feed.
#[derive(Debug, Clone)]
pub struct Fetches {
    pipeline: Arc<Pipeline>,
    intake: Intake,
    feed: Arc<Feed>,
}

/// A file's name in logs and in the audit chain.
pub fn label(key: FetchedKey) -> String {
    let mut digits = hex(&key.0);
    digits.truncate(LABEL_DIGITS);
    digits
}

impl Fetches {
    pub fn new(pipeline: Arc<Pipeline>, feed: Arc<Feed>) -> Self {
        Self { intake: Intake::new(Arc::clone(&pipeline)), pipeline, feed }
    }

    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    pub fn feed(&self) -> &str {
        &self.feed.name
    }

    /// What tells this file from every other of the feed.
    pub async fn key(&self, seen: Seen<'_>) -> Result<FetchedKey, store::Error> {
        let parts = [seen.path.as_bytes(), &seen.bytes.to_be_bytes(), &seen.modified_at.to_be_bytes()];
        let scope = message::scope_of(Some(&self.feed.name));
        self.pipeline.store.mac(&scope, "fetched file", &parts).await.map(FetchedKey)
    }

    /// The files that were taken and are still remembered.
    pub fn known(&self) -> Result<BTreeMap<FetchedKey, Fetched>, store::Error> {
        Ok(fetched::of_feed(&self.pipeline.store, &self.feed.name)?.into_iter().collect())
    }

    /// Keeps every message of a file, and remembers the file.
    ///
    /// A message that is refused is kept in quarantine, so the file counts as taken.
    ///
    /// # Errors
    /// The file is to be left as it is and fetched again: what was kept of it is recognised then.
    pub async fn take(
        &self,
        key: FetchedKey,
        raw: &Bytes,
        receipt_of: Option<&str>,
        settled: bool,
    ) -> Result<Fetched, Error> {
        let answers = self.intake.receive_file(&self.feed, raw).await.messages;
        if answers.iter().any(|answer| answer.close) {
            return Err(Error::NotKept);
        }
        let now = self.pipeline.clock.now();
        let fetched = Fetched {
            taken_at: now,
            sha256: sha256_hex(raw),
            bytes: raw.len(),
            messages: answers.len(),
            settled,
            receipt: receipt_of.map(|name| Receipt { name: name.to_owned(), text: receipt(&answers) }),
        };
        let accepted = answers.iter().filter(|it| it.outcome == Outcome::Accept).count();
        let entry = audit::Entry::new(now, self.feed.name.as_str(), "file.taken", label(key))
            .with("sha256", fetched.sha256.as_str())
            .with("bytes", fetched.bytes)
            .with("messages", fetched.messages)
            .with("accepted", accepted);
        let mut change = Change::new();
        fetched::put(&mut change, &self.feed.name, key, &fetched);
        change.count(format!("{TAKEN_PREFIX}{}", self.feed.name), 1).audit(entry);
        self.pipeline.store.commit(change).await?;
        Ok(fetched)
    }

    /// Remembers that the laboratory has its receipt.
    pub async fn told(&self, key: FetchedKey, fetched: &Fetched) -> Result<Fetched, store::Error> {
        self.remember(key, Fetched { receipt: None, ..fetched.clone() }).await
    }

    /// Remembers that a file was compared with what was read, when its time of change had passed.
    pub async fn settled(&self, key: FetchedKey, fetched: &Fetched) -> Result<Fetched, store::Error> {
        self.remember(key, Fetched { settled: true, ..fetched.clone() }).await
    }

    async fn remember(&self, key: FetchedKey, fetched: Fetched) -> Result<Fetched, store::Error> {
        let mut change = Change::new();
        fetched::put(&mut change, &self.feed.name, key, &fetched);
        self.pipeline.store.commit(change).await?;
        Ok(fetched)
    }

    /// Forgets files that are no longer on the server.
    pub async fn forget(&self, keys: &[FetchedKey]) -> Result<(), store::Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut change = Change::new();
        for key in keys {
            fetched::delete(&mut change, &self.feed.name, *key);
        }
        self.pipeline.store.commit(change).await.map(drop)
    }

    /// Counts a look or a file that failed.
    pub async fn failed(&self) -> Result<(), store::Error> {
        let mut change = Change::new();
        change.count(format!("{FAILURES_PREFIX}{}", self.feed.name), 1);
        self.pipeline.store.commit(change).await.map(drop)
    }

    /// Writes down that the feed stopped by itself.
    pub async fn stopped(&self, code: &Code) -> Result<(), store::Error> {
        let now = self.pipeline.clock.now();
        let mut change = Change::new();
        change.audit(
            audit::Entry::new(now, "gateway", "feed.stopped", self.feed.name.as_str())
                .with("code", code.as_str()),
        );
        self.pipeline.store.commit(change).await.map(drop)
    }
}

/// One line a message.
fn receipt(answers: &[Answer]) -> String {
    let lines = (1..).zip(answers).map(|(number, answer)| {
        let outcome = match answer.outcome {
            Outcome::Accept => receipt::Outcome::Accepted,
            Outcome::Error | Outcome::Reject => receipt::Outcome::Rejected,
        };
        receipt::line(number, &answer.control_id, outcome, answer.repeated, &answer.diagnostics)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;

    #[test]
    fn a_receipt_has_a_line_for_each_message() {
        let answer = |control_id: &str, outcome, diagnostics| Answer {
            message: None,
            control_id: control_id.to_owned(),
            outcome,
            repeated: false,
            diagnostics,
            bytes: None,
            close: false,
        };
        let refused = Diagnostic::error(Code::new("H105"), "the feed does not take this processing id");
        let answers = [
            answer("A-1", Outcome::Accept, Vec::new()),
            answer("A\t\n-2", Outcome::Reject, vec![refused]),
            Answer { repeated: true, ..answer("", Outcome::Accept, Vec::new()) },
        ];
        assert_eq!(
            receipt(&answers),
            "1\tA-1\taccepted\t\t\t\t\n\
             2\tA\\t\\n-2\trejected\tH105\tthe feed does not take this processing id\t\t\n\
             3\t\taccepted\t\tthe same message came before, and nothing new was made of it\t\t\n"
        );
    }
}
