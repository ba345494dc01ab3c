//! `cargo xtask test`: everything that has to hold before a change is merged, or the operator's tests against an older
//! Harbor.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harbor_robot_world::{AUDIT_LOGS, PROGRAMS, rig, target_dir};

use crate::audit;
use crate::rights::Rights;

/// The contract's replay has a heading of its own.
const CONTRACT: &str = "contract";

/// Which Harbor the operator's tests meet.
const HARBOR_VERSION: &str = "HARBOR_STAND_IN_VERSION";

/// With which rights the operator runs in its tests.
const RIGHTS: &str = "HARBOR_ROBOT_RIGHTS";

/// Integration tests at once. They wait more than they work: as many as there are processors would leave these idle.
const AT_ONCE: &str = "--test-threads=4";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run the operator's tests alone, against this version of Harbor, such as 2.13.5; several one after the other
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    harbor_version: Vec<String>,
    /// Run the operator's tests alone, with the rights of another manifest; several one after the other
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',')]
    rights: Vec<Rights>,
}

/// How a step ended.
enum Outcome {
    Passed,
    Failed,
    Skipped(&'static str),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut report = Report::new();
    if options.harbor_version.is_empty() && options.rights.is_empty() {
        report.step("format", || cargo(&["fmt", "--all", "--check"]));
        report.step("lints", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
        report.step("test control plane is built", || rig().map(|_| Outcome::Passed));
        report.step("unit and property tests", || cargo(&["test", "--workspace", "--lib", "--bins"]));
        report.step("documentation tests", || cargo(&["test", "--workspace", "--doc"]));
        report.step("contract with Harbor", || cargo(&["test", "--workspace", "--test", CONTRACT]));
        report.step("integration tests", integration);
        report.step("rights are used and suffice", || audited(Rights::Shipped));
        report.step("generated files", generated);
        report.step("licences and advisories", deny);
    }
    for version in &options.harbor_version {
        report.step(&format!("operator against Harbor {version}"), || against(version));
    }
    for rights in &options.rights {
        report.step(&format!("operator with {} rights", rights.word()), || with_rights(*rights));
        report.step(&format!("{} rights are used and suffice", rights.word()), || audited(*rights));
    }
    report.finish()
}

/// What came of the steps so far.
struct Report {
    started: Instant,
    steps: Vec<(String, Outcome, Duration)>,
}

impl Report {
    fn new() -> Self {
        Self { started: Instant::now(), steps: Vec::new() }
    }

    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) {
        println!("\n=== {name}");
        let begun = Instant::now();
        let outcome = work().unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome::Failed
        });
        println!("=== {name}: {} in {}", word(&outcome), seconds(begun.elapsed()));
        self.steps.push((name.to_owned(), outcome, begun.elapsed()));
    }

    fn finish(self) -> Result<()> {
        println!("\n=== summary, {}", seconds(self.started.elapsed()));
        for (name, outcome, took) in &self.steps {
            println!("{:<8} {:>7}  {name}", word(outcome), seconds(*took));
            if let Outcome::Skipped(why) = outcome {
                println!("                  {why}");
            }
        }
        let failed = self.steps.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed));
        let failed: Vec<&str> = failed.map(|(name, ..)| name.as_str()).collect();
        if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
        Outcome::Skipped(_) => "skipped",
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn outcome(success: bool) -> Outcome {
    if success { Outcome::Passed } else { Outcome::Failed }
}

/// Where `cargo test` puts the programs.
fn programs() -> PathBuf {
    target_dir().join("debug")
}

fn cargo(args: &[&str]) -> Result<Outcome> {
    println!("$ cargo {}", args.join(" "));
    run_command(&mut command(args))
}

fn run_command(command: &mut Command) -> Result<Outcome> {
    Ok(outcome(command.status().with_context(|| format!("run {}", command.get_program().display()))?.success()))
}

/// Each test selection builds the programs of the packages it touches, so no test has to ask cargo for them again.
fn command(args: &[&str]) -> Command {
    let mut command = harbor_robot_world::cargo();
    command.args(args).env(PROGRAMS, programs());
    command
}

/// All test targets but the contract's.
fn integration() -> Result<Outcome> {
    let output = command(&["metadata", "--no-deps", "--format-version=1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let targets =
        metadata["packages"].as_array().into_iter().flatten().filter_map(|package| package["targets"].as_array());
    let names: Vec<String> = targets
        .flatten()
        .filter(|target| target["kind"][0] == "test")
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .filter(|name| name != CONTRACT)
        .collect();
    let mut args = vec!["test", "--workspace", "--no-fail-fast"];
    for name in &names {
        args.extend(["--test", name]);
    }
    args.extend(["--", AT_ONCE]);
    println!("$ cargo {}", args.join(" "));
    run_command(command(&args).env(AUDIT_LOGS, new_audit_logs(Rights::Shipped)?))
}

/// The folder of a run's audit logs, without those of earlier runs.
fn new_audit_logs(rights: Rights) -> Result<PathBuf> {
    let folder = rights.audit_logs();
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(folder),
    }
}

fn audited(rights: Rights) -> Result<Outcome> {
    audit::check(&rights.audit_logs(), &rights.manifests()).map(outcome)
}

/// The operator's tests alone, with the rights of a manifest.
fn with_rights(rights: Rights) -> Result<Outcome> {
    if matches!(cargo(&["build", "--workspace", "--bins"])?, Outcome::Failed) {
        return Ok(Outcome::Failed);
    }
    let mut args = vec!["test", "--workspace", "--test", "operator", "--", AT_ONCE];
    for test in rights.left_out() {
        args.extend(["--skip", test]);
    }
    println!("$ {RIGHTS}={} cargo {}", rights.word(), args.join(" "));
    run_command(command(&args).env(RIGHTS, rights.word()).env(AUDIT_LOGS, new_audit_logs(rights)?))
}

/// The operator's tests alone, which run programs of other packages.
fn against(version: &str) -> Result<Outcome> {
    if matches!(cargo(&["build", "--workspace", "--bins"])?, Outcome::Failed) {
        return Ok(Outcome::Failed);
    }
    let args = ["test", "--workspace", "--test", "operator", "--", AT_ONCE];
    println!("$ {HARBOR_VERSION}={version} cargo {}", args.join(" "));
    run_command(command(&args).env(HARBOR_VERSION, version))
}

/// A process of its own, so that it takes the operator that the tests were built with.
fn generated() -> Result<Outcome> {
    let mut check = Command::new(std::env::current_exe()?);
    run_command(check.args(["generate", "--check"]).env(PROGRAMS, programs()))
}

fn deny() -> Result<Outcome> {
    let there = command(&["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if there {
        cargo(&["deny", "check"])
    } else {
        Ok(Outcome::Skipped("cargo-deny is not installed: cargo install --locked cargo-deny"))
    }
}
