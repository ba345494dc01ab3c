//! Which homes a sweep visits beside those in use. An account that went may have left robots behind, on purpose or because
//! somebody forced it away, and what went while no operator ran is in nobody's memory. So homes that accounts left are
//! visited until none of our robots is there any more, and all projects that the login sees are, a few at each sweep.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::deadline;
use crate::domain::robot::Home;

/// The homes that the sweeps of one registry visit beside those in use.
#[derive(Debug, Default)]
pub struct Round(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Homes with robots of ours, or of which that is not known.
    followed: HashSet<Arc<Home>>,
    /// Projects of this round that were not visited yet.
    left: Vec<String>,
    /// How many that were when the round began.
    size: usize,
    /// When the next round begins.
    next: Option<Instant>,
}

impl Round {
    /// True if all projects should be listed for a round of this length. The first one waits a sixth of it: a start has
    /// enough to do.
    pub fn is_due(&self, length: Duration, now: Instant) -> bool {
        let mut inner = self.lock();
        let next = *inner.next.get_or_insert_with(|| deadline::after(now, length.checked_div(6).unwrap_or_default()));
        inner.left.is_empty() && next <= now
    }

    /// Begins a round over these projects.
    pub fn begin(&self, projects: impl IntoIterator<Item = String>, length: Duration, now: Instant) {
        let mut inner = self.lock();
        inner.left = projects.into_iter().collect();
        inner.size = inner.left.len();
        inner.next = Some(deadline::after(now, length));
    }

    /// Takes the projects to visit now, so that sweeps `poll` apart visit all of them within a round.
    pub fn take(&self, length: Duration, poll: Duration) -> Vec<String> {
        let mut inner = self.lock();
        let sweeps = (length.as_secs() / poll.as_secs().max(1)).max(1);
        let count = usize::try_from(sweeps).map_or(1, |sweeps| inner.size.div_ceil(sweeps)).max(1);
        let from = inner.left.len().saturating_sub(count);
        inner.left.split_off(from)
    }

    /// The homes to visit at each sweep.
    pub fn followed(&self) -> Vec<Arc<Home>> {
        self.lock().followed.iter().cloned().collect()
    }

    /// Notes whether a home has robots of ours, or may have.
    pub fn follow(&self, home: &Arc<Home>, ours: bool) {
        let mut inner = self.lock();
        if ours {
            inner.followed.insert(Arc::clone(home));
        } else {
            inner.followed.remove(home);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("p{n}")).collect()
    }

    #[test]
    fn the_sweeps_of_a_round_visit_every_project_once() {
        for (count, minutes) in [(0, 10), (1, 10), (5, 10), (2000, 10), (2000, 60), (7, 600)] {
            let (round, now) = (Round::default(), Instant::now());
            assert!(!round.is_due(6 * HOUR, now), "a start has enough to do");
            assert!(round.is_due(6 * HOUR, now + HOUR));
            round.begin(names(count), 6 * HOUR, now + HOUR);
            let poll = Duration::from_mins(minutes);
            let sweeps = (360 / minutes).max(1);
            let mut seen: Vec<String> = (0..sweeps).flat_map(|_| round.take(6 * HOUR, poll)).collect();
            seen.sort();
            let mut wanted = names(count);
            wanted.sort();
            assert_eq!(seen, wanted, "{count} projects, {minutes} minutes");
            assert!(!round.is_due(6 * HOUR, now + 6 * HOUR), "the next one begins after the whole length");
            assert!(round.is_due(6 * HOUR, now + 7 * HOUR));
        }
    }

    #[test]
    fn a_home_is_followed_until_nothing_of_ours_is_there() {
        let (round, home) = (Round::default(), Arc::new(Home::Project("p".into())));
        round.follow(&home, true);
        assert_eq!(round.followed(), [Arc::clone(&home)]);
        round.follow(&home, false);
        assert!(round.followed().is_empty());
    }
}
