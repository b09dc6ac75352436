//! A laboratory's line to the gateway, by each door: a message goes out, and either its positive answer comes or the line
//! breaks off.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use haemosync_gateway::outbound::sftp::Credential;
use haemosync_gateway::outbound::sftp::HostKey;
use haemosync_gateway::outbound::sftp::Login;
use haemosync_gateway::outbound::sftp::Server;
use haemosync_gateway::pipeline::hex;
use haemosync_gateway::simulator::lab;
use haemosync_gateway::simulator::lab::Lab;
use haemosync_gateway::simulator::lab::Sample;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;

use crate::crash::browser::exchange;
use crate::crash::process::Doors;

pub(crate) const TOKEN: &str = "an-invented-token-of-the-laboratory";
pub(crate) const SECRET: &str = "an invented secret of 32 letters";
pub(crate) const SIGNATURE: &str = "X-Signature";
/// The feed of files, and so the user.
pub(crate) const FILES: &str = "crash-sftp";
/// The feed of signed JSON.
pub(crate) const JSON: &str = "crash-json";
/// The feed of HL7 v2 over HTTP.
pub(crate) const HTTP: &str = "crash-http";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    Fhir,
    Http,
    Json,
    Mllp,
    Sftp,
}

impl By {
    pub(crate) const ALL: [Self; 5] = [Self::Fhir, Self::Http, Self::Json, Self::Mllp, Self::Sftp];

    pub(crate) const fn is_er7(self) -> bool {
        matches!(self, Self::Http | Self::Mllp | Self::Sftp)
    }

    pub(crate) fn encode(self, sample: &Sample) -> Vec<u8> {
        match self {
            Self::Fhir => sample.fhir(),
            Self::Json => {
                // This door's laboratory has codes of its own.
                let mut sample = sample.clone();
                for (result, code) in sample.results.iter_mut().zip(["HB^Haemoglobin^L", "PLT^Platelets^L"]) {
                    code.clone_into(&mut result.code);
                }
                sample.webhook()
            }
            Self::Http | Self::Mllp | Self::Sftp => sample.encode(),
        }
    }

    /// Milliseconds between two messages, at least and at most. MLLP has as many messages as all the others together.
    pub(crate) const fn pause(self) -> (u64, u64) {
        match self {
            Self::Mllp => (2, 25),
            Self::Fhir | Self::Http | Self::Json | Self::Sftp => (10, 80),
        }
    }
}

/// A positive answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// An acknowledgement, byte for byte.
    Acknowledged(Vec<u8>),
    /// A status that says that it is kept.
    Taken,
}

pub(crate) enum Line {
    Fhir(SocketAddr),
    Http(SocketAddr),
    Json(SocketAddr),
    Mllp(Lab),
    Sftp(Server),
}

/// The key that signs in to the feed of files.
pub(crate) fn key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[11; 32]))
}

impl Line {
    pub(crate) async fn open(by: By, doors: Doors) -> io::Result<Self> {
        Ok(match by {
            By::Fhir => Self::Fhir(doors.http),
            By::Http => Self::Http(doors.http),
            By::Json => Self::Json(doors.http),
            By::Mllp => Self::Mllp(Lab::connect(doors.mllp).await?),
            By::Sftp => {
                let login = Login {
                    address: doors.sftp.to_string(),
                    user: FILES.to_owned(),
                    host_key: HostKey::DangerousAny,
                    credential: Credential::Key(Arc::new(key())),
                };
                Self::Sftp(Server::connect(&login).await.map_err(io::Error::other)?)
            }
        })
    }

    /// Sends a message and waits for its answer.
    ///
    /// # Errors
    /// The line broke off, or the file was not taken for now: whether it arrived is not known.
    pub(crate) async fn send(&mut self, name: &str, bytes: &[u8]) -> io::Result<Answer> {
        let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
        match self {
            Self::Mllp(lab) => {
                let answer = lab.send(bytes).await?;
                assert_eq!(lab::code_of(&answer), "AA", "{name} was refused");
                Ok(Answer::Acknowledged(answer))
            }
            Self::Fhir(to) => {
                posted(*to, "/fhir", &format!("{bearer}Content-Type: application/fhir+json\r\n"), bytes)
                    .await?;
                Ok(Answer::Taken)
            }
            Self::Http(to) => {
                let headers = format!("{bearer}Content-Type: application/hl7-v2\r\n");
                let answer = posted(*to, &format!("/inbound/{HTTP}"), &headers, bytes).await?;
                assert_eq!(lab::code_of(&answer), "AA", "{name} was refused");
                Ok(Answer::Acknowledged(answer))
            }
            Self::Json(to) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
                let tag = hmac::sign(&key, bytes);
                let tag = hex(tag.as_ref());
                let headers = format!("{SIGNATURE}: {tag}\r\nContent-Type: application/json\r\n");
                posted(*to, &format!("/inbound/{JSON}"), &headers, bytes).await?;
                Ok(Answer::Taken)
            }
            Self::Sftp(server) => {
                let (passing, whole) = (format!("{name}.part"), format!("{name}.hl7"));
                server.write(&passing, bytes).await.map_err(io::Error::other)?;
                // The feed takes a file at its rename.
                server.rename(&passing, &whole).await.map_err(io::Error::other)?;
                Ok(Answer::Taken)
            }
        }
    }
}

/// The body of a positive reply that came whole.
async fn posted(to: SocketAddr, path: &str, headers: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let reply = exchange(to, "POST", path, headers, body).await?;
    assert!((200..300).contains(&reply.status), "POST {path}: {} {:?}", reply.status, reply.body);
    Ok(reply.body)
}
