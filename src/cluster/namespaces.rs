//! Namespaces.

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::Api;

use super::{Error, within};

/// True if the namespace is on its way out (or gone).
pub async fn is_terminating(client: &Client, name: &str) -> Result<bool, Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = within(api.get_metadata_opt(name)).await?;
    Ok(namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()))
}

/// The UID of a namespace: `kube-system`'s names a cluster.
pub async fn uid(client: &Client, name: &str) -> Result<Option<String>, Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    Ok(within(api.get_metadata_opt(name)).await?.and_then(|namespace| namespace.metadata.uid))
}
