//! What others change in Harbor is found by the poll and put right.

use harbor_robot_world::eventually;
use serde_json::{Value, json};

use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, pairs};

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
        if works && marked && as_wished { Ok(()) } else { Err(format!("logs in: {works}; {robot}")) }
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
        scene.harbor_api("PATCH", &format!("/robots/{}", robot["id"]), json!({})).await;
        assert!(!scene.harbor.verify(&before.name, &before.secret).await.unwrap());
        scene.logs_in("ci").await;
        sound(&scene, "given a new secret").await;
        assert_eq!(scene.robots().await.len(), 1, "nobody knows the secret of the other one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_project_that_was_deleted_and_made_again_the_robot_is_made_again() {
    for login in BOTH_LOGINS {
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
            let account = scene.settled(name).await;
            assert!(account.status.unwrap().robot.unwrap().name.starts_with("bot_"));
        }
        assert_eq!(scene.credential("ci").await.0.secret, before.secret, "the secret stays");
        assert_eq!(scene.robots().await.len(), 2);
    }
}
