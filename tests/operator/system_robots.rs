//! System robots: over all projects, by pattern, by name, with what is taken away again, and for Harbor's administration.

use serde_json::{Value, json};

use crate::hands::changes;
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, permissions_in};
use crate::system::rights_of;

/// A scene in which one system account asks for `spec`, settled; with the robot.
async fn settled(login: LoginAs, spec: Value) -> (Scene, Value) {
    let scene = Scene::of_the_system(Setting { login, ..Setting::default() }).await;
    scene.system_account("puller", spec).await;
    scene.system_settled("puller").await;
    let robot = scene.system_robots().await.pop().expect("the robot exists");
    (scene, robot)
}

/// A project of the scene, named so that no other pattern of the scene fits.
async fn project(scene: &Scene, name: &str) -> String {
    scene.harbor.create_project(name).await.unwrap();
    name.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_robot_reaches_all_projects() {
    for login in BOTH_LOGINS {
        let spec = json!({"projects": {"all": {"permissions": ["PushArtifacts"]}}});
        let (scene, robot) = settled(login, spec).await;
        assert_eq!((&robot["level"], &robot["name"]), (&json!("system"), &json!("robot$puller")));
        assert_eq!(rights_of(&robot), ["* repository:pull", "* repository:push"], "push never without pull");
        let status = scene.system_settled("puller").await;
        assert_eq!(status.projects.unwrap().all, Some(true));
        assert_eq!(permissions_in(&status.permissions), ["* repository:pull", "* repository:push"]);
        let login = scene.logs_in_from(&scene.system, &scene.system_name("puller")).await;
        assert_eq!(login.name, "robot$puller");
        scene.delete_system("puller").await;
        scene.no_secret_in(&scene.system, &scene.system_name("puller")).await;
        assert_eq!(scene.system_robots().await, [Value::Null; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_follows_projects_as_they_come_and_go() {
    for login in BOTH_LOGINS {
        let scene = Scene::of_the_system(Setting { login, ..Setting::default() }).await;
        for name in ["team-a", "team-b", "other"] {
            project(&scene, name).await;
        }
        let matching = json!([
            {"pattern": "team-*", "permissions": ["PullArtifacts"]},
            {"pattern": "*-b", "access": [{"resource": "tag", "action": "list"}]},
        ]);
        scene.system_account("puller", json!({"projects": {"matching": matching}})).await;
        let status = scene.system_settled("puller").await;
        assert_eq!(status.projects.as_ref().unwrap().count, Some(2));
        let both = ["team-a repository:pull", "team-b repository:pull", "team-b tag:list"];
        assert_eq!(rights_of(&scene.system_robots().await[0]), both);

        // Several at once are one change.
        let before = scene.harbor.calls().await.unwrap();
        for name in ["team-c", "team-d", "unrelated"] {
            project(&scene, name).await;
        }
        let four = |robots: &[Value]| {
            robots.iter().any(|robot| {
                let rights = rights_of(robot);
                rights.contains(&"team-c repository:pull".to_owned())
                    && rights.contains(&"team-d repository:pull".to_owned())
            })
        };
        scene.system_robots_are("the new projects joined", four).await;
        let status = scene
            .system_is("four projects", "puller", |_, status| {
                status.projects.as_ref().is_some_and(|projects| projects.count == Some(4))
            })
            .await;
        assert_eq!(status.projects.unwrap().names, ["team-a", "team-b", "team-c", "team-d"]);
        let after = scene.harbor.calls().await.unwrap();
        let count = |operation: &str| after.count(operation) - before.count(operation);
        let (puts, posts) = (count("PUT /api/v2.0/robots/{id}"), count("POST /api/v2.0/robots"));
        match login {
            LoginAs::Person => assert!((1..=2).contains(&puts) && posts == 0, "{puts} {posts}"),
            LoginAs::Robot => assert!(puts <= 1 && (1..=2).contains(&posts), "{puts} {posts}"),
        }
        scene.system_settled("puller").await;

        // One that is deleted disappears; Harbor has taken its part away already.
        scene.harbor_api("DELETE", "/projects/team-a", Value::Null).await;
        scene
            .system_is("three projects", "puller", |_, status| {
                status.projects.as_ref().is_some_and(|projects| projects.count == Some(3))
            })
            .await;
        scene.system_settled("puller").await;

        // Nothing is written while nothing changes.
        let version =
            scene.system_accounts().get(&scene.system_name("puller")).await.unwrap().metadata.resource_version;
        let before = scene.harbor.calls().await.unwrap();
        let lists = before.count("GET /api/v2.0/projects");
        harbor_robot_world::eventually("three more polls", crate::scene::SOON, || async {
            let now = scene.harbor.calls().await.map_err(|error| error.to_string())?.count("GET /api/v2.0/projects");
            if now >= lists + 3 { Ok(()) } else { Err(format!("{now} of {lists}")) }
        })
        .await;
        let after = scene.harbor.calls().await.unwrap();
        assert_eq!(changes(&after), changes(&before));
        let now = scene.system_accounts().get(&scene.system_name("puller")).await.unwrap().metadata.resource_version;
        assert_eq!(now, version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_without_a_project_waits_and_holds_nothing() {
    let scene = Scene::of_the_system(Setting::default()).await;
    scene
        .system_account(
            "puller",
            json!({"projects": {"matching": [{"pattern": "none-*", "permissions": ["PullArtifacts"]}]}}),
        )
        .await;
    let message = scene.system_reason_is("puller", "Ready", "False", "NoPermissions").await;
    assert!(message.contains("no project fits"), "{message}");
    assert_eq!(scene.calls("POST /api/v2.0/robots").await, 0);
    project(&scene, "none-1").await;
    scene.system_settled("puller").await;
    scene.logs_in_from(&scene.system, &scene.system_name("puller")).await;
    // When the last one is deleted in Harbor, or is not asked for any more, so does what the robot could do.
    scene.harbor_api("DELETE", "/projects/none-1", Value::Null).await;
    scene.system_reason_is("puller", "Ready", "False", "NoPermissions").await;
    scene.system_robots_are("nobody can log in any more", <[Value]>::is_empty).await;
    scene.no_secret_in(&scene.system, &scene.system_name("puller")).await;
    project(&scene, "none-1").await;
    scene.system_settled("puller").await;
    scene
        .edit_system(
            "puller",
            json!({"projects": {"matching": [{"pattern": "nothing-*", "permissions": ["PullArtifacts"]}]}}),
        )
        .await;
    scene.system_reason_is("puller", "Ready", "False", "NoPermissions").await;
    scene.no_secret_in(&scene.system, &scene.system_name("puller")).await;
    scene
        .system_robots_are("nobody can log in any more", |robots| robots.iter().all(|robot| robot["disable"] == true))
        .await;
    scene
        .edit_system(
            "puller",
            json!({"projects": {"matching": [{"pattern": "none-*", "permissions": ["PullArtifacts"]}]}}),
        )
        .await;
    scene.system_settled("puller").await;
    scene.logs_in_from(&scene.system, &scene.system_name("puller")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn selected_projects_each_get_their_own_permissions() {
    for login in BOTH_LOGINS {
        let scene = Scene::of_the_system(Setting { login, ..Setting::default() }).await;
        for name in ["a", "b"] {
            project(&scene, name).await;
        }
        let selected = |more: Value| {
            let mut all = vec![
                json!({"project": "a", "permissions": ["PullArtifacts"]}),
                json!({"project": "b", "permissions": ["PushArtifacts"], "access": [{"resource": "tag", "action": "list"}]}),
            ];
            all.extend(more.as_array().unwrap().clone());
            json!({"projects": {"selected": all}})
        };
        // A robot is not made for a part of the wish.
        scene.system_account("puller", selected(json!([{"project": "c", "permissions": ["PullArtifacts"]}]))).await;
        let message = scene.system_reason_is("puller", "Ready", "False", "ProjectNotFound").await;
        assert!(message.contains(": c in spec.projects.selected"), "{message}");
        assert_eq!(scene.system_robots().await, [Value::Null; 0]);
        project(&scene, "c").await;
        scene.system_settled("puller").await;
        let all = ["a repository:pull", "b repository:pull", "b repository:push", "b tag:list", "c repository:pull"];
        assert_eq!(rights_of(&scene.system_robots().await[0]), all);

        // One that goes is told, and the others are served on.
        scene.harbor_api("DELETE", "/projects/c", Value::Null).await;
        let message = scene.system_reason_is("puller", "Synced", "False", "ProjectNotFound").await;
        assert!(message.contains("create what is missing"), "{message}");
        scene.logs_in_from(&scene.system, &scene.system_name("puller")).await;
        // Made again it has another id, and the robot gets its rights back.
        project(&scene, "c").await;
        scene.system_settled("puller").await;
        scene
            .system_robots_are("the rights are back", |robots| robots.iter().any(|robot| rights_of(robot) == all))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_excepted_is_taken_from_every_project() {
    let spec = json!({"projects": {
        "all": {"permissions": ["PushArtifacts", "DeleteArtifacts", "CreateTags"]},
        "except": {"permissions": ["DeleteArtifacts"], "access": [{"resource": "tag", "action": "create"}]},
    }});
    let (scene, robot) = settled(LoginAs::Person, spec).await;
    assert_eq!(rights_of(&robot), ["* repository:pull", "* repository:push"]);
    scene.edit_system("puller", json!({"projects": {"except": {"permissions": ["PullArtifacts"]}}})).await;
    scene.system_settled("puller").await;
    scene
        .system_robots_are("whoever may not pull cannot push", |robots| rights_of(&robots[0]) == ["* artifact:delete"])
        .await;
    scene
        .edit_system("puller", json!({"projects": {"except": {"permissions": ["PullArtifacts", "DeleteArtifacts"]}}}))
        .await;
    scene.system_reason_is("puller", "Ready", "False", "NoPermissions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_access_is_granted() {
    for login in BOTH_LOGINS {
        let access = json!([{"resource": "project", "action": "list"}, {"resource": "label", "action": "read"}]);
        let (scene, robot) = settled(login, json!({"systemAccess": access})).await;
        assert_eq!(rights_of(&robot), ["/ label:read", "/ project:list"]);
        let status = scene.system_settled("puller").await;
        assert_eq!(permissions_in(&status.permissions), ["/ label:read", "/ project:list"]);
        // A pair of projects is none of the system.
        scene.edit_system("puller", json!({"systemAccess": [{"resource": "repositry", "action": "pull"}]})).await;
        let message = scene.system_reason_is("puller", "Synced", "False", "PermissionUnknown").await;
        assert!(message.contains("repositry:pull") && message.contains("spec.systemAccess"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_credential_lives_its_whole_life() {
    for login in BOTH_LOGINS {
        let (scene, _) = settled(login, json!({"projects": {"all": {"permissions": ["PullArtifacts"]}}})).await;
        let secret = scene.system_name("puller");
        let first = scene.logs_in_from(&scene.system, &secret).await;
        // Renewed before it expires, with an overlap.
        scene.harbor.advance(25 * 86_400).await.unwrap();
        scene
            .system_is("renewed", "puller", |_, status| status.robot.as_ref().is_some_and(|r| r.name != first.name))
            .await;
        let second = scene.logs_in_from(&scene.system, &secret).await;
        assert!(scene.harbor.verify(&first.name, &first.secret).await.unwrap(), "the overlap");
        scene.harbor.advance(2 * 86_400).await.unwrap();
        scene.system_robots_are("the former one is gone", |robots| robots.len() == 1).await;
        assert!(scene.harbor.verify(&second.name, &second.secret).await.unwrap());
        // After a leak.
        scene.annotate_system("puller", "harbor-robots.io/revoke", "leak-1").await;
        scene.system_is("revoked", "puller", |_, status| status.handled_revoke.as_deref() == Some("leak-1")).await;
        scene.logs_in_from(&scene.system, &secret).await;
        scene.system_robots_are("the leaked one is gone", |robots| robots.len() == 1).await;
        assert!(!scene.harbor.verify(&second.name, &second.secret).await.unwrap());
        // Switched off and on.
        scene.edit_system("puller", json!({"disabled": true})).await;
        scene.system_reason_is("puller", "Ready", "True", "Disabled").await;
        scene.edit_system("puller", json!({"disabled": false})).await;
        scene.system_reason_is("puller", "Ready", "True", "Published").await;
        scene.logs_in_from(&scene.system, &secret).await;
        // Lost in Harbor.
        for robot in scene.system_robots().await {
            scene.delete_robot(robot["id"].as_i64().unwrap()).await;
        }
        scene.logs_in_from(&scene.system, &secret).await;
        scene.delete_system("puller").await;
        assert_eq!(scene.system_robots().await, [Value::Null; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_keeps_its_system_robot_unless_it_may_be_taken_over() {
    let scene = Scene::of_the_system(Setting::default()).await;
    let all = json!([{"kind": "project", "namespace": "*", "access": [{"resource": "repository", "action": "pull"}]}]);
    let stranger = scene.harbor.create_system_robot("puller", all).await.unwrap();
    scene.system_account("puller", json!({"projects": {"all": {"permissions": ["PullArtifacts"]}}})).await;
    scene.system_reason_is("puller", "Ready", "False", "NameTaken").await;
    assert!(scene.harbor.verify(&stranger.name, &stranger.secret).await.unwrap(), "untouched");
    scene.edit_system("puller", json!({"adoptionPolicy": "IfUnowned"})).await;
    scene.system_settled("puller").await;
    let ours = scene.logs_in_from(&scene.system, &scene.system_name("puller")).await;
    assert_eq!(ours.name, stranger.name);
    assert!(!scene.harbor.verify(&stranger.name, &stranger.secret).await.unwrap(), "it has a new secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_system_accounts_with_one_robot_name_the_first_keeps_it() {
    for login in BOTH_LOGINS {
        let spec = |name: &str| json!({"projects": {"all": {"permissions": ["PullArtifacts"]}}, "name": name});
        let (scene, robot) = settled(login, spec("shared")).await;
        scene.system_account("second", spec("shared")).await;
        let message = scene.system_reason_is("second", "Ready", "False", "NameTaken").await;
        assert!(!message.contains("-puller"), "{message}");
        assert_eq!(scene.system_robots().await, [robot], "untouched");
        scene.delete_system("puller").await;
        scene.system_settled("second").await;
        scene.logs_in_from(&scene.system, &scene.system_name("second")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_does_not_see_every_project_is_told_before_a_pattern_misses_some() {
    let setting = Setting { login: LoginAs::Person, ..Setting::default() };
    let mut scene = Scene::without_operator(Setting { all_namespaces: true, ..setting }).await;
    let robots = ["create", "read", "list", "delete"].map(|action| json!({"resource": "robot", "action": action}));
    let rights = json!([
        {"kind": "system", "namespace": "/", "access": robots},
        {"kind": "project", "namespace": scene.namespace, "access": [{"resource": "repository", "action": "pull"}]},
    ]);
    scene.login = scene.harbor.create_system_robot("narrow", rights).await.unwrap();
    scene.write_login(&scene.login);
    scene.start();
    scene.registry_is("Ready", "True").await;
    project(&scene, "team-a").await;
    scene
        .system_account(
            "puller",
            json!({"projects": {"matching": [{"pattern": "team-*", "permissions": ["PullArtifacts"]}]}}),
        )
        .await;
    let message = scene.system_reason_is("puller", "Ready", "False", "LoginCannotListProjects").await;
    assert!(message.contains("project:list"), "{message}");
    assert_eq!(scene.calls("POST /api/v2.0/robots").await, 1, "the login's own");
}
