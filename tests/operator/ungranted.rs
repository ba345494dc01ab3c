//! Robots that hold more than is granted end, whatever became of their account: grants are held to what Harbor shows, since
//! account and status are in the hands of whoever lost the grant.

use harbor_robot_world::eventually;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use serde_json::{Value, json};

use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting};

/// A scene whose grants act two seconds after they went.
async fn scene(login: LoginAs) -> Scene {
    Scene::new(Setting { login, registry: json!({"grantRevocationDelay": "2s"}), ..Setting::default() }).await
}

/// Deletes an account that leaves its robot behind.
async fn leave_behind(scene: &Scene, name: &str) {
    scene.account(name, json!({"deletionPolicy": "Retain"})).await;
    scene.settled(name).await;
    scene.delete(name).await;
    scene.gone(name).await;
}

/// Takes an account away past the operator, which stands still for it.
async fn force_away(scene: &Scene, name: &str) {
    scene.account(name, json!({})).await;
    scene.settled(name).await;
    scene.edit(name, json!({"suspend": true})).await;
    scene.reason_is(name, "Ready", "True", "Published").await;
    let unheld = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    scene.accounts().patch(name, &PatchParams::default(), &unheld).await.unwrap();
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    scene.accounts().delete(name, &orphan).await.unwrap();
    scene.gone(name).await;
}

/// Waits until no robot of the project can log in.
async fn ended(scene: &Scene, login: LoginAs) {
    let dead = |robots: &[Value]| match login {
        LoginAs::Person => robots.iter().all(|robot| robot["disable"] == true),
        LoginAs::Robot => robots.is_empty(),
    };
    scene.robots_are("ended", dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_account_left_behind_lives_as_long_as_its_grant() {
    for login in BOTH_LOGINS {
        let scene = scene(login).await;
        leave_behind(&scene, "kept").await;
        let by_hand = scene.stranger("by-hand", "").await;
        // The project is in nobody's use, and sweeps go there all the same.
        scene.two_sweeps().await;
        let robots = scene.robots().await;
        assert!(robots.iter().all(|robot| robot["disable"] == false) && robots.len() == 2, "granted: {robots:?}");

        scene.edit_registry(json!({"grants": []})).await;
        let ours = |robot: &&Value| robot["id"] != by_hand["id"];
        scene
            .robots_are("ended", |robots| {
                let left: Vec<&Value> = robots.iter().filter(ours).collect();
                if login == LoginAs::Person {
                    left.iter().all(|robot| robot["disable"] == true)
                } else {
                    left.is_empty()
                }
            })
            .await;
        assert_eq!(
            scene.robot(by_hand["id"].as_i64().unwrap()).await,
            by_hand,
            "a robot without our mark is not touched"
        );
        eventually("it is told", SOON, || async {
            let events: Api<Event> = Api::namespaced(scene.client.clone(), "default");
            let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let of_this = |event: &Event| {
                event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(scene.registry.as_str())
                    && event.reason.as_deref() == Some("RobotNotPermitted")
            };
            all.iter().find(|event| of_this(event)).map(drop).ok_or_else(|| "no event".to_owned())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_forced_away_takes_nothing_with_it() {
    for login in BOTH_LOGINS {
        let scene = scene(login).await;
        force_away(&scene, "ci").await;
        scene.edit_registry(json!({"grants": []})).await;
        ended(&scene, login).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_behind_before_a_restart_is_found_by_looking_at_every_project() {
    let args = vec!["--patrol-every=6".to_owned()];
    let registry = json!({"grantRevocationDelay": "2s"});
    let mut scene = Scene::new(Setting { registry, args, ..Setting::default() }).await;
    leave_behind(&scene, "kept").await;
    assert!(scene.terminate().success());
    scene.edit_registry(json!({"grants": []})).await;
    scene.start();
    ended(&scene, LoginAs::Person).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_status_keeps_nothing_alive() {
    let scene = scene(LoginAs::Person).await;
    scene.account("ci", json!({"permissions": ["PullArtifacts", "PushArtifacts"]})).await;
    scene.settled("ci").await;
    // The account stands still, and says that it asks for what is granted and holds nothing else.
    scene.edit("ci", json!({"suspend": true})).await;
    scene.reason_is("ci", "Ready", "True", "Published").await;
    let pull =
        json!([{"name": "pull", "namespaces": [scene.namespace], "projects": ["*"], "permissions": ["PullArtifacts"]}]);
    let forged = Patch::Merge(json!({"status": {"permissions": [{"resource": "repository", "actions": ["pull"]}]}}));
    scene.accounts().patch_status("ci", &PatchParams::default(), &forged).await.unwrap();
    scene.edit("ci", json!({"permissions": ["PullArtifacts"]})).await;
    scene.edit_registry(json!({"grants": pull})).await;
    ended(&scene, LoginAs::Person).await;
}
