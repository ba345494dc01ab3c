//! Whole lives in which the operator is refused nothing. Every other scene runs with the installed rights, too.

use serde_json::json;

use crate::scene::{Scene, Setting};

#[tokio::test(flavor = "multi_thread")]
async fn the_installed_rights_are_enough_for_a_whole_life() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({"serviceAccounts": [{"name": "default"}]})).await;
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
    let args = ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s"].map(ToOwned::to_owned).to_vec();
    let scene = Scene::new(Setting { args, all_namespaces: true, tls: true, ..Setting::default() }).await;
    let here = scene.namespace_with("here", &json!({}));
    let spec = json!({
        "projects": {"matching": [{"pattern": "*", "permissions": ["PullArtifacts"]}]},
        "secret": {"name": "pull", "namespaces": [here]}, "serviceAccounts": [{"name": "default"}],
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
            "tls": {"caCertificatesRef": {"kind": "ConfigMap", "name": "own-ca", "key": "ca.crt"}},
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
