//! Makes accounts and sees them become Ready.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};

use crate::objects;

/// Where the accounts are.
pub(crate) const NAMESPACE: &str = "bench";

/// Requests under way at one time while accounts are made.
const CLIENTS: usize = 16;

/// Accounts of the bench's namespace.
pub(crate) fn api(client: &kube::Client) -> Api<DynamicObject> {
    objects::accounts(client, NAMESPACE)
}

/// All system accounts.
pub(crate) fn system_api(client: &kube::Client) -> Api<DynamicObject> {
    of_the_cluster(client, "SystemRobotAccount", "systemrobotaccounts")
}

/// The registry objects of the cluster.
pub(crate) fn registries(client: &kube::Client) -> Api<DynamicObject> {
    of_the_cluster(client, "ClusterHarborRegistry", "clusterharborregistries")
}

fn of_the_cluster(client: &kube::Client, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("harbor-robots.io", "v1alpha1", kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural))
}

/// An account that may pull from a project.
pub(crate) fn account(name: &str, project: &str) -> Result<DynamicObject> {
    account_with(name, project, &json!({}))
}

/// The same with more in its spec.
pub(crate) fn account_with(name: &str, project: &str, more: &Value) -> Result<DynamicObject> {
    let mut spec = json!({"project": project, "permissions": ["PullArtifacts"]});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    Ok(serde_json::from_value(json!({
        "apiVersion": "harbor-robots.io/v1alpha1",
        "kind": "RobotAccount",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }))?)
}

/// Makes accounts, several at a time.
pub(crate) async fn create(api: &Api<DynamicObject>, accounts: Vec<DynamicObject>) -> Result<()> {
    futures::stream::iter(accounts.into_iter().map(Ok))
        .try_for_each_concurrent(CLIENTS, async |account| {
            api.create(&PostParams::default(), &account).await.context("create an account")?;
            Ok(())
        })
        .await
}

/// Makes accounts and waits until they are Ready.
pub(crate) async fn create_ready(
    api: &Api<DynamicObject>,
    accounts: Vec<DynamicObject>,
    timeout: Duration,
) -> Result<()> {
    let names: HashSet<_> = accounts.iter().map(|account| account.metadata.name.clone()).collect();
    let count = names.len();
    let fits = move |account: &DynamicObject| names.contains(&account.metadata.name) && is_ready(account);
    let watching = tokio::spawn(until(api.clone(), count, timeout, fits));
    create(api, accounts).await?;
    watching.await??;
    Ok(())
}

/// Watches until this many accounts are Ready; gives the moment at which the last of them was seen so.
pub(crate) async fn ready(api: Api<DynamicObject>, count: usize, timeout: Duration) -> Result<Instant> {
    Ok(until(api, count, timeout, is_ready).await?.last)
}

/// What happens to objects. A watch that fails is opened again.
pub(crate) fn events(api: Api<DynamicObject>) -> impl Stream<Item = Event<DynamicObject>> + Unpin {
    let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
    events.filter_map(|event| std::future::ready(event.ok())).boxed()
}

/// When accounts were first seen as wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) first: Instant,
    pub(crate) last: Instant,
}

/// Watches until this many accounts were once seen as `fits` wants them.
pub(crate) async fn until(
    api: Api<DynamicObject>,
    count: usize,
    timeout: Duration,
    fits: impl Fn(&DynamicObject) -> bool,
) -> Result<Seen> {
    let mut found = HashSet::new();
    let mut first = None;
    let mut events = events(api);
    let watching = async {
        while let Some(event) = events.next().await {
            if let Event::Apply(account) | Event::InitApply(account) = event {
                if fits(&account) {
                    first.get_or_insert_with(Instant::now);
                    found.insert(account.metadata.name);
                }
                if let Some(first) = first.filter(|_| found.len() >= count) {
                    return Ok(Seen { first, last: Instant::now() });
                }
            }
        }
        Err(anyhow!("the watch ended"))
    };
    match tokio::time::timeout(timeout, watching).await {
        Ok(result) => result,
        Err(_) => Err(anyhow!("{} of {count} accounts are as wanted after {timeout:?}", found.len())),
    }
}

/// Whether the account has a credential that works.
pub(crate) fn is_ready(account: &DynamicObject) -> bool {
    is_true(account, "Ready")
}

/// Whether this condition of the account is True.
pub(crate) fn is_true(account: &DynamicObject, kind: &str) -> bool {
    let conditions = account.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// A moment in the account's status, in milliseconds since 1970; `path` is a JSON pointer.
pub(crate) fn moment(account: &DynamicObject, path: &str) -> Option<i64> {
    let text = account.data["status"].pointer(path)?.as_str()?;
    Some(text.parse::<Timestamp>().ok()?.as_millisecond())
}
