//! `deploy/`: the chart as plain manifests, for those who install without Helm.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harbor_robot_world::{rig, run, workspace_root};

use super::Files;
use super::chart::CHART;
use crate::stage::NAMESPACE;

/// Holds generated files and folders of samples.
pub(super) const FOLDER: &str = "deploy";

/// The name of the release.
const RELEASE: &str = "harbor-robot-operator";

const NAMESPACE_OBJECT: &str = "apiVersion: v1
kind: Namespace
metadata:
  name: harbor-robots
  labels:
    pod-security.kubernetes.io/enforce: restricted
---
";

struct Manifest {
    file: &'static str,
    /// Lines of a comment.
    about: &'static str,
    /// As `helm --set` has them.
    values: &'static str,
    /// The only templates to render; none: all.
    only: &'static [&'static str],
}

const MANIFESTS: [Manifest; 5] = [
    Manifest {
        file: "install.yaml",
        about: "The operator for the whole cluster. First `kubectl apply --server-side -f crds/`, then this file.",
        values: "",
        only: &[],
    },
    Manifest {
        file: "hardened.yaml",
        about: "As install.yaml, but the operator can neither list nor watch Secrets outside its own namespace: it reads its own by
name at each poll, so a lost or edited one is put right then. First `kubectl apply --server-side -f crds/`, then this file.",
        values: "secrets.watch=false",
        only: &[],
    },
    Manifest {
        file: "namespaced.yaml",
        about: "The operator for some namespaces, with Roles alone: no right reaches beyond them, and nothing of the cluster is read
but its kinds' definitions. First an administrator applies crds/; then this file. Accounts use HarborRegistry objects of
their own namespace: ClusterHarborRegistries and SystemRobotAccounts are not served.

For each further namespace repeat the Role and the RoleBinding of team-a, and add it to --namespaces. A namespace whose
Role or RoleBinding is missing is left out and looked for again every few seconds; the others are served. Delete the
accounts of a namespace before the namespace itself: with it Kubernetes takes the RoleBinding away, and the operator may
do no more.

Without a right to read the namespace kube-system its UID cannot name the cluster: in --cluster-name choose a name that no
other cluster with robots in the same Harbor has, and keep it.",
        values: "namespaces={team-a},clusterName=CHANGE-ME",
        only: &[],
    },
    Manifest {
        file: "namespaced-with-cluster-registries.yaml",
        about: "As namespaced.yaml, for an operator that also serves ClusterHarborRegistries, which no Role can grant.",
        values: "namespaces={team-a},clusterRegistries=true",
        only: &[],
    },
    Manifest {
        file: "metrics-authentication.yaml",
        about: "What --metrics-authentication needs: the operator asks the API server about tokens. Bind the second role to whoever
scrapes.",
        values: "metrics.enabled=true,metrics.authentication=true",
        only: &["templates/rbac/metrics.yaml"],
    },
];

pub(super) fn files() -> Result<Files> {
    MANIFESTS.iter().map(|manifest| Ok((Path::new(FOLDER).join(manifest.file), manifest.render()?))).collect()
}

/// What Helm makes of the chart with these further arguments.
pub(crate) fn render(args: &[&str]) -> Result<String> {
    let mut command = Command::new(rig()?);
    command.current_dir(workspace_root()).args(["helm", "template", RELEASE, CHART, "--namespace", NAMESPACE]);
    command.args(args);
    run(command, b"").ok().context("helm template")
}

impl Manifest {
    fn render(&self) -> Result<String> {
        let mut args = vec!["--set", "crds.install=false"];
        if !self.values.is_empty() {
            args.extend(["--set", self.values]);
        }
        args.extend(self.only.iter().flat_map(|template| ["--show-only", template]));
        let rendered = render(&args).context(self.file)?;
        let about: String = self.about.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
        let namespace = if self.only.is_empty() { NAMESPACE_OBJECT } else { "" };
        Ok(format!(
            "# Generated from the chart by `cargo xtask generate`.\n#\n{about}{namespace}{}",
            plain(&rendered).trim_start_matches("---\n")
        ))
    }
}

/// Without what only Helm reads.
fn plain(rendered: &str) -> String {
    let helm = ["# Source: ", "helm.sh/chart: ", "app.kubernetes.io/managed-by: Helm"];
    let lines = rendered.lines().filter(|line| !line.trim().is_empty());
    let lines = lines.filter(|line| !helm.iter().any(|what| line.trim_start().starts_with(what)));
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_manifest_says_nothing_of_helm() {
        let rendered = "---\n# Source: a/b.yaml\nkind: A\nmetadata:\n  labels:\n    app.kubernetes.io/name: a\n\n    \
                        app.kubernetes.io/managed-by: Helm\n    helm.sh/chart: a-1\n# A remark.\nspec: {}\n";
        assert_eq!(
            plain(rendered),
            "---\nkind: A\nmetadata:\n  labels:\n    app.kubernetes.io/name: a\n# A remark.\nspec: {}\n"
        );
    }
}
