//! What a run keeps of the calls that were made, for those who judge it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Network;
use crate::kubernetes::Id;

/// What is kept.
#[derive(Default)]
pub(super) struct Kept {
    calls: u64,
    /// The calls since somebody listened.
    heard: Option<Vec<String>>,
    /// Changes that were asked for and changed nothing.
    idle: Vec<String>,
    /// Changes that the operator asked for, but for its Lease.
    writes: Vec<String>,
    broken: Vec<String>,
    /// Secrets that could have been written to and were deleted, with their owner's UID and when.
    deleted: BTreeMap<String, (String, Instant)>,
    reached: Reached,
}

impl Kept {
    /// A call is made.
    pub(super) fn call(&mut self, line: &str) {
        self.calls += 1;
        if let Some(heard) = &mut self.heard {
            heard.push(line.to_owned());
        }
    }
}

/// What of the operator was reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reached {
    /// Reasons of accounts' conditions.
    pub reasons: BTreeSet<String>,
    /// Reasons of registries' conditions.
    pub registries: BTreeSet<String>,
    /// Reasons of events.
    pub events: BTreeSet<String>,
    /// Verbs and kinds, methods and paths without what tells objects apart.
    pub calls: BTreeSet<String>,
}

impl Reached {
    /// And what others reached.
    pub fn extend(&mut self, other: Self) {
        self.reasons.extend(other.reasons);
        self.registries.extend(other.registries);
        self.events.extend(other.events);
        self.calls.extend(other.calls);
    }
}

impl Network {
    /// Something happened that never may.
    pub fn broke(&self, what: impl fmt::Display) {
        self.note(format_args!("## {what}"));
        self.lock().kept.broken.push(what.to_string());
    }

    /// Keeps that the operator deletes a Secret of this owner that it could have written to.
    pub fn deletes(&self, secret: &Id, owner: String) {
        self.lock().kept.deleted.insert(secret.to_string(), (owner, Instant::now()));
    }

    /// The operator looks whether there is such a Secret.
    pub fn looks_again(&self, secret: &Id) {
        self.lock().kept.deleted.remove(&secret.to_string());
    }

    /// When the operator deleted a Secret of this owner that it could have written to.
    pub fn deleted(&self, secret: &Id, owner: &str) -> Option<Instant> {
        self.lock().kept.deleted.get(&secret.to_string()).filter(|(of, _)| of == owner).map(|(_, at)| *at)
    }

    /// What happened that never may.
    pub fn broken(&self) -> Vec<String> {
        self.lock().kept.broken.clone()
    }

    /// Keeps what was reached.
    pub fn reach(&self, note: impl FnOnce(&mut Reached)) {
        note(&mut self.lock().kept.reached);
    }

    /// What was reached.
    pub fn reached(&self) -> Reached {
        self.lock().kept.reached.clone()
    }

    /// Keeps that a change was asked for, whatever becomes of it.
    pub fn tried_to_write(&self, line: &str) {
        self.lock().kept.writes.push(line.to_owned());
    }

    /// From now on calls are kept.
    pub fn listen(&self) {
        self.lock().kept.heard = Some(Vec::new());
    }

    /// The calls since [`Self::listen`], which are kept no longer.
    pub fn heard(&self) -> Vec<String> {
        self.lock().kept.heard.take().unwrap_or_default()
    }

    /// Keeps that a change was asked for and done, and changed nothing.
    pub fn changed_nothing(&self, line: &str) {
        self.lock().kept.idle.push(line.to_owned());
    }

    /// The changes that changed nothing, since the last time.
    pub fn take_idle(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().kept.idle)
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.lock().kept.calls
    }

    /// The changes that the operator asked for, but for its Lease, since the last time.
    pub fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().kept.writes)
    }
}
