//! What the registry object says, and how its accounts follow it.

use harbor_robot_world::{Harbor, HarborOptions};
use serde_json::{Value, json};

use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting};

const SYSTEM_INFO: &str = "/api/v2.0/systeminfo";

fn annotate_default(scene: &Scene, registry: &str, value: &str) {
    let annotation = format!("harbor-robots.io/is-default={value}");
    scene.plane.kubectl(["annotate", "--overwrite", "clusterharborregistry", registry, &annotation]).ok().unwrap();
}

/// Another registry object for the same Harbor.
fn second_registry(scene: &Scene) -> String {
    let name = format!("{}-2", scene.registry);
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
        "metadata": {"name": name, "labels": {"scene": scene.registry}},
        "spec": {"url": scene.harbor.url, "auth": {"secretRef": {"name": "login"}}},
    }));
    name
}

/// An answer to `/systeminfo` with this registry host.
fn says_host(host: &str) -> Value {
    let body = json!({"harbor_version": "v2.16.0", "registry_url": host}).to_string();
    json!({"path": SYSTEM_INFO, "status": 200, "body": body, "count": 0})
}

async fn hosts_are(scene: &Scene, secret: &str, wanted: &[&str]) {
    harbor_robot_world::eventually("the Secret's hosts", crate::scene::SOON, || async {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        let (_, hosts) = scene.credential(secret).await;
        if hosts == wanted { Ok(()) } else { Err(format!("{hosts:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_registry_takes_the_default_one_and_keeps_it() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("first", json!({"registryRef": null})).await;
    let message = scene.reason_is("first", "Ready", "False", "RegistryNotFound").await;
    assert!(message.contains("is-default"), "{message}");
    annotate_default(&scene, &scene.registry, "true");
    let account = scene.settled("first").await;
    assert_eq!(account.status.unwrap().registry.unwrap().name, scene.registry);

    let second = second_registry(&scene);
    annotate_default(&scene, &second, "true");
    scene.account("second", json!({"registryRef": null})).await;
    let message = scene.reason_is("second", "Ready", "False", "DefaultAmbiguous").await;
    assert!(message.contains(&format!("{}, {second}", scene.registry)), "{message}");
    let robot = scene.published("first").await.unwrap();
    scene.edit("first", json!({"description": "still of the first"})).await;
    let account = scene.settled("first").await;
    assert_eq!(account.status.unwrap().registry.unwrap().name, scene.registry);
    assert_eq!(scene.published("first").await.unwrap()["id"], robot["id"]);

    annotate_default(&scene, &second, "false");
    scene.settled("second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registrys_defaults_hold_for_accounts_that_say_nothing() {
    for login in BOTH_LOGINS {
        let registry = json!({"defaults": {"expiresAfter": "9d", "rotation": {"renewBefore": "3d"}}});
        let scene = Scene::new(Setting { login, registry, ..Setting::default() }).await;
        scene.account("plain", json!({})).await;
        scene.account("own", json!({"expiresAfter": "20d"})).await;
        let status = scene.settled("plain").await.status.unwrap();
        assert_eq!(status.expires_after.as_deref(), Some("9d"));
        let expiry = status.robot.unwrap().expires_at.unwrap();
        let before = expiry.duration_since(status.renewal_time.unwrap()).as_hours();
        assert!((48..=72).contains(&before), "{before} hours before the expiry");
        scene.settled("own").await;
        let own = scene.published("own").await.unwrap();
        assert_eq!(own["duration"], 20);

        scene.edit_registry(json!({"defaults": {"expiresAfter": "12d"}})).await;
        scene
            .account_is("takes the new default", "plain", |account| {
                account.status.as_ref().is_some_and(|status| status.expires_after.as_deref() == Some("12d"))
            })
            .await;
        scene.settled("plain").await;
        scene.logs_in("plain").await;
        // Harbor counts from creation: a lifetime that begins now is longer by the robot's age, rounded up.
        let duration = scene.published("plain").await.unwrap()["duration"].as_i64().unwrap();
        assert!((12..=13).contains(&duration), "{duration} days");
        assert_eq!(scene.published("own").await.unwrap()["id"], own["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_hosts_rewrite_the_secret_in_place_and_touch_no_robot() {
    for login in BOTH_LOGINS {
        let registry = json!({"hosts": ["mirror.example.com:5000"]});
        let scene = Scene::new(Setting { login, registry, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        hosts_are(&scene, "ci", &[scene.harbor.host(), "mirror.example.com:5000"]).await;
        let (credential, _) = scene.credential("ci").await;
        let uid = scene.secret("ci").await.unwrap().metadata.uid;
        let robots = scene.robots().await;

        let wanted = json!({"registryHost": "registry.example.com", "hosts": ["a.example.com", "b.example.com"]});
        scene.edit_registry(wanted).await;
        hosts_are(&scene, "ci", &["registry.example.com", "a.example.com", "b.example.com"]).await;
        scene.edit_registry(json!({"registryHost": null, "hosts": null})).await;
        hosts_are(&scene, "ci", &[scene.harbor.host()]).await;
        assert_eq!(scene.credential("ci").await.0, credential);
        assert_eq!(scene.secret("ci").await.unwrap().metadata.uid, uid);
        assert_eq!(scene.robots().await, robots);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_from_harbor_that_kubelet_would_take_for_a_pattern_is_refused() {
    let mut scene = Scene::without_operator(Setting::default()).await;
    scene.faults(json!([says_host("*.example.com")])).await;
    scene.start();
    let message = scene.registry_reason_is("RegistryHostInvalid").await;
    assert!(message.contains("spec.registryHost"), "{message}");
    scene.account("ci", json!({})).await;
    scene.reason_is("ci", "Ready", "False", "RegistryHostInvalid").await;
    assert!(scene.robots().await.is_empty());
    scene.edit_registry(json!({"registryHost": "registry.example.com"})).await;
    scene.settled("ci").await;
    hosts_are(&scene, "ci", &["registry.example.com"]).await;
    // What Harbor says later changes nothing either, and a host that can be used is taken over.
    scene.edit_registry(json!({"registryHost": null})).await;
    scene.faults(json!([])).await;
    hosts_are(&scene, "ci", &[scene.harbor.host()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_given_authority_and_nothing_else() {
    let scene = Scene::new(Setting { tls: true, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let right = scene.harbor.ca.clone().unwrap();
    let wrong = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();

    scene.edit_registry(json!({"tls": {"caBundle": wrong}})).await;
    let message = scene.registry_reason_is("Unreachable").await;
    assert!(message.contains("certificate not trusted") && message.contains("spec.tls"), "{message}");
    scene.account("waits", json!({})).await;
    let message = scene.reason_is("waits", "Ready", "False", "Unreachable").await;
    assert!(message.contains("certificate not trusted"), "{message}");

    for (kind, field) in [("ConfigMap", "data"), ("Secret", "stringData")] {
        let mut holder =
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "ca", "namespace": scene.system}});
        holder[field] = json!({"ca.crt": right});
        scene.edit_registry(json!({"tls": {"caBundle": wrong, "caBundleRef": null}})).await;
        scene.registry_is("Ready", "False").await;
        let source = json!({"kind": kind, "name": "ca", "key": "ca.crt"});
        scene.edit_registry(json!({"tls": {"caBundle": null, "caBundleRef": source}})).await;
        let message = scene.registry_reason_is("CredentialsMissing").await;
        assert!(message.contains(&format!("{kind} ca in namespace {}", scene.system)), "{message}");
        scene.apply(holder);
        scene.edit_registry(json!({"pollInterval": "2s"})).await;
        scene.registry_is("Ready", "True").await;
        scene.edit_registry(json!({"pollInterval": "1s"})).await;
        scene.registry_is("Ready", "True").await;
    }
    scene.settled("waits").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_another_address_of_the_same_harbor_only_hosts_are_rewritten() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let (credential, _) = scene.credential("ci").await;
        let robots = scene.robots().await;
        scene.faults(json!([says_host("new.example.com")])).await;
        let url = scene.harbor.url.replace("127.0.0.1", "localhost");
        scene.edit_registry(json!({"url": url})).await;
        hosts_are(&scene, "ci", &["new.example.com"]).await;
        scene
            .account_is("names the new URL", "ci", |account| {
                let pinned = account.status.as_ref().and_then(|status| status.registry.as_ref());
                pinned.is_some_and(|pinned| pinned.url.as_ref() == Some(&url))
            })
            .await;
        assert_eq!(scene.credential("ci").await.0, credential);
        assert_eq!(scene.robots().await, robots);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_another_harbor_the_robots_are_made_again() {
    let scene = Scene::new(Setting { login: LoginAs::Person, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let uid = scene.secret("ci").await.unwrap().metadata.uid;
    let other = tokio::task::spawn_blocking(|| Harbor::start(&HarborOptions::default())).await.unwrap().unwrap();
    other.create_project(&scene.namespace).await.unwrap();
    scene.edit_registry(json!({"url": other.url})).await;
    harbor_robot_world::eventually("a credential of the other Harbor", crate::scene::SOON, || async {
        let (login, hosts) = scene.credential("ci").await;
        match other.verify(&login.name, &login.secret).await {
            Ok(true) if hosts == [other.host()] => Ok(()),
            other => Err(format!("{other:?} {hosts:?}")),
        }
    })
    .await;
    // Status is written after the Secret.
    scene
        .account_is("of the other Harbor", "ci", |account| {
            let registry = account.status.as_ref().and_then(|status| status.registry.as_ref());
            registry.is_some_and(|registry| registry.url.as_deref() == Some(other.url.as_str()))
        })
        .await;
    scene.settled("ci").await;
    assert_eq!(other.robots(&scene.namespace).await.unwrap().len(), 1);
    assert_eq!(scene.secret("ci").await.unwrap().metadata.uid, uid, "kubelet keys its records on the UID");
    assert_eq!(scene.robots().await.len(), 1, "what is left at the old one is not touched");
}
