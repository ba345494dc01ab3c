//! `doctor`: what is wrong with an installation, each finding with what to do. Nothing is changed.

mod accounts;
mod definitions;
mod grants;
mod operator;
mod registries;

use std::io;
use std::process::ExitCode;

use clap::Args;
use futures::TryStreamExt as _;
use harbor_robot_operator::api::{Account, ClusterHarborRegistry, HarborRegistry, ObjectName, RegistryObject};
use harbor_robot_operator::cluster::within;
use harbor_robot_operator::decode::{Lenient, Unreadable};
use kube::api::{Api, ListParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cluster::{Cluster, Listed};
use crate::error::Error;
use crate::output::{Format, Screen, Table, Tone, write_value};

/// Flags of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The operator's namespace.
    #[arg(long, env = "CLUSTER_RESOURCE_NAMESPACE", default_value = "harbor-robots", value_name = "NAMESPACE")]
    pub cluster_resource_namespace: ObjectName,
    /// How it is printed.
    #[arg(long, short, value_enum, value_name = "FORM")]
    pub output: Option<Format>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Something does not work.
    Problem,
    /// Something will not work, or is not as it should be.
    Warning,
    /// It was not found out.
    Unknown,
    /// As it should be.
    Ok,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    level: Level,
    what: String,
    /// What is wrong and what to do; of what is as it should be: what was seen.
    says: String,
}

impl Finding {
    fn new(level: Level, what: impl Into<String>, says: impl Into<String>) -> Self {
        Self { level, what: what.into(), says: says.into() }
    }

    /// An object that nobody can make use of.
    fn unreadable(object: &Unreadable) -> Self {
        Self::new(Level::Problem, "object", format!("{object}: correct it"))
    }

    /// What could not be looked at, since whoever asks may not, or the API server does not answer.
    fn unknown(what: impl Into<String>, error: &dyn std::fmt::Display) -> Self {
        Self::new(Level::Unknown, what, error.to_string())
    }
}

pub(crate) async fn run(cluster: &Cluster, args: &DoctorArgs) -> Result<ExitCode, Error> {
    let mut findings = definitions::check(&cluster.client).await;
    findings.extend(operator::check(&cluster.client, &args.cluster_resource_namespace).await);
    let registries = all_registries(&cluster.client, &mut findings).await;
    findings.extend(registries.iter().flat_map(registries::check));
    let accounts = all_accounts(cluster, &mut findings).await;
    if let Some(accounts) = &accounts {
        findings.extend(accounts::check(accounts));
        findings.extend(grants::check(cluster, &registries, accounts).await);
    }
    findings.sort_by_key(|finding| finding.level);
    let mut out = io::stdout().lock();
    match args.output {
        Some(format @ (Format::Json | Format::Yaml)) => write_value(&mut out, format, &findings)?,
        _ => table(&findings).write(&mut out, &Screen::of_stdout(), true)?,
    }
    let is_ill = findings.iter().any(|finding| finding.level == Level::Problem);
    Ok(if is_ill { 3.into() } else { ExitCode::SUCCESS })
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(vec!["", "WHAT", "FINDING"]);
    for finding in findings {
        let tone = match finding.level {
            Level::Problem => Tone::Bad,
            Level::Warning | Level::Unknown => Tone::Warning,
            Level::Ok => Tone::Plain,
        };
        table.push(vec![format!("{:?}", finding.level), finding.what.clone(), finding.says.clone()], tone);
    }
    table
}

/// All registries of a kind that can be read; of the others it is told.
async fn all<K>(client: &Client, what: &str, findings: &mut Vec<Finding>) -> Vec<RegistryObject>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned,
    RegistryObject: From<K>,
{
    let found = match within(Api::<Lenient<K>>::all(client.clone()).list(&ListParams::default())).await {
        Ok(found) => found.items,
        Err(error) => {
            findings.push(Finding::unknown(what, &error));
            return Vec::new();
        }
    };
    let mut readable = Vec::new();
    for item in found {
        match item.into_result() {
            Ok(object) => readable.push(RegistryObject::from(object)),
            Err(object) => findings.push(Finding::unreadable(&object)),
        }
    }
    readable
}

async fn all_registries(client: &Client, findings: &mut Vec<Finding>) -> Vec<RegistryObject> {
    let mut found = all::<ClusterHarborRegistry>(client, "ClusterHarborRegistries", findings).await;
    found.extend(all::<HarborRegistry>(client, "HarborRegistries", findings).await);
    if found.is_empty() && findings.iter().all(|finding| finding.level == Level::Ok) {
        let says = "there is none, so no account is served: docs/installing.md, or kubectl robots bootstrap";
        findings.push(Finding::new(Level::Warning, "registries", says));
    }
    found
}

async fn all_accounts(cluster: &Cluster, findings: &mut Vec<Finding>) -> Option<Vec<Account>> {
    let listed: Result<Vec<Listed<Account>>, Error> = cluster.all_accounts().try_collect().await;
    match listed {
        Ok(listed) => {
            let readable =
                |listed: Listed<Account>| listed.map_err(|object| findings.push(Finding::unreadable(&object))).ok();
            Some(listed.into_iter().filter_map(readable).collect())
        }
        Err(error) => {
            findings.push(Finding::unknown("accounts", &error));
            None
        }
    }
}
