//! `cargo xtask image`: what a release consists of, made without a container engine: static programs for two architectures,
//! an image index in OCI's layout, and the packaged chart.

mod binaries;
mod layout;
mod tools;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use harbor_robot_world::{note, rig, scratch, target_dir, workspace_root};
use sha2::{Digest, Sha256};

use crate::generate::CHART;
use binaries::Target;
use layout::Image;
use tools::Tools;

const NAME: &str = "harbor-robot-operator";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Push the image index there, like registry.example.com/platform/harbor-robot-operator:0.1.0; with the login of
    /// Docker's configuration ($DOCKER_CONFIG)
    #[arg(long, value_name = "REFERENCE")]
    push: Option<String>,
    /// Run what was made: the demo with the program for this machine, the other one in qemu, and the install of the README
    #[arg(long)]
    test: bool,
    /// Build everything once more in another folder, and compare
    #[arg(long)]
    reproduce: bool,
    /// Build the programs alone
    #[arg(long, conflicts_with_all = ["push", "test", "reproduce"])]
    binaries: bool,
    /// Where everything is put [default: image within the target directory]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let out = options.out.clone().unwrap_or_else(|| target_dir().join("image"));
    if options.test {
        // What is missing is told before the minutes of building, not after them.
        for target in Target::ALL {
            target.emulator()?;
        }
    }
    let tools = Tools::get()?;
    if options.binaries {
        programs(&tools, &workspace_root(), &out)?;
        return Ok(());
    }
    let made = make(&tools, &workspace_root(), &out)?;
    print!("{}", made.report()?);
    if options.reproduce {
        reproduce(&tools, &made)?;
    }
    if options.test {
        test(&made)?;
    }
    if let Some(reference) = &options.push {
        push(&made, reference)?;
    }
    Ok(())
}

/// What was made, in one folder.
struct Made {
    folder: PathBuf,
    image: Image,
    chart: PathBuf,
}

/// Builds the programs of what is checked out in `sources` into `out`.
fn programs(tools: &Tools, sources: &Path, out: &Path) -> Result<Vec<(Target, PathBuf)>> {
    fs::create_dir_all(out)?;
    let mut programs = Vec::new();
    for target in Target::ALL {
        let program = out.join(format!("{NAME}-linux-{}", target.architecture()));
        binaries::build(tools, target, sources, &out.join("build"), &program)?;
        programs.push((target, program));
    }
    Ok(programs)
}

/// Builds everything.
fn make(tools: &Tools, sources: &Path, out: &Path) -> Result<Made> {
    let programs = programs(tools, sources, out)?;
    let commit = Commit::of(sources)?;
    let image = layout::write(&out.join("oci"), &programs, &fs::read(&tools.certificates)?, &commit)?;
    let chart = package(sources, out)?;
    let made = Made { folder: out.to_owned(), image, chart };
    fs::write(out.join("SHA256SUMS"), made.sums(&programs)?)?;
    Ok(made)
}

/// What is built, for the image's labels.
struct Commit {
    /// In full, with a word where something is not committed; empty outside of git.
    revision: String,
    /// When it was made, in RFC 3339: images of one commit are equal.
    time: String,
}

impl Commit {
    fn of(sources: &Path) -> Result<Self> {
        let output = Command::new("git").current_dir(sources).args(["log", "-1", "--format=%H %ct"]).output();
        let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8(text)?;
        let (revision, seconds) = text.trim().split_once(' ').unwrap_or(("", "0"));
        let time = jiff::Timestamp::from_second(seconds.parse()?)?.to_string();
        let status = Command::new("git").current_dir(sources).args(["status", "--porcelain"]).output();
        let dirty = status.is_ok_and(|output| output.status.success() && !output.stdout.is_empty());
        Ok(Self { revision: if dirty { format!("{revision}-dirty") } else { revision.to_owned() }, time })
    }
}

fn package(sources: &Path, out: &Path) -> Result<PathBuf> {
    let mut command = Command::new(rig()?);
    command.current_dir(sources).args(["helm", "package", CHART, "--destination"]).arg(out);
    let printed = harbor_robot_world::run(command, b"").ok().context("helm package")?;
    let path = printed.split("saved it to:").nth(1).with_context(|| format!("helm package said {printed}"))?;
    Ok(PathBuf::from(path.trim()))
}

impl Made {
    fn report(&self) -> Result<String> {
        let mut text = String::new();
        for target in Target::ALL {
            let program = self.program(target);
            let (size, packages) = (fs::metadata(&program)?.len(), binaries::packages(&program)?);
            let compressed = self.image.compressed(target);
            writeln!(
                text,
                "{}: {} static, names its {packages} packages; image {} compressed",
                program.display(),
                megabytes(size),
                megabytes(compressed)
            )?;
        }
        writeln!(text, "{}: {}", self.folder.join("oci").display(), self.image.digest)?;
        writeln!(text, "{}", self.chart.display())?;
        Ok(text)
    }

    fn program(&self, target: Target) -> PathBuf {
        self.folder.join(format!("{NAME}-linux-{}", target.architecture()))
    }

    fn sums(&self, programs: &[(Target, PathBuf)]) -> Result<String> {
        let mut text = String::new();
        for path in programs.iter().map(|(_, path)| path).chain([&self.chart]) {
            writeln!(text, "{}  {}", sha256(&fs::read(path)?), path.file_name().unwrap_or_default().display())?;
        }
        Ok(text)
    }
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Builds what is committed once more, in a folder of another name and depth.
fn reproduce(tools: &Tools, first: &Made) -> Result<()> {
    let scratch = scratch()?;
    let folder = scratch.join("elsewhere/and/deeper");
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--no-hardlinks"]).arg(workspace_root()).arg(&folder);
    harbor_robot_world::run(clone, b"").ok().context("git clone")?;
    note(&format!("building what is committed once more, in {}", folder.display()));
    // Beside the clone: in it, it would be a change that is not committed.
    let second = make(tools, &folder, &scratch.join("out"))?;
    for target in Target::ALL {
        let [a, b] = [first, &second].map(|made| fs::read(made.program(target)).map(|bytes| sha256(&bytes)));
        let (a, b) = (a?, b?);
        ensure!(a == b, "{}: {a} here and {b} there; are there changes that are not committed?", target.architecture());
    }
    ensure!(first.image.digest == second.image.digest, "image {} and {}", first.image.digest, second.image.digest);
    println!("two builds in two folders are equal: {}", first.image.digest);
    Ok(())
}

fn push(made: &Made, reference: &str) -> Result<()> {
    let mut command = Command::new(rig()?);
    command.args(["crane", "push"]).arg(made.folder.join("oci")).arg(reference);
    let pushed = harbor_robot_world::run(command, b"").ok().with_context(|| format!("push {reference}"))?;
    let digest = pushed.trim().rsplit('@').next().unwrap_or_default();
    ensure!(digest == made.image.digest, "{reference} has {digest} now, not {}", made.image.digest);
    println!("pushed {}", pushed.trim());
    Ok(())
}

/// The programs and the chart as somebody uses them.
fn test(made: &Made) -> Result<()> {
    for target in Target::ALL {
        let program = made.program(target);
        let run = |args: &[&str]| {
            let mut command = match target.emulator()? {
                None => Command::new(&program),
                Some(emulator) => {
                    let mut command = Command::new(emulator);
                    command.arg(&program);
                    command
                }
            };
            command.args(args).env_clear();
            harbor_robot_world::run(command, b"").ok().with_context(|| format!("{} {args:?}", program.display()))
        };
        let version = run(&["--version"])?;
        ensure!(version.trim() == format!("{NAME} {}", env!("CARGO_PKG_VERSION")), "{version}");
        let definitions = run(&["crds"])?;
        ensure!(definitions.matches("kind: CustomResourceDefinition").count() == 4, "{definitions}");
        println!("{}: --version and crds answer", target.architecture());
    }
    let native = made.program(Target::native()?);
    xtask(&["demo"], &[("HARBOR_ROBOT_OPERATOR", native.as_path())])?;
    println!("the demo runs with {}", native.display());
    let status = harbor_robot_world::cargo()
        .args(["test", "--workspace", "--test", "chart", "--", "readme::"])
        .env("HARBOR_ROBOT_IMAGE", "made")
        .status()?;
    ensure!(status.success(), "the README's install failed");
    println!("the README's install ends in an account that is Ready and an image that is pulled");
    Ok(())
}

fn xtask(args: &[&str], env: &[(&str, &Path)]) -> Result<()> {
    let status = Command::new(std::env::current_exe()?).args(args).envs(env.iter().copied()).status()?;
    if status.success() { Ok(()) } else { bail!("cargo xtask {} failed", args.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!([1, 100_000, 9_999_999, 10_000_001].map(megabytes), ["0.1 MB", "0.1 MB", "10.0 MB", "10.1 MB"]);
    }

    #[test]
    fn a_sum_is_as_sha256sum_prints_it() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
