//! Who may read the metrics, and what is in them.

use harbor_robot_world::eventually;
use serde_json::json;

use crate::scene::{SOON, Scene, Setting};

#[tokio::test(flavor = "multi_thread")]
async fn metrics_name_no_registry_of_a_namespace_and_are_not_where_the_probes_are() {
    let args = vec!["--private-registry-hosts=127.0.0.1".to_owned()];
    let scene = Scene::new(Setting { args, ..Setting::default() }).await;
    let operator = scene.operator.as_ref().unwrap();
    assert_eq!(operator.get("/metrics").await.unwrap().0, 404);
    let registry = |name: &str, url: &str| {
        scene.apply(json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
            "metadata": {"name": name, "namespace": scene.namespace, "labels": {"scene": scene.registry}},
            "spec": {"url": url, "auth": {"secretRef": {"name": "login"}}},
        }));
    };
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "login", "namespace": scene.namespace, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": scene.login.name, "password": scene.login.secret},
    }));
    registry("team-secret", &scene.harbor.url);
    registry("team-gone", "http://127.0.0.1:9");
    let metrics = eventually("both were probed", SOON, || async {
        let metrics = operator.metrics().await.map_err(|error| error.to_string())?;
        let has = |line: &str| metrics.lines().any(|found| found == line);
        let both = has(r#"harbor_robots_namespaced_registries{state="ready"} 1"#)
            && has(r#"harbor_robots_namespaced_registries{state="not_ready"} 1"#)
            && metrics.contains(r#"harbor_robots_namespaced_registry_calls_total{result="failed"}"#);
        if both { Ok(metrics) } else { Err(metrics) }
    })
    .await;
    assert!(!metrics.contains("team-"), "{metrics}");
    // The one of the cluster answers, so all that says how a call failed would be of the other's address.
    assert!(!metrics.contains("Unreachable"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_authentication_metrics_are_for_those_whom_the_api_server_lets_get_them() {
    let args = vec!["--metrics-authentication".to_owned()];
    let mut scene = Scene::without_operator(Setting { args, ..Setting::default() }).await;
    // What the install leaves out, as the page on metrics says.
    let manifest = include_str!("../../deploy/metrics-authentication.yaml")
        .replace("name: harbor-robot-operator-", &format!("name: {}-", scene.namespace))
        .replace("namespace: harbor-robots", &format!("namespace: {}", scene.system));
    scene.plane.apply(&manifest).unwrap();
    let operator = format!("system:serviceaccount:{}:harbor-robot-operator", scene.system);
    for review in ["tokenreviews.authentication.k8s.io", "subjectaccessreviews.authorization.k8s.io"] {
        eventually(&format!("the operator may create {review}"), SOON, || async {
            let asked = scene.plane.kubectl(["auth", "can-i", "create", review, "--as", &operator]);
            if asked.success { Ok(()) } else { Err(asked.stdout + &asked.stderr) }
        })
        .await;
    }
    scene.start();
    scene.registry_is("Ready", "True").await;
    let operator = scene.operator.as_ref().unwrap();
    let scraper = json!({"name": "scraper", "namespace": scene.namespace});
    scene.apply(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": scraper}));
    let token = scene.plane.kubectl(["create", "token", "scraper", "-n", &scene.namespace]).ok().unwrap();
    let token = token.trim();
    assert_eq!(operator.get_metrics(None).await.unwrap().0, 401);
    assert_eq!(operator.get_metrics(Some("no-token")).await.unwrap().0, 403);
    assert_eq!(operator.get_metrics(Some(token)).await.unwrap().0, 403);
    assert!(operator.ready().await, "the kubelet brings no token");
    let reader = format!("{}-metrics-reader", scene.namespace);
    scene.apply(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": reader},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": reader},
        "subjects": [{"kind": "ServiceAccount", "name": "scraper", "namespace": scene.namespace}],
    }));
    let body = eventually("the scraper may read", SOON, || async {
        let (status, body) = operator.get_metrics(Some(token)).await.map_err(|error| error.to_string())?;
        if status == 200 { Ok(body) } else { Err(format!("{status} {body}")) }
    })
    .await;
    assert!(body.ends_with("# EOF\n"), "{body}");
    assert!(!scene.log().contains(token), "tokens are not logged");
}
