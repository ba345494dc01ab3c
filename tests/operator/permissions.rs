//! What the ten names, `access` and neither of them come to in Harbor.

use harbor_robot_operator::api::Permission;
use serde_json::json;

use crate::scene::{BOTH_LOGINS, Scene, Setting, pairs};

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
            let mut in_status = account.status.unwrap().permissions;
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
