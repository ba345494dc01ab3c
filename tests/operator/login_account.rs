//! The operator's own login as an account: a `SystemRobotAccount` whose Secret the registry logs in with. It is renewed like any
//! other, by the login that it replaces, and nobody is ever locked out.

use harbor_robot_faults::{Call, Moment, Side};
use std::time::Duration;

use harbor_robot_operator::api::{AccountStatus, RegistryTime};
use harbor_robot_operator::clock;
use harbor_robot_world::eventually;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::faulty::Faulty;
use crate::scene::{SOON, Scene, Setting, system_robots_serve};

/// The account's name in Harbor.
const LOGIN: &str = "operator";
/// Its Secret, in the operator's namespace.
const SECRET: &str = "own-login";
/// In seconds; longer than any overlap here.
const DAY: u64 = 90_000;
/// How far past a moment its effects are looked for.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

fn access(pairs: &[&str]) -> Value {
    pairs
        .iter()
        .map(|pair| pair.split_once(':').unwrap())
        .map(|(resource, action)| json!({"resource": resource, "action": action}))
        .collect()
}

/// What docs/logins.md asks for: robots of the system and of projects, and what accounts are given.
fn spec() -> Value {
    let robots = ["robot:create", "robot:delete", "robot:list", "robot:read"];
    json!({
        "systemAccess": access(&[&robots[..], &["project:list"]].concat()),
        "projects": {"all": {"access": access(&[&robots[..], &["project:read", "repository:pull"]].concat())}},
        "secret": {"name": SECRET, "keys": [{"key": "username", "format": "Username"}, {"key": "password", "format": "Password"}]},
    })
}

/// A scene whose operator logs in with what it published itself.
async fn scene() -> Scene {
    let scene = Scene::of_the_system(Setting::default()).await;
    hand_over(&scene).await;
    scene
}

/// Has the operator make its own login, and go on with it.
async fn hand_over(scene: &Scene) {
    scene.system_account(LOGIN, spec()).await;
    let status = scene.system_settled(LOGIN).await;
    scene.edit_registry(json!({"auth": {"secretRef": {"name": SECRET}}})).await;
    scene.login_is(&status.robot.unwrap().name).await;
    scene.registry_is("Ready", "True").await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
}

fn robot_of(status: &AccountStatus) -> (i64, String) {
    let robot = status.robot.as_ref().unwrap();
    (robot.id, robot.name.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_renews_itself_for_400_days() {
    if !system_robots_serve() {
        return;
    }
    let scene = scene().await;
    let mut ahead = SignedDuration::ZERO;
    let mut rotations = 0;
    while ahead < SignedDuration::from_hours(24 * 400) {
        let now = || RegistryTime::from(clock::now()) + ahead;
        let status = scene.system_settled(LOGIN).await;
        let (id, former) = robot_of(&status);
        let to_renewal = status.renewal_time.unwrap().duration_since(now()) + MARGIN;
        scene.harbor.advance(u64::try_from(to_renewal.as_secs()).unwrap()).await.unwrap();
        ahead += to_renewal;
        let status = scene
            .system_is("renewed", LOGIN, |_, status| status.robot.as_ref().is_some_and(|robot| robot.id != id))
            .await;
        rotations += 1;
        let (_, renewed) = robot_of(&status);
        scene.login_is(&renewed).await;
        let now = || RegistryTime::from(clock::now()) + ahead;
        let to_end = status.previous.unwrap().revocation_time.duration_since(now()) + MARGIN;
        scene.harbor.advance(u64::try_from(to_end.as_secs()).unwrap()).await.unwrap();
        ahead += to_end;
        scene.system_is("the overlap is over", LOGIN, |_, status| status.previous.is_none()).await;
        let names: Vec<Value> = scene.system_robots().await.into_iter().map(|robot| robot["name"].clone()).collect();
        assert!(!names.contains(&json!(former)) && names.contains(&json!(renewed)), "{names:?}");
        scene.registry_is("Ready", "True").await;
        scene.logs_in("ci").await;
    }
    assert!((15..=21).contains(&rotations), "{rotations}");
    // Whoever comes later is served.
    scene.account("late", json!({})).await;
    scene.settled("late").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_would_lock_the_operator_out_changes_nothing() {
    if !system_robots_serve() {
        return;
    }
    let scene = scene().await;
    let robot = robot_of(&scene.system_settled(LOGIN).await);
    let narrow = access(&["robot:list", "robot:read", "robot:delete", "project:list"]);
    let username = json!([{"key": "username", "format": "Username"}]);
    for (edit, says) in [
        (json!({"systemAccess": narrow}), "robot:create to spec.systemAccess"),
        (json!({"disabled": true}), "spec.disabled"),
        (json!({"secret": {"keys": username}}), "the keys username and password in spec.secret.keys"),
        (json!({"rotation": {"strategy": "InPlace"}}), "spec.rotation.strategy"),
        (json!({"passwordSecretRef": {"name": "x", "key": "y"}}), "spec.passwordSecretRef"),
    ] {
        scene.edit_system(LOGIN, edit).await;
        let message = scene.system_reason_is(LOGIN, "Synced", "False", "LoginCannotRenewItself").await;
        assert!(message.contains(says), "{message}");
        scene.sweeps(2).await;
        let secret = scene.secret_in(&scene.system, SECRET).await.unwrap();
        assert!(secret.data.unwrap().contains_key("password"));
        let back = json!({"systemAccess": spec()["systemAccess"], "disabled": null, "secret": spec()["secret"], "rotation": null, "passwordSecretRef": null});
        scene.edit_system(LOGIN, back).await;
        let status = scene.system_settled(LOGIN).await;
        assert_eq!(robot_of(&status), robot, "after {says}");
    }
    // What else is edited is served, by a rotation.
    scene.edit_system(LOGIN, json!({"description": "the operator's"})).await;
    scene.system_is("renewed", LOGIN, |_, status| status.robot.as_ref().is_some_and(|now| now.id != robot.0)).await;
    scene.registry_is("Ready", "True").await;
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_secret_is_deleted_comes_back_by_the_login_in_memory() {
    if !system_robots_serve() {
        return;
    }
    let scene = scene().await;
    let (id, _) = robot_of(&scene.system_settled(LOGIN).await);
    scene.plane.kubectl(["delete", "secret", SECRET, "-n", &scene.system]).ok().unwrap();
    let status = scene
        .system_is("made again", LOGIN, |_, status| status.robot.as_ref().is_some_and(|robot| robot.id != id))
        .await;
    scene.login_is(&robot_of(&status).1).await;
    scene.registry_is("Ready", "True").await;
    scene.account("late", json!({})).await;
    scene.settled("late").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_login_is_revoked_and_the_next_one_serves() {
    if !system_robots_serve() {
        return;
    }
    let scene = scene().await;
    let leaked = scene.logs_in_from(&scene.system, SECRET).await;
    scene.annotate_system(LOGIN, "harbor-robots.io/revoke", "leaked").await;
    let status = scene
        .system_is("revoked", LOGIN, |_, status| {
            status.handled_revoke.as_deref() == Some("leaked") && status.previous.is_none()
        })
        .await;
    assert!(!scene.harbor.verify(&leaked.name, &leaked.secret).await.unwrap());
    scene.login_is(&robot_of(&status).1).await;
    scene.registry_is("Ready", "True").await;
    scene.account("late", json!({})).await;
    scene.settled("late").await;
    scene.system_settled(LOGIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_outlives_the_accounts_that_need_it() {
    if !system_robots_serve() {
        return;
    }
    let scene = scene().await;
    let name = scene.system_name(LOGIN);
    scene.plane.kubectl(["delete", "systemrobotaccount", &name, "--wait=false"]).ok().unwrap();
    let message = scene.system_reason_is(LOGIN, "Synced", "False", "LoginInUse").await;
    assert!(message.contains(&format!("{}/ci", scene.namespace)), "{message}");
    scene.registry_is("Ready", "True").await;
    scene.account("late", json!({})).await;
    scene.settled("late").await;

    // A login that is named and not there does not take the one in memory away from those who need it.
    scene.edit_registry(json!({"auth": {"secretRef": {"name": "not-made-yet"}}})).await;
    scene.registry_reason_is("CredentialsMissing").await;
    scene.delete("late").await;
    scene.gone("late").await;
    assert!(!scene.system_robots().await.is_empty(), "{}", scene.log());
    scene.edit_registry(json!({"auth": {"secretRef": {"name": SECRET}}})).await;
    scene.registry_is("Ready", "True").await;

    // Everything at once, as whoever uninstalls does.
    scene.account("later", json!({})).await;
    scene.settled("later").await;
    for account in ["ci", "later"] {
        scene.delete(account).await;
    }
    for account in ["ci", "later"] {
        scene.gone(account).await;
    }
    eventually("the login is gone", SOON, || async {
        match scene.system_accounts().get_opt(&name).await.unwrap() {
            None => Ok(()),
            Some(account) => Err(format!("{:?}\n{}", account.status, scene.log())),
        }
    })
    .await;
    assert!(scene.robots().await.is_empty());
    let left: Vec<Value> = scene.system_robots().await;
    assert!(left.iter().all(|robot| !robot["name"].as_str().unwrap().contains(LOGIN)), "{left:?}");
}

/// Whether it is the call that is meant.
type Fits = fn(&Call) -> bool;

fn makes_a_robot(call: &Call) -> bool {
    call.side == Side::Harbor && call.method == "POST" && call.path.ends_with("/robots")
}

fn writes_the_secret(call: &Call) -> bool {
    call.side == Side::Kubernetes && call.changes() && call.path.contains("/secrets/")
}

fn ends_a_robot(call: &Call) -> bool {
    call.side == Side::Harbor && call.method == "DELETE"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_survives_a_crash_at_each_call_of_its_renewal() {
    if !system_robots_serve() {
        return;
    }
    let mut world = Faulty::new(Setting { all_namespaces: true, ..Setting::default() }).await;
    hand_over(&world.scene).await;
    for moment in [Moment::BeforeSending, Moment::Committed, Moment::Answered] {
        let calls: [(Fits, bool); 3] = [(makes_a_robot, false), (writes_the_secret, false), (ends_a_robot, true)];
        // The last one comes when the overlap is over.
        for (number, (call, comes_later)) in calls.into_iter().enumerate() {
            // Names the point of a failure, whatever fails.
            println!("{moment:?} of call {number}");
            let (id, _) = robot_of(&world.scene.system_settled(LOGIN).await);
            let mut stop = world.faults.stop_at_next(call, moment);
            world.scene.advance(120).await;
            let token = format!("{moment:?} {id}");
            world.scene.annotate_system(LOGIN, "harbor-robots.io/refresh", &token).await;
            if comes_later {
                world.scene.system_is("renewed", LOGIN, |_, status| status.previous.is_some()).await;
                world.scene.advance(DAY).await;
            }
            stop.reached().await;
            world.kill().await;
            drop(stop.client_is_dead());
            world.start();
            let done = |status: &AccountStatus| status.handled_refresh.as_ref() == Some(&token);
            world.scene.system_is("renewed after all", LOGIN, |_, status| done(status)).await;
            world.scene.advance(DAY).await;
            let status = world.scene.system_is("alone", LOGIN, |_, status| status.previous.is_none()).await;
            world.scene.login_is(&robot_of(&status).1).await;
            world.scene.registry_is("Ready", "True").await;
            let robots = world.scene.system_robots().await;
            assert_eq!(robots.len(), 1, "{token}: {robots:?}");
            world.scene.settled("ci").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ended_itself_and_did_not_live_to_see_it_is_given_up() {
    if !system_robots_serve() {
        return;
    }
    let args = vec!["--abandon-after=2".to_owned()];
    let mut world = Faulty::new(Setting { all_namespaces: true, args, ..Setting::default() }).await;
    hand_over(&world.scene).await;
    world.scene.delete("ci").await;
    world.scene.gone("ci").await;
    let mut stop = world.faults.stop_at_next(ends_a_robot, Moment::Committed);
    let name = world.scene.system_name(LOGIN);
    world.scene.plane.kubectl(["delete", "systemrobotaccount", &name, "--wait=false"]).ok().unwrap();
    stop.reached().await;
    world.kill().await;
    drop(stop.client_is_dead());
    world.start();
    eventually("the account is gone", Duration::from_mins(2), || async {
        match world.scene.system_accounts().get_opt(&name).await.unwrap() {
            None => Ok(()),
            Some(account) => Err(format!("{:?}", account.status)),
        }
    })
    .await;
    assert!(world.scene.log().contains("has refused the login that this account published for a long time"));
    assert_eq!(world.scene.system_robots().await, Vec::<Value>::new());
}
