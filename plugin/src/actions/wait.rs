//! Waits until the operator has done to an account what was asked for, and says what it sees meanwhile.

use std::time::Duration;

use harbor_robot_operator::api::{Account, ObjectName, conditions};
use harbor_robot_operator::clock;
use harbor_robot_operator::cluster;
use tokio::time::{Instant, sleep};

use super::Action;
use crate::attention::{condition, is_observed};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::{note, say};
use crate::target::shown;
use crate::times::moment;

/// Between two looks at an account.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn until_done(
    cluster: &Cluster,
    action: &Action,
    before: &Account,
    token: &str,
    timeout: Duration,
) -> Result<(), Error> {
    let name = shown(before);
    let until = Instant::now() + timeout;
    let mut said = String::new();
    loop {
        match read(cluster, before).await {
            Ok(account) if is_done(action, &account, token) => {
                say(&format!("{name}: {}", outcome(action, before, &account)));
                return Ok(());
            }
            Ok(account) => tell(&name, &mut said, stand(&account)),
            Err(error @ (cluster::Error::Failed(_) | cluster::Error::Conflict)) => {
                tell(&name, &mut said, error.to_string());
            }
            Err(error) => return Err(Error::Kubernetes("cannot be looked at".to_owned(), error)),
        }
        if Instant::now() >= until {
            let text =
                format!("not {} after {}s; it goes on without this command. {said}", action.done(), timeout.as_secs());
            return Err(Error::TimedOut(text));
        }
        sleep(LOOK).await;
    }
}

/// The very account; one that was deleted and made again is another one.
async fn read(cluster: &Cluster, before: &Account) -> Result<Account, cluster::Error> {
    let named = |text: &str| ObjectName::new(text).map_err(|error| cluster::Error::Failed(error.to_string()));
    let namespace = before.metadata.namespace.as_deref().map(named).transpose()?;
    let found = cluster::accounts::read(&cluster.client, namespace.as_ref(), &named(before.name())?).await?;
    found.filter(|found| found.metadata.uid == before.metadata.uid).ok_or(cluster::Error::NotFound)
}

fn tell(name: &str, said: &mut String, now: String) {
    if *said != now {
        note(&format!("{name}: {now}"));
        *said = now;
    }
}

fn has(account: &Account, kind: &str, status: &str) -> bool {
    condition(account, kind).is_some_and(|found| found.status == status)
}

/// True if the operator has seen what was asked for and is through with it.
fn is_done(action: &Action, account: &Account, token: &str) -> bool {
    let Some(status) = &account.status else { return false };
    let is_ready = || has(account, conditions::READY, "True");
    is_observed(account)
        && match action {
            Action::Refresh => status.handled_refresh.as_deref() == Some(token) && is_ready(),
            Action::Revoke { .. } => {
                status.handled_revoke.as_deref() == Some(token) && is_ready() && status.previous.is_none()
            }
            Action::Suspend => condition(account, conditions::SYNCED).is_some_and(|found| found.reason == "Suspended"),
            Action::Resume => condition(account, conditions::SYNCED).is_some_and(|found| found.reason != "Suspended"),
        }
}

/// What the account says of itself.
fn stand(account: &Account) -> String {
    let said = [conditions::SYNCED, conditions::READY].map(|kind| condition(account, kind));
    let not = said.into_iter().flatten().find(|found| found.status != "True");
    not.map_or_else(
        || "waiting for the operator".to_owned(),
        |found| format!("{}={} {}: {}", found.type_, found.status, found.reason, found.message),
    )
}

fn outcome(action: &Action, before: &Account, after: &Account) -> String {
    let robot = |account: &Account| {
        account.status.as_ref().and_then(|status| status.robot.as_ref()).map(|robot| robot.name.clone())
    };
    let (former, now) = (robot(before).unwrap_or_default(), robot(after).unwrap_or_default());
    let previous = after.status.as_ref().and_then(|status| status.previous.as_ref());
    match action {
        Action::Suspend => "suspended: nothing is renewed or repaired until it is resumed".to_owned(),
        Action::Resume => "resumed".to_owned(),
        Action::Revoke { .. } => format!("the Secret holds {now}; what {former} logged in with before is refused"),
        Action::Refresh => match previous {
            Some(previous) => format!(
                "the Secret holds {now}; {} works until {}",
                previous.name,
                moment(previous.revocation_time, clock::now().into())
            ),
            None => format!("the Secret holds {now} with a new secret"),
        },
    }
}
