//! Runs in processes of their own. In one process a second run differs from the first in the order in which some tasks are
//! woken: tokio counts its runtimes, and draws that order from the count.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use harbor_robot_operator::logging::{self, Format, Level};

use crate::diary::amiss;
use crate::run::{Outcome, Settings, run};

/// The argument that makes the program a child.
pub const CHILD: &str = "--child";

/// Runs in a process of its own, which is this program once more.
pub fn run_apart(program: &Path, settings: &Settings) -> Outcome {
    ask(program, settings).unwrap_or_else(|error| Outcome::ended_by(format!("h: the simulation failed: {error:#}")))
}

fn ask(program: &Path, settings: &Settings) -> Result<Outcome> {
    let mut command = Command::new(program);
    command.arg(CHILD).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
    child.stdin.take().context("stdin is piped")?.write_all(&serde_json::to_vec(settings)?)?;
    let output = child.wait_with_output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it ended with {}: {log}", output.status);
    let mut outcome: Outcome = serde_json::from_slice(&output.stdout)?;
    outcome.violations.extend(amiss(&log, &outcome.passwords));
    Ok(outcome)
}

/// What the child does.
pub fn answer() -> Result<()> {
    logging::init(Format::Json, Level::Info)?;
    let mut settings = Vec::new();
    std::io::stdin().read_to_end(&mut settings)?;
    let outcome = run(&serde_json::from_slice(&settings)?);
    std::io::stdout().write_all(&serde_json::to_vec(&outcome)?)?;
    Ok(())
}
