//! The demonstration's user at the API: a few JSON requests over HTTP/1.1, each on a connection of its own.

use std::net::SocketAddr;

use anyhow::Context;
use anyhow::bail;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpStream;

/// More than the largest document of the demonstration.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Somebody signed in.
#[derive(Debug, Clone)]
pub(super) struct Browser {
    address: SocketAddr,
    token: String,
}

impl Browser {
    pub(super) async fn sign_in(address: SocketAddr, email: &str, password: &str) -> anyhow::Result<Self> {
        let nobody = Self { address, token: String::new() };
        let session = nobody
            .send(Method::POST, "/api/v1/session", Some(json!({ "email": email, "password": password })))
            .await?;
        let token = session.get("token").and_then(Value::as_str).context("the session has no token")?;
        Ok(Self { address, token: token.to_owned() })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// A document's bytes.
    pub(super) async fn bytes(&self, path: &str) -> anyhow::Result<Bytes> {
        let (status, body) = self.exchange(Method::GET, path, None).await?;
        if status != 200 {
            bail!("GET {path} answered {status}");
        }
        Ok(body)
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let (status, bytes) = self.exchange(method.clone(), path, body).await?;
        if !(200..300).contains(&status) {
            let code = serde_json::from_slice::<Value>(&bytes).ok();
            let code =
                code.as_ref().and_then(|it| it.get("code")).and_then(Value::as_str).unwrap_or("no code");
            bail!("{method} {path} answered {status} ({code})");
        }
        if bytes.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&bytes)?) }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Bytes)> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, self.address.to_string());
        if !self.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
        let status = answer.status().as_u16();
        let bytes = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|_| anyhow::anyhow!("the answer of {path} is too long or broke off"))?
            .to_bytes();
        connection.abort();
        Ok((status, bytes))
    }
}
