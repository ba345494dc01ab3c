//! P11: what the operator does while Harbor is down or refuses the login, and how soon everything due is done after.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use harbor_robot_world::{Calls, HarborClient, Login, note};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::json;

use super::due::quiet;
use super::memory::number;
use super::report::Report;
use super::{accounts, operator, projects, register, stage};
use crate::stage::Stage;

const PER_PROJECT: usize = 5;
const TIMEOUT: Duration = Duration::from_mins(30);
/// Requests under way at one time while accounts are annotated.
const CLIENTS: usize = 16;
/// A refresh replaces no robot that is younger than a minute.
const REFRESH_AGE: u64 = 61;
/// One account in so many is refreshed with Harbor up, to know what a refresh costs without trouble.
const SAMPLE: usize = 20;
/// Work is over when no call has come for so long.
const QUIET: Duration = Duration::from_secs(2);
/// One account in so many is made while the login is wrong.
const MADE_MEANWHILE: usize = 10;

pub(crate) async fn measure(report: &mut Report, release: bool, count: usize, outage: u64) -> Result<()> {
    let projects = projects(count, PER_PROJECT);
    let (stage, login) = stage(release, &projects).await?;
    let (stage, operator) = operator(stage).await?;
    let api = accounts::api(&stage.plane.client().await?);
    let sample = (count / SAMPLE).max(1);
    let project = |number: usize| &projects[number / PER_PROJECT % projects.len()];
    let wanted: Result<Vec<_>> =
        (0..count + sample).map(|number| accounts::account(&format!("a-{number}"), project(number))).collect();
    note(&format!("P11: making {} accounts", count + sample));
    accounts::create_ready(&api, wanted?, TIMEOUT).await?;
    let harbor = stage.harbor();
    harbor.advance(REFRESH_AGE).await?;
    // A pass shows the operator what time it is.
    let first = tokio::spawn(accounts::until(api.clone(), 1, TIMEOUT, |account| is_refreshed(account, "clock")));
    refresh(&api, 0..1, "clock").await?;
    first.await??;
    quiet(harbor, QUIET).await?;

    harbor.reset_calls().await?;
    let watching =
        tokio::spawn(accounts::until(api.clone(), sample, TIMEOUT, |account| is_refreshed(account, "sample")));
    refresh(&api, count..count + sample, "sample").await?;
    watching.await??;
    let each = number(quiet(harbor, QUIET).await?) / number(sample);
    report.add("calls per refresh without trouble", each, "calls", None);

    note(&format!("P11: Harbor is down for {outage} s (--outage 600: the full ten minutes)"));
    let closed = json!([{"drop": true, "count": 0}]);
    harbor.quirks(json!({"fail": closed})).await?;
    harbor.reset_calls().await?;
    let down = Instant::now();
    refresh(&api, 0..count, "down").await?;
    report.add("down: accounts that fell due", number(count), "", None);
    tokio::time::sleep_until((down + Duration::from_secs(outage)).into()).await;
    let calls = harbor.call_counts().await?;
    add_rate(report, "down", &calls, down.elapsed());
    harbor.reset_calls().await?;
    let watching = tokio::spawn(accounts::until(api.clone(), count, TIMEOUT, |account| is_refreshed(account, "down")));
    harbor.quirks(json!({"fail": []})).await?;
    let up = Instant::now();
    let seen = watching.await??;
    let calls = harbor.call_counts().await?;
    let drained = (seen.last - up).as_secs_f64();
    report.add("up again: until the first account is served", (seen.first - up).as_secs_f64(), "s", None);
    report.add("up again: until all accounts that fell due are served", drained, "s", Some(60.0));
    report.add(
        "up again: accounts served per second",
        number(count) / (seen.last - seen.first).as_secs_f64(),
        "1/s",
        None,
    );
    report.add(
        "up again: calls, over those needed without trouble",
        number(calls.total) / (each * number(count)),
        "x",
        Some(1.1),
    );
    for (call, count) in &calls.by {
        report.add(format!("up again: {call}"), number(*count), "calls", None);
    }

    wrong_password(report, &stage, &api, &login, count / MADE_MEANWHILE, outage, &projects).await?;
    drop(operator);
    Ok(())
}

async fn wrong_password(
    report: &mut Report,
    stage: &Stage,
    api: &Api<DynamicObject>,
    login: &Login,
    count: usize,
    outage: u64,
    projects: &[String],
) -> Result<()> {
    note(&format!("P11: the login's password is wrong for {outage} s"));
    let harbor: &HarborClient = stage.harbor();
    quiet(harbor, QUIET).await?;
    harbor.reset_calls().await?;
    let began = Instant::now();
    register(stage, &Login { name: login.name.clone(), secret: "wrong-Password-1".to_owned() })?;
    let wanted: Result<Vec<_>> = (0..count)
        .map(|number| accounts::account(&format!("w-{number}"), &projects[number % projects.len()]))
        .collect();
    accounts::create(api, wanted?).await?;
    tokio::time::sleep_until((began + Duration::from_secs(outage)).into()).await;
    let calls = harbor.call_counts().await?;
    add_rate(report, "wrong password", &calls, began.elapsed());
    harbor.reset_calls().await?;
    let made = |account: &DynamicObject| {
        account.metadata.name.as_ref().is_some_and(|name| name.starts_with("w-")) && accounts::is_ready(account)
    };
    let watching = tokio::spawn(accounts::until(api.clone(), count, TIMEOUT, made));
    register(stage, login)?;
    let right = Instant::now();
    let seen = watching.await??;
    report.add("right password: accounts made meanwhile", number(count), "", None);
    report.add("right password: until the first is served", (seen.first - right).as_secs_f64(), "s", None);
    report.add("right password: until all are served", (seen.last - right).as_secs_f64(), "s", Some(60.0));
    Ok(())
}

fn add_rate(report: &mut Report, when: &str, calls: &Calls, time: Duration) {
    report.add(format!("{when}: time"), time.as_secs_f64(), "s", None);
    report.add(format!("{when}: calls"), number(calls.total), "calls", None);
    report.add(format!("{when}: calls per second"), number(calls.total) / time.as_secs_f64(), "1/s", Some(1.0));
    for (call, count) in &calls.by {
        report.add(format!("{when}: {call}"), number(*count), "calls", None);
    }
}

fn is_refreshed(account: &DynamicObject, token: &str) -> bool {
    account.data["status"]["handledRefresh"] == token
}

/// Asks for new credentials of the accounts with these numbers.
async fn refresh(api: &Api<DynamicObject>, numbers: std::ops::Range<usize>, token: &str) -> Result<()> {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"harbor-robots.io/refresh": token}}}));
    futures::stream::iter(numbers.map(Ok))
        .try_for_each_concurrent(CLIENTS, async |number| {
            let name = format!("a-{number}");
            api.patch(&name, &PatchParams::default(), &patch).await.context("annotate an account")?;
            Ok(())
        })
        .await
}
