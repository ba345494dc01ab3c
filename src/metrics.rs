//! Every metric of the operator. Labels are static words, so they stay bounded and cannot carry data; the one exception,
//! `registry`, is bounded by the objects of the cluster's registries and removed with them. Of namespaces' registries there
//! are sums alone, which name none and tell nothing of what is at their addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Harbor answers a robot in 2-6 ms and a person in about 100 ms; calls are given up after 10 s.
const CALL_BUCKETS: [f64; 10] = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
const PASS_BUCKETS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The name of a registry of the cluster.
type RegistryLabel = [(&'static str, String); 1];

/// What is known of a registry of the cluster. Moments are in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryFigures {
    /// Whether it answers and accepts the login; `None` = in doubt.
    pub up: Option<bool>,
    /// When the login expires; `None` if it never does or cannot be seen.
    pub login_expiry: Option<i64>,
    /// Robots with our mark but no account; `None` = not counted yet.
    pub orphans: Option<usize>,
    /// Robots that nobody manages; `None` = not counted yet.
    pub unmanaged: Option<usize>,
    /// When the first of them expires; `None` if none does.
    pub unmanaged_expiry: Option<i64>,
}

/// The metrics and their registry; share it in an `Arc`.
pub struct Metrics {
    passes: Family<Labels<1>, Counter>,
    pass_duration: Histogram,
    steps: Family<Labels<2>, Counter>,
    calls: Family<Labels<2>, Counter>,
    call_duration: Family<Labels<1>, Histogram, fn() -> Histogram>,
    kube_writes: Family<Labels<1>, Counter>,
    accounts: Family<Labels<1>, Gauge>,
    not_ready: Family<Labels<1>, Gauge>,
    overdue: Gauge,
    expiring: Gauge,
    queue: Family<Labels<1>, Gauge>,
    /// A family, since it can have no sample at all.
    earliest_expiry: Family<Labels<0>, Gauge>,
    of_registries: OfRegistries,
    of_namespaces: OfNamespaces,
    abandoned: Counter,
    unreadable: Family<Labels<1>, Gauge>,
    refused: Family<Labels<1>, Gauge>,
    panics: Family<Labels<1>, Counter>,
    leading: Gauge,
    registry: Registry,
    /// The reasons that have a sample.
    not_ready_reasons: Mutex<BTreeSet<&'static str>>,
    /// The registries that have samples.
    known_registries: Mutex<BTreeSet<String>>,
}

/// One sample for each registry of the cluster.
struct OfRegistries {
    orphans: Family<RegistryLabel, Gauge>,
    unmanaged: Family<RegistryLabel, Gauge>,
    unmanaged_expiry: Family<RegistryLabel, Gauge>,
    login_expiry: Family<RegistryLabel, Gauge>,
    up: Family<RegistryLabel, Gauge>,
}

impl OfRegistries {
    fn new(to: &mut Registry) -> Self {
        Self {
            orphans: new(
                to,
                "orphans",
                "Robots in the Harbor of a registry of the cluster with our mark whose account is gone",
            ),
            unmanaged: new(
                to,
                "unmanaged_robots",
                "Robots in the Harbor of a registry of the cluster that nobody manages, in projects in use and of the system",
            ),
            unmanaged_expiry: new(
                to,
                "unmanaged_expiry_timestamp_seconds",
                "When the first of the robots that nobody manages expires, as Unix time; absent if none does",
            ),
            login_expiry: new(
                to,
                "login_expiry_timestamp_seconds",
                "When the operator's own login expires, as Unix time; absent if it never does or cannot be seen",
            ),
            up: new(to, "registry_up", "1 while the registry answers and accepts the login"),
        }
    }
}

/// Of the registries of namespaces, all together.
struct OfNamespaces {
    registries: Family<Labels<1>, Gauge>,
    calls: Family<Labels<1>, Counter>,
    orphans: Gauge,
}

impl OfNamespaces {
    fn new(to: &mut Registry) -> Self {
        Self {
            registries: new(to, "namespaced_registries", "HarborRegistry objects of all namespaces, by state"),
            calls: new(to, "namespaced_registry_calls", "Requests to the Harbors of namespaces' registries, by result"),
            orphans: new(
                to,
                "namespaced_orphans",
                "Robots in the Harbors of namespaces' registries with our mark whose account is gone",
            ),
        }
    }
}

/// A metric at zero, registered.
fn new<M: Metric + Default + Clone>(to: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    to.register(name, help, metric.clone());
    metric
}

/// … in seconds.
fn new_time<M: Metric + Clone>(to: &mut Registry, name: &str, help: &str, metric: M) -> M {
    to.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

impl Metrics {
    /// All metrics at zero. `version` is the operator's own.
    pub fn new(version: &'static str) -> Self {
        let mut registry = Registry::with_prefix("harbor_robots");
        let to = &mut registry;
        let mut metrics = Self {
            passes: new(to, "passes", "Passes over one account or registry object, by result"),
            pass_duration: new_time(to, "pass_duration", "How long passes took", Histogram::new(PASS_BUCKETS)),
            steps: new(to, "steps", "Executed steps of plans, by step and result"),
            calls: new(
                to,
                "registry_calls",
                "Requests to the Harbors of the cluster's registries, by call and outcome",
            ),
            call_duration: new_time(
                to,
                "registry_call_duration",
                "How long the Harbors of the cluster's registries took to answer",
                Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS)),
            ),
            kube_writes: new(to, "kube_writes", "Writes to the Kubernetes API, by what was written"),
            accounts: new(to, "accounts", "Accounts, by state"),
            not_ready: new(
                to,
                "not_ready_accounts",
                "Accounts that are not ready, by the reason of their condition Ready",
            ),
            overdue: new(to, "overdue_renewals", "Credentials that should have been renewed more than an hour ago"),
            expiring: new(
                to,
                "expiring_accounts",
                "Accounts whose credential expires, with less than a quarter of the time between renewal and expiry left",
            ),
            queue: new(to, "queue", "Keys in the work queue, by state"),
            earliest_expiry: new(
                to,
                "earliest_expiry_timestamp_seconds",
                "When the first published credential expires, as Unix time; absent if none does",
            ),
            of_registries: OfRegistries::new(to),
            of_namespaces: OfNamespaces::new(to),
            abandoned: new(
                to,
                "abandoned",
                "Robots of accounts of deleted namespaces left behind because Harbor could not be asked",
            ),
            unreadable: new(to, "unreadable_objects", "Objects that cannot be read, by kind"),
            refused: new(to, "refused_lists", "Namespaces whose objects may not be listed, by kind"),
            panics: new(to, "panics", "Passes and events that a bug ended, by what they were about"),
            leading: new(to, "leading", "1 while this process may change things"),
            not_ready_reasons: Mutex::default(),
            known_registries: Mutex::default(),
            registry,
        };
        metrics.registry.register("build", "The operator's version", Info::new([("version", version)]));
        // A counter that begins with its first event hides that: increase() sees no change.
        for what in ["account", "registry", "watch"] {
            drop(metrics.panics.get_or_create(&[("what", what)]));
        }
        metrics
    }

    /// A bug ended a pass over, or an event of, an `account`, a `registry` or another watched object (`watch`).
    pub fn panicked(&self, what: &'static str) {
        self.panics.get_or_create(&[("what", what)]).inc();
    }

    /// A pass has ended with `result` after `took`.
    pub fn pass(&self, result: &'static str, took: Duration) {
        self.passes.get_or_create(&[("result", result)]).inc();
        self.pass_duration.observe(took.as_secs_f64());
    }

    /// A step of a plan was executed; `result` is `ok` or the error's reason.
    pub fn step(&self, step: &'static str, result: &'static str) {
        self.steps.get_or_create(&[("step", step), ("result", result)]).inc();
    }

    /// Harbor was called; `outcome` is `ok` or the error's reason.
    pub fn registry_call(&self, call: &'static str, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&[("call", call), ("outcome", outcome)]).inc();
        self.call_duration.get_or_create(&[("call", call)]).observe(took.as_secs_f64());
    }

    /// The Harbor of a namespace's registry was called; `result` is `ok` or `failed`.
    pub fn namespaced_registry_call(&self, result: &'static str) {
        self.of_namespaces.calls.get_or_create(&[("result", result)]).inc();
    }

    /// How many registries of namespaces are usable and how many are not, and the orphans in all their Harbors.
    pub fn namespaced_registries(&self, ready: usize, not_ready: usize, orphans: usize) {
        for (state, count) in [("ready", ready), ("not_ready", not_ready)] {
            self.of_namespaces.registries.get_or_create(&[("state", state)]).set(whole(count));
        }
        self.of_namespaces.orphans.set(whole(orphans));
    }

    /// Something was written to the Kubernetes API.
    pub fn kube_write(&self, what: &'static str) {
        self.kube_writes.get_or_create(&[("what", what)]).inc();
    }

    /// How many accounts are in `state` (`ready`, `not_ready`, `suspended`, …).
    pub fn accounts(&self, state: &'static str, count: usize) {
        self.accounts.get_or_create(&[("state", state)]).set(whole(count));
    }

    /// How many accounts are not ready, by reason. What was told once is told as 0 later: a series does not end.
    pub fn not_ready(&self, counts: &BTreeMap<&'static str, usize>) {
        let mut known = self.not_ready_reasons.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(counts.keys());
        for &reason in &*known {
            let count = counts.get(reason).copied().unwrap_or_default();
            self.not_ready.get_or_create(&[("reason", reason)]).set(whole(count));
        }
    }

    /// How many credentials should have been renewed long ago.
    pub fn overdue(&self, count: usize) {
        self.overdue.set(whole(count));
    }

    /// How many accounts have a credential that expires soon.
    pub fn expiring(&self, count: usize) {
        self.expiring.set(whole(count));
    }

    /// How many keys of the work queue are in `state`.
    pub fn queue(&self, state: &'static str, count: usize) {
        self.queue.get_or_create(&[("state", state)]).set(whole(count));
    }

    /// When the first published credential expires, in seconds since 1970; `None` if none does.
    pub fn earliest_expiry(&self, unix_seconds: Option<i64>) {
        match unix_seconds {
            Some(seconds) => {
                self.earliest_expiry.get_or_create(&[]).set(seconds);
            }
            None => self.earliest_expiry.clear(),
        }
    }

    /// What is known of each registry of the cluster, by name; all samples of others go.
    pub fn registries(&self, figures: &BTreeMap<String, RegistryFigures>) {
        let mut known = self.known_registries.lock().unwrap_or_else(PoisonError::into_inner);
        let OfRegistries { orphans, unmanaged, unmanaged_expiry, login_expiry, up } = &self.of_registries;
        for gone in known.iter().filter(|name| !figures.contains_key(*name)) {
            for family in [up, orphans, unmanaged, unmanaged_expiry, login_expiry] {
                family.remove(&[("registry", gone.clone())]);
            }
        }
        *known = figures.keys().cloned().collect();
        for (name, figures) in figures {
            let label = [("registry", name.clone())];
            // In doubt it is as it was.
            if let Some(answers) = figures.up {
                up.get_or_create(&label).set(answers.into());
            }
            set_or_remove(login_expiry, &label, figures.login_expiry);
            set_or_remove(orphans, &label, figures.orphans.map(whole));
            set_or_remove(unmanaged, &label, figures.unmanaged.map(whole));
            set_or_remove(unmanaged_expiry, &label, figures.unmanaged_expiry);
        }
    }

    /// A robot was left behind in Harbor: its account's namespace is going, and Harbor could not be asked for long.
    pub fn abandoned(&self) {
        self.abandoned.inc();
    }

    /// How many objects of a kind cannot be read.
    pub fn unreadable(&self, kind: &'static str, count: usize) {
        self.unreadable.get_or_create(&[("kind", kind)]).set(whole(count));
    }

    /// In how many namespaces objects of a kind may not be listed; the cluster counts as one.
    pub fn refused(&self, kind: &'static str, count: usize) {
        self.refused.get_or_create(&[("kind", kind)]).set(whole(count));
    }

    /// Whether this process leads.
    pub fn leading(&self, leads: bool) {
        self.leading.set(leads.into());
    }

    /// All metrics as `OpenMetrics` text, of [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a string does not fail");
        out
    }
}

/// A moment that is none leaves no sample.
fn set_or_remove(family: &Family<RegistryLabel, Gauge>, label: &RegistryLabel, value: Option<i64>) {
    match value {
        Some(value) => {
            family.get_or_create(label).set(value);
        }
        None => {
            family.remove(label);
        }
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
