//! What the ten names, `access` and neither of them come to in Harbor.

use harbor_robot_operator::api::{AccountStatus, Permission};
use serde_json::json;

use crate::hands::changes;
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, condition, pairs, permissions_in};

const ALL: [&str; 7] = [
    "artifact-label:create",
    "artifact:delete",
    "repository:pull",
    "repository:push",
    "scan:create",
    "tag:create",
    "tag:delete",
];

fn expected(permission: Permission) -> Vec<&'static str> {
    match permission {
        Permission::PushArtifacts | Permission::CreateHelmChartVersions => vec!["repository:push"],
        Permission::PullArtifacts | Permission::ReadHelmCharts => vec!["repository:pull"],
        Permission::DeleteArtifacts | Permission::DeleteHelmChartVersions => vec!["artifact:delete"],
        Permission::CreateTags => vec!["tag:create"],
        Permission::DeleteTags => vec!["tag:delete"],
        Permission::CreateArtifactLabels => vec!["artifact-label:create"],
        Permission::CreateScans => vec!["scan:create"],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_ten_names_access_and_neither_give_their_pairs() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        let mut wanted: Vec<(String, Vec<&str>)> = Vec::new();
        for (n, permission) in Permission::ALL.into_iter().enumerate() {
            let name = format!("p{n}");
            scene.account(&name, json!({"permissions": [permission]})).await;
            wanted.push((name, expected(permission)));
        }
        let pull_access = json!([{"resource": "repository", "action": "pull"}, {"resource": "tag", "action": "list"}]);
        scene.account("access", json!({"permissions": null, "access": pull_access})).await;
        wanted.push(("access".to_owned(), vec!["repository:pull", "tag:list"]));
        scene.account("both", json!({"permissions": ["CreateTags"], "access": pull_access})).await;
        wanted.push(("both".to_owned(), vec!["repository:pull", "tag:create", "tag:list"]));
        scene.account("neither", json!({"permissions": null})).await;
        wanted.push(("neither".to_owned(), ALL.to_vec()));

        for (name, pairs_wanted) in &wanted {
            let account = scene.settled(name).await;
            let mut in_status = permissions_in(&account.status.unwrap().permissions);
            in_status.sort();
            assert_eq!(in_status, *pairs_wanted, "{name}");
        }
        let robots = scene.robots().await;
        for (name, pairs_wanted) in wanted {
            let suffix = format!("+{name}");
            let robot = robots.iter().find(|robot| robot["name"].as_str().unwrap().ends_with(&suffix)).unwrap();
            assert_eq!(pairs(robot), pairs_wanted, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_harbor_does_not_know_makes_no_call_and_gets_a_guess() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.harbor.reset_calls().await.unwrap();
        let access =
            |pair: (&str, &str)| json!({"permissions": null, "access": [{"resource": pair.0, "action": pair.1}]});
        scene.account("ci", access(("repositry", "pull"))).await;
        let message = scene.reason_is("ci", "Ready", "False", "PermissionUnknown").await;
        assert!(message.contains("repositry:pull (perhaps repository:pull?)"), "{message}");
        assert_eq!(condition(&scene.get("ci").await, "Stalled").unwrap().1, "PermissionUnknown");
        let calls = scene.harbor.calls().await.unwrap();
        assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        scene.edit("ci", access(("repository", "pull"))).await;
        scene.settled("ci").await;
        scene.logs_in("ci").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_never_fails_for_one_pair_that_an_upgraded_harbor_knows_no_more() {
    for (login, strategy) in [(LoginAs::Robot, "Overlap"), (LoginAs::Person, "Overlap"), (LoginAs::Person, "InPlace")] {
        let mut scene = Scene::new(Setting { login, ..Setting::default() }).await;
        let spec = json!({"permissions": ["PullArtifacts", "CreateTags"], "rotation": {"strategy": strategy}});
        scene.account("ci", spec).await;
        let before = scene.settled("ci").await.status.unwrap();
        // What Harbor answers to a list with such a pair.
        let refusal = json!({"errors": [{"code": "BAD_REQUEST", "message": "bad request permission: tag:create"}]});
        let (method, path) = match strategy {
            "Overlap" => ("POST", "/api/v2.0/robots"),
            _ => ("PUT", "/api/v2.0/robots/{id}"),
        };
        // A jump of the clock has the login looked at anew, which forgets lessons: it must not come right after the refusal.
        assert!(scene.terminate().success());
        scene.harbor.advance(25 * 86_400).await.unwrap();
        scene
            .faults(json!([{"method": method, "path": path, "status": 400, "count": 1, "body": refusal.to_string()}]))
            .await;
        scene.start();
        let message = scene.reason_is("ci", "Synced", "False", "PermissionUnknown").await;
        assert!(message.contains("tag:create") && !message.contains("perhaps"), "{message}");
        let what = format!("{login:?} {strategy}: renewed with the rest");
        let account = scene
            .account_is(&what, "ci", |account| {
                let status = account.status.as_ref().unwrap();
                let expiry = |status: &AccountStatus| status.robot.as_ref().and_then(|robot| robot.expiration_time);
                let later = expiry(status) > expiry(&before);
                later && permissions_in(&status.permissions) == ["repository:pull"]
            })
            .await;
        assert_eq!(condition(&account, "Ready").unwrap().0, "True");
        scene.logs_in("ci").await;
        assert_eq!(pairs(&scene.published("ci").await.unwrap()), ["repository:pull"]);
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0, "{what}: {:?}", calls.by);
        // The next version knows it again.
        let body = json!({"harbor_version": "v2.99.0", "registry_url": scene.harbor.host()}).to_string();
        scene.faults(json!([{"path": "/api/v2.0/systeminfo", "status": 200, "body": body, "count": 0}])).await;
        scene.edit_registry(json!({"pollInterval": "2s"})).await;
        scene
            .account_is(&format!("{login:?} {strategy}: all of the wish"), "ci", |account| {
                permissions_in(&account.status.as_ref().unwrap().permissions) == ["repository:pull", "tag:create"]
            })
            .await;
        scene.settled("ci").await;
        scene.logs_in("ci").await;
    }
}
