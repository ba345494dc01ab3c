//! What tools that wait for objects (`helm --wait`, Flux, Argo CD's and kpt's kin) take ours for in each state, by kstatus itself:
//! what a person would say who looks at them.

use harbor_robot_world::eventually;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::argo_cd;
use crate::scene::{SOON, Scene, Setting, everyone};

/// As it should be; on its way; not without somebody; on its way out.
const CURRENT: &str = "Current";
const IN_PROGRESS: &str = "InProgress";
const FAILED: &str = "Failed";
const TERMINATING: &str = "Terminating";

/// The objects of one kind.
struct Objects<'a> {
    scene: &'a Scene,
    api: Api<DynamicObject>,
    kind: &'static str,
    wrong: Vec<String>,
    seen: usize,
}

impl<'a> Objects<'a> {
    fn new(scene: &'a Scene, kind: &'static str, plural: &str) -> Self {
        let resource = GroupVersionKind::gvk("harbor-robots.io", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&resource, plural);
        let api = match kind {
            "RobotAccount" | "HarborRegistry" => {
                Api::namespaced_with(scene.client.clone(), &scene.namespace, &resource)
            }
            _ => Api::all_with(scene.client.clone(), &resource),
        };
        Self { scene, api, kind, wrong: Vec::new(), seen: 0 }
    }

    /// Names of cluster-scoped objects are shared by all scenes.
    fn name(&self, name: &str) -> String {
        if self.kind.starts_with("System") || self.kind.starts_with("Cluster") {
            format!("{}-{name}", self.scene.namespace)
        } else {
            name.to_owned()
        }
    }

    fn make(&self, name: &str, spec: &Value) {
        let mut metadata = json!({"name": self.name(name), "labels": {"scene": self.scene.registry}});
        if self.name(name) == name {
            metadata["namespace"] = json!(self.scene.namespace);
        }
        self.scene.apply(json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": self.kind, "metadata": metadata, "spec": spec,
        }));
    }

    async fn edit(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api.patch(&self.name(name), &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the object has this condition, as `Ready=True/Published` (nothing: none is waited for), and asks kstatus.
    async fn is(&mut self, name: &str, reached: &str, expected: &str) {
        let object = eventually(&format!("{} {name}: {reached}", self.kind), SOON, || async {
            let object = self.api.get(&self.name(name)).await.map_err(|error| error.to_string())?;
            let object = serde_json::to_value(object).unwrap();
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let word = |condition: &Value, word: &str| condition[word].as_str().unwrap_or_default().to_owned();
            let all: Vec<String> = conditions
                .iter()
                .map(|c| format!("{}={}/{}", word(c, "type"), word(c, "status"), word(c, "reason")))
                .collect();
            let observed = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            if reached.is_empty() || observed && all.iter().any(|condition| condition == reached) {
                Ok(object)
            } else {
                Err(format!("{all:?}"))
            }
        })
        .await;
        self.says(name, &object, expected);
    }

    fn says(&mut self, name: &str, object: &Value, expected: &str) {
        let said = self.scene.plane.rig("kstatus", [] as [&str; 0], &object.to_string()).ok().unwrap();
        self.seen += 1;
        let in_argo_cd = argo_cd::health(self.scene, self.kind, object);
        let same: &[&str] = match expected {
            CURRENT => &["Healthy", "Suspended"],
            FAILED => &["Degraded"],
            // Argo CD itself sees that an object is on its way out.
            _ => &["Progressing", "Suspended"],
        };
        if expected != TERMINATING && !same.contains(&in_argo_cd.as_str()) {
            self.wrong
                .push(format!("{} {name} is {expected} and {in_argo_cd} in Argo CD: {}", self.kind, object["status"]));
        }
        if said.split_whitespace().next() != Some(expected) {
            self.wrong.push(format!(
                "{} {name} is {expected} to people and {} to kstatus: {}",
                self.kind,
                said.trim(),
                object["status"]
            ));
        }
    }

    /// It has been seen to be edited, and not yet by the operator.
    async fn is_edited(&mut self, name: &str, expected: &str) {
        let object = self.api.get(&self.name(name)).await.unwrap();
        self.says(name, &serde_json::to_value(object).unwrap(), expected);
    }

    fn end(self, least: usize) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        assert!(self.seen >= least, "{} states of {}", self.seen, self.kind);
    }
}

/// Makes an object for each row (name, further fields, condition, what it is to people), asks of the first one before the
/// operator starts, and then of each. What was wrong, and how many were asked of.
async fn of_rows(
    scene: &mut Scene,
    kind: &'static str,
    plural: &str,
    rows: &[(&str, Value, &str, &str)],
    with: &impl Fn(Value) -> Value,
) -> (Vec<String>, usize) {
    let mut objects = Objects::new(scene, kind, plural);
    for (name, spec, _, _) in rows {
        objects.make(name, &with(spec.clone()));
    }
    objects.is(rows[0].0, "", IN_PROGRESS).await;
    let Objects { wrong, seen, .. } = objects;
    scene.start();
    let mut objects = Objects { wrong, seen, ..Objects::new(scene, kind, plural) };
    for (name, _, reached, expected) in rows {
        objects.is(name, reached, expected).await;
    }
    (objects.wrong, objects.seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_accounts() {
    let mut scene = Scene::without_operator(Setting {
        // One who may ask for nothing.
        registry: json!({"grants": [{
            "name": "some", "namespaceSelector": everyone(), "projects": ["*"], "permissions": ["PullArtifacts", "CreateTags"],
            "access": [{"resource": "scan", "action": "creat"}], "maxExpiresAfter": "30d",
        }]}),
        ..Setting::default()
    })
    .await;
    let base = json!({
        "registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry}, "project": scene.namespace,
        "permissions": ["PullArtifacts"],
    });
    let with = |fields: Value| {
        let mut spec = base.clone();
        crate::scene::merge(&mut spec, &fields);
        spec
    };
    for name in ["foreign", "contested"] {
        scene.foreign_secret(name).await;
    }
    scene.stranger("taken", "somebody's").await;
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": {"password": "short"},
        "metadata": {"name": "weak", "namespace": scene.namespace, "labels": {"harbor-robots.io/use": "password"}},
    }));
    let own = |name: &str| json!({"passwordSecretRef": {"name": name, "key": "password"}});
    let rows = [
        ("ready", json!({}), "Ready=True/Published", CURRENT),
        ("in-sync", json!({"expiresAfter": "7d"}), "Synced=True/InSync", CURRENT),
        ("with-entry-to-come", json!({"serviceAccounts": [{"name": "later"}]}), "Ready=True/Published", CURRENT),
        ("switched-off", json!({"disabled": true}), "Ready=True/Disabled", CURRENT),
        ("made-suspended", json!({"suspend": true}), "Ready=False/Suspended", IN_PROGRESS),
        ("too-much", json!({"permissions": ["PushArtifacts"]}), "Ready=False/NotPermitted", FAILED),
        ("too-long", json!({"expiresAfter": "60d"}), "Ready=False/NotPermitted", FAILED),
        ("nowhere", json!({"project": "no-such-project"}), "Ready=False/ProjectNotFound", FAILED),
        ("foreign", json!({}), "Ready=False/SecretNotOwned", FAILED),
        ("taken", json!({}), "Ready=False/NameTaken", FAILED),
        (
            "mistyped",
            json!({"access": [{"resource": "scan", "action": "creat"}]}),
            "Ready=False/PermissionUnknown",
            FAILED,
        ),
        ("no-password", own("nothing"), "Ready=False/PasswordMissing", FAILED),
        ("weak-password", own("weak"), "Ready=False/PasswordInvalid", FAILED),
        ("no-registry", json!({"registryRef": {"name": "nobodys"}}), "Ready=False/RegistryNotFound", FAILED),
    ];
    let (wrong, seen) = of_rows(&mut scene, "RobotAccount", "robotaccounts", &rows, &with).await;
    let mut accounts = Objects { wrong, seen, ..Objects::new(&scene, "RobotAccount", "robotaccounts") };
    accounts.edit("in-sync", json!({"suspend": true})).await;
    accounts.is("in-sync", "Synced=False/Suspended", CURRENT).await;
    // Harbor is away: what works goes on, what is asked for now does not.
    scene.faults(json!([{"status": 503, "count": 0}])).await;
    scene.registry_is("Ready", "False").await;
    accounts.make("new", &with(json!({})));
    accounts.edit("ready", json!({"description": "edited in an outage"})).await;
    accounts.is("with-entry-to-come", "Ready=True/Published", CURRENT).await;
    accounts.is("new", "Ready=False/RateLimited", IN_PROGRESS).await;
    accounts.is("ready", "Reconciling=True/RateLimited", IN_PROGRESS).await;
    accounts.api.delete("switched-off", &DeleteParams::default()).await.unwrap();
    accounts.is("switched-off", "", TERMINATING).await;
    scene.faults(json!([])).await;
    accounts.is("ready", "Synced=True/InSync", CURRENT).await;
    // An edit that nobody has looked at.
    let operator = scene.operator.as_ref().unwrap();
    operator.pause().unwrap();
    accounts.edit("ready", json!({"description": "edited while the operator stands still"})).await;
    accounts.is_edited("ready", IN_PROGRESS).await;
    operator.resume().unwrap();
    accounts.end(20);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_system_accounts() {
    let mut scene = Scene::without_operator(Setting { all_namespaces: true, ..Setting::default() }).await;
    let base = json!({
        "registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry},
        "projects": {"all": {"permissions": ["PullArtifacts"]}},
    });
    let with = |fields: Value| {
        let mut spec = base.clone();
        crate::scene::merge(&mut spec, &fields);
        spec
    };
    let (here, later) = (scene.namespace.clone(), format!("{}-later", scene.namespace));
    let foreign = |name: &str, namespace: &str| {
        scene.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
            "stringData": {"mine": "untouched"},
        }));
    };
    foreign("in-the-way", &scene.system);
    foreign("in-a-namespace", &here);
    let stranger = json!({
        "name": "taken", "level": "system", "duration": 30,
        "permissions": [{"kind": "project", "namespace": "*", "access": [{"resource": "repository", "action": "pull"}]}],
    });
    scene.harbor.api(reqwest::Method::POST, "/robots", Some(stranger)).await.unwrap().ok().unwrap();
    let matching = |pattern: &str| json!({"projects": {"all": null, "matching": [{"pattern": pattern, "permissions": ["PullArtifacts"]}]}});
    let rows = [
        ("ready", json!({}), "Ready=True/Published", CURRENT),
        ("matching", matching(&format!("{here}*")), "Ready=True/Published", CURRENT),
        ("copied", json!({"secret": {"namespaces": [here]}}), "Synced=True/InSync", CURRENT),
        ("copied-later", json!({"secret": {"namespaces": [later]}}), "Ready=True/Published", CURRENT),
        ("still", json!({"expiresAfter": "7d"}), "Synced=True/InSync", CURRENT),
        ("switched-off", json!({"disabled": true}), "Ready=True/Disabled", CURRENT),
        ("made-suspended", json!({"suspend": true}), "Ready=False/Suspended", IN_PROGRESS),
        ("matching-none", matching("no-such-*"), "Ready=False/NoPermissions", FAILED),
        (
            "nowhere",
            json!({"projects": {"all": null, "selected": [{"project": "no-such-project", "permissions": ["PullArtifacts"]}]}}),
            "Ready=False/ProjectNotFound",
            FAILED,
        ),
        (
            "mistyped",
            json!({"systemAccess": [{"resource": "labl", "action": "read"}]}),
            "Ready=False/PermissionUnknown",
            FAILED,
        ),
        ("taken", json!({"name": "taken"}), "Ready=False/NameTaken", FAILED),
        ("foreign", json!({"secret": {"name": "in-the-way"}}), "Ready=False/SecretNotOwned", FAILED),
        (
            "foreign-there",
            json!({"secret": {"name": "in-a-namespace", "namespaces": [here]}}),
            "Synced=False/NamespacesFailed",
            FAILED,
        ),
        (
            "no-password",
            json!({"passwordSecretRef": {"name": "nothing", "key": "p"}}),
            "Ready=False/PasswordMissing",
            FAILED,
        ),
        ("no-registry", json!({"registryRef": {"name": "nobodys"}}), "Ready=False/RegistryNotFound", FAILED),
    ];
    let (wrong, seen) = of_rows(&mut scene, "SystemRobotAccount", "systemrobotaccounts", &rows, &with).await;
    let mut accounts = Objects { wrong, seen, ..Objects::new(&scene, "SystemRobotAccount", "systemrobotaccounts") };
    accounts.edit("still", json!({"suspend": true})).await;
    accounts.is("still", "Synced=False/Suspended", CURRENT).await;
    scene.faults(json!([{"status": 503, "count": 0}])).await;
    scene.registry_is("Ready", "False").await;
    accounts.make("new", &with(json!({})));
    accounts.edit("ready", json!({"description": "edited in an outage"})).await;
    accounts.is("copied", "Ready=True/Published", CURRENT).await;
    accounts.is("new", "Ready=False/RateLimited", IN_PROGRESS).await;
    accounts.is("ready", "Reconciling=True/RateLimited", IN_PROGRESS).await;
    let name = accounts.name("switched-off");
    accounts.api.delete(&name, &DeleteParams::default()).await.unwrap();
    accounts.is("switched-off", "", TERMINATING).await;
    scene.faults(json!([])).await;
    accounts.is("ready", "Synced=True/InSync", CURRENT).await;
    // They outlive the scene's namespace.
    for (name, ..) in rows.iter().filter(|(name, ..)| *name != "switched-off") {
        accounts.api.delete(&accounts.name(name), &DeleteParams::default()).await.unwrap();
    }
    accounts.api.delete(&accounts.name("new"), &DeleteParams::default()).await.unwrap();
    accounts.end(20);
}

/// A registry's spec, with further fields.
fn registry(scene: &Scene, fields: &Value) -> Value {
    let mut spec = json!({"url": scene.harbor.url, "auth": {"secretRef": {"name": "login"}}, "pollInterval": "1s"});
    crate::scene::merge(&mut spec, fields);
    spec
}

/// What both kinds of registries have.
fn registries() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let login = |name: &str| json!({"auth": {"secretRef": {"name": name}}});
    let damaged = json!({"tls": {"caCertificates": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"}});
    let missing = json!({"tls": {"caCertificatesRef": {"kind": "ConfigMap", "name": "nothing", "key": "ca.crt"}}});
    vec![
        ("ready", json!({}), "Ready=True/LoggedIn", CURRENT),
        ("with-hosts", json!({"additionalHosts": ["mirror.example.com"]}), "Ready=True/LoggedIn", CURRENT),
        ("with-a-host", json!({"registryHost": "images.example.com"}), "Ready=True/LoggedIn", CURRENT),
        ("suspended", json!({"suspend": true}), "Ready=True/Suspended", CURRENT),
        ("no-login", login("nothing"), "Ready=False/CredentialsMissing", FAILED),
        ("no-password", login("half"), "Ready=False/CredentialsMissing", FAILED),
        ("wrong-login", login("wrong"), "Ready=False/CredentialsRejected", FAILED),
        ("nobody-there", json!({"url": "http://127.0.0.1:1"}), "Ready=False/Unreachable", IN_PROGRESS),
        ("no-such-host", json!({"url": "http://registry.invalid"}), "Ready=False/Unreachable", IN_PROGRESS),
        ("damaged-ca", damaged, "Ready=False/ConnectionInvalid", FAILED),
        ("no-ca", missing, "Ready=False/CredentialsMissing", FAILED),
        ("in-use", json!({"rateLimit": {"requestsPerSecond": 50}}), "Ready=True/LoggedIn", CURRENT),
    ]
}

/// Logins of registries in a namespace: one that works, a wrong one, half a one.
fn logins(scene: &Scene, namespace: &str) {
    let login = &scene.login;
    for (name, data) in [
        ("login", json!({"username": login.name, "password": login.secret})),
        ("wrong", json!({"username": "robot$nobody", "password": "Wrong-1234567"})),
        ("half", json!({"username": "nobody"})),
        ("unmarked", json!({"username": login.name, "password": login.secret})),
    ] {
        let labels = if name == "unmarked" { json!({}) } else { json!({"harbor-robots.io/use": "login"}) };
        scene.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
        }));
    }
}

/// What happens to a registry in the course of time: an edit, an outage, its deletion while an account uses it.
async fn in_the_course_of_time(scene: &Scene, registries: &mut Objects<'_>, away: &str) {
    let used = json!({"kind": registries.kind, "name": registries.name("in-use")});
    scene.account("ci", json!({"registryRef": used})).await;
    scene.settled("ci").await;
    registries.edit("ready", json!({"pollInterval": "2s"})).await;
    registries.is("ready", "Ready=True/LoggedIn", CURRENT).await;
    let operator = scene.operator.as_ref().unwrap();
    operator.pause().unwrap();
    registries.edit("ready", json!({"pollInterval": "1s"})).await;
    registries.is_edited("ready", IN_PROGRESS).await;
    operator.resume().unwrap();
    let name = registries.name("in-use");
    registries.api.delete(&name, &DeleteParams::default()).await.unwrap();
    registries.is("in-use", "", TERMINATING).await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    scene.faults(json!([{"status": 503, "count": 0}])).await;
    // Without an account nobody asks soon, but after an edit.
    registries.edit("ready", json!({"pollInterval": "3s"})).await;
    registries.is("ready", away, IN_PROGRESS).await;
    scene.faults(json!([])).await;
    registries.is("ready", "Ready=True/LoggedIn", CURRENT).await;
    // Another clock is told, and keeps nobody from working.
    scene.harbor.advance(3600).await.unwrap();
    registries.edit("ready", json!({"pollInterval": "2s"})).await;
    registries.is("ready", "ClockSkew=True/ClockSkew", CURRENT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_registries_of_the_cluster() {
    let mut scene = Scene::without_operator(Setting::default()).await;
    logins(&scene, &scene.system);
    let with = {
        let base = registry(
            &scene,
            &json!({"grants": [{
                "name": "all", "namespaceSelector": everyone(), "projects": ["*"], "permissions": ["PullArtifacts", "PushArtifacts"],
                "access": [{"resource": "*", "action": "*"}],
            }]}),
        );
        move |fields: Value| {
            let mut spec = base.clone();
            crate::scene::merge(&mut spec, &fields);
            spec
        }
    };
    let mut rows = registries();
    rows.push((
        "with-settings",
        json!({"serverSettings": {"robotTokenDuration": "30d"}}),
        "Ready=True/LoggedIn",
        CURRENT,
    ));
    rows.push(("without-grants", json!({"grants": []}), "Ready=True/LoggedIn", CURRENT));
    let (wrong, seen) = of_rows(&mut scene, "ClusterHarborRegistry", "clusterharborregistries", &rows, &with).await;
    let mut registries =
        Objects { wrong, seen, ..Objects::new(&scene, "ClusterHarborRegistry", "clusterharborregistries") };
    registries.make("more-settings", &with(json!({"serverSettings": {"robotTokenDuration": "14d"}})));
    registries.is("more-settings", "Stalled=True/SettingsConflict", FAILED).await;
    registries.edit("with-settings", json!({"serverSettings": {"robotNamePrefix": "other_"}})).await;
    registries.is("with-settings", "Stalled=True/PrefixNotConfirmed", FAILED).await;
    in_the_course_of_time(&scene, &mut registries, "Ready=False/RateLimited").await;
    registries.end(20);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_registries_of_a_namespace() {
    let args = ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s", "--tenant-registries=15"];
    let args = args.map(ToOwned::to_owned).to_vec();
    let mut scene = Scene::without_operator(Setting { args, ..Setting::default() }).await;
    logins(&scene, &scene.namespace);
    let base = registry(&scene, &json!({}));
    let with = |fields: Value| {
        let mut spec = base.clone();
        crate::scene::merge(&mut spec, &fields);
        spec
    };
    let mut rows = registries();
    // To a tenant, an address that may not be reached is one where nobody answers.
    rows.push(("inside", json!({"url": "http://10.0.0.1"}), "Ready=False/Unreachable", IN_PROGRESS));
    rows.push((
        "unmarked",
        json!({"auth": {"secretRef": {"name": "unmarked"}}}),
        "Ready=False/SecretNotMarked",
        FAILED,
    ));
    let (wrong, seen) = of_rows(&mut scene, "HarborRegistry", "harborregistries", &rows, &with).await;
    let mut registries = Objects { wrong, seen, ..Objects::new(&scene, "HarborRegistry", "harborregistries") };
    registries.make("fifteenth", &with(json!({})));
    registries.make("sixteenth", &with(json!({})));
    registries.is("fifteenth", "Ready=True/LoggedIn", CURRENT).await;
    registries.is("sixteenth", "Ready=False/TooManyRegistries", FAILED).await;
    in_the_course_of_time(&scene, &mut registries, "Ready=False/Unreachable").await;
    registries.end(20);
}
