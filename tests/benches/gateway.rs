//! The gateway as users run it: the built binary, a configuration, a fresh store.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and writes a configuration")]

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_gateway");
/// How often the gateway is asked whether messages wait: short beside a round, long beside the asking.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// No round may take longer.
const QUIET_WITHIN: Duration = Duration::from_mins(5);

const CONFIGURATION: &str = r#"
[store]
directory = "data"
[keys]
master = { file = "master.key" }
[http]
listen = "127.0.0.1:0"
[inbound.mllp]
listen = "127.0.0.1:0"
[log]
level = "error"
[[lab]]
name = "standard"
mapping = "standard"
clinics = ["bench"]
[[lab.feed]]
name = "standard-mllp"
kind = "mllp"
senders = ["BENCH|GENERATOR"]
processing_ids = ["P"]
"#;

pub(crate) struct Gateway {
    process: Child,
    pub(crate) mllp: SocketAddr,
    http: SocketAddr,
    /// From starting the process to its ready line.
    pub(crate) ready_after: Duration,
}

impl Gateway {
    /// Starts a gateway on an empty store in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let (key, configuration) = (folder.join("master.key"), folder.join("gateway.toml"));
        let made =
            Command::new(BINARY).args(["keys", "init", "--out"]).arg(&key).stdout(Stdio::null()).status();
        assert!(made.is_ok_and(|it| it.success()), "`gateway keys init` makes a key");
        std::fs::write(&configuration, CONFIGURATION).expect("the folder can be written");

        let start = Instant::now();
        let mut process = Command::new(BINARY)
            .args(["serve", "--config"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let mut line = String::new();
        let output = process.stdout.take().expect("standard output is piped");
        BufReader::new(output).read_line(&mut line).expect("the gateway says when it is ready");
        let ready_after = start.elapsed();
        let ready: Value =
            serde_json::from_str(&line).expect("the first line says where the gateway listens");
        let address = |key: &str| {
            let text = ready[key].as_str().map(|it| it.trim_start_matches("http://"));
            text.and_then(|it| it.parse().ok()).expect("the ready line names each address")
        };
        Self { mllp: address("mllp"), http: address("http"), process, ready_after }
    }

    /// Returns when no kept message waits to be read.
    ///
    /// # Panics
    /// Unless all `sent` messages were mapped: a round that held one measures something else.
    pub(crate) fn wait_until_mapped(&self, sent: usize) {
        let start = Instant::now();
        while self.messages("waiting") > 0 {
            assert!(start.elapsed() < QUIET_WITHIN, "messages still wait after {QUIET_WITHIN:?}");
            thread::sleep(ASK_EVERY);
        }
        let (mapped, held) = (self.messages("mapped"), self.messages("held"));
        assert_eq!((mapped, held), (sent, 0), "messages mapped and held");
    }

    /// Memory the process holds now, in kB.
    pub(crate) fn resident_kb(&self) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// How many kept messages are in a state, as `/metrics` says.
    fn messages(&self, state: &str) -> usize {
        let mut stream = TcpStream::connect(self.http).expect("the gateway serves HTTP");
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut page = String::new();
        stream
            .write_all(request)
            .and_then(|()| stream.read_to_string(&mut page))
            .expect("the gateway answers");
        let name = format!("gateway_messages{{state=\"{state}\"}} ");
        let count = page.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok());
        count.expect("/metrics counts messages by state")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The store is thrown away with its folder, so there is nothing to end in order.
        let _already_ended = self.process.kill();
        let _already_ended = self.process.wait();
    }
}
