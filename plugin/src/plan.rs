//! `plan`: what manifests would do, by the operator's own decisions about the cluster and Harbor as they are. Nothing is changed.

mod accounts;
mod manifests;
mod surroundings;
mod words;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use futures::{StreamExt as _, stream};
use harbor_robot_operator::api::{Account, ObjectName, RegistryKey};
use harbor_robot_operator::controllers::accounts::SUSPENDED;
use harbor_robot_operator::domain::report::Failure;
use harbor_robot_operator::registry::harbor::PrivateHost;
use serde::Serialize;

use crate::attention;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::{Format, Screen, Tone, counted, note, write_value};
use crate::target::{Target, shown};
use crate::tree::Node;
use accounts::Asked;
use surroundings::Surroundings;
use words::Change;

/// Accounts that are looked at together.
const AT_ONCE: usize = 8;

/// Flags of `plan`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["accounts", "files"]).required(true).multiple(true))]
pub(crate) struct PlanArgs {
    /// Accounts as they are, for what the operator does next: NAME, or sra/NAME.
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<Target>,
    /// Manifests as they would be applied, in YAML or JSON; `-` reads standard input. May be repeated.
    #[arg(long = "filename", short = 'f', value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// As if the accounts were deleted.
    #[arg(long)]
    pub delete: bool,
    /// The operator's namespace.
    #[arg(long, env = "CLUSTER_RESOURCE_NAMESPACE", default_value = "harbor-robots", value_name = "NAMESPACE")]
    pub cluster_resource_namespace: ObjectName,
    /// Accept registries at http://, as an operator with this flag does.
    #[arg(long)]
    pub allow_http: bool,
    /// Log in also where a manifest of a registry says other than the cluster: its URL, certificates or login. Whoever wrote it
    /// decides which login is sent where.
    #[arg(long)]
    pub trust_urls: bool,
    /// Hosts that HarborRegistry objects of namespaces may name although their addresses are not on the internet, as the
    /// operator's flag of this name.
    #[arg(long, env = "PRIVATE_REGISTRY_HOSTS", value_delimiter = ',', value_name = "HOST[:PORT],…")]
    pub private_registry_hosts: Vec<PrivateHost>,
    /// The name of this cluster in the marks of its robots [default: as a ClusterHarborRegistry tells it, else the UID of
    /// kube-system].
    #[arg(long, env = "CLUSTER_NAME", value_name = "NAME")]
    pub cluster_name: Option<String>,
    /// How it is printed.
    #[arg(long, short, value_enum, value_name = "FORM")]
    pub output: Option<Format>,
}

/// What would become of one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outlook {
    kind: &'static str,
    /// `team-a/ci`, `sra/pull`, `main`.
    name: String,
    registry: Option<String>,
    changes: Vec<Change>,
    /// What stands in the way, or is left out.
    reason: Option<&'static str>,
    message: Option<String>,
    /// What whoever reads this should know of how it was found out.
    notes: Vec<String>,
}

impl Outlook {
    fn refused(kind: &'static str, name: String, failure: Failure) -> Self {
        let (reason, message) = (Some(failure.reason), Some(failure.message));
        Self { kind, name, registry: None, changes: Vec::new(), reason, message, notes: Vec::new() }
    }

    fn of(asked: &Asked, registry: Option<String>) -> Self {
        let (kind, name) = (asked.account.kind(), shown(&asked.account));
        Self { kind, name, registry, changes: Vec::new(), reason: None, message: None, notes: asked.notes.clone() }
    }

    fn hindered_by(&mut self, failure: Failure) {
        (self.reason, self.message) = (Some(failure.reason), Some(failure.message));
    }

    fn node(&self) -> Node {
        let registry = self.registry.as_ref().map(|registry| format!("  registry {registry}")).unwrap_or_default();
        let mut root = Node::new(format!("{} {}{registry}", self.kind, self.name));
        if let (Some(reason), Some(message)) = (self.reason, &self.message) {
            root.push(Node::toned(format!("{reason}: {message}"), Tone::Bad));
        }
        for Change { object, says, ends } in &self.changes {
            root.push(Node::toned(format!("{object}: {says}"), if *ends { Tone::Warning } else { Tone::Plain }));
        }
        if self.changes.is_empty() && self.reason.is_none() && self.notes.is_empty() {
            root.push(Node::new("nothing: it is as asked for".to_owned()));
        }
        for note in &self.notes {
            root.push(Node::new(format!("note: {note}")));
        }
        root
    }
}

pub(crate) async fn run(cluster: &Cluster, args: &PlanArgs) -> Result<ExitCode, Error> {
    let mut manifests = manifests::read(cluster, args).await?;
    for target in &args.accounts {
        let asked = Asked::of(cluster.account(target).await?);
        // What a manifest says of it comes before what there is.
        if !manifests.accounts.iter().any(|other| other.is_same(&asked.account)) {
            manifests.accounts.push(asked);
        }
    }
    if args.delete {
        accounts::delete(&mut manifests.accounts);
    }
    let registries: Vec<RegistryKey> = manifests.registries.iter().filter_map(|registry| registry.key().ok()).collect();
    let others = accounts::others(cluster, &registries, &manifests.accounts).await?;
    let surroundings = Surroundings::find(cluster, args, &manifests).await?;
    // Accounts that nobody asked about are of interest only where a registry that was asked about is theirs.
    let concerned = |account: &Account| {
        surroundings.dry_run.registry_of(account).is_ok_and(|registry| registries.contains(&registry))
    };
    let others: Vec<Asked> = others.into_iter().filter(|asked| concerned(&asked.account)).collect();
    let asked_for = manifests.accounts.len();
    let all: Vec<Asked> = manifests.accounts.into_iter().chain(others).collect();
    let (count, shows) = (all.len(), io::stderr().is_terminal());
    let looks = stream::iter(all).map(|asked| look(&surroundings, asked)).buffered(AT_ONCE).enumerate();
    let looks = looks.map(|(done, outlook)| {
        if shows {
            eprint!("\r{} of {count} accounts", done + 1);
        }
        outlook
    });
    let found: Vec<Outlook> = looks.collect().await;
    if shows {
        eprint!("\r\x1b[K");
    }
    let is_news = |outlook: &Outlook| !outlook.changes.is_empty() || outlook.reason.is_some();
    let (mut outlooks, mut unchanged) = (manifests.refused, 0);
    for (number, outlook) in found.into_iter().enumerate() {
        if number < asked_for || is_news(&outlook) {
            outlooks.push(outlook);
        } else {
            unchanged += 1;
        }
    }
    print(args.output, &outlooks)?;
    summarize(&outlooks, unchanged);
    let hindered = outlooks.iter().any(|outlook| outlook.reason.is_some());
    Ok(if hindered { 3.into() } else { ExitCode::SUCCESS })
}

async fn look(surroundings: &Surroundings, asked: Asked) -> Outlook {
    let registry = match surroundings.dry_run.registry_of(&asked.account) {
        Ok(registry) => registry,
        Err(failure) => {
            let mut outlook = Outlook::of(&asked, None);
            outlook.hindered_by(failure);
            return outlook;
        }
    };
    let mut outlook = Outlook::of(&asked, Some(registry.to_string()));
    if surroundings.distrusted.contains(&registry) {
        outlook.hindered_by(Failure::lasting("NotAsked", format!(
            "registry {registry} of the manifest is not there yet, or has another URL, other certificates or another login than in \
                 the cluster: no login was sent; if you trust the manifest, repeat it with --trust-urls"
        )));
        return outlook;
    }
    match surroundings.dry_run.plan(asked.account.clone()).await {
        Ok(foreseen) => {
            outlook.changes = words::changes(&asked.account, &foreseen, surroundings.knows_namespaces);
            if let Some(failure) = foreseen.hindrance {
                outlook.hindered_by(failure);
            }
        }
        Err(failure) if failure.reason == SUSPENDED => outlook.notes.push(failure.message),
        Err(failure) => outlook.hindered_by(failure),
    }
    // What was so before, of an account that nobody asked about, is no news.
    let same = outlook.reason.is_some_and(|reason| attention::of(&asked.account).reason == reason);
    if !asked.by_name && same && outlook.changes.is_empty() {
        (outlook.reason, outlook.message) = (None, None);
    }
    outlook
}

fn print(format: Option<Format>, outlooks: &[Outlook]) -> Result<(), Error> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Some(format @ (Format::Json | Format::Yaml)) => write_value(&mut out, format, &outlooks)?,
        Some(Format::Name) => {
            for outlook in outlooks.iter().filter(|outlook| !outlook.changes.is_empty()) {
                writeln!(out, "{}", outlook.name)?;
            }
        }
        None | Some(Format::Wide) => {
            let screen = Screen::of_stdout();
            for outlook in outlooks {
                outlook.node().write(&mut out, &screen)?;
            }
        }
    }
    Ok(out.flush()?)
}

/// On standard error, so that what is printed stays what it is.
fn summarize(outlooks: &[Outlook], unchanged: usize) {
    let count = |fits: &dyn Fn(&&Outlook) -> bool| outlooks.iter().filter(fits).count();
    let hindered = count(&|outlook| outlook.reason.is_some());
    let ends = count(&|outlook| outlook.changes.iter().any(|change| change.ends));
    let changed = count(&|outlook| !outlook.changes.is_empty());
    let same = outlooks
        .len()
        .saturating_add(unchanged)
        .saturating_sub(count(&|outlook| !outlook.changes.is_empty() || outlook.reason.is_some()));
    note(&format!(
        "{}: {changed} would change, {ends} of them with something that ends; {hindered} not as written; {same} as they are. \
         Nothing was done.",
        counted(outlooks.len().saturating_add(unchanged), "object")
    ));
}
