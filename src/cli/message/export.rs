//! The exact bytes of many messages, a file each: for a mapping to be tried on, or for the laboratory.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use crate::cli::ConfigArguments;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::message::PAGE_ROWS;
use crate::cli::message::PROGRESS_EVERY;
use crate::cli::message::ask;
use crate::cli::message::page;
use crate::cli::output;

pub(super) fn run(config: &ConfigArguments, folder: &Path, path: &str, format: Format) -> crate::cli::Result {
    // What is exported is patients' data: nobody else on this machine may read it.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make `{}`", folder.display()))?;
    let written = ask(config, async |owner| {
        let (mut written, mut after) = (0_usize, String::new());
        loop {
            let ids = page(owner, &format!("{path}&limit={PAGE_ROWS}{after}")).await?;
            let Some(last) = ids.last() else { return Ok(written) };
            after = format!("&after={last}");
            for id in ids {
                let bytes = owner.get_bytes(&format!("/messages/{id}/raw")).await?;
                write(&folder.join(format!("{id}.{}", ending(&bytes))), &bytes)?;
                written += 1;
                if written.is_multiple_of(PROGRESS_EVERY) {
                    output::note(&format!("{written} messages so far"));
                }
            }
        }
    })?;
    match format {
        Format::Json => output::json(&json!({ "written": written, "folder": folder })),
        Format::Plain => output::line(&format!("{written} messages written to {}", folder.display())),
    };
    Ok(Outcome::Done)
}

fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let cannot = || format!("cannot write `{}`", file.display());
    let mut out =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).with_context(cannot)?;
    out.write_all(bytes).with_context(cannot)
}

/// What the bytes look like, for editors; nothing is decided by it.
fn ending(bytes: &[u8]) -> &'static str {
    match bytes.trim_ascii_start() {
        [b'{' | b'[', ..] => "json",
        [b'<', ..] => "xml",
        [b'M', b'S', b'H', ..] => "hl7",
        _ => "txt",
    }
}
