//! The Secret: its form, what others add to it, what they break, and one that is not ours.

use std::time::{Duration, Instant};

use harbor_robot_operator::api::RegistryTime;
use harbor_robot_world::eventually;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::hands::{SOMEBODY, annotation, changes, ids, label, text};
use crate::scene::{BOTH_LOGINS, SOON, Scene, Setting, condition};

/// Lost, edited and deleted Secrets are put right within this time.
const PUT_RIGHT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn labels_annotations_and_keys_come_and_go_with_the_spec() {
    let scene = Scene::new(Setting::default()).await;
    let keys = json!([
        {"key": "user", "format": "Username"}, {"key": "password", "format": "Password"},
        {"key": "robot.json", "format": "RobotFile"}, {"key": "config.json", "format": "DockerConfigJson"},
        {"key": "host", "format": "RegistryHost"}, {"key": "harbor", "format": "RegistryUrl"},
        {"key": "enableOCI", "format": "Literal", "value": "true"}, {"key": "empty", "format": "Literal", "value": ""},
    ]);
    let output = json!({"labels": {"team": "a", "tier": "1"}, "annotations": {"note": "x"}, "keys": keys});
    scene.account("ci", json!({"secret": output})).await;
    let account = scene.settled("ci").await;
    let secret = scene.secret("ci").await.unwrap();
    assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/dockerconfigjson"));
    assert_eq!((label(&secret, "team"), annotation(&secret, "note")), (Some("a"), Some("x")));
    let (login, hosts) = scene.credential("ci").await;
    assert_eq!(hosts, [scene.harbor.host()]);
    assert_eq!(text(&secret, "user"), Some(login.name.clone()));
    assert_eq!(text(&secret, "config.json"), text(&secret, ".dockerconfigjson"));
    assert_eq!(text(&secret, "host"), Some(scene.harbor.host().to_owned()));
    assert_eq!(text(&secret, "harbor"), Some(scene.harbor.url.clone()));
    assert_eq!((text(&secret, "enableOCI"), text(&secret, "empty")), (Some("true".into()), Some(String::new())));
    assert_eq!(text(&secret, "password"), Some(login.secret.clone()));
    let file: Value = serde_json::from_str(&text(&secret, "robot.json").unwrap()).unwrap();
    let robot = &scene.robots().await[0];
    let creation_time = account.status.unwrap().robot.unwrap().creation_time;
    assert_eq!(file["creation_time"].as_str().unwrap().parse::<RegistryTime>().unwrap(), creation_time);
    let wanted = json!({
        "creation_time": file["creation_time"], "expires_at": robot["expires_at"], "id": robot["id"],
        "name": login.name, "secret": login.secret,
    });
    assert_eq!(file, wanted);

    let foreign = json!({
        "metadata": {"labels": {"foreign": "kept"}, "annotations": {"foreign": "kept"}}, "stringData": {"foreign": "kept"},
    });
    scene.edit_secret("ci", foreign).await;
    let fewer = json!({"labels": {"tier": null}, "annotations": null, "keys": null});
    scene.edit("ci", json!({"secret": fewer})).await;
    scene.settled("ci").await;
    let secret = scene.secret("ci").await.unwrap();
    let data: Vec<&str> = secret.data.as_ref().unwrap().keys().map(String::as_str).collect();
    assert_eq!(data, [".dockerconfigjson", "foreign"]);
    assert_eq!(
        (label(&secret, "team"), label(&secret, "tier"), label(&secret, "foreign")),
        (Some("a"), None, Some("kept"))
    );
    assert_eq!((annotation(&secret, "note"), annotation(&secret, "foreign")), (None, Some("kept")));
    assert_eq!(scene.credential("ci").await.0, login);
    assert_eq!(ids(&scene.robots().await), ids(std::slice::from_ref(robot)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_credential_is_replaced_by_a_new_one() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let (former, hosts) = scene.credential("ci").await;
        let entry = json!({"username": former.name, "password": "Forged-1", "auth": ""});
        let config = json!({"auths": {hosts[0].clone(): entry}}).to_string();
        let edited = Instant::now();
        scene.edit_secret("ci", json!({"stringData": {".dockerconfigjson": config}})).await;
        let now = scene.logs_in("ci").await;
        assert!(edited.elapsed() < PUT_RIGHT, "{:?}", edited.elapsed());
        assert!(now.name.ends_with("+ci.b"), "{}", now.name);
        scene.settled("ci").await;
        assert!(scene.harbor.verify(&former.name, &former.secret).await.unwrap(), "the live credential is not touched");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_around_the_credential_is_put_right_without_a_call_that_changes_harbor() {
    let scene = Scene::new(Setting::default()).await;
    let output = json!({"labels": {"team": "a"}, "keys": [{"key": "username", "format": "Username"}, {"key": "password", "format": "Password"}]});
    let managed = "app.kubernetes.io/managed-by";
    let uid = "harbor-robots.io/account-uid";
    let own_annotations = json!({"harbor-robots.io/account": null, "harbor-robots.io/keys": null});
    let edits = [
        ("label", json!({"metadata": {"labels": {"team": "b"}}})),
        ("own-labels", json!({"metadata": {"labels": {managed: null, uid: null}}})),
        ("annotations", json!({"metadata": {"annotations": own_annotations}})),
        ("owner", json!({"metadata": {"ownerReferences": null}})),
        ("format", json!({"stringData": {"username": "forged"}})),
        ("immutable", json!({"immutable": true})),
    ];
    // An account for each: three foreign changes of one Secret in a row would be a contest.
    for (name, _) in &edits {
        scene.account(name, json!({"secret": output})).await;
    }
    let mut before = Vec::new();
    for (name, _) in &edits {
        scene.settled(name).await;
        before.push(scene.credential(name).await);
    }
    scene.harbor.reset_calls().await.unwrap();
    for ((name, edit), credential) in edits.into_iter().zip(before) {
        let edited = Instant::now();
        scene.edit_secret(name, edit).await;
        let account_uid = scene.get(name).await.metadata.uid;
        scene
            .secret_is("put right", name, |secret| {
                label(secret, "team") == Some("a")
                    && label(secret, managed).is_some()
                    && label(secret, uid) == account_uid.as_deref()
                    && annotation(secret, "harbor-robots.io/account") == Some(name)
                    && annotation(secret, "harbor-robots.io/keys").is_some()
                    && secret.metadata.owner_references.as_ref().is_some_and(|owners| owners.len() == 1)
                    && text(secret, "username").as_ref() == Some(&credential.0.name)
                    && secret.immutable.is_none()
            })
            .await;
        assert!(edited.elapsed() < PUT_RIGHT, "{name}: {:?}", edited.elapsed());
        assert_eq!(scene.credential(name).await, credential, "{name}");
    }
    let calls = scene.harbor.calls().await.unwrap();
    assert_eq!(changes(&calls), 0, "{:?}", calls.by);
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_others_add_to_the_docker_configuration_cost_no_new_robot() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let (login, hosts) = scene.credential("ci").await;
    let entry = json!({"username": login.name, "password": login.secret, "auth": "eA=="});
    let theirs = json!({"username": "somebody", "password": "else"});
    let config = json!({"auths": {hosts[0].clone(): entry, "another.example.com": theirs}}).to_string();
    scene.edit_secret("ci", json!({"stringData": {".dockerconfigjson": config}})).await;
    scene
        .secret_is("put right", "ci", |secret| {
            let config: Value = serde_json::from_str(&text(secret, ".dockerconfigjson").unwrap()).unwrap();
            config["auths"].as_object().unwrap().len() == 1
        })
        .await;
    assert_eq!(scene.credential("ci").await, (login, hosts));
    assert_eq!(scene.robots().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_secret_in_another_type_is_replaced() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let (login, secret) = (scene.credential("ci").await, scene.secret("ci").await.unwrap());
    let mut other = secret.clone();
    other.type_ = Some("Opaque".to_owned());
    other.metadata.resource_version = None;
    other.metadata.uid = None;
    scene.stop_and_swap("ci", other).await;
    let now = scene
        .secret_is("right type", "ci", |secret| secret.type_.as_deref() == Some("kubernetes.io/dockerconfigjson"))
        .await;
    assert_ne!(now.metadata.uid, secret.metadata.uid);
    assert_eq!(scene.credential("ci").await, login);
    assert_eq!(scene.robots().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_edited_while_the_operator_was_away_is_put_right_after_its_start() {
    let mut scene = Scene::new(Setting::default()).await;
    let output = json!({
        "labels": {"team": "a"}, "annotations": {"note": "x"},
        "keys": [{"key": "username", "format": "Username"}, {"key": "password", "format": "Password"}, {"key": "robot.json", "format": "RobotFile"}],
    });
    let edits = [
        ("label", json!({"metadata": {"labels": {"team": "b"}}})),
        ("annotation", json!({"metadata": {"annotations": {"note": null}}})),
        ("format", json!({"stringData": {"password": "forged"}})),
        ("file", json!({"data": {"robot.json": null}})),
        ("owner", json!({"metadata": {"ownerReferences": null}})),
        ("nothing", json!({})),
    ];
    for (name, _) in &edits {
        scene.account(name, json!({"secret": output})).await;
    }
    let mut before = Vec::new();
    for (name, _) in &edits {
        scene.settled(name).await;
        before.push(scene.secret(name).await.unwrap());
    }
    assert!(scene.terminate().success());
    for (name, edit) in &edits {
        scene.edit_secret(name, edit.clone()).await;
    }
    scene.start();
    for ((name, _), before) in edits.iter().zip(before) {
        let meta = before.metadata;
        scene
            .secret_is("as before", name, |secret| {
                secret.data == before.data
                    && secret.metadata.labels == meta.labels
                    && secret.metadata.annotations == meta.annotations
                    && secret.metadata.owner_references == meta.owner_references
            })
            .await;
    }
    let unchanged = scene.secret("nothing").await.unwrap().metadata.managed_fields.unwrap();
    assert_eq!(unchanged.len(), 1, "a Secret that is as wanted is not written");
    assert_eq!(scene.robots().await.len(), edits.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_established_account_whose_secret_was_swapped_for_a_foreign_one_waits_and_heals() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let former = scene.logs_in("ci").await;
    let operator = scene.operator.as_ref().unwrap();
    operator.pause().unwrap();
    scene.delete_secret("ci").await;
    let foreign = scene.foreign_secret("ci").await;
    operator.resume().unwrap();
    scene.reason_is("ci", "Ready", "False", "SecretNotOwned").await;
    let calls = scene.two_sweeps().await;
    assert_eq!(changes(&calls), 0, "{:?}", calls.by);
    assert_eq!(scene.secret("ci").await.unwrap(), foreign);
    assert!(scene.harbor.verify(&former.name, &former.secret).await.unwrap(), "pods that hold it go on");
    scene.delete_secret("ci").await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}

impl Scene {
    /// Replaces a Secret by another one while the operator stands still.
    async fn stop_and_swap(&self, name: &str, secret: k8s_openapi::api::core::v1::Secret) {
        let operator = self.operator.as_ref().unwrap();
        operator.pause().unwrap();
        self.delete_secret(name).await;
        self.secrets().create(&PostParams::default(), &secret).await.unwrap();
        operator.resume().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_is_never_touched_and_no_robot_is_made_for_it() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        let foreign = scene.foreign_secret("ci").await;
        scene.account("ci", json!({})).await;
        let message = scene.reason_is("ci", "Synced", "False", "SecretNotOwned").await;
        let place = format!("a Secret ci is in namespace {} that was not made for this account", scene.namespace);
        assert!(message.contains(&place), "{message}");
        assert_eq!(condition(&scene.get("ci").await, "Stalled").unwrap().1, "SecretNotOwned");
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        assert!(scene.robots().await.is_empty());
        assert_eq!(scene.secret("ci").await.unwrap(), foreign);
        scene.delete_secret("ci").await;
        scene.settled("ci").await;
        scene.logs_in("ci").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_accounts_with_one_secret_the_first_keeps_it() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("first", json!({"secret": {"name": "shared"}})).await;
    scene.settled("first").await;
    let kept = scene.logs_in("shared").await;
    scene.account("second", json!({"secret": {"name": "shared"}})).await;
    scene.reason_is("second", "Ready", "False", "SecretNotOwned").await;
    assert_eq!(scene.credential("shared").await.0, kept);
    scene.delete("first").await;
    scene.gone("first").await;
    scene.settled("second").await;
    let now = scene.logs_in("shared").await;
    assert!(now.name.ends_with("+second"), "{}", now.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_others_change_three_times_is_left_alone_until_the_account_is_edited() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({"secret": {"labels": {"team": "a"}}})).await;
    scene.settled("ci").await;
    for n in 1..=2 {
        scene.edit_secret("ci", json!({"metadata": {"labels": {"team": format!("b{n}")}}})).await;
        scene.secret_is("put right", "ci", |secret| label(secret, "team") == Some("a")).await;
    }
    scene.edit_secret("ci", json!({"metadata": {"labels": {"team": "b3"}}})).await;
    let message = scene.reason_is("ci", "Synced", "False", "SecretContested").await;
    assert!(message.contains(SOMEBODY), "{message}");
    let account = scene.get("ci").await;
    assert_eq!(condition(&account, "Ready").unwrap().0, "True", "the credential in it still works");
    let calls = scene.two_sweeps().await;
    assert_eq!(changes(&calls), 0, "{:?}", calls.by);
    assert_eq!(label(&scene.secret("ci").await.unwrap(), "team"), Some("b3"));
    let after = scene.get("ci").await;
    assert_eq!(after.metadata.resource_version, account.metadata.resource_version);

    scene.edit("ci", json!({"secret": {"labels": {"team": "b3"}}})).await;
    scene.settled("ci").await;
    // And it may be put right again.
    scene.edit_secret("ci", json!({"metadata": {"labels": {"team": "c"}}})).await;
    scene.secret_is("put right", "ci", |secret| label(secret, "team") == Some("b3")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_deleted_again_and_again_makes_no_robot_each_time() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.harbor.reset_calls().await.unwrap();
    for time in 1..=2 {
        scene.delete_secret("ci").await;
        if time == 2 {
            scene.reason_is("ci", "Synced", "False", "RepairsPaused").await;
            scene.harbor.advance(61).await.unwrap();
        }
        eventually("the Secret is back", SOON, || async {
            scene.secret("ci").await.map(drop).ok_or("not yet".to_owned())
        })
        .await;
        scene.logs_in("ci").await;
        scene.settled("ci").await;
    }
    scene.delete_secret("ci").await;
    scene.reason_is("ci", "Ready", "False", "SecretContested").await;
    assert_eq!(scene.harbor.calls().await.unwrap().count("POST /api/v2.0/robots"), 2);
    assert!(scene.secret("ci").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_label_somebody_took_off_is_left_behind_with_the_label() {
    let args = vec!["--settle-after=1".to_owned()];
    let mut scene = Scene::new(Setting { args, ..Setting::default() }).await;
    scene.account("ci", json!({"deletionPolicy": "Retain"})).await;
    scene.settled("ci").await;
    scene.terminate();
    let unlabelled = Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}));
    scene.secrets().patch("ci", &PatchParams::default(), &unlabelled).await.unwrap();
    scene.delete("ci").await;
    scene.start();
    scene.gone("ci").await;
    let labels = scene.secret("ci").await.unwrap().metadata.labels.unwrap_or_default();
    let by = labels.get("app.kubernetes.io/managed-by").map(String::as_str);
    assert_eq!(by, Some("harbor-robot-operator"), "an account of that name takes it back");
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
}
