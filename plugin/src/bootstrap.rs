//! `bootstrap`: from an administrator's login to one that renews itself.
//!
//! The administrator's password never reaches the cluster. It makes one robot in Harbor that lives for a day; the operator makes its
//! own login by that one, and goes on with what it made.

mod manifests;
mod steps;

use std::process::ExitCode;

use clap::Args;
use harbor_robot_operator::api::{ObjectName, Permission};
use harbor_robot_operator::registry::LoginKind;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::harbor::LoginArgs;
use crate::output::{Format, write_value};
use manifests::Manifests;
use steps::Bootstrap;

/// Flags of `bootstrap`.
#[derive(Debug, Args)]
pub(crate) struct BootstrapArgs {
    #[command(flatten)]
    pub login: LoginArgs,
    /// The ClusterHarborRegistry to make, or to give the login to.
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub registry: ObjectName,
    /// The SystemRobotAccount to make; its Secret has the same name.
    #[arg(long, default_value = "operator-login", value_name = "NAME")]
    pub account: ObjectName,
    /// What accounts can be given, since a robot hands out only what it holds. Left out: what the ten permissions of
    /// Harbor's page come to.
    #[arg(long, value_delimiter = ',', value_parser = permission, value_name = "A,B")]
    pub permissions: Vec<Permission>,
    /// Say what would be made, as manifests, and make nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How long to wait for the operator at each step.
    #[arg(long, default_value = "2m", value_parser = crate::cli::duration, value_name = "DURATION")]
    pub timeout: std::time::Duration,
}

fn permission(text: &str) -> Result<Permission, String> {
    let known = || Permission::ALL.map(|name| format!("{name:?}"));
    Permission::ALL
        .into_iter()
        .find(|name| format!("{name:?}") == text)
        .ok_or_else(|| format!("the permissions of Harbor's page are {}", known().join(", ")))
}

pub(crate) async fn run(cluster: &Cluster, args: &BootstrapArgs) -> Result<ExitCode, Error> {
    let url = args.login.url.as_ref().ok_or_else(|| Error::Refused("--harbor says where Harbor is".to_owned()))?;
    let manifests = Manifests { args, url: url.as_str().trim_end_matches('/'), roots: args.login.roots()? };
    if args.dry_run {
        for manifest in [manifests.registry(&args.account), manifests.account()] {
            println!("---");
            write_value(&mut std::io::stdout().lock(), Format::Yaml, &manifest)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (_, harbor) = args.login.client()?;
    let info = harbor.info().await.map_err(|error| Error::Refused(format!("{url}: {error}")))?;
    if info.login != LoginKind::Administrator {
        let text = "only an administrator of Harbor makes a robot of the system; this login is another one";
        return Err(Error::Refused(format!("{url}: {text}")));
    }
    Bootstrap { cluster, harbor: &harbor, args, manifests: &manifests }.run().await?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_those_of_harbors_page() {
        assert_eq!(permission("PullArtifacts"), Ok(Permission::PullArtifacts));
        assert!(permission("pull").unwrap_err().contains("PushArtifacts, PullArtifacts"));
    }
}
