//! What older versions answer differently.

mod common;

use common::{Harbor, json_of, login_of, robot_body};
use harbor_stand_in::Options;
use harbor_stand_in::version::Version;
use serde_json::{Value, json};

async fn harbor(minor: u32, patch: u32) -> Harbor {
    Harbor::with(Options { version: Version::of(minor, patch), ..Options::default() }).await
}

#[tokio::test]
async fn up_to_2_10_duration_zero_means_the_default_and_a_put_without_it_resets() {
    let old = harbor(10, 1).await;
    let made = old.api("POST", "/robots", Some(robot_body("r", 0))).await;
    assert_eq!(made.status, 201);
    let made = json_of(&made);
    let path = format!("/robots/{}", made["id"]);
    assert_eq!(json_of(&old.api("GET", &path, None).await)["duration"], 30);
    let mut body = robot_body(made["name"].as_str().unwrap(), 90);
    assert_eq!(old.api("PUT", &path, Some(body.clone())).await.status, 200);
    body.as_object_mut().unwrap().remove("duration");
    assert_eq!(old.api("PUT", &path, Some(body)).await.status, 200);
    assert_eq!(json_of(&old.api("GET", &path, None).await)["duration"], 30);
    assert_eq!(harbor(11, 0).await.api("POST", "/robots", Some(robot_body("r", 0))).await.status, 400);
}

#[tokio::test]
async fn before_2_10_any_pair_is_stored_and_there_is_no_catalogue() {
    let mut body = robot_body("r", 30);
    body["permissions"][0]["access"] = json!([{"resource": "helm-chart", "action": "read"}]);
    let (old, new) = (harbor(9, 0).await, harbor(10, 0).await);
    assert_eq!(old.api("POST", "/robots", Some(body.clone())).await.status, 201);
    assert_eq!(old.api("GET", "/permissions", None).await.status, 404);
    assert_eq!(new.api("POST", "/robots", Some(body)).await.status, 400);
    let catalogue = json_of(&new.api("GET", "/permissions", None).await);
    assert_eq!(catalogue["system"].as_array().unwrap().len(), 51);
}

#[tokio::test]
async fn up_to_2_12_there_are_endpoints_of_v1_and_they_make_robots_that_are_born_expired() {
    let old = harbor(12, 4).await;
    let body = json!({"name": "v1", "access": [{"resource": "/project/1/repository", "action": "pull"}]});
    let made = old.api("POST", "/projects/library/robots", Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = json_of(&made);
    assert_eq!(made["name"], "robot$library+v1");
    assert!(!old.logs_in(&login_of(&made)).await);
    let path = format!("/projects/library/robots/{}", made["id"]);
    assert_eq!(old.api("PUT", &path, Some(json!({"disable": true}))).await.status, 200);
    assert_eq!(json_of(&old.api("GET", &path, None).await)["disable"], true);
    assert_eq!(old.api("DELETE", &path, None).await.status, 200);
    assert_eq!(harbor(13, 0).await.api("GET", "/projects/library/robots", None).await.status, 404);
}

#[tokio::test]
async fn up_to_2_12_anybody_learns_the_version_and_level_system_lists_everything() {
    let (old, new) = (harbor(12, 4).await, harbor(13, 5).await);
    let anonymous = async |harbor: &Harbor| json_of(&harbor.call("", "GET", "/api/v2.0/systeminfo", None).await);
    assert_eq!(anonymous(&old).await["harbor_version"], "v2.12.4-c50c7ddd");
    assert_eq!(anonymous(&new).await.get("harbor_version"), None);
    for (harbor, listed) in [(&old, "2"), (&new, "1")] {
        harbor.control("POST", "seed", json!({"projects": ["p"], "robotsPerProject": 1})).await;
        harbor.robot("r").await;
        let list = harbor.api("GET", "/robots?q=Level%3Dsystem", None).await;
        assert_eq!(list.headers["X-Total-Count"], listed);
    }
}

#[tokio::test]
async fn from_2_12_to_2_14_0_a_system_robot_cannot_create_project_robots() {
    for (version, status) in [((13, 5), 403), ((14, 0), 403), ((14, 1), 201)] {
        let harbor = harbor(version.0, version.1).await;
        let mut body = robot_body("m", 30);
        body["permissions"][0]["access"] =
            json!([{"resource": "robot", "action": "create"}, {"resource": "repository", "action": "pull"}]);
        let manager = login_of(&json_of(&harbor.api("POST", "/robots", Some(body)).await));
        let mut child = robot_body("c", 30);
        child["level"] = json!("project");
        child["permissions"][0]["namespace"] = json!("library");
        assert_eq!(harbor.call(&manager, "POST", "/api/v2.0/robots", Some(child)).await.status, status);
    }
}

#[tokio::test]
async fn before_2_16_odd_input_is_a_500_and_the_prefix_may_be_blank() {
    let (old, new) = (harbor(15, 2).await, harbor(16, 0).await);
    let nulls: Value = json!({"name": "r", "level": "system", "duration": 30, "permissions": [null]});
    for (harbor, status, prefix) in [(&old, 500, 200), (&new, 400, 400)] {
        assert_eq!(harbor.api("POST", "/robots", Some(nulls.clone())).await.status, status);
        assert_eq!(harbor.api("GET", "/robots?q=Level%3D~project", None).await.status, status);
        assert_eq!(harbor.api("PUT", "/configurations", Some(json!({"robot_name_prefix": ""}))).await.status, prefix);
    }
    assert_eq!(old.api("GET", "/robots/99999999999", None).await.status, 500);
    assert_eq!(new.api("GET", "/robots/99999999999", None).await.status, 404);
}
