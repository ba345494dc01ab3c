//! The parts of a spec that `RobotAccount` and `SystemRobotAccount` share.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with_macros::skip_serializing_none;

use super::duration::{DurationString, Interval};
use super::{rules, schema};

/// Which kind of registry object is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum RegistryKind {
    /// A cluster-scoped ClusterHarborRegistry.
    ClusterHarborRegistry,
    /// A HarborRegistry in the namespace of the account.
    HarborRegistry,
}

impl std::fmt::Display for RegistryKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The registry object that says where Harbor is and how the operator logs in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct RegistryRef {
    /// `ClusterHarborRegistry`, or `HarborRegistry` for one in the account's own namespace.
    pub kind: RegistryKind,
    /// Name of that object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
}

/// How the credential is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum RotationStrategy {
    /// A second robot takes over and the first one is deleted after `overlap`: nothing fails in between. The login
    /// name alternates between `<name>` and `<name>.b`.
    Overlap,
    /// The same robot gets a new secret: the login name stays, a login in that moment may fail. Needs a registry
    /// login that Harbor lets update robots.
    InPlace,
}

/// When and how the credential is replaced.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::no_overlap_in_place())]
#[x_kube(validation = rules::overlap_within_interval())]
pub struct Rotation {
    /// `Overlap` or `InPlace`. Left out: `Overlap`, which never breaks a login but alternates the login name between
    /// `<name>` and `<name>.b`. Whoever hard-codes the login name uses `InPlace`.
    pub strategy: Option<RotationStrategy>,
    /// Renew this long before the robot expires, like `10d`. Left out: a third of the lifetime.
    pub renew_before: Option<DurationString>,
    /// With `Overlap`: how long the previous credential stays valid after a rotation, like `24h`. Left out: 24h, or
    /// less where `renewBefore` or `interval` is shorter. It is cut short where the previous credential expires before,
    /// or the new one has to be renewed; `status.previous.revocationTime` tells its end.
    pub overlap: Option<DurationString>,
    /// Rotate at least this often, even if the robot lives longer, like `7d`. At least `1h`. `Never`, or left out
    /// where the registry has no default either: only before the expiry.
    #[x_kube(validation = rules::interval_minimum())]
    pub interval: Option<Interval>,
}

/// One key of a Secret: in the account's own namespace, or in the operator's for a SystemRobotAccount.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::data_key())]
    pub key: String,
}

/// What a key of the Secret holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum SecretKeyFormat {
    /// The docker configuration, as in `.dockerconfigjson`.
    DockerConfigJson,
    /// The login's user name.
    Username,
    /// The login's password.
    Password,
    /// The JSON file that Harbor's web page offers for download.
    RobotFile,
    /// The host of images, with its port if it has one, like `registry.example.com:5000`.
    RegistryHost,
    /// The URL of Harbor as the registry object has it, like `https://registry.example.com`.
    RegistryUrl,
    /// The text in `value`.
    Literal,
}

/// A further key of the Secret.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::value_of_a_literal())]
pub struct SecretKey {
    /// Name of the key, as the program that reads the Secret wants it. `.dockerconfigjson` is always there, and keys that
    /// begin with `harbor-robots.` are the operator's.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::data_key())]
    #[x_kube(validation = rules::free_data_key())]
    pub key: String,
    /// `DockerConfigJson`: the docker configuration, as in `.dockerconfigjson`. `Username`, `Password`: the login.
    /// `RobotFile`: the JSON file that Harbor's web page offers for download. `RegistryHost`: the host of images, like
    /// `registry.example.com:5000`. `RegistryUrl`: the URL of Harbor, like `https://registry.example.com`. `Literal`: the
    /// text in `value`.
    pub format: SecretKeyFormat,
    /// With `Literal`: the text. Put nothing secret there: whoever may read the account reads it.
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
}

/// Where a ServiceAccount names the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum ServiceAccountUse {
    /// In `imagePullSecrets`: pods of the ServiceAccount pull with it.
    ImagePullSecrets,
    /// In `secrets`: Tekton, OpenShift builds and others look there for what to push with.
    Secrets,
    /// In both.
    Both,
}

/// A ServiceAccount that names the Secret.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountRef {
    /// Name of the ServiceAccount, in the Secret's namespace.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
    /// `ImagePullSecrets`: pods of the ServiceAccount pull with the Secret. `Secrets`: it is in the ServiceAccount's list
    /// `secrets`, where Tekton and OpenShift builds look for what to push with. `Both`: both. Left out:
    /// `ImagePullSecrets`.
    #[serde(rename = "use")]
    pub use_: Option<ServiceAccountUse>,
}

/// The Secret that the operator writes.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretOutput {
    /// Name of the Secret, in the account's namespace. Left out: the account's name. Cannot be changed later. A Secret
    /// of that name that the operator did not make is never overwritten.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: Option<String>,
    /// Labels for the Secret, beside the operator's own.
    #[serde(default)]
    #[schemars(schema_with = "schema::labels")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations for the Secret, beside the operator's own.
    #[serde(default)]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Further keys of the Secret, for programs that want the credential in another form. `.dockerconfigjson` is always
    /// there.
    #[schemars(length(max = 20))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub keys: Option<Vec<SecretKey>>,
}

/// What happens in Harbor when the account is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum DeletionPolicy {
    /// The robot and the Secret are deleted.
    Delete,
    /// Both stay, and an account of the same namespace and name takes both back.
    Retain,
}

/// Whether a robot that somebody else made may be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum AdoptionPolicy {
    /// A robot of that name that is not ours is an error.
    Never,
    /// A robot of that name without any operator's mark is taken over, if the grant allows adoption.
    IfUnowned,
}
