//! The CustomResourceDefinitions go, come back, or are older than the operator.

use std::sync::OnceLock;

use harbor_robot_operator::api::crds::crds;
use harbor_robot_world::{ControlPlane, eventually};
use serde_json::{Value, json};

use crate::scene::{SOON, Scene, Setting, install_kinds};

/// A control plane whose definitions no other test relies on.
fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| {
        let plane = ControlPlane::unaudited().expect("a control plane starts");
        install_kinds(&plane);
        plane
    })
}

fn definition(kind: &str) -> Value {
    let all = crds().into_iter().map(|crd| serde_json::to_value(crd).unwrap());
    all.into_iter().find(|crd| crd["spec"]["names"]["kind"] == kind).expect("the kind is ours")
}

async fn log_says(scene: &Scene, text: &str) {
    eventually(&format!("the log says: {text}"), SOON, || async {
        if scene.log().contains(text) { Ok(()) } else { Err(scene.log()) }
    })
    .await;
}

/// One after the other, since both are about the definitions of one control plane.
#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_go_and_come_or_are_old_are_told_of_with_what_to_do() {
    let plane = tokio::task::spawn_blocking(plane).await.unwrap();
    let mut scene = Scene::new(Setting { plane: Some(plane), ..Setting::default() }).await;
    scene.account("first", json!({})).await;
    scene.settled("first").await;
    let name = "robotaccounts.harbor-robots.io";

    // With its kind an account goes, and its robot with it.
    plane.kubectl(["delete", "crd", name, "--wait=true", "--timeout=60s"]).ok().unwrap();
    assert!(scene.robots().await.is_empty());
    log_says(&scene, "the API server does not have this kind").await;
    log_says(&scene, "harbor-robot-operator crds").await;
    plane.apply(&definition("RobotAccount").to_string()).unwrap();
    plane.kubectl(["wait", "--for=condition=Established", "crd", name]).ok().unwrap();
    scene.account("second", json!({})).await;
    scene.settled("second").await;
    assert!(scene.log().contains("the API server has this kind again"), "{}", scene.log());

    // The former version's status had one field fewer.
    let mut old = definition("RobotAccount");
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    old.pointer_mut(status).and_then(Value::as_object_mut).unwrap().remove("robot").expect("status.robot");
    plane.apply(&old.to_string()).unwrap();
    scene.operator = None;
    scene.start();
    eventually("the field is dropped, and that is told", SOON, || async {
        scene.annotate("second", "refresh", Some("once")).await;
        let log = scene.log();
        let told =
            log.lines().any(|line| line.contains("CustomResourceDefinition is older") && line.contains("status.robot"));
        if told { Ok(()) } else { Err(log) }
    })
    .await;
}
