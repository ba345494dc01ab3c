//! Robots of others: never changed, never deleted, taken over only where that is wished for and granted.

use serde_json::{Value, json};

use crate::hands::changes;
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, condition, everyone, pairs, permissions_in};

/// The mark of an account of another cluster.
const OTHER_MARK: &str = "theirs [harbor-robots.io/v1 0a1b2c3d-0000-4000-8000-000000000000 elsewhere/team/ci]";

fn with(login: LoginAs) -> Setting {
    Setting { login, ..Setting::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_robot_keeps_its_name_until_it_is_deleted() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        let strangers = [scene.stranger("plain", "by hand").await, scene.stranger("marked", OTHER_MARK).await];
        for name in ["plain", "marked"] {
            scene.account(name, json!({})).await;
        }
        for name in ["plain", "marked"] {
            let message = scene.reason_is(name, "Ready", "False", "NameTaken").await;
            assert!(message.contains(&format!("a robot named {name}")), "{message}");
            assert_eq!(condition(&scene.get(name).await, "Stalled").unwrap().1, "NameTaken");
            assert!(scene.secret(name).await.is_none());
        }
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        for stranger in strangers {
            let id = stranger["id"].as_i64().unwrap();
            assert_eq!(scene.robot(id).await, stranger, "not ours, not touched");
            scene.delete_robot(id).await;
        }
        for name in ["plain", "marked"] {
            scene.settled(name).await;
            scene.logs_in(name).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_leaves_the_strangers_robot_that_kept_it_waiting() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        let stranger = scene.stranger("ci", "by hand").await;
        scene.account("ci", json!({})).await;
        scene.reason_is("ci", "Ready", "False", "NameTaken").await;
        scene.delete("ci").await;
        scene.gone("ci").await;
        assert_eq!(scene.robots().await, [stranger]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_in_the_second_slot_is_left_alone_and_the_account_works() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        let stranger = scene.stranger("ci.b", "by hand").await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        // Its name is needed by the next rotation: that is told long before.
        let told = "+ci.b in Harbor is not this account's";
        scene
            .account_is("told", "ci", |account| {
                condition(account, "Synced").is_some_and(|(_, _, text)| text.contains(told))
            })
            .await;
        let kept = scene.logs_in("ci").await;
        let wish = json!({"permissions": ["PullArtifacts", "CreateTags"]});
        scene.edit("ci", wish).await;
        match login {
            LoginAs::Person => drop(scene.settled("ci").await),
            LoginAs::Robot => {
                scene.reason_is("ci", "Synced", "False", "NameTaken").await;
                let account = scene.get("ci").await;
                assert_eq!(condition(&account, "Ready").unwrap().0, "True", "what is published still works");
                assert_eq!(
                    permissions_in(&account.status.unwrap().permissions),
                    ["repository:pull"],
                    "what is in effect"
                );
            }
        }
        assert_eq!(scene.logs_in("ci").await, kept);
        let id = stranger["id"].as_i64().unwrap();
        assert_eq!(scene.robot(id).await, stranger);
        scene.delete_robot(id).await;
        scene.settled("ci").await;
        scene.logs_in("ci").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unowned_robot_is_taken_over_where_that_is_wished_for_and_granted() {
    let scene = Scene::new(with(LoginAs::Person)).await;
    let robot = scene.stranger("ci", "by hand").await;
    scene.account("ci", json!({"adoptionPolicy": "IfUnowned", "permissions": ["PullArtifacts", "CreateTags"]})).await;
    let account = scene.settled("ci").await;
    let robots = scene.robots().await;
    assert_eq!((robots.len(), &robots[0]["id"]), (1, &robot["id"]));
    assert_eq!(pairs(&robots[0]), ["repository:pull", "tag:create"]);
    let uid = account.metadata.uid.unwrap();
    assert!(robots[0]["description"].as_str().unwrap().contains(&uid), "{}", robots[0]);
    scene.logs_in("ci").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    assert!(scene.robots().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_is_not_taken_over_against_grant_mark_or_wish() {
    let denied = json!({"grants": [{
        "name": "all", "namespaceSelector": everyone(), "projects": ["*"],
        "access": [{"resource": "*", "action": "*"}], "adoption": "Denied",
    }]});
    let cases: [(&str, LoginAs, Value, &str, Value); 3] = [
        ("the grant denies it", LoginAs::Person, denied, "by hand", json!({"adoptionPolicy": "IfUnowned"})),
        ("it has a mark", LoginAs::Person, json!({}), OTHER_MARK, json!({"adoptionPolicy": "IfUnowned"})),
        ("nobody asked", LoginAs::Person, json!({}), "by hand", json!({"adoptionPolicy": "Never"})),
    ];
    for (what, login, mut registry, description, spec) in cases {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        if let Some(grant) = registry.pointer_mut("/grants/0") {
            grant.as_object_mut().unwrap().remove("namespaceSelector");
            grant["namespaces"] = json!([scene.namespace]);
            scene.edit_registry(registry).await;
        }
        let robot = scene.stranger("ci", description).await;
        scene.account("ci", spec).await;
        scene.reason_is("ci", "Ready", "False", "NameTaken").await;
        assert_eq!(scene.robots().await, [robot], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_accounts_with_one_robot_name_the_first_keeps_it() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("first", json!({"name": "shared"})).await;
        scene.settled("first").await;
        let (kept, robots) = (scene.logs_in("first").await, scene.robots().await);
        scene.account("second", json!({"name": "shared", "adoptionPolicy": "IfUnowned"})).await;
        scene.reason_is("second", "Ready", "False", "NameTaken").await;
        scene.two_sweeps().await;
        assert_eq!(scene.robots().await, robots);
        assert_eq!(scene.logs_in("first").await, kept);
        scene.delete("first").await;
        scene.gone("first").await;
        scene.settled("second").await;
        scene.logs_in("second").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn robots_of_others_in_the_project_are_never_changed() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        let mut others = Vec::new();
        for (name, description) in [("other", "by hand"), ("ci-2", OTHER_MARK), ("ci.b.c", ""), ("xci", "")] {
            others.push(scene.stranger(name, description).await);
        }
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        scene.edit("ci", json!({"permissions": ["CreateTags"], "expiresAfter": "60d"})).await;
        scene.settled("ci").await;
        scene.delete_secret("ci").await;
        scene.logs_in("ci").await;
        scene.edit("ci", json!({"disabled": true})).await;
        scene.settled("ci").await;
        scene.delete("ci").await;
        scene.gone("ci").await;
        let mut left = scene.robots().await;
        left.sort_by_key(|robot| robot["id"].as_i64());
        assert_eq!(left, others);
    }
}
