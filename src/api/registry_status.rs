//! The status of a registry, of either kind.

use super::RegistryTime;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with_macros::skip_serializing_none;

use super::permissions::PermissionRecord;

/// What the operator found.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryStatus {
    /// The `metadata.generation` that this status describes.
    pub observed_generation: Option<i64>,
    /// Harbor's version.
    #[schemars(length(max = 512))]
    pub harbor_version: Option<String>,
    /// The host that images are pulled from.
    #[schemars(length(max = 300))]
    pub registry_host: Option<String>,
    /// The name of this cluster in the marks of its robots.
    #[schemars(length(max = 253))]
    pub cluster_name: Option<String>,
    /// What the operator logs in as.
    pub login: Option<LoginRecord>,
    /// The text that Harbor puts before every robot's name, if the login may read it.
    #[schemars(length(max = 512))]
    pub robot_name_prefix: Option<String>,
    /// The permissions that this Harbor knows.
    pub permissions: Option<CatalogueRecord>,
    /// How many accounts use this registry.
    pub account_count: Option<i32>,
    /// How many robots in projects in use, and on the level of the system, carry a mark of this cluster and have no
    /// account any more. Robots that `deletionPolicy: Retain` left are not among them, if their mark says so.
    pub orphan_count: Option<i32>,
    /// Robots in projects in use, and on the level of the system, that no account manages, of this cluster or another: nobody
    /// renews them. They have no mark, or an account left them by `deletionPolicy: Retain`. The operator's own login is not
    /// among them.
    pub unmanaged_robots: Option<UnmanagedRobots>,
    /// Harbors that `spec.url` named before and in which robots of this registry's accounts are, or may be, left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["url"]))]
    pub former_urls: Vec<FormerUrl>,
    /// `Ready`: the login works. `Stalled`, `ClockSkew`, `LoginExpiring`, `RegistryHostChanged` and `RobotsLeftBehind` are
    /// present only while true.
    #[serde(default, deserialize_with = "super::conditions::readable", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Robots that no account manages.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnmanagedRobots {
    /// How many there are.
    pub count: i32,
    /// When the first of them expires, in Harbor's time. Absent: none of them will; those that are disabled or have expired
    /// serve nobody.
    pub next_expiration_time: Option<RegistryTime>,
    /// The full name of that robot.
    #[schemars(length(max = 512))]
    pub next_to_expire: Option<String>,
}

/// A Harbor that `spec.url` named before.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FormerUrl {
    /// Where it is.
    #[schemars(length(max = 300))]
    pub url: String,
    /// How many robots of this registry's accounts are left there; absent if the login could not ask.
    pub robots: Option<i32>,
    /// The full names of the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 512)))]
    pub names: Vec<String>,
}

/// What a registry login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum LoginKind {
    /// A person with Harbor's administrator right.
    Administrator,
    /// A person without it, like an administrator of a project.
    User,
    /// A robot.
    Robot,
}

/// What the operator logs in as.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginRecord {
    /// `Administrator`, `User` or `Robot`.
    pub kind: LoginKind,
    /// The user name.
    #[schemars(length(max = 512))]
    pub name: String,
    /// Whether Harbor lets this login update robots of projects; absent until it was tried.
    pub may_update: Option<bool>,
    /// Whether Harbor lets this login update robots of the system; absent until it was tried.
    pub may_update_system: Option<bool>,
    /// What a robot login holds, if it may look: at most 100 rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub permissions: Vec<PermissionRecord>,
    /// When the login expires, in Harbor's time. Absent: never, or the login may not see it.
    pub expiration_time: Option<RegistryTime>,
}

/// Where the list of known permissions comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum CatalogueSource {
    /// Harbor's own answer.
    Harbor,
    /// The operator's list for this version, since the login may not ask.
    BuiltIn,
}

/// The permissions that a Harbor knows: what `access` and `systemAccess` may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueRecord {
    /// `Harbor`, or `BuiltIn` if the login may not ask.
    pub source: CatalogueSource,
    /// Those about projects: for each resource its actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "atomic"))]
    pub project: Vec<PermissionRecord>,
    /// Those about the system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "atomic"))]
    pub system: Vec<PermissionRecord>,
}
