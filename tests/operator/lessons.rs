//! What the operator learns of a Harbor by trying: no more than the answer says, for no longer than it is true, and
//! nothing is destroyed on the word of one answer.

use std::time::Duration;

use harbor_robot_world::eventually;
use serde_json::{Value, json};

use crate::rotation::{DELETE, PATCH, POST, PUT};
use crate::scene::{SOON, Scene, Setting, condition, pairs};

fn harbors_error(code: &str, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

/// A PUT that is refused so often (0: always).
fn put_fault(body: &str, count: u64) -> Value {
    json!([{"method": "PUT", "path": "/api/v2.0/robots/{id}", "status": 403, "body": body, "count": count}])
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_put_disables_nothing_by_deleting_it() {
    for body in [harbors_error("FORBIDDEN", "forbidden"), "<html>blocked by rule 949110</html>".to_owned()] {
        let scene = Scene::new(Setting::default()).await;
        for name in ["ci", "other"] {
            scene.account(name, json!({"rotation": {"strategy": "InPlace"}})).await;
            scene.settled(name).await;
        }
        let robot = scene.published("ci").await.unwrap();
        scene.faults(put_fault(&body, 1)).await;
        scene.harbor.reset_calls().await.unwrap();
        scene.edit("ci", json!({"disabled": true})).await;
        scene
            .account_is("disabled", "ci", |account| {
                condition(account, "Ready").is_some_and(|(_, reason, _)| reason == "Disabled")
            })
            .await;
        assert_eq!(scene.robot(robot["id"].as_i64().unwrap()).await["disable"], true, "{body}");
        assert_eq!(scene.calls(DELETE).await, 0, "{body}");
        // Nobody else is held up.
        scene.edit("other", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
        scene.settled("other").await;
        assert_eq!(scene.calls(POST).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_firewall_refuses_teaches_nothing_however_often() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({"rotation": {"strategy": "InPlace"}})).await;
    scene.settled("ci").await;
    scene.faults(put_fault("<html>blocked by rule 949110</html>", 4)).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    let message = scene.reason_is("ci", "Synced", "False", "BadAnswer").await;
    assert!(message.contains("403"), "{message}");
    scene.settled("ci").await;
    assert_eq!(pairs(&scene.published("ci").await.unwrap()), ["repository:pull", "tag:create"]);
    assert_eq!((scene.calls(POST).await, scene.calls(DELETE).await, scene.calls(PATCH).await), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_where_a_person_lost_its_role_says_nothing_of_others() {
    let mut scene = Scene::without_operator(Setting::default()).await;
    let (other, password) = (format!("{}.other", scene.namespace), "Aa345678");
    scene.harbor.create_project(&other).await.unwrap();
    let user = json!({"username": "al", "email": "al@example.com", "realname": "al", "password": password});
    scene.harbor_api("POST", "/users", user).await;
    for project in [&scene.namespace, &other] {
        let member = json!({"role_id": 1, "member_user": {"username": "al"}});
        scene.harbor_api("POST", &format!("/projects/{project}/members"), member).await;
    }
    scene.write_login(&harbor_robot_world::Login { name: "al".to_owned(), secret: password.to_owned() });
    scene.start();
    scene.registry_is("Ready", "True").await;
    for (name, project) in [("here", &scene.namespace), ("there", &other)] {
        scene.account(name, json!({"project": project, "rotation": {"strategy": "InPlace"}})).await;
        scene.settled(name).await;
    }
    // A maintainer lists robots and updates none.
    let path = format!("/projects/{other}/members");
    let members = scene.harbor_api("GET", &path, json!(null)).await;
    let own = members.as_array().unwrap().iter().find(|member| member["entity_name"] == "al").unwrap().clone();
    scene.harbor_api("PUT", &format!("{path}/{}", own["id"]), json!({"role_id": 4})).await;
    let wider = json!({"permissions": ["PullArtifacts", "CreateTags"]});
    scene.edit("there", wider.clone()).await;
    scene.reason_is("there", "Synced", "False", "LoginCannotUpdate").await;
    scene.edit("here", wider).await;
    scene.settled("here").await;
    let published = scene.published("here").await.unwrap();
    assert_eq!(pairs(&published), ["repository:pull", "tag:create"]);
}

/// A Harbor that is newer than what is built in, and does not list what it knows to this login.
async fn of_the_future() -> Scene {
    let scene = Scene::without_operator(Setting { all_namespaces: true, ..Setting::default() }).await;
    let info = scene.harbor_api("GET", "/systeminfo", json!(null)).await;
    let mut newer = info.clone();
    newer["harbor_version"] = json!("v2.99.0");
    scene
        .faults(json!([
            {"method": "GET", "path": "/api/v2.0/systeminfo", "status": 200, "body": newer.to_string(), "count": 0},
            {"method": "GET", "path": "/api/v2.0/permissions", "status": 403, "count": 0,
             "body": harbors_error("FORBIDDEN", "forbidden: only admins(system and project) can access permissions")},
        ]))
        .await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_of_the_system_is_not_taken_from_projects() {
    let mut scene = of_the_future().await;
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("ci", json!({"permissions": ["PullArtifacts", "PushArtifacts"]})).await;
    scene.settled("ci").await;
    let former = scene.logs_in("ci").await;
    // Pulling is no permission of the system.
    let access = json!([{"resource": "repository", "action": "pull"}, {"resource": "project", "action": "list"}]);
    scene.system_account("odd", json!({"systemAccess": access})).await;
    scene.system_reason_is("odd", "Synced", "False", "PermissionUnknown").await;
    scene.harbor.advance(61).await.unwrap();
    scene.annotate("ci", "refresh", Some("1")).await;
    scene.replaced("ci", &former).await;
    assert_eq!(pairs(&scene.published("ci").await.unwrap()), ["repository:pull", "repository:push"]);
    scene.delete_system("odd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_harbor_never_lists_hides_no_other_and_is_told() {
    let scene = Scene::new(Setting::default()).await;
    // In the order of sweeps the first one fails.
    let broken = format!("{}.a", scene.namespace);
    let behind = format!("{}.b", scene.namespace);
    for project in [&broken, &behind] {
        scene.harbor.create_project(project).await.unwrap();
    }
    for (name, project) in [("broken", &broken), ("behind", &behind)] {
        scene.account(name, json!({"project": project})).await;
        scene.settled(name).await;
    }
    let id = scene.harbor_api("GET", &format!("/projects/{broken}"), json!(null)).await["project_id"].clone();
    let of_broken = json!({"method": "GET", "path": "/api/v2.0/robots", "uri": format!("ProjectID%3D{id}"), "status": 504, "count": 0});
    scene.faults(json!([of_broken])).await;
    let message = scene.reason_is("broken", "Synced", "False", "ServerError").await;
    assert!(message.contains(&broken), "{message}");
    assert_eq!(condition(&scene.get("broken").await, "Ready").unwrap().0, "True");
    scene.registry_is("Ready", "True").await;
    // What happens behind it is seen.
    let robots = scene.harbor.robots(&behind).await.unwrap();
    scene.delete_robot(robots[0]["id"].as_i64().unwrap()).await;
    eventually("another robot is made", Duration::from_secs(15), || async {
        let now = scene.harbor.robots(&behind).await.map_err(|error| error.to_string())?;
        if now.len() == 1 && now[0]["id"] != robots[0]["id"] { Ok(()) } else { Err(scene.log()) }
    })
    .await;
    scene.faults(json!([])).await;
    let writes = scene.harbor.calls().await.unwrap();
    scene.settled("broken").await;
    let since = scene.harbor.calls().await.unwrap();
    assert_eq!(since.count(POST), writes.count(POST), "it is told without a change");
    eventually("everything is listed again", SOON, || async {
        let registry = scene.registries().get(&scene.registry).await.map_err(|error| error.to_string())?;
        let ready = registry
            .status
            .iter()
            .flat_map(|status| &status.conditions)
            .any(|c| c.type_ == "Ready" && c.status == "True");
        if ready { Ok(()) } else { Err(format!("{:?}", registry.status)) }
    })
    .await;
    assert_eq!(scene.calls(PUT).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sweeps_cannot_see_is_told_whatever_else_happens_to_the_account() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let project = scene.harbor_api("GET", &format!("/projects/{}", scene.namespace), json!(null)).await;
    // The list of all robots fails; one by its name is found.
    let list = format!("ProjectID%3D{}&", project["project_id"]);
    scene.faults(json!([{"method": "GET", "path": "/api/v2.0/robots", "uri": list, "status": 504, "count": 0}])).await;
    scene.reason_is("ci", "Synced", "False", "ServerError").await;
    // An edit is served, by what is found by name.
    scene.edit("ci", json!({"description": "another"})).await;
    let edited = scene.get("ci").await.metadata.generation;
    let seen = scene.account_is("seen", "ci", |account| {
        account.status.as_ref().is_some_and(|status| status.observed_generation == edited)
    });
    let conditions = seen.await.status.unwrap().conditions;
    let synced = conditions.iter().find(|condition| condition.type_ == "Synced").unwrap();
    assert_eq!((synced.status.as_str(), synced.reason.as_str()), ("False", "ServerError"), "{}", synced.message);
    assert_eq!(condition(&scene.get("ci").await, "Ready").unwrap().0, "True");
    scene.faults(json!([])).await;
    scene.settled("ci").await;
}
