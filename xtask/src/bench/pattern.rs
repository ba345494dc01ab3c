//! PATTERN: what it costs to follow the projects that a pattern finds.
//!
//! One system account asks for `project-*`. A person's login gives new projects to the robot by a PUT; a robot may not
//! update one of the system, so another robot takes its place.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harbor_robot_world::{Call, Calls, HarborClient, Login, Operator, note, poll};
use http::Method;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

use super::due::{CREATE, quiet};
use super::memory::{megabytes, number, served};
use super::report::Report;
use super::{UNLIMITED, accounts, counts, operator, register_with, stage};
use crate::stage::Stage;

const POLL: Duration = Duration::from_secs(5);
/// Polls that find nothing new.
const IDLE_POLLS: u32 = 3;
/// Projects that are made at one moment.
const AT_ONCE: usize = 50;
/// A credential that was replaced is not replaced again within a minute but for its age.
const PACE: Duration = Duration::from_secs(65);
/// Between two calls of a poll passes less.
const GAP: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_mins(10);
const UPDATE: &str = "PUT /api/v2.0/robots/{id}";

pub(crate) async fn measure(report: &mut Report, release: bool, projects: usize) -> Result<()> {
    for login in ["administrator", "robot"] {
        note(&format!("PATTERN: {projects} projects, login of the kind {login}"));
        follow(report, release, projects, login).await?;
    }
    Ok(())
}

/// What a robot login needs to keep system robots that pull, for projects found by a pattern.
fn rights() -> Value {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<Value> {
        pairs.iter().map(|(resource, action)| json!({"resource": resource, "action": action})).collect()
    };
    let system = [("robot", "create"), ("robot", "read"), ("robot", "list"), ("robot", "delete"), ("project", "list")];
    json!([
        {"kind": "system", "namespace": "/", "access": pairs(&system)},
        {"kind": "project", "namespace": "*", "access": pairs(&[("project", "read"), ("repository", "pull")])},
    ])
}

struct Bench<'a> {
    report: &'a mut Report,
    stage: Stage,
    operator: Operator,
    client: kube::Client,
    api: Api<DynamicObject>,
    login: &'static str,
    /// How many projects there are.
    projects: usize,
}

async fn follow(report: &mut Report, release: bool, projects: usize, login: &'static str) -> Result<()> {
    let (stage, _) = stage(release, &names(0..projects)).await?;
    register_with(&stage, &log_in(stage.harbor(), login).await?, UNLIMITED, &format!("{}s", POLL.as_secs()))?;
    let (stage, operator) = operator(stage).await?;
    served(&stage, &operator).await?;
    quiet(stage.harbor(), GAP).await?;
    let client = stage.plane.client().await?;
    let api = accounts::system_api(&client);
    let mut bench = Bench { report, stage, operator, client, api, login, projects };
    bench.memory("before")?;
    bench.start().await?;
    bench.nothing_new().await?;
    bench.memory("after the start and some polls")?;
    bench.grow("1 new project", 1).await?;
    bench.memory("after 1 new project")?;
    tokio::time::sleep(PACE).await;
    bench.grow(&format!("{AT_ONCE} new projects at once"), AT_ONCE).await?;
    bench.grow("1 more straight after these", 1).await?;
    bench.memory("in the end")
}

async fn log_in(harbor: &HarborClient, kind: &str) -> Result<Login> {
    match kind {
        "robot" => harbor.create_system_robot("keeper", rights()).await,
        _ => Ok(harbor.admin.clone()),
    }
}

fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("project-{number:05}")).collect()
}

impl Bench<'_> {
    fn harbor(&self) -> &HarborClient {
        self.stage.harbor()
    }

    fn add(&mut self, metric: &str, value: f64, unit: &'static str, at_most: Option<f64>) {
        self.report.add(format!("{}: {metric}", self.login), value, unit, at_most);
    }

    fn add_calls(&mut self, when: &str, calls: &Calls) {
        self.add(&format!("{when}: calls"), number(calls.total), "calls", None);
        for (call, count) in &calls.by {
            self.add(&format!("{when}: {call}"), number(*count), "calls", None);
        }
    }

    fn memory(&mut self, when: &str) -> Result<()> {
        let usage = self.operator.usage()?;
        self.add(&format!("RSS {when}"), megabytes(usage.rss), "MB", None);
        self.add(&format!("peak {when}"), megabytes(usage.peak_rss), "MB", None);
        Ok(())
    }

    /// The account is made while all projects are there.
    async fn start(&mut self) -> Result<()> {
        self.harbor().reset_calls().await?;
        let account = serde_json::from_value(json!({
            "apiVersion": "harbor-robots.io/v1alpha1",
            "kind": "SystemRobotAccount",
            "metadata": {"name": "images"},
            "spec": {"projects": {"matching": [{"pattern": "project-*", "permissions": ["PullArtifacts"]}]}},
        }))?;
        let ready = tokio::spawn(accounts::ready(self.api.clone(), 1, TIMEOUT));
        let begun = Instant::now();
        accounts::create(&self.api, vec![account]).await?;
        let took = (ready.await?? - begun).as_secs_f64();
        let calls = self.harbor().call_counts().await?;
        self.add("start: projects", number(self.projects), "", None);
        self.add("start: apply to Ready", took * 1000.0, "ms", None);
        self.add_calls("start", &calls);
        self.check().await
    }

    /// Polls while no project comes or goes.
    async fn nothing_new(&mut self) -> Result<()> {
        self.after_a_poll().await?;
        self.harbor().reset_calls().await?;
        let before = counts::read(&self.client).await?;
        let cpu = self.operator.usage()?.cpu;
        tokio::time::sleep(POLL * IDLE_POLLS).await;
        quiet(self.harbor(), GAP).await?;
        let calls = self.harbor().call_counts().await?;
        let requests = counts::difference(&before, &counts::read(&self.client).await?);
        let cpu = self.operator.usage()?.cpu.saturating_sub(cpu);
        let writes: u64 = calls.by.iter().filter(|(call, _)| !is_read(call)).map(|(_, count)| count).sum();
        let kube_writes = requests.iter().filter(|(key, _)| counts::is_write(key) && counts::is_about_accounts(key));
        // An empty sum is -0.0.
        let kube_writes = kube_writes.map(|(_, count)| count).sum::<f64>().abs();
        let polls = f64::from(IDLE_POLLS);
        self.add("nothing new: calls per poll", number(calls.total) / polls, "calls", None);
        for (call, count) in &calls.by {
            self.add(&format!("nothing new: {call}, per poll"), number(*count) / polls, "calls", None);
        }
        self.add("nothing new: processor time per poll", cpu.as_secs_f64() * 1000.0 / polls, "ms", None);
        self.add("nothing new: writes to Harbor", number(writes), "calls", Some(0.0));
        self.add("nothing new: Kubernetes writes", kube_writes, "requests", Some(0.0));
        Ok(())
    }

    /// Projects come straight after a poll, which is when it takes longest until the next one finds them.
    async fn grow(&mut self, what: &str, more: usize) -> Result<()> {
        self.after_a_poll().await?;
        self.harbor().reset_calls().await?;
        let before = counts::read(&self.client).await?;
        let total = self.projects + more;
        let told = tokio::spawn(accounts::until(self.api.clone(), 1, TIMEOUT, move |account| {
            account.data["status"]["projects"]["count"] == total
                && accounts::is_true(account, "Ready")
                && accounts::is_true(account, "Synced")
        }));
        let begun = Instant::now();
        self.harbor().seed_projects(&names(self.projects..total)).await?;
        self.projects = total;
        poll("the robot holds the new projects", TIMEOUT, async || {
            let calls = self.harbor().calls().await.map_err(|error| error.to_string())?;
            if changes(&calls) > 0 { Ok(()) } else { Err("no change".to_owned()) }
        })
        .await?;
        let held = begun.elapsed().as_secs_f64();
        let told = (told.await??.last - begun).as_secs_f64();
        quiet(self.harbor(), GAP).await?;
        let calls = self.harbor().calls().await?;
        let requests = counts::difference(&before, &counts::read(&self.client).await?);
        self.add(&format!("{what}: until the robot holds it"), held, "s", None);
        self.add(&format!("{what}: until then, in polls"), held / POLL.as_secs_f64(), "polls", None);
        self.add(&format!("{what}: until status says so"), told, "s", None);
        self.add(&format!("{what}: changes (PUT or POST)"), number(changes(&calls)), "calls", Some(1.0));
        self.add_calls(what, &calls);
        for (key, count) in requests.iter().filter(|(key, _)| counts::is_write(key) && counts::is_about_accounts(key)) {
            self.add(&format!("{what}: Kubernetes: {key}"), *count, "requests", None);
        }
        self.check().await
    }

    /// Fails unless a robot reaches every project.
    async fn check(&self) -> Result<()> {
        let robots = self.harbor().api(Method::GET, "/robots?page_size=100", None).await?.ok()?;
        let robots = robots.as_array().context("a list of robots")?;
        let most = robots.iter().filter_map(|robot| Some(robot["permissions"].as_array()?.len())).max();
        ensure!(most == Some(self.projects), "the robot reaches {most:?} of {} projects", self.projects);
        Ok(())
    }

    /// Waits until a poll is over.
    async fn after_a_poll(&self) -> Result<()> {
        let before = quiet(self.harbor(), GAP).await?;
        poll("the next poll", TIMEOUT, async || {
            let calls = self.harbor().call_counts().await.map_err(|error| error.to_string())?;
            if calls.total > before { Ok(()) } else { Err(format!("{before} calls")) }
        })
        .await?;
        quiet(self.harbor(), GAP).await.map(drop)
    }
}

fn is_read(call: &str) -> bool {
    call.starts_with("GET ") || call.starts_with("HEAD ")
}

/// How often a robot was made or given other permissions. A PUT that is refused, by which a robot login finds out that it
/// may not, is none.
fn changes(calls: &Calls) -> usize {
    let is_one = |call: &&Call| [CREATE, UPDATE].contains(&call.operation().as_str()) && call.status < 300;
    calls.calls.iter().filter(is_one).count()
}
