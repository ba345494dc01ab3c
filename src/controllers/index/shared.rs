//! Values that many hold and each of which is kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// So many are kept before those that are not in use any more are looked for.
const FIRST_TIDY: usize = 64;

/// Equal values share their memory for as long as somebody else holds them.
pub(super) struct Shared<T: ?Sized> {
    values: HashSet<Arc<T>>,
    /// With so many, those that nobody holds are dropped. It grows with what is in use, so that looking costs next to
    /// nothing for each that is added, and twice of what is in use is the most that is kept.
    tidy_at: usize,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self { values: HashSet::new(), tidy_at: FIRST_TIDY }
    }
}

impl<T: ?Sized + Hash + Eq> Shared<T> {
    /// The one that is shared of all equal values; made by `share` if nobody has one.
    pub(super) fn get(&mut self, value: &T, share: impl FnOnce() -> Arc<T>) -> Arc<T> {
        if let Some(known) = self.values.get(value) {
            return Arc::clone(known);
        }
        if self.values.len() >= self.tidy_at {
            self.tidy();
        }
        let shared = share();
        self.values.insert(Arc::clone(&shared));
        shared
    }

    /// Drops those that nobody holds.
    pub(super) fn tidy(&mut self) {
        self.values.retain(|value| Arc::strong_count(value) > 1);
        self.tidy_at = FIRST_TIDY.max(2 * self.values.len());
        self.values.shrink_to(self.tidy_at);
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

impl Shared<str> {
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        self.get(name, || name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_what_nobody_holds_goes() {
        let mut names = Shared::<str>::default();
        let (one, same) = (names.name("one"), names.name("one"));
        assert!(Arc::ptr_eq(&one, &same));
        for n in 0..10_000 {
            names.name(&format!("passing {n}"));
        }
        assert!(names.len() <= FIRST_TIDY, "{}", names.len());
        let held: Vec<_> = (0..1_000).map(|n| names.name(&format!("held {n}"))).collect();
        for n in 0..10_000 {
            names.name(&format!("passing {n}"));
        }
        assert!(names.len() <= 2 * (held.len() + 1), "{}", names.len());
        drop((held, same));
        names.tidy();
        assert_eq!(names.len(), 1);
    }
}
