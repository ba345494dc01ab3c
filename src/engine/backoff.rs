//! How long a failed key waits.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Exponential backoff with jitter. Deterministic: the jitter is a hash of seed, key and attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait at all.
    pub limit: Duration,
    /// Makes replicas and restarts differ.
    pub seed: u64,
}

impl Default for Backoff {
    /// One second, doubling up to ten minutes.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), limit: Duration::from_mins(10), seed: 0 }
    }
}

impl Backoff {
    /// The wait after failure number `attempt` (from 1): over three quarters of `first` × 2^(attempt − 1), capped at
    /// `limit`, and at most all of it. So each wait is longer than the one before until the cap is reached.
    pub fn delay(&self, key: &impl Hash, attempt: u8) -> Duration {
        let doublings = u32::from(attempt.saturating_sub(1)).min(31);
        let longest = self.first.saturating_mul(1 << doublings).min(self.limit);
        let mut hasher = DefaultHasher::new();
        (self.seed, attempt).hash(&mut hasher);
        key.hash(&mut hasher);
        let parts = 4096 - u32::try_from(hasher.finish() % 1024).expect("below 1024");
        longest.saturating_mul(parts).checked_div(4096).unwrap_or(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_grows_until_the_cap_and_never_passes_it(key: u32, seed: u64) {
            let backoff = Backoff { seed, ..Backoff::default() };
            for attempt in 1..=u8::MAX {
                let delay = backoff.delay(&key, attempt);
                prop_assert!(delay <= backoff.limit);
                prop_assert!(delay > Duration::from_millis(749));
                if attempt < 10 {
                    prop_assert!(delay < backoff.delay(&key, attempt + 1));
                }
                if attempt > 10 {
                    prop_assert!(delay >= backoff.limit * 3 / 4);
                }
            }
        }
    }

    #[test]
    fn keys_that_fail_together_do_not_come_back_together() {
        let backoff = Backoff::default();
        let mut delays: Vec<_> = (0..100_u32).map(|key| backoff.delay(&key, 6)).collect();
        delays.sort();
        delays.dedup();
        assert!(delays.len() > 80, "{} different waits", delays.len());
        assert!(delays[delays.len() - 1] > delays[0] + Duration::from_secs(6));
    }

    #[test]
    fn the_wait_is_the_same_for_the_same_key_attempt_and_seed() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(&"a", 3), backoff.delay(&"a", 3));
    }
}
