//! P5: what settled accounts cost in memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use harbor_robot_world::{Operator, Usage, note, poll};

use super::report::Report;
use super::{accounts, counts, operator, stage};
use crate::stage::Stage;

const TIMEOUT: Duration = Duration::from_mins(30);
const PER_PROJECT: usize = 5;
/// Memory and processor time that hardly move for this long are called settled.
const QUIET: Duration = Duration::from_secs(10);
const MEGABYTE: f64 = 1e6;

pub(crate) async fn measure(report: &mut Report, release: bool, count: usize) -> Result<()> {
    for (shape, per_project) in [("5 to a project", PER_PROJECT), ("all in one project", count)] {
        note(&format!("P5: {count} accounts, {shape}"));
        settle(report, release, count, shape, per_project).await?;
    }
    Ok(())
}

async fn settle(report: &mut Report, release: bool, count: usize, shape: &str, per_project: usize) -> Result<()> {
    let projects: Vec<String> = (0..count.div_ceil(per_project)).map(|number| format!("p-{number}")).collect();
    let (stage, _) = stage(release, &projects).await?;
    let (stage, mut first) = operator(stage).await?;
    let client = stage.plane.client().await?;
    let api = accounts::api(&client);
    // One account, so that what every operator needs once is not counted as the others' memory.
    let one = tokio::spawn(accounts::ready(api.clone(), 1, TIMEOUT));
    accounts::create(&api, vec![accounts::account("first", "p-0")?]).await?;
    one.await??;
    let idle = quiet(&first).await?;
    let wanted: Result<Vec<_>> = (0..count)
        .map(|number| accounts::account(&format!("a-{number}"), &format!("p-{}", number / per_project)))
        .collect();
    let watching = tokio::spawn(accounts::ready(api.clone(), count + 1, TIMEOUT));
    let started = Instant::now();
    accounts::create(&api, wanted?).await?;
    let seconds = (watching.await?? - started).as_secs_f64();
    let created = quiet(&first).await?;
    report.add(format!("{shape}: created, all Ready after"), seconds, "s", None);
    report.add(format!("{shape}: created"), number(count) / seconds, "accounts/s", None);
    report.add(format!("{shape}: RSS with one account"), megabytes(idle.rss), "MB", None);
    report.add(format!("{shape}: RSS after creating them"), megabytes(created.rss), "MB", None);
    report.add(format!("{shape}: peak while creating them"), megabytes(created.peak_rss), "MB", None);

    tokio::task::spawn_blocking(move || first.terminate()).await??;
    stage.harbor().reset_calls().await?;
    let before = counts::settled(&client).await?;
    let (stage, second) = operator(stage).await?;
    served(&stage, &second).await?;
    let ready = second.started.elapsed().as_secs_f64();
    let settled = quiet(&second).await?;
    let requests = counts::difference(&before, &counts::read(&client).await?);
    let writes = requests.iter().filter(|(key, _)| counts::is_write(key) && counts::is_about_accounts(key));
    // An empty sum is -0.0.
    let writes = writes.map(|(_, count)| count).sum::<f64>().abs();
    let calls = stage.harbor().calls().await?;
    report.add(format!("{shape}: RSS settled after a restart"), megabytes(settled.rss), "MB", Some(25.0));
    report.add(format!("{shape}: peak after a restart"), megabytes(settled.peak_rss), "MB", Some(35.0));
    let each = (number(settled.rss) - number(idle.rss)).max(0.0) / number(count);
    report.add(format!("{shape}: memory per account"), each, "bytes", Some(1000.0));
    report.add(format!("{shape}: restart, exec to /readyz"), ready, "s", None);
    report.add(format!("{shape}: restart, Kubernetes writes"), writes, "requests", Some(0.0));
    report.add(format!("{shape}: restart, calls to Harbor"), number(calls.total), "calls", None);
    for (call, count) in &calls.by {
        report.add(format!("{shape}: restart, {call}"), number(*count), "calls", None);
    }
    report.add(format!("{shape}: restart, CPU"), settled.cpu.as_secs_f64(), "s", None);
    drop(second);
    Ok(())
}

/// Waits until a restarted operator says that it is ready.
pub(crate) async fn served(stage: &Stage, operator: &Operator) -> Result<()> {
    poll("the operator is ready", TIMEOUT, async || {
        if operator.ready().await { Ok(()) } else { Err(format!("/readyz; files in {}", stage.plane.dir.display())) }
    })
    .await
}

/// Waits until neither memory nor processor time move, then reads both.
pub(crate) async fn quiet(operator: &Operator) -> Result<Usage> {
    let mut last = operator.usage()?;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = operator.usage()?;
        let busy = now.cpu.saturating_sub(last.cpu) > QUIET / 100;
        let moved = now.rss.abs_diff(last.rss) > 100_000;
        if !busy && !moved {
            return Ok(now);
        }
        last = now;
    }
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    number(bytes) / MEGABYTE
}

/// Counts and bytes are far below the 2^53 up to which this is exact.
pub(crate) fn number(count: impl TryInto<u64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    count.try_into().map_or(f64::NAN, |count| count as f64)
}
