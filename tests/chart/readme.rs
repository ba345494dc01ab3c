//! The README's install, line by line as it stands there: a clean cluster ends with an account that is Ready and an image that
//! is pulled. `cargo xtask image --test` runs it with the image that it made; else the image is the program of the tests.

use std::collections::BTreeMap;
use std::process::Command;

use harbor_robot_world::{
    ControlPlane, Harbor, HarborOptions, Operator, Profile, path_with, rig, run, scratch, workspace_root,
};
use serde_json::json;

use crate::kubelet::{IMAGE, Kubelet};

const TEAM: &str = "team-a";

/// The commands below this heading.
const HEADING: &str = "## Install";

fn commands() -> String {
    let readme = std::fs::read_to_string(workspace_root().join("README.md")).unwrap();
    let section = readme.split(&format!("\n{HEADING}")).nth(1).expect(HEADING);
    section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_lines_lead_to_an_account_that_is_ready_and_an_image_that_is_pulled() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::unaudited().unwrap()));
    let options = HarborOptions { registry: Some(plane.registry.clone()), ..HarborOptions::default() };
    let harbor = Harbor::start(&options).unwrap();
    harbor.create_project(TEAM).await.unwrap();
    let image = format!("{}/{TEAM}/app:1", harbor.host());
    plane.rig("push", ["--image", &image, "--username", &harbor.admin.name], &harbor.admin.secret).ok().unwrap();
    let operator = harbor.create_robot_login("operator", &[]).await.unwrap();
    plane.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}).to_string()).unwrap();
    let _kubelet = Kubelet::start(plane);

    let password = scratch().unwrap().join("password");
    std::fs::write(&password, &operator.secret).unwrap();
    let commands = commands();
    assert!(commands.lines().count() <= 10, "{commands}");
    let commands = commands
        .replace("registry.example.com/platform", plane.registry.trim_start_matches("http://"))
        .replace("https://harbor.example.com", &harbor.url)
        .replace("./password", &password.to_string_lossy());
    assert!(!commands.contains("example.com"), "{commands}");
    let rig = rig().unwrap();
    let built = std::env::var_os(IMAGE).is_some();
    // It was made already, and is made again from what is there. Cargo itself would take this test's environment for news.
    let xtask = Operator::binary(None, Profile::Dev).unwrap().with_file_name("xtask");
    let cargo = if built { format!("shift; exec {} \"$@\"", xtask.display()) } else { "exit 0".to_owned() };
    let lines = BTreeMap::from([
        // The Harbor here speaks HTTP.
        ("helm", format!("exec {} helm \"$@\" --set allowHTTP=true", rig.display())),
        ("kubectl", format!("exec {} kubectl \"$@\"", rig.display())),
        ("cargo", cargo),
    ]);
    // Without the image there is no package either; it holds what is in the chart's folder.
    let package = "target/image/harbor-robot-operator-0.1.0.tgz";
    assert!(commands.contains(package), "{commands}");
    let commands = if built { commands } else { commands.replace(package, "charts/harbor-robot-operator") };
    let mut shell = Command::new("bash");
    shell.current_dir(workspace_root()).args(["-euxc", &commands]).env("KUBECONFIG", &plane.kubeconfig);
    shell.env("PATH", path_with(&lines).unwrap());
    let output = tokio::task::spawn_blocking(move || run(shell, b"")).await.unwrap();
    let printed = output.clone().ok().unwrap();
    assert!(printed.contains("robotaccount.harbor-robots.io/pull condition met"), "{printed}\n{}", output.stderr);
    // A pod of the team names nothing, and pulls.
    plane.pull(TEAM, &[], &image).unwrap();
}
