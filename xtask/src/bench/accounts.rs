//! Makes accounts and sees them become Ready.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use serde_json::json;

/// Where the accounts are.
pub(crate) const NAMESPACE: &str = "bench";

/// Requests under way at one time while accounts are made.
const CLIENTS: usize = 16;

/// Accounts of the bench's namespace.
pub(crate) fn api(client: &kube::Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("harbor-robots.io", "v1alpha1", "RobotAccount");
    Api::namespaced_with(client.clone(), NAMESPACE, &ApiResource::from_gvk_with_plural(&kind, "robotaccounts"))
}

/// An account that may pull from a project.
pub(crate) fn account(name: &str, project: &str) -> Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "harbor-robots.io/v1alpha1",
        "kind": "RobotAccount",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"project": project, "permissions": ["PullArtifacts"]},
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

/// Watches until this many accounts are Ready; gives the moment at which the last of them was seen so.
pub(crate) async fn ready(api: Api<DynamicObject>, count: usize, timeout: Duration) -> Result<Instant> {
    let mut ready = HashSet::new();
    let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
    let watching = async {
        while let Some(event) = events.try_next().await? {
            if let Event::Apply(account) | Event::InitApply(account) = event {
                if is_ready(&account) {
                    ready.insert(account.metadata.name);
                }
                if ready.len() >= count {
                    return Ok(Instant::now());
                }
            }
        }
        Err(anyhow!("the watch ended"))
    };
    match tokio::time::timeout(timeout, watching).await {
        Ok(result) => result,
        Err(_) => Err(anyhow!("{} of {count} accounts are Ready after {timeout:?}", ready.len())),
    }
}

fn is_ready(account: &DynamicObject) -> bool {
    let conditions = account.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
