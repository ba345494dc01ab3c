//! The fence between teams, on real parts. Which request a grant covers is tested as a table beside it.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, system_robots_serve};

fn pull_only(scene: &Scene) -> Value {
    json!([{"name": "pull", "namespaces": [scene.namespace], "projects": [scene.namespace], "permissions": ["PullArtifacts"]}])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_outside_the_grants_makes_no_call_until_it_is_granted() {
    if !system_robots_serve() {
        return;
    }
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.edit_registry(json!({"grants": pull_only(&scene)})).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.account("ci", json!({"permissions": ["PullArtifacts", "PushArtifacts"]})).await;
    let message = scene.reason_is("ci", "Ready", "False", "NotPermitted").await;
    assert!(message.contains("repository:push not granted; grant pull allows repository:pull"), "{message}");
    scene.account("elsewhere", json!({"project": "somebody-elses"})).await;
    let message = scene.reason_is("elsewhere", "Ready", "False", "NotPermitted").await;
    assert!(message.contains("no grant") && message.contains("somebody-elses"), "{message}");
    // Each change of the registry starts a sweep.
    for seconds in ["2s", "1s"] {
        scene.edit_registry(json!({"pollInterval": seconds})).await;
    }
    let mut grants = pull_only(&scene);
    grants[0]["permissions"] = json!(["PullArtifacts", "PushArtifacts"]);
    scene.edit_registry(json!({"grants": grants})).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
    let calls = scene.harbor.calls().await.unwrap().calls;
    let ours: Vec<String> = calls
        .iter()
        .filter(|call| {
            // Lists of no project are the operator's look at its own login and at orphans.
            let of_a_project = call.path.contains("projects") || call.query.contains("ProjectID");
            call.login == scene.login.name && (of_a_project || call.path.contains("robots") && call.method != "GET")
        })
        .map(|call| format!("{} {}", call.method, call.path))
        .collect();
    assert_eq!(ours[0], "POST /api/v2.0/robots", "before it was granted: {ours:?}");
    let elsewhere = scene.get("elsewhere").await;
    assert!(elsewhere.metadata.finalizers.is_none(), "without a finalizer it is known to have nothing in Harbor");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_grant_disables_or_deletes_after_the_delay_and_comes_back() {
    for login in BOTH_LOGINS {
        let registry = json!({"grantRevocationDelay": "2s"});
        let scene = Scene::new(Setting { login, registry, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let (before, _) = scene.credential("ci").await;
        scene.edit_registry(json!({"grants": []})).await;
        scene.reason_is("ci", "Ready", "False", "NotPermitted").await;
        let robots = scene.robots().await;
        assert!(
            robots.len() == 1 && robots[0]["disable"] == false,
            "within the delay nothing is taken away: {robots:?}"
        );
        assert!(scene.secret("ci").await.is_some());
        match login {
            LoginAs::Person => {
                scene.robots_are("disabled", |robots| robots.len() == 1 && robots[0]["disable"] == true).await;
            }
            LoginAs::Robot => {
                scene.robots_are("deleted", <[Value]>::is_empty).await;
            }
        }
        harbor_robot_world::eventually("the Secret goes", crate::scene::SOON, || async {
            if scene.secret("ci").await.is_none() { Ok(()) } else { Err("still there") }
        })
        .await;
        assert!(!scene.harbor.verify(&before.name, &before.secret).await.unwrap());
        scene.sweeps(2).await;
        scene.reason_is("ci", "Ready", "False", "NotPermitted").await;

        scene.edit_registry(json!({"grants": pull_only(&scene)})).await;
        scene.settled("ci").await;
        let after = scene.logs_in("ci").await;
        assert_ne!(after.secret, before.secret);
        // Deleting must work without any grant, too.
        scene.edit_registry(json!({"grants": []})).await;
        scene.delete("ci").await;
        scene.gone("ci").await;
        assert!(scene.robots().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_by_labels_follows_the_namespaces_labels() {
    let registry = json!({"grantRevocationDelay": "1s"});
    let scene = Scene::new(Setting { registry, all_namespaces: true, ..Setting::default() }).await;
    let selector = json!({"matchLabels": {"team": "a"}});
    let grant = json!([{"name": "labelled", "namespaceSelector": selector, "projects": ["*"], "permissions": ["PullArtifacts"]}]);
    scene.edit_registry(json!({"grants": grant})).await;
    scene.account("ci", json!({})).await;
    scene.reason_is("ci", "Ready", "False", "NotPermitted").await;
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());
    let label = async |value: Value| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"team": value}}}));
        namespaces.patch(&scene.namespace, &PatchParams::default(), &patch).await.unwrap();
    };
    label(json!("a")).await;
    scene.settled("ci").await;
    label(json!("b")).await;
    scene.reason_is("ci", "Ready", "False", "NotPermitted").await;
    scene.robots_are("disabled", |robots| robots.len() == 1 && robots[0]["disable"] == true).await;
    label(json!("a")).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}
