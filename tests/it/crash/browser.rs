//! A person at the API, over a gateway that may end at any byte.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Typesetting in the development profile takes a while on a busy machine.
const ANSWER: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Default)]
pub(crate) struct Browser {
    token: String,
}

/// A status and a body that came whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON in an answer of {}", self.status))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }
}

impl Browser {
    pub(crate) async fn sign_in(address: SocketAddr, email: &str, password: &str) -> io::Result<Self> {
        let session = json!({ "email": email, "password": password });
        let reply = Self::default().post(address, "/api/v1/session", &session).await?;
        assert_eq!(reply.status, 200, "cannot sign in");
        Ok(Self { token: reply.text("token") })
    }

    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> io::Result<Reply> {
        self.ask(address, "GET", path, &Value::Null).await
    }

    pub(crate) async fn post(&self, address: SocketAddr, path: &str, body: &Value) -> io::Result<Reply> {
        self.ask(address, "POST", path, body).await
    }

    async fn ask(&self, address: SocketAddr, method: &str, path: &str, body: &Value) -> io::Result<Reply> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let bearer = if self.token.is_empty() {
            String::new()
        } else {
            format!("Authorization: Bearer {}\r\n", self.token)
        };
        exchange(address, method, path, &format!("{bearer}{kind}"), body.as_bytes()).await
    }
}

/// One request on a connection of its own, with header lines that are each ended; the reply that came whole.
pub(crate) async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<Reply> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(ANSWER, exchange).await.map_err(io::Error::from)??;
    whole(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The reply, if all of it came: what broke off answers nothing.
fn whole(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = answer[end + 4..].to_vec();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let length = length.map_or(Some(0), |it| it.parse().ok())?;
    (body.len() == length).then_some(Reply { status, body })
}
