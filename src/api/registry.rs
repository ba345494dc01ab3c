//! The kind `ClusterHarborRegistry`: where a Harbor is, how to log in, and which namespaces may ask for what; and the parts
//! that `HarborRegistry` shares.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with_macros::skip_serializing_none;

use super::account::Rotation;
use super::duration::{Delay, DurationString, ExpiresAfter};
use super::permissions::{AccessRule, Permission};
use super::registry_status::RegistryStatus;
use super::{registry_rules, rules};

/// Where the Harbor is and how the operator uses it.
#[skip_serializing_none]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "harbor-robots.io",
    version = "v1alpha1",
    kind = "ClusterHarborRegistry",
    plural = "clusterharborregistries",
    singular = "clusterharborregistry",
    shortname = "chr",
    category = "harbor-robots",
    status = "RegistryStatus",
    derive = "PartialEq",
    doc = "A Harbor registry for accounts of the whole cluster: where it is, how the operator logs in, and which namespaces may ask for what."
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterHarborRegistrySpec {
    /// Scheme, host and optionally port, like `https://registry.example.com`. `http` works only if the operator runs
    /// with `--allow-http`. May be changed when the Harbor moves;
    /// `RobotsLeftBehind` tells of robots that stay in the former one.
    #[schemars(length(min = 1, max = 300))]
    #[x_kube(validation = registry_rules::registry_url())]
    pub url: String,
    /// How the operator logs in.
    pub auth: RegistryAuth,
    /// Whose certificates are trusted. Left out: the system's certificate authorities.
    pub tls: Option<RegistryTls>,
    /// `host` or `host:port` that images are pulled from, an IPv6 address in brackets and with its port. Left out: what
    /// Harbor named first at `url`; another answer later has to be confirmed by the annotation
    /// `harbor-robots.io/confirm-host`.
    #[schemars(length(min = 1, max = 300))]
    #[x_kube(validation = registry_rules::host())]
    pub registry_host: Option<String>,
    /// Further `host` or `host:port` names that the credential is written for, like those of mirrors. Each is
    /// written with and without the port of its scheme.
    #[schemars(length(max = 20), inner(length(min = 1, max = 300)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = registry_rules::hosts())]
    pub additional_hosts: Option<Vec<String>>,
    /// How often Harbor is looked at for changes made by others, like `10m`. Longer where the rate limit asks for it.
    /// Left out: 10m.
    pub poll_interval: Option<DurationString>,
    /// How hard the operator may press this Harbor.
    pub rate_limit: Option<RateLimit>,
    /// For accounts that leave these fields out.
    pub defaults: Option<AccountDefaults>,
    /// Which namespaces may ask for what. Without an entry, nobody may ask for anything. An entry counts only when
    /// namespace and project match in that same entry.
    #[schemars(length(max = 100))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub grants: Option<Vec<Grant>>,
    /// How long an account that lost its grant keeps working, like `5m`, or `0s`. Renewals stop at once. Left out: 5m.
    pub grant_revocation_delay: Option<Delay>,
    /// Harbor's own settings for robots, written to Harbor. Needs the login of an administrator.
    pub server_settings: Option<ServerSettings>,
    /// Robots that an account of this cluster made and that no account owns any more. `Report`: count them in the
    /// status. `Delete`: delete them as well. Left out: `Report`.
    pub orphan_policy: Option<OrphanPolicy>,
    /// `true` stops the operator for every account of this registry: set it before a backup is restored and while two
    /// clusters run on the same one.
    pub suspend: Option<bool>,
}

/// How the operator logs in. Exactly one member.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = registry_rules::one_login())]
pub struct RegistryAuth {
    /// A Secret with the keys `username` and `password`: in the operator's cluster resource namespace for a
    /// ClusterHarborRegistry, in its own namespace for a HarborRegistry, where it needs the label
    /// `harbor-robots.io/use: login`.
    pub secret_ref: Option<LoginSecretRef>,
}

/// The Secret with the operator's login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LoginSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
}

/// Whose certificates are trusted. What is given replaces the system's certificate authorities.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = registry_rules::one_ca_source())]
pub struct RegistryTls {
    /// Certificates of the authorities, in PEM form.
    #[schemars(length(min = 1, max = 131_072))]
    #[x_kube(validation = registry_rules::pem())]
    pub ca_certificates: Option<String>,
    /// A ConfigMap or Secret with the certificates, in the same namespace as the login. The Secret of a HarborRegistry needs
    /// the label `harbor-robots.io/use: ca`.
    pub ca_certificates_ref: Option<CaCertificatesRef>,
}

/// What holds the certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum CaCertificatesKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// One key of a ConfigMap or Secret with certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct CaCertificatesRef {
    /// `ConfigMap` or `Secret`.
    pub kind: CaCertificatesKind,
    /// Name of that object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
    /// Key in its data, like `ca.crt`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::data_key())]
    pub key: String,
}

/// How hard the operator may press a Harbor.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Calls started per second at most. Left out: 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub requests_per_second: Option<i32>,
    /// Calls under way at one time at most. Left out: 8.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_in_flight: Option<i32>,
}

/// For accounts that leave these fields out.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::renewal_within_lifetime())]
pub struct AccountDefaults {
    /// Lifetime of a credential in whole days, like `30d`, or `Never`. Left out: 30d.
    pub expires_after: Option<ExpiresAfter>,
    /// When and how credentials are replaced.
    pub rotation: Option<Rotation>,
}

/// Whether accounts of a grant may take over robots that somebody else made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum GrantAdoption {
    /// They may not.
    Denied,
    /// They may, with `adoptionPolicy: IfUnowned`.
    Allowed,
}

/// Whether robots of a grant may outlive their accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum GrantRetention {
    /// They may not.
    Denied,
    /// They may, with `deletionPolicy: Retain`.
    Allowed,
}

/// What some namespaces may ask for in some projects.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = registry_rules::one_namespace_source())]
#[x_kube(validation = rules::names_a_permission())]
pub struct Grant {
    /// Name of the grant, which messages cite.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
    /// The namespaces, by name. Either this or `namespaceSelector`.
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = rules::namespace_names())]
    pub namespaces: Option<Vec<String>>,
    /// The namespaces, by their labels. Either this or `namespaces`. Every namespace is written as
    /// `matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]`: a selector without terms is refused.
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    #[x_kube(validation = rules::selects_something())]
    pub namespace_selector: Option<LabelSelector>,
    /// The projects: names in which `*` stands for any text and `$(namespace)` for the account's namespace. Next to the
    /// latter there must be a `.` or `_`, like `$(namespace).prod` or `$(namespace).*`.
    #[schemars(length(max = 50), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = registry_rules::project_patterns(), validation = registry_rules::project_pattern_edges())]
    pub projects: Vec<String>,
    /// The most an account may ask for, by the names of Harbor's web page, without those of Helm charts: these are
    /// artifacts. At least one pair must be given here or in `access`.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = rules::names_no_charts())]
    pub permissions: Option<Vec<Permission>>,
    /// Further resource and action pairs that an account may ask for. `*` stands for any, but never for pairs that
    /// could widen a robot's own rights, like `robot:create`: those must be written out.
    #[schemars(length(max = 140))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource", "action"]))]
    #[x_kube(validation = rules::pairs_or_star())]
    pub access: Option<Vec<AccessRule>>,
    /// The longest lifetime an account may ask for, in whole days, like `30d`, or `Never` for any. Left out: `90d`.
    pub max_expires_after: Option<ExpiresAfter>,
    /// `Allowed`: accounts may take over robots that nobody's mark is on. Left out: `Denied`.
    pub adoption: Option<GrantAdoption>,
    /// `Allowed`: accounts may have `deletionPolicy: Retain`, so that their robots live on without them until they expire.
    /// Left out: `Denied`.
    pub retention: Option<GrantRetention>,
}

/// Harbor's own settings for robots.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerSettings {
    /// The text that Harbor puts before every robot's name. Changing it renames every robot of that Harbor at once, also
    /// those of others, so it is written only with the annotation `harbor-robots.io/confirm-prefix: <the new prefix>`.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = registry_rules::robot_name_prefix())]
    pub robot_name_prefix: Option<String>,
    /// The lifetime that Harbor's web page offers for new robots, in whole days, like `30d`.
    #[schemars(length(max = 6))]
    #[x_kube(validation = registry_rules::whole_days())]
    pub robot_token_duration: Option<String>,
}

/// What happens to robots of this cluster without an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum OrphanPolicy {
    /// They are counted.
    Report,
    /// They are deleted, after two looks at least ten minutes apart.
    Delete,
}
