//! What the plugin says without a cluster. What it does with one is in `tests/operator/plugin`.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::process::{Command, Output};

fn say(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-robots"));
    command.args(args).env("KUBECONFIG", "/there/is/none").env_remove("KUBERNETES_SERVICE_HOST");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_shell_and_a_reader_find_their_way() {
    for shell in ["bash", "zsh", "fish"] {
        let script = say(&["completion", shell]);
        assert!(script.status.success() && text(&script.stdout).contains("refresh"), "{shell}");
    }
    let help = text(&say(&["--help"]).stdout);
    assert!(help.contains("Usage: kubectl robots [OPTIONS] <COMMAND>") && help.contains("Examples:"), "{help}");
    // Each command that has more to it shows how it is used.
    for command in ["list", "status", "doctor", "refresh", "revoke", "export", "fleet", "import", "bootstrap"] {
        let help = text(&say(&[command, "--help"]).stdout);
        assert!(help.contains(&format!("kubectl robots {command}")) && help.contains("Examples:"), "{help}");
    }
}

#[test]
fn exit_codes_tell_a_wrong_command_line_from_a_missing_cluster() {
    let away = say(&["list"]);
    assert_eq!(away.status.code(), Some(1));
    let told = text(&away.stderr);
    assert!(told.starts_with("error: no access to a Kubernetes API server: "), "{told}");
    assert_eq!(say(&["refresh"]).status.code(), Some(2));
}
