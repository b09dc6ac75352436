//! A quarantined message is decided anew, by the feeds of now: what was refused for a reason of ours is then taken.
//!
//! What no feed took was sealed under the gateway's own key. Once a feed takes it, it is sealed under that feed's, in
//! the same transaction that puts it on its way; the bytes, the id and the time of arrival stay. Its answer becomes the
//! acceptance it is now, so that a laboratory that sends it again hears that it is ours.

use std::borrow::Cow;

use bytes::Bytes;

use crate::clinical::mapping::language::Format;
use crate::clock::Clock;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2;
use crate::pipeline::holds::Desk;
use crate::pipeline::holds::Which;
use crate::pipeline::intake::Content;
use crate::pipeline::intake::acknowledge;
use crate::pipeline::intake::content;
use crate::pipeline::intake::content_id;
use crate::pipeline::intake::verdict;
use crate::pipeline::intake::verdict::Verdict;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::message;
use crate::pipeline::records::message::HeaderFacts;
use crate::pipeline::records::message::Message;
use crate::pipeline::records::message::Standing;
use crate::pipeline::records::message::State;
use crate::security::blind_index::Field;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

/// What deciding anew came to.
#[derive(Debug)]
pub(in crate::pipeline) enum Again {
    /// The message waits to be read, as this standing and this change say.
    Accepted(Standing, Change),
    /// The same bytes came again meanwhile and were taken: this one would double them.
    Doubled(MessageId),
    /// It is refused as before, or for what is wrong with it now.
    Refused(Vec<Diagnostic>),
}

/// Decides about a kept message as if it arrived now.
pub(in crate::pipeline) fn decide(
    Desk { store, clock, feeds, mappings, .. }: Desk<'_>,
    id: MessageId,
    before: &Standing,
) -> Result<Again, store::Error> {
    let kept = message::load(store, id, &before.scope())?;
    let kept = kept.ok_or(store::Error::Damaged { table: Table::Messages })?;
    if kept.header.read_again.is_some() {
        // Nobody sent a further reading, so no feed decides about it.
        return Ok(Again::Accepted(Standing::new(State::Waiting, before.feed.clone()), Change::new()));
    }
    let feed = before.feed.as_deref().and_then(|name| feeds.named(name));
    let serving = match mappings {
        Which::Own(_) => None,
        Which::Serving(mappings) => Some(mappings.now()),
    };
    let catalog = match mappings {
        Which::Own(catalog) => catalog,
        Which::Serving(_) => serving.as_ref().map(|it| &it.catalog),
    };
    let format = feed.map_or(Format::Hl7v2, |feed| content::format_again(feed, catalog, &kept.raw));
    if let Some(feed) = feed.filter(|_| format != Format::Hl7v2) {
        let mapping = catalog.and_then(|it| it.lab(&feed.mapping));
        let seen = content::look(format, &kept.raw, None, mapping);
        return take_up(
            store,
            clock,
            (id, before),
            &kept,
            (&seen.content, &verdict::decide_seen(&seen, feed)),
        );
    }
    let er7 = content::er7(&kept.raw).unwrap_or_else(|_| Cow::Borrowed(&kept.raw));
    let decoded = hl7v2::decode(&er7);
    let verdict = match feed {
        Some(feed) => verdict::decide_for(&decoded, feed),
        None => verdict::decide(&decoded, feeds),
    };
    take_up(store, clock, (id, before), &kept, (&Content::of(decoded.message.as_ref()), &verdict))
}

/// Puts an accepted message on its way, under its feed's key.
fn take_up(
    store: &Store,
    clock: &dyn Clock,
    (id, before): (MessageId, &Standing),
    kept: &Message,
    (content, verdict): (&Content<'_>, &Verdict),
) -> Result<Again, store::Error> {
    let Some(feed) = verdict.feed.as_ref().filter(|_| verdict.is_accepted()) else {
        return Ok(Again::Refused(verdict.diagnostics()));
    };
    let after = Standing::new(State::Waiting, Some(feed.name.clone()));
    let by_content = content_id(&content.control_id, &kept.header.sha256);
    let name = if content.control_id.is_empty() { &by_content } else { content.control_id.as_ref() };
    let same_name = store.find(Table::Messages, &after.scope(), Field::ControlId, name)?;
    if let Some(other) = same_name.iter().find(|key| key.as_slice() != id.key()) {
        return other_of_that_name(store, &after, (content.format, verdict), other, &kept.header.sha256);
    }
    let mut change = Change::new();
    if same_name.is_empty() {
        for name in [&by_content, content.control_id.as_ref()] {
            change.unindex(Table::Messages, &id.key(), &before.scope(), Field::ControlId, name);
        }
        change.index_unique(Table::Messages, &id.key(), &after.scope(), Field::ControlId, name);
    }
    let facts = HeaderFacts {
        received_at: kept.header.received_at,
        lab: Some(feed.lab.clone()),
        feed: after.feed.clone(),
        control_id: kept.header.control_id.clone(),
        sha256: kept.header.sha256.clone(),
        read_again: None,
    };
    let (ack, answer) = acknowledge(clock, content, verdict, false).unzip();
    let answer = answer.flatten().unwrap_or_default();
    Message::put(&mut change, id, &after.scope(), facts, (ack, &answer), Bytes::copy_from_slice(&kept.raw));
    Ok(Again::Accepted(after, change))
}

/// Another message of the feed has the control id: the same bytes, or a conflict.
fn other_of_that_name(
    store: &Store,
    after: &Standing,
    (format, verdict): (Format, &Verdict),
    key: &[u8],
    sha256: &str,
) -> Result<Again, store::Error> {
    let other = MessageId::try_from(key).map_err(|_| store::Error::Damaged { table: Table::Index })?;
    let same = message::load(store, other, &after.scope())?.is_some_and(|it| it.header.sha256 == sha256);
    Ok(if same {
        Again::Doubled(other)
    } else {
        Again::Refused(verdict.of_used_control_id(format).diagnostics())
    })
}
