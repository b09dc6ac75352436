//! The SFTP server with real clients: OpenSSH's for what laboratories do, a library's for what they should not.
//!
//! `sftp` must be installed (`openssh-client`); `tests/run` sees to it.

#![expect(clippy::disallowed_methods, reason = "the files that a client sends and fetches")]

mod files;
mod hostile;
mod store_failures;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::Arc;

use haemosync_gateway::inbound::sftp::HostKey;
use russh::client;
use russh::keys::Algorithm;
use russh::keys::PrivateKey;
use russh::keys::PrivateKeyWithHashAlg;
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh_sftp::client::RawSftpSession;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::process::Command;

use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::until;

/// The feed, and so the user.
pub(crate) const FEED: &str = "standard-sftp";

/// A report of one invented result, of a patient whom no clinic has.
pub(crate) fn oru(control_id: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|FAC|HAEMOSYNC|CLINIC|20261122100000+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||||Nobodyhere^Zebedee||19610203|M\r\
         OBR|1||F{control_id}|24362-6^Urea and electrolytes^LN|||20261122090000+0000|||||||||||||||20261122100000+0000|||F\r\
         OBX|1|NM|2951-2^Sodium^LN||140|mmol/L|133-146||||F\r"
    )
}

/// A report with a segment among its results that no mapping knows.
pub(crate) fn held(control_id: &str) -> String {
    oru(control_id) + "ZZX|1|what is this\rOBX|2|NM|2823-3^Potassium^LN||4.1|mmol/L|3.5-5.3||||F\r"
}

pub(crate) fn key_of(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// The key that signs in to the feed.
pub(crate) fn lab_key() -> PrivateKey {
    key_of(7)
}

/// A configuration with the SFTP feed and more of its keys.
pub(crate) fn setup(feed: &str, server: &str) -> Setup {
    let key = lab_key().public_key().to_openssh().unwrap();
    let more = format!(
        "[[lab.feed]]\nname = \"{FEED}\"\nkind = \"sftp\"\nssh_keys = [\"{key} lab\"]\n{feed}\n\
         [inbound.sftp]\nlisten = \"127.0.0.1:0\"\n{server}\n"
    );
    Setup { more, ..Setup::default() }
}

async fn start(feed: &str) -> TestGateway {
    TestGateway::start_with(setup(feed, "")).await
}

/// A laboratory's machine: a folder with its key, its files and OpenSSH's client.
struct Laboratory {
    folder: TempDir,
    address: SocketAddr,
}

/// What the client said.
#[derive(Debug)]
struct Said {
    done: bool,
    text: String,
}

impl Laboratory {
    fn at(address: SocketAddr) -> Self {
        let laboratory = Self { folder: tempfile::tempdir().unwrap(), address };
        laboratory.use_key(&lab_key());
        laboratory
    }

    fn use_key(&self, key: &PrivateKey) {
        let file = self.folder.path().join("key");
        let _ = fs::remove_file(&file);
        fs::write(&file, key.to_openssh(LineEnding::LF).unwrap()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn command(&self, program: &str, user: &str, options: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .args(["-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=known_hosts"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", "key", "-F", "/dev/null"])
            .args(options)
            .args([if program == "sftp" { "-P" } else { "-p" }, &self.address.port().to_string()])
            .arg(format!("{user}@127.0.0.1"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a batch of commands; it ends at the first that fails and has no hyphen before it.
    async fn sftp(&self, commands: &str) -> Said {
        self.sftp_as(FEED, commands).await
    }

    async fn sftp_as(&self, user: &str, commands: &str) -> Said {
        self.write("batch", commands);
        let output = self.command("sftp", user, &["-b", "batch"]).output().await;
        let output = output.expect("`sftp` runs: install openssh-client");
        let text = [output.stdout, output.stderr].concat();
        Said { done: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// Begins an upload so slowly that it can be broken off.
    fn sftp_slowly(&self, commands: &str) -> Child {
        self.write("batch", commands);
        self.command("sftp", FEED, &["-b", "batch", "-l", "400"]).spawn().unwrap()
    }

    /// The commands succeed; what the client said.
    async fn done(&self, commands: &str) -> String {
        let said = self.sftp(commands).await;
        assert!(said.done, "{}", said.text);
        said.text
    }

    /// The commands fail; what the client said.
    async fn refused(&self, commands: &str) -> String {
        let said = self.sftp(commands).await;
        assert!(!said.done, "{}", said.text);
        said.text
    }

    /// Fetches a receipt: its lines, each cut into its columns.
    async fn receipt(&self, name: &str) -> Vec<Vec<String>> {
        self.done(&format!("get \"receipts/{name}\" receipt\n")).await;
        let text = self.read("receipt");
        assert!(text.ends_with('\n'));
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    /// The third column of each message's line.
    async fn outcomes(&self, name: &str) -> Vec<String> {
        self.receipt(name).await.into_iter().skip(1).map(|line| line[2].clone()).collect()
    }
}

impl TestGateway {
    fn laboratory(&self) -> Laboratory {
        Laboratory::at(self.sftp())
    }
}

/// A library's client: it takes any host key, for it is on this machine.
struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn connect(address: SocketAddr) -> client::Handle<Trusting> {
    client::connect(Arc::new(client::Config::default()), address, Trusting).await.unwrap()
}

/// A session that can send what no honest client would.
struct Raw {
    sftp: RawSftpSession,
    connection: client::Handle<Trusting>,
}

async fn raw(address: SocketAddr) -> Raw {
    let mut connection = connect(address).await;
    let key = PrivateKeyWithHashAlg::new(Arc::new(lab_key()), None);
    assert!(connection.authenticate_publickey(FEED, key).await.unwrap().success());
    let channel = connection.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    let sftp = RawSftpSession::new(channel.into_stream());
    sftp.init().await.unwrap();
    Raw { sftp, connection }
}

#[test]
fn a_host_key_is_read_and_shows_its_public_half_only() {
    let key = lab_key();
    let read = HostKey::parse(&key.to_openssh(LineEnding::LF).unwrap()).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    assert_eq!(format!("{read:?}"), format!("HostKey({})", key.public_key().to_openssh().unwrap()));
    assert!(HostKey::parse("no key").is_err());
}
