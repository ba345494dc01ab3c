//! `deploy/gitops/argocd-cm.yaml`: its scripts, run by a Lua interpreter on objects as they are. What they say of each state of
//! each kind is asked for in `kstatus`.

use serde_json::{Value, json};

use crate::scene::{Scene, Setting};

const CONFIG: &str = include_str!("../../deploy/gitops/argocd-cm.yaml");

fn entry(key: &str) -> String {
    let config: Value = serde_saphyr::from_str(CONFIG).unwrap();
    config["data"][key].as_str().unwrap_or_else(|| panic!("no {key}")).to_owned()
}

fn run(scene: &Scene, script: &str, object: &Value) -> Value {
    let asked = json!({"script": script, "obj": object}).to_string();
    serde_json::from_str(&scene.plane.rig("lua", [] as [&str; 0], &asked).ok().unwrap()).unwrap()
}

/// `Healthy`, `Progressing`, `Degraded` or `Suspended`.
pub fn health(scene: &Scene, kind: &str, object: &Value) -> String {
    let said = run(scene, &entry(&format!("resource.customizations.health.harbor-robots.io_{kind}")), object);
    assert!(said["message"].as_str().is_some_and(|message| !message.is_empty()), "{said}");
    said["status"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_refreshes_and_revokes_an_account_from_there() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    for kind in ["RobotAccount", "SystemRobotAccount"] {
        let actions = entry(&format!("resource.customizations.actions.harbor-robots.io_{kind}"));
        let actions: Value = serde_saphyr::from_str(&actions).unwrap();
        let discovery = actions["discovery.lua"].as_str().unwrap();
        let object = serde_json::to_value(scene.get("ci").await).unwrap();
        assert_eq!(
            run(&scene, discovery, &object),
            json!({"refresh": {"disabled": false}, "revoke": {"disabled": false}})
        );
        let suspended = json!({"metadata": {}, "spec": {"suspend": true}});
        assert_eq!(run(&scene, discovery, &suspended)["revoke"]["disabled"], true);
        for (at, name) in ["refresh", "revoke"].into_iter().enumerate() {
            let action = &actions["definitions"][at];
            assert_eq!(action["name"], name);
            let mut edited = run(&scene, action["action.lua"].as_str().unwrap(), &object);
            let key = format!("harbor-robots.io/{name}");
            let token = edited["metadata"]["annotations"][&key].as_str().unwrap().to_owned();
            assert!(token.len() == "2026-01-02T03:04:05Z".len() && token.ends_with('Z'), "{token}");
            edited["metadata"]["annotations"].as_object_mut().unwrap().remove(&key);
            assert_eq!(edited["spec"], object["spec"], "nothing else is changed");
        }
    }
}
