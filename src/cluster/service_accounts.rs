//! Our entries in the `imagePullSecrets` and `secrets` of ServiceAccounts.
//!
//! Not server-side apply: of `imagePullSecrets`, which is atomic, one manager would own the whole. We read, then add or remove
//! our one entry in a write that is conditional on the version read; nobody else's entry is moved.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource as _};
use serde_json::{Value, json};

use super::objects::{MANAGER, Partial, Version, other_manager};
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

/// What is to become of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It is to be there.
    There,
    /// Nothing: whether it is there is asked.
    AsIs,
    /// It is not to be there.
    Gone,
}

/// True if a list of the ServiceAccount names the Secret.
pub fn lists(account: &ServiceAccount, list: SecretList, secret: &str) -> bool {
    match list {
        SecretList::ImagePullSecrets => account.image_pull_secrets.iter().flatten().any(|listed| listed.name == secret),
        SecretList::Secrets => account.secrets.iter().flatten().any(|listed| listed.name.as_deref() == Some(secret)),
    }
}

/// Makes sure that the entry for a Secret is as wished.
///
/// # Errors
/// [`Error::Conflict`] if others keep changing it; the API server does not answer or refuses it.
pub async fn keep(
    client: &Client,
    namespace: &ObjectName,
    entry: &SecretEntry,
    secret: &str,
    wish: Wish,
) -> Result<Found, Error> {
    let api: Api<Lenient<ServiceAccount>> = in_namespace(client, namespace);
    let metadata: Api<Partial<ServiceAccount>> = in_namespace(client, namespace);
    let name = &entry.service_account;
    for _ in 0..ATTEMPTS {
        let Some(account) = within(api.get_opt(name)).await? else { return Ok(Found::Missing) };
        let account = account.into_result()?;
        let from = Version::of(&account.metadata);
        let mut list: Vec<Value> = match entry.list {
            SecretList::ImagePullSecrets => {
                account.image_pull_secrets.iter().flatten().map(|item| json!(item)).collect()
            }
            SecretList::Secrets => account.secrets.iter().flatten().map(|item| json!(item)).collect(),
        };
        match (wish, lists(&account, entry.list, secret)) {
            (Wish::There, false) => list.push(json!({"name": secret})),
            (Wish::Gone, true) => list.retain(|item| item["name"] != secret),
            (Wish::AsIs, false) => {
                let by = other_manager(&account.metadata).map(ToOwned::to_owned);
                return Ok(Found::TakenOut { version: from, by });
            }
            _ => return Ok(Found::Unchanged(from)),
        }
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
