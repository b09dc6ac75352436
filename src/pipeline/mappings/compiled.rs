//! What the mapping folder compiles to: mappings, knowledge and the calls to Cliniko, all of it or none.

use std::collections::BTreeMap;

use crate::clinical::interpret::rules::Knowledge;
use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::outbound;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::mappings::Files;
use crate::pipeline::sha256_hex;

/// Where the outbound mapping stands in the mapping folder.
const OUTBOUND_FILE: &str = "cliniko/mapping.toml";

/// Everything that is compiled of one state of the folder.
#[derive(Debug)]
pub struct Compiled {
    pub catalog: Catalog,
    pub knowledge: Knowledge,
    pub outbound: outbound::Mapping,
}

impl Compiled {
    /// Compiles the texts of a mapping folder.
    ///
    /// # Errors
    /// Every problem of every file, at once.
    pub fn compile(files: &Files) -> Result<Self, Vec<Diagnostic>> {
        let mut found = Vec::new();
        let catalog = Catalog::compile(files).map_err(|it| found.extend(it)).ok();
        let knowledge = Knowledge::compile(&below(files, "knowledge/")).map_err(|it| found.extend(it)).ok();
        let outbound = compile_outbound(files).map_err(|it| found.extend(it)).ok();
        match (catalog, knowledge, outbound) {
            (Some(catalog), Some(knowledge), Some(outbound)) => Ok(Self { catalog, knowledge, outbound }),
            _ => Err(found),
        }
    }

    /// The digest of each part, by its place in the folder: `labs/<lab>`, `cliniko`, `knowledge`.
    pub fn digests(&self, files: &Files) -> BTreeMap<String, String> {
        let lab = |it: &Mapping| (format!("labs/{}", it.lab()), it.digest().to_owned());
        let outbound = files.get(OUTBOUND_FILE).map_or("", String::as_str);
        let others = [
            ("cliniko".to_owned(), sha256_hex(outbound.as_bytes())),
            ("knowledge".to_owned(), self.knowledge.digest().to_owned()),
        ];
        self.catalog.iter().map(lab).chain(others).collect()
    }
}

/// The files of one folder, by their names within it.
fn below(files: &Files, folder: &str) -> Files {
    let inside =
        |(name, text): (&String, &String)| Some((name.strip_prefix(folder)?.to_owned(), text.clone()));
    files.iter().filter_map(inside).collect()
}

fn compile_outbound(files: &Files) -> Result<outbound::Mapping, Vec<Diagnostic>> {
    let text = files.get(OUTBOUND_FILE).ok_or_else(|| {
        vec![
            Diagnostic::error(Code::new("C014"), format!("the mapping folder has no `{OUTBOUND_FILE}`"))
                .help("copy it from the sources, and change it there"),
        ]
    })?;
    outbound::Mapping::compile(OUTBOUND_FILE, text)
}
