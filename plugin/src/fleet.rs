//! `fleet`: all robots of one Harbor, and whose they are: their marks tell cluster, namespace and account.

mod whose;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use harbor_robot_operator::api::RegistryTime;
use harbor_robot_operator::clock;
use harbor_robot_operator::domain::robot::{Home, Robot, Scope};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::harbor::HarborArgs;
use crate::output::{Format, Screen, Table, Tone, counted, note, printable, write_value};
use crate::times::{age, until};
use whose::{Known, Whose};

/// Flags of `fleet`.
#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    #[command(flatten)]
    pub harbor: HarborArgs,
    /// Only robots of projects with these names; `*` stands for any text [default: all projects, and the system].
    #[arg(long, value_delimiter = ',', value_name = "PATTERN,…")]
    pub projects: Vec<String>,
    /// Only robots that no account manages.
    #[arg(long)]
    pub unmanaged: bool,
    /// How it is printed.
    #[arg(long, short, value_enum, value_name = "FORM")]
    pub output: Option<Format>,
    /// Without the line of headers.
    #[arg(long)]
    pub no_headers: bool,
}

/// A robot, and whose it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    name: String,
    id: i64,
    project: Option<String>,
    #[serde(flatten)]
    whose: Whose,
    enabled: bool,
    creation_time: RegistryTime,
    expiration_time: Option<RegistryTime>,
    permissions: Vec<String>,
    description: String,
}

pub(crate) async fn run(cluster: &Cluster, args: &FleetArgs) -> Result<ExitCode, Error> {
    let harbor = args.harbor.connect(cluster).await?;
    let known = Known::read(cluster, harbor.registry.as_ref()).await?;
    let robots = harbor.robots(&args.projects).await?;
    let now = RegistryTime::from(clock::now()) + harbor.client.clock_offset();
    let mut members: Vec<Member> = robots.into_iter().map(|robot| member(robot, &known)).collect();
    if args.unmanaged {
        members.retain(|member| !member.whose.state.is_managed());
    }
    members.sort_by(|a, b| a.order().cmp(&b.order()));
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.output {
        Some(format @ (Format::Json | Format::Yaml)) => write_value(&mut out, format, &members)?,
        Some(Format::Name) => {
            for member in &members {
                writeln!(out, "{}", printable(&member.name))?;
            }
        }
        None | Some(Format::Wide) => {
            let wide = args.output.is_some();
            table(&members, wide, now).write(&mut out, &Screen::of_stdout(), !args.no_headers)?;
        }
    }
    out.flush()?;
    summarize(&members, now);
    Ok(ExitCode::SUCCESS)
}

fn member(robot: Robot, known: &Known) -> Member {
    let whose = known.whose(&robot);
    let permissions = robot.permissions.iter().flat_map(|(scope, pairs)| {
        let place = match scope {
            Scope::System => "/",
            Scope::AllProjects => "*",
            Scope::Project(name) => name,
        };
        pairs.iter().map(move |pair| format!("{place} {pair}"))
    });
    Member {
        permissions: permissions.collect(),
        project: match robot.home {
            Home::System => None,
            Home::Project(name) => Some(name),
        },
        whose,
        name: robot.name,
        id: robot.id,
        enabled: !robot.disabled,
        creation_time: robot.creation_time,
        expiration_time: robot.expiration_time,
        description: robot.description,
    }
}

impl Member {
    /// Those that nobody stands behind first, of these the first to expire.
    fn order(&self) -> (whose::State, RegistryTime, &str) {
        (self.whose.state, self.expiration_time.unwrap_or(RegistryTime::MAX), &self.name)
    }
}

fn table(members: &[Member], wide: bool, now: RegistryTime) -> Table {
    let mut header = vec!["ROBOT", "STATE", "CLUSTER", "ACCOUNT", "ENABLED", "EXPIRES", "AGE"];
    header.extend(if wide { ["ID", "PERMISSIONS", "DESCRIPTION"].as_slice() } else { &[] });
    let mut table = Table::new(header);
    for member in members {
        let expires = member.expiration_time.map_or_else(|| "never".to_owned(), |time| until(time, now, "expired"));
        let mut cells = vec![
            member.name.clone(),
            format!("{:?}", member.whose.state),
            member.whose.cluster.clone().unwrap_or_default(),
            member.whose.account.clone().unwrap_or_default(),
            if member.enabled { "yes" } else { "no" }.to_owned(),
            expires,
            age(member.creation_time, now),
        ];
        if wide {
            cells.extend([member.id.to_string(), member.permissions.join(", "), member.description.clone()]);
        }
        table.push(cells, if member.whose.state.is_managed() { Tone::Plain } else { Tone::Warning });
    }
    table
}

/// On standard error, so that the table stays a table.
fn summarize(members: &[Member], now: RegistryTime) {
    let mut counts: BTreeMap<whose::State, usize> = BTreeMap::new();
    for member in members {
        *counts.entry(member.whose.state).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state:?}")).collect();
    note(&format!("{}: {}", counted(members.len(), "robot"), counts.join(", ")));
    let unmanaged = members.iter().filter(|member| !member.whose.state.is_managed() && member.enabled);
    let alive = unmanaged.filter_map(|member| Some((member.expiration_time.filter(|at| *at > now)?, &member.name)));
    if let Some((at, name)) = alive.min() {
        note(&format!(
            "the first to expire of those that nobody renews: {} in {}",
            printable(name),
            until(at, now, "")
        ));
    }
}
