//! Accounts of both kinds at the API server.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::{Client, Resource as _};

use super::{Error, in_namespace, objects};
use crate::api::{Account, AccountSpec, AccountStatus, ObjectName, RobotAccount, SystemRobotAccount};
use crate::decode::Unreadable;

/// Where the API server has the account.
fn namespace(account: &Account) -> Result<ObjectName, Error> {
    ObjectName::new(account.metadata.namespace.as_deref().unwrap_or_default()).map_err(|_| Error::NotFound)
}

/// Reads an account (without a namespace: one of the system); `None` if it is gone.
///
/// # Errors
/// The API server does not answer, or the account cannot be read.
pub async fn read(
    client: &Client,
    namespace: Option<&ObjectName>,
    name: &ObjectName,
) -> Result<Option<Account>, Error> {
    Ok(match namespace {
        None => objects::read::<SystemRobotAccount>(&Api::all(client.clone()), name).await?.map(Account::from),
        Some(namespace) => {
            objects::read::<RobotAccount>(&in_namespace(client, namespace), name).await?.map(Account::from)
        }
    })
}

/// True if an account of these namespaces fits; without any: one of either kind, wherever it is.
///
/// # Errors
/// The API server does not answer, or refuses to list them.
pub async fn any(
    client: &Client,
    namespaces: &[ObjectName],
    fits: impl Fn(Result<Account, Box<Unreadable>>) -> bool,
) -> Result<bool, Error> {
    let of_projects = |account: Result<RobotAccount, _>| fits(account.map(Account::from));
    let of_the_system = |account: Result<SystemRobotAccount, _>| fits(account.map(Account::from));
    if namespaces.is_empty() {
        return Ok(objects::any(&Api::all(client.clone()), of_the_system).await?
            || objects::any(&Api::all(client.clone()), of_projects).await?);
    }
    for namespace in namespaces {
        if objects::any(&in_namespace(client, namespace), of_projects).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The path of the account's kind at the API server.
fn path(account: &Account) -> Result<String, Error> {
    Ok(match account.spec {
        AccountSpec::Project(_) => RobotAccount::url_path(&(), Some(&namespace(account)?)),
        AccountSpec::System(_) => SystemRobotAccount::url_path(&(), None),
    })
}

/// Adds a finalizer to the very account that was read.
///
/// # Errors
/// [`Error::Conflict`] if the account changed since; the API server does not answer or refuses it.
pub async fn add_finalizer(client: &Client, account: &Account, finalizer: &str) -> Result<ObjectMeta, Error> {
    objects::add_finalizer(client, &path(account)?, &account.metadata, finalizer).await
}

/// Removes a finalizer; an account that is gone is fine.
///
/// # Errors
/// [`Error::Conflict`] if the account changed since; the API server does not answer or refuses it.
pub async fn remove_finalizer(client: &Client, account: &Account, finalizer: &str) -> Result<(), Error> {
    objects::remove_finalizer(client, &path(account)?, &account.metadata, finalizer).await
}

/// Replaces the account's status, unless the account changed since it was read.
///
/// # Errors
/// [`Error::Conflict`] if it changed; the API server does not answer or refuses it.
pub async fn write_status(client: &Client, account: &Account, status: AccountStatus) -> Result<ObjectMeta, Error> {
    let (metadata, status) = (account.metadata.clone(), Some(status));
    match &account.spec {
        AccountSpec::Project(spec) => {
            let object = RobotAccount { metadata, spec: spec.clone(), status };
            objects::write_status(&in_namespace(client, &namespace(account)?), object).await
        }
        AccountSpec::System(spec) => {
            let object = SystemRobotAccount { metadata, spec: spec.clone(), status };
            objects::write_status(&Api::all(client.clone()), object).await
        }
    }
}
