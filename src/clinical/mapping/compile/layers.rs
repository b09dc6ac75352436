//! The files a mapping is made of: its own first, then what it extends, later before earlier.
//!
//! A file is named as people name it: `standard` is another laboratory's mapping, `blocks/uk` a block that is no
//! laboratory. What is reached twice counts once, where it stands highest.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use crate::clinical::mapping::compile::EXTENDS;
use crate::clinical::mapping::compile::NOT_TOML;
use crate::clinical::mapping::compile::TOO_MANY;
use crate::clinical::mapping::source::Source;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::nearest;

/// How far one file may lead to another.
const DEPTH_MAX: usize = 4;
/// Files of one mapping.
const LAYERS_MAX: usize = 16;
const BLOCKS: &str = "blocks/";

/// One file.
pub(super) struct Layer<'f> {
    /// Its name below the mappings folder: `labs/inuvi/mapping.toml`.
    pub(super) name: String,
    /// As people see it.
    pub(super) shown: String,
    pub(super) text: &'f str,
    pub(super) document: Spanned<DeTable<'f>>,
}

impl<'f> Layer<'f> {
    pub(super) fn source(&self) -> Source<'_> {
        Source { file: &self.shown, text: self.text }
    }

    /// The folder it stands in, in which its tables are.
    pub(super) fn folder(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    pub(super) fn is_block(&self) -> bool {
        self.name.starts_with(BLOCKS)
    }

    pub(super) fn table(&self) -> &DeTable<'f> {
        self.document.get_ref()
    }
}

/// The file of a name that `extends` gives.
fn file_of(name: &str) -> String {
    if name.starts_with(BLOCKS) { format!("{name}.toml") } else { format!("labs/{name}/mapping.toml") }
}

/// Reads a laboratory's mapping and what it extends. What cannot be read is told.
pub(super) fn read<'f>(
    lab: &str,
    files: &'f BTreeMap<String, String>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Layer<'f>> {
    let mut reader = Reader { files, found, layers: Vec::new() };
    reader.add(file_of(lab), &mut Vec::new());
    reader.layers
}

struct Reader<'f, 'd> {
    files: &'f BTreeMap<String, String>,
    found: &'d mut Vec<Diagnostic>,
    layers: Vec<Layer<'f>>,
}

impl Reader<'_, '_> {
    /// `trail` are the files that led here.
    fn add(&mut self, name: String, trail: &mut Vec<String>) {
        if self.layers.iter().any(|it| it.name == name) {
            return;
        }
        let text = self.files.get(&name).map_or("", String::as_str);
        let (document, errors) = DeTable::parse_recoverable(text);
        let layer = Layer { shown: format!("mappings/{name}"), name, text, document };
        for error in &errors {
            let span = layer.source().span(error.span().unwrap_or(0..0), "here");
            let first = error.message().lines().next().unwrap_or_default();
            let message = format!("the file is not TOML: {first}");
            self.found.push(
                Diagnostic::error(NOT_TOML, message).spanning(span).help("correct the line at the caret"),
            );
        }
        let extended = if errors.is_empty() { extended(&layer) } else { Vec::new() };
        trail.push(layer.name.clone());
        let at = self.layers.len();
        self.layers.push(layer);
        // The later wins, so it stands higher.
        for (name, place) in extended.into_iter().rev() {
            if let Err(problem) = self.may_extend(&name, trail) {
                let (code, message, help) = *problem;
                let span = self.layers.get(at).map(|it| it.source().span(place, "extended here"));
                self.found.push(Diagnostic { span, ..Diagnostic::error(code, message).help(help) });
                continue;
            }
            self.add(file_of(&name), trail);
        }
        trail.pop();
    }

    fn may_extend(
        &self,
        name: &str,
        trail: &[String],
    ) -> Result<(), Box<(crate::diagnostic::Code, String, String)>> {
        let file = file_of(name);
        let refuse = |code, message: String, help: String| Err(Box::new((code, message, help)));
        if !self.files.contains_key(&file) {
            let known: Vec<String> = self.files.keys().filter_map(|it| name_of(it)).collect();
            let help = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", known.join(", ")),
            };
            return refuse(EXTENDS, format!("there is no mappings/{file} to extend"), help);
        }
        if trail.contains(&file) {
            let way: Vec<&str> = trail.iter().map(String::as_str).chain([file.as_str()]).collect();
            let message = format!("`{name}` leads back to itself: {}", way.join(" → "));
            return refuse(EXTENDS, message, "take one of them out of its `extends`".to_owned());
        }
        if trail.len() > DEPTH_MAX {
            let message = format!("`{name}` would be the {}th file in a row", trail.len() + 1);
            let help = format!("extend it from nearer by: a chain has at most {DEPTH_MAX} links");
            return refuse(TOO_MANY, message, help);
        }
        if self.layers.len() >= LAYERS_MAX {
            let message = format!("a mapping is made of at most {LAYERS_MAX} files");
            return refuse(TOO_MANY, message, "put what they say into fewer blocks".to_owned());
        }
        Ok(())
    }
}

/// How `extends` would name a file.
fn name_of(file: &str) -> Option<String> {
    let block = file.strip_suffix(".toml").filter(|it| it.starts_with(BLOCKS));
    let lab = || file.strip_prefix("labs/")?.strip_suffix("/mapping.toml");
    block.or_else(lab).map(str::to_owned)
}

/// What a file extends, with its places. What is of another type has its diagnostic where the file's keys are read.
fn extended(layer: &Layer<'_>) -> Vec<(String, Range<usize>)> {
    let Some(node) = layer.table().get("extends") else { return Vec::new() };
    let one = std::slice::from_ref(node);
    let items = node.get_ref().as_array().map_or(one, |items| items);
    items.iter().filter_map(|item| Some((item.get_ref().as_str()?.to_owned(), item.span()))).collect()
}
