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
    pub session_minutes: u32,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inbound {
    pub mllp: Mllp,
    pub mllps: Mllps,
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
    #[serde(default)]
    pub dangerous_any_sender: bool,
    /// For `sftp_poll`: the laboratory's server, and how files are fetched from it.
    #[serde(default)]
    pub poll: Option<Poll>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedKind {
    Mllp,
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

fn production() -> Vec<String> {
    vec!["P".to_owned()]
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
