//! Robots that carry a mark of this cluster and have no account: counted in the registry's status, never touched.

use harbor_robot_world::eventually;
use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use serde_json::{Value, json};

use crate::hands::changes;
use crate::robot_login::{SEES_ITSELF, operator_robot};
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, system_robots_serve};
use crate::unmanaged::unmanaged_are;

const NOBODY: &str = "0a1b2c3d-0000-4000-8000-000000000000";

async fn cluster(scene: &Scene) -> String {
    scene.registries().get(&scene.registry).await.unwrap().status.unwrap().cluster_name.unwrap()
}

async fn orphans_are(scene: &Scene, wanted: i32) {
    eventually(&format!("{wanted} orphans"), SOON, || async {
        let status = scene.registries().get(&scene.registry).await.map_err(|error| error.to_string())?.status;
        let said = status.and_then(|status| status.orphan_count);
        let line = format!("harbor_robots_orphans{{registry=\"{}\"}} {wanted}", scene.registry);
        let metrics = scene.operator.as_ref().unwrap().metrics().await.map_err(|error| error.to_string())?;
        if said == Some(wanted) && metrics.contains(&line) { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
}

async fn version(scene: &Scene) -> Option<String> {
    scene.registries().get(&scene.registry).await.unwrap().metadata.resource_version
}

#[tokio::test(flavor = "multi_thread")]
async fn robots_without_an_account_are_counted_and_left_alone() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        orphans_are(&scene, 0).await;
        let (cluster, here) = (cluster(&scene).await, scene.namespace.clone());
        let marked = |path: &str, tail: &str| format!("once [harbor-robots.io/v1 {NOBODY} {path}{tail}]");
        let robots = [
            ("gone", marked(&format!("{cluster}/{here}/gone"), "")),
            ("gone.b", marked(&format!("{cluster}/{here}/gone"), "")),
            // An account of that name lives, but this is neither of its names.
            ("former", marked(&format!("{cluster}/{here}/ci"), "")),
            ("kept", marked(&format!("{cluster}/{here}/kept"), " retained")),
            ("elsewhere", marked(&format!("another/{here}/gone"), "")),
            ("unwatched", marked(&format!("{cluster}/{here}-x/gone"), "")),
            ("plain", String::new()),
        ];
        let mut made: Vec<Value> = Vec::new();
        for (name, description) in &robots {
            made.push(scene.stranger(name, description).await);
        }
        orphans_are(&scene, 3).await;
        let next = made.iter().find(|robot| robot["name"].as_str().unwrap().ends_with("+kept"));
        unmanaged_are(&scene, 2, next).await;
        let before = version(&scene).await;
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        assert_eq!(version(&scene).await, before, "an unchanged count writes nothing");
        for robot in &made {
            assert_eq!(scene.robot(robot["id"].as_i64().unwrap()).await, *robot, "not touched");
        }
        assert!(scene.terminate().success());
        scene.start();
        orphans_are(&scene, 3).await;
        assert_eq!(version(&scene).await, before, "nor does a restart");
        scene.delete_robot(made[0]["id"].as_i64().unwrap()).await;
        orphans_are(&scene, 2).await;
        for robot in &made[1..3] {
            scene.delete_robot(robot["id"].as_i64().unwrap()).await;
        }
        orphans_are(&scene, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_robot_of_an_account_that_was_forced_away_is_an_orphan_until_the_account_is_made_again() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(Setting { login, ..Setting::default() }).await;
        for name in ["ci", "stays"] {
            scene.account(name, json!({})).await;
            scene.settled(name).await;
        }
        assert!(scene.terminate().success());
        let unheld = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        scene.accounts().patch("ci", &PatchParams::default(), &unheld).await.unwrap();
        let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
        scene.accounts().delete("ci", &orphan).await.unwrap();
        scene.gone("ci").await;
        scene.start();
        orphans_are(&scene, 1).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        orphans_are(&scene, 0).await;
        scene.logs_in("ci").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_among_the_robots_of_the_system_are_counted_where_the_login_may_list_them() {
    for (login, sees) in [(LoginAs::Person, true), (LoginAs::Robot, true), (LoginAs::Robot, false)] {
        let mut scene = Scene::without_operator(Setting { login, args: named(), ..Setting::default() }).await;
        if login == LoginAs::Robot && !system_robots_serve() {
            continue;
        }
        if login == LoginAs::Robot && sees {
            let login = operator_robot(&scene, "seeing", "", &SEES_ITSELF, -1).await;
            scene.write_login(&login);
        }
        let description = format!("[harbor-robots.io/v1 {NOBODY} here/{}/gone]", scene.namespace);
        scene.harbor.seed_robot(json!({"name": "gone", "description": description})).await.unwrap();
        scene.harbor.reset_calls().await.unwrap();
        scene.start();
        orphans_are(&scene, i32::from(sees)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        scene.sweeps(2).await;
        orphans_are(&scene, i32::from(sees)).await;
        let refused = scene.harbor.calls().await.unwrap().calls.into_iter().filter(|call| call.status == 403).count();
        assert!(refused <= 2, "a refused look is not repeated at each poll: {refused}");
    }
}

fn named() -> Vec<String> {
    vec!["--cluster-name=here".to_owned()]
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_deleted_where_that_is_asked_for_after_a_second_look() {
    for login in BOTH_LOGINS {
        let args = vec!["--orphan-after=3".to_owned()];
        let registry = json!({"orphanPolicy": "Delete"});
        let scene = Scene::new(Setting { login, registry, args, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let (cluster, here) = (cluster(&scene).await, scene.namespace.clone());
        let marked = |path: &str, tail: &str| format!("once [harbor-robots.io/v1 {NOBODY} {path}{tail}]");
        let gone = scene.stranger("gone", &marked(&format!("{cluster}/{here}/gone"), "")).await;
        let mut kept = Vec::new();
        for (name, description) in [
            ("kept", marked(&format!("{cluster}/{here}/kept"), " retained")),
            ("elsewhere", marked(&format!("another/{here}/gone"), "")),
            ("unwatched", marked(&format!("{cluster}/{here}-x/gone"), "")),
            ("plain", String::new()),
        ] {
            kept.push(scene.stranger(name, &description).await);
        }
        scene.robots_are("the orphan is deleted", |robots| !robots.iter().any(|robot| robot["id"] == gone["id"])).await;
        let first = scene.harbor.calls().await.unwrap().project_lists();
        assert!(first >= 2, "not at the first look");
        scene.two_sweeps().await;
        for robot in &kept {
            assert_eq!(scene.robot(robot["id"].as_i64().unwrap()).await, *robot, "not touched");
        }
        assert_eq!(scene.robots().await.len(), kept.len() + 1);
        orphans_are(&scene, 0).await;
    }
}

/// The mark alone keeps it from being deleted, so the account waits for a Harbor that fails for a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_retain_leaves_while_harbor_fails_is_not_deleted_as_an_orphan() {
    for (method, path, status) in
        [("GET", "/api/v2.0/robots", 503), ("GET", "/api/v2.0/robots", 401), ("PUT", "/api/v2.0/robots/{id}", 503)]
    {
        let scene = Scene::new(Setting { registry: json!({"orphanPolicy": "Delete"}), ..Setting::default() }).await;
        scene.account("ci", json!({"deletionPolicy": "Retain"})).await;
        scene.settled("ci").await;
        scene
            .faults(
                json!([{"method": method, "path": path, "status": status, "count": if status == 401 { 1 } else { 2 }}]),
            )
            .await;
        scene.delete("ci").await;
        scene.gone("ci").await;
        let robots = scene.robots().await;
        let description = robots[0]["description"].as_str().unwrap();
        assert!(description.ends_with(" retained]"), "{method} {status}: {description}");
        scene.logs_in("ci").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_whose_account_comes_back_meanwhile_stays() {
    let args = vec!["--orphan-after=6".to_owned()];
    let registry = json!({"orphanPolicy": "Delete"});
    let scene = Scene::new(Setting { registry, args, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let cluster = cluster(&scene).await;
    let mark = format!("[harbor-robots.io/v1 {NOBODY} {cluster}/{}/back]", scene.namespace);
    scene.stranger("back", &mark).await;
    orphans_are(&scene, 1).await;
    // A predecessor's robot is taken over by the account of that name.
    scene.account("back", json!({})).await;
    scene.settled("back").await;
    orphans_are(&scene, 0).await;
    scene.logs_in("back").await;
    let status = scene.get("back").await.status.unwrap();
    assert!(status.robot.is_some());
}
