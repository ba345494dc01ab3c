//! `cargo xtask explore`: every order of events around one account, against the decision table that ships.

use anyhow::{Context, Result, bail};

/// Where the search is, as a filter for tests.
const TESTS: &str = "domain::explorer";
/// Its long one, which `cargo test` leaves out.
const DEEP: &str = "domain::explorer::deep_tests::every_rule_holds_whatever_happens_four_times";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Up to four events: 280 million states, a quarter of an hour of one core and a gigabyte for each thread
    #[arg(long)]
    deep: bool,
    /// Of the deep search, only the configurations whose names contain this text
    #[arg(long, value_name = "TEXT", requires = "deep")]
    only: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut cargo = harbor_robot_world::cargo();
    // Only the workspace's own packages are built anew: the dependencies have settings of their own.
    let fast = ["--config", "profile.dev.opt-level=3"];
    cargo.args(["test", "--package", "harbor-robot-operator", "--lib"]);
    if let Some(only) = &options.only {
        cargo.env("EXPLORE_ONLY", only);
    }
    if options.deep {
        cargo.args(fast).args([DEEP, "--", "--exact", "--ignored", "--nocapture"]);
    } else {
        cargo.args([TESTS, "--", "--nocapture"]);
    }
    if !cargo.status().context("run cargo")?.success() {
        bail!("a rule is broken: the trace above is a shortest one");
    }
    Ok(())
}
