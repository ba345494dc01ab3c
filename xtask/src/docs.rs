//! `cargo xtask docs`: the documentation as a site.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use harbor_robot_world::{target_dir, workspace_root};

use crate::tools;

const MDBOOK: &str = "mdbook@0.5.4";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Serve it on this port of loopback and build it again at each change, until Ctrl-C
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "3000")]
    serve: Option<u16>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mdbook = tools::cargo(MDBOOK, &["--no-default-features", "--features", "serve,watch"])?.join("mdbook");
    let site = target_dir().join("book");
    let mut command = Command::new(&mdbook);
    command.arg(if options.serve.is_some() { "serve" } else { "build" });
    command.arg(workspace_root().join("docs")).arg("--dest-dir").arg(&site);
    if let Some(port) = options.serve {
        command.args(["--hostname", "127.0.0.1", "--port", &port.to_string()]);
        let status = command.status().context("run mdbook")?;
        return if status.success() { Ok(()) } else { bail!("mdbook ended with {status}") };
    }
    let output = harbor_robot_world::run(command, b"");
    print!("{}", output.stderr);
    // mdbook goes on after what it warns of: a chapter that is not there, a page that it cannot read.
    let complaint = output.stderr.lines().find(|line| line.contains("WARN") || line.contains("ERROR"));
    ensure!(output.success && complaint.is_none(), "mdbook: {}", complaint.unwrap_or("failed"));
    println!("{}", site.join("index.html").display());
    Ok(())
}
