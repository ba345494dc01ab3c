//! `import`: accounts for robots that exist, as manifests or, with `--apply`, taken over one after the other.

mod found;
mod manifest;
mod secrets;
mod take_over;
mod terraform;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args};
use harbor_robot_operator::api::{ObjectName, RegistryKey, RegistryKind};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::harbor::{HarborArgs, LoginArgs};
use crate::output::{counted, printable};
use found::Found;
use manifest::Manifest;
use secrets::Passwords;

/// Flags of `import`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").args(["registry", "url", "terraform"]).required(true))]
pub(crate) struct ImportArgs {
    /// From the Harbor of this registry, which the accounts will name: NAME of a ClusterHarborRegistry, or NAMESPACE/NAME.
    #[arg(long, value_name = "REGISTRY", value_parser = crate::harbor::registry_key)]
    pub registry: Option<RegistryKey>,
    #[command(flatten)]
    pub login: LoginArgs,
    /// From what `terraform show -json` printed into this file; `-` reads it from standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["apply", "password_stdin", "find_secrets"])]
    pub terraform: Option<PathBuf>,
    /// Only robots of projects with these names; `*` stands for any text [default: all projects, and the system].
    #[arg(long, value_delimiter = ',', value_name = "PATTERN,…")]
    pub projects: Vec<String>,
    /// The namespace of all accounts [default: that of the one pull Secret that holds the login, else one that is called
    /// like the project].
    #[arg(long, value_name = "NAMESPACE")]
    pub to: Option<ObjectName>,
    /// Look for today's secrets in pull Secrets of all namespaces that you may read, so that nobody who uses one notices the
    /// take-over.
    #[arg(long)]
    pub find_secrets: bool,
    /// Accounts under other names (with `-2` behind them), for robots beside those that exist: nothing is taken over.
    #[arg(long)]
    pub beside: bool,
    /// Make the accounts, one project after the other, and wait until each is in order; stop at the first that is not. What
    /// was made before is left out when it is run again.
    #[arg(long, requires = "registry")]
    pub apply: bool,
    /// With --apply: do it. Without this it only says what it would do.
    #[arg(long, requires = "apply")]
    pub yes: bool,
    /// With --apply: take over robots whose secret is not found, too. Whoever uses one is out at once.
    #[arg(long, requires = "apply")]
    pub replace_secrets: bool,
    /// How long to wait for each account.
    #[arg(long, default_value = "2m", value_parser = crate::cli::duration, value_name = "DURATION")]
    pub timeout: Duration,
}

/// A robot that can become an account, and how.
pub(crate) struct Candidate {
    found: Found,
    manifest: Manifest,
}

pub(crate) async fn run(cluster: &Cluster, args: &ImportArgs) -> Result<ExitCode, Error> {
    let mut passwords = Passwords::default();
    let (robots, registry) = if let Some(file) = &args.terraform {
        (terraform::read(file)?, None)
    } else {
        let which = HarborArgs { registry: args.registry.clone(), login: args.login.clone() };
        let harbor = which.connect(cluster).await?;
        let robots = found::unmanaged(&harbor, &args.projects).await?;
        if args.find_secrets {
            passwords = Passwords::find(cluster, &harbor.hosts()).await?;
            let logins = robots.iter().map(|robot| robot.full_name.as_str()).collect();
            passwords.keep_what_works(&harbor.client, &logins).await?;
        }
        (robots, harbor.registry)
    };
    let candidates = candidates(robots, &passwords, args);
    if args.apply {
        return take_over::run(cluster, args, &candidates, registry.as_ref()).await;
    }
    print(&candidates)?;
    Ok(ExitCode::SUCCESS)
}

fn candidates(robots: Vec<Found>, passwords: &Passwords, args: &ImportArgs) -> Vec<Candidate> {
    let reference = args.registry.as_ref().map(|key| match key.kind() {
        RegistryKind::ClusterHarborRegistry => ("ClusterHarborRegistry", key.name().as_str()),
        RegistryKind::HarborRegistry => ("HarborRegistry", key.name().as_str()),
    });
    let mut candidates: Vec<Candidate> = robots
        .into_iter()
        .map(|found| {
            let manifest = Manifest::of(&found, passwords.of(&found.full_name), reference, args);
            Candidate { found, manifest }
        })
        .collect();
    candidates.sort_by(|a, b| a.order().cmp(&b.order()));
    candidates
}

impl Candidate {
    fn order(&self) -> (Option<&str>, Option<&str>, &str) {
        (self.manifest.namespace.as_deref(), self.found.project(), &self.found.full_name)
    }
}

/// The manifests, namespace by namespace; what cannot be said in one is a comment.
fn print(candidates: &[Candidate]) -> Result<(), Error> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for candidate in candidates {
        *counts.entry(candidate.manifest.namespace.as_deref().unwrap_or("the cluster")).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(place, count)| format!("{count} of {place}")).collect();
    writeln!(out, "# {} that no account manages: {}", counted(candidates.len(), "robot"), counts.join(", "))?;
    for Candidate { found, manifest } in candidates {
        writeln!(out, "---\n# {}", printable(&found.full_name))?;
        for note in &manifest.notes {
            writeln!(out, "# {}", printable(note))?;
        }
        match &manifest.object {
            Some(object) => {
                let text = serde_saphyr::to_string(object).map_err(|error| Error::Refused(error.to_string()))?;
                writeln!(out, "{}", text.trim_end())?;
            }
            None => writeln!(out, "# No account can be made of it.")?,
        }
    }
    Ok(out.flush()?)
}
