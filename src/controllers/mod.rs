//! Brings objects and Harbor together. `accounts` keeps accounts (gather → plan → execute → report), `registries` keeps
//! logins, `sweep` compares what Harbor holds with what was left there, `watch` turns events into work, and all of them ask for
//! it by `enqueue`.

pub mod accounts;
pub mod dry_run;
pub mod enqueue;
pub mod figures;
pub mod gaps;
pub mod index;
pub mod registries;
pub mod sweep;
pub mod tracked;
pub mod turns;
mod unreadable;
pub mod watch;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::api::{ObjectName, RegistryKey, RegistryTime};
use crate::clock::Steady;
use crate::cluster::events::Events;
use crate::deadline;
use crate::domain::digest;
use crate::domain::robot::Home;
use crate::engine::Outcome;
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::registry::harbor::{Carrier, PrivateHost};

/// An account's name, small and cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Shared by all keys of the namespace; `None` for a `SystemRobotAccount`.
    pub namespace: Option<ObjectName>,
    /// The object's name.
    pub name: ObjectName,
}

impl Key {
    /// True for a `SystemRobotAccount`.
    pub fn is_system(&self) -> bool {
        self.namespace.is_none()
    }

    /// The namespace; empty for a `SystemRobotAccount`.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            None => f.write_str(&self.name),
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// Work on a registry. Both kinds of one registry may run side by side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegistryWork {
    /// Read the login, ask Harbor who it is, write status.
    Probe(RegistryKey),
    /// Compare its robots with what was left there.
    Sweep(RegistryKey),
}

/// What an account can wait for instead of trying again and again.
#[derive(Clone, Copy, Hash)]
pub enum WaitFor<'a> {
    /// A registry that is annotated as the default.
    DefaultRegistry,
    /// This registry: that it exists, and that it answers.
    Registry(&'a RegistryKey),
    /// The next poll of this registry.
    Poll(&'a RegistryKey),
    /// That another account of this registry goes.
    Others(&'a RegistryKey),
    /// This project of a registry.
    Project(&'a RegistryKey, &'a Home),
}

impl WaitFor<'_> {
    /// What it is released by.
    fn tag(self) -> u64 {
        digest(self)
    }

    /// Waits for it, and looks again at that time if it does not come before.
    pub fn until(self, at: Option<Instant>) -> Outcome {
        Outcome::Parked(self.tag(), at)
    }
}

impl From<WaitFor<'_>> for Outcome {
    fn from(what: WaitFor<'_>) -> Self {
        what.until(None)
    }
}

/// What the operator was started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where cluster-scoped objects have their Secrets and ConfigMaps.
    pub resource_namespace: ObjectName,
    /// In each mark; tells two clusters that share a Harbor apart.
    pub cluster_name: String,
    /// Only these namespaces' accounts; empty = all.
    pub namespaces: Vec<ObjectName>,
    /// Serve registries of the cluster.
    pub cluster_registries: bool,
    /// Only registries with these labels.
    pub registry_selector: Option<String>,
    /// List and watch our Secrets; otherwise they are read at each poll.
    pub watch_secrets: bool,
    /// Accept `http://` registries.
    pub allow_http: bool,
    /// What registries of namespaces may do.
    pub tenants: Tenants,
    /// A robot without an account is deleted, where that is asked for, this long after it was first seen so.
    pub orphan_after: Duration,
    /// Within this time sweeps visit each project of a Harbor that its login sees, also those without an account.
    pub patrol_every: Duration,
    /// How long a registry has to be out of reach before accounts of a namespace that is being deleted give it up.
    pub abandon_after: Duration,
    /// A call of unknown outcome may commit this much later.
    pub settle_after: Duration,
    /// Passes over accounts at once.
    pub concurrency: usize,
}

/// How far registries of namespaces reach, whose owners are not the cluster's administrators.
#[derive(Clone, Debug)]
pub struct Tenants {
    /// Hosts that are reached although their addresses are not on the internet.
    pub private_hosts: Vec<PrivateHost>,
    /// Blocks that are not reached although their numbers are public.
    pub denied: Vec<IpNet>,
    /// Their `pollInterval` is at least this.
    pub poll_interval: Duration,
    /// Their `rateLimit.requestsPerSecond` is at most this.
    pub requests_per_second: u32,
    /// Their `rateLimit.maxInFlight` is at most this.
    pub max_in_flight: usize,
    /// So many of a namespace are served.
    pub registries: usize,
}

/// What a process before us may have left under way.
#[derive(Clone, Copy, Debug)]
pub struct FormerCalls {
    /// Until when such a call may commit.
    pub until: Instant,
    /// For every account: a leader was cut off. Otherwise for those that it left unfinished: also one that ended in peace may
    /// have had no answer to a call.
    pub of_all: bool,
}

/// Everything a pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the operator was started with.
    pub settings: Settings,
    /// Who is looked at again; see [`enqueue`].
    pub queues: enqueue::Queues,
    /// What is known of each account between passes.
    pub index: Arc<index::Index>,
    /// The registries and their logins.
    pub registries: Arc<registries::Registries>,
    /// What cannot be seen.
    pub gaps: Arc<gaps::Gaps>,
    /// Tells all watches to begin anew.
    pub restores: watch::restores::Restores,
    /// Events for users.
    pub events: Events,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// The time that Harbor's clock is compared with.
    pub clock: Steady,
    /// What carries requests to registries; HTTP if absent.
    pub carrier: Option<Arc<dyn Carrier>>,
    /// Where requests that change something leave; `client` asks it by itself.
    pub gate: Gate,
    /// Cancelled when the operator is to end: nothing waits past it.
    pub shutdown: CancellationToken,
    /// A call of a process before us may commit until then, and for which accounts.
    pub former_calls: FormerCalls,
}

impl Context {
    /// Takes in what a watch told of one object. A bug that it brings out ends there, as one of a pass does: false if so.
    pub fn shielded(&self, object: impl std::fmt::Display, apply_object: impl FnOnce()) -> bool {
        let well = std::panic::catch_unwind(AssertUnwindSafe(apply_object)).is_ok();
        if !well {
            tracing::error!(%object, "a bug ended what was made of an event");
            self.metrics.panicked("watch");
        }
        well
    }

    /// The time that is told in what is not Harbor's: conditions of registries, events.
    pub fn wall_time(&self) -> Timestamp {
        crate::clock::now()
    }

    /// The time that Harbor's clock is compared with.
    pub fn now(&self) -> RegistryTime {
        self.clock.now()
    }

    /// Publishes an event about an object, for a pass that does not wait for it.
    pub fn event(
        &self,
        object: ObjectReference,
        warning: bool,
        reason: &str,
        text: String,
    ) -> impl Future<Output = ()> + use<> {
        let (events, reason, now) = (self.events.clone(), reason.to_owned(), self.wall_time());
        self.metrics.kube_write("event");
        async move { events.publish(object, warning, reason, &text, now).await }
    }

    /// Waits; false if the operator is to end first.
    pub async fn pause(&self, time: Duration) -> bool {
        self.unless_ending(tokio::time::sleep(time)).await.is_some()
    }

    /// Something that only reads; `None` if the operator is to end first.
    pub async fn unless_ending<T>(&self, reads: impl Future<Output = T>) -> Option<T> {
        self.shutdown.run_until_cancelled(reads).await.filter(|_| !self.shutdown.is_cancelled())
    }

    /// A moment in registry time as a moment of the local monotonic clock; a past one is now.
    pub fn instant_of(&self, at: RegistryTime, registry_now: RegistryTime) -> Instant {
        let wait = Duration::try_from(at.duration_since(registry_now)).unwrap_or(Duration::ZERO);
        deadline::from_now(wait)
    }
}
