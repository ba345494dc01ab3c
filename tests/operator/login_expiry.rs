//! A robot login that may look at itself says when it ends, long enough before.

use harbor_robot_operator::api::RegistryTime;
use harbor_robot_world::eventually;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::robot_login::{LEAST, SEES_ITSELF, groups, operator_robot, robot};
use crate::scene::{LoginAs, SOON, Scene, Setting, system_robots_serve};

const DAY: u64 = 86_400;

/// The message of the registry's condition.
async fn expiring(scene: &Scene) -> Option<String> {
    let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
    status.conditions.into_iter().find(|found| found.type_ == "LoginExpiring").map(|found| found.message)
}

async fn said_expiry(scene: &Scene) -> Option<i64> {
    let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
    status.login.unwrap().expiration_time.map(RegistryTime::as_second)
}

/// The metric's value.
async fn measured(scene: &Scene) -> Option<i64> {
    let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
    let name = format!("harbor_robots_login_expiry_timestamp_seconds{{registry=\"{}\"}} ", scene.registry);
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
}

/// Warnings about the registry, by note.
async fn warnings(scene: &Scene) -> Vec<String> {
    let all = Api::<Event>::namespaced(scene.client.clone(), "default").list(&ListParams::default()).await.unwrap();
    let about = |event: &Event| {
        event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(&scene.registry)
            && event.reason.as_deref() == Some("LoginExpiring")
            && event.type_.as_deref() == Some("Warning")
    };
    all.items.into_iter().filter(about).map(|event| event.note.unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ends_soon_is_announced_once_until_another_one_takes_its_place() {
    if !system_robots_serve() {
        return;
    }
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let brief = operator_robot(&scene, "brief", "", &SEES_ITSELF, 30).await;
    scene.write_login(&brief);
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("ci", json!({"expiresAfter": "90d"})).await;
    scene.settled("ci").await;
    let made = robot(&scene, &brief.name).await;
    assert_eq!(said_expiry(&scene).await, made["expires_at"].as_i64());
    assert_eq!(measured(&scene).await, made["expires_at"].as_i64());
    assert_eq!(expiring(&scene).await, None);

    scene.harbor.advance(19 * DAY).await.unwrap();
    scene.sweeps(3).await;
    assert_eq!(expiring(&scene).await, None, "a third of its life is left");
    scene.harbor.advance(DAY + 60).await.unwrap();
    scene.registry_is("LoginExpiring", "True").await;
    let message = expiring(&scene).await.unwrap();
    let at = jiff::Timestamp::from_second(made["expires_at"].as_i64().unwrap()).unwrap();
    for part in [&brief.name, &at.to_string(), "Secret login"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    eventually("a warning", SOON, || async {
        let told = warnings(&scene).await;
        if told == [message.clone()] { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;

    // Later looks, and a restart, find nothing new.
    let before = scene.registries().get(&scene.registry).await.unwrap();
    scene.harbor.advance(DAY).await.unwrap();
    scene.sweeps(3).await;
    assert!(scene.terminate().success());
    scene.start();
    scene.sweeps(3).await;
    let after = scene.registries().get(&scene.registry).await.unwrap();
    assert_eq!(after.status, before.status);
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    assert_eq!(warnings(&scene).await.len(), 1);
    scene.settled("ci").await;

    scene.write_login(&operator_robot(&scene, "lasting", "", &SEES_ITSELF, -1).await);
    eventually("nothing is announced", SOON, || async {
        let (said, at, measured) = (expiring(&scene).await, said_expiry(&scene).await, measured(&scene).await);
        if (&said, at, measured) == (&None, None, None) { Ok(()) } else { Err(format!("{said:?} {at:?} {measured:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ended_says_when_and_one_that_is_prolonged_works_again() {
    if !system_robots_serve() {
        return;
    }
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let brief = operator_robot(&scene, "brief", "", &SEES_ITSELF, 3).await;
    scene.write_login(&brief);
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("ci", json!({"expiresAfter": "90d"})).await;
    scene.settled("ci").await;
    scene.harbor.advance(4 * DAY).await.unwrap();
    let message = scene.registry_reason_is("CredentialsRejected").await;
    let made = robot(&scene, &brief.name).await;
    let at = jiff::Timestamp::from_second(made["expires_at"].as_i64().unwrap()).unwrap();
    assert!(message.contains(&format!("{} expired at {at}", brief.name)), "{message}");
    let mut longer = made.clone();
    longer["duration"] = json!(90);
    scene.harbor_api("PUT", &format!("/robots/{}", made["id"]), longer).await;
    scene.registry_is("Ready", "True").await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
    eventually("the longer life is seen", SOON, || async {
        let said = said_expiry(&scene).await;
        if said == robot(&scene, &brief.name).await["expires_at"].as_i64() && expiring(&scene).await.is_none() {
            Ok(())
        } else {
            Err(format!("{said:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_look_at_itself_and_a_person_say_nothing() {
    if !system_robots_serve() {
        return;
    }
    for login in [LoginAs::Robot, LoginAs::Person] {
        let mut scene = Scene::without_operator(Setting { login, ..Setting::default() }).await;
        if login == LoginAs::Robot {
            scene.write_login(&operator_robot(&scene, "blind", "", &[("project", "list")], 3).await);
        }
        scene.start();
        scene.registry_is("Ready", "True").await;
        scene.harbor.advance(2 * DAY + DAY / 2).await.unwrap();
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        scene.sweeps(3).await;
        assert_eq!((expiring(&scene).await, said_expiry(&scene).await, measured(&scene).await), (None, None, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_robot_as_login_sees_itself_in_its_own_project() {
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let permissions = groups(&[], "", &scene.namespace, &LEAST);
    let body = json!({"name": "op", "level": "project", "duration": 30, "permissions": permissions});
    let made = scene.harbor_api("POST", "/robots", body).await;
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    scene.write_login(&harbor_robot_world::Login { name: text("name"), secret: text("secret") });
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
    assert_eq!(said_expiry(&scene).await, made["expires_at"].as_i64());
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_the_login_its_end_and_the_orphans() {
    if !system_robots_serve() {
        return;
    }
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let brief = operator_robot(&scene, "brief", "", &SEES_ITSELF, 30).await;
    scene.write_login(&brief);
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("ci", json!({"expiresAfter": "90d"})).await;
    scene.settled("ci").await;
    scene.harbor.advance(20 * DAY + 60).await.unwrap();
    scene.registry_is("LoginExpiring", "True").await;
    scene.sweeps(2).await;
    let get = |wide: &[&str]| {
        let args = ["get", "clusterharborregistries", &scene.registry].into_iter().chain(wide.iter().copied());
        let table = scene.plane.kubectl(args).ok().unwrap();
        let rows: Vec<Vec<String>> =
            table.lines().map(|line| line.split_whitespace().map(ToOwned::to_owned).collect()).collect();
        (rows[0].clone(), rows[1].clone())
    };
    let (head, row) = get(&[]);
    assert_eq!(head, ["NAME", "READY", "URL", "VERSION", "LOGIN", "ACCOUNTS", "AGE"]);
    assert_eq!((row[1].as_str(), row[4].as_str(), row[5].as_str()), ("True", "Robot", "1"));
    let (head, row) = get(&["-o", "wide"]);
    assert_eq!(head[7..], ["REASON", "LOGIN-EXPIRES", "ORPHANS", "UNMANAGED"]);
    let at = row[8].parse::<jiff::Timestamp>().unwrap().as_second();
    // The login of the scene's own, which nobody uses here.
    assert_eq!((Some(at), &row[9..]), (said_expiry(&scene).await, &["0".to_owned(), "1".to_owned()][..]));
    let described = scene.plane.kubectl(["describe", "clusterharborregistry", &scene.registry]).ok().unwrap();
    assert!(described.contains("Warning  LoginExpiring"), "{described}");
}
