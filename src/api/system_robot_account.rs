//! The kind `SystemRobotAccount`: a robot account of a whole Harbor, for many namespaces.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use serde_with_macros::skip_serializing_none;

use super::account::{
    AdoptionPolicy, DeletionPolicy, RegistryRef, Rotation, SecretKey, SecretKeyRef, ServiceAccountRef,
};
use super::account_status::AccountStatus;
use super::duration::ExpiresAfter;
use super::permissions::{AccessRule, Permission};
use super::{rules, schema};

/// What the robot account should be.
#[skip_serializing_none]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "harbor-robots.io",
    version = "v1alpha1",
    kind = "SystemRobotAccount",
    plural = "systemrobotaccounts",
    singular = "systemrobotaccount",
    shortname = "sra",
    category = "harbor-robots",
    status = "AccountStatus",
    derive = "PartialEq",
    doc = "A robot account of a whole Harbor: for all projects, for those whose names match, for some by name, or for Harbor's own administration. The operator makes it, keeps its credential in Secrets of type kubernetes.io/dockerconfigjson in the namespaces that are asked for, and replaces it before it expires. Whoever may create one has the power of the registry's login: give that right to administrators of the cluster only.",
    selectable = ".status.registry.name",
    validation = rules::robot_name(),
    validation = rules::robot_name_stays(),
    validation = rules::secret_name_stays(),
    validation = rules::registry_stays(),
    validation = rules::password_elsewhere()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::asks_for_something())]
#[x_kube(validation = rules::renewal_within_lifetime())]
pub struct SystemRobotAccountSpec {
    /// The ClusterHarborRegistry that says where Harbor is. Left out: the one with the annotation
    /// `harbor-robots.io/is-default: "true"`; `status.registry` shows which one that was, and it is kept. Cannot be
    /// changed later.
    #[x_kube(validation = rules::cluster_registry())]
    pub registry_ref: Option<RegistryRef>,
    /// What the robot may do in projects.
    pub projects: Option<ProjectAccess>,
    /// What the robot may do beside projects, as resource and action of Harbor's permission catalogue for the system, like
    /// `project` and `list`.
    #[schemars(length(min = 1, max = 140))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource", "action"]))]
    #[x_kube(validation = rules::pairs())]
    pub system_access: Option<Vec<AccessRule>>,
    /// Name of the robot in Harbor, without Harbor's prefix. Left out: the name of this object. Cannot be changed later.
    /// Must not end in `.b`, which is the name of the second robot during a rotation.
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Text for people, shown in Harbor. The operator adds a mark that says which account owns the robot.
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::no_mark())]
    pub description: Option<String>,
    /// `true` switches the robot off: nobody can log in with it. `false` or left out: it works.
    pub disabled: Option<bool>,
    /// Lifetime of a credential in whole days, like `30d`, or `Never`. Left out: the registry's default. The operator
    /// renews before that; see `rotation`.
    pub expires_after: Option<ExpiresAfter>,
    /// When and how the credential is replaced. What is left out comes from the registry's defaults.
    pub rotation: Option<Rotation>,
    /// A Secret in the operator's cluster resource namespace (type Opaque or kubernetes.io/basic-auth) with a password of
    /// your own choice: 8 to 128 bytes with an upper-case letter, a lower-case letter and a digit; a line end at its end is
    /// left out. A changed one is applied within the registry's `pollInterval`. Left out: Harbor makes one. Needs a
    /// registry login that Harbor lets update robots of the system: a person's; and the label
    /// `harbor-robots.io/use: password` on the Secret.
    pub password_secret_ref: Option<SecretKeyRef>,
    /// The Secrets that the operator writes.
    pub secret: Option<SystemSecretOutput>,
    /// ServiceAccounts that get the Secret in their `imagePullSecrets`, or where `use` says, in each of the Secret's
    /// namespaces. One that does not exist yet gets it when it appears.
    #[schemars(length(max = 50))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub service_accounts: Option<Vec<ServiceAccountRef>>,
    /// `Delete`: deleting this object deletes the robot and the Secrets. `Retain`: all stay, and an account of the same
    /// name takes them back. Left out: `Delete`.
    pub deletion_policy: Option<DeletionPolicy>,
    /// `Never`: a robot of that name that somebody else made is an error. `IfUnowned`: it is taken over if it carries
    /// no operator's mark and the registry login may update robots of the system. Left out: `Never`.
    pub adoption_policy: Option<AdoptionPolicy>,
    /// `true` stops the operator for this account: no change in Harbor or to the Secrets, no renewal. Deletion still
    /// works.
    pub suspend: Option<bool>,
}

/// What a system robot may do in projects. At most one of `all`, `matching` and `selected`.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_choice_of_projects())]
#[x_kube(validation = rules::except_from_something())]
pub struct ProjectAccess {
    /// In all projects, also in those to come.
    pub all: Option<ProjectSet>,
    /// In projects whose names match. They are looked for at every `pollInterval` of the registry and whenever this object
    /// is edited: a project that is created later joins, one that is deleted drops out. What several patterns give is
    /// added up.
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["pattern"]))]
    pub matching: Option<Vec<PatternAccess>>,
    /// In these projects, which have to exist.
    #[schemars(length(min = 1, max = 100))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["project"]))]
    pub selected: Option<Vec<SelectedAccess>>,
    /// Taken away from every project above. Whoever may not pull cannot push, so that goes with it. Without the names of
    /// Helm charts, which are artifacts.
    #[x_kube(validation = rules::names_no_charts_within())]
    pub except: Option<ProjectSet>,
}

/// Permissions in projects. At least one, by either field.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::names_a_permission())]
pub struct ProjectSet {
    /// By the names of Harbor's web page. `PushArtifacts` includes pulling: a system robot could not push without.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "set"))]
    pub permissions: Option<Vec<Permission>>,
    /// As resource and action of Harbor's permission catalogue for projects.
    #[schemars(length(max = 140))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource", "action"]))]
    #[x_kube(validation = rules::pairs())]
    pub access: Option<Vec<AccessRule>>,
}

/// Permissions in projects whose names match.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::names_a_permission())]
pub struct PatternAccess {
    /// The whole name of a project, in which `*` stands for any text: `team-*`. What Harbor's page finds by typing `team`
    /// is `*team*` here.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = rules::pattern())]
    pub pattern: String,
    /// By the names of Harbor's web page. `PushArtifacts` includes pulling: a system robot could not push without.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "set"))]
    pub permissions: Option<Vec<Permission>>,
    /// As resource and action of Harbor's permission catalogue for projects.
    #[schemars(length(max = 140))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource", "action"]))]
    #[x_kube(validation = rules::pairs())]
    pub access: Option<Vec<AccessRule>>,
}

/// Permissions in one project.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::names_a_permission())]
pub struct SelectedAccess {
    /// Name of the project.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = rules::project_name())]
    pub project: String,
    /// By the names of Harbor's web page. `PushArtifacts` includes pulling: a system robot could not push without.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "set"))]
    pub permissions: Option<Vec<Permission>>,
    /// As resource and action of Harbor's permission catalogue for projects.
    #[schemars(length(max = 140))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource", "action"]))]
    #[x_kube(validation = rules::pairs())]
    pub access: Option<Vec<AccessRule>>,
}

/// The Secrets that the operator writes: the first one in its cluster resource namespace, and a copy in each namespace
/// that is asked for.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemSecretOutput {
    /// Name of the Secrets. Left out: the account's name. Cannot be changed later. A Secret of that name that the operator
    /// did not make is never overwritten.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: Option<String>,
    /// Namespaces that get a copy, by name. One that does not exist yet gets it when it appears.
    #[schemars(length(max = 500), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = rules::namespace_names())]
    pub namespaces: Option<Vec<String>>,
    /// Namespaces that get a copy, by their labels; they are followed as they come, change and go. A selector without
    /// terms would mean every namespace and is refused.
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    #[x_kube(validation = rules::selects_something())]
    pub namespace_selector: Option<LabelSelector>,
    /// Labels for the Secrets, beside the operator's own.
    #[serde(default)]
    #[schemars(schema_with = "schema::labels")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations for the Secrets, beside the operator's own.
    #[serde(default)]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Further keys of the Secrets, for programs that want the credential in another form. `.dockerconfigjson` is always
    /// there.
    #[schemars(length(max = 20))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub keys: Option<Vec<SecretKey>>,
}
