//! `cargo xtask test`: everything that has to hold before a change is merged.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harbor_robot_world::{PROGRAMS, rig, target_dir};

/// The contract's replay has a heading of its own.
const CONTRACT: &str = "contract";

/// How a step ended.
enum Outcome {
    Passed,
    Failed,
    Skipped(&'static str),
}

pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    let mut report = Vec::new();
    let mut step = |name: &'static str, work: &dyn Fn() -> Result<Outcome>| {
        println!("\n=== {name}");
        let begun = Instant::now();
        let outcome = work().unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome::Failed
        });
        println!("=== {name}: {} in {}", word(&outcome), seconds(begun.elapsed()));
        report.push((name, outcome, begun.elapsed()));
    };

    step("format", &|| cargo(&["fmt", "--all", "--check"]));
    step("lints", &|| cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    step("test control plane is built", &|| rig().map(|_| Outcome::Passed));
    step("unit and property tests", &|| cargo(&["test", "--workspace", "--lib", "--bins"]));
    step("documentation tests", &|| cargo(&["test", "--workspace", "--doc"]));
    step("contract with Harbor", &|| cargo(&["test", "--workspace", "--test", CONTRACT]));
    step("integration tests", &integration);
    step("generated files", &generated);
    step("licences and advisories", &deny);

    println!("\n=== summary, {}", seconds(started.elapsed()));
    for (name, outcome, took) in &report {
        println!("{:<8} {:>7}  {name}", word(outcome), seconds(*took));
        if let Outcome::Skipped(why) = outcome {
            println!("                  {why}");
        }
    }
    let failed: Vec<_> =
        report.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed)).map(|(name, ..)| *name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
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
    let status = command(args).status().context("run cargo")?;
    Ok(outcome(status.success()))
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
    cargo(&args)
}

/// A process of its own, so that it takes the operator that the tests were built with.
fn generated() -> Result<Outcome> {
    let mut check = Command::new(std::env::current_exe()?);
    check.args(["crds", "--check"]).env(PROGRAMS, programs());
    Ok(outcome(check.status()?.success()))
}

fn deny() -> Result<Outcome> {
    let there = command(&["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if there {
        cargo(&["deny", "check"])
    } else {
        Ok(Outcome::Skipped("cargo-deny is not installed: cargo install --locked cargo-deny"))
    }
}
