//! The status of an account, of either kind.

use super::RegistryTime;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with_macros::skip_serializing_none;

use super::account::RegistryKind;
use super::permissions::PermissionRecord;

/// The registry an account uses. It is decided once and kept.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinnedRegistry {
    /// `ClusterHarborRegistry` or `HarborRegistry`.
    pub kind: RegistryKind,
    /// Name of the registry object.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The registry's URL when the robot was last seen there.
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
}

/// The robot whose credential is published. Times are Harbor's.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RobotRecord {
    /// Harbor's id of the robot.
    pub id: i64,
    /// Full name of the robot, as Harbor gave it: the user name to log in with.
    #[schemars(length(max = 512))]
    pub name: String,
    /// When the robot was created.
    pub creation_time: RegistryTime,
    /// Harbor's update time after the operator's own last write. A later one means that somebody else changed it.
    pub update_time: Option<RegistryTime>,
    /// The beginning of the checksum of the credential that logged in then. If the Secret holds another one, the operator tries
    /// that one.
    #[schemars(length(max = 16))]
    pub credential_checksum: Option<String>,
    /// When the credential expires. Absent: never.
    pub expiration_time: Option<RegistryTime>,
}

/// The robot that was replaced, while its credential still works. Times are Harbor's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviousRobot {
    /// Harbor's id of the robot.
    pub id: i64,
    /// Full name of the robot.
    #[schemars(length(max = 512))]
    pub name: String,
    /// When the robot was created.
    pub creation_time: RegistryTime,
    /// When it will be deleted.
    pub revocation_time: RegistryTime,
}

/// A Secret that holds the credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRecord {
    /// Namespace of the Secret.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// The projects that a system robot reaches.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectsRecord {
    /// `true`: all projects of Harbor, also those to come.
    pub all: Option<bool>,
    /// How many projects are named or match.
    pub count: Option<i32>,
    /// The first 100 of them, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 512)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
}

/// What became of the Secret in one namespace.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceRecord {
    /// The namespace.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Whether the Secret there holds the credential that is published.
    pub ready: bool,
    /// Why not, as one word from the table of reasons.
    #[schemars(length(max = 316))]
    pub reason: Option<String>,
    /// What is wrong and what to do.
    #[schemars(length(max = 32768))]
    pub message: Option<String>,
}

/// What the operator found and did.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountStatus {
    /// The `metadata.generation` that this status describes.
    pub observed_generation: Option<i64>,
    /// The registry object in use, kept once it was decided.
    pub registry: Option<PinnedRegistry>,
    /// The robot whose credential is published.
    pub robot: Option<RobotRecord>,
    /// The robot that was replaced, while its credential still works.
    pub previous: Option<PreviousRobot>,
    /// When the credential will be replaced.
    pub renewal_time: Option<RegistryTime>,
    /// When the credential was last replaced.
    pub last_rotation_time: Option<RegistryTime>,
    /// The token of the annotation `harbor-robots.io/refresh` that was acted on.
    #[schemars(length(max = 512))]
    pub handled_refresh: Option<String>,
    /// The token of the annotation `harbor-robots.io/revoke` that was acted on.
    #[schemars(length(max = 512))]
    pub handled_revoke: Option<String>,
    /// The Secrets that hold the credential: the first one, and of copies in other namespaces the first 99.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["namespace", "name"]))]
    pub secret_refs: Vec<SecretRecord>,
    /// What the robot may do in effect: for each resource its actions. Of a SystemRobotAccount by project or pattern, and at
    /// most 500 rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), extend("x-kubernetes-list-type" = "atomic"))]
    pub permissions: Vec<PermissionRecord>,
    /// The lifetime in effect: whole days, like `30d`, or `Never`.
    #[schemars(length(max = 63))]
    pub expires_after: Option<String>,
    /// The projects that a SystemRobotAccount reaches.
    pub projects: Option<ProjectsRecord>,
    /// How many namespaces a SystemRobotAccount's Secret is wanted in.
    pub namespace_count: Option<i32>,
    /// What became of a SystemRobotAccount's Secret in each namespace: at most 100 of them, those that failed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub namespaces: Vec<NamespaceRecord>,
    /// `true` when the robot is from before Harbor 2.2 and Harbor does not edit it.
    pub legacy: Option<bool>,
    /// `Ready`: a credential that works is published now. `Synced`: Harbor equals the spec. `Reconciling`, `Stalled` and
    /// `RenewalOverdue` are present only while true.
    #[serde(default, deserialize_with = "super::conditions::readable", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        let robot = json!({
            "id": 1,
            "name": "robot$team-a+ci",
            "creationTime": "2026-01-01T00:00:00.123Z",
            "updateTime": "2026-01-01T00:00:00.007Z",
        });
        let record: RobotRecord = serde_json::from_value(robot.clone()).unwrap();
        assert_eq!(record.creation_time.as_millisecond() % 1_000, 123);
        assert_eq!(serde_json::to_value(&record).unwrap(), robot);
    }
}
