//! Faults of Harbor, of the login and of the registry object: each has a reason at the account, is tried again at a
//! bounded rate, and is over by itself when its cause is.

use std::time::{Duration, Instant};

use harbor_robot_world::{Login, eventually};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::scene::{
    BOTH_LOGINS, LoginAs, SOON, Scene, Setting, condition, logins_of_all_projects, system_robots_serve,
};

const ROBOTS: &str = "/api/v2.0/robots";

/// How many passes ended so far.
async fn passes(scene: &Scene) -> u64 {
    let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
    let counts = metrics.lines().filter(|line| line.starts_with("harbor_robots_passes_total{"));
    counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// A fault of the next `count` POSTs of robots (0: all).
fn post_fault(count: u64, fault: Value) -> Value {
    let mut fault = fault;
    let whole = json!({"method": "POST", "path": ROBOTS, "count": count});
    fault.as_object_mut().unwrap().extend(whole.as_object().unwrap().clone());
    json!([fault])
}

fn harbors_error(code: &str, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_waits_for_its_project() {
    for login in logins_of_all_projects() {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        let project = format!("{}.later", scene.namespace);
        scene.account("ci", json!({"project": project})).await;
        let message = scene.reason_is("ci", "Ready", "False", "ProjectNotFound").await;
        assert!(message.contains(&project), "{message}");
        assert!(condition(&scene.get("ci").await, "Stalled").is_some());
        let posts = scene.calls("POST /api/v2.0/robots").await;
        for seconds in ["2s", "1s"] {
            scene.edit_registry(json!({"pollInterval": seconds})).await;
        }
        scene.harbor.create_project(&project).await.unwrap();
        scene.settled("ci").await;
        scene.logs_in("ci").await;
        assert!(scene.calls("POST /api/v2.0/robots").await <= posts + 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_never_had_a_robot_waits_for_its_project_too() {
    for login in logins_of_all_projects() {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        // No call is made before a robot is there or a Secret is in the way.
        scene.foreign_secret("ci").await;
        let project = format!("{}-later", scene.namespace);
        scene.account("ci", json!({"project": project})).await;
        scene.reason_is("ci", "Synced", "False", "ProjectNotFound").await;
        scene.harbor.create_project(&project).await.unwrap();
        scene.reason_is("ci", "Synced", "False", "SecretNotOwned").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_see_the_project_says_so_and_a_better_one_helps_at_once() {
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let pairs =
        [("robot", "create"), ("robot", "list"), ("robot", "read"), ("robot", "delete"), ("repository", "pull")];
    let access: Vec<Value> = pairs.iter().map(|(r, a)| json!({"resource": r, "action": a})).collect();
    let groups = json!([{"kind": "project", "namespace": "somewhere-else", "access": access}]);
    scene.harbor.create_project("somewhere-else").await.unwrap();
    let poor = scene.harbor.create_system_robot("poor", groups).await.unwrap();
    scene.write_login(&poor);
    let message = scene.reason_is("ci", "Synced", "False", "LoginCannotListProjects").await;
    assert!(message.contains("project:read"), "{message}");
    assert_eq!(condition(&scene.get("ci").await, "Ready").unwrap().0, "True", "its credential works");
    scene.write_login(&scene.login);
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_login_hands_out_no_more_than_it_holds() {
    if !system_robots_serve() {
        return;
    }
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let access = json!([{"resource": "repository", "action": "pull"}, {"resource": "label", "action": "create"}]);
    scene.account("ci", json!({"permissions": null, "access": access})).await;
    let message = scene.reason_is("ci", "Ready", "False", "LoginLacksPermissions").await;
    // This login may not look at itself, so all that was asked for is told.
    let asked = format!("label: create; repository: pull on project {}", scene.namespace);
    assert!(message.contains(&asked), "{message}");
    assert!(!message.contains(&scene.login.name), "the operator's login is nothing for accounts: {message}");
    let better = scene.harbor.create_robot_login("better", &[("label", "create")]).await.unwrap();
    scene.write_login(&better);
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_login_that_may_update_is_found_by_trying() {
    if !system_robots_serve() {
        return;
    }
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.login = scene.harbor.create_robot_login("updater", &[("project", "update")]).await.unwrap();
    scene.write_login(&scene.login);
    scene.start();
    scene.harbor.reset_calls().await.unwrap();
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.settled("ci").await;
    assert_eq!(scene.calls("PUT /api/v2.0/robots/{id}").await, 1);
    assert_eq!(scene.calls("POST /api/v2.0/robots").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_said_where_it_matters_and_everything_drains_after_it() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("old", json!({})).await;
        scene.settled("old").await;
        let outages = [
            ("NoAnswer", json!({"drop": true, "count": 0})),
            ("RateLimited", json!({"status": 503, "count": 0})),
            ("ServerError", json!({"status": 502, "body": "<html>bad gateway</html>", "count": 0})),
            ("BadAnswer", json!({"status": 200, "body": "<html>maintenance</html>", "count": 0})),
        ];
        for (n, (reason, fault)) in outages.into_iter().enumerate() {
            scene.faults(json!([fault])).await;
            scene.registry_reason_is(reason).await;
            scene.harbor.reset_calls().await.unwrap();
            let names: Vec<String> = (0..5).map(|at| format!("new-{n}-{at}")).collect();
            for name in &names {
                scene.account(name, json!({})).await;
            }
            for name in &names {
                scene.reason_is(name, "Ready", "False", reason).await;
            }
            assert_eq!(condition(&scene.get("old").await, "Ready").unwrap().0, "True");
            let calls = scene.harbor.calls().await.unwrap();
            assert!(calls.total < 20, "{:?}", calls.by);
            scene.faults(json!([])).await;
            for name in &names {
                scene.settled(name).await;
                scene.logs_in(name).await;
            }
            scene.registry_is("Ready", "True").await;
        }
        assert_eq!(scene.robots().await.len(), 21);
        assert!(scene.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_tried_rarely_and_a_fixed_one_drains_everything() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("old", json!({})).await;
        scene.settled("old").await;
        scene.harbor.reset_calls().await.unwrap();
        scene.write_login(&Login { name: scene.login.name.clone(), secret: "Wrong12345".to_owned() });
        let message = scene.registry_reason_is("CredentialsRejected").await;
        assert!(message.contains("spec.auth"), "{message}");
        for at in 0..5 {
            scene.account(&format!("new-{at}"), json!({})).await;
        }
        for at in 0..5 {
            scene.reason_is(&format!("new-{at}"), "Ready", "False", "CredentialsRejected").await;
        }
        assert_eq!(condition(&scene.get("old").await, "Ready").unwrap().0, "True");
        let calls = scene.harbor.calls().await.unwrap();
        let refused: Vec<i64> = calls.calls.iter().filter(|call| call.status == 401).map(|call| call.at).collect();
        assert!(refused.len() <= 6, "{calls:?}");
        let apart = refused[refused.len() - 1] - refused[0];
        assert!(apart >= 2000, "the second try comes 2 s after the first: {refused:?}");
        scene.write_login(&scene.login);
        for at in 0..5 {
            scene.settled(&format!("new-{at}")).await;
        }
        assert_eq!(scene.robots().await.len(), 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_replaced_while_harbor_was_away_is_used_by_every_account() {
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.account("ci", json!({"rotation": {"strategy": "InPlace"}})).await;
    scene.settled("ci").await;
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.reason_is("ci", "Synced", "False", "LoginCannotUpdate").await;
    scene.faults(json!([{"drop": true, "count": 0}])).await;
    scene.registry_reason_is("NoAnswer").await;
    scene.write_login(&scene.harbor.admin);
    let other = format!("\"login\":\"{}\"", scene.harbor.admin.name);
    eventually("the other login was tried in vain", SOON, || async {
        let log = scene.log();
        let tried = log.split_once(&other).is_some_and(|(_, later)| later.contains("NoAnswer"));
        if tried { Ok(()) } else { Err(log) }
    })
    .await;
    scene.faults(json!([])).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_login_secret_is_named_to_its_administrator_only() {
    let mut scene = Scene::without_operator(Setting::default()).await;
    let system: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(scene.client.clone(), &scene.system);
    system.delete("login", &DeleteParams::default()).await.unwrap();
    scene.start();
    let message = scene.registry_reason_is("CredentialsMissing").await;
    assert!(message.contains(&format!("Secret login does not exist in namespace {}", scene.system)), "{message}");
    scene.account("ci", json!({})).await;
    let message = scene.reason_is("ci", "Ready", "False", "CredentialsMissing").await;
    assert!(!message.contains(&scene.system), "another namespace's object is never named: {message}");
    scene.write_login(&scene.login);
    scene.settled("ci").await;
    assert_eq!(scene.harbor.calls().await.unwrap().calls.iter().filter(|call| call.status == 401).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_in_use_stays_until_its_last_account_is_gone() {
    let mut scene = Scene::new(Setting { args: vec!["--settle-after=1".to_owned()], ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.registries().delete(&scene.registry, &DeleteParams::default()).await.unwrap();
    // The operator hears of registries and of accounts by two watches, of which either may be the later one.
    eventually("the operator has seen that the registry goes", SOON, || async {
        let registry = scene.registries().get(&scene.registry).await.map_err(|error| error.to_string())?;
        let seen = registry.status.and_then(|status| status.observed_generation);
        if seen == registry.metadata.generation { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    scene.account("late", json!({})).await;
    scene.reason_is("late", "Ready", "False", "RegistryDeleting").await;
    // At a start registries are known before accounts; nothing waits for a poll.
    scene.edit_registry(json!({"pollInterval": "1h"})).await;
    scene.terminate();
    scene.start();
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.settled("ci").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    assert!(scene.robots().await.is_empty());
    scene.reason_is("late", "Ready", "False", "RegistryNotFound").await;
    assert!(scene.registries().get_opt(&scene.registry).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_waits_with_its_deletion_for_a_registry_that_was_forced_away() {
    // Whether the first operator left a call under way, the second cannot know: it waits before an account goes.
    let args = vec!["--settle-after=1".to_owned(), "--abandon-after=1".to_owned()];
    let mut scene = Scene::new(Setting { args, ..Setting::default() }).await;
    for (name, policy) in [("ci", "Delete"), ("kept", "Retain")] {
        scene.account(name, json!({"deletionPolicy": policy})).await;
        scene.settled(name).await;
    }
    let registry = scene.registries().get(&scene.registry).await.unwrap();
    scene.terminate();
    scene.registries().delete(&scene.registry, &DeleteParams::default()).await.unwrap();
    let no_finalizer = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    scene.registries().patch(&scene.registry, &PatchParams::default(), &no_finalizer).await.unwrap();
    scene.start();
    scene.delete("ci").await;
    scene.delete("kept").await;
    scene.gone("kept").await;
    assert!(scene.secret("kept").await.unwrap().metadata.owner_references.unwrap_or_default().is_empty());
    let message = scene.reason_is("ci", "Synced", "False", "RegistryNotFound").await;
    assert!(message.contains(&scene.registry), "{message}");
    assert_eq!(scene.robots().await.len(), 2);
    // It looks whether it may give up as often as it may, however long it waits.
    let (before, since) = (passes(&scene).await, Instant::now());
    eventually("four looks", SOON, || async {
        let now = passes(&scene).await;
        if now >= before + 4 { Ok(()) } else { Err(format!("{} passes", now - before)) }
    })
    .await;
    assert!(since.elapsed() > Duration::from_secs(2), "four looks within {:?}", since.elapsed());
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
        "metadata": {"name": scene.registry, "labels": {"scene": scene.registry}}, "spec": registry.spec,
    }));
    scene.gone("ci").await;
    let left = scene.robots().await;
    assert_eq!(left.len(), 1);
    assert!(left[0]["name"].as_str().unwrap().ends_with("+kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_retain_no_failing_call_holds_the_account() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        let faults = [
            ("down", json!({"drop": true, "count": 0})),
            ("list", json!({"method": "GET", "path": ROBOTS, "status": 500, "count": 0})),
            ("mark", json!({"method": "PUT", "path": "/api/v2.0/robots/{id}", "status": 500, "count": 0})),
        ];
        for (name, _) in &faults {
            scene.account(name, json!({"deletionPolicy": "Retain"})).await;
            scene.settled(name).await;
        }
        for (name, fault) in faults {
            scene.faults(json!([fault])).await;
            scene.delete(name).await;
            scene.gone(name).await;
            scene.faults(json!([])).await;
            scene.registry_is("Ready", "True").await;
            let secret = scene.secret(name).await.unwrap();
            assert!(secret.metadata.owner_references.unwrap_or_default().is_empty(), "{name}");
            scene.logs_in(name).await;
        }
        assert_eq!(scene.robots().await.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_not_held_for_ever_by_a_harbor_that_is_gone() {
    let args = vec!["--abandon-after=3".to_owned()];
    let scene = Scene::new(Setting { args, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let since = Instant::now();
    scene.faults(json!([{"drop": true, "count": 0}])).await;
    scene.registry_is("Ready", "False").await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(scene.client.clone());
    namespaces.delete(&scene.namespace, &DeleteParams::default()).await.unwrap();
    scene.gone("ci").await;
    assert!(since.elapsed() > Duration::from_secs(3), "it waits: {:?}", since.elapsed());
    let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
    assert!(metrics.lines().any(|line| line.contains("abandoned") && line.ends_with(" 1")), "{metrics}");
    assert!(scene.log().contains("deleted in Harbor by hand"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_create_has_its_reason_and_is_over_when_it_stops() {
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let project = format!("project {} not found", scene.namespace);
    let cases = [
        ("401", 1, json!({"status": 401, "body": harbors_error("UNAUTHORIZED", "unauthorized")}), "RegistryNotReady"),
        ("403", 1, json!({"status": 403, "body": harbors_error("FORBIDDEN", "forbidden")}), "Forbidden"),
        ("404", 1, json!({"status": 404, "body": harbors_error("NOT_FOUND", &project)}), "ProjectNotFound"),
        ("404p", 1, json!({"status": 404, "body": "<html>default backend</html>"}), "BadAnswer"),
        ("409", 2, json!({"status": 409, "body": harbors_error("CONFLICT", "robot account exists")}), "Conflict"),
        ("422", 1, json!({"status": 422, "body": harbors_error("X", "validation failure list")}), "Refused"),
        ("429", 1, json!({"status": 429}), "RateLimited"),
        ("500", 4, json!({"status": 500}), "ServerError"),
        ("502", 1, json!({"status": 502, "body": "<html>bad gateway</html>"}), "ServerError"),
        ("junk", 1, json!({"status": 201, "body": "{\"id\": "}), "BadAnswer"),
        ("empty", 1, json!({"status": 201}), "BadAnswer"),
        ("huge", 1, json!({"status": 201, "bodyBytes": 5 << 20}), "BadAnswer"),
        ("drop", 1, json!({"drop": true}), "NoAnswer"),
        ("redirect", 1, json!({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}), "BadAnswer"),
    ];
    for (name, count, fault, reason) in cases {
        let before = scene.calls("POST /api/v2.0/robots").await;
        scene.faults(post_fault(count, fault)).await;
        scene.account(name, json!({"name": format!("r-{name}")})).await;
        let message = scene.reason_is(name, "Synced", "False", reason).await;
        assert!(message.contains(&scene.registry) || message.contains(&scene.harbor.url), "{name}: {message}");
        scene.settled(name).await;
        scene.logs_in(name).await;
        assert_eq!(scene.calls("POST /api/v2.0/robots").await, before + count + 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_one_operation_alone_is_not_tried_hot() {
    for fault in [json!({"status": 503}), json!({"drop": true}), json!({"status": 401})] {
        let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
        scene.account("old", json!({})).await;
        scene.settled("old").await;
        scene.faults(post_fault(0, fault.clone())).await;
        scene.harbor.reset_calls().await.unwrap();
        scene.account("new", json!({})).await;
        scene.sweeps(4).await;
        let calls = scene.harbor.calls().await.unwrap();
        assert!(calls.count("POST /api/v2.0/robots") <= 4 && calls.total < 60, "{fault}: {:?}", calls.by);
        scene.faults(json!([])).await;
        scene.settled("new").await;
    }
    // A list that is refused, when all else works: a pass's own, and the sweep's.
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.account("old", json!({})).await;
    scene.settled("old").await;
    scene.faults(json!([{"method": "GET", "path": ROBOTS, "status": 401, "count": 0}])).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.edit("old", json!({"description": "changed"})).await;
    scene.sweeps(4).await;
    let calls = scene.harbor.calls().await.unwrap();
    let lists: Vec<i64> = calls.calls.iter().filter(|call| call.status == 401).map(|call| call.at).collect();
    assert!(lists[3] - lists[0] >= 700, "{lists:?}");
    scene.faults(json!([])).await;
    scene.settled("old").await;
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.account("old", json!({})).await;
    scene.settled("old").await;
    scene.harbor.reset_calls().await.unwrap();
    let list = json!([{"method": "GET", "path": ROBOTS, "status": 200, "body": "[{", "count": 3}]);
    scene.faults(list).await;
    let started = std::time::Instant::now();
    scene.sweeps(3).await;
    assert!(started.elapsed().as_secs() >= 1, "three failing lists in a row took {:?}", started.elapsed());
    scene.sweeps(2).await;
    scene.registry_is("Ready", "True").await;
    scene.settled("old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed() {
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.faults(post_fault(1, json!({"status": 429, "headers": {"Retry-After": "3"}}))).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.account("ci", json!({})).await;
    scene.reason_is("ci", "Ready", "False", "RateLimited").await;
    scene.registry_reason_is("RateLimited").await;
    scene.settled("ci").await;
    let calls = scene.harbor.calls().await.unwrap().calls;
    let asked = calls.iter().position(|call| call.status == 429).unwrap();
    let after = calls[asked + 1..].iter().filter(|call| call.login == scene.login.name);
    let after: Vec<_> = after.map(|call| call.at - calls[asked].at).collect();
    // What was on its way when the answer came is not held back.
    let too_soon: Vec<_> = after.iter().filter(|later| (500..2990).contains(*later)).collect();
    assert!(too_soon.is_empty() && after.iter().any(|later| *later >= 2990), "the next calls came after {after:?} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_was_lost_leaves_exactly_one_robot() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        for (name, fault) in [
            ("dropped", json!({"afterCommit": true, "drop": true})),
            ("failed", json!({"afterCommit": true, "status": 502})),
            ("garbled", json!({"afterCommit": true, "status": 201, "body": "<html>"})),
        ] {
            scene.faults(post_fault(1, fault)).await;
            scene.account(name, json!({})).await;
            scene.settled(name).await;
            let login = scene.logs_in(name).await;
            let ours = |robot: &&Value| robot["name"].as_str().unwrap().contains(name);
            let robots = scene.robots().await;
            let ours: Vec<&Value> = robots.iter().filter(ours).collect();
            assert_eq!(ours.len(), 1, "{name}");
            assert_eq!(ours[0]["name"], login.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_or_in_status() {
    for login in BOTH_LOGINS {
        let scene =
            Scene::new(Setting { login, args: vec!["--log-level=trace".to_owned()], ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let first = scene.credential("ci").await.0;
        let robot = scene.published("ci").await.unwrap();
        scene.harbor_api("PATCH", &format!("/robots/{}", robot["id"]), json!({})).await;
        eventually("another secret", SOON, || async {
            if scene.credential("ci").await.0.secret == first.secret { Err("the same") } else { Ok(()) }
        })
        .await;
        let second = scene.logs_in("ci").await;
        scene.write_login(&Login { name: scene.login.name.clone(), secret: "Wrong-canary-1".to_owned() });
        scene.registry_reason_is("CredentialsRejected").await;
        let status = serde_json::to_string(&scene.get("ci").await.status).unwrap();
        let registry = serde_json::to_string(&scene.registries().get(&scene.registry).await.unwrap().status).unwrap();
        let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
        for secret in [&first.secret, &second.secret, &scene.login.secret, &"Wrong-canary-1".to_owned()] {
            for text in [&scene.log(), &status, &registry, &metrics] {
                assert!(!text.contains(secret.as_str()));
            }
        }
    }
}
