//! `cargo xtask test`: everything that has to hold before a change is merged, or the operator's tests against an older
//! Harbor.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use harbor_robot_world::{AUDIT_LOGS, PROGRAMS, rig, target_dir};

use crate::rights::Rights;
use crate::{audit, failures};

/// The contract's replay has a heading of its own.
const CONTRACT: &str = "contract";

/// The operator's tests take most of the time, and mostly wait: all others run beside them.
const OPERATOR: &str = "operator";

/// What the simulation only computes. Its conformance is tried against a real API server.
const OF_THE_SIMULATION: [&str; 2] = ["runs", "stories"];

/// Which Harbor the operator's tests meet.
const HARBOR_VERSION: &str = "HARBOR_STAND_IN_VERSION";

/// With which rights the operator runs in its tests.
const RIGHTS: &str = "HARBOR_ROBOT_RIGHTS";

/// Integration tests at once. They wait more than they work: as many as there are processors would leave these idle.
const AT_ONCE: &str = "--test-threads=6";

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
    /// With what is to be read of it at the end.
    Failed(String),
    Skipped(&'static str),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut report = Report::new();
    if options.harbor_version.is_empty() && options.rights.is_empty() {
        report.step("format", || cargo(&["fmt", "--all", "--check"]));
        report.step("lints", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
        report.step("test control plane is built", || rig().map(|_| Outcome::Passed));
        report.step("tests are built", || cargo(&["test", "--workspace", "--no-run"]));
        report.tests()?;
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

/// What a step was, how it ended and how long it took.
type Step = (String, Outcome, Duration);

/// What came of the steps so far.
struct Report {
    started: Instant,
    steps: Vec<Step>,
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
            Outcome::Failed(String::new())
        });
        println!("=== {name}: {} in {}", word(&outcome), seconds(begun.elapsed()));
        self.steps.push((name.to_owned(), outcome, begun.elapsed()));
    }

    /// All tests. Those of the operator, which mostly wait, show how they get on. What only computes runs beside them with
    /// what they leave of the processors, and is shown step by step, as each ends.
    fn tests(&mut self) -> Result<()> {
        let others = [
            ("unit and property tests", words("test --workspace --lib --bins")),
            ("contract with Harbor", [words("test --workspace --test"), words(CONTRACT)].concat()),
            ("simulation", simulation()),
        ];
        let audit_logs = new_audit_logs(Rights::Shipped)?;
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| others.map(|(name, args)| aside(name, &args, &audit_logs)));
            self.step("operator", || {
                println!("$ cargo {}", operator_tests().join(" "));
                followed(command(&operator_tests()).env(AUDIT_LOGS, &audit_logs))
            });
            self.steps.extend(beside.join().map_err(|_| anyhow!("the thread of the other tests panicked"))?);
            anyhow::Ok(())
        })?;
        // They have servers and deadlines of their own.
        self.step("integration tests", || {
            let integration = integration()?;
            println!("$ cargo {}", integration.join(" "));
            followed(command(&integration).env(AUDIT_LOGS, &audit_logs))
        });
        Ok(())
    }

    fn finish(self) -> Result<()> {
        println!("\n=== summary, {}", seconds(self.started.elapsed()));
        for (name, outcome, took) in &self.steps {
            println!("{:<8} {:>7}  {name}", word(outcome), seconds(*took));
            if let Outcome::Skipped(why) = outcome {
                println!("                  {why}");
            }
        }
        let mut failed = Vec::new();
        for (name, outcome, _) in &self.steps {
            if let Outcome::Failed(told) = outcome {
                failed.push(name.as_str());
                if !told.is_empty() {
                    print!("\n=== what failed in {name}\n{told}");
                }
            }
        }
        if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "FAILED",
        Outcome::Skipped(_) => "skipped",
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn outcome(success: bool) -> Outcome {
    if success { Outcome::Passed } else { Outcome::Failed(String::new()) }
}

/// The same of tests that printed this.
fn outcome_of_tests(success: bool, output: &str) -> Outcome {
    if success { Outcome::Passed } else { Outcome::Failed(failures::told(output)) }
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

/// A file that nobody else has: what a former step left behind may still write into the one of that name before.
fn new_log(path: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().create_new(true).append(true).open(path)
}

/// Runs tests and shows what they say as they say it.
fn followed(command: &mut Command) -> Result<Outcome> {
    Ok(logged(command, "followed.log", true)?.0)
}

/// Runs tests, and answers with all that they said.
fn logged(command: &mut Command, log: &str, shown: bool) -> Result<(Outcome, String)> {
    // A file and not a pipe, which would not end before whatever a test left behind does.
    let log = target_dir().join(log);
    let to = new_log(&log).with_context(|| format!("write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(to.try_clone()?).stderr(to);
    let mut child = command.spawn().with_context(|| format!("run {}", command.get_program().display()))?;
    let (mut from, mut output) = (File::open(&log)?, Vec::new());
    let mut ended = None;
    let ended = loop {
        let seen = output.len();
        from.read_to_end(&mut output)?;
        if shown {
            std::io::stdout().write_all(&output[seen..])?;
        }
        match ended {
            // What was written before the end is read.
            Some(ended) => break ended,
            None => ended = child.try_wait()?,
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok((outcome_of_tests(ended.success(), &output), output))
}

/// Each test selection builds the programs of the packages it touches, so no test has to ask cargo for them again.
fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = harbor_robot_world::cargo();
    command.args(args).env(PROGRAMS, programs());
    command
}

/// Runs cargo with a low priority, and shows what it said when it has ended.
fn aside(name: &str, args: &[String], audit_logs: &Path) -> Step {
    let begun = Instant::now();
    let run = || -> Result<(Outcome, String)> {
        let cargo = command(args);
        let mut command = Command::new("nice");
        command.args(["-n", "15"]).arg(cargo.get_program()).args(cargo.get_args());
        for (name, value) in cargo.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = cargo.get_current_dir() {
            command.current_dir(folder);
        }
        logged(command.env(AUDIT_LOGS, audit_logs), "aside.log", false)
    };
    let (outcome, text) = run().unwrap_or_else(|error| (Outcome::Failed(String::new()), format!("{error:#}\n")));
    let (took, word) = (begun.elapsed(), word(&outcome));
    println!(
        "\n=== {name}, beside the operator's tests\n$ cargo {}\n{text}=== {name}: {word} in {}\n",
        args.join(" "),
        seconds(took)
    );
    (name.to_owned(), outcome, took)
}

/// The arguments that run the operator's tests.
fn operator_tests() -> Vec<String> {
    [words("test --workspace --test"), words(OPERATOR), words("--"), words(AT_ONCE)].concat()
}

/// The arguments that run what the simulation computes.
fn simulation() -> Vec<String> {
    let tests = OF_THE_SIMULATION.into_iter().flat_map(|name| ["--test", name]);
    ["test", "--workspace"].into_iter().chain(tests).map(str::to_owned).collect()
}

/// The arguments that run all other test targets.
fn integration() -> Result<Vec<String>> {
    let output = command(&["metadata", "--no-deps", "--format-version=1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let targets =
        metadata["packages"].as_array().into_iter().flatten().filter_map(|package| package["targets"].as_array());
    let names = targets
        .flatten()
        .filter(|target| target["kind"][0] == "test")
        .filter_map(|target| target["name"].as_str())
        .filter(|name| ![CONTRACT, OPERATOR].contains(name) && !OF_THE_SIMULATION.contains(name));
    let tests = names.flat_map(|name| ["--test", name]).map(str::to_owned);
    Ok([words("test --workspace --no-fail-fast"), tests.collect(), words("--"), words(AT_ONCE)].concat())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
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
    let built = cargo(&["build", "--workspace", "--bins"])?;
    if let Outcome::Failed(_) = built {
        return Ok(built);
    }
    let skip = rights.left_out().flat_map(|test| ["--skip", test]).map(str::to_owned);
    let args: Vec<String> = operator_tests().into_iter().chain(skip).collect();
    println!("$ {RIGHTS}={} cargo {}", rights.word(), args.join(" "));
    followed(command(&args).env(RIGHTS, rights.word()).env(AUDIT_LOGS, new_audit_logs(rights)?))
}

/// The operator's tests alone, which run programs of other packages.
fn against(version: &str) -> Result<Outcome> {
    let built = cargo(&["build", "--workspace", "--bins"])?;
    if let Outcome::Failed(_) = built {
        return Ok(built);
    }
    let args = operator_tests();
    println!("$ {HARBOR_VERSION}={version} cargo {}", args.join(" "));
    followed(command(&args).env(HARBOR_VERSION, version))
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
