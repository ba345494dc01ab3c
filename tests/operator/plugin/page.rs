//! The page of the plugin shows what the plugin says: each of its outputs is made anew and compared.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use harbor_robot_world::{ControlPlane, eventually, scratch, workspace_root};
use serde_json::json;

use super::robots;
use crate::rotation::MINUTE;
use crate::scene::{SOON, Scene, Setting, install_kinds};

const PAGE: &str = "docs/kubectl-robots.md";
/// Set it to have the outputs written into the page.
const WRITE: &str = "WRITE_PAGES";
/// What a block of output begins with: the command is behind it.
const PROMPT: &str = "```text\n$ kubectl robots ";
const FENCE: &str = "```\n";
/// Between columns, as on a terminal.
const GAP: usize = 3;

/// The words of a scene in those of the page.
fn in_words_of_the_page(scene: &Scene, cluster: &str, text: &str) -> String {
    let cluster_registry = |name: &str| format!("ClusterHarborRegistry {name}");
    // The replica's name ends in random letters.
    let replica = text.split_whitespace().find(|word| word.starts_with("operator_")).unwrap_or("operator_");
    let in_yaml = |name: &str| format!("kind: ClusterHarborRegistry\n    name: {name}");
    text.replace(cluster, "prod-eu")
        .replace(replica, "harbor-robot-operator-7d9c5b6f4-x2x8k")
        .replace(&format!("registry {}", scene.registry), "registry main")
        .replace(&in_yaml(&scene.registry), &in_yaml("main"))
        .replace(&cluster_registry(&scene.registry), &cluster_registry("main"))
        .replace(&scene.harbor.url, "https://harbor.example.com")
        .replace(&scene.namespace, "team-a")
}

/// Lines of columns as a terminal shows them.
fn aligned(text: &str) -> String {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0);
    let line = |row: &Vec<&str>| {
        let cells = row.iter().enumerate().map(|(at, cell)| format!("{cell:<width$}", width = width(at) + GAP));
        if row.len() == 1 { row[0].to_owned() } else { cells.collect::<String>().trim_end().to_owned() }
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Without what differs from run to run: times, spans and ids.
fn without_times(text: &str) -> Vec<String> {
    let word = |word: &str| {
        let bare = word.trim_matches(|c| matches!(c, '(' | ')' | ',' | ';' | '.' | ':'));
        let digits = bare.trim_end_matches(['d', 'h', 'm', 's']);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_time = bare.len() > 18 && bare.as_bytes()[10] == b'T' && bare.ends_with('Z');
        if is_number || is_time { word.replace(bare, "#") } else { word.to_owned() }
    };
    text.lines().map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")).collect()
}

/// The last manifest of a text, in the words of the scene, as a file.
fn file_of(scene: &Scene, text: &str) -> PathBuf {
    let (_, manifest) = text.rsplit_once("```yaml\n").expect("a manifest comes before it is planned with");
    let (manifest, _) = manifest.split_once(FENCE).expect("a block ends");
    let manifest =
        manifest.replace("name: main", &format!("name: {}", scene.registry)).replace("team-a", &scene.namespace);
    let path = scratch().unwrap().join("accounts.yaml");
    fs::write(&path, manifest).unwrap();
    path
}

/// What a command of the page says in the scene; `before`: the page up to it.
async fn said(scene: &Scene, command: &str, before: &str) -> String {
    // What the page leaves to the reader to see happen.
    if command.starts_with("refresh") {
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        scene.two_sweeps().await;
    }
    let words = command
        .replace("-n team-a", "")
        .replace("team-a", &scene.namespace)
        .replace("--registry main", &format!("--registry {}", scene.registry));
    let file = words.contains("accounts.yaml").then(|| file_of(scene, before).display().to_string());
    let words = words.replace("accounts.yaml", &file.unwrap_or_default());
    let mut args: Vec<&str> = words.split_whitespace().collect();
    if ["fleet", "import", "plan"].iter().any(|asks_harbor| command.starts_with(asks_harbor)) {
        args.extend(["--allow-http", "--cluster-resource-namespace", &scene.system]);
    }
    if command.starts_with("doctor") {
        args.extend(["--cluster-resource-namespace", &scene.system]);
    }
    let output = robots(scene, &args);
    let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
    aligned(&in_words_of_the_page(scene, &status.cluster_name.unwrap(), &output.stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_the_plugin_says() {
    // A cluster of its own: the page lists all that there is.
    let plane = Box::leak(Box::new(ControlPlane::scratch().unwrap()));
    install_kinds(plane);
    let scene = Scene::new(Setting { plane: Some(plane), all_namespaces: true, ..Setting::default() }).await;
    scene
        .account(
            "ci",
            json!({"permissions": ["PushArtifacts", "PullArtifacts"], "serviceAccounts": [{"name": "default"}]}),
        )
        .await;
    scene.account("scan", json!({"permissions": ["CreateScans"], "expiresAfter": "Never"})).await;
    scene.account("web", json!({"project": "tema-a"})).await;
    scene.stranger("by-hand", "made in the page").await;
    scene.settled("ci").await;
    scene.settled("scan").await;
    scene.reason_is("web", "Ready", "False", "ProjectNotFound").await;
    eventually("the robot without an account is counted", SOON, || async {
        let status = scene.registries().get(&scene.registry).await.unwrap().status.unwrap();
        let count = status.unmanaged_robots.map(|unmanaged| unmanaged.count);
        if count == Some(1) { Ok(()) } else { Err(format!("{count:?}")) }
    })
    .await;
    let path = workspace_root().join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (mut written, mut rest, mut count) = (String::new(), page.as_str(), 0);
    while let Some((before, after)) = rest.split_once(PROMPT) {
        let (block, further) = after.split_once(FENCE).expect("a block ends");
        let (command, shown) = block.split_once('\n').expect("a block has an output");
        let found = said(&scene, command, &format!("{written}{before}")).await;
        if std::env::var_os(WRITE).is_none() {
            assert_eq!(
                without_times(shown),
                without_times(&found),
                "{PAGE}: kubectl robots {command}; {WRITE}=1 writes it"
            );
        }
        write!(written, "{before}{PROMPT}{command}\n{}\n{FENCE}", found.trim_end()).unwrap();
        (rest, count) = (further, count + 1);
    }
    assert!(count >= 5, "{count} outputs");
    if std::env::var_os(WRITE).is_some() {
        fs::write(path, written + rest).unwrap();
    }
}
