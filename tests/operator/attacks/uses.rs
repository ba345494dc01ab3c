//! The attacker may name any Secret of its namespace and make new ones, but read none: what is in those of others must go to
//! no server of its choice and into no credential. And a platform user of system accounts tries for the operator's login.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harbor_robot_operator::api::HarborRegistry;
use harbor_robot_world::eventually;
use kube::api::Api;
use serde_json::{Value, json};

use super::Table;
use super::stage::Stage;
use super::tenants::{answer, server};
use crate::scene::{LoginAs, SOON, Scene, Setting};

const USE: &str = "harbor-robots.io/use";
const PASSWORD: &str = "Somebody-elses-1";

/// Labels that do not mark a Secret for a use; the sentence and the labels.
fn marks(wanted: &str) -> Vec<(String, Value)> {
    let others = ["login", "password", "ca"].into_iter().filter(|use_| *use_ != wanted);
    let mut marks = vec![
        ("no label".to_owned(), json!({})),
        ("an empty label".to_owned(), json!({USE: ""})),
        ("the use in upper case".to_owned(), json!({USE: wanted.to_uppercase()})),
        ("a longer word".to_owned(), json!({USE: format!("{wanted}s")})),
        ("all uses in one".to_owned(), json!({USE: "login.password.ca"})),
        ("true".to_owned(), json!({USE: "true"})),
        ("another key".to_owned(), json!({"harbor-robots.io/uses": wanted})),
        ("the key of others".to_owned(), json!({"use": wanted})),
    ];
    marks.extend(others.map(|other| (format!("the label of another use, {other}"), json!({USE: other}))));
    marks
}

/// Somebody else's Secret in the attacker's own namespace.
fn others_secret(stage: &Stage, name: &str, labels: &Value) {
    stage.scene.apply(stage.secret(
        name,
        json!({
            "metadata": {"labels": labels},
            "stringData": {"username": "robot$somebody", "password": PASSWORD, "ca.crt": stage.scene.harbor.admin.secret},
        }),
    ));
}

async fn stage() -> Stage {
    let setting = Setting {
        registry: json!({"pollInterval": "1h", "grants": []}),
        args: ["--private-registry-hosts=127.0.0.1", "--tenant-registries=100"].map(ToOwned::to_owned).to_vec(),
        login: LoginAs::Person,
        all_namespaces: true,
        ..Setting::default()
    };
    let mut stage = Stage::of_insider(Scene::without_operator(setting).await).await;
    let grant = json!({
        "name": "own", "namespaces": [stage.scene.namespace], "projects": ["$(namespace)"],
        "permissions": ["PullArtifacts"],
    });
    stage.scene.edit_registry(json!({"grants": [grant]})).await;
    stage.uses(&stage.scene.namespace.clone()).await;
    stage.scene.start();
    stage.scene.registry_is("Ready", "True").await;
    stage
}

async fn as_password(stage: &Stage, name: &str, labels: &Value) {
    others_secret(stage, name, labels);
    let before = stage.look().await;
    let spec = json!({"passwordSecretRef": {"name": name, "key": "password"}});
    stage.attack(&stage.account(&format!("of-{name}"), &spec)).await;
    let message = stage.says(&format!("of-{name}"), "Ready", "False", "SecretNotMarked").await;
    let namespace = &stage.scene.namespace;
    let way_out = format!("kubectl label secret -n {namespace} {name} harbor-robots.io/use=password");
    assert!(message.contains(&way_out), "{message}");
    assert!(stage.scene.secret(&format!("of-{name}")).await.is_none());
    stage.nothing_happened(&before).await;
}

/// A registry of the attacker's at a server of the attacker's, which sees no connection.
async fn sent_to_a_server(stage: &Stage, name: &str, spec: &Value, connections: &Arc<AtomicUsize>, wanted: &str) {
    let before = stage.look().await;
    stage
        .attack(&json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
            "metadata": {"name": name, "namespace": stage.scene.namespace, "labels": {"scene": stage.scene.registry}},
            "spec": spec,
        }))
        .await;
    let message = registry_says(stage, name, "SecretNotMarked").await;
    let namespace = &stage.scene.namespace;
    assert!(message.contains(&format!("kubectl label secret -n {namespace} ")), "{message}");
    assert!(message.contains(&format!("harbor-robots.io/use={wanted}")), "{message}");
    assert!(!message.contains(PASSWORD), "{message}");
    assert_eq!(connections.load(Ordering::Relaxed), 0, "the server was asked");
    stage.nothing_happened(&before).await;
}

async fn registry_says(stage: &Stage, name: &str, reason: &str) -> String {
    let api: Api<HarborRegistry> = Api::namespaced(stage.scene.client.clone(), &stage.scene.namespace);
    eventually(&format!("registry {name}: {reason}"), SOON, || async {
        let status = api.get(name).await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let found = status.conditions.iter().find(|c| c.type_ == "Ready" && c.reason == reason);
        found.map(|found| found.message.clone()).ok_or(format!("{status:?}"))
    })
    .await
}

/// What the attacker made itself holds nothing of others: marked, it goes where the attacker says.
async fn own_goes_out(stage: &Stage) {
    let (port, connections) = server(answer("401 Unauthorized", "", "")).await;
    let content = json!({
        "metadata": {"labels": {USE: "login"}}, "stringData": {"username": "robot$mine", "password": "Mine-is-mine-1"},
    });
    stage.make_secret("own-login", content).await;
    let auth = json!({"secretRef": {"name": "own-login"}});
    stage
        .attack(&json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
            "metadata": {"name": "own", "namespace": stage.scene.namespace, "labels": {"scene": stage.scene.registry}},
            "spec": {"url": format!("http://127.0.0.1:{port}"), "auth": auth, "pollInterval": "1h"},
        }))
        .await;
    registry_says(stage, "own", "Unreachable").await;
    assert!(connections.load(Ordering::Relaxed) > 0, "a marked Secret is used");
}

/// A mark that is taken away ends the use; what is published goes on.
async fn mark_is_taken_away(stage: &Stage) {
    let labels = |value: &str| json!({USE: value});
    others_secret(stage, "lent", &labels("password"));
    let spec = json!({"passwordSecretRef": {"name": "lent", "key": "password"}});
    stage.attack(&stage.account("lent-to", &spec)).await;
    stage.scene.settled("lent-to").await;
    others_secret(stage, "lent", &labels("login"));
    stage.edit("lent-to", json!({"spec": {"description": "again"}})).await;
    let message = stage.says("lent-to", "Synced", "False", "SecretNotMarked").await;
    assert!(message.contains("harbor-robots.io/use=password"), "{message}");
    assert_eq!(stage.scene.logs_in("lent-to").await.secret, PASSWORD);
}

/// A Secret as the operator makes them, before the operator does.
async fn forestalls(stage: &Stage, name: &str, content: Value, reason: &str) {
    stage.make_secret(name, content).await;
    let before = stage.look().await;
    stage.attack(&stage.account(name, &json!({}))).await;
    stage.says(name, "Ready", "False", reason).await;
    stage.nothing_happened(&before).await;
}

/// Names on the record of a Secret come into paths of the API server when the account goes.
async fn record_of_no_names(stage: &Stage, name: &str, record: &str) {
    let metadata = json!({
        "labels": {"app.kubernetes.io/managed-by": "harbor-robot-operator"},
        "annotations": {"harbor-robots.io/account": name, "harbor-robots.io/service-accounts": record},
    });
    let content = json!({
        "type": "kubernetes.io/dockerconfigjson", "metadata": metadata,
        "stringData": {".dockerconfigjson": "{\"auths\":{}}"},
    });
    stage.make_secret(name, content).await;
    let before = stage.look().await;
    let own = format!("+{name}");
    let is_own = |robot: &Value| robot["name"].as_str().unwrap().ends_with(&own);
    stage.attack(&stage.account(name, &json!({}))).await;
    stage.scene.settled(name).await;
    stage.scene.delete(name).await;
    stage.scene.gone(name).await;
    stage.only_own_changed(&before, is_own).await;
}

/// Whoever may make system accounts, and nothing else in the operator's namespace.
async fn publishes_the_login(stage: &Stage, name: &str, labels: Value) {
    stage.scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "login", "namespace": stage.scene.system, "labels": labels},
    }));
    let before = stage.look().await;
    let spec = json!({
        "systemAccess": [{"resource": "project", "action": "list"}],
        "passwordSecretRef": {"name": "login", "key": "password"},
        "secret": {"name": "published", "namespaces": [stage.scene.namespace]},
    });
    stage.scene.system_account(name, spec).await;
    let message = stage.scene.system_reason_is(name, "Ready", "False", "PasswordInvalid").await;
    assert!(message.contains("is the login of a registry"), "{message}");
    assert!(stage.scene.secret("published").await.is_none());
    stage.nothing_happened(&before).await;
    stage.scene.delete_system(name).await;
}

pub async fn cases() -> Table {
    let mut table = Table::default();
    let stage = stage().await;
    for (n, (mark, labels)) in marks("password").into_iter().enumerate() {
        let name = format!("password-{n}");
        table.row(format!("somebody's Secret as password: {mark}"), as_password(&stage, &name, &labels)).await;
    }
    let (port, connections) = server(answer("401 Unauthorized", "", "")).await;
    let url = format!("http://127.0.0.1:{port}");
    for (n, (mark, labels)) in marks("login").into_iter().enumerate() {
        let name = format!("login-{n}");
        others_secret(&stage, &name, &labels);
        let spec = json!({"url": url, "auth": {"secretRef": {"name": name}}, "pollInterval": "1h"});
        let attack = sent_to_a_server(&stage, &name, &spec, &connections, "login");
        table.row(format!("somebody's Secret as login: {mark}"), attack).await;
    }
    others_secret(&stage, "own-for-ca", &json!({USE: "login"}));
    for (n, (mark, labels)) in marks("ca").into_iter().enumerate() {
        let name = format!("ca-{n}");
        others_secret(&stage, &name, &labels);
        let bundle = json!({"caCertificatesRef": {"kind": "Secret", "name": name, "key": "ca.crt"}});
        let auth = json!({"secretRef": {"name": "own-for-ca"}});
        let spec = json!({"url": url, "auth": auth, "tls": bundle, "pollInterval": "1h"});
        let attack = sent_to_a_server(&stage, &name, &spec, &connections, "ca");
        table.row(format!("somebody's Secret as CA bundle: {mark}"), attack).await;
    }
    table.row("one's own Secret with the mark goes where one says", own_goes_out(&stage)).await;
    table.row("a mark that is taken away ends the use", mark_is_taken_away(&stage)).await;
    let foreign = json!({"stringData": {"x": "y"}});
    table.row("a Secret of the wanted name made first", forestalls(&stage, "first", foreign, "SecretNotOwned")).await;
    let of_the_system = json!({"metadata": {
        "labels": {"app.kubernetes.io/managed-by": "harbor-robot-operator"},
        "annotations": {"harbor-robots.io/account": "SystemRobotAccount/second"},
    }});
    table
        .row(
            "a Secret made first that says it is a system account's",
            forestalls(&stage, "second", of_the_system, "SecretNotOwned"),
        )
        .await;
    let many = (0..5000).map(|n| format!("sa-{n}")).collect::<Vec<_>>().join(",");
    for (n, record) in
        ["a<,default", "../../secrets/login", "a?dryRun=All", "..", "a b,A,\u{e9}", many.as_str()].iter().enumerate()
    {
        let shown: String = record.chars().take(20).collect();
        let name = format!("record-{n}");
        let attack = record_of_no_names(&stage, &name, record);
        table.row(format!("the record of ServiceAccounts on a Secret says {shown:?}"), attack).await;
    }
    for (name, labels) in [("unmarked", json!({})), ("marked", json!({USE: "password"}))] {
        let attack = publishes_the_login(&stage, name, labels);
        table.row(format!("the operator's own login as the password of a system account: {name}"), attack).await;
    }
    table
}
