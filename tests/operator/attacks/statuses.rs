//! The attacker can write status subresources (a Role with `resources: ["*"]`), and reads no Secret. Status is what the
//! operator remembers: nothing in it may widen what spec and grants allow, or point at what is somebody else's.

use harbor_robot_operator::api::HarborRegistry;
use harbor_robot_world::eventually;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::Table;
use super::stage::Stage;
use crate::scene::{LoginAs, SOON, Scene, Setting};

/// The victim's own registry and login, an account of it, and a project that both namespaces may use.
async fn stage() -> Stage {
    let setting = Setting {
        registry: json!({"pollInterval": "1h", "grants": []}),
        args: ["--settle-after=1", "--private-registry-hosts=127.0.0.1", "--tenant-registries=100"]
            .map(ToOwned::to_owned)
            .to_vec(),
        login: LoginAs::Person,
        all_namespaces: true,
        ..Setting::default()
    };
    let mut stage = Stage::of_insider(Scene::without_operator(setting).await).await;
    let (shared, victims) = (stage.project("shared"), stage.victim.clone());
    stage.scene.harbor.seed_projects(&[shared.clone(), victims.clone()]).await.unwrap();
    let both = [stage.scene.namespace.clone(), victims.clone()];
    let grant = json!({
        "name": "shared", "namespaces": both, "projects": [shared], "permissions": ["PullArtifacts"],
        "maxExpiresAfter": "30d",
    });
    stage.scene.edit_registry(json!({"grants": [grant]})).await;
    stage.uses(&shared).await;
    stage.uses(&victims).await;
    stage.scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "login", "namespace": victims, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": stage.scene.login.name, "password": stage.scene.login.secret},
    }));
    stage.scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "harbor", "namespace": victims, "labels": {"scene": stage.scene.registry}},
        "spec": {"url": stage.scene.harbor.url, "auth": {"secretRef": {"name": "login"}}, "pollInterval": "1h"},
    }));
    stage.scene.start();
    stage.scene.registry_is("Ready", "True").await;
    stage.scene.apply(stage.account_in(&victims, "ci", &json!({"project": shared})));
    let own = json!({"registryRef": {"kind": "HarborRegistry", "name": "harbor"}, "project": victims});
    stage.scene.apply(stage.account_in(&victims, "own", &own));
    for name in ["ci", "own"] {
        stage.says_in(&victims, name, "Ready", "True", "Published").await;
    }
    stage
}

/// What is pinned, and what the account says of it: without `registryRef` only a ClusterHarborRegistry can be meant, or a
/// HarborRegistry of the own namespace.
fn pins(stage: &Stage) -> Vec<(&'static str, Value, &'static str)> {
    let victims = &stage.victim;
    let pin = |kind: &str, name: String| json!({"kind": kind, "name": name, "url": stage.scene.harbor.url});
    let (cluster, own) = ("ClusterHarborRegistry", "HarborRegistry");
    let none = "spec.registryRef is not set";
    vec![
        ("another team's registry as one of the cluster", pin(cluster, format!("{victims}/harbor")), none),
        ("another team's registry by path", pin(own, format!("{victims}/harbor")), none),
        ("another team's registry by an escaped slash", pin(cluster, format!("{victims}%2Fharbor")), none),
        ("a path upwards", pin(cluster, format!("../namespaces/{victims}/harborregistries/harbor")), none),
        ("a part of an object", pin(cluster, format!("{}/status", stage.scene.registry)), none),
        ("a query", pin(cluster, format!("{}?x=y", stage.scene.registry)), none),
        ("a name in upper case", pin(cluster, stage.scene.registry.to_uppercase()), none),
        ("a name that would end the request line", pin(cluster, "a\r\nHost: evil".to_owned()), none),
        ("a name of hyphens", pin(cluster, "-".repeat(253)), none),
        ("the namespace of another team as registry", pin(cluster, victims.clone()), "does not exist"),
        ("another team's registry by its mere name", pin(own, "harbor".to_owned()), "does not exist in this namespace"),
    ]
}

async fn pinned(stage: &Stage, name: &str, pin: Value, says: &str) {
    let before = stage.look().await;
    let spec = json!({"registryRef": null, "project": stage.victim});
    stage.attack(&stage.account(name, &spec)).await;
    stage.says(name, "Ready", "False", "RegistryNotFound").await;
    stage.forge(name, json!({"registry": pin, "observedGeneration": 1})).await;
    let message = stage.scene.reason_is(name, "Ready", "False", "RegistryNotFound").await;
    assert!(message.contains(says), "{message}");
    assert!(stage.scene.get(name).await.metadata.finalizers.is_none(), "nothing is in Harbor");
    stage.nothing_happened(&before).await;
}

/// The registry of the cluster may be named anyhow: its grants say what for.
async fn pinned_to_the_clusters(stage: &Stage) {
    let before = stage.look().await;
    let spec = json!({"registryRef": null, "project": stage.victim});
    stage.attack(&stage.account("pinned-cluster", &spec)).await;
    stage.says("pinned-cluster", "Ready", "False", "RegistryNotFound").await;
    let pin = json!({"kind": "ClusterHarborRegistry", "name": stage.scene.registry, "url": stage.scene.harbor.url});
    stage.forge("pinned-cluster", json!({"registry": pin})).await;
    stage.says("pinned-cluster", "Ready", "False", "NotPermitted").await;
    stage.nothing_happened(&before).await;
}

fn record_of(robot: &Value) -> Value {
    json!({
        "id": robot["id"], "name": robot["name"], "creationTime": robot["creation_time"],
        "updateTime": robot["update_time"], "expirationTime": "2099-01-01T00:00:00Z",
    })
}

fn previous_of(robot: &Value) -> Value {
    json!({
        "id": robot["id"], "name": robot["name"], "creationTime": robot["creation_time"],
        "revocationTime": "2020-01-01T00:00:00Z",
    })
}

async fn named(stage: &Stage, end: &str) -> Value {
    let all = stage.all_robots().await;
    all.into_iter().find(|robot| robot["name"].as_str().unwrap().ends_with(end)).unwrap()
}

/// A robot that a person made in the shared project.
async fn by_hand(stage: &Stage, name: &str) -> Value {
    let access = json!([{"resource": "repository", "action": "pull"}, {"resource": "repository", "action": "push"}]);
    let robot = json!({
        "name": name, "level": "project", "duration": 300, "description": "made by hand",
        "permissions": [{"kind": "project", "namespace": stage.project("shared"), "access": access}],
    });
    stage.scene.harbor_api("POST", "/robots", robot).await;
    named(stage, &format!("+{name}")).await
}

/// A robot without a mark that status names would be rotated, narrowed and published. At most the account takes its other
/// name, with a robot of its own.
async fn takes_a_robot_by_hand(stage: &Stage, name: &str, slot: &str, as_previous: bool) {
    let robot = by_hand(stage, slot).await;
    let own = format!("+{name}");
    let is_own = |other: &Value| other["id"] != robot["id"] && (ends(other, &own) || ends(other, &format!("{own}.b")));
    let before = stage.look().await;
    let mut account = stage.account(name, &of_shared(stage, json!({})));
    account["metadata"]["finalizers"] = json!(["harbor-robots.io/robot"]);
    stage.attack(&account).await;
    if slot == name {
        stage.says(name, "Ready", "False", "NameTaken").await;
    } else {
        stage.says(name, "Ready", "True", "Published").await;
    }
    let status = if as_previous {
        json!({"previous": previous_of(&robot)})
    } else {
        json!({"robot": record_of(&robot), "expiresAfter": "30d", "permissions": [{"resource": "repository", "actions": ["pull"]}]})
    };
    stage.forge(name, status).await;
    stage.says(name, "Ready", "True", "Published").await;
    assert_ne!(stage.scene.logs_in(name).await.name, robot["name"].as_str().unwrap());
    stage.only_own_changed(&before, is_own).await;
    stage.of_attacker().delete(name, &DeleteParams::default()).await.unwrap();
    stage.scene.gone(name).await;
    stage.only_own_changed(&before, is_own).await;
}

fn ends(robot: &Value, end: &str) -> bool {
    robot["name"].as_str().unwrap().ends_with(end)
}

fn of_shared(stage: &Stage, spec: Value) -> Value {
    let mut whole = json!({"project": stage.project("shared")});
    crate::scene::merge(&mut whole, &spec);
    whole
}

/// An account of the attacker's that works, and then has another past.
async fn remembers(stage: &Stage, name: &str, status: Value) {
    stage.attack(&stage.account(name, &of_shared(stage, json!({})))).await;
    stage.scene.settled(name).await;
    let own = format!("+{name}");
    let is_own = |robot: &Value| robot["name"].as_str().unwrap().contains(&own);
    let before = stage.look().await;
    stage.forge(name, status).await;
    stage.scene.settled(name).await;
    stage.scene.logs_in(name).await;
    stage.only_own_changed(&before, is_own).await;
    stage.of_attacker().delete(name, &DeleteParams::default()).await.unwrap();
    stage.scene.gone(name).await;
    stage.only_own_changed(&before, is_own).await;
    let left = stage.all_robots().await.into_iter().filter(is_own).count();
    assert_eq!(left, 0, "its own robots are gone with it");
}

async fn pasts(stage: &Stage) -> Vec<(&'static str, Value)> {
    let (victims, system) = (named(stage, "shared+ci").await, &stage.scene.system);
    let robot = |id: Value| {
        let mut record = record_of(&victims);
        record["id"] = id;
        json!({"robot": record})
    };
    let secret = |namespace: &str, name: &str| json!({"secretRefs": [{"namespace": namespace, "name": name}]});
    let row = json!([{"name": stage.victim, "ready": false, "reason": "KubernetesRefused", "message": "x"}]);
    vec![
        ("the victim's robot is its robot", robot(victims["id"].clone())),
        ("the victim's robot is its former one", json!({"previous": previous_of(&victims)})),
        ("both are the victim's", json!({"robot": record_of(&victims), "previous": previous_of(&victims)})),
        ("a robot with the number 0", robot(json!(0))),
        ("a robot with a number below 0", robot(json!(-1))),
        ("a robot with the largest number", robot(json!(i64::MAX))),
        ("no robot at all", json!({"robot": null, "previous": null})),
        ("the victim's Secret is its Secret", secret(&stage.victim, "ci")),
        ("the operator's login is its Secret", secret(system, "login")),
        ("a Secret by a path", secret(&format!("{}/secrets/ci?x=", stage.victim), "../ci")),
        (
            "a namespace of others failed",
            json!({"namespaces": row, "namespaceCount": 9, "secretRefs": [
                {"namespace": stage.victim, "name": "ci"},
            ]}),
        ),
        ("all tokens were served", json!({"handledRefresh": "x", "handledRevoke": "y"})),
        (
            "it may do everything for ever",
            json!({"permissions": [{"resource": "repository", "actions": ["push"]}, {"resource": "robot", "actions": ["create"]}],
            "expiresAfter": "Never"}),
        ),
        ("it reaches all projects", json!({"projects": {"all": true, "count": 1000, "names": ["library"]}})),
        (
            "it was made at another Harbor",
            json!({"registry": {"kind": "ClusterHarborRegistry",
            "name": stage.scene.registry, "url": "https://evil.example"}}),
        ),
    ]
}

/// Whoever is refused stays so, whatever its conditions say.
async fn says_it_is_ready(stage: &Stage) {
    let before = stage.look().await;
    stage.attack(&stage.account("pretends", &json!({"project": stage.victim, "name": "ci"}))).await;
    stage.says("pretends", "Ready", "False", "NotPermitted").await;
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason, "message": "x", "lastTransitionTime": "2020-01-01T00:00:00Z"});
    let status = json!({"status": {
        "conditions": [condition("Ready", "Published"), condition("Synced", "InSync")],
        "robot": record_of(&named(stage, "shared+ci").await), "permissions": [{"resource": "repository", "actions": ["pull"]}],
    }});
    let api = stage.of_attacker();
    api.patch_status("pretends", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    stage.says("pretends", "Ready", "False", "NotPermitted").await;
    assert!(stage.scene.get("pretends").await.metadata.finalizers.is_none());
    stage.nothing_happened(&before).await;
}

/// The delay after a grant went counts from a time in status; a later one would keep the robot for ever.
async fn sets_back_the_clock(stage: &Stage, name: &str, since: Option<&str>) {
    stage.attack(&stage.account(name, &of_shared(stage, json!({})))).await;
    stage.scene.settled(name).await;
    let robot = named(stage, &format!("+{name}")).await;
    let grants = stage.scene.registries().get(&stage.scene.registry).await.unwrap().spec.grants;
    let mut narrow = serde_json::to_value(&grants).unwrap();
    narrow[0]["namespaces"] = json!([stage.victim]);
    stage.scene.edit_registry(json!({"grants": narrow, "grantRevocationDelay": "3s"})).await;
    stage.says(name, "Ready", "False", "NotPermitted").await;
    let told = |moment: &str| json!({"type": "Ready", "status": "False", "reason": "NotPermitted", "message": "x", "lastTransitionTime": moment});
    let forged = json!({"status": {"conditions": since.map(told).into_iter().collect::<Vec<_>>()}});
    eventually("the robot is disabled although its status goes on saying that it has time", SOON, || async {
        let patch = Patch::Merge(&forged);
        stage.of_attacker().patch_status(name, &PatchParams::default(), &patch).await.map_err(|e| e.to_string())?;
        let now = stage.scene.robot(robot["id"].as_i64().unwrap()).await;
        if now["disable"] == true { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    stage.scene.no_secret_in(&stage.scene.namespace, name).await;
    stage.scene.edit_registry(json!({"grants": grants, "grantRevocationDelay": "5m"})).await;
    stage.of_attacker().delete(name, &DeleteParams::default()).await.unwrap();
    stage.scene.gone(name).await;
}

/// A registry of the attacker's own without a usable login, whose status says that everything is well.
async fn registry_says_it_is_ready(stage: &Stage, name: &str, status: Value) {
    let before = stage.look().await;
    stage
        .attack(&json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
            "metadata": {"name": name, "namespace": stage.scene.namespace, "labels": {"scene": stage.scene.registry}},
            "spec": {"url": stage.scene.harbor.url, "auth": {"secretRef": {"name": "absent"}}, "pollInterval": "1h"},
        }))
        .await;
    let api: Api<HarborRegistry> = Api::namespaced(stage.attacker.clone(), &stage.scene.namespace);
    let says = || async {
        eventually("it has no login", SOON, || async {
            let status = api.get(name).await.map_err(|error| error.to_string())?.status.unwrap_or_default();
            let found = status.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == "CredentialsMissing");
            if found { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    };
    says().await;
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    let spec = json!({"registryRef": {"kind": "HarborRegistry", "name": name}, "project": stage.victim, "name": "ci"});
    stage.attack(&stage.account(&format!("of-{name}"), &spec)).await;
    stage.says(&format!("of-{name}"), "Ready", "False", "CredentialsMissing").await;
    assert!(stage.scene.secret(&format!("of-{name}")).await.is_none());
    stage.nothing_happened(&before).await;
}

pub async fn cases() -> Table {
    let mut table = Table::default();
    let stage = stage().await;
    for (n, (name, pin, says)) in pins(&stage).into_iter().enumerate() {
        table.row(format!("status pins {name}"), pinned(&stage, &format!("pinned-{n}"), pin, says)).await;
    }
    table.row("status pins the cluster's registry, which grants nothing", pinned_to_the_clusters(&stage)).await;
    for (name, slot, as_previous) in [("hand", "hand", false), ("hand2", "hand2.b", false), ("hand3", "hand3.b", true)]
    {
        let what = if as_previous { "former one" } else { "own" };
        let text = format!("status calls a robot made by hand, {slot}, the account's {what}");
        table.row(text, takes_a_robot_by_hand(&stage, name, slot, as_previous)).await;
    }
    for (n, (name, status)) in pasts(&stage).await.into_iter().enumerate() {
        table.row(format!("status says: {name}"), remembers(&stage, &format!("past-{n}"), status)).await;
    }
    table.row("status says that a refused account is ready", says_it_is_ready(&stage)).await;
    for (name, since) in [("late", Some("2099-01-01T00:00:00Z")), ("unsaid", None)] {
        table
            .row(format!("status gives a lost grant more time ({since:?})"), sets_back_the_clock(&stage, name, since))
            .await;
    }
    let ready = json!([{"type": "Ready", "status": "True", "reason": "LoggedIn", "message": "x",
        "lastTransitionTime": "2020-01-01T00:00:00Z"}]);
    for (name, status) in [
        ("ready", json!({"conditions": ready})),
        ("admin", json!({"login": {"kind": "Administrator", "name": "admin", "mayUpdate": true}})),
        ("glob", json!({"registryHost": "*", "robotNamePrefix": "robot$"})),
        ("cluster", json!({"clusterName": "c", "accountCount": 0, "observedGeneration": 1})),
    ] {
        let text = format!("the status of a registry without a login says: {name}");
        table.row(text, registry_says_it_is_ready(&stage, name, status)).await;
    }
    table
        .row("nothing of others is in a status or event of the attacker's", async {
            let told = stage.all_that_is_told().await;
            assert!(!told.contains(&stage.scene.login.secret) && !told.contains(&stage.scene.harbor.admin.secret));
            assert!(told.len() > 1000, "there is much to read");
        })
        .await;
    table
}
