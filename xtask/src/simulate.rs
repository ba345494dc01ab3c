//! `cargo xtask simulate`: the whole operator on simulated time, with everything that can go wrong.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};

/// What `tests/simulation` understands; `--help` lists it.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Arguments of the simulation, such as --seeds 500 or --seed 7 --trace; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut cargo = harbor_robot_world::cargo();
    // A profile of its own: fast, and with every check for overflows. Its dependencies are built once, which takes minutes.
    cargo.args(["run", "--quiet", "--profile", "simulation", "--package", "harbor-robot-simulation", "--"]);
    if !cargo.args(&options.args).status().context("run cargo")?.success() {
        bail!("the simulation failed: what did not settle is told above");
    }
    Ok(())
}
