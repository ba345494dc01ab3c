//! What is kept in memory of each account between passes: a few hundred bytes, no object and no secret.

mod entry;
mod secret_copies;
mod service_accounts;
mod shared;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Key;
use super::tracked::Shown;
use crate::api::{ObjectName, RegistryKey, RegistryTime};
use crate::cluster::objects::Version;
use crate::cluster::secret_template::SecretSummary;
use crate::domain::digest;
use crate::domain::observed::is_never_updated;
use crate::domain::robot::{Home, Robot};

pub use entry::{AccountSlots, Contests, Entry, PasswordSeen, State, Told};
use secret_copies::SecretCopies;
pub use secret_copies::{Copy, Namespace};
use service_accounts::Named;
use shared::Shared;

/// All accounts, and which ServiceAccounts they wait for.
#[derive(Default)]
pub struct Index {
    inner: Mutex<Inner>,
    listed: AtomicBool,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    names: Shared<str>,
    homes: Shared<Home>,
    namespaces: HashMap<ObjectName, Namespace>,
    /// Where the Secrets of system accounts go.
    secret_copies: HashMap<Key, SecretCopies>,
    /// ServiceAccounts that accounts name, by namespace.
    service_accounts: HashMap<ObjectName, HashMap<ObjectName, Named>>,
    /// Our Secrets as the watch saw them before their account: what a start needs to leave settled accounts alone.
    secrets: HashMap<Key, SecretSummary>,
}

impl Index {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All accounts were listed: from now on one that is not here is none.
    pub fn set_listed(&self) {
        self.listed.store(true, Ordering::Release);
    }

    /// See [`Index::set_listed`].
    pub fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// The key of an object (without a namespace: of a `SystemRobotAccount`), if both are names; equal namespaces share their
    /// memory.
    pub fn key(&self, namespace: Option<&str>, name: &str) -> Option<Key> {
        let name = ObjectName::new(name).ok()?;
        let namespace = match namespace {
            Some(namespace) => Some(intern(&mut self.lock().names, namespace)?),
            None => None,
        };
        Some(Key { namespace, name })
    }

    /// The key of the account with this metadata; `None` only of what no API server stores.
    pub fn key_of(&self, meta: &ObjectMeta) -> Option<Key> {
        self.key(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
    }

    /// A home, shared.
    pub fn home(&self, home: &Home) -> Arc<Home> {
        self.lock().homes.get(home, || Arc::new(home.clone()))
    }

    /// The entry of an account.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.lock().entries.get(key).cloned()
    }

    /// The registry that an account uses.
    pub fn registry(&self, key: &Key) -> Option<RegistryKey> {
        self.lock().entries.get(key).map(|entry| entry.registry.clone())
    }

    /// Sets the entry of an account.
    pub fn set(&self, key: Key, entry: Entry) {
        self.lock().entries.insert(key, entry);
    }

    /// Changes the entry of an account, if there is one.
    pub fn update(&self, key: &Key, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.lock().entries.get_mut(key) {
            change(entry);
        }
    }

    /// Forgets an account; answers with what was known of it.
    pub fn remove(&self, key: &Key) -> Option<Entry> {
        let mut inner = self.lock();
        if let Some(namespace) = &key.namespace {
            inner.forget_service_accounts(key, namespace);
        } else {
            inner.secret_copies.remove(key);
            let namespaces: Vec<ObjectName> = inner.service_accounts.keys().cloned().collect();
            for namespace in &namespaces {
                inner.forget_service_accounts(key, namespace);
            }
        }
        let entry = inner.entries.remove(key);
        if inner.entries.is_empty() {
            inner.names.tidy();
            inner.homes.tidy();
        }
        entry
    }

    /// The accounts of a registry that may have robots, by home.
    pub fn by_home(&self, registry: &RegistryKey) -> BTreeMap<Arc<Home>, Vec<AccountSlots>> {
        let mut homes: BTreeMap<Arc<Home>, Vec<AccountSlots>> = BTreeMap::new();
        for (key, entry) in &self.lock().entries {
            if entry.registry == *registry && entry.may_have_robots {
                let resident = AccountSlots { key: key.clone(), uid: entry.uid, slots: entry.slots };
                homes.entry(Arc::clone(&entry.home)).or_default().push(resident);
            }
        }
        homes
    }

    /// One account that fits, if there is any.
    pub fn find(&self, fits: impl Fn(&Key, &Entry) -> bool) -> Option<Key> {
        self.lock().entries.iter().find(|(key, entry)| fits(key, entry)).map(|(key, _)| key.clone())
    }

    /// The keys of all accounts that fit.
    pub fn keys(&self, fits: impl Fn(&Key, &Entry) -> bool) -> Vec<Key> {
        self.lock().entries.iter().filter(|(key, entry)| fits(key, entry)).map(|(key, _)| key.clone()).collect()
    }

    /// Notes what the watch showed of an account's Secret. True if a pass should look.
    pub fn see_secret(&self, account: &Key, secret: SecretSummary, shown: Shown) -> bool {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(account) {
            return entry.secret.observe(secret.version, shown);
        }
        if shown == Shown::Deleted {
            inner.secrets.remove(account);
        } else {
            inner.secrets.insert(account.clone(), secret);
        }
        false
    }

    /// Notes what the watch showed of an account. True if a pass should look.
    pub fn see_account(&self, account: &Key, version: Version, shown: Shown) -> bool {
        self.lock().entries.get_mut(account).is_some_and(|entry| entry.object.observe(version, shown))
    }

    /// What was noted of an account's Secret before the account was known.
    pub fn secret_summary(&self, account: &Key) -> Option<SecretSummary> {
        self.lock().secrets.get(account).cloned()
    }

    /// Takes what was noted of an account's Secret before the account was known.
    pub fn take_secret(&self, account: &Key) -> Option<SecretSummary> {
        let mut inner = self.lock();
        let secret = inner.secrets.remove(account);
        // Filled at a start and emptied by the accounts right after: what it took goes back.
        if inner.secrets.len() < inner.secrets.capacity() / 4 {
            inner.secrets.shrink_to_fit();
        }
        secret
    }

    /// True if an account of a registry is on its way out.
    pub fn has_deleting(&self, registry: &RegistryKey) -> bool {
        self.lock().entries.values().any(|entry| entry.deleting && entry.registry == *registry)
    }

    /// True if a system account of a registry has its Secret, in the operator's namespace, under this name.
    pub fn publishes_login(&self, registry: &RegistryKey, secret: &str) -> bool {
        let called = |key: &Key, entry: &Entry| *entry.secret_name.as_ref().unwrap_or(&key.name) == *secret;
        let fits = |key: &Key, entry: &Entry| key.is_system() && entry.registry == *registry && called(key, entry);
        self.lock().entries.iter().any(|(key, entry)| fits(key, entry))
    }

    /// How many accounts use a registry.
    pub fn count(&self, registry: &RegistryKey) -> usize {
        self.lock().entries.values().filter(|entry| entry.registry == *registry).count()
    }

    /// Visits what the status of each account says.
    pub fn each_told(&self, visit: impl FnMut(&Told)) {
        self.lock().entries.values().map(|entry| &entry.told).for_each(visit);
    }

    /// True if there is nothing new about an account since its last pass.
    pub fn is_quiet(&self, key: &Key) -> bool {
        let inner = self.lock();
        let mut copies = inner.secret_copies.get(key).into_iter().flat_map(|of_account| of_account.copies.values());
        inner.entries.get(key).is_some_and(Entry::is_quiet)
            && copies.all(Copy::is_quiet)
            && inner.places_with_news(key).next().is_none()
    }
}

/// A name that all who hold it share.
fn intern(names: &mut Shared<str>, name: &str) -> Option<ObjectName> {
    ObjectName::try_from(names.name(name)).ok()
}

/// The digest of a robot: changes whenever Harbor shows anything that a pass would act on.
pub fn robot_digest(robot: &Robot) -> u64 {
    let fresh = is_never_updated(robot.creation_time, robot.update_time);
    let is = (robot.id, robot.creation_time, &robot.name, &robot.description);
    let may = (robot.disabled, robot.foreign_effect, robot.expiration_time, &robot.permissions);
    digest((is, may, (!fresh).then_some(robot.update_time)))
}

/// Tells a robot from all others: ids run again after a restore of Harbor.
pub fn robot_identity(id: i64, creation_time: RegistryTime) -> u64 {
    digest((id, creation_time))
}

/// The digest of both slots, from that of the robot in each.
pub fn slots_digest(robots: [Option<u64>; 2]) -> u64 {
    digest(robots)
}

#[cfg(test)]
mod tests;
