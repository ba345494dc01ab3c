//! `adoptionPolicy: IfUnowned` with each login, and robots that Harbor will not edit or delete.

use harbor_robot_world::Login;
use serde_json::{Value, json};

use crate::hands::changes;
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, condition, pairs};

fn with(login: LoginAs) -> Setting {
    Setting { login, ..Setting::default() }
}

/// An unmarked robot in the project whose secret somebody knows.
async fn found(scene: &Scene, name: &str) -> (Value, Login) {
    scene.stranger_for(name, "by hand", 30).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_update_cannot_adopt_and_one_that_may_does() {
    for better in [LoginAs::Person, LoginAs::Robot] {
        let scene = Scene::new(with(LoginAs::Robot)).await;
        let (robot, known) = found(&scene, "ci").await;
        scene.account("ci", json!({"adoptionPolicy": "IfUnowned"})).await;
        let message = scene.reason_is("ci", "Ready", "False", "LoginCannotUpdate").await;
        assert!(message.contains("adoptionPolicy: IfUnowned needs a login that may update"), "{message}");
        assert_eq!(condition(&scene.get("ci").await, "Stalled").unwrap().1, "LoginCannotUpdate");
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        assert_eq!(scene.robots().await, std::slice::from_ref(&robot));
        assert!(scene.harbor.verify(&known.name, &known.secret).await.unwrap());

        scene.write_login(&match better {
            LoginAs::Person => scene.harbor.admin.clone(),
            LoginAs::Robot => scene.harbor.create_robot_login("updater", &[("project", "update")]).await.unwrap(),
        });
        scene.settled("ci").await;
        scene.logs_in("ci").await;
        let adopted = scene.robots().await;
        assert_eq!((adopted.len(), &adopted[0]["id"]), (1, &robot["id"]));
        assert!(!scene.harbor.verify(&known.name, &known.secret).await.unwrap(), "the secret is a new one");
        scene.delete("ci").await;
        scene.gone("ci").await;
        assert!(scene.robots().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_help_is_said_for_each_robot_that_is_not_adopted() {
    let scene = Scene::new(Setting { args: vec!["--cluster-name=new".to_owned()], ..Setting::default() }).await;
    let path = |cluster: &str, name: &str| {
        format!("[harbor-robots.io/v1 0a1b2c3d-0000-4000-8000-000000000000 {cluster}/{}/{name}]", scene.namespace)
    };
    let cases = [
        ("plain", "by hand".to_owned(), json!({}), "take it over with adoptionPolicy: IfUnowned"),
        ("moved", path("old", "moved"), json!({"adoptionPolicy": "IfUnowned"}), "--cluster-name=old"),
        ("others", path("old", "x"), json!({"adoptionPolicy": "IfUnowned"}), "the mark of another account"),
    ];
    for (name, description, spec, advice) in cases {
        let robot = scene.stranger(name, &description).await;
        scene.account(name, spec).await;
        let message = scene.reason_is(name, "Ready", "False", "NameTaken").await;
        assert!(message.contains(advice), "{name}: {message}");
        assert_eq!(scene.robot(robot["id"].as_i64().unwrap()).await, robot);
    }
    let denied = json!([{
        "name": "all", "namespaces": [scene.namespace], "projects": ["*"], "permissions": ["PullArtifacts"],
    }]);
    scene.edit_registry(json!({"grants": denied})).await;
    scene.edit("plain", json!({"adoptionPolicy": "IfUnowned"})).await;
    scene
        .account_is("the grant is named", "plain", |account| {
            condition(account, "Stalled").is_some_and(|(_, _, text)| text.contains("no grant of the registry allows"))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_robot_is_refused_and_left_alone_until_it_is_deleted() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        let stored = format!("{}+ci", scene.namespace);
        let legacy = json!({"name": stored, "project": scene.namespace, "editable": false});
        let id = scene.harbor.seed_robot(legacy).await.unwrap();
        let before = scene.robot(id).await;
        scene.account("ci", json!({"adoptionPolicy": "IfUnowned"})).await;
        let message = scene.reason_is("ci", "Ready", "False", "LegacyRobot").await;
        assert!(message.contains(&stored) && message.contains("delete it in Harbor"), "{message}");
        assert_eq!(scene.get("ci").await.status.unwrap().legacy, Some(true));
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        assert_eq!(scene.robot(id).await, before);
        scene.delete_robot(id).await;
        let account = scene.settled("ci").await;
        assert_eq!(account.status.unwrap().legacy, None);
        scene.logs_in("ci").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_of_ours_that_lost_its_secret_in_harbor_is_made_again() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let robot = scene.published("ci").await.unwrap();
        assert!(scene.terminate().success());
        scene.delete_robot(robot["id"].as_i64().unwrap()).await;
        let stripped = json!({
            "name": format!("{}+ci", scene.namespace), "project": scene.namespace, "editable": false,
            "description": robot["description"],
        });
        scene.harbor.seed_robot(stripped).await.unwrap();
        scene.start();
        scene.logs_in("ci").await;
        let account = scene.settled("ci").await;
        assert_eq!(account.status.unwrap().legacy, None);
        let robots = scene.robots().await;
        assert_eq!((robots.len(), &robots[0]["editable"]), (1, &json!(true)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_without_any_permission_is_given_one_before_it_is_adopted() {
    let scene = Scene::new(with(LoginAs::Person)).await;
    let (robot, _) = found(&scene, "ci").await;
    scene.harbor.set_permissions(robot["id"].as_i64().unwrap(), json!([])).await.unwrap();
    scene.account("ci", json!({"adoptionPolicy": "IfUnowned"})).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
    let robots = scene.robots().await;
    assert_eq!((robots.len(), &robots[0]["id"]), (1, &robot["id"]));
    assert_eq!(pairs(&robots[0]), ["repository:pull"]);
    scene.delete("ci").await;
    scene.gone("ci").await;
    assert!(scene.robots().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_of_ours_without_any_permission_is_deleted_where_the_login_may_give_it_one_first() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let id = scene.published("ci").await.unwrap()["id"].as_i64().unwrap();
        // Nothing but a deletion is done for it any more.
        scene.edit("ci", json!({"suspend": true})).await;
        scene.reason_is("ci", "Synced", "False", "Suspended").await;
        scene.harbor.set_permissions(id, json!([])).await.unwrap();
        scene.delete("ci").await;
        if login == LoginAs::Robot {
            let message = scene.reason_is("ci", "Synced", "False", "RobotUndeletable").await;
            assert!(message.contains("a person has to give it one"), "{message}");
            let calls = scene.two_sweeps().await;
            assert!(changes(&calls) <= 4, "it is not tried hot: {:?}", calls.by);
            scene.write_login(&scene.harbor.admin);
        }
        scene.gone("ci").await;
        assert!(scene.robots().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_robot_lost_every_permission_works_again_with_either_login() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"rotation": {"overlap": "1s"}})).await;
        scene.settled("ci").await;
        let id = scene.published("ci").await.unwrap()["id"].as_i64().unwrap();
        scene.harbor.set_permissions(id, json!([])).await.unwrap();
        harbor_robot_world::eventually("permissions are back", crate::scene::SOON, || async {
            let robot = scene.published("ci").await.ok_or("no robot")?;
            if pairs(&robot) == ["repository:pull"] { Ok(()) } else { Err("none") }
        })
        .await;
        scene.logs_in("ci").await;
        if login == LoginAs::Robot {
            // What is left over needs somebody; the account works.
            scene.reason_is("ci", "Synced", "False", "RobotUndeletable").await;
            assert_eq!(condition(&scene.get("ci").await, "Ready").unwrap().0, "True");
            let mut left = scene.robot(id).await;
            left["permissions"] = scene.published("ci").await.unwrap()["permissions"].clone();
            scene.harbor_api("PUT", &format!("/robots/{id}"), left).await;
        }
        scene.settled("ci").await;
        scene.robots_are("one robot", |robots| robots.len() == 1).await;
    }
}
