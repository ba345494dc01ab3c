//! Calls that arrive when nobody counts on them any more, answers that take too long, and lists that lag behind.

use std::time::Duration;

use futures::future::join_all;
use harbor_robot_faults::{Fault, Moment, Point};
use harbor_robot_world::eventually;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::faulty::{Faulty, LIST};
use crate::namespaces::{holds, pull, row};
use crate::prober::Prober;
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Setting, login_in};

const POST: &str = "Harbor POST robots";

/// Longer than the operator waits for any answer.
const TOO_LONG: Duration = Duration::from_secs(11);

/// The operator's word on a registry.
const STATUS: &str = "Kubernetes PUT clusterharborregistries/{name}/status";

/// From now on no status of a registry is written.
fn refuse_statuses(world: &Faulty) {
    let refusal = json!({"kind": "Status", "status": "Failure", "code": 500}).to_string();
    world.faults.always(STATUS, Fault::Answer(500, refusal));
}

/// Waits until the status of a registry was to be written so many times since the trace began.
async fn statuses(world: &Faulty, wanted: usize) {
    eventually("the registry's status is written", SOON, || async {
        let tries = world.faults.trace().iter().filter(|call| call.operation() == STATUS).count();
        if tries >= wanted { Ok(()) } else { Err(format!("{tries} of {wanted}")) }
    })
    .await;
}

fn the(nth: usize, operation: &str) -> Point {
    Point { operation: operation.to_owned(), nth }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_a_dead_operator_makes_late_does_not_outlive_its_account() {
    join_all(BOTH_LOGINS.map(async |login| {
        let args = vec!["--settle-after=8".to_owned()];
        let mut world = Faulty::new(Setting { login, args, ..Setting::default() }).await;
        let mut stop = world.faults.stop_at(the(1, POST), Moment::BeforeSending);
        world.scene.account("ci", json!({})).await;
        stop.reached().await;
        world.kill().await;
        let held = stop.client_is_dead();
        world.scene.delete("ci").await;
        world.faults.forget();
        world.start();
        // It has looked, found none, and waits.
        world.lists(1).await;
        assert_eq!(held.arrives_late().await, 201, "made for an account that is about to go");
        world.scene.gone("ci").await;
        assert!(world.scene.robots().await.is_empty());
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_whose_first_status_was_not_written_is_swept_all_the_same() {
    let world = Faulty::new(Setting::default()).await;
    let scene = &world.scene;
    let late = format!("{}-late", scene.registry);
    // When the start is over, which sweeps every registry that is there.
    scene.account("first", json!({})).await;
    scene.settled("first").await;
    scene.sweeps(2).await;
    world.faults.forget();
    refuse_statuses(&world);
    let spec = scene.registries().get(&scene.registry).await.unwrap().spec;
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
        "metadata": {"name": late, "labels": {"scene": scene.registry}}, "spec": spec,
    }));
    statuses(&world, 2).await;
    world.faults.clear();
    scene.account("ci", json!({"registryRef": {"name": late}})).await;
    scene.settled("ci").await;
    // Nothing but a sweep tells of this.
    let robot = scene.published("ci").await.unwrap();
    scene.delete_robot(robot["id"].as_i64().unwrap()).await;
    scene
        .robots_are("made again", |robots| {
            robots.iter().any(|now| now["name"] == robot["name"] && now["id"] != robot["id"])
        })
        .await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_is_used_by_every_account_although_the_registrys_status_was_not_written_at_once() {
    let world = Faulty::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let scene = &world.scene;
    scene.account("ci", json!({"rotation": {"strategy": "InPlace"}})).await;
    scene.settled("ci").await;
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.reason_is("ci", "Synced", "False", "LoginCannotUpdate").await;
    world.faults.forget();
    refuse_statuses(&world);
    scene.write_login(&scene.harbor.admin);
    statuses(&world, 2).await;
    world.faults.clear();
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_take_too_long_are_settled_whether_they_took_effect_or_not() {
    for login in BOTH_LOGINS {
        let world = Faulty::new(Setting { login, ..Setting::default() }).await;
        world.faults.once(the(1, POST), Fault::Delay(TOO_LONG));
        world.faults.once(the(2, POST), Fault::DelayAnswer(TOO_LONG));
        world.faults.once(the(2, "Kubernetes POST secrets"), Fault::DelayAnswer(TOO_LONG));
        let names = ["one", "two", "three", "four"];
        for name in names {
            world.scene.account(name, json!({})).await;
        }
        for name in names {
            world.scene.settled(name).await;
            world.scene.logs_in(name).await;
        }
        world.scene.robots_are("one robot each", |robots| robots.len() == names.len()).await;
        world.scene.sweeps(2).await;
        world.faults.forget();
        world.scene.sweeps(2).await;
        assert!(world.changes().is_empty(), "{:?}", world.changes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_lags_behind_a_rotation_costs_no_login() {
    for login in BOTH_LOGINS {
        let world = Faulty::new(Setting { login, ..Setting::default() }).await;
        world.scene.account("ci", json!({})).await;
        world.scene.settled("ci").await;
        let former = world.scene.logs_in("ci").await;
        world.scene.advance(61).await;
        world.scene.sweeps(2).await;
        let prober = Prober::start(&world.scene, "ci");
        world.faults.freeze(LIST);
        world.lists(1).await;
        let refresh = json!({"metadata": {"annotations": {"harbor-robots.io/refresh": "now"}}});
        world.scene.accounts().patch("ci", &PatchParams::default(), &Patch::Merge(refresh)).await.unwrap();
        eventually("the new credential is published", SOON, || async {
            let (login, _) = world.scene.credential("ci").await;
            if login == former { Err("the former one still is") } else { Ok(()) }
        })
        .await;
        // The list says that the new robot does not exist.
        world.lists(2).await;
        world.faults.clear();
        world.scene.settled("ci").await;
        let account = world
            .scene
            .account_is("both robots are known", "ci", |account| {
                account
                    .status
                    .as_ref()
                    .is_some_and(|status| status.previous.as_ref().is_some_and(|previous| previous.name == former.name))
            })
            .await;
        prober.has_seen(2).await;
        prober.none_failed().await;
        assert_eq!(account.status.unwrap().robot.unwrap().name, world.scene.logs_in("ci").await.name);
        assert_eq!(world.scene.robots().await.len(), 2);
    }
}

/// What an API server says to a watch that begins before what it remembers.
const EXPIRED: &str = r#"{"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
    "message": "too old resource version", "reason": "Expired", "code": 410}}"#;

/// The watches on Secrets and namespaces lose their place, and nothing is listed until the faults are cleared.
async fn lose_the_place(world: &Faulty) {
    let lists = ["Kubernetes GET secrets", "Kubernetes GET namespaces"];
    for list in lists {
        world.faults.always(list, Fault::Answer(200, EXPIRED.replace('\n', " ")));
    }
    world.faults.forget();
    world.faults.cut_watches();
    // Two of Secrets: ours and logins. Each asks where it was, then for a list.
    for (list, wanted) in lists.into_iter().zip([4, 2]) {
        eventually("the place is lost", SOON, || async {
            let asked = world.faults.trace().iter().filter(|call| call.operation() == list).count();
            if asked >= wanted { Ok(()) } else { Err(format!("{list}: {asked}")) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_while_a_watch_had_lost_its_place_is_noticed() {
    let world = Faulty::new(Setting { all_namespaces: true, ..Setting::default() }).await;
    let scene = &world.scene;
    let team = scene.system_name("team");
    let [stays, goes] = ["stays", "goes"].map(|name| scene.namespace_with(name, &json!({"pull": team})));
    let secret = json!({"name": "pull", "namespaceSelector": {"matchLabels": {"pull": team}}});
    scene.account("ci", json!({})).await;
    scene.system_account("puller", pull(secret, json!([]))).await;
    scene.settled("ci").await;
    scene.system_settled("puller").await;
    let former = scene.logs_in("ci").await;
    let login = scene.logs_in_from(&stays, "pull").await;

    lose_the_place(&world).await;
    scene.delete_secret("ci").await;
    scene.plane.kubectl(["delete", "secret", "pull", "--namespace", &stays]).ok().unwrap();
    scene.plane.kubectl(["delete", "namespace", &goes, "--timeout=60s"]).ok().unwrap();
    world.faults.clear();
    scene.secret_is("another credential", "ci", |secret| login_in(secret).is_some_and(|login| login != former)).await;
    holds(scene, &stays, &login).await;
    scene.system_is("the other is forgotten", "puller", |_, status| row(status, &goes).is_none()).await;
    scene.system_settled("puller").await;

    lose_the_place(&world).await;
    let other = scene.harbor.create_robot_login("other", &[]).await.unwrap();
    scene.write_login(&other);
    world.faults.clear();
    scene.login_is(&other.name).await;
}
