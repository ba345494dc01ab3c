//! What a user may ask for: the ten names of Harbor's web page, and single resource/action pairs; and how a status tells
//! what somebody may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with_macros::skip_serializing_none;

/// One of the ten permissions of Harbor's web page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Permission {
    /// Push artifacts (`repository:push`). For a robot of one project Harbor's push includes pull.
    PushArtifacts,
    /// Pull artifacts (`repository:pull`).
    PullArtifacts,
    /// Delete artifacts (`artifact:delete`).
    DeleteArtifacts,
    /// Read Helm charts, which are artifacts today (`repository:pull`).
    ReadHelmCharts,
    /// Create Helm chart versions, which are artifacts today (`repository:push`).
    CreateHelmChartVersions,
    /// Delete Helm chart versions, which are artifacts today (`artifact:delete`).
    DeleteHelmChartVersions,
    /// Create tags (`tag:create`).
    CreateTags,
    /// Delete tags (`tag:delete`).
    DeleteTags,
    /// Create artifact labels (`artifact-label:create`).
    CreateArtifactLabels,
    /// Create scans (`scan:create`).
    CreateScans,
}

impl Permission {
    /// All ten, in the order of Harbor's web page.
    pub const ALL: [Self; 10] = [
        Self::PushArtifacts,
        Self::PullArtifacts,
        Self::DeleteArtifacts,
        Self::ReadHelmCharts,
        Self::CreateHelmChartVersions,
        Self::DeleteHelmChartVersions,
        Self::CreateTags,
        Self::DeleteTags,
        Self::CreateArtifactLabels,
        Self::CreateScans,
    ];
}

/// One resource/action pair of Harbor's permission catalogue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct AccessRule {
    /// Harbor's name of the resource, like `repository` or `tag`.
    #[schemars(length(min = 1, max = 64))]
    pub resource: String,
    /// Harbor's name of the action, like `list` or `create`.
    #[schemars(length(min = 1, max = 64))]
    pub action: String,
}

impl AccessRule {
    /// A pair from its two words.
    pub fn new(resource: &str, action: &str) -> Self {
        Self { resource: resource.to_owned(), action: action.to_owned() }
    }
}

/// `repository:pull`.
impl std::fmt::Display for AccessRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.resource, self.action)
    }
}

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum PermissionKind {
    /// What is in projects.
    Project,
    /// Harbor itself.
    System,
}

/// What may be done with one resource.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionRecord {
    /// `Project`, or `System` for what is not about projects. Absent where nothing but one project is meant.
    pub kind: Option<PermissionKind>,
    /// With `Project`: the name of a project, a pattern of names, or `*` for all projects.
    #[schemars(length(max = 512))]
    pub project: Option<String>,
    /// Harbor's name of the resource, like `repository`.
    #[schemars(length(max = 256))]
    pub resource: String,
    /// Harbor's names of the actions, like `pull`.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub actions: Vec<String>,
}
