//! Receipts as laboratories read them: text, a line for the file, then a line for each message.
//!
//! ```text
//! file⇥results.hl7⇥2610⇥9f86d0…⇥2026-11-22T20:00:00Z
//! 1⇥MSG00001⇥accepted⇥⇥
//! 2⇥MSG00002⇥held⇥T014⇥no row of the unit table has this unit, at OBX[3]-6: …
//! ```

use std::fmt::Write;

use jiff::Timestamp;

use crate::clock::Id;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
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
        for (at, line) in receipt.lines.iter().enumerate() {
            let (outcome, code, sentence) = self.standing(line)?;
            let control_id = one_line(&line.control_id);
            writeln!(text, "{}\t{control_id}\t{outcome}\t{code}\t{sentence}", at + 1)
                .expect("writing to a String does not fail");
        }
        Ok(Shown { name: receipt.shown_as.clone(), taken_at: *taken_at, text })
    }

    /// The word, the code and the sentence of a line.
    fn standing(&self, line: &Line) -> Result<(&'static str, String, String), store::Error> {
        let store = &self.pipeline.store;
        let Some(standing) = message::standing(store, line.message)? else {
            return Ok(("accepted", String::new(), String::new()));
        };
        let outcome = match standing.state {
            State::Waiting | State::Mapped => "accepted",
            State::Held => "held",
            State::Rejected => "rejected",
        };
        let said = match standing.state {
            State::Waiting | State::Mapped => Vec::new(),
            State::Held | State::Rejected => message::diagnostics(store, line.message, &standing.scope())?,
        };
        let (code, mut sentence) = told(&said);
        if line.repeated {
            let again = "the same message came before, and nothing new was made of it";
            sentence = if sentence.is_empty() { again.to_owned() } else { format!("{sentence}; {again}") };
        }
        Ok((outcome, code, sentence))
    }
}

/// The gravest diagnostic, in one line, and how many there are beside it.
fn told(said: &[Diagnostic]) -> (String, String) {
    let Some(first) = said.iter().find(|it| it.severity == Severity::Error).or_else(|| said.first()) else {
        return Default::default();
    };
    let mut sentence = one_line(&first.message);
    if !first.position.is_empty() {
        sentence = format!("{sentence}, at {}", one_line(&first.position));
    }
    if !first.help.is_empty() {
        sentence = format!("{sentence}: {}", one_line(&first.help));
    }
    if said.len() > 1 {
        sentence = format!("{sentence} (and {} more)", said.len() - 1);
    }
    (first.code.to_string(), sentence)
}

/// Text that cannot end its line or its column.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
