//! Namespaces.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::{Client, Resource as _};

use super::objects::Partial;
use super::{Error, within};

/// True if the namespace is on its way out (or gone).
pub async fn is_terminating(client: &Client, name: &str) -> Result<bool, Error> {
    let found = read(client, name).await?;
    Ok(found.is_none_or(|namespace| namespace.meta().deletion_timestamp.is_some()))
}

/// The UID of a namespace: `kube-system`'s names a cluster.
pub async fn uid(client: &Client, name: &str) -> Result<Option<String>, Error> {
    Ok(read(client, name).await?.and_then(|namespace| namespace.meta().uid.clone()))
}

async fn read(client: &Client, name: &str) -> Result<Option<Partial<Namespace>>, Error> {
    within(Api::all(client.clone()).get_opt(name)).await
}
