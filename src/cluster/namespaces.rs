//! Namespaces.

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::Api;

use super::{Error, within};
use crate::api::ObjectName;

/// True if the namespace is on its way out (or gone).
pub async fn is_terminating(client: &Client, name: &ObjectName) -> Result<bool, Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = within(api.get_metadata_opt(name)).await?;
    Ok(namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()))
}

/// The UID of the namespace `kube-system`, which names a cluster.
pub async fn uid_of_kube_system(client: &Client) -> Result<Option<String>, Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    Ok(within(api.get_metadata_opt("kube-system")).await?.and_then(|namespace| namespace.metadata.uid))
}
