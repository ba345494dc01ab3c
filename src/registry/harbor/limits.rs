//! How often, how many at once, and when not at all: the client's manners towards one Harbor.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::failure::LONGEST_WAIT;
use crate::deadline;
use crate::registry::Error;

/// However long a server wants to be left alone, it is asked once in so long whether it still does.
const ASK_AGAIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Limits {
    in_flight: Semaphore,
    pace: Pace,
    hold: Mutex<Option<Hold>>,
}

/// Silence that the server asked for.
#[derive(Clone, Copy, Debug)]
struct Hold {
    asked: Instant,
    until: Instant,
}

impl Limits {
    pub(super) fn new(requests_per_second: u32, max_in_flight: usize) -> Self {
        Self {
            in_flight: Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            pace: Pace::new(requests_per_second.max(1)),
            hold: Mutex::new(None),
        }
    }

    /// Waits for this request's turn. [`Error::Busy`], with nothing sent, while the server wants to be left alone.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.check_hold()?;
        let permit = self.in_flight.acquire().await.expect("the semaphore is never closed");
        self.pace.turn().await;
        // While this one waited, another's answer may have asked for peace.
        self.check_hold()?;
        Ok(permit)
    }

    /// The server asked to be left alone for `after`.
    pub(super) fn hold(&self, after: Duration) {
        let asked = Instant::now();
        let until = deadline::after(asked, after.min(LONGEST_WAIT));
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        *hold = Some(Hold { asked, until: hold.map_or(until, |old| old.until.max(until)) });
    }

    /// A probe is about to ask whether the server answers: a long silence, which a proxy on the way or an outage that is
    /// over may have asked for, does not keep it from that. If the server still wants it, it says so again.
    pub(super) fn ask_again(&self) {
        let now = Instant::now();
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        hold.take_if(|hold| now.saturating_duration_since(hold.asked) >= ASK_AGAIN);
    }

    /// How much longer the server wants to be left alone.
    pub(super) fn held_for(&self) -> Option<Duration> {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let left = hold.map(|hold| hold.until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
        if left.is_none() {
            *hold = None;
        }
        left
    }

    fn check_hold(&self) -> Result<(), Error> {
        self.held_for().map_or(Ok(()), |left| Err(Error::Busy(Some(left))))
    }
}

/// At most `limit` turns in any second: a turn comes a second after the one `limit` turns before it. Bursts up to the
/// limit pass at once, since one pass of an account needs a few calls in a row.
#[derive(Debug)]
struct Pace {
    limit: usize,
    turns: Mutex<VecDeque<Instant>>,
}

impl Pace {
    fn new(limit: u32) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), turns: Mutex::default() }
    }

    async fn turn(&self) {
        let at = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let earliest = if turns.len() < self.limit {
                None
            } else {
                turns.pop_front().map(|turn| deadline::after(turn, Duration::from_secs(1)))
            };
            let now = Instant::now();
            let at = earliest.map_or(now, |earliest| earliest.max(now));
            turns.push_back(at);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

/// One holder at a time per key; keys that nobody holds or waits for take no room.
#[derive(Debug)]
pub(super) struct KeyedLocks<K: Eq + Hash>(Mutex<HashMap<K, Arc<AsyncMutex<()>>>>);

impl<K: Eq + Hash> Default for KeyedLocks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Debug)]
pub(super) struct KeyedLock<'a, K: Eq + Hash> {
    locks: &'a KeyedLocks<K>,
    key: K,
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash + Clone> KeyedLocks<K> {
    pub(super) async fn lock(&self, key: K) -> KeyedLock<'_, K> {
        let mutex = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default());
        // Made before the wait, so that a caller that gives up waiting cleans up, too.
        let mut lock = KeyedLock { locks: self, key, guard: None };
        lock.guard = Some(mutex.lock_owned().await);
        lock
    }
}

impl<K: Eq + Hash> Drop for KeyedLock<'_, K> {
    fn drop(&mut self) {
        let mut locks = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard = None;
        // One count is the map's own; any other belongs to a waiter or holder, who cleans up after itself.
        if locks.get(&self.key).is_some_and(|mutex| Arc::strong_count(mutex) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_turns_than_the_limit() {
        let pace = Pace::new(5);
        let start = Instant::now();
        let mut at = Vec::new();
        for turn in 0..23_u64 {
            pace.turn().await;
            at.push(start.elapsed());
            if turn == 7 {
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
        }
        assert_eq!(at[4], Duration::ZERO, "a burst up to the limit passes at once");
        assert!(at.windows(6).all(|w| w[5] >= w[0] + Duration::from_secs(1)), "{at:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_passes_while_the_server_wants_to_be_left_alone() {
        let limits = Limits::new(100, 4);
        limits.hold(Duration::from_secs(30));
        limits.hold(Duration::from_secs(3));
        assert_eq!(limits.turn().await.err(), Some(Error::Busy(Some(Duration::from_secs(30)))));
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(limits.turn().await.is_ok());
        assert_eq!(limits.held_for(), None);
        limits.hold(Duration::from_secs(u64::MAX));
        assert_eq!(limits.held_for(), Some(LONGEST_WAIT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_asks_once_in_a_while_whether_the_silence_is_still_wanted() {
        let limits = Limits::new(100, 8);
        limits.hold(Duration::from_hours(7 * 24));
        limits.ask_again();
        assert_eq!(limits.held_for(), Some(LONGEST_WAIT));
        tokio::time::sleep(ASK_AGAIN).await;
        limits.ask_again();
        assert_eq!(limits.held_for(), None);
        limits.hold(Duration::from_mins(5));
        limits.ask_again();
        assert_eq!(limits.held_for(), Some(Duration::from_mins(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waited_while_another_was_told_to_wait_is_not_sent() {
        let limits = Arc::new(Limits::new(100, 1));
        let first = limits.turn().await.unwrap();
        let second = tokio::spawn({
            let limits = Arc::clone(&limits);
            async move { limits.turn().await.map(drop) }
        });
        tokio::task::yield_now().await;
        limits.hold(Duration::from_secs(5));
        drop(first);
        assert!(matches!(second.await.unwrap(), Err(Error::Busy(_))));
    }

    #[tokio::test]
    async fn one_key_is_held_once_and_forgotten_when_nobody_waits() {
        let locks = Arc::new(KeyedLocks::default());
        let first = locks.lock(7).await;
        let other = locks.lock(8).await;
        let second = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move {
                let _held = locks.lock(7).await;
            }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop((first, other));
        second.await.unwrap();
        assert!(locks.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_gives_up_leaves_nothing_behind() {
        let locks = KeyedLocks::default();
        let held = locks.lock(7).await;
        assert!(tokio::time::timeout(Duration::from_secs(1), locks.lock(7)).await.is_err());
        drop(held);
        assert!(locks.0.lock().unwrap().is_empty());
    }
}
