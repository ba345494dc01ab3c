//! The manifests of `deploy/samples/forms`, one for each form that an object can have: each is applied and becomes Ready.

use std::path::Path;

use serde_json::{Value, json};

use crate::scene::{Scene, Setting, everyone};

/// What stands in the samples for a reader's own.
const URL: &str = "https://harbor.example.com";
const USERNAME: &str = "robot$operator";
const PASSWORD: &str = "change-me";
const SYSTEM: &str = "harbor-robots";
const REGISTRY: &str = "main";

/// The objects of a file, made to fit the scene.
pub fn objects(scene: &Scene, file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let text = text
        .replace(URL, &scene.harbor.url)
        .replace(USERNAME, &scene.login.name)
        .replace(PASSWORD, &scene.login.secret)
        .replace("team-", &format!("{}-", scene.namespace));
    let documents = text.split("\n---").filter(|text| text.contains("kind:"));
    let mut objects: Vec<Value> = documents.map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    for object in &mut objects {
        let kind = object["kind"].as_str().unwrap().to_owned();
        if object["metadata"]["namespace"] == SYSTEM {
            object["metadata"]["namespace"] = json!(scene.system);
        }
        if kind.ends_with("HarborRegistry") {
            object["metadata"]["labels"] = json!({"scene": scene.registry});
        }
        if kind == "ClusterHarborRegistry" {
            // Three forms of one object.
            let form = file.file_stem().unwrap().to_str().unwrap();
            object["metadata"]["name"] = json!(format!("{}-{form}", scene.registry));
            object["metadata"]["annotations"] = object["metadata"]["annotations"].take();
            if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                annotations.remove("harbor-robots.io/is-default");
            }
        }
        if object["spec"]["registryRef"] == json!({"kind": "ClusterHarborRegistry", "name": REGISTRY}) {
            object["spec"]["registryRef"]["name"] = json!(scene.registry);
        }
    }
    objects
}

/// A registry's grant of everything to everyone.
pub fn everything() -> Value {
    json!({"grants": [{
        "name": "all", "namespaceSelector": everyone(), "projects": ["*"],
        "access": [{"resource": "*", "action": "*"}], "maxExpiresAfter": "Never", "adoption": "Allowed", "retention": "Allowed",
    }]})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_applied_as_it_is_and_becomes_ready() {
    let args = vec!["--private-registry-hosts=127.0.0.1".to_owned()];
    let scene = Scene::of_the_system(Setting { registry: everything(), args, ..Setting::default() }).await;
    for team in ["a", "b"] {
        let name = scene.namespace_with(team, &json!({"harbor-robots.example.com/pull": "true"}));
        scene.harbor.create_project(&name).await.unwrap();
    }
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "harbor-login", "namespace": scene.system},
        "stringData": {"username": scene.login.name, "password": scene.login.secret},
    }));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/forms");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    assert!(files.len() >= 18, "{files:?}");
    let mut waiting = Vec::new();
    for file in &files {
        let all = objects(&scene, file);
        scene.apply(json!({"apiVersion": "v1", "kind": "List", "items": all}));
        waiting.extend(all.into_iter().filter(|object| {
            object["apiVersion"].as_str().is_some_and(|version| version.starts_with("harbor-robots.io/"))
        }));
    }
    assert!(waiting.len() >= files.len(), "every file has an object of ours");
    for object in waiting {
        let name = format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let told = scene.plane.kubectl(["wait", &name, "-n", namespace, "--for=condition=Ready", "--timeout=60s"]).ok();
        assert!(told.is_ok(), "{name}: {told:?}\n{}", scene.log());
    }
    // Cluster-scoped ones have the names of the samples.
    for name in scene.plane.kubectl(["get", "systemrobotaccounts", "-o", "name"]).ok().unwrap().lines() {
        if !name.contains(&scene.namespace) {
            scene.plane.kubectl(["delete", name, "--wait=false"]).ok().unwrap();
        }
    }
}
