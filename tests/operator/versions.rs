//! The whole life of an account at each version of Harbor that is supported. All other scenes can be run against one of
//! them, too: `cargo xtask test --harbor-version 2.13.5`.

use futures::future::join_all;
use harbor_stand_in::version::Version;
use serde_json::json;

use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, pairs};
use crate::system::rights_of;

const VERSIONS: [Version; 5] =
    [Version::of(12, 4), Version::of(13, 5), Version::of(14, 4), Version::of(15, 2), Version::of(16, 0)];

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lives_its_life_at_each_version_of_harbor() {
    for login in BOTH_LOGINS {
        join_all(VERSIONS.map(|version| at_version(version, login))).await;
    }
}

async fn at_version(version: Version, login: LoginAs) {
    let scene = Scene::new(Setting { login, harbor_version: Some(version), ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    life(&scene).await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    assert!(scene.robots().await.is_empty(), "{version} {login:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_robot_that_harbor_lets_make_no_project_robots_says_so_until_there_is_another_login() {
    for version in [Version::of(12, 4), Version::of(13, 5), Version::of(14, 0)] {
        let mut scene = Scene::without_operator(Setting { harbor_version: Some(version), ..Setting::default() }).await;
        let person = scene.login.clone();
        let login = scene.harbor.create_robot_login("operator", &[]).await.unwrap();
        scene.write_login(&login);
        scene.start();
        scene.account("ci", json!({})).await;
        let message = scene.reason_is("ci", "Ready", "False", "LoginTooOld").await;
        assert!(message.contains("person's login"), "{version}: {message}");
        scene.write_login(&person);
        scene.logs_in("ci").await;
    }
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
        join_all(VERSIONS.map(|version| system_at(version, login))).await;
    }
}

/// System robots make system robots at each version, only project robots they could not always make.
async fn system_at(version: Version, login: LoginAs) {
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
