//! Every metric of the operator. Labels are static words, so they stay bounded and cannot carry data; the one exception,
//! `registry`, is bounded by the objects of the cluster's registries and removed with them. Of namespaces' registries there
//! are sums alone, which name none and tell nothing of what is at their addresses.

mod labels;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use labels::{
    CallLabel, CallLabels, KindLabel, ReasonLabel, RegistryLabel, ResultLabel, StateLabel, StepLabels, WhatLabel,
};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Harbor answers a robot in 2-6 ms and a person in about 100 ms; calls are given up after 10 s.
const CALL_BUCKETS: [f64; 10] = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
const PASS_BUCKETS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// A family without labels can have no sample at all.
type NoLabels = [(&'static str, &'static str); 0];

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
    registry: Registry,
    passes: Family<ResultLabel, Counter>,
    pass_duration: Histogram,
    steps: Family<StepLabels, Counter>,
    calls: Family<CallLabels, Counter>,
    call_duration: Family<CallLabel, Histogram, fn() -> Histogram>,
    kube_writes: Family<WhatLabel, Counter>,
    accounts: Family<StateLabel, Gauge>,
    not_ready: Family<ReasonLabel, Gauge>,
    overdue: Gauge,
    expiring: Gauge,
    queue: Family<StateLabel, Gauge>,
    earliest_expiry: Family<NoLabels, Gauge>,
    orphans: Family<RegistryLabel, Gauge>,
    unmanaged: Family<RegistryLabel, Gauge>,
    unmanaged_expiry: Family<RegistryLabel, Gauge>,
    login_expiry: Family<RegistryLabel, Gauge>,
    registry_up: Family<RegistryLabel, Gauge>,
    namespaced_registries: Family<StateLabel, Gauge>,
    namespaced_calls: Family<ResultLabel, Counter>,
    namespaced_orphans: Gauge,
    abandoned: Counter,
    unreadable: Family<KindLabel, Gauge>,
    refused: Family<KindLabel, Gauge>,
    panics: Family<WhatLabel, Counter>,
    leading: Gauge,
    /// The reasons that have a sample.
    not_ready_reasons: Mutex<BTreeSet<&'static str>>,
    /// The registries that have samples.
    known_registries: Mutex<BTreeSet<String>>,
}

impl Metrics {
    /// All metrics at zero. `version` is the operator's own.
    pub fn new(version: &'static str) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("harbor_robots"),
            passes: Family::default(),
            pass_duration: Histogram::new(PASS_BUCKETS),
            steps: Family::default(),
            calls: Family::default(),
            call_duration: Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS)),
            kube_writes: Family::default(),
            accounts: Family::default(),
            not_ready: Family::default(),
            overdue: Gauge::default(),
            expiring: Gauge::default(),
            queue: Family::default(),
            earliest_expiry: Family::default(),
            orphans: Family::default(),
            unmanaged: Family::default(),
            unmanaged_expiry: Family::default(),
            login_expiry: Family::default(),
            registry_up: Family::default(),
            namespaced_registries: Family::default(),
            namespaced_calls: Family::default(),
            namespaced_orphans: Gauge::default(),
            abandoned: Counter::default(),
            unreadable: Family::default(),
            refused: Family::default(),
            panics: Family::default(),
            leading: Gauge::default(),
            not_ready_reasons: Mutex::default(),
            known_registries: Mutex::default(),
        };
        metrics.register(version);
        // A counter that begins with its first event hides that: increase() sees no change.
        for what in ["account", "registry", "watch"] {
            drop(metrics.panics.get_or_create(&WhatLabel { what }));
        }
        metrics
    }

    fn register(&mut self, version: &'static str) {
        let to = &mut self.registry;
        to.register("passes", "Passes over one account or registry object, by result", self.passes.clone());
        to.register_with_unit("pass_duration", "How long passes took", Unit::Seconds, self.pass_duration.clone());
        to.register("steps", "Executed steps of plans, by step and result", self.steps.clone());
        to.register(
            "registry_calls",
            "Requests to the Harbors of the cluster's registries, by call and outcome",
            self.calls.clone(),
        );
        to.register_with_unit(
            "registry_call_duration",
            "How long the Harbors of the cluster's registries took to answer",
            Unit::Seconds,
            self.call_duration.clone(),
        );
        to.register("kube_writes", "Writes to the Kubernetes API, by what was written", self.kube_writes.clone());
        to.register("accounts", "Accounts, by state", self.accounts.clone());
        to.register(
            "not_ready_accounts",
            "Accounts that are not ready, by the reason of their condition Ready",
            self.not_ready.clone(),
        );
        to.register(
            "overdue_renewals",
            "Credentials that should have been renewed more than an hour ago",
            self.overdue.clone(),
        );
        to.register(
            "expiring_accounts",
            "Accounts whose credential expires, with less than a quarter of the time between renewal and expiry left",
            self.expiring.clone(),
        );
        to.register("queue", "Keys in the work queue, by state", self.queue.clone());
        to.register(
            "earliest_expiry_timestamp_seconds",
            "When the first published credential expires, as Unix time; absent if none does",
            self.earliest_expiry.clone(),
        );
        to.register(
            "orphans",
            "Robots in the Harbor of a registry of the cluster with our mark whose account is gone",
            self.orphans.clone(),
        );
        to.register(
            "unmanaged_robots",
            "Robots in the Harbor of a registry of the cluster that nobody manages, in projects in use and of the system",
            self.unmanaged.clone(),
        );
        to.register(
            "unmanaged_expiry_timestamp_seconds",
            "When the first of the robots that nobody manages expires, as Unix time; absent if none does",
            self.unmanaged_expiry.clone(),
        );
        to.register(
            "login_expiry_timestamp_seconds",
            "When the operator's own login expires, as Unix time; absent if it never does or cannot be seen",
            self.login_expiry.clone(),
        );
        to.register("registry_up", "1 while the registry answers and accepts the login", self.registry_up.clone());
        to.register(
            "namespaced_registries",
            "HarborRegistry objects of all namespaces, by state",
            self.namespaced_registries.clone(),
        );
        to.register(
            "namespaced_registry_calls",
            "Requests to the Harbors of namespaces' registries, by result",
            self.namespaced_calls.clone(),
        );
        to.register(
            "namespaced_orphans",
            "Robots in the Harbors of namespaces' registries with our mark whose account is gone",
            self.namespaced_orphans.clone(),
        );
        to.register(
            "abandoned",
            "Robots of accounts of deleted namespaces left behind because Harbor could not be asked",
            self.abandoned.clone(),
        );
        to.register("unreadable_objects", "Objects that cannot be read, by kind", self.unreadable.clone());
        to.register("refused_lists", "Namespaces whose objects may not be listed, by kind", self.refused.clone());
        to.register("panics", "Passes and events that a bug ended, by what they were about", self.panics.clone());
        to.register("leading", "1 while this process may change things", self.leading.clone());
        to.register("build", "The operator's version", Info::new([("version", version)]));
    }

    /// A bug ended a pass over, or an event of, an `account`, a `registry` or another watched object (`watch`).
    pub fn panicked(&self, what: &'static str) {
        self.panics.get_or_create(&WhatLabel { what }).inc();
    }

    /// A pass has ended with `result` after `took`.
    pub fn pass(&self, result: &'static str, took: Duration) {
        self.passes.get_or_create(&ResultLabel { result }).inc();
        self.pass_duration.observe(took.as_secs_f64());
    }

    /// A step of a plan was executed; `result` is `ok` or the error's reason.
    pub fn step(&self, step: &'static str, result: &'static str) {
        self.steps.get_or_create(&StepLabels { step, result }).inc();
    }

    /// Harbor was called; `outcome` is `ok` or the error's reason.
    pub fn registry_call(&self, call: &'static str, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&CallLabels { call, outcome }).inc();
        self.call_duration.get_or_create(&CallLabel { call }).observe(took.as_secs_f64());
    }

    /// The Harbor of a namespace's registry was called; `result` is `ok` or `failed`.
    pub fn namespaced_registry_call(&self, result: &'static str) {
        self.namespaced_calls.get_or_create(&ResultLabel { result }).inc();
    }

    /// How many registries of namespaces are usable and how many are not, and the orphans in all their Harbors.
    pub fn namespaced_registries(&self, ready: usize, not_ready: usize, orphans: usize) {
        for (state, count) in [("ready", ready), ("not_ready", not_ready)] {
            self.namespaced_registries.get_or_create(&StateLabel { state }).set(whole(count));
        }
        self.namespaced_orphans.set(whole(orphans));
    }

    /// Something was written to the Kubernetes API.
    pub fn kube_write(&self, what: &'static str) {
        self.kube_writes.get_or_create(&WhatLabel { what }).inc();
    }

    /// How many accounts are in `state` (`ready`, `not_ready`, `suspended`, …).
    pub fn accounts(&self, state: &'static str, count: usize) {
        self.accounts.get_or_create(&StateLabel { state }).set(whole(count));
    }

    /// How many accounts are not ready, by reason. What was told once is told as 0 later: a series does not end.
    pub fn not_ready(&self, counts: &BTreeMap<&'static str, usize>) {
        let mut known = self.not_ready_reasons.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(counts.keys());
        for &reason in &*known {
            let count = counts.get(reason).copied().unwrap_or_default();
            self.not_ready.get_or_create(&ReasonLabel { reason }).set(whole(count));
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
        self.queue.get_or_create(&StateLabel { state }).set(whole(count));
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
        for gone in known.iter().filter(|name| !figures.contains_key(*name)) {
            let label = RegistryLabel { registry: gone.clone() };
            for family in
                [&self.registry_up, &self.orphans, &self.unmanaged, &self.unmanaged_expiry, &self.login_expiry]
            {
                family.remove(&label);
            }
        }
        *known = figures.keys().cloned().collect();
        for (name, figures) in figures {
            let label = RegistryLabel { registry: name.clone() };
            let RegistryFigures { up, login_expiry, orphans, unmanaged, unmanaged_expiry } = *figures;
            // In doubt it is as it was.
            if let Some(up) = up {
                self.registry_up.get_or_create(&label).set(up.into());
            }
            set_or_remove(&self.login_expiry, &label, login_expiry);
            set_or_remove(&self.orphans, &label, orphans.map(whole));
            set_or_remove(&self.unmanaged, &label, unmanaged.map(whole));
            set_or_remove(&self.unmanaged_expiry, &label, unmanaged_expiry);
        }
    }

    /// A robot was left behind in Harbor: its account's namespace is going, and Harbor could not be asked for long.
    pub fn abandoned(&self) {
        self.abandoned.inc();
    }

    /// How many objects of a kind cannot be read.
    pub fn unreadable(&self, kind: &'static str, count: usize) {
        self.unreadable.get_or_create(&KindLabel { kind }).set(whole(count));
    }

    /// In how many namespaces objects of a kind may not be listed; the cluster counts as one.
    pub fn refused(&self, kind: &'static str, count: usize) {
        self.refused.get_or_create(&KindLabel { kind }).set(whole(count));
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
