//! P15: what one create costs both servers.

use std::time::Duration;

use anyhow::Result;

use super::report::Report;
use super::{accounts, counts, operator, stage};

const CREATES: usize = 1000;
const TIMEOUT: Duration = Duration::from_mins(10);

/// What the bench does itself, not the operator.
const OWN: &str = "POST robotaccounts";

/// The one read of a create: only our own Secrets are watched, and somebody else's under that name must not be
/// overwritten.
const LIVE_READ: &str = "GET secrets";

pub(crate) async fn measure(report: &mut Report, release: bool) -> Result<()> {
    let (stage, _) = stage(release, &["bench".to_owned()]).await?;
    let (stage, operator) = operator(stage).await?;
    let client = stage.plane.client().await?;
    let api = accounts::api(&client);
    // One account before, so that what the operator learns once about a registry or a project is not counted.
    let first = tokio::spawn(accounts::ready(api.clone(), 1, TIMEOUT));
    accounts::create(&api, vec![accounts::account("first", "bench")?]).await?;
    first.await??;

    stage.harbor().reset_calls().await?;
    let passes = passes(&operator.metrics().await?);
    let before = counts::settled(&client).await?;
    let wanted: Result<Vec<_>> =
        (0..CREATES).map(|number| accounts::account(&format!("w-{number}"), "bench")).collect();
    let watching = tokio::spawn(accounts::ready(api.clone(), CREATES + 1, TIMEOUT));
    accounts::create(&api, wanted?).await?;
    watching.await??;
    let requests = counts::difference(&before, &counts::settled(&client).await?);
    let calls = stage.harbor().calls().await?;

    report.add("calls to Harbor per create", per(calls.total), "calls", Some(1.0));
    for (path, count) in &calls.by {
        report.add(format!("Harbor: {path}"), per(*count), "calls", None);
    }
    let sum = |wanted: &dyn Fn(&str) -> bool| {
        requests.iter().filter(|(key, _)| wanted(key)).map(|(_, count)| count).sum::<f64>()
    };
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let each = CREATES as f64;
    let event = |key: &str| key.ends_with(" events");
    let ours = |key: &str| key != OWN && !key.contains("leases");
    let writes = sum(&|key| counts::is_write(key) && ours(key) && !event(key));
    let live = requests.get(LIVE_READ).copied().unwrap_or_default();
    let reads = sum(&|key| counts::is_read(key) && key != LIVE_READ);
    report.add("Kubernetes writes per create", writes / each, "requests", Some(3.0));
    report.add("events per create", sum(&event) / each, "requests", Some(1.0));
    report.add("live reads of the account's Secret per create", live / each, "requests", Some(1.0));
    // A pass that no event brings begins with a read of the account, so one pass per create means none of those. What is
    // read beside that are the garbage collector, which looks for owners, and the bench's own watch.
    let passes = self::passes(&operator.metrics().await?) - passes;
    report.add("passes per create", passes / each, "passes", Some(1.0));
    report.add("other Kubernetes reads per create, the control plane's own included", reads / each, "requests", None);
    for (key, count) in &requests {
        report.add(format!("Kubernetes: {key}"), count / each, "requests", None);
    }
    drop(operator);
    Ok(())
}

/// Passes over accounts so far, whatever came of them.
fn passes(metrics: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with("harbor_robots_passes_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn per(count: u64) -> f64 {
    count as f64 / CREATES as f64
}
