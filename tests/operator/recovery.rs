//! Lost records and restored backups, of the cluster and of Harbor: everything comes back without an edit, and whoever
//! holds a credential that was published can go on logging in with it wherever that is possible.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};

use crate::hands::{changes, ids};
use crate::prober::Prober;
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, condition, logins_of_all_projects, pairs};

const STRATEGIES: [&str; 2] = ["Overlap", "InPlace"];

/// Each login with each strategy.
fn combinations() -> impl Iterator<Item = (LoginAs, &'static str)> {
    BOTH_LOGINS.into_iter().flat_map(|login| STRATEGIES.map(|strategy| (login, strategy)))
}

async fn scene_with(login: LoginAs, strategy: &str) -> Scene {
    let scene = Scene::new(Setting { login, ..Setting::default() }).await;
    scene.account("ci", json!({"rotation": {"strategy": strategy}})).await;
    scene.settled("ci").await;
    scene
}

/// Deletes the account's object alone, as if it had been in a cluster that is gone.
async fn take_object_away(scene: &Scene, name: &str) {
    let unheld = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    scene.accounts().patch(name, &PatchParams::default(), &unheld).await.unwrap();
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    scene.accounts().delete(name, &orphan).await.unwrap();
    scene.gone(name).await;
}

/// Waits for what follows a change of the records: two polls, and an account at rest.
async fn at_rest(scene: &Scene) {
    scene.settled("ci").await;
    scene.two_sweeps().await;
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_status_costs_nobody_a_login() {
    for (login, strategy) in combinations() {
        let scene = scene_with(login, strategy).await;
        let prober = Prober::start(&scene, "ci");
        let (robots, before) = (scene.robots().await, scene.get("ci").await.status.unwrap());
        scene.harbor.reset_calls().await.unwrap();
        scene.wipe_status("ci").await;
        at_rest(&scene).await;
        let after = scene.get("ci").await.status.unwrap();
        assert_eq!((after.robot, after.renewal_time), (before.robot, before.renewal_time), "{login:?} {strategy}");
        assert_eq!(scene.robots().await, robots);
        assert_eq!(changes(&scene.harbor.calls().await.unwrap()), 0);
        prober.none_failed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_status_in_the_middle_of_an_overlap_cuts_nobody_off() {
    for login in BOTH_LOGINS {
        let scene = scene_with(login, "Overlap").await;
        let prober = Prober::start(&scene, "ci");
        prober.has_seen(1).await;
        // A lost Secret is the one reason to rotate that both logins serve by an overlap.
        scene.delete_secret("ci").await;
        scene.robots_are("an overlap", |robots| robots.len() == 2).await;
        scene.settled("ci").await;
        prober.has_seen(2).await;
        scene.wipe_status("ci").await;
        at_rest(&scene).await;
        let status = scene.get("ci").await.status.unwrap();
        assert!(status.previous.is_some(), "the older one lives on: {status:?}");
        assert_eq!(scene.robots().await.len(), 2);
        prober.none_failed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_secret_costs_no_login_with_overlap_and_comes_back_with_either_strategy() {
    for (login, strategy) in combinations() {
        let scene = scene_with(login, strategy).await;
        let prober = Prober::start(&scene, "ci");
        prober.has_seen(1).await;
        let lost = scene.credential("ci").await.0;
        scene.delete_secret("ci").await;
        let now = scene.logs_in("ci").await;
        assert_ne!(now, lost);
        at_rest(&scene).await;
        assert_eq!(scene.credential("ci").await.0, now);
        if strategy == "Overlap" {
            prober.has_seen(2).await;
            prober.none_failed().await;
            assert_eq!(scene.robots().await.len(), 2);
        } else {
            assert_eq!(scene.robots().await.len(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_status_and_secret_wiped_the_older_credential_of_an_overlap_lives_on() {
    for login in BOTH_LOGINS {
        let mut scene = scene_with(login, "Overlap").await;
        let older = scene.logs_in("ci").await;
        scene.delete_secret("ci").await;
        scene.robots_are("an overlap", |robots| robots.len() == 2).await;
        scene.settled("ci").await;
        assert!(scene.terminate().success());
        scene.wipe_status("ci").await;
        scene.delete_secret("ci").await;
        let prober = Prober::of(&scene, older);
        scene.start();
        scene.logs_in("ci").await;
        at_rest(&scene).await;
        assert_eq!(scene.robots().await.len(), 2);
        prober.none_failed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_status_and_secret_wiped_each_strategy_comes_back_with_one_robot() {
    for (login, strategy) in combinations() {
        let mut scene = scene_with(login, strategy).await;
        assert!(scene.terminate().success());
        scene.wipe_status("ci").await;
        scene.delete_secret("ci").await;
        scene.start();
        scene.logs_in("ci").await;
        at_rest(&scene).await;
        let (login, robots) = (scene.logs_in("ci").await, scene.robots().await);
        assert_eq!((robots.len(), &robots[0]["name"]), (1, &json!(login.name)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_restored_into_another_cluster_comes_back_without_a_failed_login() {
    for (login, strategy) in combinations() {
        let mut scene = scene_with(login, strategy).await;
        let token = json!({"metadata": {"annotations": {"harbor-robots.io/refresh": "long-ago"}}});
        scene.accounts().patch("ci", &PatchParams::default(), &Patch::Merge(&token)).await.unwrap();
        let before = scene.get("ci").await;
        assert!(scene.terminate().success());
        let prober = Prober::start(&scene, "ci");
        prober.has_seen(1).await;
        take_object_away(&scene, "ci").await;
        // What a backup brings back: spec, annotations and the Secret; a new UID, no status, no finalizer.
        let mut restored = before.clone();
        restored.status = None;
        restored.metadata = kube::api::ObjectMeta {
            name: before.metadata.name.clone(),
            namespace: before.metadata.namespace.clone(),
            annotations: before.metadata.annotations.clone(),
            ..Default::default()
        };
        scene.accounts().create(&PostParams::default(), &restored).await.unwrap();
        scene.start();
        let stays_in_place = login == LoginAs::Robot && strategy == "InPlace";
        if stays_in_place {
            scene.reason_is("ci", "Synced", "False", "LoginCannotUpdate").await;
        } else {
            at_rest(&scene).await;
        }
        let account = scene.get("ci").await;
        assert_ne!(account.metadata.uid, before.metadata.uid);
        assert_eq!(
            (&account.spec, account.metadata.annotations.as_ref()),
            (&before.spec, before.metadata.annotations.as_ref())
        );
        assert_eq!(condition(&account, "Ready").unwrap().0, "True");
        scene.logs_in("ci").await;
        let status = account.status.unwrap();
        assert_eq!(status.handled_refresh.as_deref(), Some("long-ago"), "recorded, not acted on: {login:?} {strategy}");
        let wanted = if login == LoginAs::Robot && strategy == "Overlap" { 2 } else { 1 };
        assert_eq!(scene.robots().await.len(), wanted);
        let owners = scene.secret("ci").await.unwrap().metadata.owner_references.unwrap();
        assert_eq!((owners.len(), Some(&owners[0].uid)), (1, account.metadata.uid.as_ref()));
        prober.none_failed().await;
    }
}

/// As Velero restores: the Secret first and without its owner, its own labels on everything; the finalizer, and no status. The
/// operator is installed already.
#[tokio::test(flavor = "multi_thread")]
async fn what_velero_restores_under_a_running_operator_comes_back_without_a_failed_login() {
    for (login, strategy) in combinations() {
        let mut scene = scene_with(login, strategy).await;
        let (account, secret) = (scene.get("ci").await, scene.secret("ci").await.unwrap());
        assert!(scene.terminate().success());
        let prober = Prober::start(&scene, "ci");
        prober.has_seen(1).await;
        take_object_away(&scene, "ci").await;
        scene.delete_secret("ci").await;
        scene.start();
        let restored = |from: &kube::api::ObjectMeta| {
            let mut labels = from.labels.clone().unwrap_or_default();
            labels.insert("velero.io/backup-name".to_owned(), "nightly".to_owned());
            labels.insert("velero.io/restore-name".to_owned(), "nightly-1".to_owned());
            kube::api::ObjectMeta {
                name: from.name.clone(),
                namespace: from.namespace.clone(),
                annotations: from.annotations.clone(),
                finalizers: from.finalizers.clone(),
                labels: Some(labels),
                ..Default::default()
            }
        };
        let mut again = secret.clone();
        again.metadata = restored(&secret.metadata);
        scene.secrets().create(&PostParams::default(), &again).await.unwrap();
        let mut again = account.clone();
        again.status = None;
        again.metadata = restored(&account.metadata);
        assert!(again.metadata.finalizers.is_some());
        scene.accounts().create(&PostParams::default(), &again).await.unwrap();
        if login == LoginAs::Robot && strategy == "InPlace" {
            scene.reason_is("ci", "Synced", "False", "LoginCannotUpdate").await;
        } else {
            at_rest(&scene).await;
        }
        scene.logs_in("ci").await;
        let (account, secret) = (scene.get("ci").await, scene.secret("ci").await.unwrap());
        assert_eq!(condition(&account, "Ready").unwrap().0, "True", "{login:?} {strategy}");
        let owners = secret.metadata.owner_references.unwrap();
        assert_eq!((owners.len(), Some(&owners[0].uid)), (1, account.metadata.uid.as_ref()));
        prober.none_failed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_under_another_name_leaves_the_robots_of_the_former_one_alone() {
    for (login, with_secret) in BOTH_LOGINS.into_iter().flat_map(|login| [(login, true), (login, false)]) {
        let mut scene = scene_with(login, "Overlap").await;
        let prober = Prober::start(&scene, "ci");
        prober.has_seen(1).await;
        let robots = scene.robots().await;
        let former = scene.registries().get(&scene.registry).await.unwrap().status.unwrap().cluster_name.unwrap();
        assert!(scene.terminate().success());
        take_object_away(&scene, "ci").await;
        if !with_secret {
            scene.delete_secret("ci").await;
        }
        scene.account("ci", json!({})).await;
        scene.start_with(&["--cluster-name=another"]);
        if with_secret {
            // The other name is free, so the account works; the Secret goes on holding what works.
            at_rest(&scene).await;
            assert!(scene.logs_in("ci").await.name.ends_with("+ci.b"));
        } else {
            let message = scene.reason_is("ci", "Ready", "False", "NameTaken").await;
            assert!(message.contains(&format!("--cluster-name={former}")), "{message}");
            let calls = scene.two_sweeps().await;
            assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        }
        assert_eq!(scene.robot(robots[0]["id"].as_i64().unwrap()).await, robots[0]);
        prober.none_failed().await;
        assert!(scene.terminate().success());
        scene.start();
        scene.logs_in("ci").await;
        at_rest(&scene).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_of_harbor_accounts_come_back_and_nobody_elses_robot_is_touched() {
    for login in BOTH_LOGINS {
        let mut scene = scene_with(login, "Overlap").await;
        let spec = json!({"rotation": {"overlap": "1s"}});
        scene.account("revoked", spec.clone()).await;
        scene.settled("revoked").await;
        let revoked = scene.logs_in("revoked").await;
        scene.harbor.snapshot().await.unwrap();
        // Since the backup: a rotation that ended its first robot, an account, and a robot of somebody else.
        scene.delete_secret("revoked").await;
        scene
            .robots_are("the first one was ended", |robots| {
                let named = |name: &str| robots.iter().any(|robot| robot["name"] == name);
                !named(&revoked.name) && named(&format!("{}.b", revoked.name))
            })
            .await;
        scene.settled("revoked").await;
        scene.account("later", json!({})).await;
        scene.settled("later").await;
        let used: Vec<i64> = ids(&scene.robots().await);
        assert!(scene.terminate().success());
        scene.harbor.restore().await.unwrap();
        // Their ids are used again, by robots of others.
        let mut strangers = Vec::new();
        for at in 0..4 {
            strangers.push(scene.stranger(&format!("other-{at}"), "by hand").await);
        }
        let again = |robot: &Value| used.contains(&robot["id"].as_i64().unwrap());
        assert!(strangers.iter().any(again), "{used:?} {strangers:?}");
        assert!(scene.harbor.verify(&revoked.name, &revoked.secret).await.unwrap(), "alive again");

        let prober = Prober::of(&scene, scene.credential("ci").await.0);
        scene.start();
        for name in ["ci", "revoked", "later"] {
            scene.logs_in(name).await;
            scene.settled(name).await;
        }
        // What came back alive is ended when its overlap is over.
        scene
            .robots_are("the revoked one is ended again", |robots| {
                robots.iter().all(|robot| robot["name"] != revoked.name.as_str()) && robots.len() == 3 + strangers.len()
            })
            .await;
        assert!(!scene.harbor.verify(&revoked.name, &revoked.secret).await.unwrap());
        for name in ["ci", "revoked", "later"] {
            scene.settled(name).await;
        }
        for stranger in &strangers {
            assert_eq!(scene.robot(stranger["id"].as_i64().unwrap()).await, *stranger, "not ours, not touched");
        }
        prober.none_failed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_of_harbor_a_secret_from_before_is_replaced_and_edits_are_made_again() {
    for (login, strategy) in combinations() {
        let scene = scene_with(login, strategy).await;
        scene.harbor.snapshot().await.unwrap();
        // Another secret, and with it other permissions, that the backup does not know.
        scene.delete_secret("ci").await;
        scene.logs_in("ci").await;
        at_rest(&scene).await;
        if login == LoginAs::Person {
            scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
            at_rest(&scene).await;
        }
        let published = scene.published("ci").await.unwrap();
        // A second repair waits a minute.
        scene.harbor.advance(61).await.unwrap();
        scene.harbor.restore().await.unwrap();
        scene.two_sweeps().await;
        scene.logs_in("ci").await;
        at_rest(&scene).await;
        assert_eq!(pairs(&scene.published("ci").await.unwrap()), pairs(&published), "{login:?} {strategy}");
        assert!(scene.robots().await.len() <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_of_harbor_an_id_that_means_another_project_now_is_not_believed() {
    for login in logins_of_all_projects() {
        let scene = scene_with(login, "Overlap").await;
        scene.harbor.snapshot().await.unwrap();
        let (later, other) = (format!("{}.later", scene.namespace), format!("{}.other", scene.namespace));
        scene.harbor.create_project(&later).await.unwrap();
        scene.account("later", json!({"project": later})).await;
        scene.settled("later").await;
        scene.harbor.restore().await.unwrap();
        scene.harbor.create_project(&other).await.unwrap();
        let body = json!({
            "name": "later", "level": "project", "duration": 30, "permissions": [{
                "kind": "project", "namespace": other, "access": [{"resource": "repository", "action": "pull"}],
            }],
        });
        let stranger = scene.harbor_api("POST", "/robots", body).await["id"].as_i64().unwrap();
        let stranger = scene.robot(stranger).await;
        let message = scene.reason_is("later", "Ready", "False", "ProjectNotFound").await;
        assert!(message.contains(&later), "{message}");
        scene.harbor.create_project(&later).await.unwrap();
        scene.settled("later").await;
        scene.logs_in("later").await;
        scene.settled("ci").await;
        assert_eq!(scene.harbor.robots(&other).await.unwrap(), [stranger]);
    }
}
