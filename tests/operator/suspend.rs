//! `suspend` on an account and on its registry: nothing is done but deletion.

use serde_json::json;

use crate::hands::changes;
use crate::scene::{Scene, Setting, condition, pairs};

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_stays_as_it_is_until_it_goes_on() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let kept = scene.logs_in("ci").await;
    scene.edit("ci", json!({"suspend": true, "permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.reason_is("ci", "Synced", "False", "Suspended").await;
    scene.delete_secret("ci").await;
    let calls = scene.two_sweeps().await;
    assert_eq!(changes(&calls), 0, "{:?}", calls.by);
    assert!(scene.secret("ci").await.is_none());
    let account = scene.get("ci").await;
    assert_eq!(condition(&account, "Ready").unwrap().0, "True", "suspension does not take Ready away");
    assert_eq!(account.status.unwrap().observed_generation, account.metadata.generation);
    assert_eq!(pairs(&scene.robots().await[0]), ["repository:pull"]);

    scene.edit("ci", json!({"suspend": null})).await;
    scene.settled("ci").await;
    let now = scene.logs_in("ci").await;
    assert_ne!(now, kept);
    let robots = scene.robots().await;
    let robot = robots.iter().find(|robot| robot["name"] == now.name.as_str()).unwrap();
    assert_eq!(pairs(robot), ["repository:pull", "tag:create"]);

    scene.edit("ci", json!({"suspend": true})).await;
    scene.reason_is("ci", "Synced", "False", "Suspended").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    assert!(scene.robots().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_made_suspended_says_that_it_has_nothing() {
    let scene = Scene::new(Setting::default()).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.account("ci", json!({"suspend": true})).await;
    let message = scene.reason_is("ci", "Ready", "False", "Suspended").await;
    assert!(message.contains("spec.suspend"), "{message}");
    scene.reason_is("ci", "Synced", "False", "Suspended").await;
    // Nothing of it is in Harbor, so no sweep looks for it.
    let calls = scene.harbor.calls().await.unwrap();
    assert_eq!(changes(&calls), 0, "{:?}", calls.by);
    assert!(scene.secret("ci").await.is_none() && scene.robots().await.is_empty());
    scene.edit("ci", json!({"suspend": false})).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_registry_stops_all_its_accounts_but_their_deletion() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("old", json!({})).await;
    scene.account("leaving", json!({})).await;
    scene.settled("old").await;
    scene.settled("leaving").await;
    scene.edit_registry(json!({"suspend": true})).await;
    scene.reason_is("old", "Synced", "False", "Suspended").await;
    scene.account("new", json!({})).await;
    scene.reason_is("new", "Synced", "False", "Suspended").await;
    scene.edit("old", json!({"description": "later"})).await;
    scene.delete("leaving").await;
    scene.gone("leaving").await;
    let robots = scene.robots().await;
    assert_eq!(robots.len(), 1, "{robots:?}");
    assert!(!robots[0]["description"].as_str().unwrap().contains("later"));
    assert_eq!(condition(&scene.get("old").await, "Ready").unwrap().0, "True");

    scene.edit_registry(json!({"suspend": null})).await;
    scene.settled("new").await;
    scene.settled("old").await;
    scene.logs_in("new").await;
    scene
        .robots_are("the edit went through", |robots| {
            robots.iter().any(|robot| robot["description"].as_str().unwrap().starts_with("later "))
        })
        .await;
}
