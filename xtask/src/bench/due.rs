//! P9: how very many renewals that fall due in a short time are worked off.
//!
//! Renewals are spread over a third of `renewBefore`. It is chosen so short that all of them fall due within minutes:
//! what a window of an hour would bring, at a multiple of the speed. Harbor's clock is set to the moment before the first
//! of them, and runs as fast as ours from then on.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harbor_robot_world::{HarborClient, note, poll};
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::json;

use super::memory::{number, served};
use super::report::{Report, percentile};
use super::{accounts, counts, operator, projects, stage, terminate};

const PER_PROJECT: usize = 5;
/// Renewals due in a second, about; a window of an hour with 10,000 of them has 2.8.
const PER_SECOND: usize = 40;
const SHORTEST_WINDOW: usize = 20;
const HOUR: usize = 3600;
/// The old robots live on for so long: their deletions fall in the same window.
const OVERLAP: &str = "30s";
/// The registry's default limits; the rate is for a window of an hour and grows with the speed.
const IN_FLIGHT: u64 = 8;
const REQUESTS_PER_SECOND: usize = 100;
/// More is not accepted.
const HIGHEST_RATE: usize = 10_000;
/// A restart and its sweep take this long, and so much more for each project.
const BEFORE_FIRST: i64 = 15_000;
const BEFORE_FIRST_PER_PROJECT: i64 = 20;
const TIMEOUT: Duration = Duration::from_mins(30);
pub(super) const LIST: &str = "GET /api/v2.0/robots";
pub(super) const CREATE: &str = "POST /api/v2.0/robots";
const DELETE: &str = "DELETE /api/v2.0/robots/{id}";

pub(crate) async fn measure(report: &mut Report, release: bool, count: usize) -> Result<()> {
    let spread = (count / PER_SECOND).max(SHORTEST_WINDOW);
    let projects = projects(count, PER_PROJECT);
    let (stage, login) = stage(release, &projects).await?;
    let rate = (REQUESTS_PER_SECOND * HOUR / spread).min(HIGHEST_RATE);
    let limit = json!({"requestsPerSecond": rate, "maxInFlight": IN_FLIGHT});
    stage.apply_registry(&login, &json!({"rateLimit": limit, "pollInterval": "1h"}))?;
    let (stage, first) = operator(stage).await?;
    let client = stage.plane.client().await?;
    let api = accounts::api(&client);
    let spec = json!({
        "expiresAfter": "1d",
        "rotation": {"renewBefore": format!("{}s", 3 * spread), "overlap": OVERLAP},
    });
    let wanted: Result<Vec<_>> = (0..count)
        .map(|number| accounts::account_with(&format!("a-{number}"), &projects[number / PER_PROJECT], &spec))
        .collect();
    note(&format!("P9: making {count} accounts"));
    accounts::create_ready(&api, wanted?, TIMEOUT).await?;

    terminate(first).await?;
    let due = moments(&api, "/renewalTime").await?;
    ensure!(due.len() == count, "{} of {count} accounts have a renewal time", due.len());
    let (begin, end) = (due.values().min().copied().unwrap_or(0), due.values().max().copied().unwrap_or(0));
    let ahead = BEFORE_FIRST + BEFORE_FIRST_PER_PROJECT * i64::try_from(projects.len())?;
    let harbor = stage.harbor();
    harbor.advance(u64::try_from((begin - ahead - harbor.now().await?) / 1000)?).await?;
    harbor.reset_calls().await?;
    let (stage, second) = operator(stage).await?;
    served(&stage, &second).await?;
    let harbor = stage.harbor();
    let sweep = swept(harbor, number(projects.len())).await?;
    if harbor.now().await? >= begin {
        bail!("the restart took too long: renewals fell due before it was over");
    }
    harbor.reset_calls().await?;
    note(&format!(
        "P9: renewals fall due for {} s from {} s on",
        (end - begin) / 1000,
        (begin - harbor.now().await?) / 1000
    ));

    let idle = second.usage()?;
    let before = counts::read(&client).await?;
    poll("all old robots are deleted", TIMEOUT, async || {
        let calls = harbor.call_counts().await.map_err(|error| error.to_string())?;
        let (made, deleted) = (calls.count(CREATE), calls.count(DELETE));
        tokio::time::sleep(Duration::from_millis(200)).await;
        if made.min(deleted) >= count as u64 { Ok(()) } else { Err(format!("{made} made, {deleted} deleted")) }
    })
    .await?;
    let calls = harbor.call_counts().await?;
    let used = second.usage()?;
    let requests = counts::difference(&before, &counts::settled(&client).await?);
    let made = moments(&api, "/robot/creationTime").await?;
    let mut late: Vec<f64> = made
        .iter()
        .map(|(name, at)| Ok(seconds(at - due.get(name).context("an account that was not there before")?)))
        .collect::<Result<_>>()?;
    let window = seconds(end - begin);
    let p99 = percentile(&mut late, 0.99);
    let each = |calls: u64| number(calls) / number(count);
    let changes: u64 = calls.by.iter().filter(|(call, _)| !call.starts_with("GET ")).map(|(_, count)| count).sum();
    report.add("rotations", number(made.len()), "", None);
    report.add("window, in Harbor's time and ours", window, "s", None);
    report.add("rotations per second in the window", number(count) / window, "1/s", None);
    report.add("most calls in flight", number(calls.most_in_flight), "calls", Some(number(IN_FLIGHT)));
    report.add("lateness, p50", percentile(&mut late, 0.5), "s", None);
    report.add("lateness, p99", p99, "s", None);
    report.add("lateness, worst", percentile(&mut late, 1.0), "s", None);
    report.add("earliest", percentile(&mut late, 0.0), "s", None);
    report.add("lateness, p99, share of the window", 100.0 * p99 / window, "%", Some(1.0));
    report.add("changing calls per rotation", each(changes), "calls", Some(2.0));
    report.add("all calls per rotation", each(calls.total), "calls", None);
    for (call, count) in &calls.by {
        report.add(format!("{call}, per rotation"), each(*count), "calls", None);
    }
    let sum = |wanted: fn(&str) -> bool| -> f64 {
        requests.iter().filter(|(key, _)| wanted(key) && counts::is_about_accounts(key)).map(|(_, count)| count).sum()
    };
    report.add(
        "Kubernetes writes per rotation, events included",
        sum(counts::is_write) / number(count),
        "requests",
        None,
    );
    report.add("Kubernetes reads per rotation", sum(counts::is_read) / number(count), "requests", None);
    report.add(
        "processor time per rotation",
        used.cpu.saturating_sub(idle.cpu).as_secs_f64() * 1000.0 / number(count),
        "ms",
        None,
    );
    report.add("peak memory", number(used.peak_rss) / 1e6, "MB", None);
    report.add("the sweep before the window", sweep, "calls", None);
    drop(second);
    Ok(())
}

/// A moment in each account's status by name, in milliseconds since 1970.
async fn moments(api: &Api<DynamicObject>, path: &str) -> Result<HashMap<String, i64>> {
    let accounts = api.list(&ListParams::default()).await?;
    Ok(accounts
        .into_iter()
        .filter_map(|account| Some((account.metadata.name.clone()?, accounts::moment(&account, path)?)))
        .collect())
}

/// Waits until the sweep after a start is over: each project was listed, and no call has come for a while. Gives the
/// number of calls.
pub(super) async fn swept(harbor: &HarborClient, projects: f64) -> Result<f64> {
    poll("the first sweep lists every project", TIMEOUT, async || {
        let lists = harbor.call_counts().await.map_err(|error| error.to_string())?.count(LIST);
        if number(lists) >= projects { Ok(()) } else { Err(lists.to_string()) }
    })
    .await?;
    Ok(number(quiet(harbor, Duration::from_secs(1)).await?))
}

/// Waits until no call has come for so long. Gives the number of calls.
pub(crate) async fn quiet(harbor: &HarborClient, time: Duration) -> Result<u64> {
    let before = Cell::new(None);
    poll("no more calls come", TIMEOUT, async || {
        let total = harbor.call_counts().await.map_err(|error| error.to_string())?.total;
        if before.replace(Some(total)) == Some(total) {
            return Ok(total);
        }
        tokio::time::sleep(time).await;
        Err(total.to_string())
    })
    .await
}

fn seconds(milliseconds: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "days at most")]
    let seconds = milliseconds as f64 / 1000.0;
    seconds
}
