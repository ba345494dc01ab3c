//! Helm's command line.

use std::process::Command;
use std::sync::Once;

use harbor_robot_world::{ControlPlane, objects, rig, workspace_root};
use serde_json::Value;

pub const RELEASE: &str = "harbor-robot-operator";
pub const NAMESPACE: &str = "harbor-robots";

/// Helm: the one that is in the rig, or the program `$HELM`, by which other versions are tried.
pub fn helm() -> Command {
    if let Some(program) = std::env::var_os("HELM") {
        return Command::new(program);
    }
    let mut command = Command::new(rig().unwrap());
    command.arg("helm");
    command
}

/// True of Helm 3, which applies on its own side and has no conflicts to force.
pub fn is_helm_3() -> bool {
    let version = helm().args(["version", "--template", "{{.Version}}"]).output().unwrap();
    String::from_utf8_lossy(&version.stdout).starts_with("v3.")
}

/// The chart's folder.
pub fn chart() -> String {
    workspace_root().join("charts/harbor-robot-operator").to_string_lossy().into_owned()
}

/// A control plane with the kinds, and the namespace as the install guide has it.
pub fn plane() -> &'static ControlPlane {
    static PREPARED: Once = Once::new();
    let plane = ControlPlane::shared();
    PREPARED.call_once(|| {
        make_namespace(plane);
        plane.apply_kinds().unwrap();
    });
    plane
}

/// The operator's namespace.
pub fn make_namespace(plane: &ControlPlane) {
    let namespace = serde_json::json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
        }},
    });
    plane.apply(&namespace.to_string()).unwrap();
}

/// What `helm template` prints, without a cluster; Helm's words when it refuses. Each value is given as to `--set`, unless it is a flag.
pub fn template(values: &[&str]) -> Result<String, String> {
    let mut command = helm();
    command.args(["template", RELEASE, &chart(), "--namespace", NAMESPACE, "--kube-version", "1.36.0"]);
    for value in values {
        if !value.starts_with("--") {
            command.arg("--set");
        }
        command.arg(value);
    }
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The objects that these values make.
pub fn rendered(values: &[&str]) -> Vec<Value> {
    objects(&template(values).unwrap()).unwrap()
}

/// Those of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The operator's arguments in its Deployment.
pub fn args(objects: &[Value]) -> Vec<String> {
    let deployment = of_kind(objects, "Deployment")[0];
    let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    args.iter().map(|arg| arg.as_str().unwrap().to_owned()).collect()
}
