//! A robot as the operator's login: what it has to hold, what it may hand out, and what `project:update` changes.

use harbor_robot_world::{Login, eventually};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::hands::ids;
use crate::scene::{LoginAs, SOON, Scene, Setting, pairs, system_robots_serve};

const POST: &str = "POST /api/v2.0/robots";
const PUT: &str = "PUT /api/v2.0/robots/{id}";
const PATCH: &str = "PATCH /api/v2.0/robots/{id}";

/// What the documentation asks for in every project: managing robots, finding the project, and what is handed out here.
pub const LEAST: [(&str, &str); 7] = [
    ("robot", "create"),
    ("robot", "read"),
    ("robot", "list"),
    ("robot", "delete"),
    ("project", "read"),
    ("repository", "pull"),
    ("tag", "create"),
];

/// What the documentation asks for on the level of the system, with the right to look at itself.
pub const SEES_ITSELF: [(&str, &str); 2] = [("project", "list"), ("robot", "list")];

fn access(pairs: &[(&str, &str)], effect: &str) -> Vec<Value> {
    let pair = |(resource, action): &(&str, &str)| {
        if effect.is_empty() {
            json!({"resource": resource, "action": action})
        } else {
            json!({"resource": resource, "action": action, "effect": effect})
        }
    };
    pairs.iter().map(pair).collect()
}

/// Permission groups of an operator's robot, each pair with this text of `effect`.
pub fn groups(system: &[(&str, &str)], effect: &str, projects: &str, in_projects: &[(&str, &str)]) -> Value {
    let mut groups = vec![json!({"kind": "project", "namespace": projects, "access": access(in_projects, effect)})];
    if !system.is_empty() {
        groups.push(json!({"kind": "system", "namespace": "/", "access": access(system, effect)}));
    }
    json!(groups)
}

/// Makes a system robot with the least privileges for all projects, and these on the level of the system.
pub async fn operator_robot(scene: &Scene, name: &str, effect: &str, system: &[(&str, &str)], days: i64) -> Login {
    with_groups(scene, name, groups(system, effect, "*", &LEAST), days).await
}

async fn with_groups(scene: &Scene, name: &str, groups: Value, days: i64) -> Login {
    let body = json!({"name": name, "level": "system", "duration": days, "permissions": groups});
    let made = scene.harbor_api("POST", "/robots", body).await;
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    Login { name: text("name"), secret: text("secret") }
}

/// One that may also update the robots of all projects.
async fn updater(scene: &Scene) -> Login {
    let pairs = [&LEAST[..], &[("project", "update")]].concat();
    with_groups(scene, "updater", groups(&SEES_ITSELF, "", "*", &pairs), -1).await
}

/// A system robot by its full name, as Harbor shows it.
pub async fn robot(scene: &Scene, name: &str) -> Value {
    let robots = scene.harbor_api("GET", "/robots?page_size=100", Value::Null).await;
    robots.as_array().unwrap().iter().find(|robot| robot["name"] == name).unwrap().clone()
}

async fn with_login(login: impl AsyncFnOnce(&Scene) -> Login) -> Scene {
    let mut scene = Scene::without_operator(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    scene.login = login(&scene).await;
    scene.write_login(&scene.login);
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene
}

async fn annotate(scene: &Scene, name: &str, key: &str, token: &str) {
    let key = format!("harbor-robots.io/{key}");
    let patch = Patch::Merge(json!({"metadata": {"annotations": {key: token}}}));
    scene.accounts().patch(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn refused_posts(scene: &Scene) -> usize {
    let calls = scene.harbor.calls().await.unwrap().calls;
    calls.iter().filter(|call| call.method == "POST" && call.path.ends_with("/robots") && call.status == 403).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_privileges_are_enough_for_a_whole_life_whatever_the_text_of_their_effect() {
    if !system_robots_serve() {
        return;
    }
    for effect in ["", "allow"] {
        let scene = with_login(async |scene: &Scene| operator_robot(scene, "op", effect, &SEES_ITSELF, -1).await).await;
        scene.harbor.reset_calls().await.unwrap();
        scene.account("ci", json!({})).await;
        scene.account("brief", json!({"rotation": {"overlap": "1s"}})).await;
        for name in ["ci", "brief"] {
            scene.settled(name).await;
        }
        let first = scene.logs_in("ci").await;
        // Change, refresh, lost Secret, disabling: each by another robot.
        for name in ["ci", "brief"] {
            scene.edit(name, json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
            scene.settled(name).await;
        }
        let second = scene.logs_in("ci").await;
        assert_ne!(first.name, second.name);
        assert!(scene.harbor.verify(&first.name, &first.secret).await.unwrap(), "the overlap");
        scene.harbor.advance(61).await.unwrap();
        annotate(&scene, "ci", "refresh", "one").await;
        let third = eventually("refreshed", SOON, || async {
            let login = scene.credential("ci").await.0;
            if login == second { Err("not yet") } else { Ok(login) }
        })
        .await;
        assert!(scene.harbor.verify(&third.name, &third.secret).await.unwrap());
        scene.settled("ci").await;
        // Repairs soon after a refresh wait.
        scene.harbor.advance(600).await.unwrap();
        scene.delete_secret("ci").await;
        scene.logs_in("ci").await;
        scene.edit("ci", json!({"disabled": true})).await;
        scene.settled("ci").await;
        scene.robots_are("only the other account's is left", |robots| robots.len() == 1).await;
        scene.edit("ci", json!({"disabled": null})).await;
        scene.settled("ci").await;
        scene.logs_in("ci").await;
        for name in ["ci", "brief"] {
            scene.delete(name).await;
            scene.gone(name).await;
        }
        assert!(scene.robots().await.is_empty());
        // The text is learned from one refusal; two creates may have been under way at once.
        let refused = refused_posts(&scene).await;
        assert!(refused <= if effect.is_empty() { 0 } else { 2 }, "{refused} creates were refused with {effect:?}");
        let calls = scene.harbor.calls().await.unwrap();
        assert_eq!(calls.count(PATCH), 0);
        assert!(calls.count(PUT) <= 3, "a refused update is not tried again: {:?}", calls.by);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_pairs_get_the_other_text_of_effect_is_learned_anew() {
    if !system_robots_serve() {
        return;
    }
    let scene = with_login(async |scene: &Scene| operator_robot(scene, "op", "", &SEES_ITSELF, -1).await).await;
    scene.account("one", json!({})).await;
    scene.settled("one").await;
    for (name, effect) in [("two", "allow"), ("three", "")] {
        let mut own = robot(&scene, &scene.login.name).await;
        // An absent effect would keep the old text.
        let id = own["id"].as_i64().unwrap();
        own["permissions"] = groups(&SEES_ITSELF, effect, "*", &LEAST);
        scene.harbor.set_permissions(id, own["permissions"].clone()).await.unwrap();
        scene.harbor.reset_calls().await.unwrap();
        scene.account(name, json!({})).await;
        scene.settled(name).await;
        scene.logs_in(name).await;
        assert_eq!(refused_posts(&scene).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_project_update_renews_in_place_and_edits_the_robot_itself() {
    if !system_robots_serve() {
        return;
    }
    let scene = with_login(async |scene: &Scene| updater(scene).await).await;
    scene.account("ci", json!({"rotation": {"strategy": "InPlace"}})).await;
    scene.account("two", json!({})).await;
    for name in ["ci", "two"] {
        scene.settled(name).await;
    }
    let before = scene.logs_in("ci").await;
    let robots = ids(&scene.robots().await);
    scene.harbor.reset_calls().await.unwrap();
    let wish = json!({"permissions": ["PullArtifacts", "CreateTags"], "description": "tags", "expiresAfter": "60d"});
    for name in ["ci", "two"] {
        scene.edit(name, wish.clone()).await;
        scene.settled(name).await;
        assert_eq!(pairs(&scene.published(name).await.unwrap()), ["repository:pull", "tag:create"]);
    }
    assert_eq!(scene.credential("ci").await.0, before, "an edit needs no new secret");
    scene.harbor.advance(61).await.unwrap();
    annotate(&scene, "ci", "refresh", "one").await;
    let after = eventually("refreshed", SOON, || async {
        let login = scene.credential("ci").await.0;
        if login.secret == before.secret { Err("not yet") } else { Ok(login) }
    })
    .await;
    assert_eq!(after.name, before.name);
    assert!(scene.harbor.verify(&after.name, &after.secret).await.unwrap());
    scene.settled("ci").await;
    assert_eq!(ids(&scene.robots().await), robots);
    let calls = scene.harbor.calls().await.unwrap();
    assert_eq!((calls.count(POST), calls.count(PATCH)), (0, 1), "{:?}", calls.by);
    let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
    assert_eq!(status.login.unwrap().kind, harbor_robot_operator::api::LoginKind::Robot);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_loses_project_update_goes_on_by_other_robots_and_gets_it_back_by_a_probe() {
    if !system_robots_serve() {
        return;
    }
    let scene = with_login(async |scene: &Scene| updater(scene).await).await;
    scene.account("overlap", json!({})).await;
    scene.account("in-place", json!({"rotation": {"strategy": "InPlace"}})).await;
    for name in ["overlap", "in-place"] {
        scene.settled(name).await;
    }
    let id = robot(&scene, &scene.login.name).await["id"].as_i64().unwrap();
    scene.harbor.set_permissions(id, groups(&SEES_ITSELF, "", "*", &LEAST)).await.unwrap();
    let before = scene.published("overlap").await.unwrap()["id"].clone();
    for name in ["overlap", "in-place"] {
        scene.edit(name, json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    }
    scene.settled("overlap").await;
    assert_ne!(scene.published("overlap").await.unwrap()["id"], before);
    scene.reason_is("in-place", "Synced", "False", "LoginCannotUpdate").await;
    scene.logs_in("in-place").await;
    // The login sees its own permissions at each probe; a probe follows an edit of the registry.
    let pairs = [&LEAST[..], &[("project", "update")]].concat();
    scene.harbor.set_permissions(id, groups(&SEES_ITSELF, "", "*", &pairs)).await.unwrap();
    scene.edit_registry(json!({"pollInterval": "2s"})).await;
    scene.settled("in-place").await;
    scene.logs_in("in-place").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_itself_can_be_replaced_and_its_predecessor_deleted() {
    if !system_robots_serve() {
        return;
    }
    let scene = with_login(async |scene: &Scene| operator_robot(scene, "old", "", &SEES_ITSELF, -1).await).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let (kept, robots) = (scene.logs_in("ci").await, scene.robots().await);
    let old = robot(&scene, &scene.login.name).await;
    let new = operator_robot(&scene, "new", "allow", &SEES_ITSELF, -1).await;
    scene.write_login(&new);
    scene.login_is(&new.name).await;
    scene.delete_robot(old["id"].as_i64().unwrap()).await;
    scene.sweeps(3).await;
    assert_eq!((scene.credential("ci").await.0, scene.robots().await), (kept, robots), "nothing changed");
    scene.account("next", json!({})).await;
    scene.settled("next").await;
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}
