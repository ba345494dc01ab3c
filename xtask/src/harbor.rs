//! `cargo xtask harbor`: only the stand-in.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use harbor_robot_world::{Profile, program};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where to listen, like 127.0.0.1:8080; port 0 lets the kernel choose
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The administrator's login
    #[arg(long, value_name = "USER:PASSWORD")]
    admin: Option<String>,
    /// URL of a distribution registry to put behind /v2/
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// The version to behave like, from 2.2 to 2.16, such as 2.13.5 [default: the newest]
    #[arg(long, value_name = "VERSION")]
    harbor_version: Option<String>,
}

/// Becomes the stand-in, so that signals reach it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let program = program("harbor-stand-in", Profile::Dev)?;
    let mut command = Command::new(&program);
    command.args(["--listen", &options.listen]);
    if let Some(admin) = &options.admin {
        command.args(["--admin", admin]);
    }
    if let Some(registry) = &options.registry {
        command.args(["--registry", registry]);
    }
    if let Some(version) = &options.harbor_version {
        command.args(["--harbor-version", version]);
    }
    Err(command.exec()).with_context(|| format!("run {}", program.display()))
}
