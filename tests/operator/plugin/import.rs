//! `import`: manifests for robots that exist, and a take-over that nobody notices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harbor_robot_world::{HarborClient, Login, Output, objects, scratch};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::robots;
use crate::robot_login::{SEES_ITSELF, operator_robot};
use crate::rotation::MINUTE;
use crate::scene::{LoginAs, Scene, Setting, system_robots_serve};

/// The plugin with the scene's registry.
fn import(scene: &Scene, args: &[&str]) -> Output {
    let from = ["--registry", &scene.registry, "--allow-http", "--cluster-resource-namespace", &scene.system];
    robots(scene, &[&["import"], &from[..], args].concat())
}

/// A robot of the scene's project, made by hand.
async fn by_hand(scene: &Scene, name: &str, more: Value) -> Login {
    let mut body = json!({
        "name": name, "level": "project", "duration": 30, "description": "by hand",
        "permissions": [{"kind": "project", "namespace": scene.namespace, "access": [
            {"resource": "repository", "action": "pull"}, {"resource": "repository", "action": "push"}]}],
    });
    crate::scene::merge(&mut body, &more);
    let made = scene.harbor_api("POST", "/robots", body).await;
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    Login { name: text("name"), secret: text("secret") }
}

fn pull_secret(scene: &Scene, name: &str, login: &Login) -> Value {
    let host = scene.harbor.url.split("://").nth(1).unwrap();
    let config = json!({"auths": {host: {"username": login.name, "password": login.secret}}}).to_string();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": scene.namespace}, "stringData": {".dockerconfigjson": config},
    })
}

/// By name, the spec of each account in the manifests.
fn specs(manifests: &str) -> BTreeMap<String, Value> {
    let named = |object: Value| (object["metadata"]["name"].as_str().unwrap().to_owned(), object["spec"].clone());
    objects(manifests).unwrap().into_iter().filter(|object| !object.is_null()).map(named).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_say_what_robots_are_and_comments_say_the_rest() {
    let scene = Scene::new(Setting::default()).await;
    let ns = scene.namespace.clone();
    scene.account("managed", json!({})).await;
    scene.settled("managed").await;
    let ci = by_hand(&scene, "ci", json!({})).await;
    by_hand(
        &scene,
        "nightly_scan",
        json!({"duration": -1, "permissions": [{"kind": "project", "namespace": ns, "access": [
        {"resource": "scan", "action": "create"}, {"resource": "tag", "action": "list"}]}]}),
    )
    .await;
    by_hand(&scene, "second.b", json!({})).await;
    scene.apply(pull_secret(&scene, "registry", &ci));
    let found = import(&scene, &["--projects", &ns, "--find-secrets"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    let reference = json!({"kind": "ClusterHarborRegistry", "name": scene.registry});
    let specs = specs(&found.stdout);
    assert_eq!(specs.keys().collect::<Vec<_>>(), ["ci", "nightly-scan"]);
    let expected = json!({
        "registryRef": reference, "project": ns, "description": "by hand", "expiresAfter": "30d",
        "permissions": ["PushArtifacts", "PullArtifacts"], "adoptionPolicy": "IfUnowned",
        "passwordSecretRef": {"name": "ci-password", "key": "password"},
    });
    assert_eq!(specs["ci"], expected);
    let expected = json!({
        "registryRef": reference, "project": ns, "name": "nightly_scan", "description": "by hand", "expiresAfter": "Never",
        "permissions": ["CreateScans"], "access": [{"resource": "tag", "action": "list"}], "adoptionPolicy": "IfUnowned",
    });
    assert_eq!(specs["nightly-scan"], expected);
    for says in [
        format!("# 3 robots that no account manages: 2 of {ns}, 1 of the cluster"),
        format!("# today's secret is in {ns}/registry; the account keeps it"),
        "# it never expires: with rotation: {interval: 90d}".to_owned(),
        "# taken over it gets a new secret: whoever uses today's is out at once".to_owned(),
        "# names that end in .b are those of the second robot of an account\n# No account can be made of it."
            .to_owned(),
    ] {
        assert!(found.stdout.contains(&says), "{says}\n{}", found.stdout);
    }
    assert!(!found.stdout.contains(&ci.secret), "no secret is printed");
    let checked = scene.plane.kubectl_stdin(["apply", "--dry-run=server", "-f", "-"], &found.stdout);
    assert!(checked.success, "{}", checked.stderr);

    // A password that Harbor does not let in is none, whoever wrote it down.
    let wrong = Login { name: ci.name.clone(), secret: "Of-Somebody-Else-1".to_owned() };
    scene.apply(pull_secret(&scene, "registry", &wrong));
    let guarded = import(&scene, &["--projects", &ns, "--find-secrets"]);
    assert!(self::specs(&guarded.stdout)["ci"]["passwordSecretRef"].is_null(), "{}", guarded.stdout);
    let preview = import(&scene, &["--projects", &ns, "--find-secrets", "--apply", "--yes"]);
    assert_eq!(preview.code, Some(3), "{preview:?}");
    assert!(preview.stderr.contains("error: 3 robots left out, as said above"), "{preview:?}");

    // Nor is anything said to be done that is not.
    scene.account("ci", json!({"name": "another"})).await;
    let taken = import(&scene, &["--projects", &ns, "--replace-secrets", "--apply", "--yes"]);
    assert_eq!(taken.code, Some(3), "{taken:?}");
    assert!(taken.stderr.contains("there is another account of that name"), "{taken:?}");

    // Beside them, nothing is taken over.
    let beside = import(&scene, &["--projects", &ns, "--beside"]);
    let beside = self::specs(&beside.stdout);
    assert_eq!(beside.keys().collect::<Vec<_>>(), ["ci-2", "nightly-scan-2"]);
    assert!(beside["ci-2"]["adoptionPolicy"].is_null() && beside["ci-2"]["passwordSecretRef"].is_null());

    // What Terraform knows.
    let state = json!({"values": {"root_module": {"resources": [{
        "type": "harbor_robot_account", "address": "harbor_robot_account.tf", "values": {
            "name": "tf", "full_name": "robot$tf", "level": "system", "duration": 90, "secret": "Of-Terraform-1",
            "permissions": [{"kind": "project", "namespace": "*", "access": [{"resource": "repository", "action": "pull"}]}],
    }}]}}});
    let file = scratch().unwrap().join("state.json");
    std::fs::write(&file, state.to_string()).unwrap();
    let terraform = robots(&scene, &["import", "--terraform", file.to_str().unwrap()]);
    assert_eq!(self::specs(&terraform.stdout)["tf"]["projects"], json!({"all": {"permissions": ["PullArtifacts"]}}));
    assert!(
        terraform.stdout.contains("# Terraform has to forget it first: terraform state rm 'harbor_robot_account.tf'")
    );
    assert!(!terraform.stdout.contains("Of-Terraform-1"));
}

/// Clients that log in with each credential all the time.
struct Clients {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Clients {
    fn of(scene: &Scene, logins: Vec<Login>) -> Self {
        let harbor = HarborClient::new(&scene.harbor.url, scene.harbor.admin.clone(), scene.harbor.ca.clone()).unwrap();
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (until, counted) = (Arc::clone(&stop), Arc::clone(&rounds));
        let task = tokio::spawn(async move {
            let mut failed = Vec::new();
            while !until.load(Ordering::Relaxed) {
                for login in &logins {
                    match harbor.verify(&login.name, &login.secret).await {
                        Ok(true) => {}
                        answer => failed.push(format!("{}: {answer:?}", login.name)),
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
            failed
        });
        Self { stop, rounds, task }
    }

    /// All of them logged in, again and again.
    async fn none_failed(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        assert_eq!(self.task.await.unwrap(), Vec::<String>::new());
        self.rounds.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_robots_in_use_are_taken_over_and_rotated_without_a_failed_login() {
    const MANY: usize = 200;
    let registry = json!({"rateLimit": {"requestsPerSecond": 1000}});
    let scene = Scene::new(Setting { registry, ..Setting::default() }).await;
    let mut logins = Vec::new();
    let mut secrets = Vec::new();
    for number in 0..MANY {
        let login = by_hand(&scene, &format!("old-{number}"), json!({})).await;
        secrets.push(pull_secret(&scene, &format!("old-{number}"), &login));
        logins.push(login);
    }
    scene.apply(json!({"apiVersion": "v1", "kind": "List", "items": secrets}));
    let clients = Clients::of(&scene, logins.clone());
    let args = ["--projects", &scene.namespace, "--find-secrets", "--apply"];

    // First it is said, then done.
    let told = import(&scene, &args);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.ends_with("Nothing was done. Repeat it with --yes.\n"), "{}", told.stdout);
    assert_eq!(
        told.stdout.lines().filter(|line| line.contains("with the secret that it has (today's secret is in ")).count(),
        MANY
    );

    // A robot that cannot be had stops it, and what was done before is not done again.
    let in_the_way = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "old-150-password", "namespace": scene.namespace},
        "stringData": {"password": "Another-One-1"},
    });
    scene.apply(in_the_way);
    let stopped = import(&scene, &[&args[..], &["--yes"]].concat());
    assert_eq!(stopped.code, Some(3), "{stopped:?}");
    assert!(stopped.stderr.contains("old-150: SecretNotMarked"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("of 200 robots done before; run it again to go on"), "{}", stopped.stderr);
    scene.plane.kubectl(["delete", "secret", "old-150-password", "-n", &scene.namespace]).ok().unwrap();
    scene.delete("old-150").await;
    scene.gone("old-150").await;
    let done = import(&scene, &[&args[..], &["--yes"]].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    let robots_now = scene.robots().await;
    assert_eq!(robots_now.len(), MANY, "the very robots, and no others");
    assert!(robots_now.iter().all(|robot| robot["description"].as_str().unwrap().contains("harbor-robots.io/v1")));
    assert!(import(&scene, &args).stdout.starts_with("Nothing was done"), "there is none left");

    // The password of one's own goes, and the secret that Harbor draws comes by a rotation.
    for number in 0..MANY {
        let patch = Patch::Merge(json!({"spec": {"passwordSecretRef": null}}));
        scene.accounts().patch(&format!("old-{number}"), &PatchParams::default(), &patch).await.unwrap();
    }
    scene.harbor.advance(2 * MINUTE).await.unwrap();
    scene.two_sweeps().await;
    let rotated = robots(&scene, &["refresh", "--all", "--yes", "--at-once", "50"]);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    assert_eq!(scene.robots().await.len(), 2 * MANY, "each with its overlap");
    for number in [0, 150, 199] {
        assert_ne!(scene.logs_in(&format!("old-{number}-harbor")).await.secret, logins[number].secret);
    }
    assert!(clients.none_failed().await > 2, "all logged in several times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_update_is_told_before_anything_is_done() {
    if !system_robots_serve() {
        return;
    }
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    // Such as sees what it holds.
    let login = operator_robot(&scene, "brief", "", &SEES_ITSELF, 30).await;
    scene.write_login(&login);
    scene.start();
    scene.registry_is("Ready", "True").await;
    let pull = json!([{"kind": "project", "namespace": scene.namespace, "access": [{"resource": "repository", "action": "pull"}]}]);
    let old = by_hand(&scene, "old", json!({"permissions": pull})).await;
    let refused = import(&scene, &["--projects", &scene.namespace, "--apply", "--yes"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--beside makes accounts beside them"), "{refused:?}");
    assert_eq!(scene.accounts().get_opt("old").await.unwrap(), None);

    let beside = import(&scene, &["--projects", &scene.namespace, "--beside", "--apply", "--yes"]);
    assert_eq!(beside.code, Some(0), "{beside:?}");
    let new = scene.logs_in("old-2").await;
    assert!(scene.works(&old).await && scene.works(&new).await);
}
