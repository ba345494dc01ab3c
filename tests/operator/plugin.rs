//! `kubectl robots`, as a person runs it: its own process, with that person's kubeconfig.

mod harbor;
mod import;
mod page;
mod plan;

use std::process::Command;

use harbor_robot_world::{ControlPlane, Output, Profile, program, rig, run, scratch};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::rotation::MINUTE;
use crate::scene::{Scene, Setting};

/// The plugin with arguments, in the scene's namespace.
pub fn robots(scene: &Scene, args: &[&str]) -> Output {
    let mut command = Command::new(program("kubectl-robots", Profile::Dev).unwrap());
    command.args(args).args(["--namespace", &scene.namespace]);
    command.env("KUBECONFIG", &scene.plane.kubeconfig).env_remove("NO_COLOR");
    run(command, b"")
}

/// The plugin with arguments, on a control plane.
fn robots_at(plane: &ControlPlane, args: &[&str]) -> Output {
    let mut command = Command::new(program("kubectl-robots", Profile::Dev).unwrap());
    command.args(args).env("KUBECONFIG", &plane.kubeconfig);
    run(command, b"")
}

/// Lets a user do this with accounts of the scene, and nothing else.
fn allow(scene: &Scene, user: &str, verbs: &str) {
    let (verbs, user) = (format!("--verb={verbs}"), format!("--user={user}"));
    for args in [
        ["create", "role", "some", &verbs, "--resource=robotaccounts.harbor-robots.io"].as_slice(),
        &["create", "rolebinding", "some", "--role=some", &user],
    ] {
        scene.plane.kubectl([args, &["-n", &scene.namespace]].concat()).ok().unwrap();
    }
}

/// Its table without the header, cell by cell.
fn rows(output: &Output) -> Vec<Vec<String>> {
    let lines = output.stdout.lines().skip(1);
    lines.map(|line| line.split('\t').map(ToOwned::to_owned).collect()).collect()
}

fn json_of(output: Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

/// Somebody without any right.
const NOBODY: [&str; 2] = ["--as", "nobody"];

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_harbors_columns_and_begins_with_what_needs_somebody() {
    let scene = Scene::new(Setting::default()).await;
    assert_eq!(robots(&scene, &["list"]).stdout, "");
    assert!(robots(&scene, &["list"]).stderr.contains("no accounts in this namespace; -A lists all"));
    scene.account("a-good-one", json!({"permissions": null, "expiresAfter": "90d"})).await;
    scene
        .account("b-forever", json!({"expiresAfter": "Never", "access": [{"resource": "tag", "action": "list"}]}))
        .await;
    scene
        .account(
            "c-lost",
            json!({"project": "there-is-none", "permissions": ["PushArtifacts", "PullArtifacts", "CreateTags"]}),
        )
        .await;
    scene.account("d-off", json!({"disabled": true})).await;
    for name in ["a-good-one", "b-forever"] {
        scene.settled(name).await;
    }
    scene.reason_is("c-lost", "Ready", "False", "ProjectNotFound").await;
    scene.reason_is("d-off", "Ready", "True", "Disabled").await;

    let listed = robots(&scene, &["list"]);
    assert_eq!(
        listed.stdout.lines().next(),
        Some("NAME\tPROJECT\tENABLED\tPERMISSIONS\tCREATED\tEXPIRES\tRENEWS\tAGE\tREASON")
    );
    let found = rows(&listed);
    let columns = |column: usize| found.iter().map(|row| row[column].as_str()).collect::<Vec<_>>();
    assert_eq!(columns(0), ["c-lost", "a-good-one", "b-forever", "d-off"]);
    assert_eq!(columns(1), ["there-is-none", &scene.namespace, &scene.namespace, &scene.namespace]);
    assert_eq!(columns(2), ["yes", "yes", "yes", "no"]);
    assert_eq!(columns(3), ["PushArtifacts,+2", "all", "PullArtifacts,tag:list", "PullArtifacts"]);
    assert_eq!(columns(5), ["-", "89d", "never", "29d"]);
    assert_eq!(columns(8), ["ProjectNotFound", "Published", "Published", "Disabled"]);
    assert!(columns(7).iter().all(|age| age.ends_with('s') || age.ends_with('m')), "{found:?}");

    let wide = rows(&robots(&scene, &["ls", "-o", "wide"]));
    let login = format!("robot${}+a-good-one", scene.namespace);
    assert_eq!(wide[1][8..12], ["True", &login, &scene.registry, "a-good-one"]);
    assert_eq!(wide[0][3], "PushArtifacts,PullArtifacts,CreateTags");
    let names = robots(&scene, &["list", "-o", "name"]).ok().unwrap();
    assert_eq!(names.lines().next(), Some("robotaccount.harbor-robots.io/c-lost"));
    let read = scene.plane.kubectl(["get", "-n", &scene.namespace, names.lines().nth(1).unwrap(), "-o", "name"]);
    assert_eq!(read.ok().unwrap().trim(), "robotaccount.harbor-robots.io/a-good-one", "kubectl takes the names");
    let objects = json_of(robots(&scene, &["list", "-o", "json"]));
    let kinds: Vec<_> = objects["items"].as_array().unwrap().iter().map(|item| &item["kind"]).collect();
    assert_eq!(kinds, vec!["RobotAccount"; 4]);
    assert!(robots(&scene, &["list", "-o", "yaml"]).stdout.contains("reason: ProjectNotFound"));

    // Of all namespaces, and with those of the system; by labels.
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "SystemRobotAccount",
        "metadata": {"name": scene.namespace, "labels": {"of": scene.namespace}},
        "spec": {"registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry},
                 "projects": {"matching": [{"pattern": "team-*", "permissions": ["PullArtifacts"]}]}},
    }));
    let label = format!("of={}", scene.namespace);
    let everywhere = rows(&robots(&scene, &["list", "-A", "-l", &label]));
    assert_eq!(everywhere.len(), 1);
    assert_eq!(everywhere[0][..5], ["-", &format!("sra/{}", scene.namespace), "team-*", "yes", "PullArtifacts"]);
    assert_eq!(rows(&robots(&scene, &["list", "-l", &label])).len(), 0);
    let patch = Patch::Merge(json!({"metadata": {"labels": {"of": scene.namespace}}}));
    scene.accounts().patch("d-off", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(rows(&robots(&scene, &["list", "-l", &label])).len(), 1);
    scene.plane.kubectl(["delete", "systemrobotaccount", &scene.namespace]).ok().unwrap();

    let refused = robots(&scene, &[&["list"], &NOBODY[..]].concat());
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("error: cannot list RobotAccounts: Kubernetes refuses this: "),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("User \"nobody\" cannot list resource"), "{}", refused.stderr);
}

/// kubectl itself runs the program of that name, and hands on what it says.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_completes_commands_and_accounts() {
    let scene = Scene::new(Setting::default()).await;
    for name in ["ci", "cd", "web"] {
        scene.account(name, json!({})).await;
    }
    let folder = scratch().unwrap();
    let plugin = program("kubectl-robots", Profile::Dev).unwrap();
    for name in ["kubectl-robots", "kubectl_complete-robots"] {
        std::os::unix::fs::symlink(&plugin, folder.join(name)).unwrap();
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let complete = |words: &[&str]| {
        let mut kubectl = Command::new(rig().unwrap());
        kubectl.args(["kubectl", "__complete", "robots"]).args(words);
        kubectl.env("PATH", &path).env("KUBECONFIG", &scene.plane.kubeconfig);
        let said = run(kubectl, b"").ok().unwrap();
        said.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["sta"]), ["status", ":4"]);
    assert_eq!(complete(&["status", "-n", &scene.namespace, "c"]), ["cd", "ci", ":4"]);
    assert_eq!(complete(&["list", "-o", "j"]), ["json", ":4"]);
    assert_eq!(complete(&["plan", "-f", ""]), [":0"]);
    assert_eq!(complete(&["status", "-n", "there-is-none", "c"]), [":4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_shows_what_an_account_has_and_tells_scripts_whether_it_is_in_order() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({"serviceAccounts": [{"name": "default"}, {"name": "later", "use": "Both"}]})).await;
    scene.settled("ci").await;
    let found = robots(&scene, &["status", "ci", "-o", "json"]);
    assert_eq!(found.code, Some(0));
    let found = json_of(found);
    let robot = format!("robot${}+ci", scene.namespace);
    assert_eq!(found["inOrder"], true);
    assert_eq!(found["secrets"][0]["state"], format!("holds {robot}"));
    let entries: Vec<_> =
        found["secrets"][0]["serviceAccounts"].as_array().unwrap().iter().map(|entry| &entry["state"]).collect();
    let missing = "there is no such ServiceAccount yet";
    assert_eq!(entries, ["names the Secret", missing, missing]);
    assert!(found["events"].as_array().unwrap().iter().any(|event| event["reason"] == "Created"), "{found}");
    assert!(found["next"][0].as_str().unwrap().starts_with("the credential is replaced "), "{found}");

    // Who may see the account and nothing around it still sees the account.
    let user = format!("{}-reader", scene.namespace);
    allow(&scene, &user, "get");
    let seen = robots(&scene, &["status", "ci", "--as", &user]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    for says in
        ["cannot be read: Kubernetes refuses this: secrets", "events cannot be listed: Kubernetes refuses this: events"]
    {
        assert!(seen.stdout.contains(says), "{says}\n{}", seen.stdout);
    }

    // What is wrong comes first, in the words of the operator.
    scene.account("lost", json!({"project": "there-is-none"})).await;
    let message = scene.reason_is("lost", "Ready", "False", "ProjectNotFound").await;
    let lost = robots(&scene, &["status", "lost"]);
    assert_eq!(lost.code, Some(3));
    assert_eq!(lost.stdout.lines().nth(1), Some(format!("├─ {message}").as_str()), "{}", lost.stdout);
    let unknown = robots(&scene, &["status", "sra/none"]);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(1), "error: there is no SystemRobotAccount none\n"));
    let nobody = robots(&scene, &[&["status", "ci"], &NOBODY[..]].concat());
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("cannot read RobotAccount ci in the namespace"), "{}", nobody.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_refreshed_and_revoked_and_it_is_told_when_that_is_done() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.account("cd", json!({})).await;
    scene.settled("ci").await;
    scene.settled("cd").await;
    let first = scene.logs_in("ci").await;
    scene.harbor.advance(2 * MINUTE).await.unwrap();
    scene.two_sweeps().await;

    let refreshed = robots(&scene, &["refresh", "ci", "--wait"]);
    let (ns, robot) = (&scene.namespace, format!("robot${}+ci", scene.namespace));
    let says = format!("{ns}/ci: the Secret holds {robot}.b; {robot} works until ");
    assert!(refreshed.stdout.starts_with(&says), "{refreshed:?}");
    assert_eq!(refreshed.code, Some(0));
    let second = scene.logs_in("ci").await;
    assert_ne!(second.name, first.name);
    assert!(scene.works(&first).await, "the former one works on");

    let revoked = robots(&scene, &["revoke", "ci", "--wait", "--reason", "in a log"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    assert!(!scene.works(&first).await && !scene.works(&second).await, "every older one is refused");
    scene.logs_in("ci").await;
    let handled = scene.get("ci").await.status.unwrap().handled_revoke.unwrap();
    assert!(handled.ends_with("Z in a log"), "{handled}");

    // Many at once are named first, and nothing is done to them.
    let before = scene.get("cd").await.metadata.resource_version;
    let told = robots(&scene, &["refresh", "--all"]).ok().unwrap();
    let expected =
        format!("2 accounts would be refreshed\n  {ns}/cd\n  {ns}/ci\nNothing was done. Repeat it with --yes.\n");
    assert_eq!(told, expected);
    assert_eq!(scene.get("cd").await.metadata.resource_version, before);
    scene.harbor.advance(2 * MINUTE).await.unwrap();
    scene.two_sweeps().await;
    let all = robots(&scene, &["refresh", "--all", "--yes", "--at-once", "1"]);
    assert_eq!(all.code, Some(0), "{all:?}");
    assert_eq!(all.stdout.lines().count(), 2, "more accounts than are done at once are waited for: {all:?}");

    let refused = robots(&scene, &[&["refresh", "ci"], &NOBODY[..]].concat());
    assert_eq!(refused.code, Some(1));
    // Who may see accounts and not change them.
    let user = format!("{ns}-viewer");
    allow(&scene, &user, "get,list");
    let refused = robots(&scene, &["revoke", "ci", "--as", &user]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("ci: not changed: Kubernetes refuses this: "), "{refused:?}");
    assert!(refused.stderr.ends_with("error: 1 of 1 account not revoked\n"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_suspended_and_resumed_and_waited_for_no_longer_than_asked() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let suspended = robots(&scene, &["suspend", "ci", "--wait"]);
    assert_eq!(suspended.code, Some(0), "{suspended:?}");
    assert_eq!(scene.get("ci").await.spec.suspend, Some(true));
    let listed = rows(&robots(&scene, &["list"]));
    assert_eq!(listed[0][8], "Suspended");
    let status = robots(&scene, &["status", "ci"]);
    let next = format!("└─ nothing, since spec.suspend is set: kubectl robots resume ci -n {}", scene.namespace);
    assert!(status.stdout.trim_end().ends_with(&next), "{}", status.stdout);

    // What would come to nothing is not asked for.
    let token = robots(&scene, &["refresh", "ci"]);
    assert_eq!(token.code, Some(3));
    assert!(token.stderr.contains("is suspended: resume it first"), "{}", token.stderr);
    assert_eq!(scene.get("ci").await.metadata.annotations, None);
    assert_eq!(robots(&scene, &["suspend", "ci"]).code, Some(3));

    let resumed = robots(&scene, &["resume", "ci", "--wait"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(scene.get("ci").await.spec.suspend, None);
    scene.settled("ci").await;

    // Harbor is away: it says what it waits for, and that this goes on.
    scene.faults(json!([{"status": 503, "count": 0}])).await;
    let late = robots(&scene, &["revoke", "ci", "--wait", "--timeout", "3s"]);
    assert_eq!(late.code, Some(4), "{late:?}");
    assert!(late.stderr.contains("not revoked after 3s; it goes on without this command. "), "{late:?}");
    assert!(late.stderr.ends_with("error: 1 of 1 account not revoked\n"), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_exported_in_forms_that_programs_take() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({"secret": {"keys": [{"key": "robot.json", "format": "RobotFile"}]}})).await;
    scene.settled("ci").await;
    let login = scene.logs_in("ci").await;
    let exported = robots(&scene, &["export", "ci"]);
    let secret = scene.secret("ci").await.unwrap();
    let data = secret.data.as_ref().unwrap();
    let file: Value = serde_json::from_slice(&data["robot.json"].0).unwrap();
    assert_eq!(json_of(exported), file, "the same file as the operator's");
    assert_eq!(
        robots(&scene, &["export", "ci", "--docker-config"]).stdout.trim_end().as_bytes(),
        data[".dockerconfigjson"].0
    );

    // In a shell, with whatever the name and the password hold.
    let script = r#"docker() { shift; while [ $# -gt 1 ]; do [ "$1" = --username ] && echo "$2"; shift; done; cat; echo; echo "$1"; }"#;
    let shell = |code: &str| {
        let mut sh = Command::new("sh");
        sh.args(["-euc", code]);
        run(sh, b"").ok().unwrap()
    };
    let host = scene.harbor.url.split("://").nth(1).unwrap();
    let expected = format!("{}\n{}\n{host}\n", login.name, login.secret);
    let line = robots(&scene, &["export", "ci", "--login"]).ok().unwrap();
    assert_eq!(shell(&format!("{script}\n{line}")), expected);
    let line = robots(&scene, &["export", "ci", "--env"]).ok().unwrap();
    let print = r#"printf '%s\n' "$HARBOR_USERNAME" "$HARBOR_PASSWORD" "$HARBOR_HOST""#;
    assert_eq!(shell(&format!("{line}\n{print}")), expected);

    // Nothing of a Secret that is not the account's, whoever the status says.
    let secrets: Api<Secret> = scene.secrets();
    let patch = Patch::Merge(json!({"metadata": {"labels": {"harbor-robots.io/account-uid": "another"}}}));
    let mut scene = scene;
    assert!(scene.terminate().success());
    secrets.patch("ci", &PatchParams::default(), &patch).await.unwrap();
    let refused = robots(&scene, &["export", "ci"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(refused.stderr.contains("it lacks the operator's label"), "{}", refused.stderr);
    secrets.delete("ci", &kube::api::DeleteParams::default()).await.unwrap();
    assert!(robots(&scene, &["export", "ci"]).stderr.contains("is not there"));
    let nobody = robots(&scene, &[&["export", "ci"], &NOBODY[..]].concat());
    assert_eq!(nobody.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_is_listed_first_and_keeps_no_other_from_it() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("good", json!({})).await;
    scene.account("damaged", json!({})).await;
    scene.settled("good").await;
    scene.settled("damaged").await;
    let patch = Patch::Merge(json!({"status": {"robot": {"id": "a text"}}}));
    scene.accounts().patch_status("damaged", &PatchParams::default(), &patch).await.unwrap_err();
    let listed = rows(&robots(&scene, &["list"]));
    let shown: Vec<_> = listed.iter().map(|row| (row[0].as_str(), row[8].as_str())).collect();
    assert_eq!(shown, [("damaged", "Unreadable"), ("good", "Published")]);
    let all = robots(&scene, &["suspend", "--all"]);
    assert!(
        all.stderr
            .contains(&format!("left out: RobotAccount {}/damaged cannot be read at status.robot.id", scene.namespace)),
        "{all:?}"
    );
    assert!(all.stdout.starts_with("1 account would be suspended"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_finds_what_is_wrong_and_says_what_to_do() {
    // A cluster of its own, in which nothing else is ill.
    let plane = Box::leak(Box::new(ControlPlane::scratch().unwrap()));
    let nothing = robots_at(plane, &["doctor"]);
    assert_eq!(nothing.code, Some(3), "{nothing:?}");
    assert!(
        nothing.stdout.contains("Problem\tdefinition robotaccounts.harbor-robots.io\tit is not there: kubectl apply"),
        "{nothing:?}"
    );
    crate::scene::install_kinds(plane);
    let setting = Setting { plane: Some(plane), all_namespaces: true, ..Setting::default() };
    let scene = Scene::new(setting).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let args = ["doctor", "--cluster-resource-namespace", &scene.system];
    let well = robots_at(plane, &args);
    assert_eq!(well.code, Some(0), "{well:?}");
    for says in [
        "Ok\tdefinitions\tthe four kinds are served, as this version knows them".to_owned(),
        "Ok\taccounts\t1 account in order".to_owned(),
        format!("Ok\tregistry {}\tHarbor v2.", scene.registry),
        " leads, and said so ".to_owned(),
    ] {
        assert!(well.stdout.contains(&says), "{says}\n{}", well.stdout);
    }

    // An account, a grant, the login, and a definition that is older.
    scene.account("lost", json!({"project": "there-is-none"})).await;
    scene.reason_is("lost", "Ready", "False", "ProjectNotFound").await;
    let typo = json!([
        {"name": "all", "namespaces": [scene.namespace], "projects": ["*"], "access": [{"resource": "*", "action": "*"}]},
        {"name": "typo", "namespaces": ["taem-a"], "projects": ["x"], "permissions": ["PullArtifacts"]},
    ]);
    scene.edit_registry(json!({"grants": typo})).await;
    let ill = robots_at(plane, &args);
    assert_eq!(ill.code, Some(3), "{ill:?}");
    let expected = format!("Problem\t1 account, ProjectNotFound\t{}/lost: ", scene.namespace);
    assert!(ill.stdout.lines().nth(1).unwrap().starts_with(&expected), "{}", ill.stdout);
    let grant = format!("Warning\tgrant typo of registry {}\tit names taem-a, which do not exist", scene.registry);
    assert!(ill.stdout.contains(&grant), "{}", ill.stdout);
    scene.edit_registry(json!({"auth": {"secretRef": {"name": "none"}}})).await;
    scene.registry_reason_is("CredentialsMissing").await;
    let without = robots_at(plane, &args);
    let problem = format!("Problem\tregistry {}\tCredentialsMissing: ", scene.registry);
    assert!(without.stdout.contains(&problem), "{}", without.stdout);

    // What may not be read is told, and the rest is looked at.
    let nobody = robots_at(plane, &[&args[..], &NOBODY[..]].concat());
    assert_eq!(nobody.code, Some(0), "{nobody:?}");
    assert!(
        nobody.stdout.contains("Unknown\taccounts\tcannot list RobotAccounts: Kubernetes refuses this"),
        "{nobody:?}"
    );
    let whole = json_of(robots_at(plane, &[&args[..], &["-o", "json"]].concat()));
    assert!(whole.as_array().unwrap().iter().any(|finding| finding["level"] == "problem"), "{whole}");
}
