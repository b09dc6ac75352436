//! The messages that a mapping tool looks at: those of files, or those the store has kept.
//!
//! They are given one after the other and never all held. Kept messages come from whoever has the store open, many in
//! one answer. Which mapping reads a kept message, its feed says.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::files;
use crate::cli::mapping::in_order::in_order;
use crate::cli::message;
use crate::cli::output;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::clinical::mapping::language;
use crate::config::Config;

/// A line of progress for so many messages.
const PROGRESS_EVERY: usize = 1_000;

/// Which messages, and by which configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// Files in the format of the mapping; folders are walked. An HL7 v2 file may hold many messages.
    #[arg(value_name = "DIR", required_unless_present = "stored", conflicts_with = "stored")]
    files: Vec<PathBuf>,
    /// The messages kept in the store instead.
    #[arg(long)]
    stored: bool,
    /// Of the kept, only those received since: a date (UTC) or a time such as 2026-03-01T09:30:00Z.
    #[arg(long, value_name = "TIME", requires = "stored", conflicts_with = "files", value_parser = message::since)]
    since: Option<Timestamp>,
    /// Of the kept, only those that came by this feed.
    #[arg(long, value_name = "FEED", requires = "stored", conflicts_with = "files", value_parser = message::slug)]
    feed: Option<String>,
    /// The laboratory whose mapping reads the files; of the kept, only those of this laboratory's feeds.
    #[arg(long, value_name = "LAB", value_parser = message::slug)]
    pub(super) lab: Option<String>,
    /// Say how far it is on standard error, also where that is no terminal.
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    config: ConfigArguments,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its file and place there, or its id in the store.
    pub(crate) name: String,
    /// The mapping that reads it.
    pub(crate) mapping: Arc<str>,
    pub(crate) bytes: Bytes,
}

/// What came of all messages that were asked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Messages that the work was done on.
    pub(crate) messages: usize,
    /// Files and rows that could not be opened, and messages that met a defect: each has been told.
    pub(crate) unreadable: usize,
    /// Kept messages that no feed of the configuration brought, so that nobody knows which mapping reads them.
    pub(crate) without_feed: usize,
}

/// Where messages come from, once the command line and the configuration have been read.
pub(crate) enum Opened {
    Files { paths: Vec<PathBuf>, mapping: Arc<str>, format: language::Format },
    Store { config: Box<Config>, path: String },
}

impl Source {
    pub(super) fn is_stored(&self) -> bool {
        self.stored
    }

    /// The configuration that says where the store is, and where mappings are. Files alone need none.
    pub(super) fn config(&self, is_needed: bool) -> Result<Option<Box<Config>>, Failure> {
        if !self.stored && !is_needed {
            return Ok(None);
        }
        Ok(Some(Box::new(self.config.load()?.0)))
    }

    /// The folder of the mappings in use: that of the command line, else of the configuration; else the embedded ones.
    pub(super) fn mappings(&self, config: Option<&Config>) -> Option<PathBuf> {
        self.config.mappings.clone().or_else(|| config?.mappings_directory.clone())
    }

    pub(super) fn open_store(&self, config: Box<Config>) -> Opened {
        let mut query = vec!["with_bytes=true".to_owned()];
        query.extend(self.since.map(|it| format!("since={it}")));
        for (name, value) in [("feed", &self.feed), ("lab", &self.lab)] {
            query.extend(value.as_ref().map(|it| format!("{name}={it}")));
        }
        Opened::Store { config, path: format!("/messages?{}", query.join("&")) }
    }

    pub(super) fn open_files(&self, mapping: &str, format: language::Format) -> Opened {
        Opened::Files { paths: self.files.clone(), mapping: mapping.into(), format }
    }

    /// Does `work` on each message of a mapping that is `wanted`, and `take`s what comes of it, in order.
    pub(super) fn read<T: Send>(
        &self,
        opened: &Opened,
        wanted: impl Fn(&str) -> bool,
        work: impl Fn(&Message) -> T + Sync,
        mut take: impl FnMut(&Message, T) + Send,
    ) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        let is_told = self.progress || std::io::stderr().is_terminal();
        let (mut done, mut defects) = (0_usize, 0);
        let result = in_order(
            |each| match opened {
                Opened::Files { paths, mapping, format } => {
                    tally.unreadable = give_files(paths, mapping, *format, each);
                    Ok(())
                }
                Opened::Store { config, path } => give_stored(config, path, &wanted, &mut tally, each),
            },
            work,
            |message, result| {
                let Some(result) = result else {
                    defects += 1;
                    let name = &message.name;
                    output::note(&format!("{name}: reading this message met a defect of the gateway"));
                    return;
                };
                done += 1;
                take(message, result);
                if is_told && done.is_multiple_of(PROGRESS_EVERY) {
                    output::note(&format!("{done} messages so far"));
                }
            },
        );
        if is_told {
            output::note(&format!("{done} messages in all"));
        }
        tally.messages = done;
        tally.unreadable += defects;
        result.map(|()| tally)
    }
}

/// Gives every message of the files; how many files could not be read.
fn give_files(
    paths: &[PathBuf],
    mapping: &Arc<str>,
    format: language::Format,
    each: &mut dyn FnMut(Message),
) -> usize {
    let mut unreadable = 0;
    for file in files::of_format(paths, format) {
        let name = file.path.display();
        match file.bytes {
            Err(problem) => {
                unreadable += 1;
                output::note(&format!("{name}: {}", problem.message));
            }
            Ok(bytes) => {
                let bytes = Bytes::from(bytes);
                for (index, part) in files::split(&bytes, format).enumerate() {
                    let (name, mapping) = (format!("{name} #{index}"), Arc::clone(mapping));
                    each(Message { name, mapping, bytes: bytes.slice_ref(part.bytes) });
                }
            }
        }
    }
    unreadable
}

/// Gives every kept message of a wanted mapping.
fn give_stored(
    config: &Config,
    path: &str,
    wanted: &impl Fn(&str) -> bool,
    tally: &mut Tally,
    each: &mut dyn FnMut(Message),
) -> Result<(), Failure> {
    let mappings: BTreeMap<&str, Arc<str>> =
        config.feeds.iter().map(|feed| (feed.name.as_str(), feed.mapping.as_str().into())).collect();
    let take = |line: &Value, bytes: Option<Bytes>| {
        let text = |key: &str| line.get(key).and_then(Value::as_str);
        let name = text("id").unwrap_or_default().to_owned();
        match (text("feed").and_then(|feed| mappings.get(feed)), bytes) {
            (_, None) => {
                tally.unreadable += 1;
                output::note(&format!("{name}: {}", text("error").unwrap_or("its bytes cannot be opened")));
            }
            (None, _) => tally.without_feed += 1,
            (Some(mapping), Some(bytes)) if wanted(mapping) => {
                each(Message { name, mapping: Arc::clone(mapping), bytes });
            }
            (Some(_), Some(_)) => {}
        }
    };
    let asked = runtime()?
        .block_on(async { Owner::reach(config, Missing::Refuse).await?.messages(path, take).await });
    Ok(asked?)
}

/// What was not looked at, for people.
pub(super) fn tell(tally: Tally) {
    if tally.unreadable > 0 {
        output::note(&format!("{} could not be read", tally.unreadable));
    }
    if tally.without_feed > 0 {
        output::note(&format!(
            "{} kept messages came by no feed of the configuration, and were left out",
            tally.without_feed
        ));
    }
}
