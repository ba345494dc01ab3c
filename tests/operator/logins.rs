//! What docs/logins.md says: its robots are enough as they are written there, and a project admin is a login, too.

use harbor_robot_operator::api::LoginKind;
use harbor_robot_world::{Login, eventually};
use serde_json::{Value, json};

use crate::scene::{LoginAs, SOON, Scene, Setting, pairs, system_robots_serve};

/// The JSON blocks of the page, in order.
fn documented() -> Vec<Value> {
    let page = include_str!("../../docs/logins.md");
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

async fn scene_as(made: &Value) -> Scene {
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let mut body = made.clone();
    for group in body["permissions"].as_array_mut().unwrap() {
        if group["namespace"] == "team-a" {
            group["namespace"] = json!(scene.namespace);
        }
    }
    let robot = scene.harbor_api("POST", "/robots", body).await;
    let text = |key: &str| robot[key].as_str().unwrap().to_owned();
    scene.write_login(&Login { name: text("name"), secret: text("secret") });
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene
}

/// Makes, changes and deletes an account.
async fn lives(scene: &Scene, spec: Value, narrower: Value) {
    scene.account("ci", spec).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
    scene.edit("ci", narrower).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    scene
        .robots_are("no robot of the account", |robots| {
            robots.iter().all(|robot| !robot["name"].as_str().unwrap().ends_with("+ci"))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_robots_are_enough_as_they_are_written() {
    if !system_robots_serve() {
        return;
    }
    let robots = documented();
    assert_eq!(robots.len(), 2);
    let of_system = scene_as(&robots[0]).await;
    of_system.account("all", json!({"permissions": null})).await;
    of_system.settled("all").await;
    let ten = pairs(&of_system.published("all").await.unwrap());
    assert_eq!(ten.len(), 7, "what the ten permissions of Harbor's page mean: {ten:?}");
    of_system.delete("all").await;
    of_system.gone("all").await;
    lives(&of_system, json!({}), json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    let of_project = scene_as(&robots[1]).await;
    lives(&of_project, json!({}), json!({"permissions": ["PullArtifacts", "PushArtifacts"]})).await;
    for scene in [of_system, of_project] {
        let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
        assert!(status.login.unwrap().expiration_time.is_some(), "it sees itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_admin_is_a_login_for_its_own_projects() {
    let mut scene = Scene::without_operator(Setting::default()).await;
    let (other, password) = (format!("{}.other", scene.namespace), "Aa345678");
    scene.harbor.create_project(&other).await.unwrap();
    let user = json!({"username": "al", "email": "al@example.com", "realname": "al", "password": password});
    scene.harbor_api("POST", "/users", user).await;
    for (project, role) in [(&scene.namespace, 1), (&other, 2)] {
        let member = json!({"role_id": role, "member_user": {"username": "al"}});
        scene.harbor_api("POST", &format!("/projects/{project}/members"), member).await;
    }
    scene.write_login(&Login { name: "al".to_owned(), secret: password.to_owned() });
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("developer", json!({"project": other})).await;
    let message = scene.reason_is("developer", "Ready", "False", "Forbidden").await;
    assert!(message.contains(&format!("administrator of project {other}")), "{message}");
    scene.account("ci", json!({"rotation": {"strategy": "InPlace"}})).await;
    scene.settled("ci").await;
    let (id, login) = (scene.published("ci").await.unwrap()["id"].clone(), scene.logs_in("ci").await);
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.settled("ci").await;
    assert_eq!((&scene.published("ci").await.unwrap()["id"], scene.logs_in("ci").await), (&id, login));
    scene.delete("ci").await;
    scene.gone("ci").await;
    let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
    assert_eq!(status.login.map(|login| (login.kind, login.expiration_time)), Some((LoginKind::User, None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_shell_cut_is_told_with_how_to_quote_it() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.write_login(&Login { name: "robot".to_owned(), secret: "Wrong12345".to_owned() });
    scene.registry_is("Ready", "False").await;
    eventually("the hint", SOON, || async {
        let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        if ready.message.contains("in single quotes") { Ok(()) } else { Err(ready.message) }
    })
    .await;
    // Where the server refuses at once, that is called what it is before long.
    eventually("it is called wrong", 3 * SOON, || async {
        let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        let told = ready.message.contains("user name and password") && ready.message.contains("in single quotes");
        if ready.reason == "CredentialsRejected" && told { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;
}
