//! Our entry in the `imagePullSecrets` of ServiceAccounts.
//!
//! Not server-side apply: the list is atomic, one manager would own it whole. We read, then add or remove our one entry
//! in a write that is conditional on the version read; nobody else's entry is moved.

use k8s_openapi::api::core::v1::{LocalObjectReference, ServiceAccount};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource as _};
use serde_json::json;

use super::objects::{Partial, Version};
use super::secrets::MANAGER;
use super::{Error, within};
use crate::decode::Lenient;

/// What became of one ServiceAccount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Our entry is not there although it was served before; in this version.
    TakenOut(Version),
}

/// Attempts against a ServiceAccount that others change at the same time.
const ATTEMPTS: usize = 5;

/// Makes sure that the ServiceAccount lists the Secret. One that was `served` before and does not is left as it is.
pub async fn add(client: &Client, namespace: &str, name: &str, secret: &str, served: bool) -> Result<Entry, Error> {
    change(client, namespace, name, |entries| {
        if entries.iter().any(|entry| entry.name == secret) {
            Err(Entry::Unchanged)
        } else if served {
            Err(Entry::TakenOut)
        } else {
            Ok(entries.iter().cloned().chain([LocalObjectReference { name: secret.to_owned() }]).collect())
        }
    })
    .await
}

/// Makes sure that the ServiceAccount does not list the Secret.
pub async fn remove(client: &Client, namespace: &str, name: &str, secret: &str) -> Result<Entry, Error> {
    change(client, namespace, name, |entries| {
        if entries.iter().any(|entry| entry.name == secret) {
            Ok(entries.iter().filter(|entry| entry.name != secret).cloned().collect())
        } else {
            Err(Entry::Unchanged)
        }
    })
    .await
}

/// Writes the list that `next` makes of the present one, unless it answers what to say instead.
async fn change(
    client: &Client,
    namespace: &str,
    name: &str,
    next: impl Fn(&[LocalObjectReference]) -> Result<Vec<LocalObjectReference>, fn(Version) -> Entry>,
) -> Result<Entry, Error> {
    let api: Api<Lenient<ServiceAccount>> = Api::namespaced(client.clone(), namespace);
    let metadata: Api<Partial<ServiceAccount>> = Api::namespaced(client.clone(), namespace);
    for _ in 0..ATTEMPTS {
        let Some(account) = within(api.get_opt(name)).await? else { return Ok(Entry::Missing) };
        let account = account.into_result()?;
        let from = Version::of(&account.metadata);
        let list = match next(account.image_pull_secrets.as_deref().unwrap_or_default()) {
            Ok(list) => list,
            Err(entry) => return Ok(entry(from)),
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
