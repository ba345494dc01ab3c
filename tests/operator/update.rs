//! An edited account: by PUT where the login may, by another robot where it may not.

use harbor_robot_operator::clock;
use serde_json::{Value, json};

use crate::hands::ids;
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, condition, pairs};

const DAY: i64 = 86_400;

fn with(login: LoginAs) -> Setting {
    Setting { login, ..Setting::default() }
}

fn days_left(robot: &Value, now: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seconds of some years")]
    let days = (robot["expires_at"].as_i64().unwrap() - now) as f64 / DAY as f64;
    days
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_changes_the_robot_itself_and_its_secret_stays() {
    let scene = Scene::new(with(LoginAs::Person)).await;
    scene.account("ci", json!({"description": "pulls"})).await;
    scene.settled("ci").await;
    let (before, login) = (scene.robots().await, scene.logs_in("ci").await);
    scene.harbor.reset_calls().await.unwrap();

    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"], "description": "tags"})).await;
    scene.settled("ci").await;
    let robots = scene.robots().await;
    assert_eq!(ids(&robots), ids(&before));
    assert_eq!(pairs(&robots[0]), ["repository:pull", "tag:create"]);
    assert!(robots[0]["description"].as_str().unwrap().starts_with("tags [harbor-robots.io/v1 "), "{}", robots[0]);
    assert_eq!(robots[0]["expires_at"], before[0]["expires_at"]);

    scene.edit("ci", json!({"expiresAfter": "Never"})).await;
    let account = scene.settled("ci").await;
    assert_eq!(scene.robots().await[0]["expires_at"], -1);
    assert_eq!(account.status.unwrap().robot.unwrap().expiration_time, None);

    assert_eq!(scene.credential("ci").await.0, login);
    let calls = scene.harbor.calls().await.unwrap();
    assert_eq!(calls.count("PUT /api/v2.0/robots/{id}"), 2, "{:?}", calls.by);
    assert_eq!(calls.count("PATCH /api/v2.0/robots/{id}") + calls.count("POST /api/v2.0/robots"), 0, "{:?}", calls.by);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_expiry_counts_from_now() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"expiresAfter": "90d"})).await;
        scene.settled("ci").await;
        scene.harbor.advance(5 * 86_400).await.unwrap();
        scene.two_sweeps().await;
        scene.edit("ci", json!({"expiresAfter": "60d"})).await;
        let account = scene.settled("ci").await;
        let id = account.status.as_ref().unwrap().robot.as_ref().unwrap().id;
        let robot = scene.robot(id).await;
        let now = clock::now().as_second() + 5 * DAY;
        let left = days_left(&robot, now);
        // Harbor counts whole days from creation: the age is rounded up, so that nothing is lost.
        assert!((59.9..=61.0).contains(&left), "{left} days left: {robot}");
        let wanted = if login == LoginAs::Person { 66 } else { 60 };
        assert_eq!(robot["duration"], wanted);
        assert_eq!(account.status.unwrap().expires_after.as_deref(), Some("60d"));
        scene.logs_in("ci").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_login_makes_another_robot_and_the_former_lives_on_for_the_overlap() {
    let scene = Scene::new(with(LoginAs::Robot)).await;
    scene.account("ci", json!({})).await;
    scene.account("brief", json!({"rotation": {"overlap": "1s"}})).await;
    scene.settled("ci").await;
    scene.settled("brief").await;
    let former = scene.logs_in("ci").await;

    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    let account = scene.settled("ci").await;
    let login = scene.logs_in("ci").await;
    assert!(login.name.ends_with("+ci.b"), "{}", login.name);
    assert!(scene.harbor.verify(&former.name, &former.secret).await.unwrap());
    let status = account.status.unwrap();
    assert_eq!((status.robot.unwrap().name, status.previous.unwrap().name), (login.name, former.name));

    scene.edit("brief", json!({"description": "changed"})).await;
    scene.settled("brief").await;
    scene
        .robots_are("the former robot is retired", |robots| {
            let names: Vec<&str> = robots.iter().map(|robot| robot["name"].as_str().unwrap()).collect();
            names.iter().any(|name| name.ends_with("+brief.b")) && !names.iter().any(|name| name.ends_with("+brief"))
        })
        .await;
    scene
        .account_is("no previous", "brief", |account| account.status.as_ref().is_some_and(|s| s.previous.is_none()))
        .await;
    scene.logs_in("brief").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_change_during_an_overlap_takes_the_former_robots_slot() {
    let scene = Scene::new(with(LoginAs::Robot)).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let mut former = scene.logs_in("ci").await;
    for (description, slot) in [("second", "+ci.b"), ("third", "+ci"), ("fourth", "+ci.b")] {
        scene.edit("ci", json!({"description": description})).await;
        scene.settled("ci").await;
        let login = scene.logs_in("ci").await;
        assert!(login.name.ends_with(slot), "{}", login.name);
        assert!(scene.harbor.verify(&former.name, &former.secret).await.unwrap(), "the credential just replaced");
        assert_eq!(scene.robots().await.len(), 2);
        former = login;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_robot_login_rights_that_shrink_end_the_former_robot_at_once() {
    let scene = Scene::new(with(LoginAs::Robot)).await;
    scene.account("ci", json!({"permissions": ["PullArtifacts", "PushArtifacts"]})).await;
    scene.settled("ci").await;
    let former = scene.logs_in("ci").await;
    scene.edit("ci", json!({"permissions": ["PullArtifacts"]})).await;
    let robots = scene
        .robots_are("only the narrower robot is left", |robots| {
            robots.len() == 1 && pairs(&robots[0]) == ["repository:pull"]
        })
        .await;
    let login = scene.logs_in("ci").await;
    assert_eq!(robots[0]["name"], login.name);
    assert!(!scene.harbor.verify(&former.name, &former.secret).await.unwrap());
    scene
        .account_is("no previous", "ci", |account| account.status.as_ref().is_some_and(|s| s.previous.is_none()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_does_not_log_in_until_it_is_enabled_again() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let (before, former) = (scene.robots().await, scene.logs_in("ci").await);

        scene.edit("ci", json!({"disabled": true})).await;
        let account = scene.settled("ci").await;
        let ready = condition(&account, "Ready").unwrap();
        assert_eq!((ready.0.as_str(), ready.1.as_str()), ("True", "Disabled"));
        assert!(!scene.harbor.verify(&former.name, &former.secret).await.unwrap());
        let robots = scene.robots().await;
        match login {
            LoginAs::Person => assert_eq!((ids(&robots), &robots[0]["disable"]), (ids(&before), &json!(true))),
            LoginAs::Robot => assert!(robots.is_empty(), "{robots:?}"),
        }

        scene.edit("ci", json!({"disabled": false})).await;
        scene.settled("ci").await;
        let again = scene.logs_in("ci").await;
        assert_eq!(again == former, login == LoginAs::Person);
        assert_eq!(scene.robots().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_that_loses_its_secret_works_once_it_is_enabled() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        scene.edit("ci", json!({"disabled": true})).await;
        scene.settled("ci").await;
        scene.delete_secret("ci").await;
        scene.two_sweeps().await;
        assert!(scene.robots().await.iter().all(|robot| robot["disable"] == true));
        scene.edit("ci", json!({"disabled": null})).await;
        scene.settled("ci").await;
        scene.logs_in("ci").await;
        assert_eq!(scene.robots().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_starts_disabled_has_a_credential_as_soon_as_it_is_enabled() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"disabled": true})).await;
        let account = scene.settled("ci").await;
        assert_eq!(condition(&account, "Ready").unwrap().1, "Disabled");
        let robots = scene.robots().await;
        assert!(robots.iter().all(|robot| robot["disable"] == true), "{robots:?}");
        scene.edit("ci", json!({"disabled": null})).await;
        scene.settled("ci").await;
        scene.logs_in("ci").await;
    }
}
