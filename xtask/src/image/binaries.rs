//! Static programs that name the packages they are made of, the same bytes from every folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use harbor_robot_world::note;

use super::NAME;
use super::tools::Tools;

/// A platform that is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Amd64,
    Arm64,
}

impl Target {
    pub(super) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// As Rust names it.
    pub(super) const fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// As images name it.
    pub(super) const fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The one of this machine.
    pub(super) fn native() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("nothing is built for {other}"),
        }
    }

    /// What runs its programs here; `None` = nothing is needed.
    pub(super) fn emulator(self) -> Result<Option<PathBuf>> {
        if Self::native()? == self {
            return Ok(None);
        }
        let name = match self {
            Self::Amd64 => "qemu-x86_64-static",
            Self::Arm64 => "qemu-aarch64-static",
        };
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.exists());
        let found = found.with_context(|| {
            format!("{name} is not in the PATH: it runs programs of {} (Debian: qemu-user-static)", self.architecture())
        })?;
        Ok(Some(found))
    }
}

/// Builds the release program of `sources` to `program`. `folder` is kept for the next time.
pub(super) fn build(tools: &Tools, target: Target, sources: &Path, folder: &Path, program: &Path) -> Result<()> {
    note(&format!("building {} for {} (minutes)…", NAME, target.triple()));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("no home folder")?;
    let sources = sources.canonicalize()?;
    // Paths of this machine are in the messages of panics: each gets a name that all machines share.
    let remap = [(sources.as_path(), "/harbor-robot-operator"), (&home, "/cargo"), (folder, "/build")];
    let flags: Vec<String> =
        remap.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([tools.cargo_commands.clone()].into_iter().chain(std::env::split_paths(&path)))?;
    let status = harbor_robot_world::cargo()
        .current_dir(&sources)
        .args(["auditable", "zigbuild", "--release", "--locked", "--package", NAME, "--bin", NAME])
        .args(["--target", target.triple(), "--target-dir"])
        .arg(folder)
        .env("PATH", path)
        .env("CARGO_ZIGBUILD_ZIG_PATH", &tools.zig)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env_remove("RUSTFLAGS")
        .status()?;
    ensure!(status.success(), "{NAME} cannot be built for {}: {status}", target.triple());
    fs::copy(folder.join(target.triple()).join("release").join(NAME), program)?;
    ensure!(!needs_interpreter(&fs::read(program)?)?, "{} is not static", program.display());
    Ok(())
}

/// True of a program that a dynamic linker has to load, which an empty image does not have: it has a segment `PT_INTERP`.
fn needs_interpreter(elf: &[u8]) -> Result<bool> {
    ensure!(elf.starts_with(b"\x7fELF\x02\x01"), "not a program of 64 bits, little-endian");
    let word = |at: usize, size: usize| -> Result<usize> {
        let bytes = elf.get(at..at + size).context("a program that is cut off")?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    };
    let (start, size, count) = (word(0x20, 8)?, word(0x36, 2)?, word(0x38, 2)?);
    for header in 0..count {
        if word(start + header * size, 4)? == 3 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many packages the program says it is made of.
pub(super) fn packages(program: &Path) -> Result<usize> {
    let info = auditable_info::audit_info_from_file(program, auditable_info::Limits::default())
        .with_context(|| format!("{} does not say what it is made of", program.display()))?;
    Ok(info.packages.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_for_a_dynamic_linker_is_told_from_a_static_one() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needs_interpreter(&own).unwrap(), "the tests are linked dynamically");
        let mut headless = own.clone();
        headless[0x38..0x3a].fill(0);
        assert!(!needs_interpreter(&headless).unwrap());
        assert!(needs_interpreter(&own[..0x30]).is_err() && needs_interpreter(b"#!/bin/sh").is_err());
    }
}
