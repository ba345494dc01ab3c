//! The one door to both queues: who is looked at again, and what may hold that up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::index::{Entry, Index};
use super::registries::Registries;
use super::{Context, Key, RegistryWork, WaitFor, turns};
use crate::api::{Account, RegistryKey};
use crate::deadline;
use crate::engine::{Counts, Handle};

/// After so long it is said that a registry has no accounts any more: the pass of the last one has ended then.
const RECOUNT: Duration = Duration::from_secs(2);

/// Passes that are due, over accounts and over registries.
pub struct Queues {
    /// The payload is the object of a watch event.
    accounts: Handle<Key, Box<Account>>,
    registries: Handle<RegistryWork, ()>,
}

impl Queues {
    /// Both empty. `concurrency`: passes over accounts at once.
    pub fn new(concurrency: usize, index: &Arc<Index>, registries: &Arc<Registries>) -> Self {
        let group_of = turns::group_of(Arc::clone(index), Arc::clone(registries));
        Self {
            accounts: Handle::grouped(turns::account_queue(concurrency), group_of),
            registries: Handle::new(turns::registry_queue()),
        }
    }

    /// The queue of accounts, for whoever runs its passes.
    pub fn accounts(&self) -> Handle<Key, Box<Account>> {
        self.accounts.clone()
    }

    /// The queue of registries, for whoever runs its passes.
    pub fn registries(&self) -> Handle<RegistryWork, ()> {
        self.registries.clone()
    }

    /// How many accounts wait, and for what.
    pub fn counts(&self) -> Counts {
        self.accounts.counts()
    }
}

/// Accounts.
impl Context {
    /// A person changed the account, or something that it depends on is another one: nothing holds the pass up.
    /// `object`: as an event brought it.
    pub fn edited(&self, key: Key, object: Option<Box<Account>>) {
        self.queues.accounts.change(key, object);
    }

    /// The index has noted something new about the account. A backoff and what the account waits for hold the pass up.
    pub fn hint(&self, key: Key) {
        self.queues.accounts.hint(key, None);
    }

    /// The same where none of the account's own objects changed.
    pub fn recheck(&self, key: &Key) {
        self.index.update(key, |entry| entry.recheck = true);
        self.hint(key.clone());
    }

    /// The same for all accounts of a registry that fit.
    pub fn recheck_those(&self, registry: &RegistryKey, fit: impl Fn(&Key, &Entry) -> bool) {
        for key in self.index.keys(|key, entry| entry.registry == *registry && fit(key, entry)) {
            self.recheck(&key);
        }
    }

    /// The registry is another one for its accounts: nothing holds their passes up.
    pub fn recheck_all(&self, registry: &RegistryKey) {
        for key in self.index.keys(|_, entry| entry.registry == *registry) {
            self.index.update(&key, |entry| entry.recheck = true);
            self.edited(key, None);
        }
    }

    /// Something came or went beside the account's Secrets. An account that waits for its registry hears no hint, and what
    /// needs no Harbor is done all the same.
    pub fn recheck_the_cluster(&self, account: Key) {
        let registry = self.index.get(&account).and_then(|entry| self.registries.get(&entry.registry));
        if registry.is_some_and(|state| state.trouble.is_some()) {
            self.edited(account, None);
        } else {
            self.hint(account);
        }
    }

    /// A pass at that time, unless one before sets another.
    pub fn wake_at(&self, key: Key, at: Instant) {
        self.queues.accounts.wake_at(key, at);
    }

    /// What these accounts wait for has come. Answers how many there were.
    pub fn release(&self, what: WaitFor<'_>) -> usize {
        self.queues.accounts.release(what.tag())
    }

    /// The registry came, went or changed: accounts that wait for one look.
    pub fn release_for(&self, registry: &RegistryKey) {
        self.release(WaitFor::DefaultRegistry);
        self.release(WaitFor::Registry(registry));
    }

    /// The account is gone.
    pub fn forget(&self, key: &Key) {
        self.queues.accounts.forget(key);
    }
}

/// Registries.
impl Context {
    /// A probe that nothing holds up.
    pub fn probe(&self, registry: RegistryKey) {
        self.queues.registries.change(RegistryWork::Probe(registry), None);
    }

    /// A probe, unless one backs off.
    pub fn suggest_probe(&self, registry: RegistryKey) {
        self.queues.registries.hint(RegistryWork::Probe(registry), None);
    }

    /// A probe at that time.
    pub fn probe_at(&self, registry: RegistryKey, at: Instant) {
        self.queues.registries.wake_at(RegistryWork::Probe(registry), at);
    }

    /// A sweep, unless one backs off.
    pub fn suggest_sweep(&self, registry: RegistryKey) {
        self.queues.registries.hint(RegistryWork::Sweep(registry), None);
    }

    /// A sweep soon, since the registry's last account went: its status says that nobody uses it.
    pub fn recount(&self, registry: RegistryKey) {
        self.queues.registries.wake_at(RegistryWork::Sweep(registry), deadline::from_now(RECOUNT));
    }
}
