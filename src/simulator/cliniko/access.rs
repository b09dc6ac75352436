//! Who calls, what their role allows, and how often they may (reference sections 2.2, 3 and 4.7).
//!
//! A key is the user it belongs to; two keys of one user share one allowance. A key of another
//! shard is refused like one that does not exist.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use jiff::Timestamp;

use crate::simulator::cliniko::policy::sha256;
use crate::simulator::cliniko::records::Resource;

const WINDOW_SECONDS: i64 = 60;

#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Without its shard.
    pub(super) body: String,
    pub(super) shard: String,
    pub(super) user_id: String,
}

impl Key {
    pub(super) fn full(&self) -> String {
        format!("{}-{}", self.body, self.shard)
    }
}

/// The key in a Basic `Authorization` header: the user name, with an empty password.
pub(super) fn presented(authorization: &str) -> Option<String> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.strip_suffix(':').filter(|key| !key.contains(':')).map(str::to_owned)
}

/// Finds the presented key, sent with or without its shard.
pub(super) fn find<'a>(keys: &'a [Key], presented: &str, shard: &str) -> Option<&'a Key> {
    let body = presented.strip_suffix(shard).and_then(|body| body.strip_suffix('-')).unwrap_or(presented);
    keys.iter().find(|key| key.shard == shard && key.body == body)
}

/// Enough to tell two keys apart in a journal, and no more.
pub(super) fn masked(key: &str) -> String {
    let shard = key.rsplit_once('-').map_or("", |(_, shard)| shard);
    format!("…{}-{shard}", sha256(key.as_bytes()).get(..8).unwrap_or_default())
}

/// Whether a role may read a resource; the order of roles is that of reference section 3.
pub(super) fn may_read(role: &str, resource: Resource) -> bool {
    match resource {
        Resource::Businesses | Resource::Patients | Resource::Practitioners => true,
        Resource::Attachments => !matches!(role, "bookkeeper" | "scheduler"),
        Resource::Alerts | Resource::Notes | Resource::Templates => {
            matches!(role, "administrator" | "power receptionist" | "practitioner")
        }
        Resource::Users => role == "administrator",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Fixed,
    Sliding,
}

/// The calls each user made in the window that is open now.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    calls: BTreeMap<String, VecDeque<Timestamp>>,
}

impl Allowance {
    /// Takes one call, or gives the UNIX second at which there is room again.
    pub(super) fn take(&mut self, user: &str, limit: u32, window: Window, now: Timestamp) -> Result<(), i64> {
        let calls = self.calls.entry(user.to_owned()).or_default();
        let opened = |at: &Timestamp| at.as_second().div_euclid(WINDOW_SECONDS);
        match window {
            Window::Fixed => calls.retain(|at| opened(at) == opened(&now)),
            Window::Sliding => {
                calls.retain(|at| now.duration_since(*at) < SignedDuration::from_secs(WINDOW_SECONDS));
            }
        }
        if limit == 0 || u32::try_from(calls.len()).is_ok_and(|made| made < limit) {
            if limit > 0 {
                calls.push_back(now);
            }
            return Ok(());
        }
        let oldest = calls.front().copied().unwrap_or(now);
        Err(match window {
            Window::Fixed => (opened(&now) + 1) * WINDOW_SECONDS,
            Window::Sliding => oldest.as_second() + WINDOW_SECONDS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_basic_with_an_empty_password_presents_a_key() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(presented(&header("MS0x-uk1:")).as_deref(), Some("MS0x-uk1"));
        for refused in
            [header("MS0x-uk1:secret"), header("MS0x-uk1"), "Bearer MS0x-uk1".to_owned(), "Basic".to_owned()]
        {
            assert_eq!(presented(&refused), None, "{refused}");
        }
    }

    #[test]
    fn a_key_is_known_with_or_without_its_shard_but_not_with_another() {
        let key = |body: &str, shard: &str| Key {
            body: body.to_owned(),
            shard: shard.to_owned(),
            user_id: "1".to_owned(),
        };
        let keys = [key("MS0x", "uk1"), key("MS0y", "au1")];
        assert!(find(&keys, "MS0x-uk1", "uk1").is_some());
        assert!(find(&keys, "MS0x", "uk1").is_some());
        for refused in ["MS0x-au1", "MS0y-au1", "MS0y", ""] {
            assert!(find(&keys, refused, "uk1").is_none(), "{refused}");
        }
    }

    #[test]
    fn the_allowance_is_per_user_and_comes_back_with_the_window() {
        let mut allowance = Allowance::default();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for (window, reset) in [(Window::Fixed, 120), (Window::Sliding, 159)] {
            allowance.calls.clear();
            assert_eq!(allowance.take("a", 2, window, at(99)), Ok(()));
            assert_eq!(allowance.take("a", 2, window, at(101)), Ok(()));
            assert_eq!(allowance.take("a", 2, window, at(110)), Err(reset));
            assert_eq!(allowance.take("b", 2, window, at(110)), Ok(()));
            assert_eq!(allowance.take("a", 2, window, at(reset)), Ok(()));
        }
    }
}
