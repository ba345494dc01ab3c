//! `harbor-robots.io/refresh` and `harbor-robots.io/revoke`: a credential replaced because a person asks for it.

use harbor_robot_operator::api::RobotAccount;
use serde_json::{Value, json};

use crate::rotation::{HOUR, MINUTE, PATCH, POST, most_robots, note, status_of};
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, condition};

const EACH_KIND: [(LoginAs, &str); 3] =
    [(LoginAs::Person, "Overlap"), (LoginAs::Robot, "Overlap"), (LoginAs::Person, "InPlace")];

async fn scene_of(login: LoginAs) -> Scene {
    Scene::new(Setting { login, ..Setting::default() }).await
}

fn by(strategy: &str) -> Value {
    json!({"rotation": {"strategy": strategy}})
}

/// How many credentials were made.
async fn rotations(scene: &Scene) -> u64 {
    scene.calls(POST).await + scene.calls(PATCH).await
}

/// What a GitOps tool compares, and who wrote it.
fn wished(account: &RobotAccount) -> (Option<i64>, Value, Vec<String>) {
    let meta = &account.metadata;
    let annotations = serde_json::to_value(&meta.annotations).unwrap();
    let managers = meta.managed_fields.iter().flatten().filter(|entry| {
        let fields = serde_json::to_value(&entry.fields_v1).unwrap();
        fields.get("f:spec").is_some() || fields["f:metadata"].get("f:annotations").is_some()
    });
    let mut managers: Vec<String> = managers.filter_map(|entry| entry.manager.clone()).collect();
    managers.sort();
    (meta.generation, annotations, managers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_rotates_once_whatever_happens_around_it() {
    for (login, strategy) in EACH_KIND {
        let mut scene = scene_of(login).await;
        scene.account("ci", by(strategy)).await;
        scene.settled("ci").await;
        let first = scene.logs_in("ci").await;
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        scene.two_sweeps().await;

        scene.annotate("ci", "refresh", Some("t1")).await;
        let asked = wished(&scene.get("ci").await);
        let (account, second) = scene.replaced("ci", &first).await;
        assert_eq!(status_of(&account).handled_refresh.as_deref(), Some("t1"));
        assert_eq!(scene.works(&first).await, strategy == "Overlap");
        let metadata = scene.secret("ci").await.unwrap().metadata;
        assert_eq!(metadata.annotations.unwrap()["harbor-robots.io/handled-refresh"], "t1");

        // Once: over time, over restarts, without status, and when the token is taken away and comes back.
        scene.harbor.advance(HOUR).await.unwrap();
        scene.sweeps(2).await;
        assert!(scene.terminate().success());
        scene.wipe_status("ci").await;
        scene.start();
        let account = scene.settled("ci").await;
        assert_eq!(status_of(&account).handled_refresh.as_deref(), Some("t1"));
        assert_eq!(wished(&account), asked, "the operator writes no spec and no annotation");
        for token in [None, Some("t1")] {
            scene.annotate("ci", "refresh", token).await;
            scene.sweeps(2).await;
        }
        assert_eq!((rotations(&scene).await, scene.logs_in("ci").await), (1, second.clone()), "{login:?} {strategy}");

        scene.annotate("ci", "refresh", Some("t2")).await;
        let (account, _) = scene.replaced("ci", &second).await;
        assert_eq!(status_of(&account).handled_refresh.as_deref(), Some("t2"));
        assert_eq!(rotations(&scene).await, 2);
        assert!(most_robots(&scene.harbor.calls().await.unwrap(), 1) <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_served_and_taken_away_stays_served_when_the_secret_is_lost() {
    for login in BOTH_LOGINS {
        let scene = scene_of(login).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let first = scene.logs_in("ci").await;
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        scene.annotate("ci", "refresh", Some("t1")).await;
        let (_, second) = scene.replaced("ci", &first).await;
        scene.annotate("ci", "refresh", None).await;
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        scene.delete_secret("ci").await;
        scene.logs_in("ci").await;
        let (account, third) = scene.replaced("ci", &second).await;
        assert_eq!(status_of(&account).handled_refresh.as_deref(), Some("t1"));
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        scene.annotate("ci", "refresh", Some("t1")).await;
        scene.two_sweeps().await;
        assert_eq!(scene.logs_in("ci").await, third);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_of_a_robot_that_is_not_a_minute_old_waits_and_says_so() {
    for (login, strategy) in EACH_KIND {
        let mut scene = scene_of(login).await;
        scene.account("ci", by(strategy)).await;
        scene.settled("ci").await;
        let mut former = scene.logs_in("ci").await;
        for token in ["t1", "t2"] {
            scene.annotate("ci", "refresh", Some(token)).await;
            let waits = |account: &RobotAccount| note(account).contains("waits until the credential is a minute old");
            let account = scene.account_is("the refresh waits", "ci", waits).await;
            assert_eq!(condition(&account, "Synced").unwrap().0, "True");
            scene.sweeps(2).await;
            assert_eq!(scene.logs_in("ci").await, former);
            if token == "t2" {
                assert!(scene.terminate().success());
                scene.start();
            }
            scene.harbor.advance(MINUTE + 1).await.unwrap();
            let (account, now) = scene.replaced("ci", &former).await;
            assert_eq!(status_of(&account).handled_refresh.as_deref(), Some(token));
            assert!(!note(&account).contains("refresh"), "{}", note(&account));
            former = now;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_there_from_the_start_is_recorded_and_not_acted_on() {
    for login in BOTH_LOGINS {
        let scene = scene_of(login).await;
        scene.harbor.reset_calls().await.unwrap();
        scene.apply(json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
            "metadata": {
                "name": "ci", "namespace": scene.namespace,
                "annotations": {"harbor-robots.io/refresh": "r0", "harbor-robots.io/revoke": "k0"},
            },
            "spec": {
                "registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry},
                "project": scene.namespace, "permissions": ["PullArtifacts"],
            },
        }));
        let status = status_of(&scene.settled("ci").await);
        assert_eq!((status.handled_refresh.as_deref(), status.handled_revoke.as_deref()), (Some("r0"), Some("k0")));
        let login = scene.logs_in("ci").await;
        scene.harbor.advance(HOUR).await.unwrap();
        scene.sweeps(2).await;
        assert_eq!((rotations(&scene).await, scene.logs_in("ci").await), (1, login));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_during_a_rotation_is_served_after_it() {
    for (login, strategy) in EACH_KIND {
        let scene = scene_of(login).await;
        scene.account("ci", by(strategy)).await;
        scene.settled("ci").await;
        let first = scene.logs_in("ci").await;
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        scene.two_sweeps().await;
        let step = if strategy == "InPlace" { "RefreshSecret" } else { "CreateRobot" };
        let planned = || scene.log().matches(step).count();
        let before = planned();
        scene.harbor.quirks(json!({"latencyMs": 500})).await.unwrap();
        scene.annotate("ci", "refresh", Some("t1")).await;
        harbor_robot_world::eventually("the rotation began", SOON, || async {
            if planned() > before { Ok(()) } else { Err("not planned yet") }
        })
        .await;
        scene.annotate("ci", "refresh", Some("t2")).await;
        scene.replaced("ci", &first).await;
        scene.harbor.quirks(json!({"reset": true})).await.unwrap();
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        let served = |account: &RobotAccount| status_of(account).handled_refresh.as_deref() == Some("t2");
        scene.account_is("both are served", "ci", served).await;
        let login_now = scene.logs_in("ci").await;
        scene.harbor.advance(HOUR).await.unwrap();
        scene.sweeps(2).await;
        assert_eq!(rotations(&scene).await, 2, "one for each token, {login:?} {strategy}");
        assert_eq!(scene.logs_in("ci").await, login_now);
        assert!(most_robots(&scene.harbor.calls().await.unwrap(), 1) <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_ends_every_older_credential_at_once() {
    for (login, strategy) in EACH_KIND {
        let scene = scene_of(login).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let first = scene.logs_in("ci").await;
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        scene.annotate("ci", "refresh", Some("t1")).await;
        let (_, second) = scene.replaced("ci", &first).await;
        scene.edit("ci", by(strategy)).await;
        scene.settled("ci").await;
        assert!(scene.works(&first).await, "an overlap runs");
        scene.two_sweeps().await;

        // The robot is seconds old: a leak does not wait.
        scene.annotate("ci", "revoke", Some("leak")).await;
        let (_, third) = scene.replaced("ci", &second).await;
        scene.refused(&second).await;
        scene.refused(&first).await;
        let account = scene.overlap_over("ci").await;
        assert_eq!(status_of(&account).handled_revoke.as_deref(), Some("leak"));
        assert_eq!((scene.robots().await.len(), scene.logs_in("ci").await), (1, third.clone()));
        assert_eq!(third.name == second.name, strategy == "InPlace");
        let account = scene.settled("ci").await;
        assert!(!note(&account).contains("overlap"), "{}", note(&account));
        scene.sweeps(2).await;
        assert_eq!(rotations(&scene).await, 1, "once");
        assert!(most_robots(&scene.harbor.calls().await.unwrap(), 2) <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_an_account_that_is_switched_off_wait_until_it_is_on_again() {
    for login in BOTH_LOGINS {
        let scene = scene_of(login).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let former = scene.logs_in("ci").await;
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        scene.edit("ci", json!({"suspend": true})).await;
        scene.reason_is("ci", "Synced", "False", "Suspended").await;
        scene.annotate("ci", "refresh", Some("t1")).await;
        scene.annotate("ci", "revoke", Some("k1")).await;
        scene.two_sweeps().await;
        assert_eq!((rotations(&scene).await, scene.logs_in("ci").await), (0, former.clone()));

        scene.edit("ci", json!({"suspend": null, "disabled": true})).await;
        scene.reason_is("ci", "Ready", "True", "Disabled").await;
        if login == LoginAs::Person {
            let waits = |account: &RobotAccount| {
                let note = note(account);
                note.contains("refresh that was asked for waits until the account is enabled")
                    && note.contains("revocation that was asked for waits until the account is enabled")
            };
            scene.account_is("both wait", "ci", waits).await;
        }
        scene.two_sweeps().await;
        assert_eq!(rotations(&scene).await, 0);
        assert!(!scene.works(&former).await);

        scene.edit("ci", json!({"disabled": null})).await;
        let served = |account: &RobotAccount| {
            let status = status_of(account);
            status.handled_refresh.as_deref() == Some("t1") && status.handled_revoke.as_deref() == Some("k1")
        };
        scene.account_is("both are served", "ci", served).await;
        scene.replaced("ci", &former).await;
        let account = scene.overlap_over("ci").await;
        assert!(!scene.works(&former).await);
        assert!(!note(&account).contains("asked for"), "{}", note(&account));
        assert_eq!((rotations(&scene).await, scene.robots().await.len()), (1, 1));
    }
}
