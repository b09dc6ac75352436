//! One connection to somebody else's SSH server, and the few SFTP requests we make of it.
//!
//! The server's key is compared with the pinned one before anything of ours is sent. Every request, file and listing
//! is bounded. A server's own error texts are in no error's text: they may quote a file's name, which may be a patient's.
//! Decides nothing: which files, and what becomes of them, its callers say.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::client;
use russh::client::AuthResult;
use russh::compression;
use russh::keys;
use russh::keys::HashAlg;
use russh::keys::PrivateKey;
use russh::keys::PrivateKeyWithHashAlg;
use russh::keys::PublicKey;
use russh::keys::PublicKeyOrCertificate;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::Fingerprint;
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::FileAttributes;
use russh_sftp::protocol::OpenFlags;
use russh_sftp::protocol::StatusCode;
use tokio::net::TcpStream;

use crate::clinical::model::Sensitive;
use crate::diagnostic::Code;
use crate::telemetry::Chain;

/// How long a TCP connection may take to be made.
const CONNECT: Duration = Duration::from_secs(15);
/// How long key exchange and authentication may take together.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// How long the server may take for one request.
const REQUEST_S: u64 = 30;
/// How long the reading of one file may take.
const FILE: Duration = Duration::from_mins(10);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// A connection on which nothing happens for so long is given up.
const IDLE: Duration = Duration::from_mins(2);
/// Most entries of one listing.
pub const ENTRIES_MAX: usize = 20_000;
/// Servers must take requests of this size (draft-ietf-secsh-filexfer-02 §3).
const BLOCK_BYTES: u32 = 32_768;
/// Largest packet we take: a block, or a page of a listing.
const PACKET_BYTES_MAX: u32 = 262_144;
/// Servers end a connection after as few as six refused keys.
const AGENT_KEYS_MAX: usize = 5;

/// Which server, and as whom.
#[derive(Clone)]
pub struct Login {
    /// `HOST:PORT`.
    pub address: String,
    pub user: String,
    pub host_key: HostKey,
    pub credential: Credential,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The server's key as agreed with whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKey {
    /// Whoever answers is believed; never over a network that is not private.
    DangerousAny,
    Fingerprint(Fingerprint),
    Key(Box<PublicKey>),
}

impl HostKey {
    /// A line `ssh-ed25519 AAAA…`, or a fingerprint `SHA256:…`.
    ///
    /// # Errors
    /// A sentence that says what it is instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("the server's host key is not pinned, so anybody could stand in for it");
        }
        if text.starts_with("SHA256:") || text.starts_with("SHA512:") {
            let fingerprint = text.parse().map_err(|_| "the host key's fingerprint cannot be read")?;
            return Ok(Self::Fingerprint(fingerprint));
        }
        let key = PublicKey::from_openssh(text).map_err(|_| "the host key cannot be read")?;
        if key.algorithm().is_rsa() {
            return Err(
                "the host key is an RSA key, which is not supported; pin the server's Ed25519 or ECDSA key",
            );
        }
        Ok(Self::Key(Box::new(key)))
    }

    fn is(&self, shown: &PublicKey) -> bool {
        match self {
            Self::DangerousAny => true,
            Self::Fingerprint(pinned) => shown.fingerprint(pinned.algorithm()) == *pinned,
            Self::Key(pinned) => pinned.key_data() == shown.key_data(),
        }
    }
}

/// What we sign in with.
#[derive(Clone)]
pub enum Credential {
    /// The socket of a key agent.
    Agent(PathBuf),
    Key(Arc<PrivateKey>),
}

impl Credential {
    /// An OpenSSH or PKCS#8 private key without a passphrase. RSA keys are not supported.
    pub fn parse_key(text: &str) -> Option<Self> {
        // The cause would not help, and may quote the file.
        let key = keys::decode_secret_key(text, None).ok().filter(|it| !it.algorithm().is_rsa());
        key.map(|it| Self::Key(Arc::new(it)))
    }
}

/// Why the server, or one file on it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use the key agent")]
    Agent(#[source] keys::Error),
    #[error("the SFTP session broke off at `{request}`")]
    Broken { request: &'static str },
    #[error("cannot reach the server")]
    Connect(#[source] io::Error),
    #[error("the server answered `{status}` to `{request}` of the folder")]
    Folder { request: &'static str, status: StatusCode },
    #[error("the server's host key is {shown}, which is not the pinned one")]
    HostKey { shown: Fingerprint },
    #[error("the file is longer than {max} bytes")]
    LongerThan { max: u64 },
    #[error("the server does not take this user's key")]
    Refused,
    #[error("the SSH connection failed")]
    Ssh(#[from] russh::Error),
    #[error("the server answered `{status}` to `{request}`")]
    Status { request: &'static str, status: StatusCode, said: Sensitive<String> },
    #[error("the server was too slow at `{request}`")]
    TooSlow { request: &'static str },
}

impl Error {
    pub const fn code(&self) -> Code {
        match self {
            Self::Broken { .. } | Self::Connect(_) | Self::Ssh(_) | Self::TooSlow { .. } => Code::new("S150"),
            Self::HostKey { .. } => Code::new("S151"),
            Self::Refused => Code::new("S152"),
            Self::Agent(_) => Code::new("S153"),
            Self::Folder { .. } => Code::new("S154"),
            Self::Status { .. } => Code::new("S156"),
            Self::LongerThan { .. } => Code::new("S157"),
        }
    }

    /// Whether one file is at fault, and the connection can be used on.
    pub const fn concerns_one_file(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::LongerThan { .. })
    }
}

/// A regular file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    /// In seconds since 1970; 0 from a server that does not say.
    pub modified_at: u32,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Listing {
    pub files: Vec<Entry>,
    /// Nothing is in the folder beside what is listed.
    pub is_whole: bool,
    /// Files whose names cannot be said back to the server.
    pub unusable: usize,
}

/// Compares the server's key with the pinned one.
struct Pinned(HostKey);

impl client::Handler for Pinned {
    type Error = Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let shown = shown.public_key();
        if self.0.is(&shown) {
            Ok(true)
        } else {
            Err(Error::HostKey { shown: shown.fingerprint(HashAlg::Sha256) })
        }
    }
}

pub struct Server {
    sftp: RawSftpSession,
    session: client::Handle<Pinned>,
}

impl Server {
    /// Connects, compares the host key, and signs in.
    pub async fn connect(login: &Login) -> Result<Self, Error> {
        let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(login.address.as_str()));
        let stream = connecting.await.map_err(|_| Error::TooSlow { request: "connect" })?;
        let stream = stream.map_err(Error::Connect)?;
        let _not_vital = stream.set_nodelay(true);
        let signing_in = tokio::time::timeout(HANDSHAKE, sign_in(login, stream));
        signing_in.await.map_err(|_| Error::TooSlow { request: "sign in" })?
    }

    /// The regular files of a folder.
    pub async fn list(&self, folder: &str) -> Result<Listing, Error> {
        self.open_and_list(folder).await.map_err(|error| match error {
            Error::Status { request, status, .. } => Error::Folder { request, status },
            error => error,
        })
    }

    async fn open_and_list(&self, folder: &str) -> Result<Listing, Error> {
        let handle = self.sftp.opendir(folder).await.map_err(|it| failed("opendir", it))?.handle;
        let listed = self.list_all(&handle).await;
        let closed = self.sftp.close(handle).await.map_err(|it| failed("close", it));
        let listing = listed?;
        closed?;
        Ok(listing)
    }

    async fn list_all(&self, handle: &str) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let mut entries = 0;
        loop {
            let page = match self.sftp.readdir(handle).await {
                Ok(page) => page.files,
                Err(SftpError::Status(it)) if it.status_code == StatusCode::Eof => {
                    listing.is_whole = true;
                    return Ok(listing);
                }
                Err(error) => return Err(failed("readdir", error)),
            };
            // A server that answers without entries for ever must not hold us for ever.
            entries += page.len().max(1);
            for file in page {
                // A server that says nothing of the kind lists files, as far as we can know.
                if file.attrs.permissions.is_some() && !file.attrs.is_regular() {
                    continue;
                }
                // Names that are not UTF-8 come with the replacement character, and lead nowhere.
                if file.filename.contains(['/', '\0', char::REPLACEMENT_CHARACTER]) {
                    listing.unusable += 1;
                    continue;
                }
                listing.files.push(Entry {
                    name: file.filename,
                    bytes: file.attrs.size.unwrap_or(0),
                    modified_at: file.attrs.mtime.unwrap_or(0),
                });
            }
            if entries >= ENTRIES_MAX {
                return Ok(listing);
            }
        }
    }

    /// A file's size and time, links not followed; none where there is no such file.
    pub async fn look_up(&self, path: &str) -> Result<Option<(u64, u32)>, Error> {
        match self.sftp.lstat(path).await {
            Ok(found) => Ok(Some(size_and_time(&found.attrs))),
            Err(SftpError::Status(it)) if it.status_code == StatusCode::NoSuchFile => Ok(None),
            Err(error) => Err(failed("lstat", error)),
        }
    }

    /// The bytes of a file; none where it is not as it was listed, or changed while it was read.
    pub async fn read(&self, path: &str, listed: &Entry, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        if listed.bytes > bytes_max {
            return Err(Error::LongerThan { max: bytes_max });
        }
        let opened = self.sftp.open(path, OpenFlags::READ, FileAttributes::empty()).await;
        let handle = opened.map_err(|it| failed("open", it))?.handle;
        let reading = tokio::time::timeout(FILE, self.read_unchanged(&handle, listed));
        let read = reading.await.map_err(|_| Error::TooSlow { request: "read" });
        let closed = self.sftp.close(handle).await.map_err(|it| failed("close", it));
        let bytes = read??;
        closed?;
        Ok(bytes)
    }

    async fn read_unchanged(&self, handle: &str, listed: &Entry) -> Result<Option<Vec<u8>>, Error> {
        let as_listed = (listed.bytes, listed.modified_at);
        if self.state_of(handle).await? != as_listed {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(listed.bytes).unwrap_or(0));
        // One block beyond the end tells a file that grew.
        while bytes.len() as u64 <= listed.bytes {
            let at = |block: u64| bytes.len() as u64 + block * u64::from(BLOCK_BYTES);
            let block = |at| self.sftp.read(handle, at, BLOCK_BYTES);
            let blocks = tokio::join!(block(at(0)), block(at(1)), block(at(2)), block(at(3)));
            let mut is_end = false;
            for read in [blocks.0, blocks.1, blocks.2, blocks.3] {
                match read {
                    Ok(data) => {
                        bytes.extend_from_slice(&data.data);
                        if data.data.len() < BLOCK_BYTES as usize {
                            // What was asked for behind a short block does not follow it.
                            is_end = data.data.is_empty();
                            break;
                        }
                    }
                    Err(SftpError::Status(it)) if it.status_code == StatusCode::Eof => {
                        is_end = true;
                        break;
                    }
                    Err(error) => return Err(failed("read", error)),
                }
            }
            if is_end {
                break;
            }
        }
        let is_unchanged = bytes.len() as u64 == listed.bytes && self.state_of(handle).await? == as_listed;
        Ok(is_unchanged.then_some(bytes))
    }

    async fn state_of(&self, handle: &str) -> Result<(u64, u32), Error> {
        let found = self.sftp.fstat(handle).await.map_err(|it| failed("fstat", it))?;
        Ok(size_and_time(&found.attrs))
    }

    pub async fn remove(&self, path: &str) -> Result<(), Error> {
        self.sftp.remove(path).await.map(drop).map_err(|it| failed("remove", it))
    }

    /// Fails where the new name is in use, at most servers.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.sftp.rename(from, to).await.map(drop).map_err(|it| failed("rename", it))
    }

    /// Writes a file whole, over what was there.
    pub async fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        let opened = self.sftp.open(path, flags, FileAttributes::empty()).await;
        let handle = opened.map_err(|it| failed("open", it))?.handle;
        let mut written = Ok(());
        let mut at = 0;
        for block in bytes.chunks(BLOCK_BYTES as usize) {
            written = self.sftp.write(handle.as_str(), at, block.to_vec()).await.map(drop);
            if written.is_err() {
                break;
            }
            at += block.len() as u64;
        }
        let closed = self.sftp.close(handle).await.map_err(|it| failed("close", it));
        written.map_err(|it| failed("write", it))?;
        closed.map(drop)
    }

    /// Says good-bye; the connection ends either way.
    pub async fn leave(self) {
        let _ending = self.sftp.close_session();
        let farewell = self.session.disconnect(Disconnect::ByApplication, "", "en");
        let _ended = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

async fn sign_in(login: &Login, stream: TcpStream) -> Result<Server, Error> {
    let mut ssh = client::Config { inactivity_timeout: Some(IDLE), ..client::Config::default() };
    // Compressed data would be a bomb's way around every limit.
    ssh.preferred.compression = vec![compression::NONE].into();
    if let HostKey::Key(key) = &login.host_key {
        // A server with several keys shows the one that is asked for.
        ssh.preferred.key = vec![key.algorithm()].into();
    }
    let pinned = Pinned(login.host_key.clone());
    let mut session = client::connect_stream(Arc::new(ssh), stream, pinned).await?;
    let is_taken = match &login.credential {
        Credential::Key(key) => {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), Some(HashAlg::Sha512));
            session.authenticate_publickey(login.user.as_str(), key).await?.success()
        }
        Credential::Agent(socket) => {
            let agent = AgentClient::connect_uds(socket).await.map_err(Error::Agent)?;
            with_agent(login, &mut session, agent).await?
        }
    };
    if !is_taken {
        return Err(if session.is_closed() { russh::Error::HUP.into() } else { Error::Refused });
    }
    let channel = session.channel_open_session().await?;
    channel.request_subsystem(true, "sftp").await?;
    let limits = russh_sftp::client::Config {
        max_packet_len: PACKET_BYTES_MAX,
        request_timeout_secs: REQUEST_S,
        ..russh_sftp::client::Config::default()
    };
    let sftp = RawSftpSession::new_with_config(channel.into_stream(), limits);
    sftp.init().await.map_err(|it| failed("init", it))?;
    Ok(Server { sftp, session })
}

/// Tries the agent's keys one after the other.
async fn with_agent(
    login: &Login,
    session: &mut client::Handle<Pinned>,
    mut agent: AgentClient<tokio::net::UnixStream>,
) -> Result<bool, Error> {
    let identities = agent.request_identities().await.map_err(Error::Agent)?;
    let keys = identities.into_iter().filter_map(|it| match it {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    });
    for key in keys.take(AGENT_KEYS_MAX) {
        let hash = key.algorithm().is_rsa().then_some(HashAlg::Sha512);
        let user = login.user.as_str();
        match session.authenticate_publickey_with(user, key, hash, &mut agent).await {
            Ok(AuthResult::Success) => return Ok(true),
            Ok(AuthResult::Failure { .. }) => {}
            Err(error) => tracing::warn!(error = %Chain(&error), "the key agent did not sign"),
        }
    }
    Ok(false)
}

fn size_and_time(attributes: &FileAttributes) -> (u64, u32) {
    (attributes.size.unwrap_or(0), attributes.mtime.unwrap_or(0))
}

fn failed(request: &'static str, error: SftpError) -> Error {
    match error {
        SftpError::Status(it) => {
            Error::Status { request, status: it.status_code, said: it.error_message.into() }
        }
        SftpError::Timeout => Error::TooSlow { request },
        SftpError::IO(_)
        | SftpError::Limited(_)
        | SftpError::UnexpectedBehavior(_)
        | SftpError::UnexpectedPacket => Error::Broken { request },
    }
}
