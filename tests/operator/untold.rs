//! Statuses that cannot be written, that nobody has written, and that nobody writes any more.

use harbor_robot_faults::Fault;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::faulty::Faulty;
use crate::scene::{Scene, Setting};

#[tokio::test(flavor = "multi_thread")]
async fn a_harbor_that_says_more_than_a_status_holds_is_served() {
    let scene = Scene::without_operator(Setting::default()).await;
    let pairs = |resources: usize| -> Value {
        let known = ["repository", "artifact", "tag", "robot"].map(ToOwned::to_owned);
        let more = (0..resources).map(|at| format!("resource-{at}"));
        let pair = |resource: String| json!({"resource": resource, "action": "pull"});
        known.into_iter().chain(more).map(pair).collect()
    };
    let catalogue = json!({"project": pairs(300), "system": pairs(300)}).to_string();
    let fault = json!({"method": "GET", "path": "/api/v2.0/permissions", "status": 200, "body": catalogue, "count": 0});
    scene.faults(json!([fault])).await;
    let mut scene = scene;
    scene.start();
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let known = scene.registry_is("Ready", "True").await.status.unwrap().permissions.unwrap();
    assert_eq!((known.project.len(), known.system.len()), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_whose_status_is_refused_serves_its_accounts() {
    let mut world = Faulty::new(Setting::default()).await;
    world.kill().await;
    let refusal = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 422, "reason": "Invalid",
        "message": "status.harborVersion: too long",
    });
    world
        .faults
        .always("Kubernetes PUT clusterharborregistries/{name}/status", Fault::Answer(422, refusal.to_string()));
    // It has something to say.
    let stale = Patch::Merge(json!({"status": {"conditions": []}}));
    let name = world.scene.registry.clone();
    world.scene.registries().patch_status(&name, &PatchParams::default(), &stale).await.unwrap();
    world.start();
    world.scene.account("ci", json!({})).await;
    world.scene.settled("ci").await;
    // Sweeps go on, and it is no hot loop.
    world.faults.forget();
    let robot = world.scene.published("ci").await.unwrap();
    world.scene.delete_robot(robot["id"].as_i64().unwrap()).await;
    world.scene.robots_are("made again", |robots| robots.iter().any(|now| now["id"] != robot["id"])).await;
    world.scene.logs_in("ci").await;
    world.scene.sweeps(3).await;
    let tries = world
        .faults
        .trace()
        .iter()
        .filter(|call| call.operation().contains("/status") && call.path.contains(&name))
        .count();
    assert!(tries <= 6, "{tries} tries");
    assert!(world.scene.log().contains("too long"), "{}", world.scene.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_nobody_has_looked_at_says_so() {
    let mut scene = Scene::without_operator(Setting::default()).await;
    scene.account("ci", json!({})).await;
    let fresh = json!({"observedGeneration": -1});
    let status = |scene: &Scene, kind: &str, name: &str| -> (Value, i64) {
        let object = scene.plane.kubectl(["get", kind, name, "--namespace", &scene.namespace, "--output=json"]);
        let object: Value = serde_json::from_str(&object.ok().unwrap()).unwrap();
        (object["status"].clone(), object["metadata"]["generation"].as_i64().unwrap())
    };
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "own", "namespace": scene.namespace},
        "spec": {"url": "https://harbor.example.com", "auth": {"secretRef": {"name": "login"}}},
    }));
    let puller = format!("{}-puller", scene.namespace);
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "SystemRobotAccount", "metadata": {"name": puller},
        "spec": {"registryRef": {"kind": "ClusterHarborRegistry", "name": "nobodys"},
                 "projects": {"all": {"permissions": ["PullArtifacts"]}}},
    }));
    let registry = scene.registry.clone();
    let all = [
        ("robotaccounts", "ci"),
        ("harborregistries", "own"),
        ("clusterharborregistries", registry.as_str()),
        ("systemrobotaccounts", puller.as_str()),
    ];
    for (kind, name) in all {
        // What kstatus goes by: another generation than the object's is one that is in progress.
        assert_eq!(status(&scene, kind, name), (fresh.clone(), 1), "{kind}");
        let table =
            scene.plane.kubectl(["get", kind, name, "--namespace", &scene.namespace, "--output=wide"]).ok().unwrap();
        assert!(table.split_whitespace().all(|cell| cell != "-1"), "{table}");
    }
    scene.start();
    scene.settled("ci").await;
    scene.registry_is("Ready", "True").await;
    for (kind, name) in &all[..1] {
        let (status, generation) = status(&scene, kind, name);
        assert_eq!(status["observedGeneration"], json!(generation));
    }
    // Nobody serves it.
    assert_eq!(status(&scene, "harborregistries", "own").0, fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_ends_with_the_credential_although_the_registry_is_gone() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    // Somebody forces the registry away.
    scene.plane.kubectl(["delete", "clusterharborregistry", &scene.registry, "--wait=false"]).ok().unwrap();
    let no_finalizers = r#"{"metadata": {"finalizers": null}}"#;
    let patch = ["patch", "clusterharborregistry", &scene.registry, "--type=merge", "--patch", no_finalizers];
    scene.plane.kubectl(patch).ok().unwrap();
    scene.reason_is("ci", "Synced", "False", "RegistryNotFound").await;
    scene.reason_is("ci", "Ready", "True", "Published").await;
    let soon = harbor_robot_operator::clock::now() + jiff::SignedDuration::from_secs(6);
    let patch = Patch::Merge(json!({"status": {"robot": {"expirationTime": soon}}}));
    scene.accounts().patch_status("ci", &PatchParams::default(), &patch).await.unwrap();
    // Has it look, and tells that it did.
    scene.edit("ci", json!({"description": "looked at"})).await;
    let looked = scene
        .account_is("seen", "ci", |account| {
            account.status.as_ref().and_then(|status| status.observed_generation) == account.metadata.generation
        })
        .await;
    let ready = crate::scene::condition(&looked, "Ready").unwrap();
    assert!(ready.0 == "True" || harbor_robot_operator::clock::now() >= soon, "{ready:?}");
    let message = scene.reason_is("ci", "Ready", "False", "RegistryNotFound").await;
    assert!(message.contains("does not exist"), "{message}");
    assert!(harbor_robot_operator::clock::now() >= soon, "not before it expired");
}
