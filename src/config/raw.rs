//! The configuration as written: all keys, none checked beyond its type.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    pub store: Store,
    pub keys: Keys,
    pub http: Http,
    pub inbound: Inbound,
    pub mappings: Mappings,
    pub matching: Matching,
    pub cliniko: Cliniko,
    pub log: Log,
    #[serde(default)]
    pub lab: Vec<Lab>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub backend: Backend,
    pub directory: PathBuf,
    pub cache_bytes: usize,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Backend {
    Embedded,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    pub master: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub listen: String,
    pub body_bytes_max: usize,
    pub public_url: String,
    pub session_minutes: u32,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inbound {
    pub http: InboundHttp,
    pub mllp: Mllp,
    pub mllps: Mllps,
    pub sftp: Sftp,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboundHttp {
    pub body_bytes_max: usize,
    pub bodies_bytes_max: usize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mllp {
    pub listen: String,
    pub frame_bytes_max: usize,
    pub connections_max: usize,
    pub idle_ms: u64,
    pub shutdown_ms: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mllps {
    pub listen: String,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: PathBuf,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sftp {
    pub listen: String,
    pub host_key: BTreeMap<String, String>,
    pub file_bytes_max: usize,
    pub files_max: usize,
    pub receipts_max: usize,
    pub sessions_max: usize,
    pub session_bytes_max: u64,
    pub memory_bytes_max: usize,
    pub idle_ms: u64,
    pub shutdown_ms: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mappings {
    pub directory: PathBuf,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matching {
    pub dangerous_test_nhs_numbers: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cliniko {
    pub vendor: String,
    pub contact: String,
    pub rate_per_minute: u32,
    pub shards: Vec<String>,
    pub recovery: Recovery,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recovery {
    pub request_life_ms: u64,
    pub settle_ms: u64,
    pub dangerous_fast: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Json,
    Plain,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lab {
    pub name: String,
    pub mapping: String,
    #[serde(default)]
    pub clinics: Vec<String>,
    #[serde(default)]
    pub feed: Vec<Feed>,
    /// Which clinic a report goes to, where the laboratory serves several.
    #[serde(default)]
    pub route: Vec<Route>,
    /// The laboratory's program that fetches access tokens by SMART backend services.
    #[serde(default)]
    pub jwt: Option<Jwt>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    pub clinic: String,
    #[serde(default)]
    pub accounts: Vec<String>,
    #[serde(default)]
    pub facilities: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwt {
    pub client_id: String,
    /// The program's public keys: { file = "…" } or { env = "…" } with a JWK set.
    pub jwks: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hmac {
    pub secret: BTreeMap<String, String>,
    pub header: String,
    #[serde(default)]
    pub encoding: Encoding,
    #[serde(default)]
    pub prefix: String,
    #[serde(default)]
    pub timestamp_header: Option<String>,
    #[serde(default = "five_minutes")]
    pub replay_window_s: u32,
    #[serde(default)]
    pub covers: Covers,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    Base64,
    #[default]
    Hex,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Covers {
    #[default]
    #[serde(rename = "body")]
    Body,
    #[serde(rename = "timestamp.body")]
    TimestampAndBody,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feed {
    pub name: String,
    pub kind: FeedKind,
    /// Where this feed is read by another mapping than the laboratory's.
    #[serde(default)]
    pub mapping: Option<String>,
    #[serde(default)]
    pub senders: Vec<String>,
    #[serde(default = "production")]
    pub processing_ids: Vec<String>,
    #[serde(default)]
    pub on_store_failure: OnStoreFailure,
    /// Where the application acknowledgements go that MSH-16 asks for: `same-connection`, `none`, or `HOST:PORT`.
    #[serde(default = "same_connection")]
    pub application_acks: String,
    /// `repeating` where the laboratory's control ids start again: then the content names a message.
    #[serde(default)]
    pub control_ids: ControlIds,
    /// Warn when the feed has said nothing for so many minutes.
    #[serde(default)]
    pub silence_alert_minutes: Option<u32>,
    #[serde(default)]
    pub dangerous_any_sender: bool,
    /// SFTP: the public keys that sign in, in OpenSSH's form.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// SFTP: when a file is complete.
    #[serde(default)]
    pub take: Completion,
    /// SFTP: what a marker's name has behind that of its file.
    #[serde(default = "markers")]
    pub marker_suffixes: Vec<String>,
    /// For `sftp_poll`: the laboratory's server, and how files are fetched from it.
    #[serde(default)]
    pub poll: Option<Poll>,
    /// Names of which a sender's TLS certificate must bear one.
    #[serde(default)]
    pub client_certificates: Vec<String>,
    /// How the laboratory signs its bodies.
    #[serde(default)]
    pub hmac: Option<Hmac>,
    /// A token that the laboratory always sends.
    #[serde(default)]
    pub bearer: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub dangerous_no_credentials: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ControlIds {
    #[default]
    Unique,
    Repeating,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedKind {
    Fhir,
    Http,
    Mllp,
    Sftp,
    SftpPoll,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Poll {
    pub address: String,
    pub user: String,
    /// A line of the server's public key, or its SHA256 fingerprint.
    #[serde(default)]
    pub host_key: String,
    pub key: PollKey,
    pub folder: String,
    #[serde(default = "hl7_files")]
    pub pattern: String,
    #[serde(default = "a_minute")]
    pub every_ms: u64,
    #[serde(default = "ten_seconds")]
    pub stable_ms: u64,
    #[serde(default)]
    pub take: Take,
    #[serde(default = "done")]
    pub marker: String,
    #[serde(default)]
    pub after: After,
    #[serde(default)]
    pub archive_folder: Option<String>,
    #[serde(default)]
    pub receipts_folder: Option<String>,
    #[serde(default = "thirty_two_mebibytes")]
    pub file_bytes_max: u64,
}

/// When a file in an inbox is complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Completion {
    #[default]
    Close,
    Marker,
    Rename,
}

/// A private key by reference, or the agent that `SSH_AUTH_SOCK` names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollKey {
    #[serde(default)]
    pub file: Option<String>,
    #[serde(default)]
    pub env: Option<String>,
    #[serde(default)]
    pub agent: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Take {
    #[default]
    Any,
    Marker,
    Rename,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum After {
    Archive,
    Delete,
    #[default]
    Leave,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum OnStoreFailure {
    #[default]
    AE,
    AR,
    #[serde(rename = "close")]
    Close,
}

fn five_minutes() -> u32 {
    300
}

fn same_connection() -> String {
    "same-connection".to_owned()
}

fn production() -> Vec<String> {
    vec!["P".to_owned()]
}

fn markers() -> Vec<String> {
    vec![".ok".to_owned(), ".done".to_owned()]
}

fn hl7_files() -> String {
    "*.hl7".to_owned()
}

const fn a_minute() -> u64 {
    60_000
}

const fn ten_seconds() -> u64 {
    10_000
}

fn done() -> String {
    ".done".to_owned()
}

const fn thirty_two_mebibytes() -> u64 {
    33_554_432
}
