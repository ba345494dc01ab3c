//! Whose a robot is, by its mark, by what this cluster's accounts say, and by the login in use.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use harbor_robot_operator::api::{Account, RegistryObject};
use harbor_robot_operator::cluster;
use harbor_robot_operator::domain::mark;
use harbor_robot_operator::domain::robot::Robot;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::note;

/// Who stands behind a robot, those with nobody first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum State {
    /// It carries the mark of an account of this cluster that is not there any more.
    Orphan,
    /// Its account is there, and neither publishes it nor lets it run out: a rotation that was cut off, or one of two clusters
    /// with one name.
    Double,
    /// An account left it by `deletionPolicy: Retain`.
    Retained,
    /// It carries no mark.
    Unmanaged,
    /// It carries the mark of another cluster.
    Elsewhere,
    /// The registry itself logs in with it.
    Login,
    /// Its account publishes it, or lets it run out.
    Managed,
}

impl State {
    /// Somebody renews it.
    pub(super) fn is_managed(self) -> bool {
        matches!(self, Self::Managed | Self::Elsewhere | Self::Login)
    }
}

/// Whose one robot is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Whose {
    pub(super) state: State,
    /// The name of the cluster in its mark.
    pub(super) cluster: Option<String>,
    /// The account in its mark.
    pub(super) account: Option<String>,
}

/// What is known of this cluster.
pub(super) struct Known {
    /// Its name in marks.
    cluster: Option<String>,
    /// The ids of robots that each account names, by the account's UID; none if the accounts may not be listed.
    accounts: Option<BTreeMap<String, Vec<i64>>>,
    /// The registry's login.
    login: Option<String>,
}

impl Known {
    pub(super) async fn read(cluster: &Cluster, registry: Option<&RegistryObject>) -> Result<Self, Error> {
        let status = registry.and_then(|registry| registry.status.as_ref());
        let name = match status.and_then(|status| status.cluster_name.clone()) {
            Some(name) => Some(name),
            // The name that an operator without --cluster-name gives this cluster.
            None => cluster::namespaces::uid_of_kube_system(&cluster.client).await.ok().flatten(),
        };
        let accounts = match accounts(cluster).await {
            Ok(accounts) => Some(accounts),
            Err(Error::Kubernetes(what, error @ cluster::Error::Refused(_))) => {
                note(&format!(
                    "warning: {what}, so robots of this cluster without an account are not told apart: {error}"
                ));
                None
            }
            Err(error) => return Err(error),
        };
        let login = status.and_then(|status| status.login.as_ref()).map(|login| login.name.clone());
        Ok(Self { cluster: name, accounts, login })
    }

    pub(super) fn whose(&self, robot: &Robot) -> Whose {
        let Some(mark) = mark::parse(&robot.description) else {
            let is_login = self.login.as_ref() == Some(&robot.name);
            let state = if is_login { State::Login } else { State::Unmanaged };
            return Whose { state, cluster: None, account: None };
        };
        let account = match mark.namespace {
            "" => format!("sra/{}", mark.name),
            namespace => format!("{namespace}/{}", mark.name),
        };
        let is_here = self.cluster.as_deref().is_none_or(|cluster| cluster == mark.cluster);
        let named = self.accounts.as_ref().map(|accounts| accounts.get(mark.uid));
        let state = match named {
            _ if mark.retained => State::Retained,
            _ if !is_here => State::Elsewhere,
            None => State::Managed,
            // Without the cluster's name an unknown account may be one of another cluster.
            Some(None) if self.cluster.is_none() => State::Elsewhere,
            Some(None) => State::Orphan,
            Some(Some(robots)) if robots.contains(&robot.id) => State::Managed,
            Some(Some(_)) => State::Double,
        };
        Whose { state, cluster: Some(mark.cluster.to_owned()), account: Some(account) }
    }
}

/// The robots that each account names.
async fn accounts(cluster: &Cluster) -> Result<BTreeMap<String, Vec<i64>>, Error> {
    let robots = |account: Account| {
        let status = account.status.clone().unwrap_or_default();
        let current = status.robot.map(|robot| robot.id);
        let robots = current.into_iter().chain(status.previous.map(|robot| robot.id)).collect();
        (account.metadata.uid.unwrap_or_default(), robots)
    };
    let readable = |listed: crate::cluster::Listed<Account>| {
        let listed = listed.inspect_err(|unreadable| note(&format!("warning: left out: {unreadable}")));
        std::future::ready(Ok(listed.ok().map(robots)))
    };
    cluster.all_accounts().try_filter_map(readable).try_collect().await
}
