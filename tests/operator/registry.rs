//! What the registry object says, and how its accounts follow it.

use harbor_robot_world::{Harbor, HarborOptions, eventually};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::refused_writes::{delete_policy, make_policy};
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting};

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
pub fn says_host(host: &str) -> Value {
    let body = json!({"harbor_version": "v2.16.0", "registry_url": host}).to_string();
    json!({"path": SYSTEM_INFO, "status": 200, "body": body, "count": 0})
}

/// The scene's Harbor is reached by http, whose own port is 80.
pub fn both_spellings<'h>(hosts: &[&'h str]) -> Vec<&'h str> {
    hosts.iter().flat_map(|host| [*host, &*format!("{host}:80").leak()]).collect()
}

/// Waits until a Secret of the scene's namespace is written for these hosts and no others.
pub async fn hosts_are(scene: &Scene, secret: &str, wanted: &[&str]) {
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
        let expiry = status.robot.unwrap().expiration_time.unwrap();
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
        let registry = json!({"additionalHosts": ["mirror.example.com:5000"]});
        let scene = Scene::new(Setting { login, registry, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        hosts_are(&scene, "ci", &[scene.harbor.host(), "mirror.example.com:5000"]).await;
        let (credential, _) = scene.credential("ci").await;
        let uid = scene.secret("ci").await.unwrap().metadata.uid;
        let robots = scene.robots().await;

        let wanted =
            json!({"registryHost": "registry.example.com", "additionalHosts": ["a.example.com", "b.example.com"]});
        scene.edit_registry(wanted).await;
        hosts_are(&scene, "ci", &both_spellings(&["registry.example.com", "a.example.com", "b.example.com"])).await;
        scene.edit_registry(json!({"registryHost": null, "additionalHosts": null})).await;
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
    assert!(message.contains("names \"*.example.com\"") && message.contains("spec.registryHost"), "{message}");
    scene.account("ci", json!({})).await;
    scene.reason_is("ci", "Ready", "False", "RegistryHostInvalid").await;
    assert!(scene.robots().await.is_empty());
    scene.edit_registry(json!({"registryHost": "registry.example.com"})).await;
    scene.settled("ci").await;
    hosts_are(&scene, "ci", &both_spellings(&["registry.example.com"])).await;
    // What Harbor says later changes nothing either, and a host that can be used is taken over.
    scene.edit_registry(json!({"registryHost": null})).await;
    scene.faults(json!([])).await;
    hosts_are(&scene, "ci", &[scene.harbor.host()]).await;
}

/// The user names that kubelet's own keyring finds for an image in a Secret.
fn logins_for(scene: &Scene, secret: &str, image: &str) -> Vec<String> {
    let args = ["--logins", "--namespace", &scene.namespace, "--secret", secret, "--image", image];
    scene.plane.rig("pull", args, "").ok().unwrap().lines().map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubelet_finds_the_login_whether_an_image_names_the_schemes_own_port_or_not() {
    let hosts = json!({"additionalHosts": ["mirror.example.com:443", "Other.example.com", "[fd00::7]:5000", "far.example.com:5000"]});
    let mut scene = Scene::without_operator(Setting { tls: true, registry: hosts, ..Setting::default() }).await;
    scene.faults(json!([says_host("Harbor.Example.com:443")])).await;
    scene.start();
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let login = scene.logs_in("ci").await.name;
    for image in [
        "harbor.example.com/team/app:1",
        "harbor.example.com:443/team/app:1",
        "mirror.example.com/team/app:1",
        "mirror.example.com:443/team/app:1",
        "other.example.com/team/app:1",
        "other.example.com:443/team/app:1",
        "far.example.com:5000/team/app:1",
        "[fd00::7]:5000/team/app:1",
    ] {
        assert_eq!(logins_for(&scene, "ci", image), [login.as_str()], "{image}");
    }
    for image in ["harbor.example.com:80/team/app:1", "far.example.com/team/app:1", "example.com/team/app:1"] {
        assert!(logins_for(&scene, "ci", image).is_empty(), "{image}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_from_harbor_rewrites_no_secret_until_the_owner_confirms_it() {
    let mut scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let kept = scene.harbor.host().to_owned();
    hosts_are(&scene, "ci", &[&kept]).await;
    let version = scene.secret("ci").await.unwrap().metadata.resource_version;
    scene.faults(json!([says_host("other.example.com")])).await;
    // Any edit makes the operator ask Harbor again.
    scene.edit_registry(json!({"pollInterval": "2s"})).await;
    let registry = scene.registry_is("RegistryHostChanged", "True").await;
    let status = registry.status.unwrap();
    let told = status.conditions.iter().find(|condition| condition.type_ == "RegistryHostChanged").unwrap();
    assert!(told.message.contains("names other.example.com") && told.message.contains(&kept), "{}", told.message);
    assert!(told.message.contains("harbor-robots.io/confirm-host: other.example.com"), "{}", told.message);
    assert_eq!(status.registry_host.as_deref(), Some(kept.as_str()));
    scene.registry_is("Ready", "True").await;

    // Neither a forged status nor a restart nor a pin that somebody took away changes what Secrets are written for.
    let forged = json!({"status": {"registryHost": "forged.example.com"}});
    let params = PatchParams::default();
    scene.registries().patch_status(&scene.registry, &params, &Patch::Merge(forged)).await.unwrap();
    let unpinned = json!({"metadata": {"annotations": {"harbor-robots.io/pinned-host": null}}});
    scene.registries().patch(&scene.registry, &params, &Patch::Merge(unpinned)).await.unwrap();
    scene.edit_registry(json!({"pollInterval": "1s"})).await;
    eventually("the pin is put back", SOON, || async {
        let registry = scene.registries().get(&scene.registry).await.unwrap();
        let pin = registry.metadata.annotations.unwrap_or_default().remove("harbor-robots.io/pinned-host");
        let told = registry.status.and_then(|status| status.registry_host);
        if pin == Some(format!("{kept} {}", scene.harbor.url)) && told.as_ref() == Some(&kept) {
            Ok(())
        } else {
            Err(format!("{pin:?} {told:?}"))
        }
    })
    .await;
    scene.terminate();
    scene.start();
    scene.account("later", json!({})).await;
    scene.settled("later").await;
    hosts_are(&scene, "later", &[&kept]).await;
    assert_eq!(scene.secret("ci").await.unwrap().metadata.resource_version, version, "nothing was rewritten");

    for host in ["wrong.example.com", "Other.example.com"] {
        let confirm = json!({"metadata": {"annotations": {"harbor-robots.io/confirm-host": host}}});
        scene.registries().patch(&scene.registry, &params, &Patch::Merge(confirm)).await.unwrap();
        if host.starts_with("wrong") {
            scene.sweeps(2).await;
            hosts_are(&scene, "ci", &[&kept]).await;
        }
    }
    hosts_are(&scene, "ci", &both_spellings(&["other.example.com"])).await;
    eventually("it is settled", SOON, || async {
        let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
        let open = status.conditions.iter().any(|condition| condition.type_ == "RegistryHostChanged");
        if open { Err(format!("{:?}", status.conditions)) } else { Ok(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_given_authority_and_nothing_else() {
    let scene = Scene::new(Setting { tls: true, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let right = scene.harbor.ca.clone().unwrap();
    let wrong = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();

    scene.edit_registry(json!({"tls": {"caCertificates": wrong}})).await;
    let message = scene.registry_reason_is("Unreachable").await;
    assert!(message.contains("certificate not trusted") && message.contains("spec.tls"), "{message}");
    scene.account("waits", json!({})).await;
    let message = scene.reason_is("waits", "Ready", "False", "Unreachable").await;
    assert!(message.contains("certificate not trusted"), "{message}");

    for (kind, field) in [("ConfigMap", "data"), ("Secret", "stringData")] {
        let mut holder =
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "ca", "namespace": scene.system}});
        holder[field] = json!({"ca.crt": right});
        scene.edit_registry(json!({"tls": {"caCertificates": wrong, "caCertificatesRef": null}})).await;
        scene.registry_is("Ready", "False").await;
        let source = json!({"kind": kind, "name": "ca", "key": "ca.crt"});
        scene.edit_registry(json!({"tls": {"caCertificates": null, "caCertificatesRef": source}})).await;
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
        hosts_are(&scene, "ci", &both_spellings(&["new.example.com"])).await;
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

async fn moves(restarted: bool) {
    let mut scene = Scene::new(Setting { login: LoginAs::Person, ..Setting::default() }).await;
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

    // It is told with its name and the way to be rid of it, and stays until the owner asks for that.
    let left = scene.robots().await.remove(0)["name"].as_str().unwrap().to_owned();
    let registry = scene.registry_is("RobotsLeftBehind", "True").await;
    let status = registry.status.unwrap();
    let told = status.conditions.iter().find(|condition| condition.type_ == "RobotsLeftBehind").unwrap();
    for part in ["a robot of", &left, &scene.harbor.url, "harbor-robots.io/cleanup-former-url"] {
        assert!(told.message.contains(part), "{}", told.message);
    }
    assert_eq!(status.former_urls[0].names, [left]);
    // After a restart the session of the former login is gone, and the present login works there, too.
    if restarted {
        scene.terminate();
        scene.start();
        scene.registry_is("RobotsLeftBehind", "True").await;
    }
    let annotate = async |url: &str| {
        let patch = json!({"metadata": {"annotations": {"harbor-robots.io/cleanup-former-url": url}}});
        scene.registries().patch(&scene.registry, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    annotate("https://another.example").await;
    let sweeps = other.calls().await.unwrap().project_lists();
    eventually("two more polls", SOON, || async {
        let now = other.calls().await.unwrap().project_lists();
        if now >= sweeps + 2 { Ok(()) } else { Err(format!("{now} after {sweeps}")) }
    })
    .await;
    assert_eq!(scene.robots().await.len(), 1, "another URL was repeated");
    annotate(&scene.harbor.url).await;
    scene.robots_are("deleted at the former Harbor", <[Value]>::is_empty).await;
    eventually("nothing is told any more", SOON, || async {
        let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
        let told = status.conditions.iter().any(|condition| condition.type_ == "RobotsLeftBehind");
        if told || !status.former_urls.is_empty() { Err(format!("{status:?}")) } else { Ok(()) }
    })
    .await;
    assert_eq!(other.robots(&scene.namespace).await.unwrap().len(), 1, "the present one's is not touched");
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_another_harbor_the_robots_are_made_again_and_those_left_are_deleted_when_the_owner_asks() {
    moves(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_move_left_is_deleted_by_a_restarted_operator_as_well() {
    moves(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_host_that_could_not_be_written_down_is_as_soon_as_it_can_be() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let pin = async || {
        let annotations = scene.registries().get(&scene.registry).await.unwrap().metadata.annotations;
        annotations.unwrap_or_default().remove("harbor-robots.io/pinned-host")
    };
    eventually("the host is pinned", SOON, || async { pin().await.ok_or("not yet") }).await;
    // Stands for whatever makes one write fail: another one that came first as well as a rule of the cluster.
    let rule = scene.system_name("no-pin");
    let policy = json!({
        "matchConstraints": {"resourceRules": [{
            "apiGroups": ["harbor-robots.io"], "apiVersions": ["*"], "operations": ["UPDATE"],
            "resources": ["clusterharborregistries"],
        }]},
        "validations": [{"expression": "!('harbor-robots.io/pinned-host' in object.metadata.?annotations.orValue({}))"}],
    });
    make_policy(&scene, &rule, &policy, &json!({"objectSelector": {"matchLabels": {"scene": scene.registry}}}));
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let probe = Patch::Merge(json!({"metadata": {"labels": {"probe": "1"}}}));
    eventually("the rule is in force", SOON, || async {
        scene.registries().patch(&scene.registry, &params, &probe).await.err().map(drop).ok_or("not yet")
    })
    .await;
    let unpinned =
        json!({"metadata": {"annotations": {"harbor-robots.io/pinned-host": null}}, "spec": {"pollInterval": "2s"}});
    scene.registries().patch(&scene.registry, &PatchParams::default(), &Patch::Merge(unpinned)).await.unwrap();
    eventually("the operator has looked at it", SOON, || async {
        let registry = scene.registries().get(&scene.registry).await.unwrap();
        let seen = registry.status.and_then(|status| status.observed_generation);
        if seen == registry.metadata.generation { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    assert_eq!(pin().await, None, "the rule holds");
    delete_policy(&scene, &rule);
    eventually("the pin is put back", 3 * SOON, || async { pin().await.ok_or("not yet") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_says_soon_that_its_last_account_went_however_rarely_it_is_polled() {
    let args = vec!["--settle-after=1".to_owned()];
    let mut scene = Scene::new(Setting { registry: json!({"pollInterval": "1h"}), args, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let counted = async |scene: &Scene, count: i32| {
        eventually(&format!("{count} accounts are counted"), SOON, || async {
            let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
            if status.account_count == Some(count) { Ok(()) } else { Err(format!("{:?}", status.account_count)) }
        })
        .await;
    };
    // Any edit has the operator write what it knows.
    scene.edit_registry(json!({"pollInterval": "59m"})).await;
    counted(&scene, 1).await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    counted(&scene, 0).await;

    // The same by an operator that found the account there.
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.edit_registry(json!({"pollInterval": "1h"})).await;
    counted(&scene, 1).await;
    scene.terminate();
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    counted(&scene, 0).await;
}
