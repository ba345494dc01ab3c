//! Our entry in the `imagePullSecrets` of ServiceAccounts.
//!
//! Not server-side apply: the list is atomic, one manager would own it whole. We read, then add or remove our one entry
//! in a write that is conditional on the version read; nobody else's entry is moved.

use k8s_openapi::api::core::v1::{LocalObjectReference, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource as _};
use serde_json::json;

use super::objects::{Partial, Version, other_manager};
use super::secrets::MANAGER;
use super::{Error, in_namespace, within};
use crate::api::ObjectName;
use crate::decode::Lenient;

/// What became of one ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It was as wanted, in this version.
    Unchanged(Version),
    /// It was changed.
    Changed {
        /// The version before.
        from: Version,
        /// The version now.
        to: Version,
    },
    /// There is no such ServiceAccount; it may come.
    Missing,
    /// The entry is not there, and nothing was written.
    TakenOut {
        /// In this version.
        version: Version,
        /// The last field manager besides us.
        by: Option<String>,
    },
}

/// Attempts against a ServiceAccount that others change at the same time.
const ATTEMPTS: usize = 5;

/// Whether the ServiceAccount lists the Secret.
pub async fn look(client: &Client, namespace: &ObjectName, name: &ObjectName, secret: &str) -> Result<Entry, Error> {
    add(client, namespace, name, secret, true).await
}

/// Makes sure that the ServiceAccount lists the Secret. One that was `served` before and does not is left as it is.
pub async fn add(
    client: &Client,
    namespace: &ObjectName,
    name: &ObjectName,
    secret: &str,
    served: bool,
) -> Result<Entry, Error> {
    change(client, namespace, name, |entries| {
        if entries.iter().any(|entry| entry.name == secret) {
            Err(|meta: &ObjectMeta| Entry::Unchanged(Version::of(meta)))
        } else if served {
            Err(|meta: &ObjectMeta| Entry::TakenOut {
                version: Version::of(meta),
                by: other_manager(meta).map(ToOwned::to_owned),
            })
        } else {
            Ok(entries.iter().cloned().chain([LocalObjectReference { name: secret.to_owned() }]).collect())
        }
    })
    .await
}

/// Makes sure that the ServiceAccount does not list the Secret.
pub async fn remove(client: &Client, namespace: &ObjectName, name: &ObjectName, secret: &str) -> Result<Entry, Error> {
    change(client, namespace, name, |entries| {
        if entries.iter().any(|entry| entry.name == secret) {
            Ok(entries.iter().filter(|entry| entry.name != secret).cloned().collect())
        } else {
            Err(|meta: &ObjectMeta| Entry::Unchanged(Version::of(meta)))
        }
    })
    .await
}

/// Writes the list that `next` makes of the present one, unless it answers what to say instead.
async fn change(
    client: &Client,
    namespace: &ObjectName,
    name: &ObjectName,
    next: impl Fn(&[LocalObjectReference]) -> Result<Vec<LocalObjectReference>, fn(&ObjectMeta) -> Entry>,
) -> Result<Entry, Error> {
    let api: Api<Lenient<ServiceAccount>> = in_namespace(client, namespace);
    let metadata: Api<Partial<ServiceAccount>> = in_namespace(client, namespace);
    for _ in 0..ATTEMPTS {
        let Some(account) = within(api.get_opt(name)).await? else { return Ok(Entry::Missing) };
        let account = account.into_result()?;
        let from = Version::of(&account.metadata);
        let list = match next(account.image_pull_secrets.as_deref().unwrap_or_default()) {
            Ok(list) => list,
            Err(entry) => return Ok(entry(&account.metadata)),
        };
        // The resourceVersion in a merge patch makes it conditional.
        let patch = json!({
            "metadata": {"resourceVersion": account.metadata.resource_version},
            "imagePullSecrets": list,
        });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match within(metadata.patch(name, &params, &Patch::Merge(&patch))).await {
            Ok(changed) => return Ok(Entry::Changed { from, to: Version::of(changed.meta()) }),
            Err(Error::NotFound) => return Ok(Entry::Missing),
            Err(Error::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict)
}
