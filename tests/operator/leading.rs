//! The lead among replicas: what needs it goes on under it, and it is given up in time.

use std::time::{Duration, Instant};

use harbor_robot_faults::{Call, Moment};
use harbor_robot_world::{Operator, eventually};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::faulty::Faulty;
use crate::scene::{SOON, Scene, Setting};

const DELETE: &str = "Harbor DELETE robots/{id}";

async fn leads(operator: &Operator) -> bool {
    let metrics = operator.metrics().await.unwrap_or_default();
    metrics.lines().any(|line| line.starts_with("harbor_robots_leading") && line.ends_with(" 1"))
}

async fn leader_is(operator: &Operator, within: Duration) {
    eventually("it leads", within, || async { if leads(operator).await { Ok(()) } else { Err("it does not") } }).await;
}

/// Who holds the scene's Lease; `None` once it was released.
async fn holder(scene: &Scene) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(scene.client.clone(), &scene.system);
    let mut leases = leases.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(leases.len(), 1);
    leases.remove(0).spec.and_then(|spec| spec.holder_identity)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_one_acts_and_the_other_takes_over() {
    let mut scene = Scene::new(Setting::default()).await;
    let mut second = scene.another(&scene.registry, &[]).await;
    eventually("the standby is ready", SOON, || async { if second.ready().await { Ok(()) } else { Err("no") } }).await;
    scene.account("one", json!({})).await;
    scene.settled("one").await;
    assert!(!leads(&second).await);
    assert!(!second.metrics().await.unwrap().contains("registry_calls_total{"), "a standby makes no calls");

    // SIGTERM hands over at once.
    let asked = Instant::now();
    assert!(scene.terminate().success());
    leader_is(&second, SOON).await;
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    scene.account("two", json!({})).await;
    scene.settled("two").await;

    // SIGKILL hands over when the lease ran out.
    scene.start();
    let leases: Api<Lease> = Api::namespaced(scene.client.clone(), &scene.system);
    assert_eq!(leases.list(&ListParams::default()).await.unwrap().items.len(), 1);
    second.kill().unwrap();
    leader_is(scene.operator.as_ref().unwrap(), Duration::from_secs(40)).await;
    scene.account("three", json!({})).await;
    scene.settled("three").await;
    assert_eq!(scene.robots().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_go_on_after_the_leader_deleted_an_orphan() {
    let args = vec!["--orphan-after=3".to_owned()];
    let registry = json!({"orphanPolicy": "Delete"});
    let scene = Scene::new(Setting { registry, args, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let registry = scene.registries().get(&scene.registry).await.unwrap();
    let cluster = registry.status.unwrap().cluster_name.unwrap();
    let nobody = "0a1b2c3d-0000-4000-8000-000000000000";
    let mark = format!("once [harbor-robots.io/v1 {nobody} {cluster}/{}/gone]", scene.namespace);
    let gone = scene.stranger("gone", &mark).await;
    scene.robots_are("the orphan is deleted", |robots| !robots.iter().any(|robot| robot["id"] == gone["id"])).await;
    scene.sweeps(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_pauses_of_a_sweep_and_gives_the_lead_up() {
    let registry = json!({"rateLimit": {"requestsPerSecond": 5}, "pollInterval": "1h"});
    let mut scene = Scene::new(Setting { registry, ..Setting::default() }).await;
    // A sweep over these takes 40 s, nearly all of it pauses.
    for at in 0..20 {
        let project = format!("{}-{at}", scene.namespace);
        scene.harbor.create_project(&project).await.unwrap();
        scene.account(&format!("ci-{at}"), json!({"project": project})).await;
    }
    for at in 0..20 {
        scene.settled(&format!("ci-{at}")).await;
    }
    assert!(scene.terminate().success());
    scene.start();
    // The first sweep after a start has begun.
    scene.sweeps(1).await;
    assert!(holder(&scene).await.is_some());
    let asked = Instant::now();
    assert!(scene.terminate().success());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(holder(&scene).await, None, "the next one need not wait for the lease");
}

/// A lease that is over soon.
const SHORT: [&str; 3] =
    ["--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=1s"];

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_in_the_middle_of_a_step_changes_nothing_when_it_wakes_up() {
    let args = SHORT.map(str::to_owned).to_vec();
    let world = Faulty::new(Setting { args, ..Setting::default() }).await;
    let scene = &world.scene;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    // Harbor deletes no robot without permissions, so this one step is DELETE, GET, PUT, GET and DELETE.
    let id = scene.published("ci").await.unwrap()["id"].as_i64().unwrap();
    scene.edit("ci", json!({"suspend": true})).await;
    scene.reason_is("ci", "Synced", "False", "Suspended").await;
    scene.harbor.set_permissions(id, json!([])).await.unwrap();
    let mut stop = world.faults.stop_at_next(|call| call.operation() == DELETE, Moment::BeforeSending);
    scene.delete("ci").await;
    stop.reached().await;
    let former = scene.operator.as_ref().unwrap();
    former.pause().unwrap();
    let held = stop.client_is_dead();

    // One that leads and serves no registry: what is changed from now on is the former's doing.
    let mut next = scene.another("nobody", &SHORT).await;
    leader_is(&next, SOON).await;
    world.faults.forget();
    assert_eq!(held.arrives_late().await, 404, "the robot is still there, and has no permission");
    let robot = scene.robot(id).await;
    former.resume().unwrap();
    let log = former.lines().clone();
    let ended = tokio::task::spawn_blocking(move || log.wait_for_end(SOON)).await.unwrap();
    assert!(ended, "the former leader ends: {}", former.log());
    assert!(former.log().contains("no longer the leader"), "{}", former.log());
    let changes: Vec<String> = world.changes().iter().map(Call::operation).collect();
    assert_eq!(changes, Vec::<String>::new());
    assert_eq!(scene.robot(id).await, robot, "not touched");
    assert!(next.terminate().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_is_followed_when_its_lease_has_run_out() {
    let args = SHORT.map(str::to_owned).to_vec();
    let mut scene = Scene::new(Setting { args, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let standby = scene.another(&scene.registry, &SHORT).await;
    let mut former = scene.operator.take().unwrap();
    former.kill().unwrap();
    let killed = Instant::now();
    leader_is(&standby, SOON).await;
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    assert!(standby.log().contains("Unclean"), "{}", standby.log());
    scene.account("more", json!({})).await;
    scene.settled("more").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_times_that_cannot_work_are_refused_at_the_start() {
    let scene = Scene::without_operator(Setting::default()).await;
    let started = Operator::start(&scene.options(&["--leader-elect-lease-duration=5s"]));
    let error = started.err().expect("it does not start").to_string();
    assert!(error.contains("renew deadline (10s) has to be shorter than the lease duration (5s)"), "{error}");
}
