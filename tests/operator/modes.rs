//! How the operator can be run: scope, rights, start, end, several at once.

use std::time::{Duration, Instant};

use harbor_robot_operator::api::RobotAccount;
use harbor_robot_world::eventually;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

use crate::installation::Rights;
use crate::scene::{BOTH_LOGINS, SOON, Scene, Setting};

/// The same account in a second namespace.
async fn account_elsewhere(scene: &Scene) -> (String, Api<RobotAccount>) {
    let namespace = format!("{}-b", scene.namespace);
    scene.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    let accounts: Api<RobotAccount> = Api::namespaced(scene.client.clone(), &namespace);
    let account = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
        "metadata": {"name": "elsewhere", "namespace": namespace},
        "spec": {
            "registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry},
            "project": scene.namespace, "permissions": ["PullArtifacts"],
        },
    });
    accounts.create(&PostParams::default(), &serde_json::from_value(account).unwrap()).await.unwrap();
    (namespace, accounts)
}

async fn has_a_robot(accounts: &Api<RobotAccount>) {
    eventually("the account elsewhere has a robot", SOON, || async {
        let status = accounts.get("elsewhere").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        if status.robot.is_some() { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_namespaces_all_of_them_are_kept() {
    let scene = Scene::new(Setting { all_namespaces: true, ..Setting::default() }).await;
    let grant = json!({"grants": [{"name": "all", "namespaceSelector": {}, "projects": ["*"], "permissions": ["PullArtifacts"]}]});
    scene.edit_registry(grant).await;
    let (_, accounts) = account_elsewhere(&scene).await;
    has_a_robot(&accounts).await;
    accounts.delete("elsewhere", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", SOON, || async {
        if accounts.get_opt("elsewhere").await.unwrap().is_none() { Ok(()) } else { Err("still there") }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_other_namespaces_are_left_alone() {
    let mut scene = Scene::new(Setting::default()).await;
    let namespaces = [scene.namespace.clone(), format!("{}-b", scene.namespace)];
    let grant = json!({"grants": [{"name": "all", "namespaces": namespaces, "projects": ["*"], "permissions": ["PullArtifacts"]}]});
    scene.edit_registry(grant).await;
    let (namespace, accounts) = account_elsewhere(&scene).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.sweeps(2).await;
    let elsewhere = accounts.get("elsewhere").await.unwrap();
    assert!(elsewhere.status.is_none() && elsewhere.metadata.finalizers.is_none());
    assert_eq!(scene.robots().await.len(), 1);
    scene.terminate();
    scene.start_with(&[&format!("--namespaces={namespace}")]);
    has_a_robot(&accounts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_other_registries_says_nothing_about_an_account() {
    let mut scene = Scene::without_operator(Setting::default()).await;
    let mut other = scene.another("nobody", &[]).await;
    scene.account("ci", json!({})).await;
    scene.account("lost", json!({"registryRef": {"kind": "ClusterHarborRegistry", "name": "does-not-exist"}})).await;
    scene.reason_is("lost", "Ready", "False", "RegistryNotFound").await;
    scene.edit("lost", json!({"description": "again"})).await;
    scene
        .account_is("seen", "lost", |account| {
            account.status.as_ref().and_then(|status| status.observed_generation) == account.metadata.generation
        })
        .await;
    assert!(scene.get("ci").await.status.is_none());
    assert!(other.terminate().unwrap().success());
    scene.start();
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_watch_on_secrets_a_lost_one_is_put_right_at_the_poll() {
    for login in BOTH_LOGINS {
        let setting = Setting { login, rights: Some(Rights::Hardened), ..Setting::default() };
        let mut scene = Scene::new(setting).await;
        scene.harbor.reset_calls().await.unwrap();
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        scene.sweeps(2).await;
        assert_eq!(scene.calls("POST /api/v2.0/robots").await, 1);
        let before = scene.logs_in("ci").await;
        scene.secrets().delete("ci", &DeleteParams::default()).await.unwrap();
        let after = scene.logs_in("ci").await;
        assert_ne!(before.secret, after.secret);
        scene.settled("ci").await;
        let log = scene.log();
        assert!(!log.contains("forbidden") && !log.contains("refuses"), "{log}");
        // A restart finds everything as it was left.
        scene.terminate();
        scene.harbor.reset_calls().await.unwrap();
        scene.start();
        scene.sweeps(3).await;
        assert_eq!(scene.calls("POST /api/v2.0/robots").await, 0);
        assert_eq!(scene.logs_in("ci").await, after);
        // One that was lost while nobody looked is made again, also of an account that seems to be at rest.
        scene.account("quiet", json!({})).await;
        scene.settled("quiet").await;
        let before = scene.logs_in("quiet").await;
        scene.terminate();
        scene.delete_secret("quiet").await;
        scene.start();
        assert_ne!(scene.logs_in("quiet").await.secret, before.secret);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_soon_and_a_restart_leaves_settled_accounts_alone() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(Setting { login, ..Setting::default() }).await;
        for at in 0..5 {
            scene.account(&format!("ci-{at}"), json!({"serviceAccounts": ["default"]})).await;
        }
        for at in 0..5 {
            scene.settled(&format!("ci-{at}")).await;
        }
        scene.sweeps(2).await;
        let asked = Instant::now();
        let status = scene.terminate();
        assert!(status.success(), "{status}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        let before = versions(&scene).await;
        scene.harbor.reset_calls().await.unwrap();
        scene.start();
        scene.sweeps(3).await;
        let operator = scene.operator.as_ref().unwrap();
        for path in ["/livez", "/readyz"] {
            assert_eq!(operator.get(path).await.unwrap().0, 200, "{path}");
        }
        for path in ["/", "/metrics"] {
            assert_eq!(operator.get(path).await.unwrap().0, 404, "{path}");
        }
        let metrics = operator.metrics().await.unwrap();
        assert!(!metrics.contains("kube_writes_total{"), "{metrics}");
        assert_eq!(versions(&scene).await, before, "a restart writes nothing");
        let calls = scene.harbor.calls().await.unwrap();
        let writes: Vec<_> =
            calls.calls.iter().filter(|call| call.method != "GET" && call.path != "/c/login").collect();
        assert!(writes.is_empty(), "{writes:?}");
    }
}

/// What every write would change: accounts, Secrets, the registry.
async fn versions(scene: &Scene) -> Vec<Option<String>> {
    let mut versions = vec![scene.registries().get(&scene.registry).await.unwrap().metadata.resource_version];
    for at in 0..5 {
        let name = format!("ci-{at}");
        versions.push(scene.get(&name).await.metadata.resource_version);
        versions.push(scene.secret(&name).await.unwrap().metadata.resource_version);
    }
    versions
}
