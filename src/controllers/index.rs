//! What is kept in memory of each account between passes: a few hundred bytes, no object and no secret.

mod secret_copies;
mod service_accounts;
mod shared;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Key;
use super::tracked::{Shown, Tracked};
use crate::api::{ObjectName, RegistryKey, RegistryTime};
use crate::cluster::objects::Version;
use crate::cluster::secret_template::SecretSummary;
use crate::domain::contest::Contest;
use crate::domain::observed::is_never_updated;
use crate::domain::pace::{Kind, Pace};
use crate::domain::robot::{Home, Robot};

use secret_copies::SecretCopies;
pub use secret_copies::{Copy, Namespace};
use service_accounts::Named;
use shared::Shared;

/// One account at rest.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `metadata.uid`, hashed: tells an account from a namesake made later.
    pub uid: u64,
    /// The registry it uses.
    pub registry: RegistryKey,
    /// Where its robots live.
    pub home: Arc<Home>,
    /// Its first slot's short name.
    pub base_name: Box<str>,
    /// The Secret's name, where it is not the account's.
    pub secret_name: Option<ObjectName>,
    /// The digest of spec, annotations and deletion that the last pass saw.
    pub wish: u64,
    /// The account at the API server.
    pub object: Tracked,
    /// The digest of both slots as the last pass left them; `None` = not known, the next sweep looks.
    pub slots: Option<u64>,
    /// A sweep saw that the robots have other names and are else as they were left.
    pub renamed: bool,
    /// The robots in both slots that carry the account's mark, or did; see [`robot_identity`]. 0 = none.
    pub marked: [u64; 2],
    /// This process saw the mark itself. Until then `marked` is what status says.
    pub mark_seen: bool,
    /// What was learned by trying keeps it from being as wished: when that is forgotten, it tries again.
    pub held_back: bool,
    /// Its Secret, or the first of them.
    pub secret: Tracked,
    /// Its account was told that its home could not be listed, or is to be told.
    pub home_fails: bool,
    /// Something else asks for a look: a sweep, a ServiceAccount, the registry.
    pub recheck: bool,
    /// When to look again without an event.
    pub wake: Option<Instant>,
    /// A call of unknown outcome may commit until then.
    pub unsettled_until: Option<Instant>,
    /// It had our finalizer when this process saw it first and was not settled: a process before us may have left a call
    /// under way.
    pub left_unfinished: bool,
    /// It has our finalizer: it may have robots. Without it no call is made on its behalf.
    pub may_have_robots: bool,
    /// It had our finalizer once: somebody may have taken it off.
    pub had_robots: bool,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// Deleted with `Retain`, and a registry call failed: the next pass goes without.
    pub gave_up: bool,
    /// What its status says, for the metrics.
    pub told: Told,
    /// Others who undid our work lately, and how often we repaired it; `None` for nearly every account.
    pub contests: Option<Box<Contests>>,
    /// The Secret with the account's own password; `None` for nearly every account.
    pub password: Option<Box<PasswordSeen>>,
    /// Its permissions depend on which projects there are.
    pub by_pattern: bool,
}

/// The Secret with an account's own password. It carries no label of ours, so no watch tells of it: sweeps look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordSeen {
    /// The Secret's name.
    pub secret: ObjectName,
    /// The version that the last pass read; none if it was not there.
    pub version: Version,
}

/// Where others undid our work.
#[derive(Clone, Debug, Default)]
pub struct Contests {
    /// Our Secret.
    pub secret: Contest,
    /// Our entry in ServiceAccounts.
    pub service_accounts: Contest,
    /// How often the credential was replaced for another reason than its age.
    pub repairs: Pace,
    /// How often it was for its age.
    pub renewals: Pace,
    /// Since when this process sees no grant for the account any more.
    pub refused: Option<Instant>,
    /// Since when calls fail for an account under `Retain` that is being deleted.
    pub failing: Option<Instant>,
}

impl Contests {
    /// Where replacements of this kind are counted.
    pub fn pace(&mut self, kind: Kind) -> &mut Pace {
        match kind {
            Kind::Repair => &mut self.repairs,
            Kind::Renewal => &mut self.renewals,
        }
    }
}

impl Entry {
    /// An account of which nothing else is known yet.
    pub fn new(uid: u64, registry: RegistryKey, home: Arc<Home>) -> Self {
        Self {
            uid,
            registry,
            home,
            base_name: Box::default(),
            secret_name: None,
            wish: 0,
            object: Tracked::default(),
            slots: None,
            renamed: false,
            marked: [0; 2],
            mark_seen: false,
            held_back: false,
            secret: Tracked::default(),
            home_fails: false,
            recheck: false,
            wake: None,
            unsettled_until: None,
            left_unfinished: false,
            may_have_robots: false,
            had_robots: false,
            deleting: false,
            gave_up: false,
            told: Told { state: State::NotReady("Progressing"), expires: None, renews: None },
            contests: None,
            password: None,
            by_pattern: false,
        }
    }

    /// Others undid our work: notes it where `which` says. Answers until when we stand back, if that happens too often.
    pub fn contest(&mut self, which: impl FnOnce(&mut Contests) -> &mut Contest) -> Option<Instant> {
        let now = Instant::now();
        let contest = which(self.contests.get_or_insert_default());
        contest.note(now);
        contest.until(now)
    }

    /// Whether each of the robots was seen with the account's mark before.
    pub fn knows(&self, robots: &[Option<Robot>; 2]) -> [bool; 2] {
        robots.each_ref().map(|robot| {
            let identity = robot.as_ref().map(|robot| robot_identity(robot.id, robot.creation_time));
            self.mark_seen && identity.is_some_and(|identity| self.marked.contains(&identity))
        })
    }

    /// Notes a robot that carries the account's mark.
    pub fn see_mark(&mut self, slot: usize, identity: u64) {
        if !self.mark_seen {
            (self.marked, self.mark_seen) = ([0; 2], true);
        }
        self.marked[slot] = identity;
    }

    /// True if there is nothing new since the last pass.
    pub fn is_quiet(&self) -> bool {
        !self.recheck && self.object.is_quiet() && self.secret.is_quiet()
    }
}

/// An account for a sweep over its home.
#[derive(Clone, Debug)]
pub struct AccountSlots {
    /// Which account.
    pub key: Key,
    /// [`Entry::uid`].
    pub uid: u64,
    /// [`Entry::slots`].
    pub slots: Option<u64>,
}

/// What the status of an account says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether it is ready.
    pub state: State,
    /// When the published credential expires (registry time).
    pub expires: Option<RegistryTime>,
    /// When it is to be renewed (registry time).
    pub renews: Option<RegistryTime>,
}

/// Coarse state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Ready.
    Ready,
    /// Not ready, for this reason of `domain::reasons`.
    NotReady(&'static str),
    /// Suspended.
    Suspended,
}

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
        let mut copies = inner.secret_copies.get(key).into_iter().flat_map(|spread| spread.copies.values());
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
    let mut hash = DefaultHasher::new();
    let fresh = is_never_updated(robot.creation_time, robot.update_time);
    (robot.id, robot.creation_time, &robot.name, &robot.description).hash(&mut hash);
    (robot.disabled, robot.foreign_effect, robot.expiration_time, &robot.permissions).hash(&mut hash);
    (!fresh).then_some(robot.update_time).hash(&mut hash);
    hash.finish()
}

/// Tells a robot from all others: ids run again after a restore of Harbor.
pub fn robot_identity(id: i64, creation_time: RegistryTime) -> u64 {
    digest((id, creation_time))
}

/// The digest of both slots, from that of the robot in each.
pub fn slots_digest(robots: [Option<u64>; 2]) -> u64 {
    digest(robots)
}

/// A digest of anything that can be hashed.
pub fn digest(value: impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests;
