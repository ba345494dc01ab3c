//! Many accounts at once: what Harbor's page cannot do is one command here.

use harbor_robot_world::eventually;
use serde_json::{Value, json};

use crate::scene::{SOON, Scene, Setting};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_accounts_is_applied_and_selected_by_label() {
    let scene = Scene::new(Setting::default()).await;
    let account = |name: &str, tier: &str| {
        json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
            "metadata": {"name": name, "namespace": scene.namespace, "labels": {"tier": tier}},
            "spec": {
                "registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry},
                "project": scene.namespace, "permissions": ["PullArtifacts"],
            },
        })
    };
    let names: Vec<String> = (0..12).map(|n| format!("ci-{n}")).collect();
    let items: Vec<Value> =
        names.iter().enumerate().map(|(n, name)| account(name, if n % 2 == 0 { "even" } else { "odd" })).collect();
    scene.apply(json!({"apiVersion": "v1", "kind": "List", "items": items}));
    let kubectl = |words: &str| {
        let words: Vec<&str> = words.split(' ').chain(["-n", &scene.namespace]).collect();
        scene.plane.kubectl(words).ok().unwrap()
    };
    kubectl("wait robotaccounts --all --for=condition=Ready --timeout=60s");
    assert_eq!(scene.robots().await.len(), 12);
    // Half of them are switched off, then deleted, by their label.
    kubectl("annotate robotaccounts -l tier=odd harbor-robots.io/refresh=now");
    let selected = kubectl("get robotaccounts -l tier=odd -o name");
    assert_eq!(selected.lines().count(), 6, "{selected}");
    let of_project = kubectl(&format!("get robotaccounts --field-selector spec.project={} -o name", scene.namespace));
    assert_eq!(of_project.lines().count(), 12, "{of_project}");
    kubectl("delete robotaccounts -l tier=odd --wait=true");
    eventually("their robots are gone", SOON, || async {
        let left = scene.robots().await.len();
        if left == 6 { Ok(()) } else { Err(left.to_string()) }
    })
    .await;
}
