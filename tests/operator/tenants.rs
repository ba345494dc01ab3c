//! Registries of namespaces: a team brings its own Harbor and its own login, and nothing of it reaches anybody else.

use harbor_robot_operator::api::{HarborRegistry, RobotAccount};
use harbor_robot_world::eventually;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::registry::{both_spellings, hosts_are, says_host};
use crate::scene::{BOTH_LOGINS, SOON, Scene, Setting, condition};

/// The stand-in is on a loopback address, which no tenant reaches unless it is allowed.
const ALLOWED: [&str; 2] = ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s"];

/// A scene whose namespace has a login Secret and a registry `own` of its own.
async fn scene(setting: Setting) -> Scene {
    let args = [ALLOWED.map(ToOwned::to_owned).to_vec(), setting.args].concat();
    let scene = Scene::new(Setting { args, ..setting }).await;
    own_login(&scene, &scene.login.clone());
    own_registry(&scene, &scene.namespace, json!({}));
    scene
}

fn own_login(scene: &Scene, login: &harbor_robot_world::Login) {
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "own-login", "namespace": scene.namespace, "labels": {"harbor-robots.io/use": "login"},
        },
        "stringData": {"username": login.name, "password": login.secret},
    }));
}

fn own_registry(scene: &Scene, namespace: &str, spec: Value) {
    let mut whole =
        json!({"url": scene.harbor.url, "auth": {"secretRef": {"name": "own-login"}}, "pollInterval": "1s"});
    crate::scene::merge(&mut whole, &spec);
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "own", "namespace": namespace, "labels": {"scene": scene.registry}}, "spec": whole,
    }));
}

fn api(scene: &Scene) -> Api<HarborRegistry> {
    Api::namespaced(scene.client.clone(), &scene.namespace)
}

async fn own_is(scene: &Scene, status: &str, reason: &str) -> String {
    eventually(&format!("own is Ready={status}/{reason}"), SOON, || async {
        let found = api(scene).get("own").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let ready = found.conditions.iter().find(|c| c.type_ == "Ready" && c.status == status && c.reason == reason);
        ready.map(|ready| ready.message.clone()).ok_or(format!("{found:?}\n{}", scene.log()))
    })
    .await
}

fn of_own(spec: Value) -> Value {
    let mut whole = json!({"registryRef": {"kind": "HarborRegistry", "name": "own"}});
    crate::scene::merge(&mut whole, &spec);
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_uses_a_registry_of_its_own() {
    for login in BOTH_LOGINS {
        let scene = scene(Setting { login, registry: json!({"grants": []}), ..Setting::default() }).await;
        own_is(&scene, "True", "LoggedIn").await;
        // No grant is needed: the login is the namespace's own.
        scene.account("ci", of_own(json!({"serviceAccounts": [{"name": "default"}]}))).await;
        let account = scene.settled("ci").await;
        let pinned = account.status.unwrap().registry.unwrap();
        assert_eq!((pinned.kind.to_string().as_str(), pinned.name.as_str()), ("HarborRegistry", "own"));
        let first = scene.logs_in("ci").await;
        scene.harbor.advance(61).await.unwrap();
        let refresh = Patch::Merge(json!({"metadata": {"annotations": {"harbor-robots.io/refresh": "1"}}}));
        scene.accounts().patch("ci", &PatchParams::default(), &refresh).await.unwrap();
        scene.replaced("ci", &first).await;
        let status = eventually("it has an account", SOON, || async {
            let status = api(&scene).get("own").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
            if status.account_count == Some(1) { Ok(status) } else { Err(format!("{status:?}")) }
        })
        .await;
        assert!(status.permissions.is_some_and(|known| !known.project.is_empty()));
        // In use it stays until its last account is gone.
        api(&scene).delete("own", &DeleteParams::default()).await.unwrap();
        scene.delete("ci").await;
        scene.gone("ci").await;
        eventually("own is gone", SOON, || async {
            if api(&scene).get_opt("own").await.unwrap().is_none() { Ok(()) } else { Err(scene.log()) }
        })
        .await;
        assert!(scene.robots().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_of_the_namespace_is_used_within_a_poll() {
    let scene = scene(Setting::default()).await;
    own_is(&scene, "True", "LoggedIn").await;
    own_login(&scene, &harbor_robot_world::Login { name: "robot$nobody".into(), secret: "Wrong-1234567".into() });
    let message = own_is(&scene, "False", "CredentialsRejected").await;
    assert!(message.contains("/own"), "{message}");
    own_login(&scene, &scene.login.clone());
    own_is(&scene, "True", "LoggedIn").await;
    scene.account("ci", of_own(json!({}))).await;
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_registries_the_oldest_are_served_and_the_others_say_so() {
    let args = vec!["--tenant-registries=1".to_owned()];
    let scene = scene(Setting { args, ..Setting::default() }).await;
    own_is(&scene, "True", "LoggedIn").await;
    // Ages are told in whole seconds; of the same second the name decides.
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "second", "namespace": scene.namespace, "labels": {"scene": scene.registry}},
        "spec": {"url": scene.harbor.url, "auth": {"secretRef": {"name": "own-login"}}},
    }));
    let second_is = |status: &'static str, reason: &'static str| {
        let scene = &scene;
        async move {
            eventually(&format!("second is Ready={status}/{reason}"), SOON, || async {
                let found = api(scene).get("second").await.map_err(|error| error.to_string())?.status;
                let conditions = found.unwrap_or_default().conditions;
                let ready = conditions.iter().find(|c| c.type_ == "Ready" && c.status == status && c.reason == reason);
                ready.map(|ready| ready.message.clone()).ok_or(format!("{conditions:?}\n{}", scene.log()))
            })
            .await
        }
    };
    let message = second_is("False", "TooManyRegistries").await;
    assert!(message.contains("--tenant-registries"), "{message}");
    scene.account("ci", of_own(json!({}))).await;
    scene.settled("ci").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    api(&scene).delete("own", &DeleteParams::default()).await.unwrap();
    second_is("True", "LoggedIn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_from_a_namespaces_harbor_waits_for_its_owner_as_well() {
    let scene = scene(Setting::default()).await;
    own_is(&scene, "True", "LoggedIn").await;
    scene.account("ci", of_own(json!({}))).await;
    scene.settled("ci").await;
    let kept = scene.harbor.host().to_owned();
    scene.faults(json!([says_host("other.example.com")])).await;
    let edit = Patch::Merge(json!({"spec": {"pollInterval": "2m"}}));
    api(&scene).patch("own", &PatchParams::default(), &edit).await.unwrap();
    eventually("it is told", SOON, || async {
        let status = api(&scene).get("own").await.unwrap().status.unwrap_or_default();
        let told = status.conditions.iter().find(|condition| condition.type_ == "RegistryHostChanged");
        told.filter(|told| told.message.contains("other.example.com")).map(drop).ok_or(format!("{status:?}"))
    })
    .await;
    hosts_are(&scene, "ci", &[&kept]).await;
    let host = json!({"spec": {"registryHost": "other.example.com"}});
    api(&scene).patch("own", &PatchParams::default(), &Patch::Merge(host)).await.unwrap();
    hosts_are(&scene, "ci", &both_spellings(&["other.example.com"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_serves_its_own_namespace_only() {
    let scene = scene(Setting { all_namespaces: true, ..Setting::default() }).await;
    own_is(&scene, "True", "LoggedIn").await;
    let other = scene.namespace_with("other", &json!({}));
    let accounts: Api<RobotAccount> = Api::namespaced(scene.client.clone(), &other);
    let account = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
        "metadata": {"name": "thief", "namespace": other},
        "spec": {
            "registryRef": {"kind": "HarborRegistry", "name": "own"},
            "project": scene.namespace, "permissions": ["PullArtifacts"],
        },
    });
    accounts.create(&PostParams::default(), &serde_json::from_value(account).unwrap()).await.unwrap();
    // With a selector the operator says nothing of registries that others might serve; it reads that there is none.
    let message = eventually("it is told", SOON, || async {
        let thief = accounts.get("thief").await.map_err(|error| error.to_string())?;
        let ready =
            condition(&thief, "Ready").filter(|(status, reason, _)| status == "False" && reason == "RegistryNotFound");
        ready.map(|(_, _, message)| message).ok_or(format!("{:?}", thief.status))
    })
    .await;
    assert_eq!(message, "HarborRegistry own does not exist in this namespace");
    // A registry of that name there is another one, with what is in that namespace.
    own_registry(&scene, &other, json!({}));
    let there: Api<HarborRegistry> = Api::namespaced(scene.client.clone(), &other);
    eventually("it has no login", SOON, || async {
        let status = there.get("own").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let missing = status.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == "CredentialsMissing");
        if missing { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    assert!(scene.robots().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_no_address_beside_the_internet_is_reached_and_nothing_tells_why() {
    let setting = Setting { registry: json!({"pollInterval": "1h"}), ..Setting::default() };
    let mut scene = Scene::without_operator(setting).await;
    own_login(&scene, &scene.login.clone());
    scene.start();
    scene.registry_is("Ready", "True").await;
    // A registry's first question is who it is.
    let asked = "GET /api/v2.0/users/current";
    let calls = scene.calls(asked).await;
    let mut texts = std::collections::BTreeSet::new();
    let port = scene.harbor.url.rsplit(':').next().unwrap().to_owned();
    for url in [
        scene.harbor.url.clone(),
        format!("http://localhost:{port}"),
        "http://127.0.0.1:1".to_owned(),
        "https://169.254.169.254".to_owned(),
        format!("http://[::1]:{port}"),
        "https://no-such-name.invalid".to_owned(),
    ] {
        own_registry(&scene, &scene.namespace, json!({"url": url}));
        eventually("the new address was tried", SOON, || async {
            let own = api(&scene).get("own").await.map_err(|error| error.to_string())?;
            let seen = own.status.as_ref().is_some_and(|s| s.observed_generation == own.metadata.generation);
            if seen { Ok(()) } else { Err(format!("{:?}", own.status)) }
        })
        .await;
        texts.insert(own_is(&scene, "False", "Unreachable").await);
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(scene.calls(asked).await, calls, "not one call arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_a_namespace_is_not_pressed_harder_than_it_is_allowed() {
    let setting = Setting { args: vec!["--tenant-requests-per-second=5".to_owned()], ..Setting::default() };
    let scene = scene(setting).await;
    for n in 0..20 {
        scene.account(&format!("ci-{n}"), of_own(json!({}))).await;
    }
    // All of them want a robot as soon as there is a registry.
    own_registry(&scene, &scene.namespace, json!({"rateLimit": {"requestsPerSecond": 1000, "maxInFlight": 100}}));
    for n in 0..20 {
        scene.settled(&format!("ci-{n}")).await;
    }
    let calls = scene.harbor.calls().await.unwrap().calls;
    let posts = calls.iter().filter(|call| call.method == "POST" && call.path == "/api/v2.0/robots");
    let at: Vec<i64> = posts.map(|call| call.at).collect();
    assert_eq!(at.len(), 20);
    // The last one leaves 3 s after the first, however long either is on its way; that no second sees more than the limit
    // leave is tested where they leave.
    let took = at.iter().max().unwrap() - at.iter().min().unwrap();
    assert!(took >= 2_000, "{at:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_login_goes_over_http_unless_the_operator_was_told_so() {
    let mut scene = Scene::without_operator(Setting { https_only: true, ..Setting::default() }).await;
    own_login(&scene, &scene.login);
    own_registry(&scene, &scene.namespace, json!({}));
    scene.harbor.reset_calls().await.unwrap();
    scene.start();
    let message = scene.registry_reason_is("UrlInvalid").await;
    assert!(message.contains("--allow-http"), "{message}");
    own_is(&scene, "False", "UrlInvalid").await;
    scene.account("ci", json!({})).await;
    scene.reason_is("ci", "Ready", "False", "UrlInvalid").await;
    scene.account("own", of_own(json!({}))).await;
    scene.reason_is("own", "Ready", "False", "UrlInvalid").await;
    assert_eq!(scene.harbor.calls().await.unwrap().total, 0);
    scene.terminate();
    scene.https_only = false;
    scene.start();
    scene.settled("ci").await;
}
