//! Robots and Secrets of others, reached for by names, marks and whatever a tenant may write on the own Secret.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::Table;
use super::stage::Stage;
use crate::scene::{LoginAs, Scene, Setting, condition};

const MANAGED: &str = "app.kubernetes.io/managed-by";

/// The checksum that the operator writes beside a credential that Harbor drew: anybody can compute it.
pub fn checksum(uid: &str, name: &str, secret: &str) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [uid, name, secret] {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    let bytes = hash.finish();
    let digits = bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

async fn stage() -> Stage {
    let setting = Setting {
        registry: json!({"pollInterval": "1h", "grants": []}),
        args: vec!["--settle-after=1".to_owned()],
        login: LoginAs::Person,
        all_namespaces: true,
        ..Setting::default()
    };
    let mut stage = Stage::new(Scene::without_operator(setting).await).await;
    let shared = stage.project("shared");
    stage.scene.harbor.create_project(&shared).await.unwrap();
    let both = [stage.scene.namespace.clone(), stage.victim.clone()];
    let grant = json!({
        "name": "shared", "namespaces": both, "projects": [shared], "permissions": ["PullArtifacts"],
    });
    stage.scene.edit_registry(json!({"grants": [grant]})).await;
    stage.uses(&shared).await;
    stage.scene.start();
    stage.scene.registry_is("Ready", "True").await;
    stage.scene.apply(stage.account_in(&stage.victim, "ci", &json!({"project": shared})));
    stage.says_in(&stage.victim, "ci", "Ready", "True", "Published").await;
    let system = json!({
        "projects": {"selected": [{"project": shared, "permissions": ["PullArtifacts"]}]},
        "secret": {"name": "cluster-pull", "namespaces": both},
    });
    stage.scene.system_account("scanner", system).await;
    stage.scene.system_settled("scanner").await;
    stage
}

pub async fn cases() -> Table {
    let mut table = Table::default();
    let stage = stage().await;
    table.row("the robot of another namespace's account by its name", takes_a_name(&stage, "ci", "Never")).await;
    table.row("the same by adoption", takes_a_name(&stage, "ci", "IfUnowned")).await;
    table.row("adoption of somebody's robot without a grant for that", adopts(&stage, "by-hand", "by hand")).await;
    let marked = "x [harbor-robots.io/v1 0-0 elsewhere/victim/marked]";
    table.row("adoption of a robot with somebody's mark", adopts(&stage, "marked", marked)).await;
    table.row("a stranger's robot in the second slot stays", second_slot(&stage)).await;
    table.row("the robot of a system account by its name", takes_the_system_robot(&stage)).await;
    for (kind, content) in others_secrets(&stage).await {
        table.row(format!("a Secret that exists as output: {kind}"), overwrites(&stage, kind, content)).await;
    }
    table.row("a system account's Secret as output", overwrites_the_system_secret(&stage)).await;
    table.row("a token of a ServiceAccount as password", token_as_password(&stage)).await;
    table.row("another account's output as password", output_as_password(&stage)).await;
    table.row("a Secret that only another namespace has as password", others_password(&stage)).await;
    table.row("the own Secret names the victim's robot", forges(&stage, "forged", Forged::Robot)).await;
    table
        .row("the own Secret holds a made-up login of the victim's robot", forges(&stage, "login", Forged::Login))
        .await;
    table.row("the own Secret names a system robot", forges(&stage, "system", Forged::System)).await;
    table.row("the own Secret says it is the victim's", forges(&stage, "owner", Forged::Owner)).await;
    table.row("a decoy says that it is a system account's Secret", decoy(&stage)).await;
    table.row("hundreds of refresh tokens make no storm", storm(&stage, "refresh")).await;
    table.row("hundreds of revoke tokens never leave more than two robots", storm(&stage, "revoke")).await;
    table
        .row("nothing of others is in a status or event of the tenant's", async {
            let told = stage.all_that_is_told().await;
            stage.tells_nothing(&told);
            assert!(told.len() > 1000, "there is much to read");
        })
        .await;
    table
}

fn of_shared(stage: &Stage, spec: Value) -> Value {
    let mut whole = json!({"project": stage.project("shared")});
    crate::scene::merge(&mut whole, &spec);
    whole
}

/// Names of objects are a namespace's own, names of robots a project's: two namespaces with one project share them.
async fn takes_a_name(stage: &Stage, robot: &str, adoption: &str) {
    let before = stage.look().await;
    let name = format!("takes-{}", adoption.to_lowercase());
    let spec = of_shared(stage, json!({"name": robot, "adoptionPolicy": adoption}));
    stage.attack(&stage.account(&name, &spec)).await;
    let message = stage.says(&name, "Ready", "False", "NameTaken").await;
    assert!(message.contains("the mark of another account"), "{message}");
    assert!(stage.scene.secret(&name).await.is_none());
    stage.only_own_changed(&before, |_| false).await;
}

/// A robot made by hand in the shared project.
async fn by_hand(stage: &Stage, name: &str, description: &str) {
    let access = json!([{"resource": "repository", "action": "pull"}]);
    let robot = json!({
        "name": name, "level": "project", "duration": 30, "description": description,
        "permissions": [{"kind": "project", "namespace": stage.project("shared"), "access": access}],
    });
    stage.scene.harbor_api("POST", "/robots", robot).await;
}

async fn adopts(stage: &Stage, name: &str, description: &str) {
    by_hand(stage, name, description).await;
    let before = stage.look().await;
    stage.attack(&stage.account(name, &of_shared(stage, json!({"adoptionPolicy": "IfUnowned"})))).await;
    stage.says(name, "Ready", "False", "NameTaken").await;
    assert!(stage.scene.secret(name).await.is_none());
    stage.only_own_changed(&before, |_| false).await;
}

/// A rotation needs the second name.
async fn second_slot(stage: &Stage) {
    by_hand(stage, "slots.b", "somebody's").await;
    let before = stage.look().await;
    stage.attack(&stage.account("slots", &of_shared(stage, json!({})))).await;
    let account = stage.scene.settled("slots").await;
    stage.scene.harbor.advance(61).await.unwrap();
    stage.edit("slots", json!({"metadata": {"annotations": {"harbor-robots.io/refresh": "1"}}})).await;
    stage.says("slots", "Synced", "False", "NameTaken").await;
    let own = account.status.unwrap().robot.unwrap().id;
    stage.only_own_changed(&before, |robot| robot["id"] == own).await;
    stage.scene.logs_in("slots").await;
}

/// A system robot is `robot$scanner`, one of a project `robot$project+scanner`.
async fn takes_the_system_robot(stage: &Stage) {
    let before = stage.look().await;
    let name = stage.scene.system_name("scanner");
    stage.attack(&stage.account(&name, &of_shared(stage, json!({"name": "scanner"})))).await;
    let made = stage.scene.settled(&name).await.status.unwrap().robot.unwrap();
    assert!(made.name.ends_with("+scanner"), "{}", made.name);
    stage.only_own_changed(&before, |robot| robot["id"] == made.id).await;
    stage.edit(&name, json!({"spec": {"disabled": true}})).await;
    stage.says(&name, "Ready", "True", "Disabled").await;
    stage.only_own_changed(&before, |robot| robot["id"] == made.id).await;
}

async fn others_secrets(stage: &Stage) -> [(&'static str, Value); 4] {
    let label = json!({MANAGED: "harbor-robot-operator"});
    // The garbage collector takes what an absent owner leaves.
    let uid = stage.scene.service_accounts().get("attacker").await.unwrap().metadata.uid;
    let owner = json!([{"apiVersion": "v1", "kind": "ServiceAccount", "name": "attacker", "uid": uid}]);
    let token = json!({"kubernetes.io/service-account.name": "attacker"});
    let annotations = json!({"harbor-robots.io/account": stage.victim});
    [
        ("plain", json!({"stringData": {"mine": "kept"}})),
        ("token", json!({"type": "kubernetes.io/service-account-token", "metadata": {"annotations": token}})),
        ("owned", json!({"stringData": {"mine": "kept"}, "metadata": {"ownerReferences": owner, "labels": label}})),
        (
            "labelled",
            json!({"stringData": {"mine": "kept"}, "metadata": {"annotations": annotations, "labels": label}}),
        ),
    ]
}

/// Whoever may make accounts would else replace any Secret of the namespace.
async fn overwrites(stage: &Stage, kind: &str, content: Value) {
    let name = format!("secret-{kind}");
    stage.scene.apply(stage.secret(&name, content));
    let before = stage.look().await;
    let data = stage.scene.secret(&name).await.unwrap().data;
    let spec = of_shared(stage, json!({"secret": {"name": name}}));
    stage.attack(&stage.account(&format!("over-{name}"), &spec)).await;
    stage.says(&format!("over-{name}"), "Ready", "False", "SecretNotOwned").await;
    let after = stage.scene.secret(&name).await.unwrap();
    // A token is filled in by Kubernetes.
    assert!(kind == "token" || after.data == data, "another content");
    assert!(after.metadata.annotations.unwrap_or_default().keys().all(|key| !key.ends_with("robot-id")));
    stage.nothing_happened(&before).await;
}

async fn overwrites_the_system_secret(stage: &Stage) {
    let before = stage.look().await;
    let data = stage.scene.secret("cluster-pull").await.unwrap().data;
    let spec = of_shared(stage, json!({"secret": {"name": "cluster-pull"}}));
    stage.attack(&stage.account("over-cluster-pull", &spec)).await;
    stage.says("over-cluster-pull", "Ready", "False", "SecretNotOwned").await;
    assert_eq!(stage.scene.secret("cluster-pull").await.unwrap().data, data);
    stage.nothing_happened(&before).await;
}

/// As a robot's password it could be read in Harbor's own traffic, and would stand in a Secret of another type.
async fn token_as_password(stage: &Stage) {
    let annotations = json!({"kubernetes.io/service-account.name": "attacker"});
    let labels = json!({"harbor-robots.io/use": "password"});
    let metadata = json!({"annotations": annotations, "labels": labels});
    let token = json!({"type": "kubernetes.io/service-account-token", "metadata": metadata});
    stage.scene.apply(stage.secret("sa-token", token));
    refused_as_password(stage, "by-token", "sa-token", "token", "PasswordInvalid").await;
}

async fn output_as_password(stage: &Stage) {
    refused_as_password(stage, "by-output", "cluster-pull", ".dockerconfigjson", "SecretNotMarked").await;
}

async fn others_password(stage: &Stage) {
    refused_as_password(stage, "by-others", "login", "password", "PasswordMissing").await;
}

async fn refused_as_password(stage: &Stage, name: &str, secret: &str, key: &str, reason: &str) {
    let before = stage.look().await;
    let spec = of_shared(stage, json!({"passwordSecretRef": {"name": secret, "key": key}}));
    stage.attack(&stage.account(name, &spec)).await;
    stage.says(name, "Ready", "False", reason).await;
    assert!(stage.scene.secret(name).await.is_none());
    stage.nothing_happened(&before).await;
}

/// What is written onto the own Secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forged {
    Robot,
    Login,
    System,
    Owner,
}

/// All that a Secret says of its robot is a hint, and can only choose among the account's own robots.
async fn forges(stage: &Stage, name: &str, forged: Forged) {
    let name = format!("forges-{name}");
    stage.attack(&stage.account(&name, &of_shared(stage, json!({})))).await;
    let account = stage.scene.settled(&name).await;
    let own = format!("+{name}");
    let victims = stage.scene.secret_in(&stage.victim, "ci").await.unwrap();
    let wanted = if forged == Forged::System { "scanner" } else { "+ci" };
    let target = stage.all_robots().await.into_iter().find(|robot| robot["name"].as_str().unwrap().ends_with(wanted));
    let target = target.unwrap();
    let before = stage.look().await;
    let robot = target["name"].as_str().unwrap();
    let uid = account.metadata.uid.clone().unwrap();
    let mut annotations = json!({
        "harbor-robots.io/robot-id": target["id"].to_string(),
        "harbor-robots.io/robot-name": robot,
        "harbor-robots.io/robot-created": target["creation_time"],
        "harbor-robots.io/handled-revoke": "x",
    });
    let mut patch = json!({"metadata": {"labels": {}}});
    match forged {
        Forged::Robot | Forged::System => {}
        Forged::Login => {
            let entry = json!({"username": robot, "password": "Made-up-1", "auth": ""});
            let config = json!({"auths": {stage.scene.harbor.host(): entry}}).to_string();
            annotations["harbor-robots.io/checksum"] = json!(checksum(&uid, robot, "Made-up-1"));
            patch["stringData"] = json!({".dockerconfigjson": config});
        }
        Forged::Owner => {
            let label = &victims.metadata.labels.unwrap()["harbor-robots.io/account-uid"];
            patch["metadata"]["labels"] = json!({"harbor-robots.io/account-uid": label});
            annotations["harbor-robots.io/account"] = json!("ci");
            annotations["harbor-robots.io/service-accounts"] = json!("default,attacker");
        }
    }
    patch["metadata"]["annotations"] = annotations;
    stage.scene.edit_secret(&name, patch).await;
    // Where no watch tells of Secrets, the next look at the registry does.
    stage.scene.nudge().await;
    let is_own = |robot: &Value| robot["name"].as_str().unwrap().contains(&own);
    let whole = |secret: &Secret| {
        let annotations = secret.metadata.annotations.as_ref().unwrap();
        annotations["harbor-robots.io/robot-name"].contains(&own)
            && annotations["harbor-robots.io/account"] == name
            && secret.metadata.labels.as_ref().unwrap()["harbor-robots.io/account-uid"] == uid
    };
    stage.scene.secret_is("it is put right", &name, whole).await;
    stage.scene.settled(&name).await;
    let login = stage.scene.logs_in(&name).await;
    assert!(login.name.contains(&own), "{}", login.name);
    stage.only_own_changed(&before, is_own).await;
    stage.scene.delete(&name).await;
    stage.scene.gone(&name).await;
    stage.only_own_changed(&before, is_own).await;
}

/// Secrets are told apart by a label and an annotation that tenants can write.
async fn decoy(stage: &Stage) {
    let before = stage.look().await;
    let system = stage.scene.system_name("scanner");
    for (n, account) in [format!("SystemRobotAccount/{system}"), "ci".to_owned(), "../ci".to_owned()].iter().enumerate()
    {
        let metadata = json!({
            "labels": {MANAGED: "harbor-robot-operator", "harbor-robots.io/account-uid": "x"},
            "annotations": {
                "harbor-robots.io/account": account, "harbor-robots.io/robot-id": "1",
                "harbor-robots.io/robot-name": "robot$scanner", "harbor-robots.io/robot-created": "2026-01-01T00:00:00Z",
            },
        });
        let decoy = stage.secret(&format!("decoy-{n}"), json!({"metadata": metadata, "stringData": {"mine": "kept"}}));
        stage.attack(&decoy).await;
    }
    // A pass that the decoys brought about would have come before this account's.
    stage.attack(&stage.account("after-decoys", &of_shared(stage, json!({})))).await;
    let made = stage.scene.settled("after-decoys").await.status.unwrap().robot.unwrap();
    stage.scene.system_settled("scanner").await;
    stage.only_own_changed(&before, |robot| robot["id"] == made.id).await;
    for n in 0..3 {
        assert!(stage.scene.secret(&format!("decoy-{n}")).await.unwrap().data.unwrap().contains_key("mine"));
    }
}

/// Each new credential costs Harbor a robot.
async fn storm(stage: &Stage, kind: &str) {
    let name = format!("storm-{kind}");
    stage.attack(&stage.account(&name, &of_shared(stage, json!({})))).await;
    stage.scene.settled(&name).await;
    stage.scene.harbor.advance(61).await.unwrap();
    let before = stage.look().await;
    let key = format!("harbor-robots.io/{kind}");
    let own = format!("+{name}");
    let mut most = 0;
    for token in 0..200 {
        stage.edit(&name, json!({"metadata": {"annotations": {key.as_str(): format!("{token}")}}})).await;
        if token % 20 == 0 {
            let robots = stage.scene.harbor.robots(&stage.project("shared")).await.unwrap();
            let living = robots.iter().filter(|robot| robot["name"].as_str().unwrap().contains(&own)).count();
            most = most.max(living);
        }
    }
    assert!(most <= 2, "{most} at once");
    if kind == "refresh" {
        let made = stage.asked_since(&before).await.iter().filter(|call| call.method == "POST").count();
        assert!(made <= 2, "{made} robots were made");
    } else {
        stage
            .scene
            .account_is("the last token is served", &name, |account| {
                account.status.as_ref().is_some_and(|status| status.handled_revoke.as_deref() == Some("199"))
            })
            .await;
    }
    assert_eq!(condition(&stage.scene.get(&name).await, "Ready").unwrap().0, "True");
    // What still waits for its turn would come in the middle of another case.
    stage.scene.delete(&name).await;
    stage.scene.gone(&name).await;
    stage.only_own_changed(&before, |robot| robot["name"].as_str().unwrap().contains(&own)).await;
}
