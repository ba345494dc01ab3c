//! Namespaces with registries of their own, for what one of them does to others.

use anyhow::Result;
use harbor_robot_world::{Harbor, HarborOptions, Login, Operator, Profile};
use kube::api::DynamicObject;
use serde_json::json;

use crate::stage::{Stage, Wanted};

/// What the operator is started with, so that registries of namespaces reach this machine and are not held back by pace.
const FLAGS: [&str; 3] =
    ["--private-registry-hosts=127.0.0.1", "--tenant-requests-per-second=1000", "--tenant-poll-interval=1s"];

/// A namespace with a registry `own`.
#[derive(Clone, Copy)]
pub(super) struct Tenant {
    pub(super) namespace: &'static str,
}

impl Tenant {
    /// Makes the namespace, the login Secret and the registry.
    pub(super) fn register(&self, stage: &Stage, url: &str, login: &Login) -> Result<()> {
        let metadata = |name: &str| json!({"name": name, "namespace": self.namespace});
        stage.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}))?;
        let mut of_login = metadata("own-login");
        of_login["labels"] = json!({"harbor-robots.io/use": "login"});
        stage.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": of_login,
            "stringData": {"username": login.name, "password": login.secret},
        }))?;
        stage.apply(&json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry", "metadata": metadata("own"),
            "spec": {
                "url": url, "auth": {"secretRef": {"name": "own-login"}}, "pollInterval": "1s",
                "rateLimit": {"requestsPerSecond": 1000, "maxInFlight": 1000},
            },
        }))
    }

    /// An account on that registry that may pull from a project.
    pub(super) fn account(&self, name: &str, project: &str) -> Result<DynamicObject> {
        Ok(serde_json::from_value(json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "registryRef": {"kind": "HarborRegistry", "name": "own"},
                "project": project, "permissions": ["PullArtifacts"],
            },
        }))?)
    }
}

/// A control plane with a Harbor.
pub(super) async fn stage(release: bool) -> Result<Stage> {
    tokio::task::spawn_blocking(move || Stage::start(Wanted { release, ..Wanted::default() })).await?
}

/// A further Harbor.
pub(super) async fn harbor(release: bool) -> Result<Harbor> {
    let profile = if release { Profile::Release } else { Profile::Dev };
    let options = HarborOptions { profile, ..HarborOptions::default() };
    tokio::task::spawn_blocking(move || Harbor::start(&options)).await?
}

/// Starts the operator.
pub(super) async fn operator(stage: Stage) -> Result<(Stage, Operator)> {
    tokio::task::spawn_blocking(move || {
        let operator = stage.operator_with(&FLAGS)?;
        Ok((stage, operator))
    })
    .await?
}
