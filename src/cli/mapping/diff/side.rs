//! OLD and NEW: a folder of mappings, one laboratory's folder, or the digest of a mapping that the store remembers.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::cli::Failure;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::clinical::mapping::Catalog;
use crate::config::Config;
use crate::config::library;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// The shortest beginning of a digest that is taken for one.
const DIGEST_CHARS_MIN: usize = 8;

/// What was given, before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'a> {
    /// The whole digest or its beginning.
    Digest(&'a str),
    /// One laboratory's folder.
    Laboratory(&'a Path),
    /// A folder of mappings.
    Mappings(&'a Path),
}

/// One of the two that are compared.
pub(super) struct Side {
    pub(super) catalog: Catalog,
    /// The laboratory whose mapping it is; none for a folder of many.
    pub(super) only: Option<String>,
}

impl<'a> Given<'a> {
    pub(super) fn look(given: &'a Path) -> Result<Self, Failure> {
        if given.join("mapping.toml").is_file() {
            return Ok(Self::Laboratory(given));
        }
        if given.join("labs").is_dir() {
            return Ok(Self::Mappings(given));
        }
        let is_digest = |text: &&str| {
            text.len() >= DIGEST_CHARS_MIN && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
        };
        if let Some(digest) = given.to_str().filter(is_digest).filter(|_| !given.exists()) {
            return Ok(Self::Digest(digest));
        }
        let message = format!("`{}` is no folder of mappings, and no digest of one", given.display());
        let help =
            "name a folder with labs/ in it, one with a mapping.toml, or the first characters of a digest";
        Err(refused(Code::new("M070"), message, help))
    }

    /// Whether it takes a store to read it.
    pub(super) const fn is_stored(self) -> bool {
        matches!(self, Self::Digest(_))
    }

    /// Compiles it. What one laboratory's folder refers to and has not, such as another's table, comes from `base`.
    pub(super) fn open(self, base: Option<&Path>, config: Option<&Config>) -> Result<Side, Failure> {
        match self {
            Self::Digest(digest) => {
                let Remembered { lab, files } = remembered(digest, config)?;
                let catalog = Catalog::compile(&files).map_err(|it| told(it, digest))?;
                Ok(Side { catalog, only: Some(lab) })
            }
            Self::Laboratory(folder) => {
                let place = folder.display().to_string();
                let (lab, own) = library::laboratory(folder).map_err(|it| told(it, &place))?;
                let mut files = library::library(base).map_err(Failure::Configuration)?;
                // Only its own mapping is compiled: what is wrong with others is not the question.
                let beside = format!("labs/{lab}/");
                files.retain(|name, _| !name.starts_with(&beside) && !name.ends_with("/mapping.toml"));
                files.extend(own);
                let catalog = Catalog::compile(&files).map_err(|it| told(it, &place))?;
                Ok(Side { catalog, only: Some(lab) })
            }
            Self::Mappings(folder) => {
                let place = folder.display().to_string();
                let files = library::library(Some(folder)).map_err(|it| told(it, &place))?;
                Ok(Side { catalog: Catalog::compile(&files).map_err(|it| told(it, &place))?, only: None })
            }
        }
    }
}

/// A mapping as it was loaded once, with every file it needs.
#[derive(Deserialize)]
struct Remembered {
    lab: String,
    files: BTreeMap<String, String>,
}

/// Asks whoever has the store open.
fn remembered(digest: &str, config: Option<&Config>) -> Result<Remembered, Failure> {
    let help = "`gateway mapping active` lists what runs; every mapping that was ever loaded is remembered";
    let unknown = |error: anyhow::Error| {
        let reason = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        refused(Code::new("M074"), format!("the digest `{digest}` says no mapping: {reason}"), help)
    };
    let config = config.ok_or_else(|| unknown(anyhow::anyhow!("no store is configured")))?;
    let asked = runtime()?.block_on(async {
        Owner::reach(config, Missing::Refuse).await?.get(&format!("/mappings/{digest}")).await
    });
    serde_json::from_value(asked.map_err(unknown)?).map_err(|error| unknown(error.into()))
}

/// The problems of one side, which say which it is.
fn told(problems: Vec<Diagnostic>, side: &str) -> Failure {
    Failure::Configuration(problems.into_iter().map(|it| it.fact(format!("in {side}"))).collect())
}

fn refused(code: Code, message: String, help: &str) -> Failure {
    Failure::Configuration(vec![Diagnostic::error(code, message).help(help)])
}
