//! Notices when a feed that should speak does not: nobody else would miss what was never sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use crate::pipeline::Pipeline;
use crate::pipeline::feeds::Feed;
use crate::pipeline::feeds::figures;
use crate::store;
use crate::telemetry::Chain;

/// How often feeds are looked at: alerts are set in minutes.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Warns once when a feed falls silent for longer than it may, and says when it speaks again.
pub async fn run(pipeline: Arc<Pipeline>) {
    let mut silent = BTreeSet::new();
    loop {
        match look(&pipeline, &mut silent) {
            Ok(()) => {}
            Err(error) => {
                tracing::error!(error = %Chain(&error), "could not look when feeds were last heard");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn look(pipeline: &Pipeline, silent: &mut BTreeSet<String>) -> Result<(), store::Error> {
    for feed in pipeline.feeds.iter() {
        let is_silent = is_silent(pipeline, feed)?;
        if is_silent && silent.insert(feed.name.clone()) {
            let minutes = feed.silence_alert.unwrap_or_default().as_secs() / 60;
            tracing::warn!(
                feed = feed.name,
                lab = feed.lab,
                minutes,
                "a feed has said nothing for longer than it may"
            );
        } else if !is_silent && silent.remove(&feed.name) {
            tracing::info!(feed = feed.name, lab = feed.lab, "a feed that was silent speaks again");
        }
    }
    Ok(())
}

/// Whether a feed with an alert has said nothing for so long. One never heard counts from the start of this run.
pub fn is_silent(pipeline: &Pipeline, feed: &Feed) -> Result<bool, store::Error> {
    let Some(alert) = feed.silence_alert else { return Ok(false) };
    let last = figures::last_heard(&pipeline.store, &feed.name)?;
    let quiet = pipeline.clock.now().duration_since(last.unwrap_or_else(|| pipeline.run.at()));
    Ok(SignedDuration::try_from(alert).is_ok_and(|alert| quiet >= alert))
}
