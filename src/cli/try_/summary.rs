//! Counts over many messages: what became of them, why, and whether any result went missing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::cli::try_::reading::Message;
use crate::cli::try_::reading::Status;
use crate::clinical::model::Report;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2;

/// The results of one message: each OBX is an observation, or a diagnostic names it, or it is lost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Results {
    obx: usize,
    observations: usize,
    named: usize,
    lost: usize,
}

impl Results {
    /// Of a document that is no HL7 v2: its reader holds wherever a result could go missing, so what is out is all.
    pub(super) fn of_document(reports: &[Report]) -> Self {
        let observations = reports.iter().flat_map(Report::results).count();
        Self { obx: observations, observations, named: 0, lost: 0 }
    }

    pub(super) fn of(message: &hl7v2::Message<'_>, reports: &[Report], diagnostics: &[Diagnostic]) -> Self {
        let observations: BTreeSet<String> = reports
            .iter()
            .flat_map(Report::results)
            .map(|result| segment_of(&result.id.to_string()).to_owned())
            .collect();
        let named: BTreeSet<&str> = diagnostics.iter().map(|it| segment_of(&it.position)).collect();
        let sent: BTreeSet<String> =
            message.segments().filter(|it| it.name() == "OBX").map(|it| it.location().to_string()).collect();
        let missing: Vec<&String> = sent.difference(&observations).collect();
        let is_named = missing.iter().filter(|it| named.contains(it.as_str())).count();
        Self {
            obx: sent.len(),
            observations: sent.len() - missing.len(),
            named: is_named,
            lost: missing.len() - is_named,
        }
    }
}

/// `OBX[3]` of `OBX[3]-6.1`.
fn segment_of(position: &str) -> &str {
    position.split_once(']').map_or(position, |(before, _)| position.get(..=before.len()).unwrap_or(position))
}

#[derive(Debug, Default)]
pub(super) struct Summary {
    mapped: usize,
    held: usize,
    rejected: usize,
    /// Messages held or rejected, by each code that did it.
    reasons: BTreeMap<String, usize>,
    results: Results,
    readable: usize,
    readable_mapped: usize,
    slowest: Duration,
}

impl Summary {
    pub(super) fn count(&mut self, message: &Message) {
        match message.status {
            Status::Mapped => self.mapped += 1,
            Status::Held => self.held += 1,
            Status::Rejected => self.rejected += 1,
        }
        let errors = message.diagnostics.iter().filter(|it| it.is_error());
        let codes: BTreeSet<&str> = errors.map(|it| it.code.as_str()).collect();
        for code in codes {
            *self.reasons.entry(code.to_owned()).or_default() += 1;
        }
        let Results { obx, observations, named, lost } = message.results;
        self.results.obx += obx;
        self.results.observations += observations;
        self.results.named += named;
        self.results.lost += lost;
        if message.is_readable_result {
            self.readable += 1;
            self.readable_mapped += usize::from(message.status == Status::Mapped);
        }
        self.slowest = self.slowest.max(message.took);
    }

    pub(super) fn all_mapped(&self) -> bool {
        self.held + self.rejected == 0
    }

    fn permille_mapped(&self) -> usize {
        (self.readable_mapped * 1000).checked_div(self.readable).unwrap_or(1000)
    }

    pub(super) fn document(&self) -> Value {
        let Results { obx, observations, named, lost } = self.results;
        json!({ "summary": {
            "mapped": self.mapped, "held": self.held, "rejected": self.rejected, "reasons": self.reasons,
            "results": { "obx": obx, "observations": observations, "named": named, "lost": lost },
            "readable": { "messages": self.readable, "mapped": self.readable_mapped, "permille": self.permille_mapped() },
            "slowest_ms": milliseconds(self.slowest),
        } })
    }

    pub(super) fn table(&self) -> String {
        let Results { obx, observations, named, lost } = self.results;
        let permille = self.permille_mapped();
        let mut text = String::new();
        let mut row = |name: &str, value: &str| {
            writeln!(text, "{name:<44} {value:>10}").expect("writing to a String does not fail");
        };
        row("messages", &(self.mapped + self.held + self.rejected).to_string());
        row("  mapped", &self.mapped.to_string());
        row("  held", &self.held.to_string());
        row("  rejected", &self.rejected.to_string());
        row("held or rejected, by code", "");
        for (code, count) in &self.reasons {
            let title = crate::diagnostic::codes::find(code).map_or("", |it| it.title.as_str());
            row(&format!("  {code} {title}"), &count.to_string());
        }
        row("results of messages not rejected", &obx.to_string());
        row("  observations out", &observations.to_string());
        row("  named in diagnostics instead", &named.to_string());
        row("  lost", &lost.to_string());
        row("readable as a report with results", &self.readable.to_string());
        row("  mapped", &format!("{}.{} %", permille / 10, permille % 10));
        row("slowest message", &format!("{} ms", milliseconds(self.slowest)));
        text
    }
}

/// With three decimals, as text.
pub(crate) fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::segment_of;

    #[test]
    fn a_position_names_its_segment() {
        for (position, segment) in
            [("OBX[3]-6.1", "OBX[3]"), ("OBX[12]", "OBX[12]"), ("MSH-9", "MSH-9"), ("", "")]
        {
            assert_eq!(segment_of(position), segment);
        }
    }
}
