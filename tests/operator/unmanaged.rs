//! Robots that nobody manages: counted in the registry's status, with the first of them to expire, and never touched.

use harbor_robot_operator::api::{RegistryTime, UnmanagedRobots};
use harbor_robot_world::eventually;
use serde_json::{Value, json};

use crate::hands::changes;
use crate::robot_login::{SEES_ITSELF, operator_robot};
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, system_robots_serve};

/// Waits until status and metrics say so.
pub async fn unmanaged_are(scene: &Scene, count: i32, next: Option<&Value>) {
    let expires = next.map(|robot| robot["expires_at"].as_i64().unwrap());
    let name = next.map(|robot| robot["name"].as_str().unwrap());
    let line = |what: &str, value: i64| format!("harbor_robots_{what}{{registry=\"{}\"}} {value}", scene.registry);
    eventually(&format!("{count} robots nobody manages, {name:?} the first to expire"), SOON, || async {
        let status = scene.registries().get(&scene.registry).await.map_err(|error| error.to_string())?.status;
        let said: UnmanagedRobots = status.and_then(|status| status.unmanaged_robots).unwrap_or_default();
        let metrics = scene.operator.as_ref().unwrap().metrics().await.map_err(|error| error.to_string())?;
        let has = |wanted: String| metrics.lines().any(|found| found == wanted);
        let measured = has(line("unmanaged_robots", count.into()))
            && match expires {
                Some(at) => has(line("unmanaged_expiry_timestamp_seconds", at)),
                None => !metrics.contains("harbor_robots_unmanaged_expiry_timestamp_seconds{"),
            };
        let told = said.count == count
            && said.next_expiration_time.map(RegistryTime::as_second) == expires
            && said.next_to_expire.as_deref() == name;
        if told && measured { Ok(()) } else { Err(format!("{said:?}\n{metrics}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn robots_that_nobody_manages_are_told_with_the_first_to_expire_and_left_alone() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        unmanaged_are(&scene, 0, None).await;
        scene.stranger_for("never", "by hand", -1).await;
        unmanaged_are(&scene, 1, None).await;
        let (late, _) = scene.stranger_for("late", "by hand", 40).await;
        unmanaged_are(&scene, 2, Some(&late)).await;
        let (mut off, _) = scene.stranger_for("off", "by hand", 10).await;
        off["disable"] = json!(true);
        scene.harbor_api("PUT", &format!("/robots/{}", off["id"]), off).await;
        let (soon, _) = scene.stranger_for("soon", "by hand", 20).await;
        unmanaged_are(&scene, 4, Some(&soon)).await;
        // Another cluster's robot is none of them; one that an account left is.
        let mark = |tail: &str| format!("[harbor-robots.io/v1 0a1b2c3d-0000-4000-8000-000000000000 other/n/a{tail}]");
        let managed = scene.stranger("elsewhere", &mark("")).await;
        let left = scene.stranger("left", &mark(" retained")).await;
        unmanaged_are(&scene, 5, Some(&soon)).await;

        let before = scene.registries().get(&scene.registry).await.unwrap().metadata.resource_version;
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        assert!(scene.terminate().success());
        scene.start();
        unmanaged_are(&scene, 5, Some(&soon)).await;
        let after = scene.registries().get(&scene.registry).await.unwrap().metadata.resource_version;
        assert_eq!(after, before, "an unchanged count writes nothing, nor does a restart");
        assert_eq!(scene.robot(managed["id"].as_i64().unwrap()).await, managed);

        // What has expired serves nobody; the next one is told of then.
        scene.harbor.advance(21 * 86_400).await.unwrap();
        unmanaged_are(&scene, 5, Some(&left)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn robots_of_the_system_are_among_them_and_the_operators_own_login_is_not() {
    if !system_robots_serve() {
        return;
    }
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let own = operator_robot(&scene, "own", "", &SEES_ITSELF, 30).await;
    scene.write_login(&own);
    // The login that the scene made for itself is one that nobody manages, beside what others made.
    let robots = scene.harbor_api("GET", "/robots?page_size=100", Value::Null).await;
    let others = robots.as_array().unwrap().iter().filter(|robot| robot["name"] != *own.name);
    let first =
        others.clone().filter(|robot| robot["expires_at"] != -1).min_by_key(|robot| robot["expires_at"].as_i64());
    scene.start();
    scene.registry_is("Ready", "True").await;
    unmanaged_are(&scene, i32::try_from(others.count()).unwrap(), first).await;
}
