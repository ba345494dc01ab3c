//! An account from its first apply to its deletion.

use harbor_robot_world::eventually;
use serde_json::json;

use crate::scene::{BOTH_LOGINS, SOON, Scene, Setting, pairs};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_gets_a_robot_and_a_secret_that_logs_in() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.harbor.reset_calls().await.unwrap();
        scene.account("ci", json!({})).await;
        let account = scene.settled("ci").await;
        let credential = scene.logs_in("ci").await;
        let robots = scene.robots().await;
        assert_eq!(robots.len(), 1);
        assert_eq!(robots[0]["name"], credential.name);
        assert_eq!(account.status.unwrap().robot.unwrap().name, credential.name);
        assert_eq!(pairs(&robots[0]), ["repository:pull"]);
        assert_eq!(scene.harbor.calls().await.unwrap().count("POST /api/v2.0/robots"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_takes_its_robot_and_secret_with_it() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        scene.delete("ci").await;
        scene.gone("ci").await;
        assert!(scene.robots().await.is_empty());
        // Kubernetes' garbage collector learns of a new kind every 30 s only.
        eventually("the Secret is collected", SOON * 3, || async {
            scene.secret("ci").await.map_or(Ok(()), |secret| Err(format!("{:?}", secret.metadata)))
        })
        .await;
    }
}
