//! Moments of the local monotonic clock that lie ahead. How long a wait is often comes from outside (a header, a spec, a
//! difference of two clocks), and `Instant + Duration` panics.

use std::time::{Duration, Instant};

/// A longer wait is as good as this one.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// The moment so long after `start`, at most a century.
pub fn after<I: Into<Instant> + From<Instant>>(start: I, wait: Duration) -> I {
    let start: Instant = start.into();
    start.checked_add(wait.min(LONGEST)).unwrap_or(start).into()
}

/// The moment so long from now, at most a century.
pub fn from_now(wait: Duration) -> Instant {
    after(Instant::now(), wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_too_long() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_secs(5)), now + Duration::from_secs(5));
        assert_eq!(after(now, Duration::ZERO), now);
        assert_eq!(after(now, Duration::MAX), now + LONGEST);
        assert_eq!(after(after(now, Duration::MAX), Duration::MAX), now + LONGEST * 2);
    }
}
