//! Tells a wrong password from a user name that somebody else's wrong passwords lock.
//!
//! Harbor sleeps for 1.5 s before it says that a person's password is wrong, and for as long refuses that user name
//! without looking at any password (`core/auth/authenticator.go`; "First bad login 1.5 s" was measured from v2.12 to
//! v2.16). So a refusal that comes sooner cannot be about the password. Robots are never locked out.

use std::time::Duration;

use tokio::time::Instant;

use crate::deadline;
use crate::registry::Error;

/// Harbor's sleep after a wrong password.
const SLEEP: Duration = Duration::from_millis(1500);
/// After our own wrong password: the lock that it set is over, and a second try (2 s later) says something again.
const AFTER_WRONG: Duration = Duration::from_millis(1900);
/// A login that never worked is called wrong after so long, even if it is always refused at once: servers in front of
/// Harbor refuse a mistyped name so, and Harbor itself logins that it takes for its portal only. Somebody's guesses rarely
/// keep a name locked for longer without a gap.
const PATIENCE: Duration = Duration::from_secs(30);
/// The mean time between tries while the name is locked: each costs Harbor no more than a look at a table.
const PACE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// The refusals since the login last worked.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    worked: bool,
    /// Harbor looked at the password and found it wrong.
    found_wrong: bool,
    first: Option<Instant>,
    count: u32,
    /// The last verdict, and until when nobody shall try again.
    last: Option<(Instant, bool)>,
}

impl Refusals {
    /// The login works.
    pub(super) fn forget(&mut self) {
        *self = Self { worked: true, ..Self::default() };
    }

    /// A refusal after `took`, as the error that it is.
    pub(super) fn judge(&mut self, took: Duration, now: Instant) -> Error {
        let first = *self.first.get_or_insert(now);
        self.count = self.count.saturating_add(1);
        self.found_wrong |= took >= SLEEP || (!self.worked && now.saturating_duration_since(first) >= PATIENCE);
        let wait = if self.found_wrong {
            AFTER_WRONG
        } else {
            let mean = PACE[0].saturating_mul(self.count).min(PACE[1]);
            // Whoever guesses has a rhythm: ours must not be the same.
            Duration::try_from_secs_f64(mean.as_secs_f64() * rand::random_range(0.5..1.5)).unwrap_or(mean)
        };
        self.last = Some((deadline::after(now, wait), self.found_wrong));
        if self.found_wrong { Error::Unauthorized } else { Error::LoginLocked(wait) }
    }

    /// The last verdict while it is too soon for another try.
    pub(super) fn too_soon(&self, now: Instant) -> Option<Error> {
        let (until, wrong) = self.last.filter(|(until, _)| now < *until)?;
        Some(if wrong { Error::Unauthorized } else { Error::LoginLocked(until.saturating_duration_since(now)) })
    }

    /// Whether the password was right before and is not known to be wrong: then a try at a locked name can be followed
    /// by another at once.
    pub(super) fn is_believed(&self) -> bool {
        self.worked && !self.found_wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(5);

    #[test]
    fn a_quick_refusal_is_a_lock_and_a_slow_one_a_wrong_password() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let Error::LoginLocked(after) = refusals.judge(QUICK, now) else { panic!() };
        assert!(after >= PACE[0] / 2 && after <= PACE[0] * 2);
        assert!(matches!(refusals.too_soon(now), Some(Error::LoginLocked(_))));
        assert_eq!(refusals.too_soon(now + after), None);
        let later = now + Duration::from_secs(2);
        assert_eq!(refusals.judge(SLEEP, later), Error::Unauthorized);
        // Our own wrong password locked the name: what is refused at once from now on is still refused for it.
        assert_eq!(refusals.judge(QUICK, later), Error::Unauthorized);
        assert_eq!(refusals.too_soon(later), Some(Error::Unauthorized));
        assert_eq!(refusals.too_soon(later + Duration::from_secs(2)), None, "the second try is made");
        refusals.forget();
        assert_eq!(refusals.too_soon(later), None);
    }

    #[test]
    fn a_login_that_worked_is_never_called_wrong_by_quick_refusals_and_another_only_after_a_while() {
        let now = Instant::now();
        let (mut new, mut old) = (Refusals::default(), Refusals::default());
        old.forget();
        assert!(old.is_believed() && !new.is_believed());
        for seconds in [0, 5, 10, 20, 29] {
            assert!(matches!(new.judge(QUICK, now + Duration::from_secs(seconds)), Error::LoginLocked(_)));
        }
        assert_eq!(new.judge(QUICK, now + PATIENCE), Error::Unauthorized);
        for hour in 0..100 {
            let Error::LoginLocked(after) = old.judge(QUICK, now + Duration::from_hours(hour)) else { panic!() };
            assert!(after <= Duration::from_secs(6), "it goes on trying");
        }
    }
}
