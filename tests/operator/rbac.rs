//! The rights in `deploy/install.yaml` are enough, and none of them is missing.

use std::fs;

use harbor_robot_world::scratch;
use serde_json::json;

use crate::scene::{Scene, Setting};

/// A kubeconfig of the installed ServiceAccount instead of the administrator's.
pub fn as_service_account(scene: &Scene, manifest: &str) -> std::path::PathBuf {
    let install = manifest.replace("namespace: harbor-robots", &format!("namespace: {}", scene.system));
    // Bindings of the cluster need names of their own, since scenes run side by side.
    let install = install.replace("name: harbor-robot-operator\n", &format!("name: {}-op\n", scene.namespace));
    let documents =
        install.split("---\n").filter(|text| !text.contains("kind: Deployment") && !text.contains("kind: Namespace"));
    scene.plane.apply(&documents.collect::<Vec<_>>().join("---\n")).unwrap();
    let name = format!("{}-op", scene.namespace);
    let token = scene.plane.kubectl(["create", "token", &name, "-n", &scene.system]).ok().unwrap();
    let config = fs::read_to_string(&scene.plane.kubeconfig).unwrap().replace(&scene.plane.token, token.trim());
    let path = scratch().unwrap().join(format!("{name}.kubeconfig"));
    fs::write(&path, config).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installed_rights_are_enough_for_a_whole_life() {
    let manifest = include_str!("../../deploy/install.yaml");
    let mut scene =
        Scene::without_operator(Setting { args: vec!["--leader-elect".to_owned()], ..Setting::default() }).await;
    scene.kubeconfig = Some(as_service_account(&scene, manifest));
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("ci", json!({"serviceAccounts": ["default"]})).await;
    scene.settled("ci").await;
    scene.edit("ci", json!({"permissions": ["PushArtifacts", "PullArtifacts"]})).await;
    scene.settled("ci").await;
    scene.secrets().delete("ci", &kube::api::DeleteParams::default()).await.unwrap();
    scene.logs_in("ci").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    let log = scene.log();
    assert!(!log.contains("forbidden") && !log.contains("refuses"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installed_rights_are_enough_for_system_accounts_and_registries_of_namespaces() {
    let manifest = include_str!("../../deploy/install.yaml");
    let args = ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s"].map(ToOwned::to_owned).to_vec();
    let mut scene =
        Scene::without_operator(Setting { args, all_namespaces: true, tls: true, ..Setting::default() }).await;
    scene.kubeconfig = Some(as_service_account(&scene, manifest));
    scene.start();
    scene.registry_is("Ready", "True").await;
    let here = scene.namespace_with("here", &json!({}));
    let spec = json!({
        "projects": {"matching": [{"pattern": "*", "permissions": ["PullArtifacts"]}]},
        "secret": {"name": "pull", "namespaces": [here]}, "serviceAccounts": ["default"],
    });
    scene.system_account("puller", spec).await;
    scene.system_settled("puller").await;
    scene.logs_in_from(&here, "pull").await;
    scene.pull_secrets_in(&here, "default", &["pull"]).await;

    let own = &scene.namespace;
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "own-login", "namespace": own, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": scene.login.name, "password": scene.login.secret},
    }));
    scene.apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own-ca", "namespace": own},
        "data": {"ca.crt": scene.harbor.ca},
    }));
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "own", "namespace": own, "labels": {"scene": scene.registry}},
        "spec": {
            "url": scene.harbor.url, "auth": {"secretRef": {"name": "own-login"}},
            "tls": {"caBundleRef": {"kind": "ConfigMap", "name": "own-ca", "key": "ca.crt"}},
        },
    }));
    scene.account("ci", json!({"registryRef": {"kind": "HarborRegistry", "name": "own"}})).await;
    scene.settled("ci").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    scene.delete_system("puller").await;
    scene.no_secret_in(&here, "pull").await;
    let log = scene.log();
    assert!(!log.contains("forbidden") && !log.contains("refuses"), "{log}");
}
