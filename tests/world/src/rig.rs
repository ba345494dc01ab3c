//! Builds `tests/rig`, once for each state of its sources.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};

use crate::progress::{note, with_progress};
use crate::target::{target_dir, workspace_root};

/// Clients cannot parse the version that an API server without this stamp reports.
const STAMP: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3";

/// The rig's program; built now if it is not there.
pub fn rig() -> Result<PathBuf> {
    static RIG: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    RIG.get_or_init(|| build_rig().map_err(|error| format!("{error:#}"))).clone().map_err(|error| anyhow!(error))
}

/// Builds the rig into `target/rig/<hash of its sources and Go's version>/rig` unless it is there. Processes that want it
/// at the same time build it once.
pub fn build_rig() -> Result<PathBuf> {
    let sources = workspace_root().join("tests/rig");
    let folder = target_dir().join("rig").join(key(&sources)?);
    let program = folder.join("rig");
    if program.exists() {
        return Ok(program);
    }
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    with_progress("waiting for another process that builds the test control plane", || lock.lock())?;
    if program.exists() {
        return Ok(program);
    }
    note("building the test control plane (once, 3-5 minutes)…");
    let unfinished = folder.join("rig.new");
    let status = with_progress("go build tests/rig", || {
        Command::new("go")
            .current_dir(&sources)
            .args(["build", "-buildvcs=false", "-ldflags", STAMP, "-o"])
            .arg(&unfinished)
            .arg(".")
            .env("CGO_ENABLED", "0")
            .status()
    })
    .context("run go")?;
    if !status.success() {
        bail!("the test control plane cannot be built: go build in {} ended with {status}", sources.display());
    }
    fs::rename(&unfinished, &program)?;
    Ok(program)
}

fn key(sources: &Path) -> Result<String> {
    let go = Command::new("go").current_dir(sources).args(["env", "GOVERSION"]).output().context(
        "the test control plane is a Go program: Go 1.26 or newer is needed (https://go.dev/dl), or it is not in the PATH",
    )?;
    let mut files: Vec<PathBuf> = fs::read_dir(sources)
        .with_context(|| format!("read {}", sources.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "go" || end == "mod" || end == "sum"));
    files.sort();
    let mut hash = Sha256::new();
    hash.update(&go.stdout);
    hash.update(STAMP);
    for file in files {
        let content = fs::read(&file)?;
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    // Half of it is a short enough folder name, and still no two states share one.
    let digest = hash.finalize();
    Ok(digest.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}
