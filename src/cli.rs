//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use ipnet::IpNet;

use crate::api::{DurationString, ObjectName};
use crate::logging::{Format, Level};
use crate::registry::harbor::PrivateHost;

/// Harbor robot accounts as Kubernetes objects.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(Box<RunArgs>),
    /// Print the custom resource definitions as YAML.
    Crds,
    /// End all accounts and registries in order, while the operator still runs.
    ///
    /// With the rights of whoever runs this. It says first what it would do, and forces nothing.
    Uninstall(UninstallArgs),
}

/// Flags of `uninstall`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("robots").args(["delete", "retain"]).required(true))]
pub struct UninstallArgs {
    /// Delete the robots in Harbor, the Secrets and the entries in ServiceAccounts.
    #[arg(long)]
    pub delete: bool,
    /// Leave robots, Secrets and entries as they are. Nobody renews the credentials from then on.
    #[arg(long)]
    pub retain: bool,
    /// Do it. Without this it only says what it would do.
    #[arg(long)]
    pub yes: bool,
    /// Only end accounts and registries of these namespaces, and none of the cluster.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub namespaces: Vec<ObjectName>,
    /// The operator's namespace.
    #[arg(long, env = "CLUSTER_RESOURCE_NAMESPACE", default_value = "harbor-robots", value_name = "NAMESPACE")]
    pub cluster_resource_namespace: ObjectName,
    /// How long to wait for the operator.
    #[arg(long, default_value = "10m", value_parser = duration, value_name = "DURATION")]
    pub timeout: Duration,
}

/// Flags of `run`; each can be given as an environment variable, too.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Namespace of the Secrets and ConfigMaps that cluster-scoped registries name.
    #[arg(long, env = "CLUSTER_RESOURCE_NAMESPACE", default_value = "harbor-robots", value_name = "NAMESPACE")]
    pub cluster_resource_namespace: ObjectName,
    /// Name of this cluster in the mark on each robot [default: the UID of the namespace kube-system].
    #[arg(long, env = "CLUSTER_NAME", value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: Option<String>,
    /// Only keep accounts of these namespaces, and watch nothing outside them.
    #[arg(long, env = "NAMESPACES", value_delimiter = ',', value_name = "A,B")]
    pub namespaces: Vec<ObjectName>,
    /// Serve ClusterHarborRegistry objects. With false no object of the cluster is read, so that with --namespaces (and
    /// --cluster-name) Roles in those namespaces are all the rights that are needed.
    #[arg(long, env = "CLUSTER_REGISTRIES", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub cluster_registries: bool,
    /// Only serve registries with these labels, so that several operators can share the registries of a cluster.
    #[arg(long, env = "REGISTRY_SELECTOR", value_name = "SELECTOR")]
    pub registry_selector: Option<String>,
    /// Watch the generated Secrets, so that a lost or edited one is put right at once. With false they are read by name
    /// at each poll instead, and the operator needs no list or watch on Secrets.
    #[arg(long, env = "WATCH_SECRETS", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub watch_secrets: bool,
    /// Accept registries with http:// URLs. Credentials then travel in the clear.
    #[arg(
        long,
        env = "ALLOW_HTTP",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub allow_http: bool,
    /// Hosts that HarborRegistry objects of namespaces may name although their addresses are not on the internet, like
    /// harbor.corp.example, harbor.corp.example:8443, *.svc.cluster.local:443, 10.1.* or [fd00::7]:443; `*` stands for any
    /// text, and without a port any port fits. Whoever may create such an object could else reach whatever the operator
    /// reaches, so name the port where other services listen on the same host.
    #[arg(long, env = "PRIVATE_REGISTRY_HOSTS", value_delimiter = ',', value_name = "HOST[:PORT],…")]
    pub private_registry_hosts: Vec<PrivateHost>,
    /// Blocks of addresses that HarborRegistry objects of namespaces never reach although their numbers are public, like
    /// those of this cluster's nodes, pods or load balancers where they have any: 52.10.0.0/16,2600:1f14::/36. What is not
    /// on the internet by its number (loopback, private, link-local and other special blocks) is out of reach anyway, and
    /// so is the API server's own address. A host of --private-registry-hosts may have any address, a denied one as well.
    #[arg(long, env = "DENIED_CIDRS", value_delimiter = ',', value_parser = block, value_name = "CIDR,…")]
    pub denied_cidrs: Vec<IpNet>,
    /// The shortest pollInterval of a HarborRegistry of a namespace, like 1m or 30s.
    #[arg(long, env = "TENANT_POLL_INTERVAL", default_value = "1m", value_parser = duration, value_name = "DURATION")]
    pub tenant_poll_interval: Duration,
    /// The most calls per second that a HarborRegistry of a namespace makes.
    #[arg(long, env = "TENANT_REQUESTS_PER_SECOND", default_value_t = 10, value_name = "N")]
    pub tenant_requests_per_second: u32,
    /// The most calls that a HarborRegistry of a namespace has under way at one time.
    #[arg(long, env = "TENANT_MAX_IN_FLIGHT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    pub tenant_max_in_flight: u16,
    /// How many HarborRegistry objects of one namespace are served, the oldest first.
    #[arg(long, env = "TENANT_REGISTRIES", default_value_t = 8, value_name = "N")]
    pub tenant_registries: u16,
    /// Seconds between the look at a robot without an account and its deletion, where orphanPolicy asks for that.
    #[arg(long, hide = true, default_value_t = 600, value_name = "SECONDS")]
    pub orphan_after: u64,
    /// Seconds within which each project of a Harbor that the login sees is visited, also those without an account.
    #[arg(long, hide = true, default_value_t = 21_600, value_name = "SECONDS")]
    pub patrol_every: u64,
    /// Seconds that a registry has to be out of reach before accounts of a namespace that is being deleted go without
    /// their robots.
    #[arg(long, hide = true, default_value_t = 600, value_name = "SECONDS")]
    pub abandon_after: u64,
    /// Seconds after which a call to Harbor whose answer was never seen cannot take effect any more: its own 10, and the
    /// slowest commit measured. An account that is being deleted waits that long before it goes.
    #[arg(long, hide = true, default_value_t = 46, value_name = "SECONDS")]
    pub settle_after: u64,
    /// Accounts reconciled at the same time.
    #[arg(long, env = "CONCURRENCY", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    pub concurrency: u16,
    /// Let only one of several replicas act at a time, by a Lease in the cluster resource namespace.
    #[arg(
        long,
        env = "LEADER_ELECT",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub leader_elect: bool,
    /// How long a Lease that is not renewed keeps the other replicas away: what a leader that died leaves undone waits so
    /// long. Below 15s calls get less time, too.
    #[arg(
        long, env = "LEADER_ELECT_LEASE_DURATION", default_value = "15s", value_parser = duration, value_name = "DURATION"
    )]
    pub leader_elect_lease_duration: Duration,
    /// A leader that could not renew the Lease for so long ends; it renews it twice as often.
    #[arg(
        long, env = "LEADER_ELECT_RENEW_DEADLINE", default_value = "10s", value_parser = duration, value_name = "DURATION"
    )]
    pub leader_elect_renew_deadline: Duration,
    /// The wait after a failed try to get or renew the Lease.
    #[arg(
        long, env = "LEADER_ELECT_RETRY_PERIOD", default_value = "2s", value_parser = duration, value_name = "DURATION"
    )]
    pub leader_elect_retry_period: Duration,
    /// Address of /livez and /readyz.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Address of /metrics. With the default only processes of the same pod, and kubectl port-forward, reach it.
    #[arg(long, env = "METRICS_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    pub metrics_listen: SocketAddr,
    /// Answer /metrics only to bearer tokens whose owners may get that path, as TokenReview and SubjectAccessReview say;
    /// the operator needs the right to create both.
    #[arg(long, env = "METRICS_AUTHENTICATION")]
    pub metrics_authentication: bool,
    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: Format,
    /// How much is logged. Never secrets, at any level.
    #[arg(long, env = "LOG_LEVEL", value_enum, default_value_t)]
    pub log_level: Level,
}

fn duration(text: &str) -> Result<Duration, String> {
    DurationString(text.to_owned()).parse().map_err(|error| error.to_string())
}

/// A block of addresses, or one address.
fn block(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net =
        net.map_err(|_| format!("{text:?} is no block of addresses: write it like 52.10.0.0/16 or 2600:1f14::/36"))?;
    if net.trunc() == net {
        Ok(net)
    } else {
        Err(format!("{text:?} has bits set behind its prefix: the block that it lies in is {}", net.trunc()))
    }
}

/// The name stands between spaces and slashes in a mark.
fn cluster_name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if fits { Ok(text.to_owned()) } else { Err("1 to 63 letters, digits, '.', '-' or '_'".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cluster_name_cannot_break_a_mark() {
        for (name, fits) in [("prod-1", true), ("", false), ("a b", false), ("a/b", false), ("a]", false)] {
            assert_eq!(cluster_name(name).is_ok(), fits, "{name:?}");
        }
    }

    fn run(args: &[&str]) -> Result<RunArgs, String> {
        let all = ["harbor-robot-operator", "run"].iter().chain(args);
        match Cli::try_parse_from(all).map_err(|error| error.to_string())?.command {
            Command::Run(args) => Ok(*args),
            _ => Err("not run".to_owned()),
        }
    }

    #[test]
    fn switches_are_turned_on_by_their_name_and_off_by_a_value() {
        let on = |args: &[&str]| run(args).map(|args| (args.leader_elect, args.allow_http));
        assert_eq!(on(&[]), Ok((false, false)));
        assert_eq!(on(&["--leader-elect", "--allow-http"]), Ok((true, true)));
        assert_eq!(on(&["--leader-elect=true", "--allow-http=false"]), Ok((true, false)));
        assert!(on(&["--leader-elect", "false"]).is_err());
    }

    #[test]
    fn blocks_and_hosts_are_read_at_the_start_and_what_is_none_is_refused_with_what_to_write() {
        let args = run(&[
            "--denied-cidrs=52.10.0.0/16,2600:1f14::/36,198.51.100.7",
            "--private-registry-hosts=a.example:443,*",
        ]);
        let args = args.unwrap();
        let blocks: Vec<String> = args.denied_cidrs.iter().map(ToString::to_string).collect();
        assert_eq!(blocks, ["52.10.0.0/16", "2600:1f14::/36", "198.51.100.7/32"]);
        assert_eq!(args.private_registry_hosts.len(), 2);
        for (arg, says) in [
            ("--denied-cidrs=52.10.0.0/33", "write it like 52.10.0.0/16"),
            ("--denied-cidrs=nodes", "write it like 52.10.0.0/16"),
            ("--denied-cidrs=52.10.0.0/16,", "write it like 52.10.0.0/16"),
            ("--denied-cidrs=52.10.1.0/16", "the block that it lies in is 52.10.0.0/16"),
            ("--private-registry-hosts=a.example:https", "\"https\" is no port"),
            ("--private-registry-hosts=https://a.example", "is no port"),
        ] {
            let error = run(&[arg]).unwrap_err();
            assert!(error.contains(says), "{arg}: {error}");
        }
    }
}
