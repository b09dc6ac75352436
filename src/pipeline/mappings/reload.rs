//! Changed files, compiled aside and swapped in as a whole; or told of, while the old ones serve on.

use std::sync::Arc;
use std::time::Duration;

use crate::audit;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::feeds::Feeds;
use crate::pipeline::mappings::Failure;
use crate::pipeline::mappings::Files;
use crate::pipeline::mappings::Loaded;
use crate::pipeline::mappings::Source;
use crate::pipeline::mappings::Standing;
use crate::pipeline::mappings::pairing;
use crate::pipeline::mappings::remembering;
use crate::store;

/// Files are read twice, so long apart, and must be the same: a change that is being written is no change yet.
const SETTLING: Duration = Duration::from_millis(100);
/// How often that is tried.
const SETTLING_TRIES: usize = 20;

/// What came of looking at the files.
#[derive(Debug)]
pub enum Reloaded {
    /// They do not compile, or may not serve: what served before serves on.
    Refused(Vec<Diagnostic>),
    Swapped(Vec<Swap>),
    /// They are what serves already.
    Unchanged,
}

/// One part of the folder, by the digests before and after; none where it is new or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    pub part: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// Reads the files and lets them serve if they can. `by` is who asked: `operator`, or `gateway` where a change was seen.
///
/// # Errors
/// The store takes no change. Then nothing is swapped, because what read a message must be remembered.
pub async fn reload(pipeline: &Pipeline, by: &str) -> Result<Reloaded, store::Error> {
    let mappings = &pipeline.mappings;
    let _turn = mappings.turn.lock().await;
    let (before, now) = (mappings.loaded(), pipeline.clock.now());
    let compiled = match settled(mappings.source(), SETTLING).await {
        Ok(files) if files == before.files => {
            mappings.stand(Standing { loaded: before, failure: None });
            return Ok(Reloaded::Unchanged);
        }
        Ok(files) => {
            let parts = before.parts.clone();
            let compiled = tokio::task::spawn_blocking(move || Loaded::compile(files, now, Some(&parts)));
            compiled.await.unwrap_or_else(|_| Err(vec![defect()]))
        }
        Err(problems) => Err(problems),
    };
    match compiled.and_then(|loaded| serves(&pipeline.feeds, &before, loaded)) {
        Ok(loaded) => {
            let swaps = swaps(&before, &loaded);
            let mut change = remembering(&pipeline.store, now, &loaded.compiled.catalog, &loaded.files)?;
            for swap in &swaps {
                change.audit(entry(now, by, swap));
            }
            pipeline.store.commit(change).await?;
            for Swap { part, from, to } in &swaps {
                tracing::info!(by, part, from, to, "swapped a mapping");
            }
            mappings.stand(Standing { loaded: Arc::new(loaded), failure: None });
            Ok(Reloaded::Swapped(swaps))
        }
        Err(diagnostics) => {
            shout(&diagnostics);
            let failure = Failure { at: now, diagnostics: diagnostics.clone() };
            mappings.stand(Standing { loaded: before, failure: Some(Arc::new(failure)) });
            Ok(Reloaded::Refused(diagnostics))
        }
    }
}

/// The files, once they are the same in two looks.
pub(super) async fn settled(source: &Source, pause: Duration) -> Result<Files, Vec<Diagnostic>> {
    let mut last = read(source).await;
    for _ in 0..SETTLING_TRIES {
        tokio::time::sleep(pause).await;
        let again = read(source).await;
        if again == last {
            return again;
        }
        last = again;
    }
    let problem = Diagnostic::error(Code::new("M211"), "the mapping files change while they are read")
        .fact("refused: the mappings that served before serve on")
        .help("let the copy or the edit come to its end, then run `gateway mapping reload`");
    Err(vec![problem])
}

async fn read(source: &Source) -> Result<Files, Vec<Diagnostic>> {
    let source = source.clone();
    tokio::task::spawn_blocking(move || source.files()).await.unwrap_or_else(|_| Err(vec![defect()]))
}

/// A feed whose mapping served must not lose it, nor have one for another format: its messages would be held one and all.
fn serves(feeds: &Feeds, before: &Loaded, loaded: Loaded) -> Result<Loaded, Vec<Diagnostic>> {
    let (old, new) = (&before.compiled.catalog, &loaded.compiled.catalog);
    let lost =
        feeds.iter().filter(|feed| old.lab(&feed.mapping).is_some() && new.lab(&feed.mapping).is_none());
    let lost: Vec<Diagnostic> = lost
        .map(|feed| {
            let message = format!("the mapping `{}` is gone, and the feed `{}` reads by it", feed.mapping, feed.name);
            Diagnostic::error(Code::new("M212"), message)
                .fact("refused: the mappings that served before serve on")
                .help(format!(
                    "put labs/{}/mapping.toml back, or take the feed out of the configuration and start again",
                    feed.mapping
                ))
        })
        .chain(pairing::mismatches(feeds, new))
        .collect();
    if lost.is_empty() { Ok(loaded) } else { Err(lost) }
}

fn swaps(before: &Loaded, after: &Loaded) -> Vec<Swap> {
    let digest = |loaded: &Loaded, part: &str| loaded.parts.get(part).map(|it| it.digest.clone());
    let mut parts: Vec<&String> = before.parts.keys().chain(after.parts.keys()).collect();
    parts.sort_unstable();
    parts.dedup();
    let swap =
        |part: &String| Swap { part: part.clone(), from: digest(before, part), to: digest(after, part) };
    parts.into_iter().map(swap).filter(|it| it.from != it.to).collect()
}

fn entry(now: jiff::Timestamp, by: &str, swap: &Swap) -> audit::Entry {
    let Swap { part, from, to } = swap;
    let digests = [("from", from), ("to", to)].into_iter().filter_map(|(name, it)| Some((name, it.clone()?)));
    let entry = audit::Entry::new(now, by, "mapping.swapped", part.clone());
    digests.fold(entry, |entry, (name, digest)| entry.with(name, digest))
}

/// Says in the log that a person must act. Mapping files hold no patient's data, and only places of them are named.
fn shout(diagnostics: &[Diagnostic]) {
    let codes: Vec<&str> = diagnostics.iter().map(|it| it.code.as_str()).collect();
    let places: Vec<String> = diagnostics
        .iter()
        .filter_map(|it| it.span.as_ref().map(|span| format!("{}:{}", span.file, span.line)))
        .collect();
    tracing::error!(
        codes = codes.join(" "),
        places = places.join(" "),
        "changed mappings cannot serve; those from before serve on, until the files are mended"
    );
}

fn defect() -> Diagnostic {
    Diagnostic::error(Code::new("M213"), "compiling the mapping files met a defect of the gateway")
        .fact("refused: the mappings that served before serve on")
        .help("report the change to the gateway's makers; take it back meanwhile")
}
