//! Places for connections. When all are taken, a newcomer gets the place of whoever has been silent longest.
//!
//! It is taken from the address that holds the most, so that one laboratory's idle connections do not lock out another.
//! A connection whose message is being kept or answered is never sent away; a silent one loses nothing by it, since
//! whatever was not answered is still the sender's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;

/// All places of the listeners.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    /// Counts everything anybody sent, so that who spoke last has the highest number.
    heard: AtomicU64,
    guests: Mutex<HashMap<u64, Arc<Guest>>>,
}

#[derive(Debug)]
struct Guest {
    peer: IpAddr,
    last_heard: AtomicU64,
    /// A message of theirs is being kept or answered.
    is_served: AtomicBool,
    leave: Notify,
}

/// One taken place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    guest: Arc<Guest>,
}

impl Places {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, heard: AtomicU64::new(0), guests: Mutex::default() })
    }

    /// A place for a newcomer; `None` where all are taken by connections that are being served.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let number = self.heard.fetch_add(1, Ordering::Relaxed);
        let mut guests = self.lock();
        if guests.len() >= self.max && !send_away(&mut guests) {
            return None;
        }
        let guest = Arc::new(Guest {
            peer,
            last_heard: AtomicU64::new(number),
            is_served: AtomicBool::new(false),
            leave: Notify::new(),
        });
        guests.insert(number, Arc::clone(&guest));
        Some(Place { places: Arc::clone(self), number, guest })
    }

    /// Frees one place, if anybody can be sent away: something else is short.
    pub(super) fn free_one(&self) -> bool {
        send_away(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the longest silent connection of the address that holds the most to leave.
fn send_away(guests: &mut HashMap<u64, Arc<Guest>>) -> bool {
    let mut held: HashMap<IpAddr, usize> = HashMap::new();
    for guest in guests.values() {
        *held.entry(guest.peer).or_default() += 1;
    }
    let silent = guests.iter().filter(|(_, guest)| !guest.is_served.load(Ordering::Acquire));
    let chosen = silent.max_by_key(|(_, guest)| {
        let last_heard = guest.last_heard.load(Ordering::Relaxed);
        (held.get(&guest.peer).copied().unwrap_or_default(), std::cmp::Reverse(last_heard))
    });
    let Some(number) = chosen.map(|(number, _)| *number) else { return false };
    if let Some(guest) = guests.remove(&number) {
        guest.leave.notify_one();
    }
    true
}

impl Place {
    /// Something came in.
    pub(super) fn heard(&self) {
        let number = self.places.heard.fetch_add(1, Ordering::Relaxed);
        self.guest.last_heard.store(number, Ordering::Relaxed);
    }

    /// Whether a message is being kept or answered.
    pub(super) fn serving(&self, is_served: bool) {
        self.guest.is_served.store(is_served, Ordering::Release);
    }

    /// Waits until the place is wanted for another.
    pub(super) async fn wanted(&self) {
        self.guest.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }

    fn is_asked_to_leave(place: &Place) -> bool {
        !place.places.lock().contains_key(&place.number)
    }

    #[test]
    fn a_newcomer_gets_the_place_of_the_longest_silent_of_whoever_holds_most() {
        let places = Places::new(4);
        let quiet_laboratory = places.take(peer(1)).unwrap();
        let crowd: Vec<Place> = (0..3).map(|_| places.take(peer(2)).unwrap()).collect();
        crowd[0].heard();

        let newcomer = places.take(peer(3)).unwrap();

        assert!(!is_asked_to_leave(&quiet_laboratory), "longest silent, and alone at its address");
        let left: Vec<bool> = crowd.iter().map(is_asked_to_leave).collect();
        assert_eq!(left, [false, true, false]);
        drop((newcomer, crowd, quiet_laboratory));
        assert!(places.lock().is_empty());
    }

    #[test]
    fn nobody_is_sent_away_while_a_message_of_theirs_is_kept() {
        let places = Places::new(1);
        let served = places.take(peer(1)).unwrap();
        served.serving(true);
        assert!(places.take(peer(2)).is_none());
        served.serving(false);
        assert!(places.take(peer(2)).is_some());
    }
}
