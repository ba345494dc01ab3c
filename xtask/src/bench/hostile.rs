//! P17: what a hostile server adds to the operator's peak memory, and what another's new account notices of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harbor_robot_world::{Login, Operator, note};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use super::hostile_server::{HostileServer, Kind};
use super::memory::megabytes;
use super::report::Report;
use super::tenants::{self, Tenant};
use super::{accounts, register};
use crate::objects;
use crate::stage::Stage;

/// Accounts on the hostile server: more than it may have calls under way.
const ACCOUNTS: usize = 16;
/// How long the server is at it before memory is read.
const ATTACK: Duration = Duration::from_secs(6);
/// Memory that moves less than this between two looks has settled.
const STEADY: u64 = 200_000;
const TIMEOUT: Duration = Duration::from_mins(1);
/// The goals.
const MOST_ADDED: f64 = 16.0;
const MOST_WAIT: f64 = 5.0;

pub(crate) async fn measure(report: &mut Report, release: bool) -> Result<()> {
    let mut stage = tenants::stage(release).await?;
    stage.plane.kubectl(["create", "namespace", accounts::NAMESPACE]).ok()?;
    stage.harbor().seed_projects(&["p".to_owned()]).await?;
    register(&stage, &stage.harbor().admin.clone())?;
    let api = accounts::api(&stage.plane.client().await?);
    let bad = Tenant { namespace: "tenant-a" };
    let mut worst: f64 = 0.0;
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        note(&format!("P17: {}", kind.name()));
        let (returned, operator) = tenants::operator(stage).await?;
        stage = returned;
        // Each kind has a process of its own, which has served somebody before.
        accounts::create_ready(&api, vec![accounts::account(&format!("before-{number}"), "p")?], TIMEOUT).await?;
        let before = settled(&operator).await?;
        operator.forget_peak()?;
        let server = HostileServer::start(kind).await?;
        attack(&stage, bad, &server.url).await?;
        tokio::time::sleep(ATTACK / 2).await;
        let asked = Instant::now();
        accounts::create_ready(&api, vec![accounts::account(&format!("beside-{number}"), "p")?], TIMEOUT)
            .await
            .with_context(|| format!("another's account beside: {}", kind.name()))?;
        let waited = asked.elapsed().as_secs_f64();
        tokio::time::sleep(ATTACK / 2).await;
        let added = megabytes(operator.usage()?.peak_rss.saturating_sub(before));
        worst = worst.max(added);
        report.add(format!("{}: added peak memory", kind.name()), added, "MB", Some(MOST_ADDED));
        report.add(format!("{}: another's new account Ready", kind.name()), waited, "s", Some(MOST_WAIT));
        report.add(format!("{}: calls to it", kind.name()), f64::from(server.calls()), "calls", None);
        end(&stage, bad, operator).await?;
    }
    report.add("the worst: added peak memory", worst, "MB", Some(MOST_ADDED));
    Ok(())
}

/// The tenant's registry points at the server, and its accounts use it.
async fn attack(stage: &Stage, bad: Tenant, url: &str) -> Result<()> {
    bad.register(stage, url, &Login { name: "somebody".to_owned(), secret: "Passw0rd-1".to_owned() })?;
    let api = objects::accounts(&stage.plane.client().await?, bad.namespace);
    let wanted: Result<Vec<_>> = (0..ACCOUNTS).map(|number| bad.account(&format!("a-{number}"), "p")).collect();
    accounts::create(&api, wanted?).await
}

/// Memory once it does not move any more.
async fn settled(operator: &Operator) -> Result<u64> {
    let mut last = operator.usage()?.rss;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = operator.usage()?.rss;
        if now.abs_diff(last) < STEADY {
            return Ok(now);
        }
        last = now;
    }
}

/// Ends the operator and takes away what the tenant made: nobody is left who would take the finalizers away.
async fn end(stage: &Stage, bad: Tenant, mut operator: Operator) -> Result<()> {
    tokio::task::spawn_blocking(move || operator.kill()).await??;
    for plural in ["robotaccounts.harbor-robots.io", "harborregistries.harbor-robots.io"] {
        stage.plane.kubectl(["delete", plural, "--all", "-n", bad.namespace, "--wait=false"]).ok()?;
    }
    let api = objects::accounts(&stage.plane.client().await?, bad.namespace);
    let none = json!({"metadata": {"finalizers": null}});
    for account in api.list(&ListParams::default()).await? {
        let name = account.metadata.name.context("an account has a name")?;
        // One that went meanwhile had none.
        let _ = api.patch(&name, &PatchParams::default(), &Patch::Merge(&none)).await;
    }
    stage
        .plane
        .kubectl([
            "patch",
            "harborregistries.harbor-robots.io",
            "own",
            "-n",
            bad.namespace,
            "--type=merge",
            "-p",
            &none.to_string(),
        ])
        .ok()?;
    Ok(())
}
