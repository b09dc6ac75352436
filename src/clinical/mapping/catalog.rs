//! All compiled mappings, by laboratory.

use std::collections::BTreeMap;

use crate::clinical::mapping::compile;
use crate::clinical::mapping::plan::Mapping;
use crate::diagnostic::Diagnostic;

/// Every laboratory's mapping. Replaced as a whole when files change, never in part.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    labs: BTreeMap<String, Mapping>,
}

impl Catalog {
    /// Compiles each `labs/<lab>/mapping.toml` of `files` (name below the mappings folder, text), with the tables beside it.
    ///
    /// # Errors
    ///
    /// Every problem of every mapping, in the order of files and lines.
    pub fn compile(files: &BTreeMap<String, String>) -> Result<Self, Vec<Diagnostic>> {
        let mut labs = BTreeMap::new();
        let mut diagnostics = Vec::new();
        for lab in lab_names(files) {
            match compile::compile(lab, files) {
                Ok(mapping) => {
                    labs.insert(lab.to_owned(), mapping);
                }
                Err(problems) => diagnostics.extend(problems),
            }
        }
        if diagnostics.is_empty() { Ok(Self { labs }) } else { Err(diagnostics) }
    }

    pub fn lab(&self, name: &str) -> Option<&Mapping> {
        self.labs.get(name)
    }

    /// Every mapping, by the laboratory's name.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.labs.values()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.labs.keys().map(String::as_str)
    }
}

impl Mapping {
    /// Compiles `labs/<lab>/mapping.toml` of `files`, which may be no more than [`Mapping::files`] names.
    ///
    /// # Errors
    ///
    /// Every problem of the mapping, in the order of files and lines.
    pub fn compile(lab: &str, files: &BTreeMap<String, String>) -> Result<Self, Vec<Diagnostic>> {
        compile::compile(lab, files)
    }
}

pub(super) fn lab_names(files: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    files.keys().filter_map(|name| {
        let lab = name.strip_prefix("labs/")?.strip_suffix("/mapping.toml")?;
        (!lab.is_empty() && !lab.contains('/')).then_some(lab)
    })
}
