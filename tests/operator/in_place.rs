//! Rotation with `strategy: InPlace`: the same robot gets another secret.

use harbor_robot_operator::api::RobotAccount;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::rotation::{DELETE, HOUR, MINUTE, PATCH, POST, PUT, expiry_of, note, status_of};
use crate::scene::{LoginAs, Scene, Setting, condition};

fn in_place() -> Value {
    json!({"rotation": {"strategy": "InPlace"}})
}

async fn scene_of(login: LoginAs) -> Scene {
    Scene::new(Setting { login, ..Setting::default() }).await
}

/// The changing calls on robots, in order.
async fn writes(scene: &Scene) -> Vec<String> {
    let calls = scene.harbor.calls().await.unwrap().calls;
    let writes = calls.into_iter().filter(|call| call.method != "GET" && call.path.contains("/robots"));
    writes.map(|call| call.method).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_in_place_keeps_robot_and_login_and_gives_a_whole_lifetime() {
    let mut scene = scene_of(LoginAs::Person).await;
    scene.account("ci", in_place()).await;
    scene.settled("ci").await;
    let mut former = scene.logs_in("ci").await;
    let robot = scene.current_robot("ci").await;
    for _ in 0..2 {
        scene.harbor.reset_calls().await.unwrap();
        scene.advance_to_renewal("ci").await;
        let (account, now) = scene.replaced("ci", &former).await;
        assert_eq!(writes(&scene).await, ["PATCH", "PUT"]);
        assert_eq!(now.name, former.name);
        assert!(!scene.works(&former).await);
        let (status, changed) = (status_of(&account), scene.current_robot("ci").await);
        assert_eq!((&changed["id"], status.previous.as_ref()), (&robot["id"], None));
        // Harbor counts whole days from creation: the age is rounded up, so that nothing is lost.
        let left = expiry_of(&changed).unwrap().duration_since(scene.harbor_now().await);
        let day = SignedDuration::from_hours(24);
        assert!(left > day * 30 - SignedDuration::from_mins(1) && left <= day * 31, "{left:?} left: {changed}");
        assert_eq!(status.robot.as_ref().unwrap().expiration_time, expiry_of(&changed));
        assert!(status.renewal_time.unwrap().duration_since(scene.harbor_now().await) > day * 20);

        assert!(scene.terminate().success());
        scene.start();
        scene.sweeps(2).await;
        assert_eq!(status_of(&scene.get("ci").await), status);
        assert_eq!(writes(&scene).await.len(), 2, "a restart changes nothing");
        former = now;
    }
    assert_eq!(scene.robots().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_secret_is_published_before_anything_else_and_a_failed_put_is_made_up_for() {
    let scene = scene_of(LoginAs::Person).await;
    scene.account("ci", in_place()).await;
    scene.settled("ci").await;
    let former = scene.logs_in("ci").await;
    scene.faults(json!([{"method": "PUT", "path": "/api/v2.0/robots/{id}", "status": 500, "count": 0}])).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.advance_to_renewal("ci").await;
    let synced = |account: &RobotAccount| condition(account, "Synced").is_some_and(|c| c.0 == "False");
    scene.account_is("the PUT failed", "ci", synced).await;
    let now = scene.logs_in("ci").await;
    assert_ne!(now, former);
    scene.harbor.quirks(json!({"reset": true})).await.unwrap();
    scene.settled("ci").await;
    let left = expiry_of(&scene.current_robot("ci").await).unwrap().duration_since(scene.harbor_now().await);
    assert!(left.as_hours() > 29 * 24, "{left:?}");
    assert_eq!((scene.calls(PATCH).await, scene.logs_in("ci").await), (1, now), "one new secret is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_update_is_told_what_to_write_instead() {
    let scene = scene_of(LoginAs::Robot).await;
    for name in ["edited", "left-alone"] {
        scene.account(name, in_place()).await;
        scene.settled(name).await;
    }
    let (edited, left_alone) = (scene.logs_in("edited").await, scene.logs_in("left-alone").await);
    scene.harbor.advance(2 * MINUTE).await.unwrap();
    scene.annotate("edited", "refresh", Some("t1")).await;
    let message = scene.reason_is("edited", "Synced", "False", "LoginCannotUpdate").await;
    assert!(message.contains("write spec.rotation.strategy: Overlap"), "{message}");
    assert!(message.contains("edited.b"), "{message}");
    let account = scene.get("edited").await;
    assert_eq!(condition(&account, "Stalled").unwrap().1, "LoginCannotUpdate");
    assert_eq!(condition(&account, "Ready").unwrap().0, "True");
    assert_eq!(status_of(&account).handled_refresh, None);
    assert!(scene.works(&edited).await);
    let (post, delete) = (scene.calls(POST).await, scene.calls(DELETE).await);

    scene.edit("edited", json!({"rotation": {"strategy": "Overlap"}})).await;
    let (account, now) = scene.replaced("edited", &edited).await;
    assert_eq!(status_of(&account).handled_refresh.as_deref(), Some("t1"), "it waited");
    assert!(now.name.ends_with("+edited.b") && scene.works(&edited).await);
    assert_eq!(condition(&account, "Stalled"), None);

    // Nobody heard it: the credential is renewed when there is nothing left to lose.
    scene.advance_to_renewal("left-alone").await;
    scene.reason_is("left-alone", "Synced", "False", "LoginCannotUpdate").await;
    assert!(scene.works(&left_alone).await);
    let expiry = expiry_of(&scene.current_robot("left-alone").await).unwrap();
    scene.advance_to(expiry).await;
    let (_, again) = scene.replaced("left-alone", &left_alone).await;
    assert_eq!(again.name, left_alone.name);
    assert!(scene.calls(POST).await >= post + 2 && scene.calls(DELETE).await > delete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_may_update_again_is_tried_again_without_another_login() {
    let scene = scene_of(LoginAs::Person).await;
    scene.account("ci", in_place()).await;
    scene.settled("ci").await;
    let refusal = json!({"errors": [{"code": "FORBIDDEN", "message": "forbidden"}]}).to_string();
    let put = json!({"method": "PUT", "path": "/api/v2.0/robots/{id}", "status": 403, "body": refusal, "count": 2});
    scene.faults(json!([put])).await;
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.reason_is("ci", "Synced", "False", "LoginCannotUpdate").await;
    // Each look at the login is an occasion; an edit of the registry asks for one.
    scene.edit_registry(json!({"pollInterval": "2s"})).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_strategy_leaves_a_running_overlap_as_it_is() {
    let scene = scene_of(LoginAs::Person).await;
    scene.account("ci", json!({"rotation": {"overlap": "8h"}})).await;
    scene.settled("ci").await;
    let first = scene.logs_in("ci").await;
    scene.harbor.advance(HOUR).await.unwrap();
    scene.annotate("ci", "refresh", Some("t1")).await;
    let (account, second) = scene.replaced("ci", &first).await;
    let previous = status_of(&account).previous;

    scene.edit("ci", json!({"rotation": {"strategy": "InPlace", "overlap": null}})).await;
    scene.settled("ci").await;
    scene.harbor.advance(HOUR).await.unwrap();
    scene.annotate("ci", "refresh", Some("t2")).await;
    let (account, third) = scene.replaced("ci", &second).await;
    assert_eq!((&third.name, status_of(&account).previous), (&second.name, previous));
    assert!(scene.works(&first).await && !scene.works(&second).await, "the robot before lives on");

    scene.edit("ci", json!({"rotation": {"strategy": "Overlap"}})).await;
    scene.settled("ci").await;
    scene.harbor.advance(HOUR).await.unwrap();
    scene.annotate("ci", "refresh", Some("t3")).await;
    let (account, fourth) = scene.replaced("ci", &third).await;
    assert_eq!(fourth.name, first.name, "the slots alternate");
    assert!(scene.works(&third).await && !scene.works(&first).await);

    scene.edit("ci", json!({"rotation": {"strategy": "InPlace"}})).await;
    let account = scene.advance_past_overlap(&account).await;
    assert!(!scene.works(&third).await);
    assert_eq!((scene.logs_in("ci").await, scene.robots().await.len()), (fourth, 1));
    assert!(!note(&account).contains("overlap"));
}

impl Scene {
    async fn advance_past_overlap(&self, account: &RobotAccount) -> RobotAccount {
        self.advance_to(status_of(account).previous.expect("an overlap runs").revocation_time).await;
        self.overlap_over("ci").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_written_by_hand_is_put_right_and_the_secret_stays() {
    let scene = scene_of(LoginAs::Person).await;
    scene.account("ci", in_place()).await;
    scene.settled("ci").await;
    let login = scene.logs_in("ci").await;
    for days in [3, 300, -1] {
        let mut robot = scene.current_robot("ci").await;
        let right = expiry_of(&robot).unwrap();
        robot["duration"] = json!(days);
        let path = format!("/robots/{}", robot["id"]);
        scene.harbor_api("PUT", &path, robot).await;
        let puts = scene.calls(PUT).await;
        harbor_robot_world::eventually("the expiry is put right", crate::scene::SOON, || async {
            let left = expiry_of(&scene.current_robot("ci").await).map(|at| at.duration_since(right).as_hours());
            if left.is_some_and(|hours| (0..=25).contains(&hours)) { Ok(()) } else { Err(format!("{days}: {left:?}")) }
        })
        .await;
        let account = scene.settled("ci").await;
        assert_eq!(scene.calls(PUT).await, puts + 1);
        assert_eq!(scene.logs_in("ci").await, login);
        let told = |account: &RobotAccount| status_of(account).robot.and_then(|robot| robot.expiration_time);
        let shown = expiry_of(&scene.current_robot("ci").await);
        scene.account_is("status tells Harbor's expiry", "ci", |account| told(account) == shown).await;
        assert!(condition(&account, "Stalled").is_none());
    }
}
