//! The counts of a sweep while it goes on.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::registries::{Counts, ServedRegistry, Unmanaged};
use crate::domain::robot::Home;

/// The counts of one sweep. Homes that are not in use any more drop out; the system's are looked at more rarely.
pub(super) struct OrphanCount {
    before: Option<Arc<Counts>>,
    found: Counts,
    whole: bool,
}

impl OrphanCount {
    /// Begins with what is known of the system, while the login may look there.
    pub(super) fn of(state: &ServedRegistry) -> Self {
        let before = state.swept.counts.clone();
        let mut orphan_count = Self { found: Counts::default(), whole: true, before };
        if state.session.sees_system {
            orphan_count.keep(&Arc::new(Home::System));
        }
        orphan_count
    }

    /// The orphans of a home at the last sweep.
    pub(super) fn known(&self, home: &Home) -> &[u64] {
        self.before.as_ref().and_then(|before| before.orphans.get(home)).map_or(&[], Vec::as_slice)
    }

    /// The orphans of a home were counted.
    pub(super) fn orphans(&mut self, home: &Arc<Home>, orphans: Vec<u64>) {
        put(&mut self.found.orphans, home, Some(orphans).filter(|orphans| !orphans.is_empty()));
    }

    /// The robots of a home that nobody manages were counted.
    pub(super) fn unmanaged(&mut self, home: &Arc<Home>, unmanaged: Unmanaged) {
        put(&mut self.found.unmanaged, home, Some(unmanaged).filter(|unmanaged| !unmanaged.is_empty()));
    }

    /// What could not be looked at is as it was; a count that begins with a gap waits for the next sweep, unless the gap
    /// lasts.
    pub(super) fn missed(&mut self, home: &Arc<Home>, lasts: bool) {
        self.whole &= lasts || self.before.is_some();
        self.keep(home);
    }

    /// Not everything could be counted.
    pub(super) fn is_not_whole(&mut self) {
        self.whole = false;
    }

    /// What was counted, if that is all there is; once.
    pub(super) fn result(&mut self) -> Option<Counts> {
        Some(std::mem::take(&mut self.found)).filter(|_| self.whole)
    }

    /// A home is as it was at the last sweep.
    fn keep(&mut self, home: &Arc<Home>) {
        let orphans = self.known(home).to_vec();
        self.orphans(home, orphans);
        let unmanaged = self.before.as_ref().and_then(|before| before.unmanaged.get(home)).cloned();
        self.unmanaged(home, unmanaged.unwrap_or_default());
    }
}

/// What is counted in a home; nothing is left out.
fn put<T>(counts: &mut HashMap<Arc<Home>, T>, home: &Arc<Home>, count: Option<T>) {
    match count {
        Some(count) => drop(counts.insert(Arc::clone(home), count)),
        None => drop(counts.remove(home)),
    }
}
