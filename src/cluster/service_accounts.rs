//! Our entries in the `imagePullSecrets` and `secrets` of ServiceAccounts.
//!
//! Not server-side apply: of `imagePullSecrets`, which is atomic, one manager would own the whole. We read, then add or remove
//! our one entry in a write that is conditional on the version read; nobody else's entry is moved.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource as _};
use serde_json::{Value, json};

use super::objects::MANAGER;
use super::objects::{Partial, Version, other_manager};
use super::{Error, in_namespace, within};
use crate::api::ObjectName;
use crate::decode::Lenient;
use crate::domain::secret_entries::{SecretEntry, SecretList};

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
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

/// Whether the entry is there.
///
/// # Errors
/// The API server does not answer, or the ServiceAccount cannot be read.
pub async fn find(client: &Client, namespace: &ObjectName, entry: &SecretEntry, secret: &str) -> Result<Found, Error> {
    add(client, namespace, entry, secret, true).await
}

/// Makes sure that the entry is there. One that was `served` before and is not there is left out.
///
/// # Errors
/// [`Error::Conflict`] if others keep changing it; the API server does not answer or refuses it.
pub async fn add(
    client: &Client,
    namespace: &ObjectName,
    entry: &SecretEntry,
    secret: &str,
    served: bool,
) -> Result<Found, Error> {
    change(client, namespace, entry, |listed| {
        if listed.iter().any(|item| names(item, secret)) {
            Err(|meta: &ObjectMeta| Found::Unchanged(Version::of(meta)))
        } else if served {
            Err(|meta: &ObjectMeta| Found::TakenOut {
                version: Version::of(meta),
                by: other_manager(meta).map(ToOwned::to_owned),
            })
        } else {
            Ok(listed.iter().cloned().chain([json!({"name": secret})]).collect())
        }
    })
    .await
}

/// Makes sure that the entry is not there.
///
/// # Errors
/// As of [`add`].
pub async fn remove(
    client: &Client,
    namespace: &ObjectName,
    entry: &SecretEntry,
    secret: &str,
) -> Result<Found, Error> {
    change(client, namespace, entry, |listed| {
        if listed.iter().any(|item| names(item, secret)) {
            Ok(listed.iter().filter(|item| !names(item, secret)).cloned().collect())
        } else {
            Err(|meta: &ObjectMeta| Found::Unchanged(Version::of(meta)))
        }
    })
    .await
}

fn names(item: &Value, secret: &str) -> bool {
    item.get("name").and_then(Value::as_str) == Some(secret)
}

/// True if a list of the ServiceAccount names the Secret.
pub fn lists(account: &ServiceAccount, list: SecretList, secret: &str) -> bool {
    match list {
        SecretList::ImagePullSecrets => account.image_pull_secrets.iter().flatten().any(|listed| listed.name == secret),
        SecretList::Secrets => account.secrets.iter().flatten().any(|listed| listed.name.as_deref() == Some(secret)),
    }
}

/// Writes the list that `next` makes of the present one, unless it answers what to say instead.
async fn change(
    client: &Client,
    namespace: &ObjectName,
    entry: &SecretEntry,
    next: impl Fn(&[Value]) -> Result<Vec<Value>, fn(&ObjectMeta) -> Found>,
) -> Result<Found, Error> {
    let api: Api<Lenient<ServiceAccount>> = in_namespace(client, namespace);
    let metadata: Api<Partial<ServiceAccount>> = in_namespace(client, namespace);
    let name = &entry.service_account;
    for _ in 0..ATTEMPTS {
        let Some(account) = within(api.get_opt(name)).await? else { return Ok(Found::Missing) };
        let account = account.into_result()?;
        let from = Version::of(&account.metadata);
        let listed: Vec<Value> = match entry.list {
            SecretList::ImagePullSecrets => {
                account.image_pull_secrets.iter().flatten().map(|item| json!(item)).collect()
            }
            SecretList::Secrets => account.secrets.iter().flatten().map(|item| json!(item)).collect(),
        };
        let list = match next(&listed) {
            Ok(list) => list,
            Err(found) => return Ok(found(&account.metadata)),
        };
        // The resourceVersion in a merge patch makes it conditional.
        let mut patch = json!({"metadata": {"resourceVersion": account.metadata.resource_version}});
        patch[entry.list.to_string()] = list.into();
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match within(metadata.patch(name, &params, &Patch::Merge(&patch))).await {
            Ok(changed) => return Ok(Found::Changed { from, to: Version::of(changed.meta()) }),
            Err(Error::NotFound) => return Ok(Found::Missing),
            Err(Error::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict)
}
