//! Namespaces.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::{Client, Resource as _};

use super::objects::Partial;
use super::{Error, within};
use crate::api::ObjectName;

/// True if the namespace is on its way out (or gone).
///
/// # Errors
/// The API server does not answer, or refuses to get it.
pub async fn is_terminating(client: &Client, name: &ObjectName) -> Result<bool, Error> {
    let found = read(client, name).await?;
    Ok(found.is_none_or(|namespace| namespace.meta().deletion_timestamp.is_some()))
}

/// The UID of the namespace `kube-system`, which names a cluster.
///
/// # Errors
/// The API server does not answer, or refuses to get it.
pub async fn uid_of_kube_system(client: &Client) -> Result<Option<String>, Error> {
    let Ok(name) = ObjectName::new("kube-system") else { return Ok(None) };
    Ok(read(client, &name).await?.and_then(|namespace| namespace.meta().uid.clone()))
}

async fn read(client: &Client, name: &ObjectName) -> Result<Option<Partial<Namespace>>, Error> {
    within(Api::all(client.clone()).get_opt(name)).await
}
