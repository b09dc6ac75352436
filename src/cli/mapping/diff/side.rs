//! OLD and NEW: a folder of mappings, or one laboratory's folder.

use std::path::Path;

use crate::cli::Failure;
use crate::clinical::mapping::Catalog;
use crate::config::library;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// One of the two that are compared.
pub(super) struct Side {
    pub(super) catalog: Catalog,
    /// The laboratory whose folder it is; none for a folder of many.
    pub(super) only: Option<String>,
}

/// Compiles what was given. What one laboratory's folder lacks, such as another's table, comes from the mappings in use.
pub(super) fn open(given: &Path, base: Option<&Path>) -> Result<Side, Failure> {
    let told = |problems: Vec<Diagnostic>| {
        let place = format!("in {}", given.display());
        Failure::Configuration(problems.into_iter().map(|it| it.fact(place.clone())).collect())
    };
    if given.join("mapping.toml").is_file() {
        let (lab, own) = library::laboratory(given).map_err(told)?;
        let mut files = library::library(base).map_err(Failure::Configuration)?;
        let beside = format!("labs/{lab}/");
        files.retain(|name, _| !name.starts_with(&beside));
        // Only its own mapping is compiled: what is wrong with others is not the question.
        files.retain(|name, _| !name.ends_with("/mapping.toml"));
        files.extend(own);
        let catalog = Catalog::compile(&files).map_err(told)?;
        return Ok(Side { catalog, only: Some(lab) });
    }
    if given.join("labs").is_dir() {
        let files = library::library(Some(given)).map_err(told)?;
        return Ok(Side { catalog: Catalog::compile(&files).map_err(told)?, only: None });
    }
    let message = format!("`{}` is neither a folder of mappings nor that of one laboratory", given.display());
    let help = "name a folder with labs/ in it, or one with a mapping.toml";
    Err(Failure::Configuration(vec![Diagnostic::error(Code::new("M070"), message).help(help)]))
}
