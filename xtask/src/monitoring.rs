//! `cargo xtask monitoring`: alerts, dashboard and the configuration of kube-state-metrics against the real programs that
//! read them. A command of its own, since building Prometheus takes longer than most of the tests.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harbor_robot_world::{Login, Operator, note, poll, scratch, workspace_root};
use serde_json::{Value, json};

use crate::generate::CHART;
use crate::stage::{NAMESPACE, Stage, Wanted};
use crate::tools;

const ALERTS: &str = "files/alerts.yaml";
const DASHBOARD: &str = "files/dashboard.json";
const STATE_METRICS: &str = "deploy/monitoring/kube-state-metrics-values.yaml";

const SOON: Duration = Duration::from_mins(1);

/// The programs of `tests/monitoring/tools`.
struct Tools {
    prometheus: PathBuf,
    promtool: PathBuf,
    state_metrics: PathBuf,
}

pub(crate) async fn run() -> Result<()> {
    let tools = tokio::task::spawn_blocking(build).await??;
    alerts(&tools)?;
    let stage = tokio::task::spawn_blocking(|| Stage::start(Wanted::default())).await??;
    let operator = world(&stage).await?;
    let metrics = operator.metrics().await?;
    conventions(&tools, &metrics)?;
    state_metrics(&tools, &stage)?;
    let prometheus = Prometheus::start(&tools, &operator).await?;
    queries(&prometheus, &stage).await?;
    println!("alerts, dashboard and series are as they should be");
    Ok(())
}

/// Builds the tools once for each state of their module. Of service discovery only files and static targets are needed.
fn build() -> Result<Tools> {
    let go =
        |package: &str, name: &str| tools::go("tests/monitoring/tools", package, name, &["-tags", "remove_all_sd"]);
    note("building Prometheus (once, some minutes)…");
    Ok(Tools {
        prometheus: go("github.com/prometheus/prometheus/cmd/prometheus", "prometheus")?,
        promtool: go("github.com/prometheus/prometheus/cmd/promtool", "promtool")?,
        state_metrics: go(".", "state-metrics")?,
    })
}

fn chart(file: &str) -> PathBuf {
    workspace_root().join(CHART).join(file)
}

/// What a program prints; an error with what it complains of.
fn output(program: &Path, args: &[&str], stdin: &str) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args).current_dir(workspace_root());
    harbor_robot_world::run(command, stdin.as_bytes())
        .ok()
        .with_context(|| format!("{} {}", program.display(), args.join(" ")))
}

/// The rules are rules, and fire when they should.
fn alerts(tools: &Tools) -> Result<()> {
    print!("{}", output(&tools.promtool, &["check", "rules", &chart(ALERTS).to_string_lossy()], "")?);
    print!("{}", output(&tools.promtool, &["test", "rules", "tests/monitoring/alerts.yaml"], "")?);
    Ok(())
}

/// Names, help and types as Prometheus' own lint wants them.
fn conventions(tools: &Tools, metrics: &str) -> Result<()> {
    // What promtool reads is the older text format: the end is not marked, and a family is named as its samples are.
    let kinds = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let tails: BTreeMap<&str, &str> = kinds
        .filter_map(|(name, kind)| match kind {
            "counter" => Some((name, "_total")),
            "info" => Some((name, "_info")),
            _ => None,
        })
        .collect();
    let mut text = String::new();
    for line in metrics.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let line = match words.as_slice() {
            ["#", what, name, rest] => {
                let rest = if *what == "TYPE" && *rest == "info" { "gauge" } else { rest };
                format!("# {what} {name}{} {rest}", tails.get(name).unwrap_or(&""))
            }
            _ => line.replace("{}", ""),
        };
        text += &line;
        text.push('\n');
    }
    output(&tools.promtool, &["check", "metrics"], &text).context(text)?;
    println!("{} metrics are named as Prometheus wants", metrics.matches("# TYPE ").count());
    Ok(())
}

/// A world in which everything that a panel shows is there: a login that expires, accounts in each state, robots without an
/// account and robots that nobody manages.
async fn world(stage: &Stage) -> Result<Operator> {
    let harbor = stage.harbor();
    harbor.create_project("demo").await?;
    let make = async |name: &str, level: &str, description: &str, permissions: &Value| {
        let body = json!({
            "name": name, "level": level, "duration": 30, "description": description, "permissions": permissions,
        });
        harbor.api(http::Method::POST, "/robots", Some(body)).await?.ok()
    };
    let of_system = json!([
        {"kind": "system", "namespace": "/", "access": [
            {"resource": "robot", "action": "list"}, {"resource": "robot", "action": "create"},
            {"resource": "robot", "action": "read"}, {"resource": "robot", "action": "delete"},
            {"resource": "project", "action": "list"}]},
        {"kind": "project", "namespace": "*", "access": [
            {"resource": "robot", "action": "list"}, {"resource": "robot", "action": "create"},
            {"resource": "robot", "action": "read"}, {"resource": "robot", "action": "delete"},
            {"resource": "project", "action": "read"}, {"resource": "repository", "action": "pull"}]},
    ]);
    let own = make("operator", "system", "", &of_system).await?;
    let text = |key: &str| own[key].as_str().unwrap_or_default().to_owned();
    let login = Login { name: text("name"), secret: text("secret") };
    let pull =
        json!([{"kind": "project", "namespace": "demo", "access": [{"resource": "repository", "action": "pull"}]}]);
    make("by-hand", "project", "", &pull).await?;
    stage.apply_registry(&login, &json!({"pollInterval": "2s"}))?;
    let operator = stage.operator_with(&["--private-registry-hosts=*", "--settle-after=1"])?;
    account(stage, "ready", "demo")?;
    account(stage, "nowhere", "no-such-project")?;
    stage.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "own-login", "namespace": "default", "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": login.name, "password": login.secret},
    }))?;
    stage.apply(&json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "own", "namespace": "default"},
        "spec": {"url": harbor.url, "auth": {"secretRef": {"name": "own-login"}}},
    }))?;
    for what in ["robotaccount/ready", "harborregistry/own", "clusterharborregistry/main"] {
        stage.plane.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "-n", "default", what]).ok()?;
    }
    let cluster = ["get", "clusterharborregistry", "main", "-o", "jsonpath={.status.clusterName}"];
    let cluster = stage.plane.kubectl(cluster).ok()?;
    let mark = format!("[harbor-robots.io/v1 0a1b2c3d-0000-4000-8000-000000000000 {cluster}/default/gone]");
    make("gone", "project", &mark, &pull).await?;
    poll("everything that panels show is told", SOON, || async {
        let metrics = operator.metrics().await.map_err(|error| error.to_string())?;
        let missing: Vec<&str> = [
            "harbor_robots_orphans{registry=\"main\"} 1",
            "harbor_robots_unmanaged_robots{registry=\"main\"} 1",
            "harbor_robots_not_ready_accounts{reason=\"ProjectNotFound\"} 1",
            "harbor_robots_login_expiry_timestamp_seconds{",
        ]
        .into_iter()
        .filter(|line| !metrics.contains(line))
        .collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} in\n{metrics}")) }
    })
    .await?;
    Ok(operator)
}

fn account(stage: &Stage, name: &str, project: &str) -> Result<()> {
    stage.apply(&json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"project": project, "permissions": ["PullArtifacts"], "expiresAfter": "20d"},
    }))
}

/// The configuration is one of kube-state-metrics', and tells of each account what its status says.
fn state_metrics(tools: &Tools, stage: &Stage) -> Result<()> {
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(workspace_root().join(STATE_METRICS))?)?;
    let config = &values["customResourceState"]["config"];
    let path = scratch()?.join("config.json");
    fs::write(&path, config.to_string())?;
    let kinds = "robotaccounts,systemrobotaccounts,harborregistries,clusterharborregistries";
    let list: Value = serde_json::from_str(&stage.plane.kubectl(["get", kinds, "-A", "-o", "json"]).ok()?)?;
    let items = list["items"].as_array().context("a list")?;
    let lines: Vec<String> = items.iter().map(Value::to_string).collect();
    let series = output(&tools.state_metrics, &[&path.to_string_lossy()], &lines.join("\n"))?;
    let ready = items.iter().find(|item| item["metadata"]["name"] == "ready").context("the account")?;
    let seconds = |pointer: &str| -> Result<f64> {
        let text = ready.pointer(pointer).and_then(Value::as_str).with_context(|| format!("{pointer} of {ready}"))?;
        Ok(std::time::Duration::from_secs(text.parse::<jiff::Timestamp>()?.as_second().try_into()?).as_secs_f64())
    };
    for (name, wanted) in [
        ("account_expiry_timestamp_seconds", seconds("/status/robot/expirationTime")?),
        ("account_renewal_timestamp_seconds", seconds("/status/renewalTime")?),
    ] {
        let told =
            sample(&series, &format!("harbor_robots_{name}"), &["account=\"ready\"", "account_namespace=\"default\""]);
        ensure!(
            told.is_some_and(|told| (told - wanted).abs() < 1.0),
            "{name}: {told:?}, status says {wanted}\n{series}"
        );
    }
    for (labels, wanted) in [
        (&["account=\"ready\"", "type=\"Ready\"", "reason=\"Published\""][..], 1.0),
        (&["account=\"nowhere\"", "type=\"Ready\"", "reason=\"ProjectNotFound\""], 0.0),
    ] {
        let told = sample(&series, "harbor_robots_account_condition", labels);
        ensure!(told == Some(wanted), "{labels:?}: {told:?}\n{series}");
    }
    let registry = sample(&series, "harbor_robots_registry_condition", &["registry=\"main\"", "type=\"Ready\""]);
    ensure!(registry == Some(1.0), "{registry:?}\n{series}");
    println!(
        "kube-state-metrics makes {} series of {} objects",
        series.lines().filter(|l| !l.starts_with('#')).count(),
        items.len()
    );
    Ok(())
}

/// The value of the series with this name and these labels.
fn sample(series: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = series.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
            && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A Prometheus that scrapes one operator; ends when dropped.
struct Prometheus<'a> {
    tools: &'a Tools,
    url: String,
    _process: tokio::process::Child,
}

impl<'a> Prometheus<'a> {
    async fn start(tools: &'a Tools, operator: &Operator) -> Result<Self> {
        let folder = scratch()?;
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [{
                "job_name": "harbor-robots",
                "static_configs": [{
                    "targets": [operator.metrics_address.as_str()],
                    "labels": {"namespace": NAMESPACE, "pod": "operator-0"},
                }],
            }],
            "rule_files": [chart(ALERTS)],
        });
        fs::write(folder.join("prometheus.yaml"), config.to_string())?;
        let log = folder.join("prometheus.log");
        let process = tokio::process::Command::new(&tools.prometheus)
            .arg(format!("--config.file={}", folder.join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("start prometheus")?;
        let url = poll("Prometheus says where it listens", SOON, || async {
            let text = fs::read_to_string(&log).map_err(|error| error.to_string())?;
            let line = text.lines().find(|line| line.contains("Listening on"));
            let address = line.and_then(|line| line.split("address=").nth(1)?.split_whitespace().next());
            address.map(|address| format!("http://{address}")).ok_or(text.clone())
        })
        .await?;
        Ok(Self { tools, url, _process: process })
    }

    /// Waits until a query has an answer.
    async fn has_samples(&self, expression: &str) -> Result<()> {
        poll(expression, SOON, || async {
            let answer = self.query(expression).map_err(|error| error.to_string())?;
            if answer.trim().is_empty() { Err("nothing yet".to_owned()) } else { Ok(()) }
        })
        .await
    }

    /// What a query answers now: one line for each series.
    fn query(&self, expression: &str) -> Result<String> {
        output(&self.tools.promtool, &["query", "instant", &self.url, expression], "")
    }
}

/// Each query of the dashboard has an answer, and each alert can be asked.
async fn queries(prometheus: &Prometheus<'_>, stage: &Stage) -> Result<()> {
    // Rates need two samples, and something that happens between them.
    prometheus.has_samples("harbor_robots_leading").await?;
    account(stage, "later", "demo")?;
    prometheus.has_samples("(sum(harbor_robots_passes_total) - sum(harbor_robots_passes_total offset 5s)) > 0").await?;
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(chart(DASHBOARD))?)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let (mut asked, mut empty) = (0, Vec::new());
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().context("expr")?;
            let expression = expression.replace("$namespace", NAMESPACE).replace("$__rate_interval", "1m");
            ensure!(!expression.contains('$'), "{expression}: a variable that is not known");
            let answer = prometheus.query(&expression).with_context(|| format!("panel {}", panel["title"]))?;
            let answered = answer.lines().any(|line| !line.trim().is_empty() && !line.contains("NaN"));
            if !answered {
                empty.push(format!("{}: {expression}", panel["title"]));
            }
            asked += 1;
        }
    }
    if !empty.is_empty() {
        bail!("{} of {asked} queries have no answer:\n{}", empty.len(), empty.join("\n"));
    }
    println!("{asked} queries of the dashboard have an answer in Prometheus");
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(chart(ALERTS))?)?;
    let rules = rules["groups"][0]["rules"].as_array().context("rules")?;
    let mut firing = Vec::new();
    for rule in rules {
        let (name, expression) = (rule["alert"].as_str().context("alert")?, rule["expr"].as_str().context("expr")?);
        if !prometheus.query(expression)?.trim().is_empty() {
            firing.push(name);
        }
    }
    ensure!(firing == ["HarborRobotsNotReady", "HarborRobotsOrphans"], "in this world these would fire: {firing:?}");
    println!("of {} alerts these two would fire: {}", rules.len(), firing.join(", "));
    Ok(())
}
