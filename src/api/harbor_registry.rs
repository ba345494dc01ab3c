//! The kind `HarborRegistry`: a Harbor for the accounts of one namespace, whose login the namespace has itself.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use serde_with_macros::skip_serializing_none;

use super::duration::DurationString;
use super::registry::{AccountDefaults, ClusterHarborRegistrySpec, RateLimit, RegistryAuth, RegistryTls};
use super::registry_rules;
use super::registry_status::RegistryStatus;

/// Where the Harbor is and how the operator uses it.
#[skip_serializing_none]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "harbor-robots.io",
    version = "v1alpha1",
    kind = "HarborRegistry",
    plural = "harborregistries",
    singular = "harborregistry",
    shortname = "hreg",
    category = "harbor-robots",
    namespaced,
    status = "RegistryStatus",
    derive = "PartialEq",
    doc = "A Harbor registry for the accounts of this namespace: where it is and how the operator logs in, with a login of the namespace's own. Whoever has that login may ask for whatever it may do, so there are no grants."
)]
#[serde(rename_all = "camelCase")]
pub struct HarborRegistrySpec {
    /// Scheme, host and optionally port, like `https://registry.example.com`. `http` works only if the operator runs
    /// with `--allow-http`, and addresses that are not on the internet only if it was told so by
    /// `--private-registry-hosts`. May be changed when the Harbor moves;
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
    /// How often Harbor is looked at for changes made by others, like `10m`. Longer where the rate limit asks for it, and
    /// not shorter than the operator allows (1m, unless it was started otherwise). Left out: 10m.
    pub poll_interval: Option<DurationString>,
    /// How hard the operator may press this Harbor; not harder than it allows (10 calls per second, unless it was started
    /// otherwise).
    pub rate_limit: Option<RateLimit>,
    /// For accounts that leave these fields out.
    pub defaults: Option<AccountDefaults>,
    /// `true` stops the operator for every account of this registry: set it before a backup is restored and while two
    /// clusters run on the same one.
    pub suspend: Option<bool>,
}

/// A conversion that keeps every field of a `HarborRegistry`.
macro_rules! keep_shared {
    ($from:ident => $to:ident $(, ..$rest:expr)?) => {
        impl From<$from> for $to {
            fn from(spec: $from) -> Self {
                Self {
                    url: spec.url,
                    auth: spec.auth,
                    tls: spec.tls,
                    registry_host: spec.registry_host,
                    additional_hosts: spec.additional_hosts,
                    poll_interval: spec.poll_interval,
                    rate_limit: spec.rate_limit,
                    defaults: spec.defaults,
                    suspend: spec.suspend,
                    $(..$rest)?
                }
            }
        }
    };
}

keep_shared!(HarborRegistrySpec => ClusterHarborRegistrySpec, ..Self::default());
// For writing an object back; what only a cluster's registry has is dropped.
keep_shared!(ClusterHarborRegistrySpec => HarborRegistrySpec);
