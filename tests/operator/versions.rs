//! The whole life of an account at each version of Harbor that is supported. All other scenes can be run against one of
//! them, too: `HARBOR_STAND_IN_VERSION=2.13 cargo test --test operator`.

use futures::future::join_all;
use serde_json::json;

use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, pairs};
use crate::system::rights_of;

/// Each with whether a system robot may make project robots there (from 2.14.1 on).
const VERSIONS: [(&str, bool); 5] =
    [("2.12.4", false), ("2.13.5", false), ("2.14.4", true), ("2.15.2", true), ("2.16.0", true)];

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lives_its_life_at_each_version_of_harbor() {
    for login in BOTH_LOGINS {
        join_all(VERSIONS.map(|(version, robots_may)| at_version(version, login, robots_may))).await;
    }
}

async fn at_version(version: &'static str, login: LoginAs, robots_may: bool) {
    let scene = Scene::new(Setting { login, harbor_version: Some(version), ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    if login == LoginAs::Robot && !robots_may {
        let message = scene.reason_is("ci", "Ready", "False", "LoginTooOld").await;
        assert!(message.contains("person's login"), "{version}: {message}");
    } else {
        life(&scene).await;
    }
    scene.delete("ci").await;
    scene.gone("ci").await;
    assert!(scene.robots().await.is_empty(), "{version} {login:?}");
}

/// Made, changed, renewed, put right.
async fn life(scene: &Scene) {
    scene.settled("ci").await;
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.settled("ci").await;
    assert_eq!(pairs(&scene.published("ci").await.unwrap()), ["repository:pull", "tag:create"]);
    let former = scene.logs_in("ci").await;

    scene.harbor.advance(25 * 86_400).await.unwrap();
    let (_, renewed) = scene.replaced("ci", &former).await;
    assert!(scene.works(&renewed).await);

    let robot = scene.published("ci").await.unwrap();
    scene.delete_robot(robot["id"].as_i64().unwrap()).await;
    scene.logs_in("ci").await;
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_account_lives_its_life_at_each_version_of_harbor() {
    for login in BOTH_LOGINS {
        join_all(VERSIONS.map(|(version, _)| system_at(version, login))).await;
    }
}

/// System robots make system robots at each version, only project robots they could not always make.
async fn system_at(version: &'static str, login: LoginAs) {
    let scene = Scene::of_the_system(Setting { login, harbor_version: Some(version), ..Setting::default() }).await;
    for project in ["team-a", "other"] {
        scene.harbor.create_project(project).await.unwrap();
    }
    let here = scene.namespace_with("here", &json!({}));
    let spec = json!({
        "projects": {"matching": [{"pattern": "team-*", "permissions": ["PushArtifacts"]}]},
        "systemAccess": [{"resource": "project", "action": "list"}],
        "secret": {"name": "pull", "namespaces": [here]},
    });
    scene.system_account("puller", spec).await;
    scene.system_settled("puller").await;
    let first = scene.logs_in_from(&here, "pull").await;
    scene.harbor.create_project("team-b").await.unwrap();
    let all = [
        "/ project:list",
        "team-a repository:pull",
        "team-a repository:push",
        "team-b repository:pull",
        "team-b repository:push",
    ];
    scene
        .system_robots_are(&format!("{version}: the new project joined"), |robots| {
            robots.iter().any(|robot| rights_of(robot) == all)
        })
        .await;
    scene.system_settled("puller").await;
    let made = scene.system_settled("puller").await.robot.unwrap();
    scene.harbor.advance(25 * 86_400).await.unwrap();
    scene
        .system_is(&format!("{version}: renewed"), "puller", |_, status| {
            status.robot.as_ref().is_some_and(|robot| robot.id != made.id)
        })
        .await;
    let last = scene.logs_in_from(&here, "pull").await;
    assert_ne!(last, first, "{version}");
    scene.delete_system("puller").await;
    assert!(scene.system_robots().await.is_empty(), "{version} {login:?}");
}
