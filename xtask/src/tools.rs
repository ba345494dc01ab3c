//! Programs of others that commands need, at pinned versions, installed once below the target directory.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use harbor_robot_world::{target_dir, with_progress};

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
