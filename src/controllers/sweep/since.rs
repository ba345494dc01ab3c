//! Since when robots are seen in a state that ends them: nothing is ended at a first look.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::robot::Home;

/// The robots of each home that are in such a state, by a digest that tells one from another.
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
