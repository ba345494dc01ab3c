//! An account that lost its object, its status or its Secret, and what it takes back.

use std::time::{Duration, Instant};

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::hands::{changes, ids};
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, condition};

fn with(login: LoginAs) -> Setting {
    Setting { login, ..Setting::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retain_kept_is_taken_back_by_the_account_made_again() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"deletionPolicy": "Retain"})).await;
        scene.settled("ci").await;
        let kept = scene.logs_in("ci").await;
        scene.delete("ci").await;
        scene.gone("ci").await;

        let robots = scene.robots().await;
        assert_eq!(robots.len(), 1);
        let marked = robots[0]["description"].as_str().unwrap().ends_with(" retained]");
        assert_eq!(marked, login == LoginAs::Person, "{}", robots[0]);
        let secret = scene.secret("ci").await.unwrap();
        assert!(secret.metadata.owner_references.unwrap_or_default().is_empty());
        assert_eq!(scene.logs_in("ci").await, kept);

        scene.account("ci", json!({})).await;
        let account = scene.settled("ci").await;
        let now = scene.logs_in("ci").await;
        assert!(scene.harbor.verify(&kept.name, &kept.secret).await.unwrap(), "nobody is cut off");
        match login {
            LoginAs::Person => {
                assert_eq!(now, kept);
                assert_eq!(ids(&scene.robots().await), ids(&robots));
            }
            // The mark cannot be rewritten on the robot, so another one carries it.
            LoginAs::Robot => assert_eq!(account.status.unwrap().previous.unwrap().name, kept.name),
        }
        let owners = scene.secret("ci").await.unwrap().metadata.owner_references.unwrap();
        assert_eq!(owners.len(), 1);
        assert_eq!(Some(&owners[0].uid), account.metadata.uid.as_ref());

        scene.delete("ci").await;
        scene.gone("ci").await;
        assert!(scene.robots().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retain_keeps_the_current_robot_only() {
    let scene = Scene::new(with(LoginAs::Robot)).await;
    scene.account("ci", json!({"deletionPolicy": "Retain"})).await;
    scene.settled("ci").await;
    scene.edit("ci", json!({"description": "replaced"})).await;
    scene.settled("ci").await;
    let current = scene.logs_in("ci").await;
    assert_eq!(scene.robots().await.len(), 2);
    scene.delete("ci").await;
    scene.gone("ci").await;
    let robots = scene.robots().await;
    assert_eq!((robots.len(), robots[0]["name"].as_str()), (1, Some(current.name.as_str())));
    assert_eq!(scene.logs_in("ci").await, current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_account_comes_back_without_an_edit() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        let before = scene.settled("ci").await;
        let kept = scene.logs_in("ci").await;
        assert!(scene.terminate().success());
        let unheld = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        scene.accounts().patch("ci", &PatchParams::default(), &unheld).await.unwrap();
        let orphan =
            DeleteParams { propagation_policy: Some(kube::api::PropagationPolicy::Orphan), ..DeleteParams::default() };
        scene.accounts().delete("ci", &orphan).await.unwrap();
        scene.gone("ci").await;
        scene.account("ci", json!({})).await;

        scene.start();
        let account = scene.settled("ci").await;
        assert_ne!(account.metadata.uid, before.metadata.uid);
        let now = scene.logs_in("ci").await;
        assert!(scene.harbor.verify(&kept.name, &kept.secret).await.unwrap(), "nobody is cut off");
        assert_eq!(now == kept, login == LoginAs::Person);
        let owners = scene.secret("ci").await.unwrap().metadata.owner_references.unwrap();
        assert_eq!((owners.len(), Some(&owners[0].uid)), (1, account.metadata.uid.as_ref()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_status_is_written_again_and_nothing_else_changes() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        let before = scene.settled("ci").await.status.unwrap();
        let (kept, version) = (scene.logs_in("ci").await, scene.secret("ci").await.unwrap().metadata.resource_version);
        scene.harbor.reset_calls().await.unwrap();
        scene.wipe_status("ci").await;
        let after = scene.settled("ci").await.status.unwrap();
        assert_eq!((after.robot, after.renewal_time), (before.robot, before.renewal_time));
        assert_eq!(scene.credential("ci").await.0, kept);
        assert_eq!(scene.secret("ci").await.unwrap().metadata.resource_version, version);
        assert_eq!(changes(&scene.harbor.calls().await.unwrap()), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_gets_a_new_robot_and_the_lost_credential_lives_on_for_the_overlap() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let lost = scene.logs_in("ci").await;
        let deleted = Instant::now();
        scene.delete_secret("ci").await;
        let now = scene.logs_in("ci").await;
        assert!(deleted.elapsed() < Duration::from_secs(2), "{:?}", deleted.elapsed());
        assert!(now.name.ends_with("+ci.b"), "{}", now.name);
        assert!(scene.harbor.verify(&lost.name, &lost.secret).await.unwrap());
        let account = scene
            .account_is("the lost robot is the previous one", "ci", |account| {
                account.status.as_ref().is_some_and(|s| s.previous.as_ref().is_some_and(|p| p.name == lost.name))
            })
            .await;
        assert_eq!(condition(&account, "Ready").unwrap().0, "True");
        assert_eq!(scene.robots().await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_status_and_secret_wiped_the_account_heals_and_leaves_no_robot_behind() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let before = ids(&scene.robots().await);
        assert!(scene.terminate().success());
        scene.wipe_status("ci").await;
        scene.delete_secret("ci").await;
        scene.start();
        scene.settled("ci").await;
        let login = scene.logs_in("ci").await;
        let robots = scene.robots().await;
        assert_eq!((robots.len(), robots[0]["name"].as_str()), (1, Some(login.name.as_str())));
        assert_ne!(ids(&robots), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_follow_harbors_clock_also_if_harbor_was_down_at_the_start() {
    let mut scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({"expiresAfter": "30d"})).await;
    scene.settled("ci").await;
    let before = scene.logs_in("ci").await;
    scene.terminate();
    scene.faults(json!([{"drop": true, "count": 0}])).await;
    scene.start();
    scene.registry_reason_is("NoAnswer").await;
    scene.harbor.advance(29 * 86_400).await.unwrap();
    scene.faults(json!([])).await;
    scene.account_is("renewed", "ci", |account| account.status.as_ref().is_some_and(|s| s.previous.is_some())).await;
    assert_ne!(scene.logs_in("ci").await.name, before.name);
}
