//! Real clients push and pull through the stand-in's front, and only with a credential that allows it.
#![allow(clippy::unwrap_used, reason = "the helpers are as much test as their callers")]

use harbor_robot_world::{ControlPlane, Harbor, HarborOptions, Login};
use serde_json::json;

async fn harbor(plane: &ControlPlane, project: &str) -> Harbor {
    let options = HarborOptions { registry: Some(plane.registry.clone()), ..HarborOptions::default() };
    let harbor = Harbor::start(&options).unwrap();
    harbor.create_project(project).await.unwrap();
    harbor
}

fn docker_config(name: &str, host: &str, login: &Login) -> String {
    let config = json!({"auths": {host: {"username": login.name, "password": login.secret}}});
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config.to_string()},
    })
    .to_string()
}

#[tokio::test]
async fn a_private_image_is_pulled_with_a_robots_secret_only() {
    let plane = ControlPlane::shared();
    let harbor = harbor(plane, "secret-only").await;
    let image = format!("{}/secret-only/hello:1", harbor.host());
    let push = ["--image", image.as_str(), "--username", &harbor.admin.name];
    let digest = plane.rig("push", push, &harbor.admin.secret).ok().unwrap();

    let pull = json!([{"kind": "project", "namespace": "secret-only", "access": [{"resource": "repository", "action": "pull"}]}]);
    let robot = harbor.create_system_robot("puller", pull).await.unwrap();
    let wrong = Login { name: robot.name.clone(), secret: "Wrong12345".to_owned() };
    plane.apply(&docker_config("right", harbor.host(), &robot)).unwrap();
    plane.apply(&docker_config("wrong", harbor.host(), &wrong)).unwrap();
    plane.apply(&docker_config("elsewhere", "registry.example.com", &robot)).unwrap();

    assert_eq!(plane.pull("default", &["right"], &image).unwrap(), digest.trim());
    assert_eq!(plane.pull("default", &["wrong", "elsewhere", "right"], &image).unwrap(), digest.trim());
    for refused in [&[][..], &["wrong"], &["elsewhere"]] {
        let error = plane.pull("default", refused, &image).unwrap_err().to_string();
        assert!(error.contains("ErrImagePull"), "{refused:?}: {error}");
    }
}

#[tokio::test]
async fn a_pod_of_a_service_account_with_the_secret_pulls() {
    let plane = ControlPlane::shared();
    let harbor = harbor(plane, "by-account").await;
    let image = format!("{}/by-account/hello:1", harbor.host());
    let push = ["--image", image.as_str(), "--username", &harbor.admin.name];
    let digest = plane.rig("push", push, &harbor.admin.secret).ok().unwrap();
    plane.apply(&docker_config("by-account", harbor.host(), &harbor.admin)).unwrap();
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"},
        "imagePullSecrets": [{"name": "by-account"}],
    });
    plane.apply(&account.to_string()).unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "puller"},
        "spec": {"serviceAccountName": "puller", "containers": [{"name": "c", "image": image}]},
    });
    plane.apply(&pod.to_string()).unwrap();
    assert_eq!(plane.rig("pull", ["--pod", "puller"], "").ok().unwrap(), digest);
    let imagined = ["--service-account", "puller", "--image", &image];
    assert_eq!(plane.rig("pull", imagined, "").ok().unwrap(), digest);
}

#[tokio::test]
async fn the_client_sees_robots_calls_and_logins() {
    let harbor = harbor(ControlPlane::shared(), "seen").await;
    let login = harbor.create_robot_login("operator", &[]).await.unwrap();
    assert!(harbor.verify(&login.name, &login.secret).await.unwrap());
    assert!(!harbor.verify(&login.name, "Wrong12345").await.unwrap());
    harbor.reset_calls().await.unwrap();
    let robot = json!({
        "name": "made", "level": "project", "duration": 30,
        "permissions": [{"kind": "project", "namespace": "seen", "access": [{"resource": "repository", "action": "pull"}]}],
    });
    harbor.api_as(&login, "POST".parse().unwrap(), "/robots", Some(robot)).await.unwrap().ok().unwrap();
    let robots = harbor.robots("seen").await.unwrap();
    assert_eq!(robots.len(), 1);
    let calls = harbor.calls().await.unwrap();
    assert_eq!(calls.count("POST /api/v2.0/robots"), 1);
    assert_eq!(calls.calls[0].login, login.name);
    harbor.quirks(json!({"latencyMs": 1})).await.unwrap();
    harbor.age(31).await.unwrap();
    harbor.advance(60).await.unwrap();
    assert!(!harbor.verify(robots[0]["name"].as_str().unwrap(), "Whatever123").await.unwrap());
}

#[tokio::test]
async fn a_harbor_with_its_own_certificate_authority_is_reached() {
    let harbor = Harbor::start(&HarborOptions { tls: true, ..HarborOptions::default() }).unwrap();
    assert!(harbor.url.starts_with("https://"));
    harbor.create_project("over-tls").await.unwrap();
}
