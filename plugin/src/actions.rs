//! `refresh`, `revoke`, `suspend`, `resume`: each one patch of an account, by what the operator's API has for it.

mod wait;

use std::io::{self, Write as _};
use std::process::ExitCode;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use harbor_robot_operator::api::{Account, AccountSpec, RobotAccount, SystemRobotAccount, keys};
use harbor_robot_operator::cluster::within;
use harbor_robot_operator::{clock, decode::Lenient};
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{Api, Patch};
use serde_json::{Value, json};

use crate::cli::AccountsArgs;
use crate::cluster::{Cluster, Listed, Scope, patch_params};
use crate::error::Error;
use crate::output::{counted, note, say};
use crate::target::shown;

/// Accounts that are named one by one before anything is done.
const NAMED: usize = 20;

/// What is done to accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Replaces the credential; the former one works on for the overlap.
    Refresh,
    /// Replaces the credential and ends every older one.
    Revoke {
        /// Why; part of the token.
        reason: Option<String>,
    },
    /// Sets `spec.suspend`.
    Suspend,
    /// Takes `spec.suspend` away.
    Resume,
}

impl Action {
    /// As in `would be …`.
    fn done(&self) -> &'static str {
        match self {
            Self::Refresh => "refreshed",
            Self::Revoke { .. } => "revoked",
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
        }
    }

    /// What asks the operator for it, as a JSON merge patch. Each token is a new one.
    fn patch(&self, token: &str) -> Value {
        match self {
            Self::Refresh => json!({"metadata": {"annotations": {keys::ANNOTATION_REFRESH: token}}}),
            Self::Revoke { .. } => json!({"metadata": {"annotations": {keys::ANNOTATION_REVOKE: token}}}),
            Self::Suspend => json!({"spec": {"suspend": true}}),
            Self::Resume => json!({"spec": {"suspend": null}}),
        }
    }

    /// Why nothing would come of it now; `None` if it would.
    fn in_vain(&self, account: &Account) -> Option<String> {
        let is_of_tokens = matches!(self, Self::Refresh | Self::Revoke { .. });
        match self {
            _ if account.metadata.deletion_timestamp.is_some() => Some("is being deleted".to_owned()),
            _ if is_of_tokens && account.is_suspended() => Some("is suspended: resume it first".to_owned()),
            _ if is_of_tokens && account.disabled() == Some(&true) => {
                Some("is disabled: it has no credential that works".to_owned())
            }
            Self::Suspend if account.is_suspended() => Some("is suspended already".to_owned()),
            Self::Resume if !account.is_suspended() => Some("is not suspended".to_owned()),
            _ => None,
        }
    }

    /// A text that the account did not carry before.
    fn token(&self) -> String {
        let now = clock::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        match self {
            Self::Revoke { reason: Some(reason) } => format!("{now} {reason}"),
            _ => now.to_string(),
        }
    }
}

pub(crate) async fn run(cluster: &Cluster, action: &Action, args: &AccountsArgs) -> Result<ExitCode, Error> {
    let (accounts, unreadable) = accounts(cluster, args).await?;
    let (vain, accounts): (Vec<_>, Vec<_>) =
        accounts.into_iter().map(|account| (action.in_vain(&account), account)).partition(|(vain, _)| vain.is_some());
    for (why, account) in &vain {
        note(&format!("{} {}", shown(account), why.as_deref().unwrap_or_default()));
    }
    let accounts: Vec<Account> = accounts.into_iter().map(|(_, account)| account).collect();
    let are_named = !args.names.is_empty();
    if !are_named && !args.yes {
        return tell(action, &accounts);
    }
    let at_once = usize::from(args.at_once);
    let waits = args.wait || accounts.len() > at_once;
    let each = accounts.iter().map(|account| one(cluster, action, account, waits.then_some(args.timeout)));
    let ends: Vec<Result<(), Error>> = stream::iter(each).buffer_unordered(at_once).collect().await;
    let failed: Vec<Error> = ends.into_iter().filter_map(Result::err).collect();
    // Of those that nobody named, one that is so already is as it should be.
    let others = unreadable + if are_named { vain.len() } else { 0 };
    let (count, all) = (failed.len() + others, accounts.len() + others);
    if count == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let text = format!("{count} of {} not {}", counted(all, "account"), action.done());
    let in_time = failed.iter().all(|error| !matches!(error, Error::TimedOut(_)));
    Err(if in_time { Error::Unfinished(text) } else { Error::TimedOut(text) })
}

/// The accounts that are meant, and how many of them cannot be read; those that are named have to be there.
async fn accounts(cluster: &Cluster, args: &AccountsArgs) -> Result<(Vec<Account>, usize), Error> {
    if args.names.is_empty() {
        let scope = Scope { all_namespaces: args.all_namespaces, selector: args.selector.as_deref() };
        let listed: Vec<Listed<Account>> = cluster.robot_accounts(scope).try_collect().await?;
        let (mut accounts, mut unreadable) = (Vec::new(), 0);
        for account in listed {
            match account {
                Ok(account) => accounts.push(account),
                Err(object) => {
                    note(&format!("left out: {object}"));
                    unreadable += 1;
                }
            }
        }
        return Ok((accounts, unreadable));
    }
    let named = stream::iter(&args.names).then(|name| cluster.account(name)).try_collect().await?;
    Ok((named, 0))
}

/// What would be done to accounts that nobody named.
fn tell(action: &Action, accounts: &[Account]) -> Result<ExitCode, Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{} would be {}", counted(accounts.len(), "account"), action.done())?;
    for account in accounts.iter().take(NAMED) {
        writeln!(out, "  {}", shown(account))?;
    }
    if accounts.len() > NAMED {
        writeln!(out, "  and {} more", accounts.len() - NAMED)?;
    }
    writeln!(out, "Nothing was done. Repeat it with --yes.")?;
    Ok(ExitCode::SUCCESS)
}

/// Does it to one account, and says how that went.
async fn one(
    cluster: &Cluster,
    action: &Action,
    account: &Account,
    wait: Option<std::time::Duration>,
) -> Result<(), Error> {
    let token = action.token();
    let patched = match &account.spec {
        AccountSpec::Project(_) => {
            let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
            let api = Api::<Lenient<RobotAccount>>::namespaced(cluster.client.clone(), namespace);
            patch(&api, account, action.patch(&token)).await
        }
        AccountSpec::System(_) => {
            patch(&Api::<Lenient<SystemRobotAccount>>::all(cluster.client.clone()), account, action.patch(&token)).await
        }
    };
    let ended = match (patched, wait) {
        (Ok(()), None) => {
            say(&format!("{}: asked to be {}", shown(account), action.done()));
            Ok(())
        }
        (Ok(()), Some(timeout)) => wait::until_done(cluster, action, account, &token, timeout).await,
        (Err(error), _) => Err(error),
    };
    if let Err(error) = &ended {
        note(&format!("{}: {error}", shown(account)));
    }
    ended
}

/// The very account that was read.
async fn patch<K>(api: &Api<Lenient<K>>, account: &Account, mut change: Value) -> Result<(), Error>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned,
{
    change["metadata"]["uid"] = json!(account.metadata.uid);
    let patched = within(api.patch(account.name(), &patch_params(), &Patch::Merge(change))).await;
    patched.map(drop).map_err(|error| Error::Kubernetes("not changed".to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(spec: &Value, metadata: &Value) -> Account {
        let mut account = json!({"metadata": {"name": "ci"}, "spec": {"project": "p"}});
        for (part, more) in [("spec", spec), ("metadata", metadata)] {
            account[part].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        serde_json::from_value::<RobotAccount>(account).unwrap().into()
    }

    #[test]
    fn what_would_come_to_nothing_is_told() {
        let revoke = Action::Revoke { reason: None };
        let deleting = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        for (action, spec, metadata, vain) in [
            (&Action::Refresh, json!({}), json!({}), None),
            (&Action::Refresh, json!({"suspend": true}), json!({}), Some("resume it first")),
            (&revoke, json!({"disabled": true}), json!({}), Some("is disabled")),
            (&Action::Suspend, json!({"suspend": true}), json!({}), Some("already")),
            (&Action::Suspend, json!({"disabled": true}), json!({}), None),
            (&Action::Resume, json!({}), json!({}), Some("is not suspended")),
            (&Action::Resume, json!({"suspend": true}), json!({}), None),
            (&Action::Suspend, json!({}), deleting, Some("being deleted")),
        ] {
            let found = action.in_vain(&account(&spec, &metadata));
            assert_eq!(found.is_some(), vain.is_some(), "{action:?} {spec}");
            assert!(found.unwrap_or_default().contains(vain.unwrap_or_default()), "{action:?} {spec}");
        }
    }

    #[test]
    fn a_reason_is_part_of_the_token() {
        let token = Action::Revoke { reason: Some("in a log".to_owned()) }.token();
        assert!(token.ends_with("Z in a log"), "{token}");
        assert_eq!(Action::Refresh.token().len(), "2026-01-01T00:00:00.000Z".len());
    }
}
