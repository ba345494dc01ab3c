//! Login, registry and accounts deleted together, in any order: everything goes, and no robot stays behind while Harbor
//! answers. What an operator that was restarted in between cannot know any more it says, with the ways out.

use std::time::{Duration, Instant};

use harbor_robot_operator::api::{HarborRegistry, RobotAccount};
use harbor_robot_world::eventually;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::json;

use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, condition, system_robots_serve};

const QUICK: &str = "--settle-after=1";
const TENANTS: [&str; 3] = [QUICK, "--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s"];

fn args(args: &[&str]) -> Vec<String> {
    args.iter().map(ToString::to_string).collect()
}

/// What the operator stands on, as `kubectl delete` names it.
#[derive(Clone, Copy, Debug)]
enum Part {
    Login,
    Registry,
    Account,
}

impl Part {
    fn of(self, scene: &Scene) -> [String; 3] {
        match self {
            Self::Login => ["secret/login".to_owned(), "-n".to_owned(), scene.system.clone()],
            Self::Registry => {
                [format!("clusterharborregistry/{}", scene.registry), "-n".to_owned(), "default".to_owned()]
            }
            Self::Account => ["robotaccount/ci".to_owned(), "-n".to_owned(), scene.namespace.clone()],
        }
    }

    fn delete(self, scene: &Scene) {
        let [object, _, namespace] = self.of(scene);
        let args = ["delete", "--wait=false", object.as_str(), "-n", namespace.as_str()];
        scene.plane.kubectl(args).ok().unwrap();
    }
}

async fn registry_is_gone(scene: &Scene) {
    eventually("the registry is gone", SOON, || async {
        match scene.registries().get_opt(&scene.registry).await {
            Ok(None) => Ok(()),
            Ok(Some(registry)) => Err(format!("{:?}\n{}", registry.status, scene.log())),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

async fn namespace_is_gone(scene: &Scene, within: Duration) {
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());
    eventually("the namespace is gone", within, || async {
        match namespaces.get_opt(&scene.namespace).await {
            Ok(None) => Ok(()),
            Ok(Some(namespace)) => Err(format!("{:?}\n{}", namespace.status, scene.log())),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

async fn delete_namespace(scene: &Scene) {
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());
    namespaces.delete(&scene.namespace, &DeleteParams::default()).await.unwrap();
}

/// A scene with a settled account `ci` of the cluster's registry.
async fn scene_of(login: LoginAs, further: &[&str]) -> Scene {
    let args = [args(&[QUICK]), args(further)].concat();
    let scene = Scene::new(Setting { login, args, ..Setting::default() }).await;
    scene.account("ci", json!({"serviceAccounts": [{"name": "default"}]})).await;
    scene.settled("ci").await;
    scene
}

/// A scene whose namespace has a registry of its own, the login for it, and a settled account `ci` of it.
async fn tenant_scene(further: &[&str]) -> Scene {
    let args = [args(&TENANTS), args(further)].concat();
    let scene = Scene::new(Setting { args, ..Setting::default() }).await;
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "own-login", "namespace": scene.namespace, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": scene.login.name, "password": scene.login.secret},
    }));
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "own", "namespace": scene.namespace, "labels": {"scene": scene.registry}},
        "spec": {"url": scene.harbor.url, "auth": {"secretRef": {"name": "own-login"}}, "pollInterval": "1s"},
    }));
    scene.account("ci", json!({"registryRef": {"kind": "HarborRegistry", "name": "own"}})).await;
    scene.settled("ci").await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn login_registry_and_account_deleted_together_go_in_any_order() {
    use Part::{Account, Login, Registry};
    for (login, order) in [
        (LoginAs::Person, [Login, Registry, Account]),
        (LoginAs::Robot, [Account, Registry, Login]),
        (LoginAs::Robot, [Registry, Login, Account]),
    ] {
        let scene = scene_of(login, &[]).await;
        for part in order {
            part.delete(&scene);
        }
        scene.gone("ci").await;
        registry_is_gone(&scene).await;
        assert!(scene.robots().await.is_empty(), "{login:?} {order:?}");
        assert!(scene.pull_secrets("default").await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_goes_although_its_registry_was_told_to_have_no_login_before() {
    for login in BOTH_LOGINS {
        let scene = scene_of(login, &[]).await;
        Part::Login.delete(&scene);
        scene.registry_reason_is("CredentialsMissing").await;
        scene.account("late", json!({})).await;
        scene.reason_is("late", "Ready", "False", "CredentialsMissing").await;
        Part::Account.delete(&scene);
        scene.gone("ci").await;
        assert!(scene.robots().await.is_empty(), "the login in memory serves what goes, and nothing else");
        Part::Registry.delete(&scene);
        scene.delete("late").await;
        scene.gone("late").await;
        registry_is_gone(&scene).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_harbor_refuses_is_not_used_any_longer() {
    if !system_robots_serve() {
        return;
    }
    let scene = scene_of(LoginAs::Robot, &[]).await;
    // Whoever takes a login away in Kubernetes and in Harbor wants nothing done with it.
    let robots = scene.harbor_api("GET", "/robots?page_size=100", json!(null)).await;
    let own = robots.as_array().unwrap().iter().find(|robot| robot["name"] == scene.login.name).unwrap().clone();
    scene.delete_robot(own["id"].as_i64().unwrap()).await;
    Part::Login.delete(&scene);
    Part::Account.delete(&scene);
    let message = scene.reason_is("ci", "Ready", "False", "CredentialsMissing").await;
    assert!(message.contains("Retain"), "{message}");
    scene.edit("ci", json!({"deletionPolicy": "Retain"})).await;
    scene.gone("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harbor_that_is_away_meanwhile_is_waited_for() {
    let scene = scene_of(LoginAs::Person, &[]).await;
    scene.faults(json!([{"drop": true, "count": 0}])).await;
    scene.registry_reason_is("NoAnswer").await;
    for part in [Part::Login, Part::Registry, Part::Account] {
        part.delete(&scene);
    }
    let message = scene.reason_is("ci", "Ready", "False", "NoAnswer").await;
    assert!(message.contains("Retain"), "{message}");
    scene.faults(json!([])).await;
    scene.gone("ci").await;
    registry_is_gone(&scene).await;
    assert!(scene.robots().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_with_a_registry_of_its_own_goes_with_its_robots() {
    for login_first in [false, true] {
        let scene = tenant_scene(&[]).await;
        if login_first {
            scene.delete_secret("own-login").await;
            let registries: Api<HarborRegistry> = Api::namespaced(scene.client.clone(), &scene.namespace);
            eventually("the login is missed", SOON, || async {
                let status = registries.get("own").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
                let missed =
                    status.conditions.iter().any(|it| it.type_ == "Ready" && it.reason == "CredentialsMissing");
                if missed { Ok(()) } else { Err(format!("{status:?}")) }
            })
            .await;
        }
        delete_namespace(&scene).await;
        namespace_is_gone(&scene, Duration::from_mins(1)).await;
        assert!(scene.robots().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_between_waits_for_the_login_and_names_the_ways_out() {
    for way_out in ["login", "retain"] {
        let mut scene = scene_of(LoginAs::Robot, &[]).await;
        assert!(scene.terminate().success());
        for part in [Part::Login, Part::Registry, Part::Account] {
            part.delete(&scene);
        }
        scene.start();
        let message = scene.reason_is("ci", "Ready", "False", "CredentialsMissing").await;
        assert!(message.contains("spec.deletionPolicy: Retain") && message.contains("login"), "{message}");
        let synced = condition(&scene.get("ci").await, "Synced").unwrap();
        assert_eq!((synced.0.as_str(), synced.1.as_str()), ("False", "CredentialsMissing"));
        match way_out {
            "login" => scene.write_login(&scene.login),
            _ => scene.edit("ci", json!({"deletionPolicy": "Retain"})).await,
        }
        scene.gone("ci").await;
        registry_is_gone(&scene).await;
        assert_eq!(scene.robots().await.len(), usize::from(way_out == "retain"));
    }
}

/// When an account was deleted.
fn deleted_at(account: &RobotAccount) -> jiff::Timestamp {
    account.metadata.deletion_timestamp.clone().unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_a_namespace_without_a_login_is_given_up_by_the_time_of_its_deletion() {
    const AFTER: i64 = 20;
    let after = format!("--abandon-after={AFTER}");
    let mut scene = tenant_scene(&[&after]).await;
    let robot = scene.robots().await[0]["name"].as_str().unwrap().to_owned();
    assert!(scene.terminate().success());
    delete_namespace(&scene).await;
    let secrets: Api<Secret> = scene.secrets();
    eventually("the login is gone and the account waits for so long", Duration::from_mins(1), || async {
        let login = secrets.get_opt("own-login").await.map_err(|error| error.to_string())?;
        let account = scene.accounts().get("ci").await.map_err(|error| error.to_string())?;
        if login.is_some() || account.metadata.deletion_timestamp.is_none() {
            return Err("the namespace is on its way".to_owned());
        }
        let waits = harbor_robot_operator::clock::now().duration_since(deleted_at(&account)).as_secs();
        if waits > AFTER { Ok(()) } else { Err(format!("{waits} s")) }
    })
    .await;
    let since = Instant::now();
    scene.start();
    namespace_is_gone(&scene, Duration::from_secs(18)).await;
    assert!(since.elapsed() < Duration::from_secs(18), "{:?}", since.elapsed());
    let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
    assert!(metrics.lines().any(|line| line.contains("abandoned") && line.ends_with(" 1")), "{metrics}");
    assert!(scene.log().contains("deleted in Harbor by hand"));
    // In a namespace on its way out no event can be written.
    let events: Api<Event> = Api::namespaced(scene.client.clone(), "default");
    eventually("the event is where it can be", SOON, || async {
        let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let told = all.iter().find(|event| {
            let about = event.regarding.as_ref().and_then(|it| it.name.as_deref());
            event.reason.as_deref() == Some("RobotAbandoned") && about == Some(&*scene.namespace)
        });
        let note = told.and_then(|event| event.note.clone()).ok_or("there is none")?;
        if note.contains(&robot) && note.contains("ci") { Ok(()) } else { Err(note) }
    })
    .await;
}
