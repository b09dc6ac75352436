//! A laboratory on the wire: writes reports as ORU^R01, FHIR and JSON, and sends them over MLLP, as the demonstration and
//! the tests need.
//!
//! Its patients are whoever the caller names; all of them are invented. It is written from the HL7 standard, not from
//! our codec, so that a mistake is not shared by both sides.

mod fhir;
mod webhook;

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Longer answers are not acknowledgements.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One message to write.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    pub control_id: String,
    /// `APPLICATION|FACILITY`.
    pub sender: String,
    /// `YYYYMMDDHHMMSS+ZZZZ`, for sending, collecting and reporting alike.
    pub time: String,
    pub patient: Person,
    pub filler_number: String,
    pub order_number: String,
    /// OBR-4 as `code^text^system`.
    pub panel: String,
    /// OBR-25.
    pub status: String,
    pub results: Vec<Observation>,
    /// A comment on the panel.
    pub note: Option<String>,
}

/// Whom a message is about.
#[derive(Debug, Clone, Default)]
pub struct Person {
    pub nhs_number: String,
    pub family: String,
    pub given: String,
    /// `YYYYMMDD`.
    pub birth_date: String,
    /// PID-8.
    pub sex: String,
    pub postcode: String,
}

/// One OBX.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// OBX-3 as `code^text^system`.
    pub code: String,
    /// OBX-2.
    pub kind: String,
    pub value: String,
    pub unit: String,
    pub range: String,
    pub flag: String,
    /// OBX-11.
    pub status: String,
}

impl Observation {
    /// A number, final.
    pub fn number(code: &str, value: &str, unit: &str, range: &str, flag: &str) -> Self {
        Self {
            code: code.to_owned(),
            kind: "NM".to_owned(),
            value: value.to_owned(),
            unit: escape(unit),
            range: escape(range),
            flag: flag.to_owned(),
            status: "F".to_owned(),
        }
    }
}

/// HL7 2.5.1 §2.7: the delimiters inside a value.
fn escape(text: &str) -> String {
    text.replace('\\', "\\E\\")
        .replace('^', "\\S\\")
        .replace('&', "\\T\\")
        .replace('|', "\\F\\")
        .replace('~', "\\R\\")
}

impl Sample {
    /// The message's bytes, in UTF-8 and with carriage returns.
    pub fn encode(&self) -> Vec<u8> {
        let Self { control_id, sender, time, patient, filler_number, order_number, panel, status, .. } = self;
        let Person { nhs_number, family, given, birth_date, sex, postcode } = patient;
        let identifier = if nhs_number.is_empty() { String::new() } else { format!("{nhs_number}^^^NHS^NH") };
        let mut text = format!(
            "MSH|^~\\&|{sender}|HAEMOSYNC|CLINIC|{time}||ORU^R01^ORU_R01|{control_id}|P|2.5.1||||||UNICODE UTF-8\r\
             PID|1||{identifier}||{family}^{given}^^^^^L||{birth_date}|{sex}|||1 Invented Street^^Leeds^^{postcode}\r\
             ORC|RE|{order_number}|{filler_number}\r\
             OBR|1|{order_number}|{filler_number}|{panel}|||{time}|||||||{time}||||||||{time}||CH|{status}\r"
        );
        if let Some(note) = &self.note {
            line(&mut text, &format!("NTE|1|L|{}", escape(note)));
        }
        for (number, it) in (1..).zip(&self.results) {
            let Observation { code, kind, value, unit, range, flag, status } = it;
            line(
                &mut text,
                &format!("OBX|{number}|{kind}|{code}||{value}|{unit}|{range}|{flag}|||{status}|||{time}"),
            );
        }
        text.into_bytes()
    }

    /// As a FHIR R4 transaction. Values are numbers, and nothing in a unit or a range is escaped.
    pub fn fhir(&self) -> Vec<u8> {
        fhir::bundle(self)
    }

    /// As the body of an aggregator's webhook.
    pub fn webhook(&self) -> Vec<u8> {
        webhook::body(self)
    }
}

fn line(text: &mut String, segment: &str) {
    write!(text, "{segment}\r").expect("writing to a String does not fail");
}

/// A laboratory's connection.
#[derive(Debug)]
pub struct Lab {
    stream: TcpStream,
}

impl Lab {
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends one message and waits for its answer: the bytes between VT and FS CR.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut frame = Vec::with_capacity(message.len() + 3);
        frame.push(0x0B);
        frame.extend_from_slice(message);
        frame.extend_from_slice(&[0x1C, 0x0D]);
        self.stream.write_all(&frame).await?;
        tokio::time::timeout(ANSWER, self.answer()).await.map_err(io::Error::from)?
    }

    async fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        while !answer.ends_with(&[0x1C, 0x0D]) {
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer does not end"));
            }
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        answer.truncate(answer.len() - 2);
        if answer.first() == Some(&0x0B) {
            answer.remove(0);
        }
        Ok(answer)
    }
}

/// MSA-1 of an answer; empty where there is none.
pub fn code_of(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let msa = text.split('\r').find_map(|segment| segment.strip_prefix("MSA|"));
    msa.and_then(|fields| fields.split('|').next()).unwrap_or_default().to_owned()
}
