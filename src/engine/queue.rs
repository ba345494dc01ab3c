//! The queue itself: a state machine per key. Pure; see the rules in the module above.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::fair::{Fair, Lane};
use super::table::Table;
use super::{Backoff, CLASSES, Cause, Key, Outcome};
use crate::deadline;

/// This many [`Outcome::Again`] in a row are a failure, so that a picture that never settles cannot spin.
const AGAIN_LIMIT: u8 = 5;

/// How a queue behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The waits after failures.
    pub backoff: Backoff,
    /// At most this many passes of one group at once, so that one tenant's slow passes leave room for others.
    pub group_limit: usize,
    /// Passes at once. A pool may start one only while it has fewer than are free, so that no server, however slow,
    /// keeps others from theirs.
    pub slots: usize,
    /// At most this many passes of all pools of one class at once.
    pub class_limits: [usize; CLASSES],
}

impl Default for Config {
    fn default() -> Self {
        let class_limits = [usize::MAX; CLASSES];
        Self { backoff: Backoff::default(), group_limit: usize::MAX, slots: usize::MAX, class_limits }
    }
}

/// Tells a key's group, with its payload if an event brought one.
pub(super) type GroupOf<K, P> = Box<dyn Fn(&K, Option<&P>) -> <K as Key>::Group + Send + Sync>;

/// How many keys are in which state; a key is in exactly one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready to run.
    pub queued: usize,
    /// Handed out.
    pub in_progress: usize,
    /// Failed and waiting for their next try.
    pub backing_off: usize,
    /// Waiting for a release.
    pub parked: usize,
    /// At rest, with a time to look again.
    pub timers: usize,
}

/// Milliseconds since the queue was made: half the size of an `Instant`. Deadlines are rounded up, so that nothing runs
/// early.
type Millis = u64;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pending {
    Nothing,
    Hint,
    Change,
}

#[derive(Clone, Copy)]
enum State {
    Resting { until: Millis },
    Queued { cause: Cause },
    InProgress { pending: Pending, forgotten: bool, since: Release, wake: Option<Millis> },
    BackingOff { until: Millis },
    Parked { tag: u64, until: Option<Millis> },
}

/// The number of a release; one in progress has that of the last one before it was handed out.
type Release = u32;

struct Entry<P> {
    /// The latest that an event brought; one that brings none does not take it away.
    payload: Option<Box<P>>,
    state: State,
    /// Failures in a row.
    attempts: u8,
    /// `Again`s in a row.
    agains: u8,
}

/// Keys to reconcile. `P` is what came with an event, held only until it is handed out.
///
/// A key costs nothing unless it is queued, in progress, failed, parked or waiting for a time.
pub struct Queue<K: Key, P> {
    config: Config,
    group_of: GroupOf<K, P>,
    epoch: Instant,
    entries: Table<K, Entry<P>>,
    ready: Fair<K::Group>,
    timers: BTreeSet<(Millis, u32)>,
    parked: BTreeSet<(u64, u32)>,
    /// How often something was released, and which time it was last for each tag since a key was in progress.
    releases: Release,
    released: HashMap<u64, Release>,
    in_progress: usize,
    backing_off: usize,
    parked_with_timer: usize,
}

impl<K: Key, P> Queue<K, P> {
    /// An empty queue; no later time may lie before `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        Self::grouped(config, Box::new(|key, _| key.group()), now)
    }

    /// An empty queue that asks for the group of a key whenever it is queued: what it waits on may be another by then.
    pub fn grouped(config: Config, group_of: GroupOf<K, P>, now: Instant) -> Self {
        Self {
            config,
            group_of,
            epoch: now,
            entries: Table::new(),
            ready: Fair::new(&config),
            timers: BTreeSet::new(),
            parked: BTreeSet::new(),
            releases: 0,
            released: HashMap::new(),
            in_progress: 0,
            backing_off: 0,
            parked_with_timer: 0,
        }
    }

    /// A person changed the object: forget its failures and run as soon as possible, before hints and timers.
    pub fn change(&mut self, key: K, payload: Option<P>, now: Instant) {
        self.advance(now);
        let id = self.find_or_insert(key);
        let entry = &mut self.entries[id];
        (entry.attempts, entry.agains) = (0, 0);
        entry.payload = payload.map(Box::new).or(entry.payload.take());
        if let State::InProgress { pending, .. } = &mut entry.state {
            *pending = Pending::Change;
        } else {
            self.enqueue(id, Cause::Change);
        }
    }

    /// Something else happened (another object's event, a difference in a sweep, our own status write): run as soon as
    /// possible, unless the key is backing off or parked. Then only the payload is kept.
    pub fn hint(&mut self, key: K, payload: Option<P>, now: Instant) {
        self.advance(now);
        let id = self.find_or_insert(key);
        let entry = &mut self.entries[id];
        entry.payload = payload.map(Box::new).or(entry.payload.take());
        match &mut entry.state {
            State::InProgress { pending, .. } => *pending = (*pending).max(Pending::Hint),
            State::Resting { .. } | State::Queued { .. } => self.enqueue(id, Cause::Hint),
            State::BackingOff { .. } | State::Parked { .. } => {}
        }
    }

    /// Look at the key at `at` without an event; the earliest such time wins. Nothing happens for a key that will run
    /// anyway (queued, backing off, parked), since that pass names the next time itself.
    pub fn wake_at(&mut self, key: K, at: Instant) {
        let at = self.round_up(at);
        let id = self.find_or_insert(key);
        match &mut self.entries[id].state {
            State::Resting { until } if at <= *until => {
                self.timers.remove(&(*until, id));
                *until = at;
                self.timers.insert((at, id));
            }
            State::InProgress { wake, .. } => *wake = Some(wake.map_or(at, |wake| wake.min(at))),
            _ => {}
        }
    }

    /// The next key to run, with its payload if an event brought one. [`Self::done`] must follow.
    pub fn pop(&mut self, now: Instant) -> Option<(K, Option<P>, Cause)> {
        self.advance(now);
        let id = self.ready.pop()?;
        let key = self.entries.key(id).clone();
        let entry = &mut self.entries[id];
        let State::Queued { cause } = entry.state else { unreachable!("only queued keys are ready") };
        let since = self.releases;
        entry.state = State::InProgress { pending: Pending::Nothing, forgotten: false, since, wake: None };
        self.in_progress += 1;
        Some((key, entry.payload.take().map(|payload| *payload), cause))
    }

    /// The pass of this key has ended. A key that is not in progress is left alone.
    pub fn done(&mut self, key: &K, outcome: Outcome, now: Instant) {
        self.advance(now);
        let Some(id) = self.entries.find(key) else { return };
        let State::InProgress { pending, forgotten, since, wake } = self.entries[id].state else { return };
        let later = |last: &Release| (1..=Release::MAX / 2).contains(&last.wrapping_sub(since));
        let parked = |tag| self.released.get(tag).is_some_and(later);
        let missed = matches!(&outcome, Outcome::Parked(tag, _) if parked(tag));
        self.in_progress -= 1;
        if self.in_progress == 0 {
            self.released.clear();
        }
        self.ready.finished(id);
        // A change reset the backoff when it came; this pass worked on the state before it, so its failure does not count.
        if pending == Pending::Change {
            return self.requeue(id, Cause::Change);
        }
        let outcome = if forgotten && pending == Pending::Nothing { Outcome::Gone } else { outcome };
        match outcome {
            Outcome::Settled { .. } | Outcome::Gone if pending == Pending::Hint => {
                self.reset(id);
                self.requeue(id, Cause::Hint);
            }
            Outcome::Settled { .. } | Outcome::Gone => {
                let next = if let Outcome::Settled { wake } = outcome { wake } else { None };
                let next = next.map(|next| self.round_up(next));
                match [wake, next].into_iter().flatten().min() {
                    Some(until) => self.rest(id, until),
                    None => self.entries.remove(id),
                }
            }
            Outcome::Again => {
                let entry = &mut self.entries[id];
                entry.agains += 1;
                if entry.agains < AGAIN_LIMIT {
                    self.requeue(id, Cause::Again);
                } else {
                    self.back_off(id, None, now);
                }
            }
            Outcome::Failed { not_before } => self.back_off(id, not_before, now),
            Outcome::Parked(..) if missed => {
                self.entries[id].agains = 0;
                self.requeue(id, Cause::Released);
            }
            Outcome::Parked(tag, until) => self.park(id, tag, until.map(|until| self.round_up(until))),
        }
    }

    /// Everything parked under `tag` runs as soon as possible, and so does what is in progress now, if it ends parked under
    /// `tag`: its picture is from before. Returns how many were parked.
    pub fn release(&mut self, tag: u64, now: Instant) -> usize {
        self.advance(now);
        if self.in_progress > 0 {
            self.releases = self.releases.wrapping_add(1);
            self.released.insert(tag, self.releases);
        }
        let ids: Vec<u32> = self.parked.range((tag, 0)..=(tag, u32::MAX)).map(|&(_, id)| id).collect();
        for &id in &ids {
            self.enqueue(id, Cause::Released);
        }
        ids.len()
    }

    /// The object no longer exists: drop all that is known. A pass in progress goes on; its outcome is ignored.
    pub fn forget(&mut self, key: &K) {
        let Some(id) = self.entries.find(key) else { return };
        if let State::InProgress { pending, forgotten, wake, .. } = &mut self.entries[id].state {
            (*pending, *forgotten, *wake) = (Pending::Nothing, true, None);
            self.entries[id].payload = None;
        } else {
            self.leave(id);
            self.entries.remove(id);
        }
    }

    /// When [`Self::pop`] may next have something that it does not have now.
    pub fn next_wake(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| deadline::after(self.epoch, Duration::from_millis(at)))
    }

    /// How many keys are in which state.
    pub fn counts(&self) -> Counts {
        Counts {
            queued: self.ready.len(),
            in_progress: self.in_progress,
            backing_off: self.backing_off,
            parked: self.parked.len(),
            timers: self.timers.len() - self.backing_off - self.parked_with_timer,
        }
    }

    /// Queues every key whose time has come.
    fn advance(&mut self, now: Instant) {
        let now = self.round_down(now);
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            let backing_off = matches!(self.entries[id].state, State::BackingOff { .. });
            self.enqueue(id, if backing_off { Cause::Retry } else { Cause::Timer });
        }
    }

    fn find_or_insert(&mut self, key: K) -> u32 {
        self.entries.find(&key).unwrap_or_else(|| {
            // Due never: the caller moves it on at once.
            let state = State::Resting { until: Millis::MAX };
            self.entries.insert(key, Entry { payload: None, state, attempts: 0, agains: 0 })
        })
    }

    /// Takes a key out of whatever list its state (other than in progress) keeps it in.
    fn leave(&mut self, id: u32) {
        match self.entries[id].state {
            State::Resting { until } => {
                self.timers.remove(&(until, id));
            }
            State::BackingOff { until } => {
                self.timers.remove(&(until, id));
                self.backing_off -= 1;
            }
            State::Parked { tag, until } => {
                self.parked.remove(&(tag, id));
                if let Some(until) = until {
                    self.timers.remove(&(until, id));
                    self.parked_with_timer -= 1;
                }
            }
            State::Queued { .. } => self.ready.remove(id),
            State::InProgress { .. } => {}
        }
    }

    /// Queues a key that is not in progress. One that is queued keeps the stronger cause, and its place unless the new
    /// cause is more urgent.
    fn enqueue(&mut self, id: u32, cause: Cause) {
        match &mut self.entries[id].state {
            State::Queued { cause: already } if lane_of(*already) <= lane_of(cause) => *already = cause.min(*already),
            _ => {
                self.leave(id);
                self.requeue(id, cause);
            }
        }
    }

    fn requeue(&mut self, id: u32, cause: Cause) {
        self.entries[id].state = State::Queued { cause };
        let group = (self.group_of)(self.entries.key(id), self.entries[id].payload.as_deref());
        self.ready.push(id, lane_of(cause), group);
    }

    fn reset(&mut self, id: u32) {
        let entry = &mut self.entries[id];
        (entry.attempts, entry.agains) = (0, 0);
    }

    fn rest(&mut self, id: u32, until: Millis) {
        self.reset(id);
        self.entries[id].state = State::Resting { until };
        self.timers.insert((until, id));
    }

    fn back_off(&mut self, id: u32, not_before: Option<Instant>, now: Instant) {
        let attempts = self.entries[id].attempts.saturating_add(1);
        let retry = deadline::after(now, self.config.backoff.delay(self.entries.key(id), attempts));
        let until = self.round_up(not_before.map_or(retry, |not_before| not_before.max(retry)));
        let entry = &mut self.entries[id];
        (entry.attempts, entry.agains) = (attempts, 0);
        entry.state = State::BackingOff { until };
        self.timers.insert((until, id));
        self.backing_off += 1;
    }

    fn park(&mut self, id: u32, tag: u64, until: Option<Millis>) {
        let entry = &mut self.entries[id];
        entry.agains = 0;
        entry.state = State::Parked { tag, until };
        self.parked.insert((tag, id));
        if let Some(until) = until {
            self.timers.insert((until, id));
            self.parked_with_timer += 1;
        }
    }

    fn round_up(&self, at: Instant) -> Millis {
        let since = at.saturating_duration_since(self.epoch).as_nanos().div_ceil(1_000_000);
        Millis::try_from(since).unwrap_or(Millis::MAX)
    }

    fn round_down(&self, now: Instant) -> Millis {
        Millis::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(Millis::MAX)
    }
}

fn lane_of(cause: Cause) -> Lane {
    match cause {
        Cause::Change | Cause::Again => Lane::Change,
        Cause::Hint | Cause::Released => Lane::Hint,
        Cause::Retry | Cause::Timer => Lane::Timer,
    }
}

#[cfg(test)]
use super::Group;

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "queue_properties.rs"]
mod properties;
