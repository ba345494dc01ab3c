//! PREFIX: what another name prefix of Harbor costs, which renames every robot at one moment.
//!
//! From then on the login of each Secret is refused until the operator has rewritten it. The time of the change is when
//! Harbor was asked for it; the bench sees each Secret by a watch.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{Stream, StreamExt};
use harbor_robot_world::{Call, note};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::runtime::watcher::Event;
use serde_json::json;

use super::clock::Clock;
use super::due::{LIST, quiet, swept};
use super::memory::{self, megabytes, number, served};
use super::report::{Report, percentile};
use super::{accounts, counts, operator, register_with, stage, terminate};
use crate::objects::{credential, secrets};

const PER_PROJECT: usize = 5;
const PREFIX: &str = "renamed_";
const PAGE: usize = 100;
/// Secrets whose credential is tried in the end.
const SAMPLES: usize = 20;
const TIMEOUT: Duration = Duration::from_mins(30);
/// No call has come for so long: longer than a sweep pauses.
const QUIET: Duration = Duration::from_secs(3);
const CHANGE: &str = "PUT /api/v2.0/configurations";
/// What the bench does itself, not the operator.
const OWN: &str = "PATCH clusterharborregistries";

pub(crate) async fn measure(report: &mut Report, release: bool, count: usize, rate: u32) -> Result<()> {
    report.add("the registry's rate limit", f64::from(rate), "1/s", None);
    for (shape, per_project) in [("5 to a project", PER_PROJECT), ("all in one project", count)] {
        note(&format!("PREFIX: {count} accounts, {shape}"));
        rename(report, release, count, rate, shape, per_project).await?;
    }
    Ok(())
}

async fn rename(
    report: &mut Report,
    release: bool,
    count: usize,
    rate: u32,
    shape: &str,
    per_project: usize,
) -> Result<()> {
    let projects = super::projects(count, per_project);
    let (stage, _) = stage(release, &projects).await?;
    let admin = stage.harbor().admin.clone();
    super::register(&stage, &admin)?;
    let (stage, first) = operator(stage).await?;
    let client = stage.plane.client().await?;
    let api = accounts::api(&client);
    let wanted: Result<Vec<_>> =
        (0..count).map(|number| accounts::account(&format!("a-{number}"), &projects[number / per_project])).collect();
    accounts::create_ready(&api, wanted?, TIMEOUT).await?;
    // What a mass creation leaves in memory is not counted.
    terminate(first).await?;
    register_with(&stage, &admin, rate, "1h")?;
    stage.harbor().reset_calls().await?;
    let (stage, second) = operator(stage).await?;
    served(&stage, &second).await?;
    let harbor = stage.harbor();
    swept(harbor, number(projects.len())).await?;
    let settled = memory::quiet(&second).await?;

    let clock = Clock::of(harbor).await?;
    let mut events = accounts::events(secrets(&client, accounts::NAMESPACE));
    while !matches!(events.next().await.context("the watch ended")?, Event::InitDone) {}
    harbor.reset_calls().await?;
    let before = counts::settled(&client).await?;
    let patch = Patch::Merge(json!({
        "metadata": {"annotations": {"harbor-robots.io/confirm-prefix": PREFIX}},
        "spec": {"serverSettings": {"robotNamePrefix": PREFIX}},
    }));
    let asked = clock.now();
    accounts::registries(&client).patch("main", &PatchParams::default(), &patch).await?;
    let seen = tokio::time::timeout(TIMEOUT, new_logins(&mut events, count, &clock))
        .await
        .with_context(|| format!("not every Secret has the new name; files in {}", stage.plane.dir.display()))??;
    quiet(harbor, QUIET).await?;
    let calls = harbor.calls().await?.calls;
    let requests = counts::difference(&before, &counts::settled(&client).await?);
    let used = second.usage()?;

    let at = calls.iter().position(|call| call.operation() == CHANGE).context("Harbor's prefix was not changed")?;
    let changed = calls[at].at;
    let mut stale: Vec<f64> = seen.values().map(|(at, _)| number((at - changed).unsigned_abs()) / 1000.0).collect();
    let add = |report: &mut Report, metric: &str, value: f64, unit: &'static str, goal: Option<f64>| {
        report.add(format!("{shape}: {metric}"), value, unit, goal);
    };
    add(report, "edit to Harbor's change", number((changed - asked).unsigned_abs()) / 1000.0, "s", None);
    add(report, "Harbor's change to the first Secret", percentile(&mut stale, 0.0), "s", None);
    add(report, "Harbor's change to the Secret in the middle", percentile(&mut stale, 0.5), "s", None);
    add(report, "Harbor's change to the last Secret", percentile(&mut stale, 1.0), "s", None);
    let lists_before = calls[..at].iter().filter(|call| call.operation() == LIST).count();
    let (by, lists) = (tally(&calls[at..]), tally(&calls[at..]).get(LIST).copied().unwrap_or(0));
    let sweep = number(projects.len() + count / PAGE);
    add(report, "lists of robots before the change", number(lists_before), "calls", None);
    add(report, "lists of robots from the change on", number(lists), "calls", None);
    add(report, "the same, in projects + robots / 100", number(lists) / sweep, "sweeps", Some(1.0));
    let single: u64 = by.iter().filter(|(call, _)| is_about_one(call)).map(|(_, count)| count).sum();
    add(report, "calls about a single robot, per account", number(single) / number(count), "calls", Some(0.0));
    for (call, count) in &by {
        add(report, &format!("from the change on: {call}"), number(*count), "calls", None);
    }
    let writes = |wanted: &dyn Fn(&str) -> bool| -> f64 {
        let ours = |key: &str| counts::is_write(key) && counts::is_about_accounts(key) && key != OWN && wanted(key);
        requests.iter().filter(|(key, _)| ours(key)).map(|(_, count)| count).sum()
    };
    add(report, "Kubernetes writes per account", writes(&|_| true) / number(count), "requests", None);
    for (key, requests) in requests.iter().filter(|(key, _)| counts::is_write(key) && counts::is_about_accounts(key)) {
        add(report, &format!("Kubernetes: {key}, per account"), requests / number(count), "requests", None);
    }
    let reads: f64 = requests.iter().filter(|(key, _)| counts::is_read(key)).map(|(_, count)| count).sum();
    add(report, "Kubernetes reads per account", reads / number(count), "requests", None);
    add(report, "RSS before", megabytes(settled.rss), "MB", None);
    add(report, "peak before", megabytes(settled.peak_rss), "MB", None);
    add(report, "RSS after", megabytes(used.rss), "MB", None);
    add(report, "peak", megabytes(used.peak_rss), "MB", None);
    let cpu = used.cpu.saturating_sub(settled.cpu).as_secs_f64() * 1000.0 / number(count);
    add(report, "processor time per account", cpu, "ms", None);

    let accounts = api.list(&kube::api::ListParams::default()).await?;
    let ready = accounts.iter().filter(|account| accounts::is_ready(account)).count();
    ensure!(ready == count, "{ready} of {count} accounts are Ready afterwards");
    for (_, secret) in seen.values().step_by((count / SAMPLES).max(1)) {
        let login = credential(secret)?;
        ensure!(harbor.verify(&login.name, &login.secret).await?, "{} does not log in", login.name);
    }
    drop(second);
    Ok(())
}

/// When each Secret was first seen with a login of the new name, by Harbor's clock, and the Secret.
async fn new_logins(
    events: &mut (impl Stream<Item = Event<DynamicObject>> + Unpin),
    count: usize,
    clock: &Clock,
) -> Result<HashMap<String, (i64, DynamicObject)>> {
    let mut seen = HashMap::new();
    while let Some(event) = events.next().await {
        let (Event::Apply(secret) | Event::InitApply(secret)) = event else { continue };
        if credential(&secret)?.name.starts_with(PREFIX) {
            let name = secret.metadata.name.clone().context("a Secret has a name")?;
            seen.entry(name).or_insert((clock.now(), secret));
        }
        if seen.len() >= count {
            return Ok(seen);
        }
    }
    bail!("the watch ended")
}

fn tally(calls: &[Call]) -> BTreeMap<String, u64> {
    let mut by = BTreeMap::new();
    for call in calls {
        *by.entry(call.operation()).or_default() += 1;
    }
    by
}

/// Reads or changes one robot, makes one, or tries its login.
fn is_about_one(call: &str) -> bool {
    call != LIST && (call.contains("/robots") || call.contains("/service/token"))
}
