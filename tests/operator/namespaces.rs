//! The Secret of a system account in many namespaces: by name and by label, as they come, change and go.

use harbor_robot_world::{Login, eventually};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::scene::{BOTH_LOGINS, SOON, Scene, Setting, login_in};
use crate::system::says;

/// An account that pulls everywhere, with this `secret`.
pub fn pull(secret: Value, service_accounts: Value) -> Value {
    json!({
        "projects": {"all": {"permissions": ["PullArtifacts"]}},
        "secret": secret, "serviceAccounts": service_accounts,
    })
}

async fn relabel(scene: &Scene, namespace: &str, labels: Value) {
    let api: Api<Namespace> = Api::all(scene.client.clone());
    let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
    api.patch(namespace, &PatchParams::default(), &patch).await.unwrap();
}

/// What a status says of a namespace.
pub fn row<'a>(
    status: &'a harbor_robot_operator::api::AccountStatus,
    namespace: &str,
) -> Option<&'a harbor_robot_operator::api::NamespaceRecord> {
    status.namespaces.iter().find(|row| row.name == namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_follows_namespaces_by_name_and_label() {
    for login in BOTH_LOGINS {
        let scene = Scene::of_the_system(Setting { login, ..Setting::default() }).await;
        let team = scene.system_name("team");
        let named = scene.namespace_with("named", &json!({}));
        let labelled = scene.namespace_with("labelled", &json!({"pull": team}));
        let other = scene.namespace_with("other", &json!({}));
        let later = format!("{}-later", scene.namespace);
        let secret = json!({"name": "pull", "namespaces": [named, later], "namespaceSelector": {"matchLabels": {"pull": team}},
                            "keys": [{"key": "username", "format": "Username"}, {"key": "password", "format": "Password"}]});
        scene.system_account("puller", pull(secret, json!([{"name": "default"}]))).await;
        let status = scene.system_settled("puller").await;
        let first = scene.logs_in_from(&scene.system, "pull").await;
        for namespace in [&named, &labelled] {
            assert_eq!(scene.logs_in_from(namespace, "pull").await, first);
            scene.pull_secrets_in(namespace, "default", &["pull"]).await;
            assert!(row(&status, namespace).unwrap().ready);
        }
        assert_eq!(row(&status, &later).unwrap().reason.as_deref(), Some("NamespaceNotFound"));
        assert_eq!(status.namespace_count, Some(3));
        assert!(scene.secret_in(&other, "pull").await.is_none());
        // The first Secret's own namespace was not asked for.
        scene.pull_secrets_in(&scene.system, "default", &[]).await;

        // A namespace that comes, one that fits now, one that does not any more.
        scene.namespace_with("later", &json!({}));
        assert_eq!(scene.logs_in_from(&later, "pull").await, first);
        scene.pull_secrets_in(&later, "default", &["pull"]).await;
        relabel(&scene, &other, json!({"pull": team})).await;
        assert_eq!(scene.logs_in_from(&other, "pull").await, first);
        relabel(&scene, &labelled, json!({"pull": null})).await;
        scene.no_secret_in(&labelled, "pull").await;
        scene.pull_secrets_in(&labelled, "default", &[]).await;
        assert_eq!(scene.system_robots().await.len(), 1, "the robot is the same");

        // A rotation reaches all of them.
        scene.harbor.advance(61).await.unwrap();
        scene.annotate_system("puller", "harbor-robots.io/refresh", "1").await;
        for namespace in [&scene.system, &named, &other, &later] {
            eventually(&format!("{namespace} has the new credential"), SOON, || async {
                let secret = scene.secret_in(namespace, "pull").await;
                let login = secret.as_ref().and_then(login_in).ok_or("none")?;
                if login.name == "robot$puller.b" { Ok(()) } else { Err("the former one") }
            })
            .await;
        }
        scene.system_settled("puller").await;

        // A namespace may go without a trace.
        Api::<Namespace>::all(scene.client.clone()).delete(&other, &DeleteParams::default()).await.unwrap();
        scene.system_is("two namespaces", "puller", |_, status| status.namespace_count == Some(2)).await;
        scene.system_settled("puller").await;

        // With the account everything goes.
        scene.delete_system("puller").await;
        for namespace in [&scene.system, &named, &later] {
            scene.no_secret_in(namespace, "pull").await;
        }
        scene.pull_secrets_in(&named, "default", &[]).await;
    }
}

/// Waits until the namespace has this credential.
pub async fn holds(scene: &Scene, namespace: &str, login: &Login) {
    eventually(&format!("{namespace} has the credential"), SOON, || async {
        let held = scene.secret_in(namespace, "pull").await.as_ref().and_then(login_in);
        if held.as_ref() == Some(login) { Ok(()) } else { Err(format!("{:?}", held.map(|login| login.name))) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_served_while_harbor_cannot_be_asked() {
    let mut scene = Scene::of_the_system(Setting::default()).await;
    let team = scene.system_name("team");
    let first = scene.namespace_with("first", &json!({"pull": team}));
    let secret = json!({"name": "pull", "namespaceSelector": {"matchLabels": {"pull": team}}});
    scene.system_account("puller", pull(secret, json!([{"name": "default"}]))).await;
    scene.system_settled("puller").await;
    let login = scene.logs_in_from(&first, "pull").await;

    // Harbor says for how long it wants to be left alone: nothing happens by itself in that time.
    scene.faults(json!([{"status": 503, "headers": {"Retry-After": "600"}, "count": 0}])).await;
    scene.registry_reason_is("RateLimited").await;
    let second = scene.namespace_with("second", &json!({"pull": team}));
    holds(&scene, &second, &login).await;
    relabel(&scene, &first, json!({"pull": null})).await;
    scene.no_secret_in(&first, "pull").await;
    scene.pull_secrets_in(&first, "default", &[]).await;
    let status = scene
        .system_is("only the second is told", "puller", |_, status| {
            row(status, &first).is_none() && row(status, &second).is_some_and(|row| row.ready)
        })
        .await;
    assert!(says(&status, "Ready", "True") && says(&status, "Synced", "False"), "{status:?}");
    assert_eq!(status.namespace_count, Some(1));
    let held: Vec<&str> = status.secret_refs.iter().map(|held| held.namespace.as_str()).collect();
    assert_eq!(held, [&scene.system, &second]);
    scene.faults(json!([])).await;
    scene.terminate();
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.system_settled("puller").await;

    // One who starts with a login that is refused has never seen a robot.
    scene.write_login(&Login { name: scene.login.name.clone(), secret: "Wrong12345".to_owned() });
    scene.registry_reason_is("CredentialsRejected").await;
    scene.terminate();
    scene.start();
    let third = scene.namespace_with("third", &json!({"pull": team}));
    holds(&scene, &third, &login).await;
    // Kubernetes makes it a moment after the namespace, perhaps after that was served.
    scene.pull_secrets_in(&third, "default", &["pull"]).await;

    // A Harbor at another address may be another one: what is there stays, and nobody else gets the credential.
    scene.edit_registry(json!({"url": "http://127.0.0.1:1"})).await;
    let before = scene.secret_in(&third, "pull").await;
    let fourth = scene.namespace_with("fourth", &json!({"pull": team}));
    relabel(&scene, &second, json!({"pull": null})).await;
    scene.no_secret_in(&second, "pull").await;
    scene.system_is("the second is gone", "puller", |_, status| row(status, &second).is_none()).await;
    assert_eq!(scene.secret_in(&third, "pull").await, before);
    assert!(scene.secret_in(&fourth, "pull").await.is_none());

    scene.edit_registry(json!({"url": scene.harbor.url})).await;
    scene.write_login(&scene.login);
    scene.system_settled("puller").await;
    assert_eq!(scene.logs_in_from(&fourth, "pull").await, login);
    scene.pull_secrets_in(&fourth, "default", &["pull"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_namespace_does_not_hold_up_the_others() {
    let scene = Scene::of_the_system(Setting::default()).await;
    let good = scene.namespace_with("good", &json!({}));
    let bad = scene.namespace_with("bad", &json!({}));
    let taken: Api<Secret> = Api::namespaced(scene.client.clone(), &bad);
    let foreign = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"}, "stringData": {"mine": "untouched"},
    }));
    let foreign = taken.create(&PostParams::default(), &foreign.unwrap()).await.unwrap();
    scene.system_account("puller", pull(json!({"name": "pull", "namespaces": [bad, good]}), json!([]))).await;
    let message = scene.system_reason_is("puller", "Synced", "False", "NamespacesFailed").await;
    assert!(message.contains(&format!("in 1 of 2 namespaces: {bad}")), "{message}");
    scene.logs_in_from(&good, "pull").await;
    let status = scene.system_is("rows", "puller", |_, status| status.namespaces.len() == 2).await;
    assert_eq!(status.namespaces[0].name, bad, "failures first");
    assert_eq!(status.namespaces[0].reason.as_deref(), Some("SecretNotOwned"));
    assert!(status.namespaces[1].ready);
    scene.system_reason_is("puller", "Ready", "True", "Published").await;
    assert_eq!(taken.get("pull").await.unwrap().data, foreign.data, "never overwritten");
    // A rotation goes on where it can, and the former robot goes: there is no credential of ours in the bad one.
    scene.harbor.advance(61).await.unwrap();
    scene.annotate_system("puller", "harbor-robots.io/refresh", "1").await;
    scene.system_is("rotated", "puller", |_, status| status.previous.is_some()).await;
    scene.harbor.advance(2 * 86_400).await.unwrap();
    scene.system_robots_are("the overlap ends", |robots| robots.len() == 1).await;
    // When the stranger goes, its place is taken.
    taken.delete("pull", &DeleteParams::default()).await.unwrap();
    scene.logs_in_from(&bad, "pull").await;
    scene.system_settled("puller").await;
}

/// An admission policy of the cluster refuses this operation on Secrets of the namespace; gives the policy's name.
async fn freeze(scene: &Scene, namespace: &str, operation: &str) -> String {
    let policy = scene.system_name("frozen");
    scene.apply(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": policy},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": [operation], "resources": ["secrets"],
            }]},
            "validations": [{"expression": "false", "message": "frozen"}],
        },
    }));
    scene.apply(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": policy},
        "spec": {
            "policyName": policy, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        },
    }));
    eventually("the policy is in force", SOON, || async {
        if is_refused(scene, namespace, operation).await { Ok(()) } else { Err("not yet") }
    })
    .await;
    policy
}

/// Tries the operation without effect.
async fn is_refused(scene: &Scene, namespace: &str, operation: &str) -> bool {
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), namespace);
    if operation == "CREATE" {
        let probe = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "probe"}});
        let params = PostParams { dry_run: true, ..PostParams::default() };
        secrets.create(&params, &serde_json::from_value(probe).unwrap()).await.is_err()
    } else {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"probe": "1"}}}));
        secrets.patch("pull", &PatchParams { dry_run: true, ..PatchParams::default() }, &patch).await.is_err()
    }
}

async fn thaw(scene: &Scene, namespace: &str, operation: &str, policy: &str) {
    for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
        scene.plane.kubectl(["delete", kind, policy]).ok().unwrap();
    }
    eventually("the policy is gone", SOON, || async {
        if is_refused(scene, namespace, operation).await { Err("not yet") } else { Ok(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_credential_ends_at_once_whatever_a_namespace_refuses() {
    let scene = Scene::of_the_system(Setting::default()).await;
    let bad = scene.namespace_with("bad", &json!({}));
    scene.system_account("puller", pull(json!({"name": "pull", "namespaces": [bad]}), json!([]))).await;
    scene.system_settled("puller").await;
    let leaked = scene.logs_in_from(&bad, "pull").await;
    let policy = freeze(&scene, &bad, "UPDATE").await;
    scene.annotate_system("puller", "harbor-robots.io/revoke", "leak").await;
    scene.system_is("revoked", "puller", |_, status| status.handled_revoke.as_deref() == Some("leak")).await;
    scene.system_robots_are("only the new one is left", |robots| robots.len() == 1).await;
    assert!(!scene.harbor.verify(&leaked.name, &leaked.secret).await.unwrap());
    scene.system_reason_is("puller", "Synced", "False", "NamespacesFailed").await;
    thaw(&scene, &bad, "UPDATE", &policy).await;
    scene.logs_in_from(&bad, "pull").await;
    scene.system_settled("puller").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_refuses_from_the_start_disturbs_nobody() {
    let scene = Scene::of_the_system(Setting { registry: json!({"pollInterval": "1h"}), ..Setting::default() }).await;
    let bad = scene.namespace_with("bad", &json!({}));
    let good = scene.namespace_with("good", &json!({}));
    let policy = freeze(&scene, &bad, "CREATE").await;
    scene.system_account("puller", pull(json!({"name": "pull", "namespaces": [bad, good]}), json!([]))).await;
    scene.system_reason_is("puller", "Synced", "False", "NamespacesFailed").await;
    scene.logs_in_from(&good, "pull").await;
    // Any number of looks at it is one pass each, and says nothing new. A pass that is under way takes in what is touched
    // meanwhile if it has not read that Secret yet, so each touch waits for the end of the one before.
    let version =
        || async { scene.system_accounts().get(&scene.system_name("puller")).await.unwrap().metadata.resource_version };
    let (before, lists) = (version().await, scene.calls("GET /api/v2.0/robots").await);
    for n in 0..3 {
        scene.is_idle().await;
        let touched = json!({"metadata": {"labels": {"touched": n.to_string()}}});
        let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &good);
        secrets.patch("pull", &PatchParams::default(), &Patch::Merge(touched)).await.unwrap();
        eventually("it was looked at", SOON, || async {
            let now = scene.calls("GET /api/v2.0/robots").await;
            if now > lists + n { Ok(()) } else { Err(format!("{now}")) }
        })
        .await;
    }
    assert_eq!(version().await, before);
    assert!(scene.calls("GET /api/v2.0/robots").await <= lists + 6);
    thaw(&scene, &bad, "CREATE", &policy).await;
    scene.harbor.advance(61).await.unwrap();
    scene.annotate_system("puller", "harbor-robots.io/refresh", "1").await;
    scene.logs_in_from(&bad, "pull").await;
    scene.system_settled("puller").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_former_credential_lives_until_each_namespace_has_the_new_one() {
    let scene = Scene::of_the_system(Setting::default()).await;
    let bad = scene.namespace_with("bad", &json!({}));
    scene.system_account("puller", pull(json!({"name": "pull", "namespaces": [bad]}), json!([]))).await;
    scene.system_settled("puller").await;
    let former = scene.logs_in_from(&bad, "pull").await;
    let policy = freeze(&scene, &bad, "UPDATE").await;
    scene.harbor.advance(61).await.unwrap();
    scene.annotate_system("puller", "harbor-robots.io/refresh", "1").await;
    scene.system_reason_is("puller", "Synced", "False", "NamespacesFailed").await;
    let status = scene.system_is("told", "puller", |_, status| row(status, &bad).is_some_and(|row| !row.ready)).await;
    assert_eq!(row(&status, &bad).unwrap().reason.as_deref(), Some("KubernetesRefused"));
    // The overlap is over, but pods there have nothing else.
    scene.harbor.advance(2 * 86_400).await.unwrap();
    scene.sweeps_of_the_system(2).await;
    assert!(scene.harbor.verify(&former.name, &former.secret).await.unwrap());
    thaw(&scene, &bad, "UPDATE", &policy).await;
    eventually("the new credential arrives", SOON, || async {
        let login = scene.secret_in(&bad, "pull").await.as_ref().and_then(login_in).ok_or("none")?;
        if login.name == former.name { Err("the former one") } else { Ok(()) }
    })
    .await;
    scene.system_robots_are("then the former one goes", |robots| robots.len() == 1).await;
    scene.system_settled("puller").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_others_change_or_delete_are_put_right() {
    let mut scene = Scene::of_the_system(Setting::default()).await;
    let here = scene.namespace_with("here", &json!({}));
    scene
        .system_account("puller", pull(json!({"name": "pull", "namespaces": [here]}), json!([{"name": "default"}])))
        .await;
    scene.system_settled("puller").await;
    let login = scene.logs_in_from(&here, "pull").await;
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &here);
    secrets.delete("pull", &DeleteParams::default()).await.unwrap();
    assert_eq!(scene.logs_in_from(&here, "pull").await, login);
    let forged = json!({"stringData": {".dockerconfigjson": "{\"auths\":{}}"}});
    secrets.patch("pull", &PatchParams::default(), &Patch::Merge(forged)).await.unwrap();
    assert_eq!(scene.logs_in_from(&here, "pull").await, login);
    assert_eq!(scene.system_robots().await.len(), 1);
    assert_eq!(scene.calls("POST /api/v2.0/robots").await, 1, "no tenant makes the robot rotate");
    // What happened while nobody looked is found at a start; what is not asked for any more is taken away.
    scene.terminate();
    let gone = scene.namespace_with("gone", &json!({}));
    secrets.delete("pull", &DeleteParams::default()).await.unwrap();
    scene.edit_system("puller", json!({"secret": {"namespaces": [gone]}})).await;
    scene.start();
    assert_eq!(scene.logs_in_from(&gone, "pull").await, login);
    scene.no_secret_in(&here, "pull").await;
    scene.pull_secrets_in(&here, "default", &[]).await;
    scene.terminate();
    scene.edit_system("puller", json!({"secret": {"namespaces": [here]}})).await;
    scene.start();
    assert_eq!(scene.logs_in_from(&here, "pull").await, login);
    scene.no_secret_in(&gone, "pull").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_watch_on_secrets_each_poll_looks() {
    let scene =
        Scene::of_the_system(Setting { args: vec!["--watch-secrets=false".to_owned()], ..Setting::default() }).await;
    let here = scene.namespace_with("here", &json!({}));
    scene.system_account("puller", pull(json!({"name": "pull", "namespaces": [here]}), json!([]))).await;
    let login = scene.logs_in_from(&here, "pull").await;
    Api::<Secret>::namespaced(scene.client.clone(), &here).delete("pull", &DeleteParams::default()).await.unwrap();
    assert_eq!(scene.logs_in_from(&here, "pull").await, login);
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_secrets_stay_and_are_taken_back() {
    let scene = Scene::of_the_system(Setting::default()).await;
    let here = scene.namespace_with("here", &json!({}));
    let mut spec = pull(json!({"name": "pull", "namespaces": [here]}), json!([]));
    spec["deletionPolicy"] = json!("Retain");
    scene.system_account("puller", spec.clone()).await;
    scene.system_settled("puller").await;
    let login = scene.logs_in_from(&here, "pull").await;
    scene.delete_system("puller").await;
    assert_eq!(scene.logs_in_from(&here, "pull").await, login);
    let secret = scene.secret_in(&here, "pull").await.unwrap();
    assert!(secret.metadata.owner_references.unwrap_or_default().is_empty());
    // A namesake of the namespace is not that account.
    scene.account(&scene.system_name("puller"), json!({"secret": {"name": "pull"}})).await;
    scene.system_account("puller", spec).await;
    scene.system_settled("puller").await;
    scene.logs_in_from(&here, "pull").await;
    let secret = scene.secret_in(&here, "pull").await.unwrap();
    assert_eq!(secret.metadata.owner_references.unwrap()[0].kind, "SystemRobotAccount");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_of_either_kind_do_not_share_a_secret() {
    let scene = Scene::of_the_system(Setting::default()).await;
    scene.account("pull", json!({})).await;
    scene.settled("pull").await;
    let kept = scene.logs_in("pull").await;
    let here = scene.namespace.clone();
    scene.system_account("puller", pull(json!({"name": "pull", "namespaces": [here]}), json!([]))).await;
    let message = scene.system_reason_is("puller", "Synced", "False", "NamespacesFailed").await;
    assert!(message.contains("was not made for this account"), "{message}");
    assert_eq!(scene.logs_in("pull").await, kept, "whoever holds it keeps it");
    // When it is free, the other one proceeds by itself.
    scene.delete("pull").await;
    scene.gone("pull").await;
    let login = scene.logs_in_from(&here, "pull").await;
    assert_eq!(login.name, "robot$puller");
    scene.system_settled("puller").await;
    // And the other way round.
    scene.account("pull", json!({})).await;
    let message = scene.reason_is("pull", "Ready", "False", "SecretNotOwned").await;
    assert!(!message.contains("puller"), "no other object is named: {message}");
    scene.delete_system("puller").await;
    scene.settled("pull").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_another_tool_made_where_nobody_asked_for_one_is_left_alone() {
    let scene = Scene::of_the_system(Setting::default()).await;
    let [asked, other, third] = ["asked", "other", "third"].map(|name| scene.namespace_with(name, &json!({})));
    let secret = |namespaces: Value| json!({"name": "pull", "namespaces": namespaces});
    scene.system_account("puller", pull(secret(json!([asked])), json!([]))).await;
    scene.system_settled("puller").await;
    scene.logs_in_from(&asked, "pull").await;

    // As a replicator does: name, labels, annotations and data, and no owner.
    let mut copy = scene.secret_in(&asked, "pull").await.unwrap();
    copy.metadata = kube::api::ObjectMeta {
        name: copy.metadata.name,
        labels: copy.metadata.labels,
        annotations: copy.metadata.annotations,
        ..Default::default()
    };
    let api: Api<Secret> = Api::namespaced(scene.client.clone(), &other);
    let uid = api.create(&PostParams::default(), &copy).await.unwrap().metadata.uid;
    scene.edit_system("puller", json!({"secret": secret(json!([asked, third]))})).await;
    scene.logs_in_from(&third, "pull").await;
    scene.system_settled("puller").await;
    let left = scene.secret_in(&other, "pull").await.expect("it is nobody's but the other tool's");
    assert_eq!((left.metadata.uid, left.metadata.owner_references), (uid, None));

    // Where it is asked for, the same Secret is what a restore brought back: it is taken over.
    scene.edit_system("puller", json!({"secret": secret(json!([asked, other]))})).await;
    eventually("it is the account's", SOON, || async {
        let owners = scene.secret_in(&other, "pull").await.and_then(|secret| secret.metadata.owner_references);
        if owners.is_some_and(|owners| owners.len() == 1) { Ok(()) } else { Err("no owner") }
    })
    .await;
    scene.no_secret_in(&third, "pull").await;
    scene.delete_system("puller").await;
    scene.no_secret_in(&other, "pull").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_to_delete_the_operators_login() {
    let scene = Scene::of_the_system(Setting::default()).await;
    let asked = scene.namespace_with("asked", &json!({}));
    scene.system_account("puller", pull(json!({"name": "login", "namespaces": [asked]}), json!([]))).await;
    let message = scene.system_reason_is("puller", "Ready", "False", "SecretNotOwned").await;
    assert!(message.contains(&format!("in namespace {}", scene.system)), "{message}");
    assert!(message.contains("has to stay") && !message.contains("delete"), "{message}");
}
