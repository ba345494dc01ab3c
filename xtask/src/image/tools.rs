//! What builds the release, at the versions that make two builds equal. Installed once, below the target directory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harbor_robot_world::note;

use crate::tools;

const ZIGBUILD: &str = "cargo-zigbuild@0.24.1";
const AUDITABLE: &str = "cargo-auditable@0.7.7";
/// Zig's C compiler and linker for every platform, as Python packages have them, and Mozilla's certificate authorities: by
/// their hashes, for Linux on amd64 and arm64.
const PYTHON: &str = include_str!("requirements.txt");

/// See the module.
pub(super) struct Tools {
    /// The folder with cargo's sub-commands.
    pub cargo_commands: PathBuf,
    /// Zig.
    pub zig: PathBuf,
    /// The certificate authorities that the image trusts, in PEM.
    pub certificates: PathBuf,
}

impl Tools {
    /// Installs what is not there yet.
    pub(super) fn get() -> Result<Self> {
        tools::cargo(ZIGBUILD, &[])?;
        let cargo_commands = tools::cargo(AUDITABLE, &[])?;
        let python = tools::folder().join("python");
        let done = python.join("requirements.txt");
        if !fs::read_to_string(&done).is_ok_and(|text| text == PYTHON) {
            note("installing Zig and certificate authorities with pip (once)");
            fs::create_dir_all(&python)?;
            let wanted = python.join("wanted.txt");
            fs::write(&wanted, PYTHON)?;
            let status = Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"])
                .args(["--root-user-action=ignore", "--require-hashes", "--only-binary=:all:", "--target"])
                .arg(&python)
                .arg("--requirement")
                .arg(&wanted)
                .status()
                .context("Python 3 with pip is needed: Zig, which links for other platforms, is had from there")?;
            ensure!(status.success(), "pip install of xtask/src/image/requirements.txt failed: {status}");
            fs::rename(wanted, done)?;
        }
        for target in super::Target::ALL {
            let status = Command::new("rustup").args(["target", "add", target.triple()]).status();
            let status = status.context("rustup is needed: it brings Rust's library for other platforms")?;
            ensure!(status.success(), "rustup target add {} failed: {status}", target.triple());
        }
        Ok(Self { cargo_commands, zig: python.join("ziglang/zig"), certificates: python.join("certifi/cacert.pem") })
    }
}
