//! What users are told: conditions, columns, events; and that nothing is written when nothing changed.

use harbor_robot_operator::api::RegistryTime;
use harbor_robot_world::eventually;
use serde_json::json;

use crate::hands::changes;
use crate::scene::{SOON, Scene, Setting, condition};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_what_harbors_page_shows() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    let status = scene.settled("ci").await.status.unwrap();
    let robot = status.robot.unwrap();
    let get = |wide: &[&str]| {
        let args = ["get", "robotaccounts", "-n", &scene.namespace].into_iter().chain(wide.iter().copied());
        let table = scene.plane.kubectl(args).ok().unwrap();
        let rows: Vec<Vec<String>> =
            table.lines().map(|line| line.split_whitespace().map(ToOwned::to_owned).collect()).collect();
        (rows[0].clone(), rows[1].clone())
    };
    let (head, row) = get(&[]);
    assert_eq!(head, ["NAME", "READY", "LOGIN", "PROJECT", "EXPIRES", "AGE"]);
    assert_eq!(row[..4], ["ci", "True", &robot.name, &scene.namespace]);
    assert_eq!(row[4].parse::<RegistryTime>().ok(), robot.expiration_time);
    let (head, row) = get(&["-o", "wide"]);
    assert_eq!(head[6..], ["REASON", "DISABLED", "RENEWS", "REGISTRY", "SECRET", "CREATED"]);
    // DISABLED is empty where the spec says nothing.
    assert_eq!((row[6].as_str(), row[8].as_str()), ("Published", scene.registry.as_str()));
    assert_eq!(row[7].parse::<RegistryTime>().ok(), status.renewal_time);
    assert_eq!((row[9].as_str(), row[10].parse().ok()), ("ci", Some(robot.creation_time)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_one_normal_event_and_each_failure_one_warning() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.account("astray", json!({"project": format!("{}-none", scene.namespace)})).await;
    let account = scene.settled("ci").await;
    assert!(condition(&account, "Stalled").is_none() && condition(&account, "Reconciling").is_none());
    scene.reason_is("astray", "Ready", "False", "ProjectNotFound").await;
    let told = async |account: &'static str| {
        eventually(&format!("an event about {account}"), SOON, || async {
            let events = scene.events(account).await;
            if events.is_empty() { Err("none".to_owned()) } else { Ok(events) }
        })
        .await
    };
    let (login, of_astray) = (scene.logs_in("ci").await, told("astray").await);
    told("ci").await;
    // An event of the next two sweeps would be one too many.
    scene.two_sweeps().await;
    let of_ci = scene.events("ci").await;
    let text = format!("Robot {} was made, its credential is in Secret ci", login.name);
    assert_eq!(of_ci, [("Normal".to_owned(), "Created".to_owned(), text)]);
    assert_eq!(scene.events("astray").await, of_astray);
    assert_eq!(of_astray.len(), 1, "{of_astray:?}");
    assert_eq!((of_astray[0].0.as_str(), of_astray[0].1.as_str()), ("Warning", "ProjectNotFound"));
    let astray = scene.get("astray").await;
    assert_eq!(astray.status.unwrap().observed_generation, astray.metadata.generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_account_costs_no_write_and_no_call_that_changes() {
    let scene = Scene::new(Setting::default()).await;
    let output = json!({"labels": {"team": "a"}, "keys": [{"key": "robot.json", "format": "RobotFile"}]});
    scene.service_account("builder", &[]).await;
    scene.account("ci", json!({"secret": output, "serviceAccounts": [{"name": "builder"}]})).await;
    scene.account("edited", json!({})).await;
    scene.settled("edited").await;
    scene.edit("edited", json!({"description": "by PUT"})).await;
    scene.settled("edited").await;
    scene.settled("ci").await;
    // Echoes of the operator's own writes have come back by then.
    scene.two_sweeps().await;
    let versions = async || {
        let mut versions = Vec::new();
        for name in ["ci", "edited"] {
            versions.push(scene.get(name).await.metadata.resource_version);
            versions.push(scene.secret(name).await.unwrap().metadata.resource_version);
        }
        versions.push(scene.service_accounts().get("builder").await.unwrap().metadata.resource_version);
        versions
    };
    let before = (versions().await, kube_writes(&scene).await);
    let calls = scene.two_sweeps().await;
    assert_eq!(changes(&calls), 0, "{:?}", calls.by);
    let only_lists = calls.by.keys().all(|call| call == "GET /api/v2.0/robots" || call.starts_with("GET /api/v2.0/p"));
    assert!(only_lists, "{:?}", calls.by);
    assert_eq!((versions().await, kube_writes(&scene).await), before);
}

/// The operator's own count of its writes, line by line.
async fn kube_writes(scene: &Scene) -> Vec<String> {
    let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
    let lines = metrics.lines().filter(|line| line.contains("kube") && !line.starts_with('#'));
    lines.map(ToOwned::to_owned).collect()
}
