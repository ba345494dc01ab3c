//! P13: how soon one tenant's new account is Ready while another's thousands fail or wait on a server that takes its time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use harbor_robot_world::{Harbor, note};
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::memory::number;
use super::report::{Report, percentile};
use super::tenants::{self, Tenant};
use super::{LATENCY_MS, accounts};
use crate::objects;

const APPLIES: usize = 60;
/// Applies before those that are measured.
const WARM_UP: usize = 5;
const TIMEOUT: Duration = Duration::from_mins(2);
/// Calls that wait on the slow server before the other tenant begins: as many as may.
const UNDER_WAY: u64 = 8;
const PROJECT: &str = "p";

pub(crate) async fn measure(report: &mut Report, release: bool, count: usize) -> Result<()> {
    let refused = json!({"errors": [{"code": "BAD_REQUEST", "message": "no"}]}).to_string();
    let kinds = [
        (
            "fails fast",
            json!({"fail": [{"method": "POST", "path": "/api/v2.0/robots", "status": 400, "body": refused, "count": 0}]}),
        ),
        ("answers after 9 s", json!({"latencyMs": 9000})),
        (
            "sends a byte a second",
            json!({"fail": [{"status": 200, "bodyBytes": 4096, "slowBodyMs": 1000, "count": 0}]}),
        ),
    ];
    for (kind, quirks) in kinds {
        note(&format!("P13: {count} accounts on a server that {kind}"));
        beside(report, release, count, kind, quirks).await?;
    }
    Ok(())
}

async fn beside(report: &mut Report, release: bool, count: usize, kind: &str, quirks: Value) -> Result<()> {
    let stage = tenants::stage(release).await?;
    let slow = tenants::harbor(release).await?;
    for harbor in [stage.harbor(), &*slow] {
        harbor.seed_projects(&[PROJECT.to_owned()]).await?;
    }
    let (a, b) = (Tenant { namespace: "tenant-a" }, Tenant { namespace: "tenant-b" });
    a.register(&stage, &slow.url, &slow.admin)?;
    b.register(&stage, &stage.harbor().url, &stage.harbor().admin)?;
    let (stage, operator) = tenants::operator(stage).await?;
    let client = stage.plane.client().await?;
    let (of_a, of_b) = (objects::accounts(&client, a.namespace), objects::accounts(&client, b.namespace));
    // Both registries answer, and are known to.
    accounts::create_ready(&of_a, vec![a.account("first", PROJECT)?], TIMEOUT).await?;
    accounts::create_ready(&of_b, vec![b.account("first", PROJECT)?], TIMEOUT).await?;
    stage.harbor().quirks(json!({"latencyMs": LATENCY_MS})).await?;
    slow.quirks(quirks).await?;
    slow.reset_calls().await?;
    let wanted: Result<Vec<_>> = (0..count).map(|number| a.account(&format!("a-{number}"), PROJECT)).collect();
    accounts::create(&of_a, wanted?).await?;
    busy(&slow).await?;

    let mut took = applies(&of_b, &b).await?;
    let most = slow.call_counts().await?.most_in_flight;
    report.add(format!("{kind}: apply to Ready beside it, p50"), percentile(&mut took, 0.5), "ms", None);
    report.add(format!("{kind}: apply to Ready beside it, p99"), percentile(&mut took, 0.99), "ms", Some(1000.0));
    report.add(format!("{kind}: most calls to it at once"), number(most), "calls", None);
    drop(operator);
    Ok(())
}

/// Waits until the server has work.
async fn busy(slow: &Harbor) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < TIMEOUT {
        let calls = slow.call_counts().await?;
        if calls.most_in_flight >= UNDER_WAY || calls.total >= UNDER_WAY {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the slow server is not called")
}

/// Applies one account after another; how long each took to be Ready, in milliseconds.
async fn applies(api: &Api<DynamicObject>, tenant: &Tenant) -> Result<Vec<f64>> {
    let mut events = accounts::events(api.clone());
    let mut took = Vec::new();
    for number in 0..WARM_UP + APPLIES {
        let name = format!("single-{number}");
        let started = Instant::now();
        accounts::create(api, vec![tenant.account(&name, PROJECT)?]).await?;
        let ready = async {
            while let Some(event) = events.next().await {
                if let Event::Apply(account) | Event::InitApply(account) = event
                    && account.metadata.name.as_deref() == Some(&name)
                    && accounts::is_ready(&account)
                {
                    return Ok(());
                }
            }
            bail!("the watch ended")
        };
        tokio::time::timeout(TIMEOUT, ready).await.with_context(|| format!("{name} is not Ready"))??;
        if number >= WARM_UP {
            took.push(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(took)
}
