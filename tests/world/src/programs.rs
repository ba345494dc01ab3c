//! Builds and finds the programs of this workspace.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

use crate::progress::{note, with_progress};
use crate::target::workspace_root;

/// Names a folder with all programs, already built: cargo is not asked then.
pub const PROGRAMS: &str = "HARBOR_ROBOT_PROGRAMS";

/// How a program is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// As `cargo build` does.
    #[default]
    Dev,
    /// As `cargo build --release` does.
    Release,
}

/// The file of a program of this workspace, built now if it is absent or older than its sources. Cargo is asked once per
/// process and profile.
pub fn program(name: &str, profile: Profile) -> Result<PathBuf> {
    static DEV: OnceLock<Built> = OnceLock::new();
    static RELEASE: OnceLock<Built> = OnceLock::new();
    // Cargo has just built the programs of the package whose test this is.
    if let (Profile::Dev, Some(path)) = (profile, std::env::var_os(format!("CARGO_BIN_EXE_{name}"))) {
        return Ok(path.into());
    }
    if let (Profile::Dev, Some(folder)) = (profile, std::env::var_os(PROGRAMS)) {
        return Ok(PathBuf::from(folder).join(name));
    }
    let built = match profile {
        Profile::Dev => &DEV,
        Profile::Release => &RELEASE,
    };
    let programs = built.get_or_init(|| build(profile).map_err(|error| format!("{error:#}")));
    let programs = programs.as_ref().map_err(|error| anyhow!(error.clone()))?;
    programs.get(name).cloned().with_context(|| format!("cargo built no program {name}"))
}

type Built = std::result::Result<BTreeMap<String, PathBuf>, String>;

/// The packages whose programs are built, those of one entry with one set of features. The release operator is built
/// alone: it is what is shipped, without features that only the test parts ask for.
const fn packages(profile: Profile) -> &'static [&'static [&'static str]] {
    match profile {
        Profile::Dev => &[&["harbor-robot-operator", "kubectl-robots", "harbor-stand-in", "harbor-robot-world"]],
        Profile::Release => &[&["harbor-robot-operator"], &["harbor-stand-in", "harbor-robot-world"]],
    }
}

fn build(profile: Profile) -> Result<BTreeMap<String, PathBuf>> {
    let mut programs = BTreeMap::new();
    for packages in packages(profile) {
        let release = if profile == Profile::Release { " (release)" } else { "" };
        let what = format!("building {}{release}", packages.join(", "));
        if profile == Profile::Release {
            note(&format!("{what}…"));
        }
        programs.extend(with_progress(&what, || cargo_build(packages, profile)).context(what.clone())?);
    }
    Ok(programs)
}

/// Cargo in the workspace's root, as a person calls it: without what an outer cargo tells the program that it runs about
/// that program's package. ring's build script looks at that, so with it each call would build ring anew, and all above.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(workspace_root());
    for (name, _) in std::env::vars_os() {
        let of_a_package = |prefix: &&str| name.to_string_lossy().starts_with(prefix);
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"].iter().any(of_a_package) {
            command.env_remove(&name);
        }
    }
    command
}

fn cargo_build(packages: &[&str], profile: Profile) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--bins", "--message-format=json-render-diagnostics"]);
    for package in packages {
        command.args(["-p", package]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("cargo build failed");
    }
    let mut programs = BTreeMap::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: serde_json::Value = serde_json::from_slice(line).context("cargo's messages are JSON")?;
        if let (Some(name), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str()) {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Ok(programs)
}
