//! What each feed has sent and what became of it: durable counts, and when it was last heard.
//!
//! The counts are written with the messages they count (`records::message`), so a restart changes none of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::pipeline::feeds::Feeds;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::pipeline::records::message;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

/// Notes that a feed sent something, whatever became of it.
pub fn heard(change: &mut Change, feed: &str, now: Timestamp) {
    change.put_plain(Table::Feeds, feed.as_bytes(), encode(&now));
}

/// When a feed was last heard; `None` for one that never was.
pub fn last_heard(store: &Store, feed: &str) -> Result<Option<Timestamp>, store::Error> {
    let row = store.get_plain(Table::Feeds, feed.as_bytes())?;
    row.map(|row| decode(Table::Feeds, &row)).transpose()
}

/// One feed's messages by where they stand. Held and rejected ones that a person closed are in `discarded`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Empty: messages of senders that no feed names.
    pub feed: String,
    pub lab: Option<String>,
    pub last_heard: Option<Timestamp>,
    pub waiting: i64,
    pub mapped: i64,
    pub held: i64,
    pub rejected: i64,
    pub discarded: i64,
}

/// Every feed that is configured or ever sent something, by name.
pub fn all(store: &Store, feeds: &Feeds) -> Result<Vec<Figures>, store::Error> {
    let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
    for (name, count) in store.counters(message::FEED_COUNTER_PREFIX)? {
        let place = name.strip_prefix(message::FEED_COUNTER_PREFIX).and_then(|it| it.rsplit_once('.'));
        let Some((feed, word)) = place else { continue };
        counts.insert((feed.to_owned(), word.to_owned()), count);
    }
    let mut names: BTreeSet<String> = counts.keys().map(|(feed, _)| feed.clone()).collect();
    names.extend(feeds.iter().map(|feed| feed.name.clone()));
    names.into_iter().map(|feed| of_feed(store, feeds, &counts, feed)).collect()
}

fn of_feed(
    store: &Store,
    feeds: &Feeds,
    counts: &BTreeMap<(String, String), i64>,
    feed: String,
) -> Result<Figures, store::Error> {
    let count = |word: &str| counts.get(&(feed.clone(), word.to_owned())).copied().unwrap_or(0);
    let of_state = |state: message::State| count(state.as_str());
    Ok(Figures {
        lab: feeds.named(&feed).map(|it| it.lab.clone()),
        last_heard: last_heard(store, &feed)?,
        waiting: of_state(message::State::Waiting),
        mapped: of_state(message::State::Mapped),
        held: of_state(message::State::Held),
        rejected: of_state(message::State::Rejected),
        discarded: count(message::DISCARDED),
        feed,
    })
}
