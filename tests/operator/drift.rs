//! What others change in Harbor is found by the poll and put right.

use harbor_robot_world::{Call, Calls, Login, eventually};
use serde_json::{Value, json};

use crate::prober::Prober;
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, condition, login_in, logins_of_all_projects, pairs};

const MANY: [&str; 5] = ["a", "b", "c", "d", "e"];
const TOKEN: &str = "GET /service/token";
const POST: &str = "POST /api/v2.0/robots";
const PUT: &str = "PUT /api/v2.0/robots/{id}";
const PATCH: &str = "PATCH /api/v2.0/robots/{id}";
const DELETE: &str = "DELETE /api/v2.0/robots/{id}";

/// Five accounts at rest.
async fn many(login: LoginAs, spec: Value) -> Scene {
    let scene = Scene::new(Setting { login, ..Setting::default() }).await;
    for name in MANY {
        scene.account(name, spec.clone()).await;
    }
    for name in MANY {
        scene.settled(name).await;
    }
    scene.two_sweeps().await;
    scene
}

/// Waits until no Secret holds what it held; gives Harbor's calls by then. Nobody but the operator made logins.
async fn all_replaced(scene: &Scene, before: &[Login]) -> Calls {
    eventually("other credentials", SOON, || async {
        for (name, before) in MANY.iter().zip(before) {
            let now = scene.secret(name).await.as_ref().and_then(login_in);
            if now.is_none_or(|now| now == *before) {
                return Err(format!("{name} is as it was"));
            }
        }
        Ok(())
    })
    .await;
    let calls = scene.harbor.calls().await.unwrap();
    for name in MANY {
        scene.settled(name).await;
    }
    calls
}

async fn credentials(scene: &Scene) -> Vec<Login> {
    let mut all = Vec::new();
    for name in MANY {
        all.push(scene.credential(name).await.0);
    }
    all
}

/// Whole lists of the project, as sweeps make them.
fn sweeps(calls: &[Call]) -> usize {
    let is_one = |call: &&Call| call.query.contains("Level") && !call.query.contains("name");
    calls.iter().filter(is_one).count()
}

/// Waits until the account is in sync and its Secret logs in with an enabled robot that is as the spec asks for.
async fn sound(scene: &Scene, what: &str) -> Value {
    eventually(what, SOON, || async {
        let Some(robot) = scene.published("ci").await else { return Err("no robot".to_owned()) };
        let (login, _) = scene.credential("ci").await;
        let works = scene.harbor.verify(&login.name, &login.secret).await.map_err(|error| error.to_string())?;
        let description = robot["description"].as_str().unwrap_or_default();
        let marked = description.contains(&format!("{}/ci", scene.namespace)) && description.starts_with("builds");
        // Harbor counts from creation: a lifetime that begins now is longer by the robot's age, rounded up.
        let lifetime = (30..=31).contains(&robot["duration"].as_i64().unwrap());
        let as_wished = pairs(&robot) == ["repository:pull"] && lifetime && robot["disable"] == false;
        if works && marked && as_wished {
            Ok(())
        } else {
            Err(format!("logs in: {works}; {robot}; {:?}", scene.get("ci").await.status))
        }
    })
    .await;
    scene.settled("ci").await;
    scene.published("ci").await.unwrap()
}

/// The robot as a PUT wants it, changed.
fn edited(robot: &Value, change: &Value) -> Value {
    let mut robot = robot.clone();
    robot.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    robot
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_others_edited_is_put_right() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({"description": "builds"})).await;
        let mut robot = sound(&scene, "made").await;
        let more = json!([{"kind": "project", "namespace": scene.namespace, "access": [
            {"resource": "repository", "action": "pull"}, {"resource": "repository", "action": "push"},
        ]}]);
        let changes = [
            ("disabled", json!({"disable": true})),
            ("permissions", json!({"permissions": more})),
            ("description", json!({"description": ""})),
            ("expiry", json!({"duration": 3})),
        ];
        for (what, change) in changes {
            scene.quiet_hour().await;
            let secret = scene.credential("ci").await.0.secret;
            let path = format!("/robots/{}", robot["id"]);
            scene.harbor_api("PUT", &path, edited(&robot, &change)).await;
            scene.sweeps(1).await;
            robot = sound(&scene, what).await;
            let replaced = scene.credential("ci").await.0.secret != secret;
            assert_eq!(replaced, login == LoginAs::Robot, "{what} with {login:?}");
        }
        assert!(scene.robots().await.len() <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_others_deleted_or_gave_a_new_secret_is_replaced() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({"description": "builds"})).await;
        let robot = sound(&scene, "made").await;
        scene.harbor_api("DELETE", &format!("/robots/{}", robot["id"]), Value::Null).await;
        scene.logs_in("ci").await;
        let robot = sound(&scene, "deleted").await;
        let before = scene.credential("ci").await.0;
        scene.quiet_hour().await;
        scene.harbor_api("PATCH", &format!("/robots/{}", robot["id"]), json!({})).await;
        assert!(!scene.harbor.verify(&before.name, &before.secret).await.unwrap());
        scene.logs_in("ci").await;
        sound(&scene, "given a new secret").await;
        assert_eq!(scene.robots().await.len(), 1, "nobody knows the secret of the other one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_project_that_was_deleted_and_made_again_the_robot_is_made_again() {
    for login in logins_of_all_projects() {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({"description": "builds"})).await;
        sound(&scene, "made").await;
        let path = format!("/_stand-in/projects/{}", scene.namespace);
        scene.harbor.call(None, "DELETE".parse().unwrap(), &path, None).await.unwrap().ok().unwrap();
        let message = scene.reason_is("ci", "Ready", "False", "ProjectNotFound").await;
        assert!(message.contains(&scene.namespace), "{message}");
        scene.harbor.create_project(&scene.namespace).await.unwrap();
        scene.logs_in("ci").await;
        sound(&scene, "made again").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_prefix_of_the_server_renames_the_login_in_every_secret() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(Setting { login, ..Setting::default() }).await;
        for name in ["ci", "cd"] {
            scene.account(name, json!({"description": "builds"})).await;
            scene.settled(name).await;
        }
        let before = scene.credential("ci").await.0;
        scene.harbor_api("PUT", "/configurations", json!({"robot_name_prefix": "bot_"})).await;
        if login == LoginAs::Robot {
            // The operator's own login got another name, too.
            scene.login.name = scene.login.name.replacen("robot$", "bot_", 1);
            scene.write_login(&scene.login);
        }
        for name in ["ci", "cd"] {
            eventually("the new login", SOON, || async {
                let login = scene.credential(name).await.0;
                if login.name.starts_with("bot_") { Ok(()) } else { Err(login.name) }
            })
            .await;
            scene.logs_in(name).await;
            // Status is written after the Secret.
            scene
                .account_is("under its new name", name, |account| {
                    let robot = account.status.as_ref().and_then(|status| status.robot.as_ref());
                    robot.is_some_and(|robot| robot.name.starts_with("bot_"))
                })
                .await;
            scene.settled(name).await;
        }
        assert_eq!(scene.credential("ci").await.0.secret, before.secret, "the secret stays");
        assert_eq!(scene.robots().await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_changed_by_hand_are_replaced_within_one_poll_each_after_exactly_one_login() {
    for (login, strategy) in [
        (LoginAs::Person, "Overlap"),
        (LoginAs::Person, "InPlace"),
        (LoginAs::Robot, "Overlap"),
        (LoginAs::Robot, "InPlace"),
    ] {
        let scene = many(login, json!({"rotation": {"strategy": strategy}})).await;
        if login == LoginAs::Robot && strategy == "InPlace" {
            // That the login may not update is learned by one refusal.
            scene.edit("a", json!({"description": "edited"})).await;
            scene.reason_is("a", "Synced", "False", "LoginCannotUpdate").await;
            scene.edit("a", json!({"description": null})).await;
            scene.settled("a").await;
        }
        let before = credentials(&scene).await;
        scene.harbor.reset_calls().await.unwrap();
        for robot in scene.robots().await {
            scene.harbor_api("PATCH", &format!("/robots/{}", robot["id"]), json!({})).await;
        }
        let own = scene.harbor.calls().await.unwrap().count("GET /api/v2.0/robots");
        let calls = all_replaced(&scene, &before).await;
        // How long the repairs take is up to the machine: what counts is when the last account looked at its credential.
        let is_login = |call: &Call| format!("{} {}", call.method, call.path) == TOKEN;
        let mut logins = (0..calls.calls.len()).filter(|&at| is_login(&calls.calls[at]));
        let looked = logins.nth(MANY.len() - 1).expect("each account tries its credential");
        let before = sweeps(&calls.calls[..looked]);
        assert!(before <= 2 + usize::try_from(own).unwrap(), "within one poll: {:?}", calls.by);
        let all = scene.harbor.calls().await.unwrap();
        let in_place = login == LoginAs::Person && strategy == "InPlace";
        let written = |call| all.count(call);
        let wanted = if in_place { (0, 0, 10) } else { (5, 5, 5) };
        assert_eq!((written(POST), written(DELETE), written(PATCH)), wanted, "{login:?} {strategy}: {:?}", all.by);
        // A PATCH of ours is proved by a login, a new robot needs none.
        assert_eq!(written(TOKEN), if in_place { 10 } else { 5 }, "{login:?} {strategy}: {:?}", all.by);
        for name in MANY {
            scene.logs_in(name).await;
        }
        assert_eq!(scene.robots().await.len(), MANY.len(), "nobody knows the secrets of the others");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn different_drifts_at_once_are_each_put_right_within_one_poll_at_a_bounded_cost() {
    for login in BOTH_LOGINS {
        let scene = many(login, json!({"description": "builds"})).await;
        let more = json!([{"kind": "project", "namespace": scene.namespace, "access": [
            {"resource": "repository", "action": "pull"}, {"resource": "repository", "action": "push"},
        ]}]);
        let changes = [
            ("a", json!({"disable": true})),
            ("b", json!({"permissions": more})),
            ("c", json!({"description": "no mark"})),
            ("d", json!({"duration": 300})),
        ];
        scene.harbor.reset_calls().await.unwrap();
        for (name, change) in &changes {
            let robot = scene.published(name).await.unwrap();
            scene.harbor_api("PUT", &format!("/robots/{}", robot["id"]), edited(&robot, change)).await;
        }
        let deleted = scene.published("e").await.unwrap();
        scene.delete_robot(deleted["id"].as_i64().unwrap()).await;
        let by_hand = scene.harbor.calls().await.unwrap();
        for name in MANY {
            eventually(&format!("{name} is as wished"), SOON, || async {
                let robot = scene.published(name).await.ok_or("no robot")?;
                let text = robot["description"].as_str().unwrap_or_default();
                let marked = text.starts_with("builds [") && text.contains(&format!("/{name}]"));
                let wished = pairs(&robot) == ["repository:pull"] && robot["disable"] == false;
                let lifetime = (30..=31).contains(&robot["duration"].as_i64().unwrap());
                if marked && wished && lifetime { Ok(()) } else { Err("it is not") }
            })
            .await;
        }
        for name in MANY {
            scene.settled(name).await;
        }
        scene.two_sweeps_more(&by_hand).await;
        let calls = scene.harbor.calls().await.unwrap();
        let since = |call| calls.count(call) - by_hand.count(call);
        match login {
            LoginAs::Person => {
                assert_eq!((since(POST), since(PUT), since(PATCH), since(DELETE)), (1, 4, 0, 0), "{:?}", calls.by);
            }
            // By another robot each; the disabled one and the one that could do more are ended.
            LoginAs::Robot => assert_eq!((since(POST), since(PATCH)), (5, 0), "{:?}", calls.by),
        }
        assert!(since(TOKEN) <= 8, "{:?}", calls.by);
        for name in MANY {
            scene.logs_in(name).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_login_that_may_not_update_a_drift_is_put_right_and_nobody_is_cut_off() {
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.account("ci", json!({"description": "builds"})).await;
    scene.account("in-place", json!({"description": "builds", "rotation": {"strategy": "InPlace"}})).await;
    sound(&scene, "made").await;
    scene.settled("in-place").await;
    let prober = Prober::start(&scene, "ci");
    prober.has_seen(1).await;
    for (name, change) in [("ci", json!({"description": "by hand"})), ("in-place", json!({"description": "by hand"}))] {
        let robot = scene.published(name).await.unwrap();
        scene.harbor_api("PUT", &format!("/robots/{}", robot["id"]), edited(&robot, &change)).await;
    }
    prober.has_seen(2).await;
    sound(&scene, "put right").await;
    prober.none_failed().await;
    scene.reason_is("in-place", "Synced", "False", "LoginCannotUpdate").await;
    assert_eq!(condition(&scene.get("in-place").await, "Ready").unwrap().0, "True", "what is published works");
    scene.logs_in("in-place").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_made_again_gets_all_its_robots_back_each_by_one_create() {
    for login in logins_of_all_projects() {
        let scene = many(login, json!({})).await;
        let before = credentials(&scene).await;
        let path = format!("/_stand-in/projects/{}", scene.namespace);
        scene.harbor.call(None, "DELETE".parse().unwrap(), &path, None).await.unwrap().ok().unwrap();
        for name in MANY {
            scene.reason_is(name, "Ready", "False", "ProjectNotFound").await;
        }
        scene.harbor.reset_calls().await.unwrap();
        scene.harbor.create_project(&scene.namespace).await.unwrap();
        let calls = all_replaced(&scene, &before).await;
        assert_eq!(calls.count(POST), 5, "{:?}", calls.by);
        for name in MANY {
            scene.logs_in(name).await;
        }
        assert_eq!(scene.robots().await.len(), MANY.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_prefix_costs_no_write_to_harbor() {
    let scene = many(LoginAs::Person, json!({})).await;
    let (before, robots) = (credentials(&scene).await, scene.robots().await);
    scene.harbor.reset_calls().await.unwrap();
    scene.harbor_api("PUT", "/configurations", json!({"robot_name_prefix": "bot_"})).await;
    let calls = all_replaced(&scene, &before).await;
    assert!(sweeps(&calls.calls) <= 2, "within one poll: {:?}", calls.by);
    let written: u64 = [POST, PUT, PATCH, DELETE].into_iter().map(|call| calls.count(call)).sum();
    assert_eq!((written, scene.robots().await.len()), (0, robots.len()), "{:?}", calls.by);
    for (name, before) in MANY.iter().zip(before) {
        let now = scene.logs_in(name).await;
        assert_eq!((now.name, now.secret), (before.name.replacen("robot$", "bot_", 1), before.secret));
    }
}
