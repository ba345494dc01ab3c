//! `cargo xtask bench`: the figures of `docs/benchmarks.md`, measured with release builds on a real control plane. Memory
//! and processor time are read from `/proc`, calls are counted at the servers, and Harbor answers after 5 ms.

mod accounts;
mod apply;
mod clock;
mod counts;
mod due;
mod fairness;
mod hostile;
mod hostile_server;
mod login_kinds;
mod memory;
mod outage;
mod pattern;
mod prefix;
mod report;
mod rotations;
mod start;
mod tenants;
mod writes;

use anyhow::{Result, bail};
use harbor_robot_world::{Login, Operator, note};
use serde_json::json;

use crate::stage::{Stage, Wanted};
use report::Report;

/// Milliseconds that the stand-in adds to each call.
const LATENCY_MS: u32 = 5;

/// The highest rate limit that a registry object may have: out of the way.
const UNLIMITED: u32 = 10_000;

/// Identifier and one line for each benchmark.
const CATALOGUE: [(&str, &str); 12] = [
    ("P1", "start on an empty cluster with one account: exec to Ready, median of 5"),
    ("P3", "200 single applies, one after another, robot login: apply to a Secret that logs in, p50 and p99"),
    ("P5", "10,000 settled accounts, as 5 to a project and all in one: memory, and what a restart costs"),
    ("P9", "10,000 rotations due in an hour, compressed to minutes: most calls at once, lateness, calls per rotation"),
    ("P10", "50 accounts, logins at 20 Hz each through rotations: failed logins with Overlap, the gap with InPlace"),
    (
        "P11",
        "Harbor down, then a wrong password, then up again: requests/s meanwhile, time to drain 10,000, amplification",
    ),
    (
        "P13",
        "a tenant's 9,000 accounts on a server that fails fast, one that answers after 9 s and one that sends a byte a \
         second: another tenant's apply to Ready, p50 and p99",
    ),
    ("P15", "1,000 creates: calls to Harbor and to the API server per account"),
    ("P17", "hostile servers of many kinds: what each adds to the peak of memory, another's new account beside it"),
    ("LOGIN", "200 creates with each kind of login, a person's password costing Harbor 100 ms: time, and Harbor's own"),
    (
        "PATTERN",
        "a system account with a pattern that 2,000 projects fit, with each login that may have one: calls at the start, \
         as projects come, and when nothing changes",
    ),
    (
        "PREFIX",
        "10,000 settled accounts, another serverSettings.robotNamePrefix: how long Secrets are out of date, calls, writes",
    ),
];

#[derive(clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct Options {
    /// Which to run [default: all]
    ids: Vec<String>,
    /// Run P5, P9, P11 and PREFIX with this many accounts
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    accounts: usize,
    /// Run P13 with this many accounts on the server that takes its time
    #[arg(long, default_value_t = 9_000, value_name = "N")]
    backlog: usize,
    /// Run PATTERN with this many projects
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    projects: usize,
    /// The registry's rateLimit.requestsPerSecond in PREFIX, of which sweeps use a tenth; an object that says nothing has
    /// 100
    #[arg(long, default_value_t = UNLIMITED, value_name = "N")]
    rate: u32,
    /// Seconds that Harbor is down in P11, and that its login is wrong; 600 for ten minutes uncompressed
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    outage: u64,
    /// Run debug builds: quick to try a benchmark with, but its figures mean nothing and are not kept
    #[arg(long)]
    dev: bool,
}

fn after_help() -> String {
    let lines: Vec<String> = CATALOGUE.iter().map(|(id, line)| format!("  {id:<7} {line}")).collect();
    format!("Benchmarks:\n{}\n\nFigures go to stdout, tab-separated, and to target/bench/<ID>.json.", lines.join("\n"))
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let known: Vec<&str> = CATALOGUE.iter().map(|(id, _)| *id).collect();
    let wanted: Vec<String> = options.ids.iter().map(|id| id.to_uppercase()).collect();
    if let Some(unknown) = wanted.iter().find(|id| !known.contains(&id.as_str())) {
        bail!("no benchmark {unknown}; there are {}", known.join(", "));
    }
    let release = !options.dev;
    println!("# {}", report::machine());
    println!("{}", report::HEADER);
    for (id, line) in CATALOGUE {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == id) {
            continue;
        }
        note(&format!("\n{id}: {line}"));
        let mut report = Report::new(id, line);
        match id {
            "P1" => start::measure(&mut report, release).await?,
            "P3" => apply::measure(&mut report, release).await?,
            "LOGIN" => login_kinds::measure(&mut report, release).await?,
            "P5" => memory::measure(&mut report, release, options.accounts).await?,
            "P9" => due::measure(&mut report, release, options.accounts).await?,
            "P10" => rotations::measure(&mut report, release).await?,
            "P11" => outage::measure(&mut report, release, options.accounts, options.outage).await?,
            "P13" => fairness::measure(&mut report, release, options.backlog).await?,
            "P17" => hostile::measure(&mut report, release).await?,
            "PATTERN" => pattern::measure(&mut report, release, options.projects).await?,
            "PREFIX" => prefix::measure(&mut report, release, options.accounts, options.rate).await?,
            _ => writes::measure(&mut report, release).await?,
        }
        if release {
            report.write()?;
        }
    }
    Ok(())
}

/// A stage with release builds, a namespace and projects, whose operator logs in as a robot and is not held back by its
/// rate limit. Harbor takes its time from the end of this on.
async fn stage(release: bool, projects: &[String]) -> Result<(Stage, Login)> {
    let stage = tokio::task::spawn_blocking(move || Stage::start(Wanted { release, ..Wanted::default() })).await??;
    stage.plane.kubectl(["create", "namespace", accounts::NAMESPACE]).ok()?;
    stage.harbor().seed_projects(projects).await?;
    let login = stage.harbor().create_robot_login("bench", &[]).await?;
    register(&stage, &login)?;
    stage.harbor().quirks(json!({"latencyMs": LATENCY_MS})).await?;
    Ok((stage, login))
}

/// Names of the projects that accounts are spread over, so many to each.
fn projects(accounts: usize, per_project: usize) -> Vec<String> {
    (0..accounts.div_ceil(per_project)).map(|number| format!("p-{number}")).collect()
}

/// Makes the registry object and the Secret with its login.
fn register(stage: &Stage, login: &Login) -> Result<()> {
    register_with(stage, login, UNLIMITED, "1h")
}

/// The same with another rate limit and another interval of polls.
fn register_with(stage: &Stage, login: &Login, rate: u32, poll_interval: &str) -> Result<()> {
    let limit = json!({"requestsPerSecond": rate, "maxInFlight": 64});
    stage.apply_registry(login, &json!({"rateLimit": limit, "pollInterval": poll_interval}))
}

/// Starts the operator while others go on.
async fn operator(stage: Stage) -> Result<(Stage, Operator)> {
    tokio::task::spawn_blocking(move || {
        let operator = stage.operator()?;
        Ok((stage, operator))
    })
    .await?
}

/// Ends the operator with SIGTERM.
async fn terminate(mut operator: Operator) -> Result<()> {
    tokio::task::spawn_blocking(move || operator.terminate()).await??;
    Ok(())
}
