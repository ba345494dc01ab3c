//! Whoever undoes repairs again and again, or asks for a new credential again and again, makes no storm of robots.

use serde_json::json;

use crate::hands::{changes, ids};
use crate::scene::{BOTH_LOGINS, Scene, Setting, condition};

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_is_deleted_again_and_again_is_made_again_more_and_more_slowly() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        // The first repair is immediate, the second a minute after it, the third two minutes after that.
        for wait in [0, 61, 121] {
            scene.delete_robot(ids(&scene.robots().await)[0]).await;
            if wait > 0 {
                let message = scene.reason_is("ci", "Ready", "False", "RepairsPaused").await;
                assert!(message.contains("find out who"), "{message}");
                let account = scene.get("ci").await;
                assert!(condition(&account, "Reconciling").is_none(), "the spec was applied before");
                assert!(condition(&account, "Stalled").is_none(), "it goes on by itself");
                assert_eq!(changes(&scene.two_sweeps().await), 0);
                scene.harbor.advance(wait - 20).await.unwrap();
                assert_eq!(changes(&scene.two_sweeps().await), 0, "{wait} s are not over");
                scene.harbor.advance(20).await.unwrap();
            }
            scene.robots_are("made again", |robots| robots.len() == 1).await;
            scene.settled("ci").await;
            scene.logs_in("ci").await;
        }
        // A person's edit is served at once.
        scene.delete_robot(ids(&scene.robots().await)[0]).await;
        scene.edit("ci", json!({"description": "edited"})).await;
        scene.settled("ci").await;
        scene.logs_in("ci").await;
    }
}
