//! Developer commands. `cargo xtask --help` lists them.

mod audit;
mod bench;
mod check;
mod conform;
mod demo;
mod docs;
mod explore;
mod failures;
mod fuzz;
mod generate;
mod harbor;
mod image;
mod monitoring;
mod objects;
mod rights;
mod samples;
mod simulate;
mod stage;
mod tools;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of harbor-robot-operator")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the operator at work: a RobotAccount becomes a robot, a Secret and a pulled image, and rotates in use
    Demo,
    /// Run every check: format, lints, tests, contract, generated files, licences
    Test(check::Options),
    /// Compare once more what the operator asked for in the last run of its tests with what it is granted
    Audit(audit::Options),
    /// Leave a control plane, a Harbor and the operator running until Ctrl-C
    Up(up::Options),
    /// Run the Harbor stand-in alone
    Harbor(harbor::Options),
    /// Write what is made from the types and from the chart: crds/, deploy/, docs/reference.md
    Generate(generate::Options),
    /// Explore every order of events around one account, against the decision table that ships
    Explore(explore::Options),
    /// Simulate the operator, Kubernetes and Harbor with everything that can go wrong, thousands of times faster than life
    Simulate(simulate::Options),
    /// Try the property tests with new cases, for as long as wanted
    Fuzz(fuzz::Options),
    /// Build what a release consists of: static programs, an image without a container engine, the packaged chart
    Image(image::Options),
    /// Check alerts, dashboard and series against Prometheus and kube-state-metrics; builds them first
    Monitoring,
    /// Check every manifest and the chart's objects against the schemas of their kinds, by kubeconform; builds it first
    Conform,
    /// Build the documentation as a site
    Docs(docs::Options),
    /// Measure what docs/benchmarks.md reports
    Bench(bench::Options),
}

fn main() -> ExitCode {
    harbor_robot_world::install_crypto_provider();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Test(options) => check::run(&options),
        Command::Audit(options) => audit::run(&options),
        Command::Harbor(options) => harbor::run(&options),
        Command::Generate(options) => generate::run(&options),
        Command::Explore(options) => explore::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Image(options) => image::run(&options),
        Command::Docs(options) => docs::run(&options),
        Command::Demo => runtime()?.block_on(demo::run()),
        Command::Monitoring => runtime()?.block_on(monitoring::run()),
        Command::Conform => runtime()?.block_on(conform::check()),
        Command::Up(options) => runtime()?.block_on(up::run(options)),
        Command::Bench(options) => runtime()?.block_on(bench::run(options)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
