//! What a run begins with, and what people and GitOps tools wish for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use harbor_stand_in::Options;
use harbor_stand_in::app::App;
use harbor_stand_in::state::robots::Robot;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::actions::Place;
use crate::kubernetes::{Backup, Cluster, Id, Kind, Refusal, is_deleting, kind};
use crate::logins::Login;
use crate::network::Network;
use crate::process::{Replica, Site};
use crate::to_harbor::Harbors;
use crate::wishes::{Wish, wishes};

/// The login's first password, everywhere.
const PASSWORD: &str = "Harbor12345";
/// Namespaces of users.
pub const TEAMS: [&str; 3] = ["team-a", "team-b", "team-c"];
/// The operator's namespace.
pub const SYSTEM: &str = "harbor-robots";
/// The Harbor of the cluster, and that of one team.
pub const HOSTS: [&str; 2] = ["harbor.example", "harbor.team-b.example"];
/// Mirrors of their images.
pub(crate) const MIRRORS: [&str; 2] = ["mirror.example", "mirror.team-b.example"];
/// Another name of the cluster's Harbor.
const ALIAS: &str = "alias.example";
/// Projects of each Harbor.
pub const PROJECTS: [&str; 3] = ["team-a", "team-b", "shared"];

/// What `--orphan-after` says.
pub(crate) const ORPHAN_AFTER: Duration = Duration::from_mins(1);

/// What `--patrol-every` says.
pub(crate) const PATROL: Duration = Duration::from_mins(5);

const FLAGS: [&str; 8] = [
    "--leader-elect",
    "--cluster-name=simulated",
    // Whoever has no account is cleared away within the time of a run.
    "--orphan-after=60",
    "--patrol-every=300",
    "--abandon-after=120",
    "--private-registry-hosts=harbor.team-b.example",
    "--tenant-poll-interval=30s",
    "--concurrency=8",
];

/// What the operator is started with: in some runs what fewer people ask for.
fn flags(seed: u64) -> Vec<&'static str> {
    let more = match seed % 8 {
        3 => UNWATCHED,
        5 => SELECTOR,
        _ => return FLAGS.to_vec(),
    };
    FLAGS.into_iter().chain([more]).collect()
}

/// Secrets are read at each poll.
const UNWATCHED: &str = "--watch-secrets=false";
/// Another operator serves the registries without this label.
const SELECTOR: &str = "--registry-selector=served-by=simulated";

/// Everything.
pub struct World {
    /// What chance is drawn from.
    pub seed: u64,
    /// Kubernetes.
    pub cluster: Cluster,
    /// The Harbors by host.
    pub harbors: Harbors,
    /// What is between them and the operator.
    pub network: Network,
    /// The operator.
    pub replicas: Vec<Replica>,
    /// What users have in Git: applied again whenever they say so.
    pub wishes: Vec<Wish>,
    /// A backup of etcd, and when it was made.
    pub backup: Option<(Instant, Backup)>,
    /// Backups of single Secrets: what is written back of them.
    pub copies: BTreeMap<Id, Value>,
    /// Whose login the operator has at each Harbor.
    pub logins: [Login; 2],
    /// Its present password.
    pub passwords: [String; 2],
    /// Robots of people, as they have to stay: host, stored name, all of it.
    pub strangers: Vec<(usize, String, Option<Robot>)>,
    /// Robots may be left at the team's own Harbor, where nobody clears away what has no account: it was given up with the
    /// namespace that held its login, or came back from a backup.
    pub excused: bool,
    /// What accounts ever published: account, Harbor, user name, password; and the UID of the object that was asked to
    /// end it at once.
    pub published: BTreeMap<(usize, usize, String, String), Option<String>>,
    /// How often Harbors are looked at.
    pub poll: Duration,
    /// Whether images are pulled from a mirror as well.
    pub mirrors: [bool; 2],
    /// Where the registry of the cluster says that images are pulled from, if it says so.
    pub image_host: Option<String>,
    /// Entries in ServiceAccounts may be left: their record went with a Secret that somebody deleted.
    pub lost_records: bool,
    /// What the registry of the cluster names.
    pub place: Place,
    /// It named another Harbor at some time, so that what accounts left there is nobody's once they are gone.
    pub moved: bool,
    /// The record of former URLs went with a status that somebody emptied.
    pub forgot_former: bool,
    /// The operator may have learned what is not so; see [`Trouble::teaches`](crate::actions::Trouble::teaches).
    pub mistaught: bool,
    /// A Harbor wanted to be left alone for a day, which is believed for a while.
    pub asked_to_rest: bool,
    /// Something changed of a Harbor that is asked for once an hour only: its version, and the clock of one without accounts.
    pub told_hourly: bool,
    /// Our clock was set: what started before goes by the clock of its start.
    pub our_clock_was_set: bool,
    /// Robots whose marks people took away.
    pub unmarked: Vec<Unmarked>,
    /// How often each Harbor had troubles.
    pub troubles: [Arc<AtomicU64>; 2],
}

/// A robot whose mark somebody took away.
pub struct Unmarked {
    /// Which Harbor's.
    pub harbor: usize,
    /// Its stored name.
    pub name: String,
    /// When it was made, in milliseconds.
    pub created: i64,
    /// Its description with the mark.
    pub description: String,
}

fn path(kind: &Kind, namespace: &str) -> String {
    let root =
        if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/{}", kind.group, kind.version) };
    if namespace.is_empty() {
        format!("{root}/{}", kind.plural)
    } else {
        format!("{root}/namespaces/{namespace}/{}", kind.plural)
    }
}

impl World {
    /// A world in which everything is well, before the operator is started. In each project are so many robots of people.
    pub fn new(network: Network, seed: u64, login: Login, robots: usize) -> Self {
        let harbor = |host: &str| {
            let options = Options { external_url: Some(format!("https://{host}")), ..Options::default() };
            (host.to_owned(), harbor_stand_in::apart(options, ""))
        };
        let mut harbors: BTreeMap<String, Arc<App>> = HOSTS.into_iter().map(harbor).collect();
        harbors.insert(ALIAS.to_owned(), Arc::clone(&harbors[HOSTS[0]]));
        let harbors: Harbors = Arc::new(harbors);
        let cluster = Cluster::default();
        let site = Arc::new(Site::new(cluster.clone(), Arc::clone(&harbors), network.clone(), &flags(seed)));
        let replicas = ["one", "two"].map(|name| Replica::new(Arc::clone(&site), name)).into();
        let passwords = [PASSWORD.to_owned(), PASSWORD.to_owned()];
        let mut world = Self {
            seed,
            cluster,
            harbors,
            network,
            replicas,
            wishes: wishes(login),
            backup: None,
            copies: BTreeMap::new(),
            logins: [login, Login::Administrator],
            passwords,
            strangers: Vec::new(),
            published: BTreeMap::new(),
            excused: false,
            image_host: None,
            lost_records: false,
            place: Place::Home,
            moved: false,
            forgot_former: false,
            mistaught: false,
            told_hourly: false,
            asked_to_rest: false,
            our_clock_was_set: false,
            unmarked: Vec::new(),
            troubles: Default::default(),
            // What only the next poll would put right is hidden by a short one.
            poll: if seed.is_multiple_of(3) { Duration::from_mins(10) } else { Duration::from_secs(30) },
            mirrors: [false; 2],
        };
        // A page may hold less than was asked for.
        if matches!(seed % 4, 1 | 2) {
            world.cluster.store().shorten_pages(3 - usize::try_from(seed % 4).unwrap_or(1));
        }
        for namespace in ["kube-system", "default", SYSTEM] {
            world.make_namespace(namespace);
        }
        world.restore_order();
        world.apply_all();
        if world.has_foreign() {
            world.make_foreign();
        }
        for number in 0..HOSTS.len() {
            let body = json!({"projects": PROJECTS.to_vec(), "robotsPerProject": robots});
            harbor_stand_in::control::seed::seed(&mut world.harbor(number).state(), body)
                .expect("the projects are there");
            world.know_strangers(number);
        }
        world
    }

    /// An object as it is now; `null` if it is not there.
    pub(crate) fn stored(&self, id: &Id) -> Value {
        self.cluster.store().get(id).map(|object| (**object).clone()).unwrap_or_default()
    }

    /// True if no watch tells of Secrets, so that they are looked at with each poll.
    pub fn has_unwatched_secrets(&self) -> bool {
        flags(self.seed).contains(&UNWATCHED)
    }

    /// True if another operator serves some of the registries.
    pub fn has_foreign(&self) -> bool {
        flags(self.seed).contains(&SELECTOR)
    }

    /// A Harbor by number.
    pub fn harbor(&self, number: usize) -> &App {
        &self.harbors[HOSTS[number]]
    }

    /// A registry object: the one of the cluster, or the team's own.
    pub fn registry(number: usize) -> Id {
        match number {
            0 => Id::new(kind("ClusterHarborRegistry"), "", "main"),
            _ => Id::new(kind("HarborRegistry"), "team-b", "own"),
        }
    }

    /// The Harbor that a registry names.
    pub fn harbor_of_registry(&self, registry: usize) -> usize {
        if self.place == Place::Other { 1 } else { registry }
    }

    /// The Harbor that an account's robot belongs into.
    pub fn harbor_of(&self, account: usize) -> usize {
        self.harbor_of_registry(self.wishes[account].registry())
    }

    /// Where a registry says that its Harbor is.
    pub fn url(&self, registry: usize) -> String {
        let host = match self.place {
            Place::Alias if registry == 0 => ALIAS,
            _ => HOSTS[self.harbor_of_registry(registry)],
        };
        format!("https://{host}")
    }

    /// The Harbor that a URL names.
    pub fn harbor_at(url: &str) -> Option<usize> {
        let host = url.strip_prefix("https://")?;
        if host == ALIAS { Some(0) } else { HOSTS.iter().position(|known| *known == host) }
    }

    /// The hosts that credentials of a registry are for.
    pub fn hosts(&self, registry: usize) -> Vec<String> {
        let first = match &self.image_host {
            Some(host) if registry == 0 => host,
            _ => HOSTS[self.harbor_of_registry(registry)],
        };
        let all = [first, MIRRORS[registry]].into_iter().take(1 + usize::from(self.mirrors[registry]));
        let spellings = |host: &str| {
            let other = (!host.contains(':')).then(|| format!("{host}:443"));
            std::iter::once(host.to_owned()).chain(other)
        };
        all.flat_map(spellings).collect()
    }

    /// What a Harbor puts before each robot's name.
    pub fn prefix(&self, number: usize) -> String {
        self.harbor(number).state().settings.prefix().to_owned()
    }

    /// Images are pulled from a mirror as well, or not any longer.
    pub fn set_mirror(&mut self, number: usize, there: bool) {
        self.mirrors[number] = there;
        let hosts = self.registry_object(number)["spec"]["additionalHosts"].take();
        drop(self.patch(&Self::registry(number), &json!({"spec": {"additionalHosts": hosts}})));
    }

    /// Makes a project; one that is there stays.
    pub fn make_project(&self, number: usize, name: &str) {
        let mut state = self.harbor(number).state();
        let now = state.clock.now_ms();
        if state.projects.named(name).is_none() {
            state.projects.create(name, false, 1, "admin", now);
        }
    }

    /// Makes a namespace and its default ServiceAccount; one that is there stays.
    pub fn make_namespace(&self, name: &str) {
        let labels = if TEAMS.contains(&name) { json!({"team": "yes"}) } else { json!({}) };
        let object = json!({"metadata": {"name": name, "labels": labels}});
        let _there_already = self.cluster.ask("POST", "/api/v1/namespaces", &object);
        self.make_service_account(name, "default");
    }

    /// Makes a ServiceAccount; one that is there stays.
    pub fn make_service_account(&self, namespace: &str, name: &str) {
        let object = json!({"metadata": {"name": name, "namespace": namespace}});
        let _there_already = self.create(kind("ServiceAccount"), namespace, &object);
    }

    /// Creates an object.
    pub fn create(&self, kind: &Kind, namespace: &str, object: &Value) -> Result<Value, Refusal> {
        self.cluster.ask("POST", &path(kind, namespace), object)
    }

    /// Merges a patch into an object.
    pub fn patch(&self, id: &Id, patch: &Value) -> Result<Value, Refusal> {
        self.cluster.ask("PATCH", &format!("{}/{}", path(id.kind(), &id.namespace), id.name), patch)
    }

    /// Writes the status of an object, as it is in this one.
    pub fn put_status(&self, id: &Id, object: &Value) -> Result<Value, Refusal> {
        self.cluster.ask("PUT", &format!("{}/{}/status", path(id.kind(), &id.namespace), id.name), object)
    }

    /// Deletes an object.
    pub fn delete(&self, id: &Id) -> Result<Value, Refusal> {
        self.cluster.ask("DELETE", &format!("{}/{}", path(id.kind(), &id.namespace), id.name), &Value::Null)
    }

    /// Makes an object, or gives it this spec again.
    pub fn put(&self, kind: &'static Kind, namespace: &str, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let id = Id::new(kind, namespace, name);
        let stored = self.cluster.store().get(&id).cloned();
        let result = match stored {
            None => self.create(kind, namespace, object),
            Some(stored) => {
                let mut next = object.clone();
                next["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
                next["metadata"]["finalizers"] = stored["metadata"]["finalizers"].clone();
                let mut annotations = stored["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
                annotations.extend(object["metadata"]["annotations"].as_object().cloned().unwrap_or_default());
                next["metadata"]["annotations"] = annotations.into();
                self.cluster.ask("PUT", &format!("{}/{name}", path(kind, namespace)), &next)
            }
        };
        if let Err(refusal) = result {
            self.network.note(format_args!("   {id} is not applied: {}", refusal.message));
        }
    }

    /// Applies what users have in Git about one account.
    pub fn apply(&self, wish: &Wish) {
        self.put(wish.kind, &wish.namespace, &wish.object());
    }

    /// Applies all that users want. Accounts of a registry on its way out wait until it is gone.
    pub fn apply_all(&self) {
        for wish in self.wishes.iter().filter(|wish| !wish.deleted) {
            let stored = self.cluster.store().get(&Self::registry(wish.registry())).cloned();
            if stored.is_some_and(|stored| !is_deleting(&stored)) {
                self.apply(wish);
            }
        }
    }
}
