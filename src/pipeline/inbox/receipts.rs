//! Receipts as laboratories read them: text, a line for the file, then a line for each message.
//!
//! ```text
//! file⇥results.hl7⇥2610⇥9f86d0…⇥2026-11-22T20:00:00Z
//! 1⇥MSG00001⇥accepted⇥⇥⇥⇥
//! 2⇥MSG00002⇥held⇥T014⇥no row of the unit table has this unit⇥OBX[3]-6⇥add …
//! ```

use jiff::Timestamp;

use crate::clock::Id;
use crate::diagnostic::Diagnostic;
use crate::formats::receipt;
use crate::formats::receipt::Outcome;
use crate::pipeline::inbox::Error;
use crate::pipeline::inbox::Inbox;
use crate::pipeline::inbox::count;
use crate::pipeline::records::dropped;
use crate::pipeline::records::dropped::Line;
use crate::pipeline::records::dropped::Receipt;
use crate::pipeline::records::message;
use crate::pipeline::records::message::State;
use crate::store;
use crate::store::Change;

/// A receipt as it stands in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub name: String,
    pub taken_at: Timestamp,
    pub text: String,
}

impl Inbox {
    /// The receipts, oldest first, as their messages stand now.
    pub fn receipts(&self) -> Result<Vec<Shown>, Error> {
        let all = self.oldest_receipts(self.limits.receipts_max)?;
        all.iter().map(|(_, receipt)| self.show(receipt)).collect()
    }

    /// One receipt, as its messages stand now.
    pub fn receipt(&self, name: &str) -> Result<Option<Shown>, Error> {
        let found = dropped::find_receipt(&self.pipeline.store, &self.feed.name, &self.scope, name)?;
        found.map(|(_, receipt)| self.show(&receipt)).transpose()
    }

    pub async fn remove_receipt(&self, name: &str) -> Result<(), Error> {
        let found = dropped::find_receipt(&self.pipeline.store, &self.feed.name, &self.scope, name)?;
        let (id, _) = found.ok_or(Error::Absent)?;
        let mut change = Change::new();
        dropped::remove_receipt(&mut change, &self.feed.name, &self.scope, id, name);
        self.commit(change).await
    }

    /// The oldest receipts, of which there are so many that another one has no room.
    pub(super) fn superfluous(&self) -> Result<Vec<(Id, String)>, Error> {
        let stored = count(&self.pipeline.store, &dropped::receipts_counter(&self.feed.name))?;
        let more = (stored + 1).saturating_sub(self.limits.receipts_max);
        let oldest = self.oldest_receipts(more)?;
        Ok(oldest.into_iter().map(|(id, receipt)| (id, receipt.shown_as)).collect())
    }

    fn oldest_receipts(&self, max: usize) -> Result<Vec<(Id, Receipt)>, Error> {
        Ok(dropped::receipts(&self.pipeline.store, &self.feed.name, &self.scope, max)?)
    }

    fn show(&self, receipt: &Receipt) -> Result<Shown, Error> {
        let Receipt { name, bytes, sha256, taken_at, .. } = receipt;
        let mut text = format!("file\t{name}\t{bytes}\t{sha256}\t{taken_at:.0}\n");
        for (number, line) in (1..).zip(&receipt.lines) {
            let (outcome, said) = self.standing(line)?;
            text.push_str(&receipt::line(number, &line.control_id, outcome, line.repeated, &said));
        }
        Ok(Shown { name: receipt.shown_as.clone(), taken_at: *taken_at, text })
    }

    /// What has become of a message by now, and what is said of it where it waits for a person.
    fn standing(&self, line: &Line) -> Result<(Outcome, Vec<Diagnostic>), store::Error> {
        let store = &self.pipeline.store;
        let Some(standing) = message::standing(store, line.message)? else {
            return Ok((Outcome::Accepted, Vec::new()));
        };
        let outcome = match standing.state {
            State::Waiting | State::Mapped => return Ok((Outcome::Accepted, Vec::new())),
            State::Held => Outcome::Held,
            State::Rejected => Outcome::Rejected,
        };
        Ok((outcome, message::diagnostics(store, line.message, &standing.scope())?))
    }
}
