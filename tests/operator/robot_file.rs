//! `robot.json`, the file that Harbor's page offers for download.

use serde_json::{Value, json};

use crate::hands::text;
use crate::rotation::{DAY, expiry_of};
use crate::scene::{LoginAs, SOON, Scene, Setting};

/// Waits until the file tells of the robot as Harbor shows it, and logs in.
async fn whole_file(scene: &Scene, name: &str) -> Value {
    scene.settled(name).await;
    harbor_robot_world::eventually(&format!("{name}: robot.json is right"), SOON, || async {
        let secret = scene.secret(name).await.ok_or("no Secret")?;
        let file: Value = serde_json::from_str(&text(&secret, "robot.json").ok_or("no file")?).unwrap();
        let (login, _) = scene.credential(name).await;
        let robot = scene.published(name).await.ok_or("no robot")?;
        let wanted = json!({
            "creation_time": robot["creation_time"], "expires_at": robot["expires_at"], "id": robot["id"],
            "name": login.name, "secret": login.secret,
        });
        if file == wanted && scene.works(&login).await { Ok(file) } else { Err(format!("{file} instead of {wanted}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_robot_file_has_the_five_keys_of_harbors_export_through_every_rotation() {
    let file = json!({"keys": [{"key": "robot.json", "format": "RobotFile"}]});
    let in_place = json!({"secret": file, "rotation": {"strategy": "InPlace"}});
    let cases = [
        (LoginAs::Person, json!({"secret": file})),
        (LoginAs::Robot, json!({"secret": file})),
        (LoginAs::Person, in_place.clone()),
    ];
    for (login, spec) in cases {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", spec).await;
        let made = whole_file(&scene, "ci").await;
        let former = scene.credential("ci").await.0;
        scene.advance_to_renewal("ci").await;
        scene.replaced("ci", &former).await;
        let renewed = whole_file(&scene, "ci").await;
        assert!(renewed["expires_at"].as_i64() > made["expires_at"].as_i64(), "{renewed}");
        assert_ne!(renewed["secret"], made["secret"]);

        // A new lifetime moves the expiry, with a person's login of the robot that is there.
        scene.edit("ci", json!({"expiresAfter": "90d"})).await;
        let edited = whole_file(&scene, "ci").await;
        assert!(edited["expires_at"].as_i64() > renewed["expires_at"].as_i64(), "{edited}");
        scene.edit("ci", json!({"expiresAfter": "Never"})).await;
        harbor_robot_world::eventually("never", SOON, || async {
            let robot = scene.published("ci").await.ok_or("no robot")?;
            expiry_of(&robot).map_or(Ok(()), |_| Err("it expires"))
        })
        .await;
        assert_eq!(whole_file(&scene, "ci").await["expires_at"], -1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_robot_file_of_a_refresh_in_place_is_that_of_the_same_robot() {
    let scene = Scene::new(Setting::default()).await;
    let spec = json!({
        "expiresAfter": "Never", "rotation": {"strategy": "InPlace"},
        "secret": {"keys": [{"key": "robot.json", "format": "RobotFile"}]},
    });
    scene.account("ci", spec).await;
    let made = whole_file(&scene, "ci").await;
    let former = scene.credential("ci").await.0;
    scene.harbor.advance(DAY).await.unwrap();
    scene.annotate("ci", "refresh", Some("t1")).await;
    scene.replaced("ci", &former).await;
    let refreshed = whole_file(&scene, "ci").await;
    assert_eq!((&refreshed["id"], &refreshed["expires_at"]), (&made["id"], &json!(-1)));
    assert_ne!(refreshed["secret"], made["secret"]);
}
