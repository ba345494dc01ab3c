//! Registries and their logins.

mod basis;
mod capabilities;
mod connect;
mod counts;
mod former;
mod hosts;
mod login_robot;
mod probe;
mod projects;
pub mod resolve;
mod round;
mod served;
mod session;
mod settings;
mod status;
mod swept;
mod trouble;

pub use capabilities::Capabilities;
pub use counts::{Counts, Unmanaged, is_unmanaged};
pub use former::check_former;
pub use login_robot::{LoginRobot, place, place_of};
pub use probe::{in_use, look, probe};
pub use projects::{FRESH, projects, refresh as refresh_projects};
pub use served::ServedRegistry;
#[cfg(test)]
pub(crate) use served::tests as for_tests;
pub use settings::keep_settings;
pub use status::{tell_swept, warn};
pub use swept::{Since, Swept};
pub use trouble::{Trouble, unreachable_tenant};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::tracked::Shown;
use super::{Context, Settings};
use crate::api::{ClusterHarborRegistrySpec, ObjectName, RegistryKey, RegistryKind, RegistryObject, keys};
use crate::cluster::objects::{self, Version};
use crate::domain::catalogue::Catalogue;
use crate::domain::digest;
use crate::registry::Error;
use crate::registry::harbor::Room;

/// What a watch event told of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing new but status.
    Nothing,
    /// What concerns the Harbor itself and none of its accounts: its settings, its orphans, how often it is looked at.
    Itself,
    /// Its accounts have to be looked at.
    Changed,
    /// The same, but only once it was asked at its present URL who it is.
    Connection,
}

/// How a registry's object became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A watch showed it.
    Watch(Shown),
    /// It was read. `before`: what the watch had shown by then.
    Read {
        /// See [`Tracked::read`](super::tracked::Tracked::read).
        before: Version,
    },
}

/// All registries by name.
#[derive(Default)]
pub struct Registries {
    states: RwLock<HashMap<RegistryKey, Arc<ServedRegistry>>>,
    probed: tokio::sync::Notify,
    /// Shared by the clients of the cluster's registries, and by those of namespaces'.
    rooms: [Room; 2],
    /// Since when accounts that are being deleted miss a registry object.
    missed: Mutex<HashMap<RegistryKey, Instant>>,
    /// Registries that another operator serves, and when each was last seen to be there.
    elsewhere: Mutex<HashMap<RegistryKey, Instant>>,
}

/// So long a registry that another operator serves counts as there.
const BELIEVED: Duration = Duration::from_mins(1);

impl Registries {
    /// A registry's state.
    pub fn get(&self, name: &RegistryKey) -> Option<Arc<ServedRegistry>> {
        self.states.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<ServedRegistry>> {
        self.states.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// What a registry's client shares with those of others of its kind.
    pub(super) fn room(&self, is_tenants: bool) -> Room {
        self.rooms[usize::from(is_tenants)].clone()
    }

    /// A catalogue, or the same of another registry: those of one version have the same.
    pub(super) fn shared(&self, catalogue: Catalogue) -> Arc<Catalogue> {
        let all = self.all();
        let known = all.iter().filter_map(|state| state.session.catalogue.as_ref()).find(|known| ***known == catalogue);
        known.map_or_else(|| Arc::new(catalogue), Arc::clone)
    }

    /// How many registries of the same namespace are older than this one.
    pub(super) fn older_of_namespace(&self, registry: &RegistryObject) -> usize {
        let age = |object: &RegistryObject| {
            let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (created, object.metadata.name.clone())
        };
        let same = |other: &RegistryObject| {
            other.kind == registry.kind && other.metadata.namespace == registry.metadata.namespace
        };
        let all = self.all();
        all.iter().filter(|state| same(&state.object) && age(&state.object) < age(registry)).count()
    }

    /// The registries that are annotated as the default.
    pub fn defaults(&self) -> Vec<RegistryKey> {
        let all = self.all();
        let mut names: Vec<RegistryKey> =
            all.iter().filter(|state| is_default(&state.object)).map(|state| state.key.clone()).collect();
        names.sort();
        names
    }

    /// True if a registry logs in with this Secret.
    pub fn is_a_login(&self, settings: &Settings, namespace: &ObjectName, secret: &str) -> bool {
        let all = self.all();
        all.iter().any(|state| state.secret_namespace(settings) == namespace && state.login_secret() == secret)
    }

    /// Puts an object that was shown or read in, and says what changed.
    pub fn observe(&self, name: &RegistryKey, object: RegistryObject, by: By) -> Seen {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        let object = Arc::new(object);
        let Some(known) = states.get(name).cloned() else {
            states.insert(name.clone(), Arc::new(ServedRegistry::new(name.clone(), object)));
            return Seen::Connection;
        };
        let version = Version::of(&object.metadata);
        let mut tracked = known.tracked;
        let same = known.object.metadata.uid == object.metadata.uid;
        let news = match by {
            By::Watch(shown) => tracked.observe(version, shown),
            By::Read { before } => {
                tracked.read(version, before);
                true
            }
        };
        if !news && same {
            states.insert(name.clone(), Arc::new(ServedRegistry { tracked, ..(*known).clone() }));
            return Seen::Nothing;
        }
        tracked.leave(version);
        let deleted = known.object.metadata.deletion_timestamp != object.metadata.deletion_timestamp;
        let edited = wish(&known.object) != wish(&object);
        let changed = edited && (deleted || for_accounts(&known.object) != for_accounts(&object));
        let moved = known.object.spec.url != object.spec.url;
        let guarded = |object: &RegistryObject| objects::has_finalizer(&object.metadata, keys::FINALIZER_REGISTRY);
        // The next probe puts it back, or lets the object go.
        let stripped = guarded(&known.object) && !guarded(&object);
        let mut next = (*known).clone();
        if moved {
            next.keep_basis();
        }
        (next.object, next.tracked) = (object, tracked);
        if !same {
            next.pinned = None;
        }
        if edited {
            (next.session.login_robot_seen, next.session.catalogue_seen) = (None, None);
        }
        if moved {
            next.swept = Swept::default();
        }
        if changed {
            next.trouble = Some(Trouble::unprobed(name));
            next.probed = false;
        }
        states.insert(name.clone(), Arc::new(next));
        match (moved, changed, edited || stripped) {
            (true, _, _) => Seen::Connection,
            (false, true, _) => Seen::Changed,
            (false, false, true) => Seen::Itself,
            (false, false, false) => Seen::Nothing,
        }
    }

    /// Takes over what we wrote ourselves on top of the object in `before`, unless something later came meanwhile.
    pub(super) fn record_write(&self, before: &ServedRegistry, object: RegistryObject) {
        self.change(&before.key, |state| {
            let version = |object: &RegistryObject| (object.metadata.uid.clone(), Version::of(&object.metadata));
            if version(&state.object) == version(&before.object) {
                state.tracked.leave(Version::of(&object.metadata));
                state.object = Arc::new(object);
            }
        });
    }

    /// The same where nothing but the metadata changed.
    pub(super) fn record_metadata(&self, before: &ServedRegistry, metadata: ObjectMeta) {
        self.record_write(before, RegistryObject { metadata, ..(*before.object).clone() });
    }

    /// Since when a registry object is missed, by whoever asked first.
    pub fn missed_since(&self, name: &RegistryKey) -> Instant {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        *missed.entry(name.clone()).or_insert_with(Instant::now)
    }

    /// No account waits any more for a registry that is missed.
    pub fn miss_no_more(&self, name: &RegistryKey) {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Notes that a registry is there, which another operator serves.
    pub(super) fn note_elsewhere(&self, name: &RegistryKey) {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.retain(|_, seen| seen.elapsed() < BELIEVED);
        elsewhere.insert(name.clone(), Instant::now());
    }

    /// True if that was noted a short while ago.
    pub(super) fn is_elsewhere(&self, name: &RegistryKey) -> bool {
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.get(name).is_some_and(|seen| seen.elapsed() < BELIEVED)
    }

    /// Forgets a registry.
    pub fn remove(&self, name: &RegistryKey) {
        self.states.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Notes Harbor's clock; true if it jumped, so that timers set by it are wrong.
    pub fn see_clock(&self, name: &RegistryKey, offset: jiff::SignedDuration) -> bool {
        let jumped =
            self.get(name).is_some_and(|state| state.swept.clock_offset.saturating_sub(offset).unsigned_abs() > JUMP);
        if jumped {
            self.change(name, |state| {
                state.swept.clock_offset = offset;
                state.session.login_robot_seen = None;
            });
        }
        jumped
    }

    /// Notes what a sweep found that began with this state; of another Harbor it says nothing.
    pub fn record_sweep(&self, began: &ServedRegistry, found: impl FnOnce(&mut Swept)) {
        self.change(&began.key, |state| {
            if state.object.spec.url == began.object.spec.url {
                found(&mut state.swept);
            }
        });
    }

    pub(super) fn change(&self, name: &RegistryKey, change: impl FnOnce(&mut ServedRegistry)) {
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(name) {
            let mut next = (**state).clone();
            change(&mut next);
            *state = Arc::new(next);
        }
        drop(states);
        self.probed.notify_waiters();
    }

    /// Waits until each registry that is known passed its first probe, at most for `time`, and for one of a namespace at
    /// most for `time_of_namespaces`.
    pub async fn wait_until_probed(&self, time: Duration, time_of_namespaces: Duration) {
        let probed = |tenants: bool| async move {
            loop {
                let changed = self.probed.notified();
                if self.all().iter().all(|state| state.probed || state.is_tenants() != tenants) {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::join!(
            tokio::time::timeout(time, probed(false)),
            tokio::time::timeout(time_of_namespaces, probed(true)),
        );
    }
}

/// What a person can change of a registry object.
fn wish(object: &RegistryObject) -> u64 {
    let meta = &object.metadata;
    let annotations = meta.annotations.iter().flatten().filter(|(key, _)| *key != keys::ANNOTATION_PINNED_HOST);
    digest((meta.generation, &meta.uid, annotations.collect::<Vec<_>>(), meta.deletion_timestamp.is_some()))
}

/// What a probe's answers depend on.
fn address(object: &RegistryObject) -> impl PartialEq {
    let ClusterHarborRegistrySpec { url, auth, tls, rate_limit, registry_host, additional_hosts, .. } = &object.spec;
    (&object.metadata.uid, url, auth, tls, rate_limit, registry_host, additional_hosts)
}

/// What of a registry object its accounts depend on.
fn for_accounts(object: &RegistryObject) -> impl PartialEq {
    let spec = ClusterHarborRegistrySpec {
        poll_interval: None,
        server_settings: None,
        orphan_policy: None,
        ..object.spec.clone()
    };
    (spec, object.metadata.uid.clone(), is_default(object))
}

/// True if accounts that name no registry use this one.
fn is_default(object: &RegistryObject) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    object.kind == RegistryKind::ClusterHarborRegistry
        && annotations.and_then(|all| all.get(keys::ANNOTATION_IS_DEFAULT)).is_some_and(|value| value == "true")
}

/// `Date` headers have whole seconds, so smaller differences are noise.
const JUMP: Duration = Duration::from_secs(3);

/// Takes in a newer picture of a registry's object and asks its accounts for what that means for them; what a probe or a
/// sweep has to do is left to the caller.
pub fn apply_object(ctx: &Context, name: &RegistryKey, object: RegistryObject, by: By) -> Seen {
    let seen = ctx.registries.observe(name, object, by);
    if seen == Seen::Changed {
        // Under another URL the probe has to come first; it looks at the accounts when it is through.
        ctx.recheck_all(name);
    }
    if seen != Seen::Nothing {
        ctx.release_for(name);
    }
    seen
}

impl Context {
    /// An account met an error that may concern the registry as a whole: probe it now. Where one call tells for sure,
    /// everybody else waits from then on; a project that Harbor never gets done with is nobody else's matter.
    pub fn suspect(&self, name: &RegistryKey, error: &Error) {
        let doubtful = error.is_of_login();
        let certain = doubtful || matches!(error, Error::Unreachable(_) | Error::Busy(_) | Error::ReadOnly);
        self.registries.change(name, |state| {
            // Whether a login that is only in memory is still good the probe finds out.
            state.session.kept = false;
            if certain && state.trouble.is_none() {
                let trouble = if doubtful { Trouble::suspected(name) } else { Trouble::from_error(state, error) };
                state.trouble = Some(trouble);
                state.probed = !doubtful;
                state.trouble_since.get_or_insert_with(Instant::now);
            }
        });
        self.suggest_probe(name.clone());
    }
}

#[cfg(test)]
mod tests;
