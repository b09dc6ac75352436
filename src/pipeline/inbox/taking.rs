//! Taking a file: each of its messages is kept and answered, then the file has its receipt and waits no longer.

use bytes::Bytes;

use crate::audit;
use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::pipeline::inbox::Error;
use crate::pipeline::inbox::Inbox;
use crate::pipeline::inbox::Waiting;
use crate::pipeline::intake::Answer;
use crate::pipeline::records::dropped;
use crate::pipeline::records::dropped::Line;
use crate::pipeline::records::dropped::Receipt;
use crate::pipeline::sha256_hex;
use crate::store;
use crate::store::Change;

/// How often a receipt that races another of its name is numbered anew.
const NUMBERS_MAX: usize = 100_000;

/// What became of a file that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub messages: usize,
    /// Of them, those that are no message for this feed, or none that can be read.
    pub rejected: usize,
}

impl Inbox {
    /// Takes a file under a name. When this returns, every message of it is flushed, and so is its receipt.
    ///
    /// `waiting` is the row of the file that is taken, and `marker` the one that said so.
    pub async fn take(
        &self,
        name: &str,
        bytes: &Bytes,
        waiting: Option<&Waiting>,
        marker: Option<&Waiting>,
    ) -> Result<Taken, Error> {
        let answers = self.receive(bytes).await?;
        let rejected = answers.iter().filter(|it| it.outcome != Outcome::Accept).count();
        let taken = Taken { messages: answers.len(), rejected };
        let line = |answer: Answer| {
            let message = answer.message.ok_or(Error::NotKept)?;
            Ok(Line { message, control_id: answer.control_id, repeated: answer.repeated })
        };
        let lines = answers.into_iter().map(line).collect::<Result<Vec<_>, Error>>()?;
        let mut receipt = Receipt {
            name: name.to_owned(),
            shown_as: String::new(),
            bytes: bytes.len(),
            sha256: sha256_hex(bytes),
            taken_at: self.now(),
            lines,
        };
        for number in 1..=NUMBERS_MAX {
            receipt.shown_as = match number {
                1 => format!("{name}.receipt"),
                number => format!("{name}.{number}.receipt"),
            };
            if self.receipt(&receipt.shown_as)?.is_some() {
                continue;
            }
            match self.pipeline.store.commit(self.change(&receipt, waiting, marker)?).await {
                Ok(_) => {
                    tracing::info!(feed = %self.feed.name, file.sha256 = %receipt.sha256, messages = taken.messages,
                        rejected, "took a file");
                    return Ok(taken);
                }
                Err(store::Error::Conflict { .. }) if self.is_unchanged(waiting)? => {}
                Err(store::Error::Conflict { .. }) => return Err(Error::Changed),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Changed)
    }

    fn change(
        &self,
        receipt: &Receipt,
        waiting: Option<&Waiting>,
        marker: Option<&Waiting>,
    ) -> Result<Change, Error> {
        let (feed, scope) = (self.feed.name.as_str(), &self.scope);
        let id = self.pipeline.clock.new_id();
        let mut change = Change::new();
        for gone in [waiting, marker].into_iter().flatten() {
            dropped::remove(&mut change, feed, scope, gone.id, &gone.file.name);
        }
        dropped::put_receipt(&mut change, feed, scope, id, receipt);
        for (old, shown_as) in self.superfluous()? {
            dropped::remove_receipt(&mut change, feed, scope, old, &shown_as);
        }
        let entry = audit::Entry::new(receipt.taken_at, feed, "file.taken", id.to_string())
            .with("sha256", receipt.sha256.as_str())
            .with("bytes", receipt.bytes)
            .with("messages", receipt.lines.len());
        change.audit(entry);
        Ok(change)
    }

    fn is_unchanged(&self, waiting: Option<&Waiting>) -> Result<bool, Error> {
        let Some(waiting) = waiting else { return Ok(true) };
        Ok(self.find(&waiting.file.name)?.is_some_and(|now| now.id == waiting.id))
    }

    /// Keeps each message of a file in its order; all of them are flushed, or the file counts as not taken.
    async fn receive(&self, bytes: &Bytes) -> Result<Vec<Answer>, Error> {
        let file = self.intake.receive_file(&self.feed, bytes).await;
        if file.close || file.messages.iter().any(|it| it.message.is_none()) {
            return Err(Error::NotKept);
        }
        Ok(file.messages)
    }
}
