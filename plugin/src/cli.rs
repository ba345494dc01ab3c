//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;
use harbor_robot_operator::api::{DurationString, ObjectName};
use harbor_robot_operator::cli::UninstallArgs;

use crate::bootstrap::BootstrapArgs;
use crate::doctor::DoctorArgs;
use crate::fleet::FleetArgs;
use crate::import::ImportArgs;
use crate::output::Format;
use crate::plan::PlanArgs;
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
  kubectl robots list -A                        # all accounts, those that need somebody first
  kubectl robots status ci -n team-a            # an account, its robots, Secrets, and what comes next
  kubectl robots refresh ci -n team-a --wait    # a new credential; the old one works on for the overlap
  kubectl robots revoke ci -n team-a --reason 'in a public build log'
  kubectl robots export ci -n team-a --login    # a docker login to paste

Accounts are named as for kubectl: NAME or ra/NAME is a RobotAccount of the namespace, sra/NAME a SystemRobotAccount.

Exit codes: 0 done; 1 failed; 2 wrong command line; 3 some accounts were not done; 4 waited in vain.";

/// See, renew and end the Harbor robot accounts of a cluster, with your own rights.
#[derive(Debug, Parser)]
#[command(name = "kubectl-robots", bin_name = "kubectl robots", version, about, long_about = None, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub connection: Connection,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which cluster, as whom, and in which namespace; as kubectl has it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Connection {
    /// The kubeconfig file [default: $KUBECONFIG, else ~/.kube/config].
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig file.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace [default: that of the context].
    #[arg(long, short, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<ObjectName>,
    /// Ask as this user.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,
    /// Ask as a member of this group; may be repeated.
    #[arg(long = "as-group", global = true, requires = "as_user", value_name = "GROUP")]
    pub as_groups: Vec<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List accounts, those that need somebody first.
    #[command(visible_alias = "ls", after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Show one account: its robots, Secrets, ServiceAccounts, events, and what comes next.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Say what manifests would do to robots and Secrets, and who would lose what, without doing any of it.
    ///
    /// The operator's own decisions, made here: it reads the accounts, their Secrets and Harbor as they are, and changes nothing.
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(PlanArgs),
    /// Replace credentials gently: what is in use works on for the overlap.
    #[command(after_help = REFRESH_EXAMPLES)]
    Refresh(AccountsArgs),
    /// Replace credentials after a leak: every older one ends as soon as the new one is published.
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke(RevokeArgs),
    /// Stop the operator for accounts: no renewal and no repair until they are resumed.
    Suspend(AccountsArgs),
    /// Let the operator go on with accounts that were suspended.
    Resume(AccountsArgs),
    /// Print an account's credential in another form.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Look for what is wrong: definitions, the operator, registries, accounts and grants, each with what to do.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// List all robots of a Harbor, and who stands behind each.
    #[command(after_help = FLEET_EXAMPLES)]
    Fleet(FleetArgs),
    /// Make accounts of robots that exist: manifests to read, or a take-over that nobody notices.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Box<ImportArgs>),
    /// Give the operator a login that renews itself, by an administrator's login that is used once.
    ///
    /// The administrator's password stays on this machine: it makes a robot that lives for a day, by which the operator makes its
    /// own login, as a SystemRobotAccount.
    #[command(after_help = BOOTSTRAP_EXAMPLES)]
    Bootstrap(BootstrapArgs),
    /// End all accounts and registries in order, while the operator still runs.
    ///
    /// It says first what it would do, and forces nothing.
    Uninstall(UninstallArgs),
    /// Print a script that completes these commands in a shell.
    ///
    /// It completes `kubectl-robots …`, with a hyphen. For `kubectl robots …` kubectl asks a program `kubectl_complete-robots`: make
    /// a link of that name to this one, anywhere in your PATH.
    Completion {
        /// Which shell.
        shell: Shell,
    },
}

const LIST_EXAMPLES: &str = "\
Examples:
  kubectl robots list -A -o wide
  kubectl robots list -n team-a -l app=web
  kubectl robots list -A | awk -F'\\t' '$NF != \"Published\"'    # columns are cut by tabs where no person looks on";

/// Flags of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Of all namespaces, and the SystemRobotAccounts.
    #[arg(long, short = 'A')]
    pub all_namespaces: bool,
    /// Only those with these labels.
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// How it is printed.
    #[arg(long, short, value_enum, value_name = "FORM")]
    pub output: Option<Format>,
    /// Without the line of headers.
    #[arg(long)]
    pub no_headers: bool,
}

const STATUS_EXAMPLES: &str = "\
Examples:
  kubectl robots status ci -n team-a
  kubectl robots status sra/pull -o json";

/// Flags of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The account: NAME, or sra/NAME.
    #[arg(value_name = "ACCOUNT")]
    pub account: Target,
    /// How it is printed.
    #[arg(long, short, value_enum, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Which accounts something is done to, and whether it is waited for.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["names", "all", "selector"]).required(true).multiple(true))]
pub(crate) struct AccountsArgs {
    /// The accounts: NAME, or sra/NAME.
    #[arg(value_name = "ACCOUNT", conflicts_with_all = ["all", "selector"])]
    pub names: Vec<Target>,
    /// All RobotAccounts of the namespace.
    #[arg(long)]
    pub all: bool,
    /// All RobotAccounts of the namespace with these labels.
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// With --all or --selector: of all namespaces.
    #[arg(long, short = 'A', conflicts_with = "names")]
    pub all_namespaces: bool,
    /// With --all or --selector: do it. Without this it only says what it would do.
    #[arg(long)]
    pub yes: bool,
    /// Wait until the operator has done it, and say what it does.
    #[arg(long)]
    pub wait: bool,
    /// So many accounts at a time: each further one begins when one before it is done. More accounts than that are waited
    /// for in any case.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    pub at_once: u16,
    /// How long to wait for each account.
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub timeout: Duration,
}

const PLAN_EXAMPLES: &str = "\
Examples:
  kubectl robots plan -f accounts.yaml          # accounts, registries with their grants, namespaces
  git show main:registry.yaml | kubectl robots plan -f -
  kubectl robots plan ci -n team-a              # what the operator does next
  kubectl robots plan ci -n team-a --delete     # what deleting it would do

You need the right to read the accounts, their Secrets, and the registry's login. The API server checks each manifest without
storing it, as with --dry-run=server. It exits with 3 if something could not be done as it is written.";

const REFRESH_EXAMPLES: &str = "\
Examples:
  kubectl robots refresh ci -n team-a --wait
  kubectl robots refresh -A -l team=web --yes     # ten at a time";

const REVOKE_EXAMPLES: &str = "\
Examples:
  kubectl robots revoke ci -n team-a --wait --reason 'in a public build log'

Whoever still uses an older credential is refused from then on. Harbor lets tokens that were fetched before live on for up to
30 minutes.";

/// Flags of `revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    pub accounts: AccountsArgs,
    /// Why, for whoever reads the account later: it becomes part of the token in the annotation, and of
    /// status.handledRevoke. At most 200 characters, nothing secret.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  kubectl robots export ci -n team-a > robot.json             # the file that Harbor's page offers
  kubectl robots export ci -n team-a --login | sh             # docker login, whatever the name and the password hold
  eval \"$(kubectl robots export ci -n team-a --env)\"          # HARBOR_HOST, HARBOR_USERNAME, HARBOR_PASSWORD
  kubectl robots export ci -n team-a --docker-config > config.json

The credential is replaced one day: what is exported ends then. Have programs read the Secret where they can.";

/// Flags of `export`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("form").args(["robot_file", "docker_config", "env", "login"]))]
pub(crate) struct ExportArgs {
    /// The account: NAME, or sra/NAME.
    #[arg(value_name = "ACCOUNT")]
    pub account: Target,
    /// The JSON file that Harbor's page offers for download. This is the default.
    #[arg(long)]
    pub robot_file: bool,
    /// The docker configuration, as in the Secret.
    #[arg(long)]
    pub docker_config: bool,
    /// Lines that set variables in a shell.
    #[arg(long)]
    pub env: bool,
    /// A docker login for a shell.
    #[arg(long)]
    pub login: bool,
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    DurationString(text.to_owned()).parse().map_err(|error| error.to_string())
}

const DOCTOR_EXAMPLES: &str = "\
Examples:
  kubectl robots doctor                 # exits with 3 if something does not work
  kubectl robots doctor -o json

What you may not read is told as Unknown.";

const FLEET_EXAMPLES: &str = "\
Examples:
  kubectl robots fleet --registry main                      # by the registry's own login, if you may read it
  kubectl robots fleet --registry main --unmanaged          # those that nobody renews, the first to expire first
  kubectl robots fleet --harbor https://harbor.example.com --username admin --password-stdin < password

States: Orphan (its account is gone), Double (its account names other robots), Retained (its account left it), Unmanaged (no
mark), Elsewhere (of another cluster), Login (the registry's own), Managed.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  kubectl robots import --registry main --projects 'team-*' > accounts.yaml
  terraform show -json | kubectl robots import --terraform - > accounts.yaml
  kubectl robots import --registry main --find-secrets --apply           # what it would take over
  kubectl robots import --registry main --find-secrets --apply --yes     # one after the other, with the secrets that they have

A robot whose secret is found keeps it, as the password of the account: whoever uses it notices nothing. Once they read the
account's Secret, take passwordSecretRef away: the next rotation goes over to a secret that Harbor draws, with an overlap.";

const BOOTSTRAP_EXAMPLES: &str = "\
Examples:
  kubectl robots bootstrap --harbor https://harbor.example.com --username admin --password-stdin < password
  kubectl robots bootstrap --harbor https://harbor.example.com --dry-run      # what it would make, as manifests";

/// The longest reason, in characters. A token in a status ends at 512.
const LONGEST_REASON: usize = 200;

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("an empty reason says nothing".to_owned()),
        count if count > LONGEST_REASON => Err(format!("{count} characters, and {LONGEST_REASON} are the most")),
        _ if text.chars().any(char::is_control) => Err("one line, without control characters".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn refused(args: &str) -> String {
        let args = ["kubectl-robots"].into_iter().chain(args.split(' '));
        Cli::try_parse_from(args).map(|cli| format!("{cli:?}")).unwrap_err().to_string()
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_what_to_write() {
        for (args, says) in [
            ("refresh", "<ACCOUNT|--all|--selector <SELECTOR>>"),
            ("refresh ci --all", "cannot be used with"),
            ("refresh ci -A", "cannot be used with"),
            ("refresh ci --at-once 0", "0 is not in 1..=1000"),
            ("refresh ci --timeout 5", "like 30d, 36h"),
            ("refresh team-a/ci", "the namespace as --namespace"),
            ("refresh ci --reason x", "unexpected argument '--reason'"),
            ("export ci --env --login", "cannot be used with"),
            ("list -o xml", "possible values: wide, json, yaml, name"),
            ("list --as-group x", "--as <USER>"),
        ] {
            let error = refused(args);
            assert!(error.contains(says), "{args}: {error}");
        }
        let long = "x".repeat(201);
        for (text, says) in [(" ", "says nothing"), ("a\nb", "one line"), (long.as_str(), "201 characters")] {
            assert!(reason(text).unwrap_err().contains(says), "{text:?}");
        }
    }
}
