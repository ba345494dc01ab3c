//! What accounts depend on: registries, with those of the manifests in place of what there is, and namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use harbor_robot_operator::api::{RegistryKey, RegistryObject};
use harbor_robot_operator::cluster::{self, namespaces, registries};
use harbor_robot_operator::controllers::dry_run::DryRun;
use harbor_robot_operator::controllers::index::Namespace;
use harbor_robot_operator::controllers::{Settings, Tenants};

use super::PlanArgs;
use super::manifests::Manifests;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::note;

/// What the API server writes on each namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Registries that are asked together.
const AT_ONCE: usize = 4;

/// What the plans of accounts are made with.
pub(super) struct Surroundings {
    pub(super) dry_run: DryRun,
    /// Registries that are not asked, since whoever wrote a manifest may want a login that is not his.
    pub(super) distrusted: BTreeSet<RegistryKey>,
    /// Whoever asks may list them.
    pub(super) knows_namespaces: bool,
}

impl Surroundings {
    pub(super) async fn find(cluster: &Cluster, args: &PlanArgs, manifests: &Manifests) -> Result<Self, Error> {
        let mut known: BTreeMap<RegistryKey, RegistryObject> = BTreeMap::new();
        for registry in of_the_cluster(cluster).await? {
            known.extend(registry.key().ok().map(|key| (key, registry)));
        }
        let told = known.values().find_map(|registry| registry.status.as_ref()?.cluster_name.clone());
        let name = cluster_name(cluster, args.cluster_name.clone().or(told)).await?;
        let dry_run = DryRun::new(cluster.client.clone(), settings(args, name));
        let wished = manifests.registries.iter().filter_map(|registry| Some((registry.key().ok()?, registry.clone())));
        known.extend(wished.clone());
        for (key, registry) in &known {
            dry_run.see_registry(key, registry.clone());
        }
        let of_accounts = manifests.accounts.iter().filter_map(|asked| dry_run.registry_of(&asked.account).ok());
        // Those of other accounts are nobody's question.
        let wanted: BTreeSet<RegistryKey> = of_accounts.chain(wished.map(|(key, _)| key)).collect();
        for key in wanted.iter().filter(|key| !known.contains_key(*key)) {
            let what = || format!("cannot read registry {key}");
            let found =
                registries::read(&cluster.client, key).await.map_err(|error| Error::Kubernetes(what(), error))?;
            // One that is not there is told by its accounts.
            if let Some(registry) = found {
                dry_run.see_registry(key, registry);
            }
        }
        let knows_namespaces = see_namespaces(cluster, &dry_run, manifests).await;
        let distrusted = if args.trust_urls { BTreeSet::new() } else { manifests.elsewhere.clone() };
        stream::iter(wanted.difference(&distrusted)).for_each_concurrent(AT_ONCE, |key| dry_run.log_in(key)).await;
        Ok(Self { dry_run, distrusted, knows_namespaces })
    }
}

/// The registries of the cluster: which one is the default depends on all of them.
async fn of_the_cluster(cluster: &Cluster) -> Result<Vec<RegistryObject>, Error> {
    let told = |object| note(&format!("left out: {object}"));
    match cluster.registries().await {
        Ok(found) => Ok(found.into_iter().filter_map(|listed| listed.map_err(told).ok()).collect()),
        Err(error @ cluster::Error::Refused(_)) => {
            note(&format!("warning: which registry is the default is not known: {error}"));
            Ok(Vec::new())
        }
        Err(error) => Err(Error::Kubernetes("cannot list ClusterHarborRegistries".to_owned(), error)),
    }
}

/// The name of this cluster in marks: as the operator says it, or as one without --cluster-name calls it.
async fn cluster_name(cluster: &Cluster, told: Option<String>) -> Result<String, Error> {
    if let Some(name) = told {
        return Ok(name);
    }
    let what = || "no registry says what this cluster is called, and the UID of kube-system cannot be read".to_owned();
    let uid = namespaces::uid_of_kube_system(&cluster.client).await;
    Ok(uid.map_err(|error| Error::Kubernetes(what(), error))?.unwrap_or_default())
}

/// True if they could be listed. Labels of a manifest are added to those that a namespace has.
async fn see_namespaces(cluster: &Cluster, dry_run: &DryRun, manifests: &Manifests) -> bool {
    let mut all: BTreeMap<String, Namespace> = BTreeMap::new();
    let listed = cluster.namespaces().await;
    let knows = listed.is_ok();
    match listed {
        Ok(found) => {
            for metadata in found {
                let (labels, terminating) =
                    (metadata.labels.unwrap_or_default(), metadata.deletion_timestamp.is_some());
                all.insert(metadata.name.unwrap_or_default(), Namespace { labels, terminating });
            }
        }
        Err(error) => note(&format!(
            "warning: namespaces are taken for such without labels, and copies of Secrets are not told: {error}"
        )),
    }
    for (name, namespace) in &manifests.namespaces {
        let seen = all.entry(name.clone()).or_default();
        seen.labels.extend(namespace.labels.clone());
        seen.labels.insert(NAME_LABEL.to_owned(), name.clone());
    }
    for (name, namespace) in &all {
        dry_run.see_namespace(name, namespace);
    }
    knows
}

/// What an operator is usually started with.
fn settings(args: &PlanArgs, cluster_name: String) -> Settings {
    Settings {
        resource_namespace: args.cluster_resource_namespace.clone(),
        cluster_name,
        namespaces: Vec::new(),
        cluster_registries: true,
        registry_selector: None,
        watch_secrets: true,
        allow_http: args.allow_http,
        tenants: Tenants {
            private_hosts: args.private_registry_hosts.clone(),
            denied: Vec::new(),
            poll_interval: Duration::from_mins(1),
            requests_per_second: 10,
            max_in_flight: 8,
            registries: usize::MAX,
        },
        orphan_after: Duration::from_mins(10),
        patrol_every: Duration::from_hours(6),
        abandon_after: Duration::from_mins(10),
        settle_after: Duration::ZERO,
        concurrency: AT_ONCE,
    }
}
