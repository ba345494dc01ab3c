//! What calls that run at the same time do to one another, for the quirks that show it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::grants::Requested;

/// How long a wrong password locks its user name.
pub const LOCKED: Duration = Duration::from_millis(1500);

/// User names that a wrong password locked.
#[derive(Debug, Default)]
pub struct NameLocks {
    until: HashMap<String, Instant>,
}

impl NameLocks {
    /// Whether logging in with the name fails whatever the password.
    pub fn is_locked(&self, name: &str, now: Instant) -> bool {
        self.until.get(name).is_some_and(|until| now < *until)
    }

    /// Locks the name.
    pub fn lock(&mut self, name: &str, now: Instant) {
        self.until.retain(|_, until| now < *until);
        self.until.insert(name.to_owned(), now + LOCKED);
    }
}

/// The writes under way, each with the permission rows that it upserts in its order.
#[derive(Debug, Default)]
pub struct Upserts {
    under_way: HashMap<u64, Vec<String>>,
    last: u64,
}

impl Upserts {
    /// Begins a write. `None` when it wants rows in another order than one that is under way: the database ends it.
    pub fn begin(&mut self, groups: &[Requested]) -> Option<u64> {
        let mut rows: Vec<String> = Vec::new();
        for group in groups {
            for access in &group.access {
                let row = format!("{} {} {} {}", group.namespace, access.resource, access.action, access.effect);
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        if self.under_way.values().any(|other| crosses(&rows, other)) {
            return None;
        }
        self.last += 1;
        self.under_way.insert(self.last, rows);
        Some(self.last)
    }

    /// Ends a write.
    pub fn end(&mut self, ticket: u64) {
        self.under_way.remove(&ticket);
    }
}

/// Whether two lists hold some two rows in opposite orders.
fn crosses(one: &[String], other: &[String]) -> bool {
    let places: Vec<usize> = one.iter().filter_map(|row| other.iter().position(|held| held == row)).collect();
    !places.is_sorted()
}

#[cfg(test)]
mod tests {
    use super::super::grants::Access;
    use super::*;

    fn list(actions: &[&str]) -> Vec<Requested> {
        let access = |action: &&str| Access { action: (*action).into(), ..Access::default() };
        vec![Requested { access: actions.iter().map(access).collect(), ..Requested::default() }]
    }

    #[test]
    fn only_lists_in_opposite_orders_deadlock() {
        let mut upserts = Upserts::default();
        let first = upserts.begin(&list(&["a", "b", "c"])).unwrap();
        assert!(upserts.begin(&list(&["a", "c"])).is_some());
        assert!(upserts.begin(&list(&["x", "c"])).is_some());
        assert!(upserts.begin(&list(&["c", "a"])).is_none());
        upserts.end(first);
        assert!(upserts.begin(&list(&["b", "a"])).is_some());
    }

    #[test]
    fn a_name_is_locked_for_one_and_a_half_seconds() {
        let (mut locks, now) = (NameLocks::default(), Instant::now());
        locks.lock("ann", now);
        assert!(locks.is_locked("ann", now + Duration::from_millis(1499)));
        assert!(!locks.is_locked("ann", now + LOCKED));
        assert!(!locks.is_locked("bob", now));
    }
}
