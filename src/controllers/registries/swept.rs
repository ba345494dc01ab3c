//! What sweeps of a registry found out, and where they are. Of another Harbor none of it is true.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use super::counts::Counts;
use super::round::Round;
use crate::domain::report::Failure;
use crate::domain::robot::Home;

/// See the module.
#[derive(Clone, Default)]
pub struct Swept {
    /// What the last sweep was for; see `registries::basis`.
    pub basis: Option<u64>,
    /// Robots without an account and robots that nobody manages, as the last whole sweep found them.
    pub counts: Option<Arc<Counts>>,
    /// What sweeps do not get to see, since there is too much of it.
    pub problem: Option<Failure>,
    /// What stands in the way of `spec.serverSettings`.
    pub settings_problem: Option<Failure>,
    /// The home at which the last sweep ended early; `None` = it came through.
    pub stopped_at: Option<Arc<Home>>,
    /// What stood before the names of robots when they were last swept.
    pub prefix: Option<String>,
    /// The next sweep also looks at the robots of the system, which is due once after each probe.
    pub recheck_system: bool,
    /// Which homes sweeps visit beside those in use.
    pub round: Arc<Round>,
    /// Since when robots are without an account, where `orphanPolicy` asks for their deletion.
    pub orphans_due: Arc<Since>,
    /// Since when robots hold more than is granted.
    pub ungranted: Arc<Since>,
    /// Harbor's clock minus ours when timers were last set by it.
    pub clock_offset: SignedDuration,
}

/// Since when robots are seen in a state that ends them, by home and a digest that tells one from another: nothing is ended
/// at a first look.
#[derive(Debug, Default)]
pub struct Since(Mutex<HashMap<Home, HashMap<u64, Instant>>>);

impl Since {
    /// Notes which robots of a home are in the state now; those that were at each look for so long. Whoever is not among
    /// `found` begins anew when it is seen again.
    pub fn lasting(&self, home: &Home, found: &BTreeSet<u64>, time: Duration, now: Instant) -> BTreeSet<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_empty() {
            all.remove(home);
            return BTreeSet::new();
        }
        let seen = all.entry(home.clone()).or_default();
        seen.retain(|key, _| found.contains(key));
        found.iter().copied().filter(|key| now.duration_since(*seen.entry(*key).or_insert(now)) >= time).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_seen_at_each_look_lasts() {
        const MINUTE: Duration = Duration::from_mins(1);
        let (since, home, start) = (Since::default(), Home::System, Instant::now());
        let both = BTreeSet::from([1, 2]);
        let look = |found: &[u64], minutes| {
            since.lasting(&home, &found.iter().copied().collect(), 2 * MINUTE, start + minutes * MINUTE)
        };
        assert!(look(&[1, 2], 0).is_empty());
        assert!(look(&[2], 1).is_empty(), "not long enough");
        assert_eq!(look(&[1, 2], 2), BTreeSet::from([2]), "the first began anew");
        assert_eq!(look(&[1, 2], 4), both);
        assert!(look(&[], 5).is_empty());
        assert!(look(&[1, 2], 6).is_empty());
    }
}
