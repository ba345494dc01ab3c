//! `list`: Harbor's overview of robots for a cluster, sorted by what needs somebody.

use std::io;
use std::process::ExitCode;

use futures::TryStreamExt as _;
use harbor_robot_operator::api::{
    AccessRule, Account, AccountSpec, Permission, RegistryTime, RobotAccount, SystemRobotAccount,
    SystemRobotAccountSpec,
};
use harbor_robot_operator::{clock, cluster};
use serde_json::{Value, json};

use crate::attention::{self, Attention, Need};
use crate::cli::ListArgs;
use crate::cluster::{Cluster, Listed, Scope};
use crate::error::Error;
use crate::output::{Format, Screen, Table, note, write_list};
use crate::target::typed;
use crate::times::{age, until};

/// What of an account is kept until all are there and can be sorted.
struct Row {
    need: Need,
    expires: Option<RegistryTime>,
    namespace: String,
    name: String,
    /// The other columns, or the whole object.
    rest: Rest,
}

enum Rest {
    Cells(Vec<String>),
    Object(Value),
    Nothing,
}

pub(crate) async fn run(cluster: &Cluster, args: &ListArgs) -> Result<ExitCode, Error> {
    let now = clock::now().into();
    let scope = Scope { all_namespaces: args.all_namespaces, selector: args.selector.as_deref() };
    let row = |listed| std::future::ready(Ok(row(listed, args.output, now)));
    let mut rows: Vec<Row> = cluster.robot_accounts(scope).and_then(row).try_collect().await?;
    if args.all_namespaces {
        match cluster.system_robot_accounts(scope.selector).and_then(row).try_collect::<Vec<Row>>().await {
            Ok(system) => rows.extend(system),
            // Whoever sees the accounts of all namespaces need not see these.
            Err(Error::Kubernetes(what, error @ cluster::Error::Refused(_))) => {
                note(&format!("warning: {what}: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    rows.sort_by(|a, b| a.order().cmp(&b.order()));
    write(rows, args)?;
    Ok(ExitCode::SUCCESS)
}

impl Row {
    /// Those that need somebody first, of these the first to expire; the rest by name.
    fn order(&self) -> (Need, RegistryTime, &str, &str) {
        let expires = self.expires.filter(|_| self.need != Need::Nothing).unwrap_or(RegistryTime::MAX);
        (self.need, expires, &self.namespace, &self.name)
    }
}

fn write(rows: Vec<Row>, args: &ListArgs) -> Result<(), Error> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.output {
        Some(format @ (Format::Json | Format::Yaml)) => {
            let objects = rows.into_iter().filter_map(|row| match row.rest {
                Rest::Object(object) => Some(object),
                _ => None,
            });
            return write_list(&mut out, format, &objects.collect::<Vec<_>>());
        }
        Some(Format::Name) => {
            for row in rows {
                io::Write::write_fmt(&mut out, format_args!("{}\n", row.name))?;
            }
            return Ok(io::Write::flush(&mut out)?);
        }
        None | Some(Format::Wide) => {}
    }
    if rows.is_empty() {
        note(&format!(
            "no accounts {}",
            if args.all_namespaces { "in this cluster" } else { "in this namespace; -A lists all" }
        ));
        return Ok(());
    }
    let mut header = if args.all_namespaces { vec!["NAMESPACE"] } else { Vec::new() };
    header.extend(["NAME", "PROJECT", "ENABLED", "PERMISSIONS", "CREATED", "EXPIRES", "RENEWS", "AGE"]);
    header.extend(if args.output == Some(Format::Wide) { WIDE } else { &[] });
    header.push("REASON");
    let mut table = Table::new(header);
    for row in rows {
        let mut cells = if args.all_namespaces { vec![row.namespace] } else { Vec::new() };
        cells.push(row.name);
        if let Rest::Cells(rest) = row.rest {
            cells.extend(rest);
        }
        table.push(cells, row.need.tone());
    }
    table.write(&mut out, &Screen::of_stdout(), !args.no_headers)?;
    Ok(io::Write::flush(&mut out)?)
}

const WIDE: &[&str] = &["READY", "LOGIN", "REGISTRY", "SECRET", "EXPIRES-AT", "RENEWS-AT"];
/// The columns behind the name that an object that cannot be read leaves empty, without the last one.
const COLUMNS: usize = 7;

fn row(listed: Listed<Account>, format: Option<Format>, now: RegistryTime) -> Row {
    let account = match listed {
        Ok(account) => account,
        Err(unreadable) => {
            let metadata = &unreadable.metadata;
            let empty = COLUMNS + if format == Some(Format::Wide) { WIDE.len() } else { 0 };
            let mut cells = vec![String::new(); empty];
            cells.push("Unreadable".to_owned());
            let name = metadata.name.clone().unwrap_or_default();
            let prefix = if metadata.namespace.is_none() { "sra/" } else { "" };
            let object = json!({"apiVersion": unreadable.api_version, "kind": unreadable.kind, "metadata": metadata});
            return Row {
                need: Need::Somebody,
                expires: None,
                namespace: metadata.namespace.clone().unwrap_or_default(),
                rest: rest(format, || cells, || object),
                name: if format == Some(Format::Name) {
                    full_name(&unreadable.kind, &name)
                } else {
                    format!("{prefix}{name}")
                },
            };
        }
    };
    let attention = attention::of(&account);
    let name = if format == Some(Format::Name) { full_name(account.kind(), account.name()) } else { typed(&account) };
    Row {
        need: attention.need,
        expires: account.status.as_ref().and_then(|status| status.robot.as_ref()?.expiration_time),
        namespace: account.metadata.namespace.clone().unwrap_or_default(),
        name,
        rest: rest(format, || cells(&account, attention, format == Some(Format::Wide), now), || object(&account)),
    }
}

fn rest(format: Option<Format>, cells: impl FnOnce() -> Vec<String>, object: impl FnOnce() -> Value) -> Rest {
    match format {
        None | Some(Format::Wide) => Rest::Cells(cells()),
        Some(Format::Json | Format::Yaml) => Rest::Object(object()),
        Some(Format::Name) => Rest::Nothing,
    }
}

/// `robotaccount.harbor-robots.io/ci`, as kubectl prints and takes it.
fn full_name(kind: &str, name: &str) -> String {
    format!("{}.{}/{name}", kind.to_lowercase(), harbor_robot_operator::api::GROUP)
}

fn object(account: &Account) -> Value {
    let (metadata, status) = (account.metadata.clone(), account.status.clone());
    let written = match account.spec.clone() {
        AccountSpec::Project(spec) => serde_json::to_value(RobotAccount { metadata, spec, status }),
        AccountSpec::System(spec) => serde_json::to_value(SystemRobotAccount { metadata, spec, status }),
    };
    written.unwrap_or_default()
}

/// The columns behind the name.
fn cells(account: &Account, attention: Attention, wide: bool, now: RegistryTime) -> Vec<String> {
    let status = account.status.as_ref();
    let robot = status.and_then(|status| status.robot.as_ref());
    let renewal = status.and_then(|status| status.renewal_time);
    let expires = |never: &str, shown: &dyn Fn(RegistryTime) -> String| {
        robot.map_or_else(String::new, |robot| robot.expiration_time.map_or_else(|| never.to_owned(), shown))
    };
    let shortened = |words: Vec<String>| if wide { words.join(",") } else { shortened(&words) };
    let (projects, permissions) = match &account.spec {
        AccountSpec::Project(spec) => {
            (vec![spec.project.clone()], words(spec.permissions.as_deref(), spec.access.as_deref()))
        }
        AccountSpec::System(spec) => (projects(spec), permissions(spec)),
    };
    let mut cells = vec![
        shortened(projects),
        if account.disabled() == Some(&true) { "no" } else { "yes" }.to_owned(),
        shortened(permissions),
        robot.map(|robot| age(robot.creation_time, now)).unwrap_or_default(),
        expires("never", &|moment| until(moment, now, "expired")),
        renewal.map(|moment| until(moment, now, "due")).unwrap_or_default(),
        account.metadata.creation_timestamp.as_ref().map(|time| age(time.0.into(), now)).unwrap_or_default(),
    ];
    if wide {
        cells.extend([
            attention::condition(account, harbor_robot_operator::api::conditions::READY)
                .map(|ready| ready.status.clone())
                .unwrap_or_default(),
            robot.map(|robot| robot.name.clone()).unwrap_or_default(),
            status
                .and_then(|status| status.registry.as_ref())
                .map(|registry| registry.name.clone())
                .unwrap_or_default(),
            status.and_then(|status| status.secret_refs.first()).map(|secret| secret.name.clone()).unwrap_or_default(),
            expires("never", &|moment| moment.whole_second().to_string()),
            renewal.map(|moment| moment.whole_second().to_string()).unwrap_or_default(),
        ]);
    }
    cells.push(attention.reason);
    cells
}

/// The first two of some words, and how many more there are.
fn shortened(words: &[String]) -> String {
    match words {
        [first, _, _, ..] => format!("{first},+{}", words.len() - 1),
        _ => words.join(","),
    }
}

/// Permissions in the words of a spec; `all` where it has none.
fn words(names: Option<&[Permission]>, access: Option<&[AccessRule]>) -> Vec<String> {
    if names.is_none() && access.is_none() {
        return vec!["all".to_owned()];
    }
    let names = names.unwrap_or_default().iter().map(|name| format!("{name:?}"));
    names.chain(access.unwrap_or_default().iter().map(ToString::to_string)).collect()
}

/// Which projects a system account is for.
fn projects(spec: &SystemRobotAccountSpec) -> Vec<String> {
    let Some(projects) = &spec.projects else { return Vec::new() };
    let all = projects.all.iter().map(|_| "*".to_owned());
    let matching = projects.matching.iter().flatten().map(|row| row.pattern.clone());
    all.chain(matching).chain(projects.selected.iter().flatten().map(|row| row.project.clone())).collect()
}

/// What a system account asks for, wherever.
fn permissions(spec: &SystemRobotAccountSpec) -> Vec<String> {
    let mut found: Vec<String> = spec.system_access.iter().flatten().map(ToString::to_string).collect();
    let projects = spec.projects.iter();
    let sets = projects.flat_map(|projects| {
        let all = projects.all.iter().map(|set| (set.permissions.as_deref(), set.access.as_deref()));
        let matching =
            projects.matching.iter().flatten().map(|row| (row.permissions.as_deref(), row.access.as_deref()));
        let selected =
            projects.selected.iter().flatten().map(|row| (row.permissions.as_deref(), row.access.as_deref()));
        all.chain(matching).chain(selected)
    });
    for word in sets.flat_map(|(names, access)| words(names, access)) {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(account: Value) -> Account {
        serde_json::from_value::<SystemRobotAccount>(account).unwrap().into()
    }

    #[test]
    fn a_system_account_is_shown_by_what_it_asks_for() {
        let account = read(json!({"metadata": {"name": "pull"}, "spec": {
            "systemAccess": [{"resource": "project", "action": "list"}],
            "projects": {"matching": [{"pattern": "team-*", "permissions": ["PullArtifacts"]},
                                      {"pattern": "base", "permissions": ["PullArtifacts", "CreateScans"]},
                                      {"pattern": "x-*", "permissions": ["PullArtifacts"]}]},
        }}));
        let now = RegistryTime::from_second(1_800_000_000);
        let shown = |wide| {
            let cells = cells(&account, attention::of(&account), wide, now);
            (cells[0].clone(), cells[2].clone(), cells.len())
        };
        assert_eq!(shown(false), ("team-*,+2".into(), "project:list,+2".into(), COLUMNS + 1));
        let (projects, permissions) = ("team-*,base,x-*", "project:list,PullArtifacts,CreateScans");
        assert_eq!(shown(true), (projects.into(), permissions.into(), COLUMNS + WIDE.len() + 1));
    }

    #[test]
    fn what_needs_somebody_comes_first_and_of_that_the_first_to_expire() {
        let row = |need, second: Option<i64>, name: &str| Row {
            need,
            expires: second.map(RegistryTime::from_second),
            namespace: "a".to_owned(),
            name: name.to_owned(),
            rest: Rest::Nothing,
        };
        let mut rows = [
            row(Need::Nothing, Some(1), "b"),
            row(Need::Nothing, Some(9), "a"),
            row(Need::NotReady, None, "c"),
            row(Need::NotReady, Some(5), "d"),
            row(Need::Somebody, Some(8), "e"),
        ];
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        assert_eq!(rows.map(|row| row.name), ["e", "d", "c", "a", "b"]);
    }
}
