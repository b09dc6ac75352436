//! What is printed: one line for each message, how far it is, and how it ended.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::send::answer::Answer;
use crate::cli::send::answer::Error;
use crate::cli::send::answer::Heard;
use crate::cli::send::answer::Told;
use crate::cli::send::message::Message;

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// One line of output.
#[derive(Serialize)]
pub(super) struct Line {
    file: String,
    index: usize,
    control_id: String,
    ack: Option<String>,
    errors: Vec<Told>,
    ms: Box<RawValue>,
    #[serde(skip)]
    is_accepted: bool,
}

impl Line {
    pub(super) fn unsent(file: String, code: &str, text: String) -> Self {
        let told = Told { code: code.to_owned(), location: String::new(), text };
        Self {
            file,
            index: 0,
            control_id: String::new(),
            ack: None,
            errors: vec![told],
            ms: milliseconds(Duration::ZERO),
            is_accepted: false,
        }
    }

    /// The lines of what was sent: one, or one for each message of a file that has a receipt.
    pub(super) fn of(sent: &Message, heard: Result<Heard, Error>, took: Duration) -> Vec<Self> {
        let line = |index, control_id, ack, is_accepted, errors| Self {
            file: sent.file.to_string(),
            index,
            control_id,
            ack,
            errors,
            ms: milliseconds(took),
            is_accepted,
        };
        let (index, control_id) = (sent.index, sent.control_id.clone());
        match heard {
            Ok(Heard::Nothing) => vec![line(index, control_id, None, true, Vec::new())],
            Ok(Heard::Answer(Answer { ack, is_accepted, errors })) => {
                vec![line(index, control_id, Some(ack), is_accepted, errors)]
            }
            Ok(Heard::Receipt(answers)) => {
                let lines = answers.into_iter().enumerate().map(|(index, (control_id, it))| {
                    line(index, control_id, Some(it.ack), it.is_accepted, it.errors)
                });
                lines.collect()
            }
            Err(error) => {
                let told =
                    Told { code: error.word().to_owned(), location: String::new(), text: error.told() };
                vec![line(index, control_id, None, false, vec![told])]
            }
        }
    }
}

/// With three decimals; never by way of a float.
fn milliseconds(time: Duration) -> Box<RawValue> {
    let micros = time.as_micros();
    let text = format!("{}.{:03}", micros / 1000, micros % 1000);
    RawValue::from_string(text).expect("digits around a point are a number")
}

pub(super) struct Tally {
    format: Format,
    /// Whether a person watches how far it is.
    is_watched: bool,
    told_at: Duration,
    /// Of what was to be sent: messages, or files where they go whole.
    done: usize,
    total: usize,
    sent: usize,
    accepted: usize,
}

impl Tally {
    pub(super) const fn new(format: Format, is_watched: bool) -> Self {
        let (done, total, sent, accepted) = (0, 0, 0, 0);
        Self { format, is_watched, told_at: Duration::ZERO, done, total, sent, accepted }
    }

    pub(super) const fn expect(&mut self, total: usize) {
        self.total = total;
    }

    /// One of what was to be sent is through.
    pub(super) fn through(&mut self, lines: &[Line], now: Duration) {
        for line in lines {
            self.line(line);
        }
        self.done += 1;
        let is_due = now.saturating_sub(self.told_at) >= PROGRESS_EVERY || self.done == self.total;
        if self.is_watched && is_due {
            self.told_at = now;
            output::note(&format!("{} of {} sent, {} accepted", self.done, self.total, self.accepted));
        }
    }

    pub(super) fn line(&mut self, line: &Line) {
        self.sent += 1;
        self.accepted += usize::from(line.is_accepted);
        match self.format {
            Format::Json => output::json(line),
            Format::Plain => {
                let ack = line.ack.as_deref().unwrap_or("--");
                let mut text = format!(
                    "{ack}  {}  {} #{}  {} ms",
                    line.control_id,
                    line.file,
                    line.index,
                    line.ms.get()
                );
                for told in &line.errors {
                    text = format!("{text}\n    {} {} {}", told.code, told.location, told.text);
                }
                output::line(&text)
            }
        };
    }

    pub(super) fn end(&self, took: Duration) -> Outcome {
        if self.format == Format::Plain {
            let rate = u128::try_from(self.sent).unwrap_or(0) * 1_000_000 / took.as_micros().max(1);
            output::note(&format!(
                "{} sent, {} accepted, {} ms, {rate} a second",
                self.sent,
                self.accepted,
                milliseconds(took).get()
            ));
        }
        Outcome::from(self.sent > 0 && self.accepted == self.sent)
    }
}
