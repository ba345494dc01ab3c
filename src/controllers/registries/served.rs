//! A registry between passes: its object, its login, and what is known of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::basis::Basis;
use super::former::Former;
use super::hosts::Pin;
use super::session::Session;
use super::swept::Swept;
use super::trouble::Trouble;
use crate::api::{
    ClusterHarborRegistrySpec, ObjectName, OrphanPolicy, RegistryKey, RegistryKind, RegistryObject, RegistryTime,
};
use crate::cluster::objects::Version;
use crate::controllers::Settings;
use crate::controllers::tracked::Tracked;
use crate::domain::robot::Home;
use crate::registry::{LoginKind, harbor};

/// An offset of Harbor's clock above this is reported.
pub(super) const SKEW: Duration = Duration::from_mins(5);
/// `pollInterval` when nothing is said.
const DEFAULT_POLL: Duration = Duration::from_mins(10);
const DEFAULT_REQUESTS_PER_SECOND: u32 = 100;
const DEFAULT_IN_FLIGHT: usize = 8;

/// The reason where the login Secret or the CA bundle is not there.
pub(super) const CREDENTIALS_MISSING: &str = "CredentialsMissing";
/// `grantRevocationDelay` when nothing is said.
const REVOCATION_DELAY: Duration = Duration::from_mins(5);

/// A registry between passes. Replaced as a whole, never changed in place.
#[derive(Clone)]
pub struct ServedRegistry {
    /// Which registry it is.
    pub key: RegistryKey,
    /// The object as last seen.
    pub object: Arc<RegistryObject>,
    /// `object` at the API server.
    pub(super) tracked: Tracked,
    /// The version of the login's Secret when it was last read.
    pub login_version: Version,
    /// The present login, and what is known by it.
    pub session: Session,
    /// What stands in the way; `None` = usable.
    pub trouble: Option<Trouble>,
    /// Since when there is trouble, without a break.
    pub trouble_since: Option<Instant>,
    /// The last probe is still true: nothing about the object changed since and nobody met a 401. Until then accounts
    /// wait without a word.
    pub probed: bool,
    /// Harbor answered in some session of this process.
    pub has_answered: bool,
    /// When accounts that wait for it were last told why, while something stood in the way.
    pub(super) released: Option<Instant>,
    /// Counts good answers after something had stood in the way, unless a sweep was under way.
    pub(super) outages: u32,
    /// Counts how often the login was seen to hold again what it had been refused.
    pub(super) rights_returned: u32,
    /// What accounts last acted on; see `basis`.
    pub(super) acted_on: Option<Basis>,
    /// What sweeps found out.
    pub swept: Swept,
    /// The host of images that was named first at this URL, or confirmed since.
    pub(super) pinned: Option<Pin>,
    /// Harbors that `spec.url` named before.
    pub(super) former: Vec<Former>,
}

impl ServedRegistry {
    pub(super) fn new(key: RegistryKey, object: Arc<RegistryObject>) -> Self {
        let mut state = Self {
            tracked: Tracked::found(Version::of(&object.metadata)),
            trouble: Some(Trouble::unprobed(&key)),
            key,
            object,
            login_version: Version::NONE,
            session: Session::default(),
            trouble_since: None,
            probed: false,
            has_answered: false,
            released: None,
            outages: 0,
            rights_returned: 0,
            acted_on: None,
            swept: Swept::default(),
            pinned: None,
            former: Vec::new(),
        };
        state.recall_former();
        state
    }

    /// Stands for a registry object that does not exist, for accounts that are on their way out.
    pub fn missing(key: &RegistryKey, url: String, since: Instant) -> Self {
        let spec = ClusterHarborRegistrySpec { url, ..ClusterHarborRegistrySpec::default() };
        let (kind, name) = (key.kind(), key.name());
        let metadata = ObjectMeta {
            name: Some(name.to_string()),
            namespace: key.namespace().map(ToString::to_string),
            ..ObjectMeta::default()
        };
        let mut state = Self::new(key.clone(), Arc::new(RegistryObject { kind, metadata, spec, status: None }));
        state.trouble = Some(Trouble::lasting("RegistryNotFound", format!("{kind} {name} does not exist")));
        state.trouble_since = Some(since);
        state.probed = true;
        state
    }

    /// True for a `HarborRegistry`: its owner is not the cluster's administrator.
    pub fn is_tenants(&self) -> bool {
        self.object.kind == RegistryKind::HarborRegistry
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.object.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Where the login Secret and the CA bundle are.
    pub fn secret_namespace<'a>(&'a self, settings: &'a Settings) -> &'a ObjectName {
        self.key.namespace().unwrap_or(&settings.resource_namespace)
    }

    /// The name of the Secret with the login.
    pub fn login_secret(&self) -> &str {
        self.object.spec.auth.secret_ref.as_ref().map_or("", |secret| secret.name.as_str())
    }

    /// Harbor's clock, if ours says `now`.
    pub fn registry_now(&self, now: RegistryTime) -> RegistryTime {
        now + self.session.client.as_ref().map(|client| client.clock_offset()).unwrap_or_default()
    }

    /// The later one of Harbor's clock and ours, if ours says `now`: a moment far beyond both was noted by a clock that was
    /// wrong. Nothing is beyond a clock that is not believed.
    pub fn later_clock(&self, now: RegistryTime) -> RegistryTime {
        let believed = self.session.client.as_ref().is_some_and(|client| !client.clock_is_absurd());
        if believed { self.registry_now(now).max(now) } else { RegistryTime::MAX }
    }

    /// `spec.pollInterval`, within what the operator was started with.
    pub fn poll_interval(&self, settings: &Settings) -> Duration {
        let wanted = self.object.spec.poll_interval.as_ref().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_POLL);
        if self.is_tenants() { wanted.max(settings.tenants.poll_interval) } else { wanted }
    }

    /// `spec.rateLimit.requestsPerSecond`, within what the operator was started with.
    pub fn requests_per_second(&self, settings: &Settings) -> u32 {
        let wanted = self.object.spec.rate_limit.as_ref().and_then(|limit| limit.requests_per_second);
        let wanted = wanted.and_then(|n| u32::try_from(n).ok()).unwrap_or(DEFAULT_REQUESTS_PER_SECOND).max(1);
        if self.is_tenants() { wanted.min(settings.tenants.requests_per_second.max(1)) } else { wanted }
    }

    /// `spec.rateLimit.maxInFlight`, within what the operator was started with.
    pub fn max_in_flight(&self, settings: &Settings) -> usize {
        let wanted = self.object.spec.rate_limit.as_ref().and_then(|limit| limit.max_in_flight);
        let wanted = wanted.and_then(|n| usize::try_from(n).ok()).unwrap_or(DEFAULT_IN_FLIGHT).max(1);
        if self.is_tenants() { wanted.min(settings.tenants.max_in_flight.max(1)) } else { wanted }
    }

    /// True while the object is on its way out: it serves its accounts and takes no new ones.
    pub fn is_deleting(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    /// The client in memory, where what it was made of is gone: whoever deletes login, registry and accounts together,
    /// in whatever order, wants the robots gone, too. Of another URL it says nothing.
    pub(super) fn kept_client(&self) -> Option<&Arc<harbor::Client>> {
        let same = self.session.url == self.object.spec.url && !self.session.kept_in_vain;
        self.session.client.as_ref().filter(|_| same)
    }

    /// What stands in the way of an account. One on its way out, and the one that publishes the login, go on with a login that
    /// is only in memory (`by_kept`).
    pub fn trouble_for(&self, by_kept: bool) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|_| !(by_kept && self.session.kept))
    }

    /// A login that is only in memory may serve these accounts; a probe finds out.
    pub fn may_be_kept(&self) -> bool {
        let missing = self.trouble.as_ref().is_some_and(|trouble| trouble.reason == CREDENTIALS_MISSING);
        missing && !self.session.kept && self.kept_client().is_some()
    }

    /// `spec.orphanPolicy: Delete`, and nothing stops the operator.
    pub fn deletes_orphans(&self) -> bool {
        let spec = &self.object.spec;
        spec.orphan_policy == Some(OrphanPolicy::Delete) && !spec.suspend.unwrap_or_default() && !self.is_deleting()
    }

    /// True if this is the Harbor at `url`.
    pub fn is_of_harbor(&self, url: &str) -> bool {
        let origin = |text: &str| text.parse::<url::Url>().ok().map(|url| url.origin());
        origin(&self.object.spec.url) == origin(url)
    }

    /// `spec.grantRevocationDelay`.
    pub fn grant_revocation_delay(&self) -> Duration {
        let wanted = self.object.spec.grant_revocation_delay.as_ref().and_then(|text| text.parse().ok());
        wanted.unwrap_or(REVOCATION_DELAY)
    }

    /// The login is a robot's.
    pub fn is_robot(&self) -> bool {
        self.session.info.as_ref().is_some_and(|info| info.login == LoginKind::Robot)
    }

    /// What an answer to PUT or PATCH holds for: of a person, who has a role in each project, for the project; of a robot
    /// for all projects, or the system.
    pub fn place(&self, home: &Home) -> Home {
        match home {
            Home::Project(_) if self.is_robot() => Home::Project(String::new()),
            _ => home.clone(),
        }
    }

    /// True for the texts with which Harbor refuses PUT and PATCH to a login that may not send them: `forbidden`, or the
    /// caller's own name (contract `26-robot-as-manager-system`, `30-roles`), or that a robot holds less than it would give.
    /// Others (a session's token, a rule of some proxy) say nothing of that.
    pub fn says_no(&self, message: &str) -> bool {
        message == "forbidden"
            || message == self.session.login_name
            || message.starts_with("permission scope is invalid")
    }

    /// Whether PUT and PATCH may be planned: known, or worth a try. Persons may. No robot may update a robot of the system,
    /// nor one of a project but with `project:update` on all projects (measured on 2.12 to 2.16); where a robot cannot see
    /// what it holds itself, its first try tells.
    pub fn may_update(&self, home: &Home) -> bool {
        let is_robot = self.is_robot();
        self.session.capabilities.updates().may(&self.place(home)).unwrap_or_else(|| match home {
            Home::System => !is_robot,
            Home::Project(_) => !is_robot || self.session.login_robot.as_ref().is_none_or(|own| own.updates_robots),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{ClusterHarborRegistry, HarborRegistry};
    use crate::controllers::Tenants;

    fn settings() -> Settings {
        Settings {
            resource_namespace: "harbor-robots".parse().unwrap(),
            cluster_name: "c".into(),
            namespaces: Vec::new(),
            cluster_registries: true,
            registry_selector: None,
            watch_secrets: true,
            allow_http: false,
            tenants: Tenants {
                private_hosts: Vec::new(),
                denied: Vec::new(),
                poll_interval: Duration::from_mins(1),
                requests_per_second: 10,
                max_in_flight: 4,
                registries: 2,
            },
            orphan_after: Duration::from_mins(10),
            patrol_every: Duration::from_hours(6),
            abandon_after: Duration::from_mins(10),
            settle_after: Duration::from_secs(46),
            concurrency: 1,
        }
    }

    pub(crate) fn registry(namespaced: bool, spec: &serde_json::Value) -> ServedRegistry {
        let mut object = json!({"metadata": {"name": "main"}, "spec": {"url": "https://h", "auth": {}}});
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let object: RegistryObject = if namespaced {
            object["metadata"]["namespace"] = json!("team-a");
            serde_json::from_value::<HarborRegistry>(object).unwrap().into()
        } else {
            serde_json::from_value::<ClusterHarborRegistry>(object).unwrap().into()
        };
        ServedRegistry::new(object.key().unwrap(), Arc::new(object))
    }

    #[test]
    fn a_registry_of_a_namespace_is_held_to_the_operators_ceilings() {
        let settings = settings();
        let eager = json!({"pollInterval": "1s", "rateLimit": {"requestsPerSecond": 1000, "maxInFlight": 1000}});
        let polite = json!({"pollInterval": "1h", "rateLimit": {"requestsPerSecond": 2, "maxInFlight": 1}});
        for (namespaced, spec, poll, rate, in_flight) in [
            (true, &eager, 60, 10, 4),
            (true, &polite, 3600, 2, 1),
            (true, &json!({}), 600, 10, 4),
            (false, &eager, 1, 1000, 1000),
            (false, &json!({}), 600, 100, 8),
        ] {
            let registry = registry(namespaced, spec);
            assert_eq!(registry.poll_interval(&settings), Duration::from_secs(poll), "{namespaced} {spec}");
            assert_eq!(registry.requests_per_second(&settings), rate, "{namespaced} {spec}");
            assert_eq!(registry.max_in_flight(&settings), in_flight, "{namespaced} {spec}");
        }
    }

    #[test]
    fn a_registry_of_a_namespace_finds_its_secrets_there() {
        let settings = settings();
        assert_eq!(registry(true, &json!({})).secret_namespace(&settings), "team-a");
        assert_eq!(registry(false, &json!({})).secret_namespace(&settings), "harbor-robots");
    }
}
