//! Secrets by reference: a file or a variable of the environment, never a literal.

use std::collections::BTreeMap;
use std::path::Path;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// The largest file a secret is read from; keys and passwords are far smaller.
const SECRET_BYTES_MAX: u64 = 65_536;

/// The secret's text.
///
/// # Errors
/// C005, with what could not be found and never with the secret.
pub(super) fn resolve(
    key: &str,
    reference: &BTreeMap<String, String>,
    base: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<String, Diagnostic> {
    let missing = |what: String| {
        Diagnostic::error(Code::new("C005"), what)
            .at(key)
            .help("write { file = \"path\" } or { env = \"NAME\" }; `gateway keys init --out master.key` makes a key")
    };
    let mut entries = reference.iter();
    match (entries.next(), entries.next()) {
        (Some((kind, name)), None) if kind == "file" => read(&super::beside(base, Path::new(name)))
            .map_err(|error| missing(format!("cannot read the file of a secret: {error}"))),
        (Some((kind, name)), None) if kind == "env" => environment
            .get(name)
            .cloned()
            .ok_or_else(|| missing(format!("the environment variable `{name}` of a secret is not set"))),
        _ => Err(missing("a secret is given neither as a file nor as a variable".to_owned())),
    }
}

#[expect(clippy::disallowed_methods, reason = "the configuration reads the files that hold its secrets")]
fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > SECRET_BYTES_MAX {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than a secret"));
    }
    std::fs::read_to_string(path)
}
