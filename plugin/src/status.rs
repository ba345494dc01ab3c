//! `status`: one account as a tree, from its registry to the ServiceAccounts that pull with it, and what comes next.

mod gather;
mod next;
mod value;

use std::io::{self, Write as _};
use std::process::ExitCode;

use harbor_robot_operator::api::{Account, RegistryTime, conditions};
use harbor_robot_operator::clock;

use crate::attention::{self, Need, condition};
use crate::cli::StatusArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::{Format, Screen, write_value};
use crate::target::shown;
use crate::times::{age, moment};
use crate::tree::Node;
use gather::{Around, SecretFound};

pub(crate) async fn run(cluster: &Cluster, args: &StatusArgs) -> Result<ExitCode, Error> {
    let account = cluster.account(&args.account).await?;
    let around = gather::around(cluster, &account).await;
    let now = clock::now().into();
    let mut out = io::stdout().lock();
    match args.output {
        Some(format @ (Format::Json | Format::Yaml)) => {
            write_value(&mut out, format, &value::of(&account, &around, now))?;
        }
        Some(Format::Name) => writeln!(out, "{}", shown(&account))?,
        None | Some(Format::Wide) => tree(&account, &around, now).write(&mut out, &Screen::of_stdout())?,
    }
    let in_order = attention::of(&account).need == Need::Nothing;
    Ok(if in_order { ExitCode::SUCCESS } else { 3.into() })
}

fn tree(account: &Account, around: &Around, now: RegistryTime) -> Node {
    let attention = attention::of(account);
    let mut root = Node::new(format!("{} {}  {}", account.kind(), shown(account), attention.reason));
    root.tone = attention.need.tone();
    let shows_message = attention.need != Need::Nothing && !attention.message.is_empty();
    if shows_message {
        root.push(Node::toned(attention.message.clone(), root.tone));
    }
    let status = account.status.as_ref();
    if let Some(registry) = status.and_then(|status| status.registry.as_ref()) {
        let url = registry.url.as_deref().map(|url| format!("  {url}")).unwrap_or_default();
        root.push(Node::new(format!("registry    {} {}{url}", registry.kind, registry.name)));
    }
    if let Some(robot) = status.and_then(|status| status.robot.as_ref()) {
        let mut node = Node::new(format!("robot       {}  id {}", robot.name, robot.id));
        node.push(Node::new(format!("created {}", moment(robot.creation_time, now))));
        let expires = robot.expiration_time.map_or_else(|| "never".to_owned(), |time| moment(time, now));
        node.push(Node::new(format!("expires {expires}")));
        for row in status.into_iter().flat_map(|status| &status.permissions) {
            let project = row.project.as_deref().map(|project| format!("{project}: ")).unwrap_or_default();
            node.push(Node::new(format!("may     {project}{} {}", row.resource, row.actions.join(", "))));
        }
        root.push(node);
    }
    if let Some(previous) = status.and_then(|status| status.previous.as_ref()) {
        let until = moment(previous.revocation_time, now);
        root.push(Node::new(format!("former      {}  id {}, works until {until}", previous.name, previous.id)));
    }
    for secret in &around.secrets {
        root.push(of_secret(secret));
    }
    if around.further_secrets > 0 {
        root.push(Node::new(format!(
            "and {} Secrets more: -o json lists all that the status names",
            around.further_secrets
        )));
    }
    let mut conditions = Node::new("conditions".to_owned());
    for kind in [
        conditions::READY,
        conditions::SYNCED,
        conditions::RECONCILING,
        conditions::STALLED,
        conditions::RENEWAL_OVERDUE,
    ] {
        if let Some(found) = condition(account, kind) {
            let since = age(found.last_transition_time.0.into(), now);
            // What the first line says already is not said again.
            let message = if shows_message && found.message == attention.message { "" } else { &found.message };
            let colon = if message.is_empty() { "" } else { ": " };
            let text = format!("{}={} {} for {since}{colon}{message}", found.type_, found.status, found.reason);
            conditions.push(Node::new(text));
        }
    }
    root.push_if_any(conditions);
    let mut events = Node::new("events".to_owned());
    for event in &around.events {
        let ago = event.time.map(|time| format!("{} ago", age(time, now))).unwrap_or_default();
        events.push(Node::new(format!("{ago}  {} {}: {}", event.kind, event.reason, event.message)));
    }
    root.push_if_any(events);
    for problem in &around.problems {
        root.push(Node::new(problem.clone()));
    }
    let mut next = Node::new("next".to_owned());
    for step in next::steps(account, now) {
        next.push(Node::new(step));
    }
    root.push_if_any(next);
    root
}

fn of_secret(secret: &SecretFound) -> Node {
    let mut node = Node::new(format!("Secret      {}/{}  {}", secret.namespace, secret.name, secret.state));
    for entry in &secret.service_accounts {
        node.push(Node::new(format!("ServiceAccount {}  {}: {}", entry.name, entry.list, entry.state)));
    }
    node
}
