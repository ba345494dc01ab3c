//! What the plugin asks of Harbor itself: `fleet` and `bootstrap`.

use std::process::Command;

use harbor_robot_world::{Output, Profile, eventually, program, run};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{NOBODY, robots, rows};
use crate::scene::{SOON, Scene, Setting, system_robots_serve};

/// The plugin with an administrator's login to the scene's Harbor, whose password it reads.
fn command(scene: &Scene, args: &[&str]) -> Command {
    let mut command = Command::new(program("kubectl-robots", Profile::Dev).unwrap());
    command.args(args).args(["--harbor", &scene.harbor.url, "--allow-http", "--password-stdin"]);
    command.args(["--username", &scene.harbor.admin.name, "--cluster-resource-namespace", &scene.system]);
    command.env("KUBECONFIG", &scene.plane.kubeconfig);
    command
}

fn by_admin(scene: &Scene, args: &[&str]) -> Output {
    run(command(scene, args), scene.harbor.admin.secret.as_bytes())
}

/// Name, state, cluster and account.
fn told(output: &Output) -> Vec<[String; 4]> {
    rows(output).into_iter().map(|row| [row[0].clone(), row[1].clone(), row[2].clone(), row[3].clone()]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_tells_whose_each_robot_is() {
    let mut scene = Scene::new(Setting::default()).await;
    let ns = scene.namespace.clone();
    scene.account("ci", json!({})).await;
    scene.account("kept", json!({"deletionPolicy": "Retain"})).await;
    scene.account("lost", json!({})).await;
    for name in ["ci", "kept", "lost"] {
        scene.settled(name).await;
    }
    scene.delete("kept").await;
    scene.gone("kept").await;
    let cluster = scene.registries().get(&scene.registry).await.unwrap().status.unwrap().cluster_name.unwrap();
    scene.stranger("by-hand", "made in the page").await;
    scene.stranger("far", "x [harbor-robots.io/v1 u-9 far-away/team-z/ci]").await;
    let uid = scene.get("ci").await.metadata.uid.unwrap();
    scene.stranger("twin", &format!("[harbor-robots.io/v1 {uid} {cluster}/{ns}/ci]")).await;
    // Its account goes while no operator sees it.
    assert!(scene.terminate().success());
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    scene.accounts().patch("lost", &PatchParams::default(), &patch).await.unwrap();
    scene.accounts().delete("lost", &DeleteParams::default()).await.unwrap();

    let args = ["--registry", &scene.registry, "--allow-http", "--cluster-resource-namespace", &scene.system];
    let fleet = robots(&scene, &[&["fleet"], &args[..]].concat());
    assert_eq!(fleet.code, Some(0), "{fleet:?}");
    let robot = |name: &str| format!("robot${ns}+{name}");
    let row = |name: &str, state: &str, cluster: &str, account: &str| {
        [robot(name), state.to_owned(), cluster.to_owned(), account.to_owned()]
    };
    let account = |name: &str| format!("{ns}/{name}");
    assert_eq!(
        told(&fleet),
        [
            row("lost", "Orphan", &cluster, &account("lost")),
            row("twin", "Double", &cluster, &account("ci")),
            row("kept", "Retained", &cluster, &account("kept")),
            row("by-hand", "Unmanaged", "-", "-"),
            row("far", "Elsewhere", "far-away", "team-z/ci"),
            row("ci", "Managed", &cluster, &account("ci")),
        ]
    );
    assert!(
        fleet.stderr.contains("6 robots: 1 Orphan, 1 Double, 1 Retained, 1 Unmanaged, 1 Elsewhere, 1 Managed"),
        "{fleet:?}"
    );
    assert!(fleet.stderr.contains("the first to expire of those that nobody renews: "), "{fleet:?}");

    // By a login of one's own; fewer of them; as JSON.
    let unmanaged = by_admin(&scene, &["fleet", "--unmanaged", "--projects", &ns]);
    assert_eq!(told(&unmanaged).len(), 4, "{unmanaged:?}");
    let none = by_admin(&scene, &["fleet", "--projects", "there-is-none-*"]);
    assert_eq!(told(&none).len(), 0);
    let whole: Value = serde_json::from_str(&by_admin(&scene, &["fleet", "-o", "json"]).stdout).unwrap();
    let twin = whole.as_array().unwrap().iter().find(|member| member["name"] == robot("twin")).unwrap();
    assert_eq!((&twin["state"], &twin["project"], &twin["enabled"]), (&json!("Double"), &json!(ns), &json!(true)));

    // What is not allowed, and what is not there, is said.
    let nobody = robots(&scene, &[&["fleet"], &args[..], &NOBODY[..]].concat());
    assert!(nobody.stderr.contains("cannot read registry"), "{nobody:?}");
    let unknown = robots(&scene, &["fleet", "--registry", "none"]);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(1), "error: there is no registry none\n"));
    let plain =
        robots(&scene, &["fleet", "--registry", &scene.registry, "--cluster-resource-namespace", &scene.system]);
    assert!(plain.stderr.contains("would travel in the clear; --allow-http"), "{plain:?}");
    scene.faults(json!([{"status": 500, "count": 0}])).await;
    let away = by_admin(&scene, &["fleet"]);
    assert_eq!(away.code, Some(1));
    assert!(away.stderr.contains("Harbor failed with status 500"), "{away:?}");
}

/// Whatever of a bootstrap is left: its Secrets, and its robots in Harbor.
async fn scaffold(scene: &Scene) -> (usize, usize) {
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.system);
    let secrets = secrets.list(&ListParams::default()).await.unwrap().items;
    let is_scaffold = |name: &str| name.contains("harbor-robots-bootstrap-");
    let robots = scene.system_robots().await;
    (
        secrets.iter().filter(|secret| is_scaffold(secret.metadata.name.as_deref().unwrap())).count(),
        robots.iter().filter(|robot| is_scaffold(robot["name"].as_str().unwrap())).count(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_leaves_a_login_that_renews_itself_and_no_administrator() {
    if !system_robots_serve() {
        return;
    }
    let scene = Scene::of_the_system(Setting::default()).await;
    let (registry, account) = (scene.namespace.clone(), scene.system_name("login"));
    let args = ["bootstrap", "--registry", &registry, "--account", &account];

    // First what it would make.
    let dry = by_admin(&scene, &[&args[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, Some(0), "{dry:?}");
    let checked = scene.plane.kubectl_stdin(["apply", "--dry-run=server", "-f", "-"], &dry.stdout);
    assert!(checked.success, "{}\n{}", checked.stderr, dry.stdout);
    assert!(scene.system_accounts().get_opt(&account).await.unwrap().is_none());

    // There is no registry yet. It appears without the label that this scene's operator looks for.
    scene.plane.kubectl(["delete", "clusterharborregistry", &registry]).ok().unwrap();
    let (command, password) = (command(&scene, &args), scene.harbor.admin.secret.clone());
    let made = tokio::task::spawn_blocking(move || run(command, password.as_bytes()));
    eventually("the registry is there", SOON, || async {
        let label = Patch::Merge(json!({"metadata": {"labels": {"scene": registry}}}));
        let labelled = scene.registries().patch(&registry, &PatchParams::default(), &label).await;
        labelled.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let made = made.await.unwrap();
    assert_eq!(made.code, Some(0), "{made:?}\n{}", scene.log());
    let status = scene.system_settled("login").await;
    scene.login_is(&status.robot.unwrap().name).await;
    scene.registry_is("Ready", "True").await;
    assert_eq!(scaffold(&scene).await, (0, 0), "{made:?}");
    assert!(!made.stdout.contains(&scene.harbor.admin.secret), "the password is nowhere");
    let spec = scene.registries().get(&registry).await.unwrap().spec;
    assert_eq!(spec.auth.secret_ref.unwrap().name, account);

    // The login hands out what accounts of the page ask for, and renews itself.
    let grants = json!([{"name": "all", "namespaces": [scene.namespace], "projects": ["*"], "access": [{"resource": "*", "action": "*"}]}]);
    scene.edit_registry(json!({"grants": grants, "pollInterval": "1s"})).await;
    scene.account("ci", json!({"permissions": null})).await;
    scene.settled("ci").await;
    scene.harbor.advance(120).await.unwrap();
    let before = scene.system_settled("login").await.robot.unwrap().id;
    scene.annotate_system("login", "harbor-robots.io/refresh", "now").await;
    let renewed = |status: &harbor_robot_operator::api::AccountStatus| {
        status.robot.as_ref().is_some_and(|robot| robot.id != before)
    };
    let status = scene.system_is("renewed", "login", |_, status| renewed(status)).await;
    scene.login_is(&status.robot.unwrap().name).await;

    // Once more changes nothing for anybody.
    let again = by_admin(&scene, &args);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout.contains("is there and is used as it is"), "{again:?}");
    assert_eq!(scaffold(&scene).await, (0, 0));
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_that_cannot_be_done_says_why_and_leaves_nothing() {
    if !system_robots_serve() {
        return;
    }
    let mut scene = Scene::of_the_system(Setting::default()).await;
    let (registry, account) = (scene.namespace.clone(), scene.system_name("login"));
    let args = ["bootstrap", "--registry", &registry, "--account", &account, "--timeout", "3s"];

    // A login that is no administrator's.
    let robot = scene.harbor.create_robot_login("only-a-robot", &[]).await.unwrap();
    let mut command = Command::new(program("kubectl-robots", Profile::Dev).unwrap());
    command.args(args).args(["--harbor", &scene.harbor.url, "--allow-http", "--username", &robot.name]);
    command.env("KUBECONFIG", &scene.plane.kubeconfig).env("HARBOR_PASSWORD", &robot.secret);
    let refused = run(command, b"");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("only an administrator of Harbor"), "{refused:?}");

    // Who may not write Secrets there.
    let nobody = by_admin(&scene, &[&args[..], &NOBODY[..]].concat());
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("cannot read SystemRobotAccount"), "{nobody:?}");

    // A registry of another Harbor.
    let elsewhere = json!({"url": "http://127.0.0.1:1"});
    let url = scene.harbor.url.clone();
    assert!(scene.terminate().success());
    scene.edit_registry(elsewhere).await;
    let other = by_admin(&scene, &args);
    assert!(other.stderr.contains("is of http://127.0.0.1:1, not of"), "{other:?}");
    scene.edit_registry(json!({"url": url})).await;

    // No operator runs. The registry goes back to the login that it had.
    let alone = by_admin(&scene, &args);
    assert_eq!(alone.code, Some(4), "{alone:?}");
    assert!(alone.stderr.contains("not within 3s: registry"), "{alone:?}");
    let login = scene.registries().get(&registry).await.unwrap().spec.auth.secret_ref.unwrap().name;
    assert_eq!(login, "login");
    assert_eq!(scaffold(&scene).await, (0, 0));

    // An account of that name whose Secret no registry could log in with.
    scene.system_account("login", json!({"systemAccess": [{"resource": "project", "action": "list"}]})).await;
    let other = by_admin(&scene, &args);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains("with the keys username and password: --account names another one"), "{other:?}");
    assert_eq!(scaffold(&scene).await, (0, 0));
    scene.plane.kubectl(["delete", "systemrobotaccount", &account]).ok().unwrap();
}
