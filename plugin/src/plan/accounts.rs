//! Which accounts are looked at: those that were asked about, and those whom a registry concerns.

use futures::TryStreamExt as _;
use harbor_robot_operator::api::{Account, RegistryKey};
use harbor_robot_operator::clock;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::cluster::{Cluster, Listed};
use crate::error::Error;
use crate::output::note;

/// An account as it would be.
pub(super) struct Asked {
    pub(super) account: Account,
    /// Somebody asked about it, and not only about its registry.
    pub(super) by_name: bool,
    pub(super) notes: Vec<String>,
}

impl Asked {
    pub(super) fn of(account: Account) -> Self {
        Self { account, by_name: true, notes: Vec::new() }
    }

    pub(super) fn is_same(&self, other: &Account) -> bool {
        let place =
            |account: &Account| (account.kind(), account.metadata.namespace.clone(), account.metadata.name.clone());
        place(&self.account) == place(other)
    }
}

/// As if somebody had just deleted them.
pub(super) fn delete(accounts: &mut [Asked]) {
    for asked in accounts {
        asked.account.metadata.deletion_timestamp.get_or_insert(Time(clock::now()));
    }
}

/// The other accounts of the cluster, if one of these registries may be theirs.
pub(super) async fn others(
    cluster: &Cluster,
    registries: &[RegistryKey],
    asked: &[Asked],
) -> Result<Vec<Asked>, Error> {
    if registries.is_empty() {
        return Ok(Vec::new());
    }
    let is_asked = |account: &Account| asked.iter().any(|other| other.is_same(account));
    let all: Vec<Listed<Account>> = cluster.all_accounts().try_collect().await?;
    let mut others = Vec::new();
    for listed in all {
        match listed {
            Ok(account) if !is_asked(&account) => others.push(Asked { by_name: false, ..Asked::of(account) }),
            Ok(_) => {}
            Err(object) => note(&format!("left out: {object}")),
        }
    }
    Ok(others)
}
