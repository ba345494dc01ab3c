//! What the flags mean to the controllers.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use kube::Client;

use super::Error;
use crate::cli::RunArgs;
use crate::cluster::namespaces;
use crate::controllers::{Settings, Tenants};

/// The settings that flags stand for. A cluster whose name is not among them is asked for it.
pub(super) async fn of(args: &RunArgs, client: &Client, api_server: Option<IpAddr>) -> Result<Settings, Error> {
    let cluster_name = match &args.cluster_name {
        Some(name) => name.clone(),
        None => namespaces::uid_of_kube_system(client)
            .await
            .map_err(|error| {
                Error::Start(format!(
                    "the UID of the namespace kube-system, which names the cluster in each robot's mark, cannot be read: \
                     {error}. Set --cluster-name to a name that no other cluster with robots in the same Harbor has, or let \
                     the operator get that namespace"
                ))
            })?
            .ok_or_else(|| Error::Start("there is no namespace kube-system; set --cluster-name".to_owned()))?,
    };
    Ok(Settings {
        resource_namespace: args.cluster_resource_namespace.clone(),
        cluster_name,
        namespaces: args.namespaces.clone(),
        cluster_registries: args.cluster_registries,
        registry_selector: args.registry_selector.clone(),
        watch_secrets: args.watch_secrets,
        allow_http: args.allow_http,
        tenants: Tenants {
            private_hosts: args.private_registry_hosts.clone(),
            denied: args.denied_cidrs.iter().copied().chain(api_server.map(IpNet::from)).collect(),
            poll_interval: args.tenant_poll_interval,
            requests_per_second: args.tenant_requests_per_second,
            max_in_flight: usize::from(args.tenant_max_in_flight),
            registries: usize::from(args.tenant_registries),
        },
        orphan_after: Duration::from_secs(args.orphan_after),
        patrol_every: Duration::from_secs(args.patrol_every),
        abandon_after: Duration::from_secs(args.abandon_after),
        settle_after: Duration::from_secs(args.settle_after),
        concurrency: usize::from(args.concurrency),
    })
}
