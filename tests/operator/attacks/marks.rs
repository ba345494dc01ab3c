//! The attacker is an admin of a project in Harbor: it makes and edits robots there, and writes what it likes into their
//! descriptions, which is where the operator keeps whose a robot is.

use harbor_robot_world::eventually;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::Table;
use super::stage::Stage;
use crate::scene::{LoginAs, SOON, Scene, Setting};

const NOBODY: &str = "0a1b2c3d-0000-4000-8000-000000000000";

async fn stage() -> Stage {
    let setting = Setting {
        registry: json!({"pollInterval": "1s", "grants": []}),
        args: vec!["--settle-after=1".to_owned()],
        login: LoginAs::Person,
        all_namespaces: true,
        ..Setting::default()
    };
    let mut stage = Stage::of_insider(Scene::without_operator(setting).await).await;
    let shared = stage.project("shared");
    stage.scene.harbor.create_project(&shared).await.unwrap();
    let both = [stage.scene.namespace.clone(), stage.victim.clone()];
    let grant = json!({"name": "shared", "namespaces": both, "projects": [shared], "permissions": ["PullArtifacts"]});
    stage.scene.edit_registry(json!({"grants": [grant]})).await;
    stage.uses(&shared).await;
    stage.scene.start();
    stage.scene.registry_is("Ready", "True").await;
    stage.scene.apply(stage.account_in(&stage.victim, "ci", &json!({"project": shared})));
    stage.says_in(&stage.victim, "ci", "Ready", "True", "Published").await;
    stage
}

async fn make(stage: &Stage, name: &str, description: &str) -> Value {
    let access = json!([{"resource": "repository", "action": "pull"}]);
    let robot = json!({
        "name": name, "level": "project", "duration": 30, "description": description,
        "permissions": [{"kind": "project", "namespace": stage.project("shared"), "access": access}],
    });
    stage.scene.harbor_api("POST", "/robots", robot).await;
    named(stage, name).await
}

async fn named(stage: &Stage, name: &str) -> Value {
    let robots = stage.scene.harbor.robots(&stage.project("shared")).await.unwrap();
    robots.into_iter().find(|robot| robot["name"].as_str().unwrap().ends_with(&format!("+{name}"))).unwrap()
}

async fn describe(stage: &Stage, name: &str, description: &str) {
    let mut robot = named(stage, name).await;
    robot["description"] = json!(description);
    stage.scene.harbor_api("PUT", &format!("/robots/{}", robot["id"]), robot.clone()).await;
}

async fn orphans_are(stage: &Stage, wanted: i32) {
    eventually(&format!("{wanted} orphans"), SOON, || async {
        let registry = stage.scene.registries().get(&stage.scene.registry).await.map_err(|error| error.to_string())?;
        let said = registry.status.and_then(|status| status.orphan_count);
        if said == Some(wanted) { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
}

/// A name in a mark comes into a path of the API server, to ask whether that account lives: one bad name would stop the
/// count of its registry.
async fn names_nothing(stage: &Stage, n: i32, path: &str) {
    let evil = make(stage, &format!("evil-{n}"), &format!("x [harbor-robots.io/v1 {NOBODY} {path}]")).await;
    let registry = stage.scene.registries().get(&stage.scene.registry).await.unwrap();
    let cluster = registry.status.unwrap().cluster_name.unwrap();
    let gone = format!("{cluster}/{}/gone-{n}", stage.scene.namespace);
    make(stage, &format!("gone-{n}"), &format!("x [harbor-robots.io/v1 {NOBODY} {gone}]")).await;
    orphans_are(stage, n + 1).await;
    assert_eq!(stage.scene.robot(evil["id"].as_i64().unwrap()).await, evil, "it is left alone");
}

/// The victim's mark on the attacker's robot: the victim's account goes on with its own.
async fn copies_the_mark(stage: &Stage, name: &str) {
    let victims = named(stage, "ci").await;
    let copy = make(stage, name, victims["description"].as_str().unwrap()).await;
    let calls = stage.scene.two_sweeps().await;
    assert!(calls.total > 0);
    stage.says_in(&stage.victim, "ci", "Ready", "True", "Published").await;
    assert_eq!(named(stage, "ci").await, victims);
    assert_eq!(stage.scene.robot(copy["id"].as_i64().unwrap()).await, copy);
}

/// The attacker's own mark on a robot of others: the account's two names decide, too.
async fn marks_the_robots_of_others(stage: &Stage, name: &str) {
    let spec = json!({"project": stage.project("shared")});
    stage.attack(&stage.account(name, &spec)).await;
    stage.scene.settled(name).await;
    let mark = named(stage, name).await["description"].clone();
    let others = make(stage, &format!("others-{name}"), "somebody's").await;
    describe(stage, &format!("others-{name}"), mark.as_str().unwrap()).await;
    let before = stage.look().await;
    let own = format!("+{name}");
    let is_own = |robot: &Value| robot["name"].as_str().unwrap().ends_with(&own);
    stage.of_attacker().delete(name, &DeleteParams::default()).await.unwrap();
    stage.scene.gone(name).await;
    stage.only_own_changed(&before, is_own).await;
    stage.scene.robot(others["id"].as_i64().unwrap()).await;
}

/// The mark is put back, and the credential of the victim's goes on working.
async fn erases_the_mark(stage: &Stage, text: &str) {
    let mark = named(stage, "ci").await["description"].clone();
    describe(stage, "ci", text).await;
    eventually("the mark is put back", SOON, || async {
        let now = named(stage, "ci").await["description"].clone();
        if now == mark { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    stage.says_in(&stage.victim, "ci", "Ready", "True", "Published").await;
}

pub async fn cases() -> Table {
    let mut table = Table::default();
    let stage = stage().await;
    let (own, victim) = (stage.scene.namespace.clone(), stage.victim.clone());
    let cluster = stage.scene.registries().get(&stage.scene.registry).await.unwrap();
    let cluster = cluster.status.unwrap().cluster_name.unwrap();
    let paths = [
        format!("{cluster}/{own}/a<"),
        format!("{cluster}/{own}/a?watch=1"),
        format!("{cluster}/{own}/%2e%2e"),
        format!("{cluster}/{own}/.."),
        format!("{cluster}/{own}/A"),
        format!("{cluster}/{own}/{}", "a".repeat(254)),
        format!("{cluster}/{victim}%2fx/ci"),
        format!("{cluster}/N\u{e4}me/ci"),
        format!("{cluster}//a<"),
    ];
    for (n, path) in paths.iter().enumerate() {
        let shown: String = path.rsplit('/').next().unwrap().chars().take(20).collect();
        let attack = names_nothing(&stage, i32::try_from(n).unwrap(), path);
        table.row(format!("a mark in Harbor names {shown:?}"), attack).await;
    }
    table.row("the victim's mark on one's own robot", copies_the_mark(&stage, "copy")).await;
    table.row("one's own mark on a robot of others", marks_the_robots_of_others(&stage, "marker")).await;
    table.row("the victim's mark is erased", erases_the_mark(&stage, "nobody's")).await;
    table.row("the victim's description is emptied", erases_the_mark(&stage, "")).await;
    table
}
