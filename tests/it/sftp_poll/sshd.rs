//! A real OpenSSH server on loopback, run by whoever runs the tests, over a folder of its own.

use std::fs;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use crate::harness::until;

/// Debian keeps it out of the path of ordinary users; and it wants to be called by its whole path.
const PROGRAM: &str = "/usr/sbin/sshd";

/// What the server says no to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Denies {
    Nothing,
    /// Changing names and deleting.
    Clearing,
}

pub(super) struct Sshd {
    folder: TempDir,
    port: u16,
    running: Option<Child>,
}

impl Sshd {
    pub(super) async fn start() -> Self {
        let mut server = Self::prepare();
        server.serve(Denies::Nothing).await;
        server
    }

    /// A server with its keys and folders, that does not run yet.
    pub(super) fn prepare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["out", "done", "receipts"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, port, running: None };
        for name in ["host", "other-host", "client", "other-client"] {
            server.make_key(name);
        }
        server.use_host_key("host");
        server.authorize("client");
        server
    }

    fn make_key(&self, name: &str) {
        let status = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "invented", "-f"])
            .arg(self.path(name))
            .status();
        assert!(status.expect("install openssh-client").success());
    }

    /// From the next start on, the server has this host key.
    pub(super) fn use_host_key(&self, name: &str) {
        fs::copy(self.path(name), self.path("used-host")).unwrap();
        fs::set_permissions(self.path("used-host"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// From now on, the server takes this key and no other.
    pub(super) fn authorize(&self, name: &str) {
        fs::copy(self.path(&format!("{name}.pub")), self.path("authorized")).unwrap();
    }

    /// Starts the server, or another one in its place.
    pub(super) async fn serve(&mut self, denies: Denies) {
        self.stop();
        let denied = match denies {
            Denies::Nothing => "",
            Denies::Clearing => "-P remove,rename,posix-rename,hardlink",
        };
        let folder = self.folder.path().display();
        let text = format!(
            "ListenAddress 127.0.0.1:{}\nHostKey {folder}/used-host\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             AuthorizedKeysFile {folder}/authorized\nMaxStartups 100\nLogLevel ERROR\n\
             Subsystem sftp internal-sftp {denied}\n",
            self.port
        );
        fs::write(self.path("sshd_config"), text).unwrap();
        if !Path::new("/run/sshd").exists() {
            // Only a server of root's wants it; others cannot make it and need not.
            let _not_root = fs::create_dir("/run/sshd");
        }
        let started = Command::new(PROGRAM)
            .arg("-D")
            .arg("-e")
            .arg("-f")
            .arg(self.path("sshd_config"))
            .stderr(Stdio::inherit())
            .spawn();
        self.running = Some(started.expect("install openssh-server"));
        until(async || TcpStream::connect(("127.0.0.1", self.port)).ok()).await;
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut server) = self.running.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The line of a public key, as a configuration pins it.
    pub(super) fn public_key(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap().trim().to_owned()
    }

    /// Writes a file, as the laboratory does that writes under another name and renames.
    pub(super) fn drop_file(&self, name: &str, content: &str) {
        let passing = self.path("out").join(format!(".{name}"));
        fs::write(&passing, content).unwrap();
        fs::rename(passing, self.path("out").join(name)).unwrap();
    }

    /// The names in a folder, in order.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The configuration of a feed that fetches from here, with more lines of its table.
    pub(super) fn feed(&self, name: &str, more: &str) -> String {
        self.feed_pinned(name, &self.public_key("host"), more)
    }

    pub(super) fn feed_pinned(&self, name: &str, host_key: &str, more: &str) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let (port, user) = (self.port, user.trim());
        let (key, out) = (self.path("client"), self.path("out"));
        format!(
            "[[lab.feed]]\nname = \"{name}\"\nkind = \"sftp_poll\"\n[lab.feed.poll]\naddress = \"127.0.0.1:{port}\"\n\
             user = \"{user}\"\nhost_key = \"{host_key}\"\nkey = {{ file = {key:?} }}\nfolder = {out:?}\n\
             every_ms = 100\nstable_ms = 100\n{more}\n"
        )
    }

    /// Lines that archive what was taken.
    pub(super) fn archiving(&self) -> String {
        format!("after = \"archive\"\narchive_folder = {:?}\n", self.path("done"))
    }

    /// Lines that ask for receipts.
    pub(super) fn with_receipts(&self) -> String {
        format!("receipts_folder = {:?}\n", self.path("receipts"))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}
