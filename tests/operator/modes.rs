//! How the operator can be run: scope, rights, start, end, several at once.

use std::time::{Duration, Instant};

use harbor_robot_operator::api::{AccountStatus, RobotAccount};
use harbor_robot_world::{Operator, eventually};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::faulty::Faulty;
use crate::installation::Rights;
use crate::scene::{BOTH_LOGINS, SOON, Scene, Setting, everyone};

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

/// Nobody has written its status.
fn is_untouched(account: &RobotAccount) -> bool {
    account
        .status
        .as_ref()
        .is_none_or(|status| *status == AccountStatus { observed_generation: Some(-1), ..AccountStatus::default() })
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
    let grant = json!({"grants": [{"name": "all", "namespaceSelector": everyone(), "projects": ["*"], "permissions": ["PullArtifacts"]}]});
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
    assert!(is_untouched(&elsewhere) && elsewhere.metadata.finalizers.is_none());
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
    assert!(is_untouched(&scene.get("ci").await));
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
            scene.account(&format!("ci-{at}"), json!({"serviceAccounts": [{"name": "default"}]})).await;
        }
        for at in 0..5 {
            scene.settled(&format!("ci-{at}")).await;
        }
        scene.sweeps(2).await;
        // What the last sweep found is written after it.
        eventually("all accounts are counted", SOON, || async {
            let registry = scene.registries().get(&scene.registry).await.map_err(|error| error.to_string())?;
            let count = registry.status.and_then(|status| status.account_count);
            if count == Some(5) { Ok(()) } else { Err(format!("{count:?}")) }
        })
        .await;
        let told = scene.registries().get(&scene.registry).await.unwrap().status;
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
        let now = scene.registries().get(&scene.registry).await.unwrap().status;
        assert!(!metrics.contains("kube_writes_total{"), "{metrics}\nof the registry: {told:?}\nnow: {now:?}");
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

/// A namespace with a login, a registry `own` and an account `elsewhere` that uses it.
async fn own_world(scene: &Scene, namespace: &str) -> Api<RobotAccount> {
    scene.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "own-login", "namespace": namespace, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": scene.login.name, "password": scene.login.secret},
    }));
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "own", "namespace": namespace, "labels": {"scene": scene.registry}},
        "spec": {"url": scene.harbor.url, "auth": {"secretRef": {"name": "own-login"}}, "pollInterval": "1s"},
    }));
    let accounts: Api<RobotAccount> = Api::namespaced(scene.client.clone(), namespace);
    let account = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
        "metadata": {"name": "elsewhere", "namespace": namespace},
        "spec": {
            "registryRef": {"kind": "HarborRegistry", "name": "own"}, "project": scene.namespace, "name": namespace,
            "permissions": ["PullArtifacts"], "serviceAccounts": [{"name": "default"}],
        },
    });
    accounts.create(&PostParams::default(), &serde_json::from_value(account).unwrap()).await.unwrap();
    accounts
}

const NAMESPACED: &str = include_str!("../../deploy/namespaced.yaml");

/// A manifest for this scene's operator, under a name of its own: what a test takes away is asked for in vain.
fn renamed(scene: &Scene, manifest: &str) -> String {
    let install = manifest.replace("namespace: harbor-robots", &format!("namespace: {}", scene.system));
    install.replace("name: harbor-robot-operator\n", &format!("name: {}-op\n", scene.namespace))
}

/// A kubeconfig of the ServiceAccount of a manifest.
fn as_service_account(scene: &Scene, manifest: &str) -> std::path::PathBuf {
    let install = renamed(scene, manifest);
    let others =
        ["kind: Deployment", "kind: Namespace", "kind: PodDisruptionBudget", "kind: ValidatingAdmissionPolicy"];
    let documents = install.split("---\n").filter(|text| !others.iter().any(|kind| text.contains(kind)));
    scene.plane.apply(&documents.collect::<Vec<_>>().join("---\n")).unwrap();
    let name = format!("{}-op", scene.namespace);
    let token = scene.plane.kubectl(["create", "token", &name, "-n", &scene.system]).ok().unwrap();
    scene.plane.kubeconfig_with(token.trim()).unwrap()
}

/// The Role and RoleBinding of a namespace.
fn rights_in(scene: &Scene, namespace: &str) -> String {
    let documents = NAMESPACED.split("---\n").filter(|text| text.contains("namespace: \"team-a\""));
    renamed(scene, &documents.collect::<Vec<_>>().join("---\n")).replace("team-a", namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_alone_are_enough_and_a_namespace_without_one_holds_up_no_other() {
    let args =
        ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s", "--leader-elect", "--cluster-name=roles"];
    // What was there before this operator may have a call under way for as long.
    let args = args.into_iter().chain(["--settle-after=1"]).map(ToOwned::to_owned).collect();
    let mut scene = Scene::without_operator(Setting { args, all_namespaces: true, ..Setting::default() }).await;
    let [first, second] = ["a", "b"].map(|end| format!("{}-{end}", scene.namespace));
    let (in_first, in_second) = (own_world(&scene, &first).await, own_world(&scene, &second).await);
    let of_first = NAMESPACED.replace("team-a", &first);
    scene.kubeconfig = as_service_account(&scene, &of_first);
    let namespaces = format!("--namespaces={first},{second}");
    scene.start_with(&[&namespaces, "--cluster-registries=false"]);
    has_a_robot(&in_first).await;
    eventually("it is ready", SOON, || async {
        if scene.operator.as_ref().unwrap().ready().await { Ok(()) } else { Err(scene.log()) }
    })
    .await;
    assert!(is_untouched(&in_second.get("elsewhere").await.unwrap()));
    let told = || {
        scene.log().lines().filter(|line| line.contains("not allowed to list") && line.contains("RobotAccount")).count()
    };
    assert_eq!(told(), 1, "{}", scene.log());
    let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
    assert!(metrics.contains(r#"harbor_robots_refused_lists{kind="RobotAccount"} 1"#), "{metrics}");
    assert!(
        metrics.contains(r#"harbor_robots_refused_lists{kind="ClusterHarborRegistry"} 0"#),
        "not asked for: {metrics}"
    );
    // What comes later is served then.
    scene.plane.apply(&rights_in(&scene, &second)).unwrap();
    has_a_robot(&in_second).await;
    assert_eq!(told(), 1, "told once");
    // Rights that go hold up no start.
    scene.terminate();
    scene.plane.kubectl(["delete", "rolebinding", "--all", "--namespace", &second]).ok().unwrap();
    scene.start_with(&[&namespaces, "--cluster-registries=false"]);
    let description = Patch::Merge(json!({"spec": {"description": "edited"}}));
    in_first.patch("elsewhere", &PatchParams::default(), &description).await.unwrap();
    eventually("the edit is followed", SOON, || async {
        let account = in_first.get("elsewhere").await.map_err(|error| error.to_string())?;
        let seen = account.status.and_then(|status| status.observed_generation);
        if seen == account.metadata.generation { Ok(()) } else { Err(scene.log()) }
    })
    .await;
    in_first.delete("elsewhere", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", SOON, || async {
        if in_first.get_opt("elsewhere").await.unwrap().is_none() { Ok(()) } else { Err(scene.log()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_of_the_cluster_that_may_not_be_read_hold_up_nobody() {
    let args = ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s", "--cluster-name=roles"];
    let args = args.map(ToOwned::to_owned).to_vec();
    let mut scene = Scene::without_operator(Setting { args, all_namespaces: true, ..Setting::default() }).await;
    let own = format!("{}-a", scene.namespace);
    let accounts = own_world(&scene, &own).await;
    scene.kubeconfig = as_service_account(&scene, &NAMESPACED.replace("team-a", &own));
    scene.start_with(&[&format!("--namespaces={own}")]);
    has_a_robot(&accounts).await;
    let lost = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount", "metadata": {"name": "lost", "namespace": own},
        "spec": {"registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry}, "project": "p"},
    });
    accounts.create(&PostParams::default(), &serde_json::from_value(lost).unwrap()).await.unwrap();
    let message = eventually("it says why", SOON, || async {
        let account = accounts.get("lost").await.map_err(|error| error.to_string())?;
        let synced = crate::scene::condition(&account, "Synced").filter(|synced| synced.1 == "RegistryNotFound");
        synced.map(|synced| synced.2).ok_or(format!("{:?}", account.status))
    })
    .await;
    assert!(message.contains("may not read ClusterHarborRegistry objects"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_name_of_the_cluster_a_start_says_what_to_set() {
    let mut scene = Scene::without_operator(Setting { all_namespaces: true, ..Setting::default() }).await;
    scene.apply(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{}-a", scene.namespace)}}),
    );
    let rights = NAMESPACED.replace("team-a", &format!("{}-a", scene.namespace));
    scene.kubeconfig = as_service_account(&scene, &rights);
    let options = scene.options(&[&format!("--namespaces={}-a", scene.namespace)]);
    let operator = Operator::start(&options);
    let said = match operator {
        Ok(operator) => {
            eventually("it says so and ends", SOON, || async {
                let log = operator.log();
                if log.contains("--cluster-name") { Ok(log) } else { Err(log) }
            })
            .await
        }
        Err(error) => format!("{error:#}"),
    };
    assert!(said.contains("kube-system") && said.contains("Set --cluster-name"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_another_operator_is_not_asked_for_at_each_change_of_its_accounts() {
    const CHANGES: usize = 20;
    let world = Faulty::new(Setting::default()).await;
    let scene = &world.scene;
    let others = format!("{}-others", scene.namespace);
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry", "metadata": {"name": others},
        "spec": {"url": "https://harbor.example.com", "auth": {"secretRef": {"name": "login"}}},
    }));
    scene.account("theirs", json!({"registryRef": {"name": others}})).await;
    let asked = || {
        let of_them = |call: &&harbor_robot_faults::Call| call.method == "GET" && call.path.contains(&others);
        world.faults.trace().iter().filter(of_them).count()
    };
    for change in 0..CHANGES {
        scene.edit("theirs", json!({"description": format!("change {change}")})).await;
        // What comes after it is seen after it.
        let name = format!("ours-{change}");
        scene.account(&name, json!({})).await;
        scene.settled(&name).await;
    }
    assert_eq!(asked(), 1);
    assert!(is_untouched(&scene.get("theirs").await));

    // Nobody serves it any more: the account that goes is asked for anew.
    scene.plane.kubectl(["delete", "clusterharborregistry", &others]).ok().unwrap();
    scene.delete("theirs").await;
    scene.gone("theirs").await;
}
