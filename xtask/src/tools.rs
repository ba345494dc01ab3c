//! Programs of others that commands need, at pinned versions, installed once below the target directory.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harbor_robot_world::{target_dir, with_progress, workspace_root};

/// Where they are.
pub(crate) fn folder() -> PathBuf {
    target_dir().join("tools")
}

/// Installs `name@version` unless cargo finds it there; answers with the folder of such programs.
pub(crate) fn cargo(tool: &str, options: &[&str]) -> Result<PathBuf> {
    let root = folder().join("cargo");
    let status = with_progress(&format!("cargo install {tool}"), || {
        harbor_robot_world::cargo()
            .args(["install", "--quiet", "--locked", "--root"])
            .arg(&root)
            .args(options)
            .arg(tool)
            .env_remove("CARGO_TARGET_DIR")
            .status()
    })?;
    ensure!(status.success(), "cargo install {tool} failed: {status}");
    Ok(root.join("bin"))
}

/// Builds a program of a Go module of this repository, whose go.mod pins it; Go looks itself whether there is anything to do.
pub(crate) fn go(module: &str, package: &str, name: &str, options: &[&str]) -> Result<PathBuf> {
    let program = folder().join(name);
    let status = with_progress(&format!("go build {name}"), || {
        Command::new("go")
            .current_dir(workspace_root().join(module))
            .args(["build", "-buildvcs=false", "-ldflags", "-s -w"])
            .args(options)
            .arg("-o")
            .arg(&program)
            .arg(package)
            .env("CGO_ENABLED", "0")
            .status()
    })
    .context("run go: Go 1.26 or newer is needed (https://go.dev/dl)")?;
    ensure!(status.success(), "{name} cannot be built: go build ended with {status}");
    Ok(program)
}
