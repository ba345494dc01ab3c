//! What a sweep counted: robots whose account is gone, and robots that no account manages: they have no mark, or an account
//! left them on purpose, and nobody renews them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::api::{RegistryTime, UnmanagedRobots};
use crate::domain::mark::Mark;
use crate::domain::robot::{Home, Robot};

/// By home; homes without any are left out.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The digests of the owners that robots without an account name, one for each robot.
    pub orphans: HashMap<Arc<Home>, Vec<u64>>,
    /// Robots that nobody manages.
    pub unmanaged: HashMap<Arc<Home>, Unmanaged>,
}

impl Counts {
    /// How many robots have no account.
    pub fn orphans(&self) -> usize {
        self.orphans.values().map(Vec::len).sum()
    }

    /// What nobody manages in all homes together.
    pub fn unmanaged(&self) -> Unmanaged {
        Unmanaged::sum(self.unmanaged.values())
    }
}

/// The robots of one place, or of several, that nobody manages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmanaged {
    count: usize,
    /// When the first of those that can log in expires (registry time), and its full name.
    next: Option<(RegistryTime, Box<str>)>,
}

/// True of a robot with this mark, unless it is the operator's own login.
pub fn is_unmanaged(robot: &Robot, mark: Option<&Mark<'_>>, login: &str) -> bool {
    mark.is_none_or(|mark| mark.retained) && robot.name != login
}

impl Unmanaged {
    /// Counts a robot; `now` is registry time.
    pub fn add(&mut self, robot: &Robot, now: RegistryTime) {
        self.count = self.count.saturating_add(1);
        let Some(at) = robot.expiration_time.filter(|at| *at > now && !robot.disabled) else { return };
        // Of two that expire together it is always the same one.
        if self.next.as_ref().is_none_or(|(first, name)| (at, robot.name.as_str()) < (*first, name)) {
            self.next = Some((at, robot.name.as_str().into()));
        }
    }

    /// Those of several places together.
    pub fn sum<'a>(places: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for place in places {
            sum.count = sum.count.saturating_add(place.count);
            let first = sum.next.take().into_iter().chain(place.next.clone()).min();
            sum.next = first;
        }
        sum
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first of them to expire, if it has not done so since it was counted: when (registry time), and its full name.
    pub fn next(&self, now: RegistryTime) -> Option<(RegistryTime, &str)> {
        self.next.as_ref().filter(|(at, _)| *at > now).map(|(at, name)| (*at, &**name))
    }

    /// As the registry's status has it at `now` (registry time).
    pub fn record(&self, now: RegistryTime) -> UnmanagedRobots {
        let (next_expiration_time, next_to_expire) = self.next(now).unzip();
        UnmanagedRobots {
            count: i32::try_from(self.count).unwrap_or(i32::MAX),
            next_expiration_time,
            next_to_expire: next_to_expire.map(ToOwned::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures;
    use crate::domain::mark;
    use crate::domain::slots::Slot;

    fn robot(name: &str, expires: Option<i64>) -> Robot {
        let expiration_time = expires.map(RegistryTime::from_second);
        Robot { name: name.into(), expiration_time, ..fixtures::robot(Slot::A, 0) }
    }

    #[test]
    fn what_has_no_mark_or_was_left_on_purpose_is_unmanaged_but_not_our_login() {
        let mark = |text: &'static str| mark::parse(text);
        let (none, kept) = (mark("made by hand"), mark("[harbor-robots.io/v1 u c/n/a retained]"));
        let ours = mark("[harbor-robots.io/v1 u c/n/a]");
        for (name, mark, expected) in
            [("r", &none, true), ("r", &kept, true), ("r", &ours, false), ("login", &none, false)]
        {
            assert_eq!(is_unmanaged(&robot(name, None), mark.as_ref(), "login"), expected, "{name} {mark:?}");
        }
    }

    #[test]
    fn the_first_to_expire_is_one_that_can_log_in() {
        let now = RegistryTime::from_second(100);
        let mut here = Unmanaged::default();
        for (name, expires, disabled) in [
            ("expired", Some(100), false),
            ("never", None, false),
            ("late", Some(300), false),
            ("off", Some(101), true),
        ] {
            here.add(&Robot { disabled, ..robot(name, expires) }, now);
        }
        let mut there = Unmanaged::default();
        there.add(&robot("soon", Some(200)), now);
        let all = Unmanaged::sum([&here, &Unmanaged::default(), &there]);
        let soon = RegistryTime::from_second(200);
        assert_eq!((all.count(), all.next(now)), (5, Some((soon, "soon"))));
        assert_eq!(all.next(soon), None, "it has expired meanwhile");
        assert_eq!(here.record(now).next_to_expire.as_deref(), Some("late"));
        assert!(Unmanaged::sum([]).is_empty() && Unmanaged::sum([]).record(now) == UnmanagedRobots::default());
    }
}
