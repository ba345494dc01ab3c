//! Where the attacks happen: a scene, the attacker's own access to the API server, and what has to stay as it is.

use std::collections::{BTreeMap, BTreeSet};

use harbor_robot_operator::api::RobotAccount;
use harbor_robot_world::{Call, Calls, apply_object, eventually};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::scene::{SOON, Scene, condition, merge};

/// A scene with an attacker in its namespace.
pub struct Stage {
    pub scene: Scene,
    /// May do in the scene's namespace what a team may, and nothing elsewhere.
    pub attacker: Client,
    /// Somebody else's namespace.
    pub victim: String,
    /// Projects with accounts that are granted: sweeps ask for their robots.
    in_use: BTreeSet<String>,
    /// The ids of these, and of projects that a sweep may look at once more.
    listed: BTreeSet<i64>,
}

/// What has to stay.
pub struct Before {
    calls: usize,
    robots: Vec<Value>,
    secrets: BTreeMap<String, String>,
}

impl Stage {
    /// Gives the scene's namespace an attacker, and makes the victim's.
    pub async fn new(scene: Scene) -> Self {
        let rules = json!([
            {"apiGroups": ["harbor-robots.io"], "resources": ["robotaccounts", "harborregistries"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["secrets", "configmaps", "serviceaccounts"], "verbs": ["*"]},
        ]);
        Self::with(scene, rules).await
    }

    /// The same with an attacker who may write statuses, too, and make Secrets, but not read any.
    pub async fn of_insider(scene: Scene) -> Self {
        let rules = json!([
            {"apiGroups": ["harbor-robots.io"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
        ]);
        Self::with(scene, rules).await
    }

    async fn with(scene: Scene, rules: Value) -> Self {
        let namespace = scene.namespace.clone();
        let victim = scene.namespace_with("victim", &json!({}));
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "team", "namespace": namespace},
            "rules": rules,
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "team", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "team"},
            "subjects": [{"kind": "ServiceAccount", "name": "attacker", "namespace": namespace}],
        });
        let who = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "attacker", "namespace": namespace},
        });
        scene.apply(json!({"apiVersion": "v1", "kind": "List", "items": [role, who, binding]}));
        let token = scene.plane.kubectl(["create", "token", "attacker", "-n", &namespace]).ok().unwrap();
        let config = Kubeconfig::read_from(scene.plane.kubeconfig_with(token.trim()).unwrap()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        Self {
            scene,
            attacker: Client::try_from(config).unwrap(),
            victim,
            in_use: BTreeSet::new(),
            listed: BTreeSet::new(),
        }
    }

    /// The name of a project beside the scene's own.
    pub fn project(&self, name: &str) -> String {
        format!("{}-{name}", self.scene.namespace)
    }

    /// A project's id in Harbor, also of one whose name is a number.
    pub async fn id_of(&self, project: &str) -> i64 {
        let found = self.scene.harbor_api("GET", &format!("/projects?page_size=100&name={project}"), Value::Null).await;
        let exact = found.as_array().unwrap().iter().find(|found| found["name"] == project);
        exact.unwrap()["project_id"].as_i64().unwrap()
    }

    /// Notes that somebody who is granted uses the project.
    pub async fn uses(&mut self, project: &str) {
        self.may_be_listed(project).await;
        self.in_use.insert(project.to_owned());
    }

    /// Notes that the robots of a project may be listed once more: a sweep that found one of ours comes back.
    pub async fn may_be_listed(&mut self, project: &str) {
        let id = self.id_of(project).await;
        self.listed.insert(id);
    }

    /// An account of the attacker's; `spec` is merged over a modest request.
    pub fn account(&self, name: &str, spec: &Value) -> Value {
        self.account_in(&self.scene.namespace, name, spec)
    }

    /// The same in any namespace.
    pub fn account_in(&self, namespace: &str, name: &str, spec: &Value) -> Value {
        let mut whole = json!({
            "registryRef": {"kind": "ClusterHarborRegistry", "name": self.scene.registry},
            "project": self.scene.namespace, "permissions": ["PullArtifacts"], "expiresAfter": "30d",
        });
        merge(&mut whole, spec);
        json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
            "metadata": {"name": name, "namespace": namespace}, "spec": whole,
        })
    }

    /// A Secret of the attacker's.
    pub fn secret(&self, name: &str, content: Value) -> Value {
        let mut whole = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": self.scene.namespace},
        });
        merge(&mut whole, &content);
        whole
    }

    /// Applies as the attacker what has to be accepted.
    pub async fn attack(&self, manifest: &Value) {
        apply(&self.attacker, manifest).await.unwrap();
    }

    /// Applies as the attacker what has to be refused, and why.
    pub async fn is_refused(&self, manifest: &Value, says: &str) {
        match apply(&self.attacker, manifest).await {
            Ok(()) => panic!("accepted: {manifest}"),
            Err(text) => assert!(text.contains(says), "refused for something else: {text}"),
        }
    }

    /// Changes an object of the attacker's by a JSON merge patch.
    pub async fn edit(&self, name: &str, patch: Value) {
        self.of_attacker().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Writes into the status of an account of the attacker's, and empties its conditions: what the operator makes of that is
    /// told by new ones.
    pub async fn forge(&self, name: &str, mut status: Value) {
        status["conditions"] = json!([]);
        let patch = Patch::Merge(json!({"status": status}));
        self.of_attacker().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Makes a Secret as the attacker, who may do nothing else with it.
    pub async fn make_secret(&self, name: &str, content: Value) {
        let secret = serde_json::from_value(self.secret(name, content)).unwrap();
        let api: Api<Secret> = Api::namespaced(self.attacker.clone(), &self.scene.namespace);
        api.create(&PostParams::default(), &secret).await.unwrap();
        assert!(api.get(name).await.is_err(), "it may not be read");
    }

    /// The attacker's accounts as the attacker reaches them.
    pub fn of_attacker(&self) -> Api<RobotAccount> {
        Api::namespaced(self.attacker.clone(), &self.scene.namespace)
    }

    /// Waits until an account of a namespace says so; gives the message.
    pub async fn says_in(&self, namespace: &str, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let api: Api<RobotAccount> = Api::namespaced(self.scene.client.clone(), namespace);
        eventually(&format!("{name}: {kind}={status}/{reason}"), SOON, || async {
            let account = api.get(name).await.map_err(|error| error.to_string())?;
            let current = account.status.as_ref().is_some_and(|s| s.observed_generation == account.metadata.generation);
            match condition(&account, kind) {
                Some((s, r, message)) if current && s == status && r == reason => Ok(message),
                _ => Err(format!("{:?}", account.status)),
            }
        })
        .await
    }

    /// The same of the attacker's account; nothing of others is in the message.
    pub async fn says(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let message = self.says_in(&self.scene.namespace, name, kind, status, reason).await;
        self.tells_nothing(&message);
        message
    }

    /// Neither namespaces nor logins of others are in a text. The victim's project may be: whoever asks for it knows it.
    pub fn tells_nothing(&self, text: &str) {
        let others = [format!("{}/", self.victim), format!("namespace {}", self.victim), self.scene.system.clone()];
        let secrets = [self.scene.login.secret.clone(), self.scene.harbor.admin.secret.clone()];
        for hidden in others.iter().chain(&secrets).chain([&self.scene.harbor.admin.name]) {
            let found = text.split(|c: char| c.is_whitespace() || ",;:()\"'".contains(c)).any(|word| word == hidden)
                || (hidden.len() > 8 && text.contains(hidden.as_str()));
            assert!(!found, "{hidden} is in: {text}");
        }
    }

    /// Everything that a tenant reads of the own accounts: statuses and events.
    pub async fn all_that_is_told(&self) -> String {
        let accounts = self.scene.accounts().list(&ListParams::default()).await.unwrap();
        let events = Api::<Event>::namespaced(self.scene.client.clone(), &self.scene.namespace);
        let events = events.list(&ListParams::default()).await.unwrap();
        let statuses = accounts.items.iter().map(|account| serde_json::to_string(&account.status).unwrap());
        let notes = events.items.iter().filter_map(|event| event.note.clone());
        statuses.chain(notes).collect::<Vec<_>>().join("\n")
    }

    /// What has to stay: robots of all projects and of the system, and Secrets outside the attacker's namespace.
    pub async fn look(&self) -> Before {
        let calls = self.scene.harbor.calls().await.unwrap().calls.len();
        Before { calls, robots: self.all_robots().await, secrets: self.secrets_elsewhere().await }
    }

    /// All robots that there are, by id.
    pub async fn all_robots(&self) -> Vec<Value> {
        let projects = self.scene.harbor_api("GET", "/projects?page_size=100", Value::Null).await;
        let mut robots = self.scene.harbor_api("GET", "/robots?page_size=100", Value::Null).await;
        let robots = robots.as_array_mut().unwrap();
        for project in projects.as_array().unwrap() {
            robots.extend(self.scene.harbor.robots(project["name"].as_str().unwrap()).await.unwrap());
        }
        robots.sort_by_key(|robot| robot["id"].as_i64());
        robots.dedup();
        std::mem::take(robots)
    }

    async fn secrets_elsewhere(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for namespace in [&self.victim, &self.scene.system] {
            let found = Api::<Secret>::namespaced(self.scene.client.clone(), namespace);
            for secret in found.list(&ListParams::default()).await.unwrap() {
                let name = format!("{namespace}/{}", secret.metadata.name.unwrap());
                all.insert(name, secret.metadata.resource_version.unwrap());
            }
        }
        all
    }

    /// Harbor was asked nothing but what it is always asked, no robot changed, and no Secret of others.
    pub async fn nothing_happened(&self, before: &Before) {
        let calls = self.asked_since(before).await;
        assert!(calls.is_empty(), "Harbor was asked: {calls:?}");
        assert_eq!(self.all_robots().await, before.robots, "a robot changed");
        self.others_are_untouched(before).await;
    }

    /// No Secret of others changed, and no robot but the attacker's own, which are in these projects with these names.
    pub async fn only_own_changed(&self, before: &Before, own: impl Fn(&Value) -> bool) {
        let others = |robots: &[Value]| robots.iter().filter(|robot| !own(robot)).cloned().collect::<Vec<_>>();
        assert_eq!(others(&self.all_robots().await), others(&before.robots), "a robot of others changed");
        self.others_are_untouched(before).await;
        // Also what Harbor refused would have been a try.
        for call in
            self.asked_since(before).await.iter().filter(|call| ["PUT", "PATCH", "DELETE"].contains(&&*call.method))
        {
            let foreign =
                others(&before.robots).iter().any(|robot| call.target.ends_with(&format!("/robots/{}", robot["id"])));
            assert!(!foreign, "tried: {call:?}");
        }
    }

    async fn others_are_untouched(&self, before: &Before) {
        assert_eq!(self.secrets_elsewhere().await, before.secrets, "a Secret of others changed");
    }

    /// What the operator asked Harbor since, but for its looks at the registry as such and sweeps over projects in use.
    pub async fn asked_since(&self, before: &Before) -> Vec<Call> {
        let Calls { calls, .. } = self.scene.harbor.calls().await.unwrap();
        let ours = |call: &Call| call.auth != "basic" || call.login != self.scene.harbor.admin.name;
        calls.into_iter().skip(before.calls).filter(|call| ours(call) && !self.is_routine(call)).collect()
    }

    fn is_routine(&self, call: &Call) -> bool {
        let query = call.query.replace("%25", "%").replace("%3D", "=").replace("%2C", ",");
        let of_robots = call.path == "/api/v2.0/robots" && {
            let of = |id: &i64| query.split(['&', ',']).any(|part| part == format!("ProjectID={id}"));
            !query.contains("ProjectID") || self.listed.iter().any(of)
        };
        let of_a_project = self.in_use.iter().any(|name| call.target.ends_with(&format!("/projects/{name}")));
        let about_itself = ["/users/current", "/systeminfo", "/permissions", "/configurations"];
        call.path == "/c/login"
            || call.method == "GET"
                && (of_robots || of_a_project || about_itself.iter().any(|path| call.path.ends_with(path)))
    }
}

/// Applies a manifest in the attacker's name, whoever else has its fields.
pub async fn apply(client: &Client, manifest: &Value) -> Result<(), String> {
    apply_object(client, manifest, "attacker", true).await.map_err(|error| error.to_string())
}
