//! Counts for Prometheus, in its text format (version 0.0.4). Labels are names of clinics, feeds and states: no patient's.
//!
//! Message and case counts are durable: they are kept with the changes they count, and outlive a restart.

use std::collections::BTreeSet;
use std::fmt::Write;

use axum::extract;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::http::State;
use crate::http::problem::Refused;
use crate::pipeline::Pipeline;
use crate::pipeline::feeds::figures;
use crate::pipeline::feeds::figures::Figures;
use crate::pipeline::feeds::silence;
use crate::pipeline::fetches;
use crate::pipeline::records::job;
use crate::pipeline::records::message;
use crate::pipeline::records::report;
use crate::pipeline::review;
use crate::store;

const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const CASES_PREFIX: &str = "cases.";

pub(super) async fn metrics(extract::State(state): extract::State<State>) -> Result<Response, Refused> {
    let text = text(&state.pipeline)?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

fn text(pipeline: &Pipeline) -> Result<String, store::Error> {
    let store = pipeline.store.as_ref();
    let mut page = Page::default();
    page.family("gateway_messages", "gauge", "Kept messages by state.");
    for state in message::State::ALL {
        page.sample(
            &format!("gateway_messages{{state=\"{}\"}}", state.as_str()),
            store.counter(&state.counter())?,
        );
    }
    page.family(
        "gateway_messages_duplicates",
        "counter",
        "Messages that came again and were answered as before.",
    );
    page.sample("gateway_messages_duplicates", store.counter(message::DUPLICATES)?);
    page.family(
        "gateway_sender_mismatches",
        "counter",
        "Messages refused because their sender claimed another's name.",
    );
    page.sample("gateway_sender_mismatches", store.counter(message::IMPOSTORS)?);
    for (counter, family, help) in [
        (report::REPEATS, "gateway_reports_repeated", "Reports that said what an earlier version had said."),
        (
            report::WRONG_PATIENT,
            "gateway_reports_wrong_patient",
            "Reports that take results back as another's.",
        ),
    ] {
        page.family(family, "counter", help);
        page.sample(family, store.counter(counter)?);
    }
    feeds(pipeline, &mut page)?;
    page.family("gateway_cases", "gauge", "Cases by clinic and state.");
    let mut clinics = BTreeSet::new();
    for (name, count) in store.counters(CASES_PREFIX)? {
        // A clinic's name is letters, digits and hyphens (`config::is_slug`), so the last dot ends it.
        let Some((clinic, state)) = name.strip_prefix(CASES_PREFIX).and_then(|it| it.rsplit_once('.')) else {
            continue;
        };
        page.sample(&format!("gateway_cases{{clinic=\"{clinic}\",state=\"{state}\"}}"), count);
        clinics.insert(clinic.to_owned());
    }
    let clinics: Vec<String> = clinics.into_iter().collect();
    page.family("gateway_critical_unseen", "gauge", "Emergencies that no clinician has opened.");
    page.sample("gateway_critical_unseen", review::critical_unseen(store, &clinics)?);
    for (family, help, prefix) in [
        ("gateway_feed_files_fetched", "Files taken from a laboratory's server.", fetches::TAKEN_PREFIX),
        (
            "gateway_feed_poll_failures",
            "Looks at a laboratory's server, and files on it, that failed.",
            fetches::FAILURES_PREFIX,
        ),
    ] {
        page.family(family, "counter", help);
        for (name, count) in store.counters(prefix)? {
            let feed = name.strip_prefix(prefix).unwrap_or_default();
            page.sample(&format!("{family}{{feed=\"{feed}\"}}"), count);
        }
    }
    mappings(pipeline, &mut page);
    page.family("gateway_jobs_waiting", "gauge", "Jobs in all lanes, counted to a thousand.");
    page.sample("gateway_jobs_waiting", job::waiting(store)?);
    page.family("gateway_store_writable", "gauge", "1 while the store takes changes.");
    page.sample("gateway_store_writable", u8::from(store.is_writable()));
    Ok(page.0)
}

/// Whether changed mappings were refused, and since when those that serve do.
fn mappings(pipeline: &Pipeline, page: &mut Page) {
    page.family(
        "gateway_mapping_reload_failed",
        "gauge",
        "1 while changed mapping files cannot serve and those from before do.",
    );
    page.sample("gateway_mapping_reload_failed", u8::from(pipeline.mappings.failure().is_some()));
    page.family(
        "gateway_mapping_loaded_timestamp_seconds",
        "gauge",
        "When the mappings that serve were loaded, in seconds since 1970.",
    );
    page.sample("gateway_mapping_loaded_timestamp_seconds", pipeline.mappings.loaded().at.as_second());
}

/// One of a feed's figures.
type Count = fn(&Figures) -> i64;

/// Silence and backlog of each feed; messages of senders that no feed names have an empty label.
fn feeds(pipeline: &Pipeline, page: &mut Page) -> Result<(), store::Error> {
    let figures = figures::all(&pipeline.store, &pipeline.feeds)?;
    let counts: [(&str, &str, Count); 3] = [
        ("gateway_feed_waiting", "Messages of a feed that wait to be read.", |it| it.waiting),
        ("gateway_feed_held", "Messages of a feed that are held and not discarded.", |it| it.held),
        ("gateway_feed_rejected", "Messages of a feed in quarantine that are not discarded.", |it| {
            it.rejected
        }),
    ];
    for (name, help, count) in counts {
        page.family(name, "gauge", help);
        for it in &figures {
            page.sample(&format!("{name}{{feed=\"{}\"}}", it.feed), count(it));
        }
    }
    page.family("gateway_feed_last_message_seconds", "gauge", "Seconds since a feed was last heard.");
    let now = pipeline.clock.now();
    for it in &figures {
        if let Some(last) = it.last_heard {
            let seconds = now.duration_since(last).as_secs().max(0);
            page.sample(&format!("gateway_feed_last_message_seconds{{feed=\"{}\"}}", it.feed), seconds);
        }
    }
    page.family(
        "gateway_feed_silent",
        "gauge",
        "1 while a feed says nothing for longer than its alert allows.",
    );
    for feed in pipeline.feeds.iter().filter(|feed| feed.silence_alert.is_some()) {
        let silent = u8::from(silence::is_silent(pipeline, feed)?);
        page.sample(&format!("gateway_feed_silent{{feed=\"{}\"}}", feed.name), silent);
    }
    Ok(())
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
            .expect("writing to a String does not fail");
    }

    fn sample(&mut self, name: &str, value: impl std::fmt::Display) {
        writeln!(self.0, "{name} {value}").expect("writing to a String does not fail");
    }
}
