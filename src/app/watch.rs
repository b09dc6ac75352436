//! Watches the mapping folder, and has it loaded when it changed.
//!
//! It looks once a second at names, sizes and times, which is a few system calls for each file, works on every file
//! system, network and container mounts among them, and misses nothing: a notification of the kernel does neither. A
//! change counts when two looks in a row show the same, so that what is still being written is left alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::library;
use crate::config::library::Look;
use crate::pipeline::Pipeline;
use crate::pipeline::mappings;
use crate::pipeline::shutdown::Shutdown;
use crate::telemetry::Chain;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Who is said to have swapped what was seen here.
const BY: &str = "gateway";

/// Watches until the gateway stops. `loaded` is a look from before the files were first read.
pub(super) async fn run(pipeline: Arc<Pipeline>, directory: PathBuf, loaded: Look, mut shutdown: Shutdown) {
    let mut watch = Watch::new(loaded);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let folder = directory.clone();
        let Ok(look) = tokio::task::spawn_blocking(move || library::look(&folder)).await else { continue };
        if !watch.is_settled_change(&look) {
            continue;
        }
        // A store that takes no change takes none until it is opened again, and then the files are read anew.
        if let Err(error) = mappings::reload(&pipeline, BY).await {
            tracing::error!(error = %Chain(&error), "could not load changed mappings");
        }
        watch = Watch::new(look);
    }
}

/// What was loaded, and what was seen since and may still be changing.
#[derive(Debug)]
struct Watch {
    loaded: Look,
    changing: Option<Look>,
}

impl Watch {
    fn new(loaded: Look) -> Self {
        Self { loaded, changing: None }
    }

    /// Whether the folder is otherwise than it was loaded, and as it was at the last look.
    fn is_settled_change(&mut self, look: &Look) -> bool {
        if *look == self.loaded {
            self.changing = None;
            return false;
        }
        let is_settled = self.changing.as_ref() == Some(look);
        self.changing = Some(look.clone());
        is_settled
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join("labs/own").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).and_then(|mut it| it.write_all(text.as_bytes())).unwrap();
    }

    #[test]
    fn a_change_counts_once_nothing_of_it_changes_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let look = || library::look(folder.path());
        write(folder.path(), "mapping.toml", "a");
        let mut watch = Watch::new(look());
        assert!(!watch.is_settled_change(&look()), "nothing changed");
        write(folder.path(), "codes.csv", "the first of two files");
        assert!(!watch.is_settled_change(&look()), "it may go on");
        write(folder.path(), "mapping.toml", "b");
        assert!(!watch.is_settled_change(&look()), "it went on");
        assert!(watch.is_settled_change(&look()), "it came to its end");
        assert!(watch.is_settled_change(&look()), "until it is loaded");
        let mut watch = Watch::new(look());
        assert!(!watch.is_settled_change(&look()));
        fs::remove_file(folder.path().join("labs/own/codes.csv")).unwrap();
        assert!(!watch.is_settled_change(&look()));
        assert!(watch.is_settled_change(&look()), "a file that is gone is a change");
        write(folder.path(), "examples/one/message.hl7", "not read");
        write(folder.path(), ".mapping.toml.swp", "an editor's own");
        assert!(watch.is_settled_change(&look()), "what is not read is not looked at");
    }
}
