//! What `bootstrap` makes: the objects of the cluster, and the rights of both robots.

use harbor_robot_operator::api::{ObjectName, Permission, keys};
use harbor_robot_operator::domain::permissions::{Access, AccessSet, pair};
use harbor_robot_operator::domain::robot::{Permissions, Scope};
use serde_json::{Value, json};

use super::BootstrapArgs;

const KINDS: &str = "harbor-robots.io/v1alpha1";
/// What a login needs to manage robots, in projects and of the system (docs/logins.md).
const ROBOTS: [&str; 4] = ["create", "delete", "list", "read"];
/// A quarter of a year: a renewal that fails is announced two weeks before the end.
const EXPIRES_AFTER: &str = "90d";
/// A backup of the cluster that is younger than this holds a login that works.
const OVERLAP: &str = "10d";

pub(super) struct Manifests<'a> {
    pub(super) args: &'a BootstrapArgs,
    pub(super) url: &'a str,
    pub(super) roots: Option<String>,
}

impl Manifests<'_> {
    /// The registry, with the login in this Secret.
    pub(super) fn registry(&self, secret: &ObjectName) -> Value {
        let mut registry = json!({
            "apiVersion": KINDS, "kind": "ClusterHarborRegistry", "metadata": {"name": self.args.registry.as_str()},
            "spec": {"url": self.url, "auth": {"secretRef": {"name": secret.as_str()}}},
        });
        if let Some(roots) = &self.roots {
            registry["spec"]["tls"] = json!({"caCertificates": roots});
        }
        registry
    }

    /// The account that keeps the operator's login.
    pub(super) fn account(&self) -> Value {
        let access = |pairs: &AccessSet| {
            pairs.iter().map(|pair| json!({"resource": pair.resource, "action": pair.action})).collect::<Value>()
        };
        let rights = self.rights();
        json!({
            "apiVersion": KINDS, "kind": "SystemRobotAccount", "metadata": {"name": self.args.account.as_str()},
            "spec": {
                "registryRef": {"kind": "ClusterHarborRegistry", "name": self.args.registry.as_str()},
                "description": "login of the harbor-robot-operator, which renews it",
                "expiresAfter": EXPIRES_AFTER,
                "rotation": {"overlap": OVERLAP},
                "systemAccess": access(&rights[&Scope::System]),
                "projects": {"all": {"access": access(&rights[&Scope::AllProjects])}},
                "secret": {"name": self.args.account.as_str(), "keys": [
                    {"key": "username", "format": "Username"}, {"key": "password", "format": "Password"},
                ]},
            },
        })
    }

    /// The Secret with the login that makes the first one.
    pub(super) fn secret(&self, name: &ObjectName, username: &str, password: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": name.as_str(), "namespace": self.args.login.cluster_resource_namespace.as_str(),
                "annotations": {format!("{}note", keys::PREFIX): "of kubectl robots bootstrap; its robot lives for a day"},
            },
            "stringData": {"username": username, "password": password},
        })
    }

    /// What both robots hold: one hands it to the other.
    pub(super) fn rights(&self) -> Permissions {
        let of_robots = || ROBOTS.iter().map(|action| Access::new("robot", action));
        let asked = &self.args.permissions;
        let names = if asked.is_empty() { &Permission::ALL[..] } else { asked };
        let in_projects =
            names.iter().map(|name| pair(*name)).chain([Access::new("project", "read")]).chain(of_robots());
        Permissions::from([
            (Scope::System, of_robots().chain([Access::new("project", "list")]).collect()),
            (Scope::AllProjects, in_projects.collect()),
        ])
    }
}
