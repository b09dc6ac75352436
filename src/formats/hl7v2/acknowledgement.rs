//! Acknowledgements (chapter 2, §2.9): whether a message wants one, building it, and reading one.
//!
//! What to answer is decided elsewhere; this only knows the form. The new control id and the time are given.

use thiserror::Error;

use crate::diagnostic;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2::Delimiters;
use crate::formats::hl7v2::Element;
use crate::formats::hl7v2::Location;
use crate::formats::hl7v2::Message;
use crate::formats::hl7v2::Segment;
use crate::formats::hl7v2::charset::Charset;
use crate::formats::hl7v2::decode;
use crate::formats::hl7v2::encode::Writer;

/// The version an acknowledgement claims where the sender's header names none.
const VERSION_DEFAULT: &str = "2.5.1";

/// MSA-1, HL7 table 0008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Application accept, error, reject: original mode, and the second answer of enhanced mode.
    AA,
    AE,
    AR,
    /// Commit accept, error, reject: the first answer of enhanced mode.
    CA,
    CE,
    CR,
}

/// What became of a message, before the mode gives it a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Accept,
    Error,
    Reject,
}

impl Code {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    pub const fn outcome(self) -> Outcome {
        match self {
            Self::AA | Self::CA => Outcome::Accept,
            Self::AE | Self::CE => Outcome::Error,
            Self::AR | Self::CR => Outcome::Reject,
        }
    }

    pub const fn application(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accept => Self::AA,
            Outcome::Error => Self::AE,
            Outcome::Reject => Self::AR,
        }
    }

    pub const fn commit(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accept => Self::CA,
            Outcome::Error => Self::CE,
            Outcome::Reject => Self::CR,
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR]
            .into_iter()
            .find(|code| code.as_str() == text)
    }
}

/// How a message asks to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is itself an acknowledgement: never answered.
    Silent,
    /// MSH-15 and MSH-16 are empty: one application acknowledgement, always.
    Original,
    Enhanced {
        commit: Condition,
        application: Condition,
    },
}

/// MSH-15 and MSH-16, HL7 table 0155.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `AL`; also a value that is not in the table, because an answer too many is safer than one too few.
    Always,
    /// `NE`; also empty while the other field is not.
    Never,
    /// `ER`: only errors and rejections.
    OnError,
    /// `SU`: only success.
    OnSuccess,
}

impl Condition {
    fn read(text: &str) -> Self {
        match text {
            "" | "\"\"" | "NE" => Self::Never,
            "ER" => Self::OnError,
            "SU" => Self::OnSuccess,
            _ => Self::Always,
        }
    }

    pub const fn asks(self, outcome: Outcome) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => !matches!(outcome, Outcome::Accept),
            Self::OnSuccess => matches!(outcome, Outcome::Accept),
        }
    }
}

impl Mode {
    pub fn of(message: &Message<'_>) -> Self {
        if is_acknowledgement(message) {
            return Self::Silent;
        }
        let header = message.header();
        let [commit, application] = [15, 16].map(|number| header.field(number).text());
        let absent = |text: &str| text.is_empty() || text == "\"\"";
        if absent(&commit) && absent(&application) {
            return Self::Original;
        }
        Self::Enhanced { commit: Condition::read(&commit), application: Condition::read(&application) }
    }

    /// The acknowledgements to send for an outcome, in order.
    ///
    /// Where a commit acknowledgement already refused the message, no application one follows it.
    pub fn answers(self, outcome: Outcome) -> Vec<Code> {
        match self {
            Self::Silent => Vec::new(),
            Self::Original => vec![Code::application(outcome)],
            Self::Enhanced { commit, application } => {
                let commit = commit.asks(outcome).then(|| Code::commit(outcome));
                let follows = outcome == Outcome::Accept || commit.is_none();
                let application = (follows && application.asks(outcome)).then(|| Code::application(outcome));
                commit.into_iter().chain(application).collect()
            }
        }
    }
}

/// Whether a message is itself an acknowledgement, by its type or by having an MSA.
pub fn is_acknowledgement(message: &Message<'_>) -> bool {
    matches!(message.message_type()[0].as_ref(), "ACK" | "MCF") || message.first("MSA").is_some()
}

/// ERR-4, HL7 table 0516.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Information,
    Warning,
}

/// HL7 table 0357, as far as we use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition0357 {
    SegmentSequence,
    RequiredFieldMissing,
    DataType,
    TableValueNotFound,
    UnsupportedMessageType,
    UnsupportedEventCode,
    UnsupportedProcessingId,
    UnsupportedVersion,
    UnknownKey,
    DuplicateKey,
    RecordLocked,
    ApplicationInternal,
}

impl Condition0357 {
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::SegmentSequence => ("100", "Segment sequence error"),
            Self::RequiredFieldMissing => ("101", "Required field missing"),
            Self::DataType => ("102", "Data type error"),
            Self::TableValueNotFound => ("103", "Table value not found"),
            Self::UnsupportedMessageType => ("200", "Unsupported message type"),
            Self::UnsupportedEventCode => ("201", "Unsupported event code"),
            Self::UnsupportedProcessingId => ("202", "Unsupported processing id"),
            Self::UnsupportedVersion => ("203", "Unsupported version id"),
            Self::UnknownKey => ("204", "Unknown key identifier"),
            Self::DuplicateKey => ("205", "Duplicate key identifier"),
            Self::RecordLocked => ("206", "Application record locked"),
            Self::ApplicationInternal => ("207", "Application internal error"),
        }
    }
}

/// One reason, for the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem<'a> {
    pub location: Option<Location>,
    pub condition: Condition0357,
    pub severity: Severity,
    /// Our diagnostic code.
    pub code: &'a str,
    /// One plain sentence, free of patient data.
    pub text: &'a str,
}

/// What is new in an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh<'a> {
    /// MSH-10
    pub control_id: &'a str,
    /// MSH-7, in HL7's spelling.
    pub time: &'a str,
}

impl<'a> Problem<'a> {
    /// A diagnostic in the words of ERR.
    pub fn of(diagnostic: &'a Diagnostic, condition: Condition0357) -> Self {
        Self {
            location: diagnostic.position.parse().ok(),
            condition,
            severity: match diagnostic.severity {
                diagnostic::Severity::Info => Severity::Information,
                diagnostic::Severity::Warning => Severity::Warning,
                diagnostic::Severity::Error => Severity::Error,
            },
            code: diagnostic.code.as_str(),
            text: &diagnostic.message,
        }
    }
}

/// Builds the acknowledgement of a message; `None` where no header could be read.
pub fn build(
    message: Option<&Message<'_>>,
    code: Code,
    problems: &[Problem<'_>],
    fresh: Fresh<'_>,
) -> Vec<u8> {
    written(message, code, problems, fresh, false)
}

/// The same as a message of its own, on a connection of ours: it asks to be answered itself (MSH-15 is AL).
pub fn build_asking_commit(
    message: &Message<'_>,
    code: Code,
    problems: &[Problem<'_>],
    fresh: Fresh<'_>,
) -> Vec<u8> {
    written(Some(message), code, problems, fresh, true)
}

fn written(
    message: Option<&Message<'_>>,
    code: Code,
    problems: &[Problem<'_>],
    fresh: Fresh<'_>,
    asks_commit: bool,
) -> Vec<u8> {
    let delimiters = message.map_or(Delimiters::STANDARD, Message::delimiters);
    let charset = message.map_or(Charset::UTF_8, Message::charset);
    let header = message.map(Message::header);
    let mut writer = Writer::new(delimiters);
    write_header(&mut writer, header, message, fresh, asks_commit);
    let old = message.is_some_and(|message| is_before(&message.version(), 2, 5));
    writer.segment("MSA").field(code.as_str());
    copy(&mut writer, header, 10);
    if let Some(first) = problems.first().filter(|_| old) {
        writer.field(first.text);
    }
    if old {
        write_err_1(&mut writer, problems);
    } else {
        for problem in problems {
            write_err(&mut writer, problem);
        }
    }
    // Our own sentences are ASCII, and the sender's fields were read in this very character set.
    writer.finish(charset).0
}

fn write_header(
    writer: &mut Writer,
    header: Option<Segment<'_>>,
    message: Option<&Message<'_>>,
    fresh: Fresh<'_>,
    asks_commit: bool,
) {
    writer.segment("MSH");
    for number in [5, 6, 3, 4] {
        copy(writer, header, number);
    }
    writer.field(fresh.time).field("");
    let [_, event, _] = message.map(Message::message_type).unwrap_or_default();
    let version = message.map(Message::version).unwrap_or_default();
    // MSH-9.3 exists from 2.3.1 on.
    let structure = if is_before(&version, 2, 4) && version != "2.3.1" { "" } else { "ACK" };
    writer.components(&["ACK", event.as_ref(), structure]).field(fresh.control_id);
    copy_or(writer, header, 11, "P");
    copy_or(writer, header, 12, VERSION_DEFAULT);
    let has_charset = header.is_some_and(|header| header.field(18).is_populated());
    if asks_commit || has_charset {
        let [commit, application] = if asks_commit { ["AL", "NE"] } else { [""; 2] };
        writer.field("").field("").field(commit).field(application);
    }
    if has_charset {
        writer.field("");
        copy(writer, header, 18);
    }
}

/// ERR of version 2.5 and later: location, condition, severity, our code, our code and place, the sentence.
fn write_err(writer: &mut Writer, problem: &Problem<'_>) {
    let (code, meaning) = problem.condition.row();
    let severity = match problem.severity {
        Severity::Error => "E",
        Severity::Information => "I",
        Severity::Warning => "W",
    };
    let place = problem.location.map_or_else(String::new, |location| format!(" at {location}"));
    writer.segment("ERR").field("");
    writer.components(&problem.location.map(|location| location.err_2()).unwrap_or_default());
    writer.components(&[code, meaning, "HL70357"]).field(severity).field(problem.code).field("");
    writer.field(&format!("{}{place}", problem.code)).field(problem.text);
}

/// ERR before version 2.5: one segment, ERR-1 repeating; its fourth component is the condition.
fn write_err_1(writer: &mut Writer, problems: &[Problem<'_>]) {
    for (number, problem) in problems.iter().enumerate() {
        let place = problem.location.map(|location| location.err_1()).unwrap_or_default();
        if number == 0 {
            writer.segment("ERR").components(&place);
        } else {
            writer.repetition(&place);
        }
        let (code, meaning) = problem.condition.row();
        writer.subcomponents(4, place.len(), &[code, meaning, "HL70357", problem.code, problem.text]);
    }
}

fn copy(writer: &mut Writer, header: Option<Segment<'_>>, number: u32) {
    copy_or(writer, header, number, "");
}

fn copy_or(writer: &mut Writer, header: Option<Segment<'_>>, number: u32, default: &str) {
    match header.map(|header| header.field(number)).filter(Element::is_populated) {
        Some(field) => writer.element(&field),
        None => writer.field(default),
    };
}

/// Whether a version is of major `major` and below `major.minor`; one that cannot be read is not.
fn is_before(version: &str, major: u32, minor: u32) -> bool {
    let mut numbers = version.trim().split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(second))) => first == major && second < minor,
        _ => false,
    }
}

/// An acknowledgement received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    pub code: Code,
    /// MSA-2: the control id of the message it answers.
    pub control_id: String,
    /// MSA-3, deprecated from 2.4 on.
    pub text: Option<String>,
    pub problems: Vec<Reported>,
}

/// One reason the receiver gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Table 0357, or whatever was sent in its place.
    pub code: String,
    /// In the form of [`Location`], as far as it was sent.
    pub location: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("the answer has no readable MSH segment")]
    NoHeader,
    #[error("the answer has no MSA segment")]
    NoMsa,
    #[error("MSA-1 is no acknowledgement code")]
    UnknownCode,
}

/// Reads an acknowledgement.
pub fn parse(bytes: &[u8]) -> Result<Acknowledgement, Error> {
    let message = decode(bytes).message.ok_or(Error::NoHeader)?;
    let msa = message.first("MSA").ok_or(Error::NoMsa)?;
    let code = Code::read(&msa.field(1).text()).ok_or(Error::UnknownCode)?;
    let text = Some(msa.field(3).text().into_owned()).filter(|text| !text.is_empty());
    let problems = message.segments().filter(|segment| segment.name() == "ERR").flat_map(reported).collect();
    Ok(Acknowledgement { code, control_id: msa.field(2).text().into_owned(), text, problems })
}

fn reported(err: Segment<'_>) -> Vec<Reported> {
    if err.field(3).is_populated() || err.field(2).is_populated() {
        let condition = err.field(3);
        let texts = [err.field(8), err.field(7), condition.component(2)];
        let text = texts.iter().find(|text| text.is_populated()).map(|text| text.text().into_owned());
        let code = condition.component(1).text().into_owned();
        return vec![Reported { code, location: place(&err.field(2)), text: text.unwrap_or_default() }];
    }
    let populated = |repetition: &Element<'_>| repetition.is_populated();
    let one = |repetition: Element<'_>| {
        let condition = repetition.component(4);
        let texts = [condition.subcomponent(5), condition.subcomponent(2)];
        let text = texts.iter().find(|text| text.is_populated()).map(|text| text.text().into_owned());
        let code = condition.subcomponent(1).text().into_owned();
        Reported { code, location: place(&repetition), text: text.unwrap_or_default() }
    };
    err.field(1).repetitions().filter(populated).map(one).collect()
}

/// The location in ERR-2 or ERR-1: segment, its number, field, and in ERR-2 repetition, component, subcomponent.
fn place(location: &Element<'_>) -> String {
    let name: Option<[u8; 3]> = location.component(1).text().as_bytes().try_into().ok();
    let Some(name) = name.filter(|name| name.is_ascii()) else {
        return String::new();
    };
    let old = location.location().field_number() == Some(1);
    let number = |component| location.component(component).text().parse::<u32>().unwrap_or(0);
    let place = Location::segment(name, number(2).max(1)).field(number(3));
    let whole =
        if old { place } else { place.repetition(number(4)).component(number(5)).subcomponent(number(6)) };
    whole.to_string()
}

#[cfg(test)]
mod tests;
