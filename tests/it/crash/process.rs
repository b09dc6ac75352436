//! The real binary in a folder of its own: furnished by its command line, started, killed, asked.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use haemosync_gateway::config;
use haemosync_gateway::simulator::cliniko;
use haemosync_gateway::store::Store;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::Command;
use tokio::time::Instant;

use crate::crash::line;

pub(crate) const CLINIC: &str = "crash-clinic";
pub(crate) const EMAIL: &str = "clinician@crash.example";
pub(crate) const PASSWORD: &str = "an invented passphrase";
pub(crate) const SENDER: &str = "CRASHLAB|CRASH";

/// The promise (R2): ready again within five seconds.
pub(crate) const READY: Duration = Duration::from_secs(5);

/// A gateway's folder: configuration, key, store and log. Removed when it is dropped.
pub(crate) struct Home {
    folder: TempDir,
    config: PathBuf,
}

/// Where a running gateway listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doors {
    pub(crate) mllp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) sftp: SocketAddr,
}

impl Home {
    /// Furnishes a folder as an operator would; the clinic releases at approval.
    pub(crate) async fn furnish(cliniko: &cliniko::Running) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Self { config: folder.path().join("gateway.toml"), folder };
        home.write("gateway.toml", &configuration());
        home.write("cliniko.key", cliniko.key("practitioner").unwrap());
        home.write("password", PASSWORD);
        home.write("token", line::TOKEN);
        home.write("secret", line::SECRET);
        let path = |name: &str| home.folder.path().join(name).display().to_string();
        let url = format!("http://{}/v1", cliniko.api);
        run(&["keys", "init", "--out", &path("master.key")]).await;
        home.ask(&[
            "clinic",
            "add",
            CLINIC,
            "--cliniko-key-file",
            &path("cliniko.key"),
            "--shard",
            "uk1",
            "--dangerous-cliniko-url",
            &url,
            "--release",
            "automatic",
            "--nhs-number-field",
            cliniko::NHS_NUMBER_TOKEN,
        ])
        .await;
        home.ask(&[
            "user",
            "add",
            EMAIL,
            "--clinic",
            CLINIC,
            "--role",
            "clinician",
            "--name",
            "Dr Perpetua Examplewright",
            "--password-file",
            &path("password"),
        ])
        .await;
        home
    }

    #[expect(clippy::disallowed_methods, reason = "a test furnishes its temporary folder")]
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The last of what the gateway said of itself, over all its lives.
    #[expect(clippy::disallowed_methods, reason = "a failed test shows the log")]
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("gateway.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// One command about this store, and what it prints.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> String {
        let config = self.config.display().to_string();
        run(&[arguments, &["--config", &config]].concat()).await
    }

    /// Starts the gateway without waiting for it.
    pub(crate) fn spawn(&self) -> Life {
        self.spawn_with(&[])
    }

    /// As [`Home::spawn`], with keys of the configuration set in the environment.
    pub(crate) fn spawn_with(&self, environment: &[(&str, &str)]) -> Life {
        let log =
            File::options().create(true).append(true).open(self.folder.path().join("gateway.log")).unwrap();
        let mut command = gateway();
        command.arg("serve").arg("--config").arg(&self.config).stdout(Stdio::piped()).stderr(log);
        command.envs(environment.iter().copied());
        Life { child: command.spawn().unwrap(), began: Instant::now() }
    }

    /// Opens the store here, once no gateway has it.
    pub(crate) async fn store(&self) -> Store {
        let (config, _) = config::load(Some(&self.config), &std::collections::BTreeMap::new()).unwrap();
        haemosync_gateway::app::open(&config).await.unwrap()
    }
}

/// One command, and what it prints.
async fn run(arguments: &[&str]) -> String {
    let output = gateway().args(arguments).args(["--format", "json"]).output().await.unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "gateway {} failed: {out}{err}", arguments[..2].join(" "));
    out
}

/// The binary, without the test's own variables: they are no keys of the gateway's.
fn gateway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.stdin(Stdio::null()).env_clear().kill_on_drop(true);
    command
}

/// One life of the gateway's process; it ends when this is dropped.
pub(crate) struct Life {
    child: Child,
    began: Instant,
}

impl Life {
    /// Waits until it says that it is ready: where it listens, and how long it took.
    pub(crate) async fn ready(&mut self) -> Result<(Doors, Duration), String> {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(READY, lines.next_line())
            .await
            .map_err(|_| "not ready in time".to_owned())?;
        let took = self.began.elapsed();
        let line = line.unwrap().ok_or_else(|| "ended before it was ready".to_owned())?;
        let told: Value = serde_json::from_str(&line).unwrap();
        let mllp = told["mllp"].as_str().unwrap().parse().unwrap();
        let http = told["http"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        let sftp = told["sftp"].as_str().unwrap().parse().unwrap();
        Ok((Doors { mllp, http, sftp }, took))
    }

    /// The most memory it ever had resident, in bytes.
    pub(crate) fn resident_peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory it has resident now, in bytes; its peak begins anew from here.
    #[expect(clippy::disallowed_methods, reason = "the system is told in a file")]
    pub(crate) fn resident_from_here(&self) -> u64 {
        // Linux, `Documentation/filesystems/proc.rst`: 5 sets the peak back to the present.
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id().unwrap()), "5").unwrap();
        self.memory("VmRSS:")
    }

    #[expect(clippy::disallowed_methods, reason = "the system tells it in a file")]
    fn memory(&self, name: &str) -> u64 {
        let id = self.child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// SIGKILL: no handler runs, nothing is written any more.
    pub(crate) async fn kill(mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "the gateway ended by itself");
        self.child.kill().await.unwrap();
    }
}

/// Recovery waits are short: longer than any request here may live, and than the simulator's longest listing lag.
fn configuration() -> String {
    let (http, json, files, signature) = (line::HTTP, line::JSON, line::FILES, line::SIGNATURE);
    let key = line::key().public_key().to_openssh().unwrap();
    format!(
        r#"[http]
listen = "127.0.0.1:0"
[inbound.mllp]
listen = "127.0.0.1:0"
[inbound.sftp]
listen = "127.0.0.1:0"
[matching]
dangerous_test_nhs_numbers = true
[cliniko]
rate_per_minute = 60000
[cliniko.recovery]
request_life_ms = 1200
settle_ms = 400
dangerous_fast = true
[log]
level = "warn"
[[lab]]
name = "crash-lab"
mapping = "standard"
clinics = ["{CLINIC}"]
[[lab.feed]]
name = "crash-mllp"
kind = "mllp"
senders = ["{SENDER}"]
[[lab.feed]]
name = "crash-fhir"
kind = "fhir"
mapping = "standard-fhir"
bearer = {{ file = "token" }}
[[lab.feed]]
name = "{http}"
kind = "http"
senders = ["{SENDER}"]
bearer = {{ file = "token" }}
[[lab.feed]]
name = "{json}"
kind = "http"
mapping = "json-aggregator"
hmac = {{ secret = {{ file = "secret" }}, header = "{signature}" }}
[[lab.feed]]
name = "{files}"
kind = "sftp"
ssh_keys = ["{key}"]
take = "rename"
"#
    )
}
