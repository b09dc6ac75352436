//! The doors for laboratories on the HTTP listener, over real sockets: who is heard, and what each hears.

mod fhir;
mod hl7;
mod signed;
mod store_failures;
mod tokens;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::PATIENCE;

const ER7: &str = "application/hl7-v2";
pub(crate) const TOKEN: &str = "an-invented-token-of-the-laboratory";

/// An answer, with its headers by lower-case name.
pub(crate) struct Heard {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Heard {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.text()))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The status and our code, of a problem or of an OperationOutcome.
    fn refusal(&self) -> (u16, String) {
        let json = self.json();
        let code =
            json["code"].as_str().or_else(|| json["issue"][0]["details"]["coding"][0]["code"].as_str());
        (self.status, code.unwrap_or_default().to_owned())
    }
}

/// One request on a connection of its own.
pub(crate) async fn post(
    to: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Heard {
    request(to, "POST", path, headers, body.as_ref()).await
}

async fn request(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Heard {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    // A test may declare more than it sends.
    if !headers.iter().any(|(name, _)| *name == "Content-Length") {
        write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("no answer in time").unwrap();
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("no answer");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Heard {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

/// More of `gateway.toml`: a feed of the standard laboratory.
pub(crate) fn feed(kind: &str, keys: &str) -> String {
    let mapping = if kind == "fhir" { "standard-fhir" } else { "standard" };
    format!("[[lab.feed]]\nname = \"standard-{kind}\"\nkind = \"{kind}\"\nmapping = \"{mapping}\"\n{keys}\n")
}
