//! What users have in Git about their accounts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kubernetes::{Id, Kind, kind};
use crate::logins::Login;
use crate::world::SYSTEM;

/// An account that users want, and how.
#[derive(Clone, Debug)]
pub struct Wish {
    /// `RobotAccount` or `SystemRobotAccount`.
    pub kind: &'static Kind,
    /// Empty for a system account.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its `spec`.
    pub spec: Value,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its user deleted it, and does not want it back.
    pub deleted: bool,
}

impl Wish {
    /// Where the object is.
    pub fn id(&self) -> Id {
        Id::new(self.kind, &self.namespace, &self.name)
    }

    /// How marks name it: `namespace/name`, or `/name`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The namespace of its Secret.
    pub fn secret_namespace(&self) -> &str {
        if self.namespace.is_empty() { SYSTEM } else { &self.namespace }
    }

    /// Which registry it is of: the cluster's, or the team's own.
    pub fn registry(&self) -> usize {
        usize::from(self.spec["registryRef"]["kind"] == "HarborRegistry")
    }

    /// The name of the Secret with its own password, if it has one.
    pub fn password_name(&self) -> String {
        format!("{}-password", self.name)
    }

    /// It asks for a password of its user's choice.
    pub fn has_own_password(&self) -> bool {
        self.spec["passwordSecretRef"].is_object()
    }

    /// As it is applied.
    pub fn object(&self) -> Value {
        let mut metadata = json!({"name": self.name, "annotations": self.annotations});
        if !self.namespace.is_empty() {
            metadata["namespace"] = json!(self.namespace);
        }
        json!({"apiVersion": self.kind.api_version(), "kind": self.kind.name, "metadata": metadata, "spec": self.spec})
    }
}

/// The accounts that a run begins with.
pub(crate) fn wishes(login: Login) -> Vec<Wish> {
    // A login that may not update robots rotates by overlap only.
    let strategy = if login == Login::Administrator { "InPlace" } else { "Overlap" };
    let wish = |namespace: &str, name: &str, spec: Value| Wish {
        kind: kind(if namespace.is_empty() { "SystemRobotAccount" } else { "RobotAccount" }),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        spec,
        annotations: BTreeMap::new(),
        deleted: false,
    };
    let main = json!({"kind": "ClusterHarborRegistry", "name": "main"});
    vec![
        wish(
            "team-a",
            "pull",
            json!({
                "registryRef": main, "project": "team-a", "permissions": ["PullArtifacts"], "expiresAfter": "30d",
                "serviceAccounts": [{"name": "default"}],
            }),
        ),
        // Of the default registry.
        wish(
            "team-a",
            "push",
            json!({
                "project": "shared", "permissions": ["PushArtifacts", "PullArtifacts"],
                "expiresAfter": "1d", "access": [{"resource": "export-cve", "action": "create"}],
                "serviceAccounts": [{"name": "builder", "use": "Both"}, {"name": "default"}],
                "secret": {"labels": {"team": "a"}, "annotations": {"example.com/for": "builds"}},
            }),
        ),
        wish(
            "team-b",
            "pull",
            json!({
                "registryRef": main, "project": "team-b", "permissions": ["PullArtifacts"],
                "expiresAfter": "7d", "rotation": {"strategy": strategy},
                "secret": {"keys": [
                    {"key": "user", "format": "Username"}, {"key": "config.json", "format": "DockerConfigJson"},
                    {"key": "password", "format": "Password"}, {"key": "host", "format": "RegistryHost"},
                    {"key": "url", "format": "RegistryUrl"}, {"key": "robot.json", "format": "RobotFile"},
                    {"key": "oci", "format": "Literal", "value": "true"},
                ]},
            }),
        ),
        wish(
            "team-b",
            "sole",
            json!({
                "registryRef": {"kind": "HarborRegistry", "name": "own"}, "project": "shared", "permissions": ["PullArtifacts"],
                "expiresAfter": "30d",
            }),
        ),
        wish(
            "",
            "mirror",
            json!({
                "registryRef": main, "projects": {"matching": [{"pattern": "*", "permissions": ["PullArtifacts"]}]},
                "expiresAfter": "30d", "secret": {"namespaces": ["team-a", "team-c"]},
                "serviceAccounts": [{"name": "builder"}],
            }),
        ),
    ]
}
