//! `cargo xtask simulate`: the whole operator on simulated time, with everything that can go wrong.

use anyhow::{Context, Result, bail};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many runs
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Run for so long instead
    #[arg(long, conflicts_with = "seeds")]
    minutes: Option<u64>,
    /// One run only
    #[arg(long, conflicts_with_all = ["seeds", "first", "minutes"])]
    seed: Option<u64>,
    /// Of that run, only these misfortunes, separated by `;`
    #[arg(long, requires = "seed")]
    only: Option<String>,
    /// Show everything that happens in it
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Stop after so many failures
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Do not make the stories of failures short
    #[arg(long)]
    no_shrink: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut cargo = harbor_robot_world::cargo();
    // A profile of its own: fast, and with every check for overflows. Its dependencies are built once, which takes minutes.
    cargo.args(["run", "--quiet", "--profile", "simulation", "--package", "harbor-robot-simulation", "--"]);
    let mut flag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            cargo.args([name, &value]);
        }
    };
    match (options.seed, options.minutes) {
        (Some(seed), _) => flag("--seed", Some(seed.to_string())),
        (None, Some(minutes)) => flag("--minutes", Some(minutes.to_string())),
        (None, None) => flag("--seeds", Some(options.seeds.to_string())),
    }
    flag("--only", options.only.clone());
    flag("--first", options.seed.is_none().then(|| options.first.to_string()));
    flag("--failures", Some(options.failures.to_string()));
    for (name, on) in [("--trace", options.trace), ("--no-shrink", options.no_shrink)] {
        if on {
            cargo.arg(name);
        }
    }
    if !cargo.status().context("run cargo")?.success() {
        bail!("something did not settle: the stories above are as short as they could be made");
    }
    Ok(())
}
