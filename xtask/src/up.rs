//! `cargo xtask up`: the demo's world, left running.

use std::path::PathBuf;

use anyhow::{Result, bail};
use harbor_robot_world::{HarborClient, Login, Operator, note, rig};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::stage::{NAMESPACE, Stage, Wanted};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Folder for kubeconfig, data and logs [default: a new one under the target directory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Leave the operator out, to run it from elsewhere
    #[arg(long)]
    no_operator: bool,
    /// Run the release build of the operator
    #[arg(long)]
    release: bool,
    /// A Harbor that is already there, in place of the stand-in; http only on a loopback address
    #[arg(long, value_name = "URL", requires = "admin")]
    harbor: Option<String>,
    /// Login of an administrator of that Harbor
    #[arg(long, value_name = "USER:PASSWORD", requires = "harbor")]
    admin: Option<Login>,
    /// Further flags of the operator, after `--`
    #[arg(last = true, value_name = "OPERATOR FLAGS", conflicts_with = "no_operator")]
    operator: Vec<String>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let harbor = match (options.harbor, options.admin) {
        (Some(url), Some(admin)) => {
            check_url(&url)?;
            Some(HarborClient::new(&url, admin, None)?)
        }
        _ => None,
    };
    let operator = (!options.no_operator).then(|| operator_args(options.operator));
    let wanted = Wanted { dir: options.dir, harbor, release: options.release };
    let start = tokio::task::spawn_blocking(move || start(wanted, operator));
    let (stage, operator) = tokio::select! {
        started = start => started??,
        _ = tokio::signal::ctrl_c() => std::process::exit(130),
        _ = terminated.recv() => std::process::exit(143),
    };
    announce(&stage, operator.as_ref());

    let log = operator.as_ref().map(|operator| operator.lines().clone());
    let operator_ended = async {
        let Some(log) = log else { return std::future::pending().await };
        let _ =
            tokio::task::spawn_blocking(move || while !log.wait_for_end(std::time::Duration::from_hours(1)) {}).await;
    };
    let ended = tokio::select! {
        _ = tokio::signal::ctrl_c() => false,
        _ = terminated.recv() => false,
        () = operator_ended => true,
    };
    if ended {
        let log = operator.map(|operator| operator.lines().tail(20)).unwrap_or_default();
        bail!("the operator ended by itself; the end of its log:\n{log}");
    }
    note("ending");
    Ok(())
}

/// Everything here is on loopback, which a HarborRegistry of a namespace reaches only if it is let in.
const PRIVATE_HOSTS: &str = "--private-registry-hosts";

/// The operator's flags beside those that it always gets: private hosts are let in unless somebody says which.
fn operator_args(further: Vec<String>) -> Vec<String> {
    let named = further.iter().any(|arg| arg == PRIVATE_HOSTS || arg.starts_with(&format!("{PRIVATE_HOSTS}=")));
    (!named).then(|| format!("{PRIVATE_HOSTS}=*")).into_iter().chain(further).collect()
}

fn start(wanted: Wanted, operator: Option<Vec<String>>) -> Result<(Stage, Option<Operator>)> {
    let stage = Stage::start(wanted)?;
    stage.apply_registry(&stage.harbor().admin, &json!({}))?;
    let operator =
        operator.map(|args| stage.operator_with(&args.iter().map(String::as_str).collect::<Vec<_>>())).transpose()?;
    Ok((stage, operator))
}

/// The text for people goes to stderr, the one line for scripts to stdout.
fn announce(stage: &Stage, operator: Option<&Operator>) {
    let harbor = stage.harbor();
    let kubeconfig = stage.plane.kubeconfig.display();
    note("");
    note("Running until Ctrl-C:");
    note(&format!("  Kubernetes   export KUBECONFIG={kubeconfig}"));
    if let Ok(rig) = rig() {
        note(&format!("               kubectl, if you have none: {} kubectl", rig.display()));
    }
    note(&format!("  Harbor       {}   login {}", harbor.url, harbor.admin));
    note(&format!("  registry     ClusterHarborRegistry main, its login in namespace {NAMESPACE}"));
    if let Some(operator) = operator {
        note(&format!("  operator     pid {}, http://{}/metrics", operator.pid(), operator.metrics_address));
    } else {
        let args = format!("--cluster-resource-namespace {NAMESPACE} --allow-http {PRIVATE_HOSTS}='*'");
        note(&format!("  operator     none; run it with {args}"));
    }
    note("");
    let line = json!({
        "kubeconfig": stage.plane.kubeconfig,
        "server": stage.plane.server,
        "token": stage.plane.token,
        "harbor": harbor.url,
        "admin": harbor.admin.to_string(),
        "operatorNamespace": NAMESPACE,
    });
    println!("{line}");
}

/// A password does not cross a network in the clear.
fn check_url(url: &str) -> Result<()> {
    let Some(rest) = url.strip_prefix("http://") else { return Ok(()) };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback { Ok(()) } else { bail!("{url}: http is for loopback addresses only; use https") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_hosts_are_let_in_unless_somebody_says_which() {
        let args = |further: &[&str]| operator_args(further.iter().map(ToString::to_string).collect());
        assert_eq!(args(&[]), ["--private-registry-hosts=*"]);
        assert_eq!(args(&["--log-level=debug"]), ["--private-registry-hosts=*", "--log-level=debug"]);
        for own in [&["--private-registry-hosts=a.example"][..], &["--private-registry-hosts", "a.example"]] {
            assert_eq!(args(own), own);
        }
    }

    #[test]
    fn flags_behind_two_dashes_are_the_operators() {
        #[derive(clap::Parser)]
        struct Up {
            #[command(flatten)]
            options: Options,
        }
        let read = |args: &[&str]| <Up as clap::Parser>::try_parse_from(["up"].iter().chain(args));
        let up = read(&["--release", "--", "--leader-elect", "--log-level=trace"]).unwrap();
        assert_eq!(up.options.operator, ["--leader-elect", "--log-level=trace"]);
        assert!(read(&["--leader-elect"]).is_err(), "not before them");
        assert!(read(&["--no-operator", "--", "--leader-elect"]).is_err(), "without an operator they mean nothing");
    }

    #[test]
    fn http_is_accepted_on_loopback_addresses_only() {
        for url in ["http://127.0.0.1:80", "http://localhost:8080/", "http://[::1]:80", "https://harbor.example.com"] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in
            ["http://harbor.example.com", "http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.nip.io"]
        {
            assert!(check_url(url).is_err(), "{url}");
        }
    }
}
