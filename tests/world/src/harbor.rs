//! The Harbor stand-in as a process, and a small client of Harbor's API.

mod client;
mod controls;

use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::process::{Child, ChildStdin, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

pub use client::{Answer, HarborClient, Login};
pub use controls::{Call, Calls};

use crate::child;
use crate::programs::{Profile, program};

/// How a stand-in is started.
#[derive(Clone, Debug)]
pub struct HarborOptions {
    /// Where it listens; port 0 lets the kernel choose.
    pub listen: String,
    /// The administrator, `user:password`; its own default when not given.
    pub admin: Option<String>,
    /// The distribution registry behind its `/v2/`.
    pub registry: Option<String>,
    /// Whether it serves https, with an authority of its own.
    pub tls: bool,
    /// Further arguments.
    pub args: Vec<String>,
    /// How its program is built.
    pub profile: Profile,
}

impl Default for HarborOptions {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            admin: None,
            registry: None,
            tls: false,
            args: Vec::new(),
            profile: Profile::Dev,
        }
    }
}

/// A running stand-in; dropping it ends it. Harbor's API is at the [`HarborClient`] that it dereferences to.
pub struct Harbor {
    client: HarborClient,
    child: Child,
    stdin: Option<ChildStdin>,
}

#[derive(Deserialize)]
struct Started {
    url: String,
    admin: String,
    ca: Option<String>,
}

impl Harbor {
    /// Starts one. Blocks until it answers.
    pub fn start(options: &HarborOptions) -> Result<Self> {
        let program = program("harbor-stand-in", options.profile)?;
        let mut command = child::command(program, ["--listen", &options.listen, "--exit-with-stdin"]);
        if let Some(admin) = &options.admin {
            command.args(["--admin", admin]);
        }
        if let Some(registry) = &options.registry {
            command.args(["--registry", registry]);
        }
        if options.tls {
            command.arg("--tls");
        }
        command.args(&options.args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child::spawn(command)?;
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        if line.is_empty() {
            bail!("the Harbor stand-in ended with {}", child.wait()?);
        }
        let started: Started = serde_json::from_str(&line).with_context(|| format!("harbor-stand-in said {line}"))?;
        let ca = match started.ca {
            Some(ca) if !ca.contains("BEGIN CERTIFICATE") => {
                Some(std::fs::read_to_string(&ca).with_context(|| format!("read {ca}"))?)
            }
            ca => ca,
        };
        let admin = started.admin.parse::<Login>().map_err(|error| anyhow!(error))?;
        Ok(Self { client: HarborClient::new(&started.url, admin, ca)?, child, stdin })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Deref for Harbor {
    type Target = HarborClient;

    fn deref(&self) -> &HarborClient {
        &self.client
    }
}

impl Drop for Harbor {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
