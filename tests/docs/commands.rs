//! Every block of commands of the documentation, run against a cluster that has what it speaks of. What would change something
//! is tried without doing it (`--dry-run=server`); of what waits, or needs a pod, the arguments alone are read.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Once;

use harbor_robot_world::{ControlPlane, Operator, Profile, path_with, program, rig, run, scratch, workspace_root};
use serde_json::json;

use crate::pages::pages;

/// Group and version of our kinds.
const KINDS: &str = "harbor-robots.io/v1alpha1";

/// The kinds are there.
pub fn kinds(plane: &ControlPlane) {
    static APPLIED: Once = Once::new();
    APPLIED.call_once(|| plane.apply_kinds().unwrap());
}

/// The namespace is there.
pub fn namespace(plane: &ControlPlane, name: &str) {
    plane.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string()).unwrap();
}

/// Everything that pages take for there: the install, the samples, and accounts and Secrets of the names that they use.
fn cluster(plane: &ControlPlane) {
    kinds(plane);
    for name in ["harbor-robots", "team-a", "argocd", "demo"] {
        namespace(plane, name);
    }
    let object = |version: &str, kind: &str, namespace: &str, name: &str, more: serde_json::Value| {
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        plane.apply(&object.to_string()).unwrap();
    };
    for name in ["ci", "pull"] {
        object(
            KINDS,
            "RobotAccount",
            "team-a",
            name,
            json!({"spec": {"project": "team-a", "permissions": ["PullArtifacts"]}}),
        );
        object("v1", "Secret", "team-a", name, json!({"stringData": {".dockerconfigjson": "{\"auths\":{}}"}}));
    }
    let robot = json!({"status": {"robot": {
        "id": 1, "name": "robot$team-a+pull", "creationTime": "2026-01-01T00:00:00Z", "expirationTime": "2026-02-01T00:00:00Z",
    }}});
    let robot = robot.to_string();
    let status =
        ["patch", "robotaccount", "pull", "-n", "team-a", "--subresource=status", "--type=merge", "-p", &robot];
    plane.kubectl(status).ok().unwrap();
    // With its policies, which let nobody but the operator write a status.
    for file in ["deploy/install.yaml", "deploy/samples", "deploy/metrics-authentication.yaml"] {
        plane.kubectl(["apply", "--server-side", "--force-conflicts", "-f", file]).ok().unwrap();
    }
    let registry =
        json!({"spec": {"url": "https://harbor.example.com", "auth": {"secretRef": {"name": "harbor-login"}}}});
    object(KINDS, "HarborRegistry", "team-a", "harbor", registry);
    object("v1", "ServiceAccount", "team-a", "default", json!({}));
    object("v1", "ConfigMap", "argocd", "argocd-cm", json!({"data": {}}));
    object("coordination.k8s.io/v1", "Lease", "harbor-robots", "harbor-robot-operator", json!({"spec": {}}));
}

const KUBECTL: &str = r#"
said="$*"
export KUBECONFIG="$CLUSTER"
dry=--dry-run=server
for word in "$@"; do
  case "$word" in --dry-run=*) dry=;; esac
done
command=
for word in "$@"; do
  case "$word" in -*) ;; *) command="$word"; break;; esac
done
case "$command" in
  robots) exec "${0%/*}/kubectl-robots" "${@:2}";;
  apply|patch|annotate|label|delete|replace|create) set -- "$@" $dry;;
esac
case " $said " in
  *" create token "*|*" auth can-i "*) "$RIG" kubectl "$@" --help >/dev/null;;
  *" wait "*|*" logs "*|*" port-forward "*|*" exec "*|*" rollout "*|*" -w "*) "$RIG" kubectl "$@" --help >/dev/null;;
  # What a page makes may be there: each block is tried in the same cluster.
  *" create "*) "$RIG" kubectl "$@" 2> "$FAILED.create" || grep -q "already exists" "$FAILED.create";;
  *) "$RIG" kubectl "$@";;
esac || echo "kubectl $said" >> "$FAILED"
"#;

/// The words before a flag that is none are understood if it is the flag that is complained of.
const OURS: &str = r#"
"$PROGRAM" "$@" --no-such-flag 2>&1 | grep -q "unexpected argument '--no-such-flag'" || echo "$NAME $*" >> "$FAILED"
"#;

const HELM: &str = r#"
said="$*"
case "$1" in
  install|upgrade) "$RIG" helm "$@" --help >/dev/null && case "$said" in *oci://*|*target/image*) ;; *)
    shift; [ "$1" = --install ] && shift
    "$RIG" helm template "$@" >/dev/null 2>"$FAILED.helm" || grep -q "values.yaml: no such file" "$FAILED.helm";;
  esac;;
  *) "$RIG" helm "$@" --help >/dev/null;;
esac || echo "helm $said" >> "$FAILED"
"#;

/// Programs of others that pages name and that are not run here.
const OF_OTHERS: [&str; 9] = ["curl", "docker", "terraform", "cosign", "gh", "git", "argocd", "flux", "tkn"];

#[test]
fn every_command_is_understood() {
    let plane = ControlPlane::shared();
    cluster(plane);
    let folder = scratch().unwrap();
    let failed = folder.join("failed");
    let ours = |program: &str, name: &str| format!("PROGRAM={program} NAME={name}\n{OURS}");
    let operator = Operator::binary(None, Profile::Dev).unwrap();
    let plugin = program("kubectl-robots", Profile::Dev).unwrap();
    let xtask = operator.with_file_name("xtask");
    assert!(xtask.exists(), "cargo build --workspace --bins");
    let cargo = format!(
        "[ \"$1\" = xtask ] || exit 0\nshift\ncase \" $* \" in *\" -- \"*) exit 0;; esac\n{}",
        ours(&xtask.display().to_string(), "xtask")
    );
    let mut programs = BTreeMap::from([
        ("kubectl", KUBECTL.to_owned()),
        ("helm", HELM.to_owned()),
        ("harbor-robot-operator", ours(&operator.display().to_string(), "harbor-robot-operator")),
        ("kubectl-robots", ours(&plugin.display().to_string(), "kubectl-robots")),
        ("cargo", cargo),
    ]);
    programs.extend(OF_OTHERS.map(|name| (name, "cat >/dev/null".to_owned())));
    let path = path_with(&programs).unwrap();
    let password = folder.join("a-password");
    std::fs::write(&password, "change-me").unwrap();
    // A page writes files, too.
    let beside = folder.join("beside");
    std::fs::create_dir(&beside).unwrap();
    for entry in std::fs::read_dir(workspace_root()).unwrap().map(Result::unwrap) {
        std::os::unix::fs::symlink(entry.path(), beside.join(entry.file_name())).unwrap();
    }
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        for (_, block) in page.blocks.iter().filter(|(language, _)| language == "sh") {
            count += 1;
            let _ = std::fs::remove_file(&failed);
            let mut bash = Command::new("bash");
            let block = block.replace("./password", &password.to_string_lossy());
            bash.current_dir(&beside).args(["-uc", &block]).env("PATH", &path);
            bash.env("RIG", rig().unwrap())
                .env("FAILED", &failed)
                .env("IMAGE", "registry.example.com/x")
                .env("USER", "me");
            // Each block is in a shell of its own; what a page exports stays.
            let kubeconfig = folder.join("kubeconfig");
            std::fs::copy(&plane.kubeconfig, &kubeconfig).unwrap();
            bash.env("KUBECONFIG", &kubeconfig).env("CLUSTER", &kubeconfig);
            let output = run(bash, b"change-me");
            let complaint = std::fs::read_to_string(&failed).unwrap_or_default();
            let shell = output.stderr.lines().find(|line| line.contains("bash: ") || line.contains("syntax error"));
            if !complaint.is_empty() || shell.is_some() {
                wrong.push(format!("{}:\n{block}\n→ {complaint}{}", page.path.display(), output.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
    assert!(count > 40, "{count}");
}
