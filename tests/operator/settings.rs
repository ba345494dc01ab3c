//! `serverSettings`: Harbor's own settings for robots, written, put back, and what a new prefix does to every login.

use futures::future::join_all;
use harbor_robot_world::eventually;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::scene::{LoginAs, SOON, Scene, Setting, login_in};

async fn setting(scene: &Scene, name: &str) -> Value {
    scene.harbor_api("GET", "/configurations", Value::Null).await[name]["value"].clone()
}

async fn setting_is(scene: &Scene, name: &str, wanted: Value) {
    eventually(&format!("{name} is {wanted}"), SOON, || async {
        let now = setting(scene, name).await;
        if now == wanted { Ok(()) } else { Err(format!("{now}\n{}", scene.log())) }
    })
    .await;
}

async fn confirm(scene: &Scene, registry: &str, prefix: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"harbor-robots.io/confirm-prefix": prefix}}}));
    scene.registries().patch(registry, &PatchParams::default(), &patch).await.unwrap();
}

/// Waits until the registry is stalled for this reason; gives the message.
async fn stalled(scene: &Scene, registry: &str, reason: &str) -> String {
    eventually(&format!("{registry} stalled: {reason}"), SOON, || async {
        let found = scene.registries().get(registry).await.map_err(|error| error.to_string())?;
        let conditions = found.status.map(|status| status.conditions).unwrap_or_default();
        let stalled = conditions.iter().find(|c| c.type_ == "Stalled" && c.reason == reason);
        stalled.map(|condition| condition.message.clone()).ok_or(format!("{conditions:?}\n{}", scene.log()))
    })
    .await
}

async fn not_stalled(scene: &Scene, registry: &str) {
    eventually(&format!("{registry} is not stalled"), SOON, || async {
        let found = scene.registries().get(registry).await.map_err(|error| error.to_string())?;
        let conditions = found.status.map(|status| status.conditions).unwrap_or_default();
        if conditions.iter().any(|c| c.type_ == "Stalled") { Err(format!("{conditions:?}")) } else { Ok(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_duration_of_harbors_page_is_kept() {
    let scene = Scene::new(Setting::default()).await;
    scene.edit_registry(json!({"serverSettings": {"robotTokenDuration": "7d"}})).await;
    setting_is(&scene, "robot_token_duration", json!(7)).await;
    scene.harbor_api("PUT", "/configurations", json!({"robot_token_duration": 90})).await;
    setting_is(&scene, "robot_token_duration", json!(7)).await;
    assert_eq!(setting(&scene, "robot_name_prefix").await, json!("robot$"), "nothing else is written");
    // What is not asked for any more is left as it is.
    scene.edit_registry(json!({"serverSettings": null})).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.harbor_api("PUT", "/configurations", json!({"robot_token_duration": 90})).await;
    scene.sweeps(2).await;
    assert_eq!(setting(&scene, "robot_token_duration").await, json!(90));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_settings_are_written_and_put_back() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.edit_registry(json!({"serverSettings": {"robotNamePrefix": "bot_", "robotTokenDuration": "14d"}})).await;
    let message = stalled(&scene, &scene.registry, "PrefixNotConfirmed").await;
    assert!(message.contains("robot$") && message.contains("harbor-robots.io/confirm-prefix: bot_"), "{message}");
    setting_is(&scene, "robot_token_duration", json!(14)).await;
    assert_eq!(setting(&scene, "robot_name_prefix").await, json!("robot$"));
    scene.registry_is("Ready", "True").await;
    // A confirmation of another prefix is none.
    confirm(&scene, &scene.registry, "other_").await;
    scene.sweeps(2).await;
    assert_eq!(setting(&scene, "robot_name_prefix").await, json!("robot$"));
    confirm(&scene, &scene.registry, "bot_").await;
    setting_is(&scene, "robot_name_prefix", json!("bot_")).await;
    not_stalled(&scene, &scene.registry).await;
    let login = scene
        .secret_is("the new name", "ci", |secret| login_in(secret).is_some_and(|login| login.name.starts_with("bot_")));
    let login = login_in(&login.await).unwrap();
    assert!(scene.harbor.verify(&login.name, &login.secret).await.unwrap());
    // Changed by hand, it is put back, and every login works again.
    scene.harbor_api("PUT", "/configurations", json!({"robot_name_prefix": "hand$"})).await;
    setting_is(&scene, "robot_name_prefix", json!("bot_")).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_need_the_login_of_an_administrator() {
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.edit_registry(json!({"serverSettings": {"robotTokenDuration": "7d"}})).await;
    let message = stalled(&scene, &scene.registry, "LoginNotAdministrator").await;
    assert!(message.contains(&scene.login.name), "{message}");
    scene.registry_is("Ready", "True").await;
    // Accounts are served all the same.
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    assert_eq!(scene.calls("PUT /api/v2.0/configurations").await, 0);
    assert_eq!(scene.calls("GET /api/v2.0/configurations").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_objects_with_settings_for_one_harbor_the_older_one_keeps() {
    let scene = Scene::new(Setting::default()).await;
    scene.edit_registry(json!({"serverSettings": {"robotTokenDuration": "7d"}})).await;
    setting_is(&scene, "robot_token_duration", json!(7)).await;
    let other = format!("{}-other", scene.registry);
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
        "metadata": {"name": other, "labels": {"scene": scene.registry}},
        "spec": {
            "url": scene.harbor.url, "auth": {"secretRef": {"name": "login"}}, "pollInterval": "1s",
            "serverSettings": {"robotTokenDuration": "8d"},
        },
    }));
    // Kubernetes tells the age of objects in whole seconds; of two made in one, the UID decides.
    let age = async |name: &str| {
        let meta = scene.registries().get(name).await.unwrap().metadata;
        (meta.creation_timestamp.map(|time| time.0), meta.uid)
    };
    let first_is_older = age(&scene.registry).await < age(&other).await;
    let (first, second) = ((scene.registry.clone(), 7), (other.clone(), 8));
    let ((older, kept), (younger, wished)) = if first_is_older { (first, second) } else { (second, first) };
    let message = stalled(&scene, &younger, "SettingsConflict").await;
    assert!(message.contains(&format!("ClusterHarborRegistry {older} ")), "{message}");
    not_stalled(&scene, &older).await;
    setting_is(&scene, "robot_token_duration", json!(kept)).await;
    // When the older one has nothing to say any more, the other proceeds by itself.
    let nothing = Patch::Merge(json!({"spec": {"serverSettings": null}}));
    scene.registries().patch(&older, &PatchParams::default(), &nothing).await.unwrap();
    setting_is(&scene, "robot_token_duration", json!(wished)).await;
    not_stalled(&scene, &younger).await;
    scene.registries().delete(&other, &DeleteParams::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_prefix_renames_every_login_in_one_sweep() {
    let scene = Scene::of_the_system(Setting { registry: json!({"pollInterval": "1h"}), ..Setting::default() }).await;
    let names: Vec<String> = (0..40).map(|n| format!("ci-{n}")).collect();
    join_all(names.iter().map(|name| scene.account(name, json!({})))).await;
    scene.system_account("puller", json!({"projects": {"all": {"permissions": ["PullArtifacts"]}}})).await;
    for name in &names {
        scene.settled(name).await;
    }
    scene.system_settled("puller").await;
    let ids = |robots: Vec<Value>| robots.iter().map(|robot| robot["id"].as_i64().unwrap()).collect::<Vec<_>>();
    let robots = ids(scene.robots().await);
    // The first sweep sees the present prefix.
    scene.edit_registry(json!({"orphanPolicy": "Report"})).await;
    scene.sweeps(1).await;
    scene.harbor.reset_calls().await.unwrap();
    confirm(&scene, &scene.registry, "new$").await;
    scene.edit_registry(json!({"serverSettings": {"robotNamePrefix": "new$"}})).await;
    for name in &names {
        scene
            .secret_is("the new name", name, |secret| {
                login_in(secret).is_some_and(|login| login.name.starts_with("new$"))
            })
            .await;
        scene.settled(name).await;
        scene.logs_in(name).await;
    }
    let system = scene.logs_in_from(&scene.system, &scene.system_name("puller")).await;
    assert_eq!(system.name, "new$puller");
    let calls = scene.harbor.calls().await.unwrap();
    assert_eq!(calls.count("PUT /api/v2.0/configurations"), 1);
    // Lists of the project and of the system, a few times; no call for each robot.
    let lists = calls.count("GET /api/v2.0/robots");
    assert!(lists <= 12, "{lists} of {:?}", calls.by);
    for change in ["POST /api/v2.0/robots", "PUT /api/v2.0/robots/{id}", "DELETE /api/v2.0/robots/{id}"] {
        assert_eq!(calls.count(change), 0, "{change}");
    }
    assert_eq!(ids(scene.robots().await), robots, "the robots are the same");
}
