//! The ids of projects, as far as they were learnt.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::limits::KeyedLocks;

const MOST_KNOWN: usize = 10_000;

/// Ids by name. A name keeps its id until the project is deleted and made again.
#[derive(Debug, Default)]
pub(super) struct ProjectIds {
    known: Mutex<HashMap<String, Known>>,
    /// One question at a time per name: the accounts of a project start together.
    pub(super) locks: KeyedLocks<String>,
    /// Questions by name so far.
    pub(super) asked: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) confirmed: Instant,
}

impl ProjectIds {
    /// Harbor gave this id, or robots of the project under it.
    pub(super) fn confirm(&self, project: &str, id: i64) {
        let known = Known { id, confirmed: Instant::now() };
        let mut map = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = map.get_mut(project) {
            *entry = known;
            return;
        }
        // Any one: it is asked for again when it is needed.
        if map.len() >= MOST_KNOWN
            && let Some(other) = map.keys().next().cloned()
        {
            map.remove(&other);
        }
        map.insert(project.to_owned(), known);
    }

    /// The id turned out wrong.
    pub(super) fn forget(&self, project: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(project);
    }

    pub(super) fn get(&self, project: &str) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(project).copied()
    }
}
