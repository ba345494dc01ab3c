//! P10: whether anybody who logs in notices a rotation.

mod book;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use harbor_robot_world::{note, poll};
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::json;

use super::clock::Clock;
use super::memory::number;
use super::report::{Report, percentile};
use super::{accounts, operator, stage};
use book::Book;

const ACCOUNTS: usize = 50;
const ROUNDS: usize = 4;
const PROJECT: &str = "bench";
/// 20 Hz for each account.
const PERIOD: Duration = Duration::from_millis(50);
/// Renewals of one round are spread over a third of this.
const RENEW_BEFORE: &str = "15s";
const OVERLAP: &str = "5s";
/// Harbor's clock is set to this long before the first renewal of a round; the operator sees that at its next poll.
const BEFORE_FIRST: i64 = 3_000;
const TIMEOUT: Duration = Duration::from_mins(5);

pub(crate) async fn measure(report: &mut Report, release: bool) -> Result<()> {
    strategy(report, release, "Overlap").await?;
    strategy(report, release, "InPlace").await
}

async fn strategy(report: &mut Report, release: bool, strategy: &'static str) -> Result<()> {
    let (stage, robot) = stage(release, &[PROJECT.to_owned()]).await?;
    let in_place = strategy == "InPlace";
    // Rotation in place needs a login that may update robots.
    let login = if in_place { stage.harbor().admin.clone() } else { robot };
    stage.apply_registry(&login, &json!({"pollInterval": "1s"}))?;
    let (stage, operator) = operator(stage).await?;
    let client = stage.plane.client().await?;
    let api = accounts::api(&client);
    let mut rotation = json!({"strategy": strategy, "renewBefore": RENEW_BEFORE});
    if !in_place {
        rotation["overlap"] = OVERLAP.into();
    }
    let spec = json!({"expiresAfter": "1d", "rotation": rotation});
    let wanted: Result<Vec<_>> =
        (0..ACCOUNTS).map(|number| accounts::account_with(&format!("a-{number}"), PROJECT, &spec)).collect();
    accounts::create_ready(&api, wanted?, TIMEOUT).await?;

    let harbor = stage.harbor().with_kept_connections()?;
    let book = Arc::new(Book::new(Clock::of(&harbor).await?));
    let watching = book::watch(&book, &client);
    poll("every Secret was seen", TIMEOUT, async || {
        let seen = book.len();
        if seen == ACCOUNTS { Ok(()) } else { Err(seen) }
    })
    .await?;
    harbor.reset_calls().await?;
    let logging_in = book::log_in(&book, &harbor, PERIOD);
    for round in 1..=ROUNDS {
        note(&format!("P10: {strategy}, round {round} of {ROUNDS}"));
        let due: Vec<i64> = moments(&api, "/renewalTime").await?;
        let first = due.iter().min().copied().context("no account has a renewal time")?;
        let ahead = u64::try_from((first - BEFORE_FIRST - harbor.now().await?) / 1000).unwrap_or(0);
        book.jump(i64::try_from(ahead * 1000)?);
        harbor.advance(ahead).await?;
        let last = due.iter().max().copied().unwrap_or(first);
        poll("all accounts were rotated", TIMEOUT, async || {
            let accounts = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let done = |account: &DynamicObject| {
                accounts::moment(account, "/renewalTime").is_some_and(|at| at > last + 60_000)
                    && account.data["status"]["previous"].is_null()
            };
            let count = accounts.iter().filter(|account| done(account)).count();
            if count == ACCOUNTS { Ok(()) } else { Err(format!("{count}")) }
        })
        .await?;
    }
    drop(logging_in);
    drop(watching);
    let calls = harbor.calls().await?;
    let (logins, mut failed) = book.logins();
    let rotations = number(ACCOUNTS * ROUNDS);
    report.add(format!("{strategy}: rotations"), rotations, "", None);
    report.add(format!("{strategy}: logins"), number(logins), "", None);
    if in_place {
        let mut gaps = book.gaps(&calls.calls);
        report.add("InPlace: gaps seen", number(gaps.len()), "", None);
        report.add(
            "InPlace: gap between the old secret's end and the Secret's new one, p50",
            percentile(&mut gaps, 0.5),
            "ms",
            None,
        );
        report.add("InPlace: gap, p99", percentile(&mut gaps, 0.99), "ms", Some(50.0));
        report.add("InPlace: gap, longest", percentile(&mut gaps, 1.0), "ms", None);
        report.add("InPlace: logins that failed in a gap", number(failed.len()), "", None);
        failed.retain(|login| !book.in_gap(login, &calls.calls));
        report.add("InPlace: logins that failed outside of one", number(failed.len()), "", Some(0.0));
    } else {
        report.add("Overlap: logins with the old credential in its overlap", number(book.old_logins()), "", None);
        report.add("Overlap: failed logins", number(failed.len()), "", Some(0.0));
    }
    for login in failed.iter().take(5) {
        note(&format!("P10: {login}"));
    }
    drop(operator);
    Ok(())
}

async fn moments(api: &Api<DynamicObject>, path: &str) -> Result<Vec<i64>> {
    let accounts = api.list(&ListParams::default()).await?;
    Ok(accounts.iter().filter_map(|account| accounts::moment(account, path)).collect())
}
