//! Which namespaces a system account's Secret goes to, and what is said of each.

use std::collections::{BTreeMap, BTreeSet};

use super::grants::selects;
use crate::api::{AccountStatus, NamespaceRecord, SecretRecord, SystemSecretOutput};

/// So many namespaces are in a status, those that failed first.
const NAMESPACES_TOLD: usize = 100;

/// So many Secrets are in a status, the first one first: a status has to fit into an object. Where more are is known from
/// the Secrets themselves.
pub const SECRETS_TOLD: usize = 100;

const NOT_FOUND: &str = "NamespaceNotFound";
const PROGRESSING: &str = "Progressing";

/// The namespaces that a spec asks for: by name, whether they exist or not, and those that exist and carry the labels.
pub fn wanted<'n>(
    output: &SystemSecretOutput,
    existing: impl IntoIterator<Item = (&'n str, &'n BTreeMap<String, String>)>,
) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = output.namespaces.iter().flatten().cloned().collect();
    if let Some(selector) = &output.namespace_selector {
        let fit = existing.into_iter().filter(|(_, labels)| selects(selector, labels));
        names.extend(fit.map(|(name, _)| name.to_owned()));
    }
    names
}

/// What became of the Secret in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The namespace.
    pub name: String,
    /// `None`: the Secret holds the published credential.
    pub problem: Option<Problem>,
}

/// Why a namespace does not have the published credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From the table of reasons.
    pub reason: String,
    /// What is wrong and what to do.
    pub message: String,
    /// A Secret of ours is there that may still hold the former credential.
    pub behind: bool,
    /// Nothing is wrong: something is still to come.
    pub waits: bool,
}

impl Problem {
    /// The namespace does not exist.
    pub fn no_namespace() -> Self {
        Self::waiting(NOT_FOUND, "the namespace does not exist; it gets the Secret when it appears")
    }

    /// There is no credential to copy.
    pub fn no_credential() -> Self {
        Self::waiting(PROGRESSING, "a working credential is not published yet")
    }

    fn waiting(reason: &str, message: &str) -> Self {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        Self { reason, message, behind: false, waits: true }
    }
}

/// True if a Secret of ours in some namespace could not be brought up to date when that was last tried: pods there may use
/// the former credential.
pub fn is_behind(status: &AccountStatus) -> bool {
    let holds = |name: &str| status.secret_refs.iter().any(|secret| secret.namespace == name);
    status.namespaces.iter().any(|row| !row.ready && holds(&row.name))
}

/// True for a namespace of which nothing is told but that it is waited for.
pub fn is_awaited(status: &AccountStatus, namespace: &str) -> bool {
    let row = status.namespaces.iter().find(|row| row.name == namespace);
    row.is_none_or(|row| row.reason.as_deref() == Some(NOT_FOUND))
}

/// Tells of the namespaces that were looked at, and of those that have no Secret any more; what is told of others stays.
pub fn amend(status: &mut AccountStatus, secret: &str, rows: &[Row], gone: &BTreeSet<String>) {
    let looked_at = |name: &str| rows.iter().any(|row| row.name == name);
    let told_before = |name: &str| {
        let waits = status.namespaces.iter().any(|row| row.name == name);
        waits || status.secret_refs.iter().any(|held| held.namespace == name)
    };
    let come = rows.iter().filter(|row| !told_before(&row.name)).count();
    let left = gone.iter().filter(|name| told_before(name)).count();
    let count = status.namespace_count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    if come + left > 0 {
        status.namespace_count = i32::try_from((count + come).saturating_sub(left)).ok();
    }
    status.secret_refs.retain(|held| !gone.contains(&held.namespace));
    for row in rows.iter().filter(|row| row.problem.is_none()) {
        let told = status.secret_refs.len() >= SECRETS_TOLD;
        if !told && !status.secret_refs.iter().any(|held| held.namespace == row.name) {
            status.secret_refs.push(SecretRecord { namespace: row.name.clone(), name: secret.to_owned() });
        }
    }
    let mut told = std::mem::take(&mut status.namespaces);
    told.retain(|row| !gone.contains(&row.name) && !looked_at(&row.name));
    told.extend(rows.iter().map(record));
    status.namespaces = in_order(told);
}

/// The rows of a status.
pub fn records(rows: &[Row]) -> Vec<NamespaceRecord> {
    in_order(rows.iter().map(record).collect())
}

fn record(row: &Row) -> NamespaceRecord {
    NamespaceRecord {
        name: row.name.clone(),
        ready: row.problem.is_none(),
        reason: row.problem.as_ref().map(|problem| problem.reason.clone()),
        message: row.problem.as_ref().map(|problem| problem.message.clone()),
    }
}

/// Those that failed, those that are waited for, the others; no more than are told.
fn in_order(mut rows: Vec<NamespaceRecord>) -> Vec<NamespaceRecord> {
    let rank = |row: &NamespaceRecord| match row.reason.as_deref() {
        None => 2,
        Some(NOT_FOUND | PROGRESSING) => 1,
        Some(_) => 0,
    };
    rows.sort_by(|a, b| (rank(a), &a.name).cmp(&(rank(b), &b.name)));
    rows.truncate(NAMESPACES_TOLD);
    rows
}

/// One sentence about all that failed; `None` if none did, apart from those that are waited for.
pub fn summary(rows: &[Row]) -> Option<String> {
    let failed = rows.iter().filter_map(|row| Some((row, row.problem.as_ref()?)));
    let failed: Vec<(&Row, &Problem)> = failed.filter(|(_, problem)| !problem.waits).collect();
    let (first, problem) = failed.first()?;
    let others = match failed.len() - 1 {
        0 => String::new(),
        n => format!("; {n} more in status.namespaces"),
    };
    Some(format!(
        "the Secret is not as it should be in {} of {} namespaces: {}: {}{others}",
        failed.len(),
        rows.len(),
        first.name,
        problem.message
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(name: &str, problem: Option<&str>) -> Row {
        let problem = problem.map(|reason| Problem {
            reason: reason.to_owned(),
            message: format!("{reason} it is"),
            behind: false,
            waits: reason == "NamespaceNotFound",
        });
        Row { name: name.to_owned(), problem }
    }

    #[test]
    fn namespaces_come_by_name_and_by_label() {
        let output: SystemSecretOutput = serde_json::from_value(json!({
            "namespaces": ["b", "missing"], "namespaceSelector": {"matchLabels": {"team": "yes"}},
        }))
        .unwrap();
        let yes = BTreeMap::from([("team".to_owned(), "yes".to_owned())]);
        let no = BTreeMap::new();
        let existing = [("a", &yes), ("b", &no), ("c", &no)];
        assert_eq!(wanted(&output, existing).into_iter().collect::<Vec<_>>(), ["a", "b", "missing"]);
        assert!(wanted(&SystemSecretOutput::default(), existing).is_empty());
    }

    #[test]
    fn failures_come_first_and_a_hundred_rows_are_enough() {
        let mut rows: Vec<Row> = (0..150).map(|n| row(&format!("n{n:03}"), None)).collect();
        rows.push(row("zzz", Some("SecretNotOwned")));
        rows.push(row("aaa", Some("NamespaceNotFound")));
        let records = records(&rows);
        assert_eq!(records.len(), 100);
        assert_eq!(records[..3].iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["zzz", "aaa", "n000"]);
        assert_eq!(records[0].reason.as_deref(), Some("SecretNotOwned"));
        assert_eq!(
            summary(&rows).as_deref(),
            Some("the Secret is not as it should be in 1 of 152 namespaces: zzz: SecretNotOwned it is")
        );
        rows.push(row("zzzz", Some("SecretContested")));
        assert!(summary(&rows).unwrap().ends_with("; 1 more in status.namespaces"));
        assert_eq!(summary(&rows[..150]), None);
        assert_eq!(summary(&rows[151..152]), None, "a namespace that is to come is no failure");
    }

    #[test]
    fn a_hundred_secrets_are_enough() {
        let mut status = AccountStatus::default();
        let rows: Vec<Row> = (0..5_000).map(|n| row(&format!("n{n:04}"), None)).collect();
        amend(&mut status, "pull", &rows, &BTreeSet::new());
        assert_eq!((status.secret_refs.len(), status.namespaces.len()), (SECRETS_TOLD, NAMESPACES_TOLD));
        assert_eq!(status.namespace_count, Some(5_000));
        let gone = BTreeSet::from(["n0000".to_owned()]);
        amend(&mut status, "pull", &[], &gone);
        assert_eq!(status.secret_refs.len(), SECRETS_TOLD - 1);
    }

    #[test]
    fn what_came_and_went_is_told_beside_what_was_told_before() {
        let mut status = AccountStatus { namespace_count: Some(4), ..AccountStatus::default() };
        status.namespaces = records(&[
            row("bad", Some("SecretNotOwned")),
            row("later", Some("NamespaceNotFound")),
            row("old", None),
            row("stays", None),
        ]);
        for namespace in ["system", "old", "stays"] {
            status.secret_refs.push(SecretRecord { namespace: namespace.to_owned(), name: "pull".to_owned() });
        }
        assert!(["later", "new"].iter().all(|name| is_awaited(&status, name)));
        assert!(!["bad", "old", "stays"].iter().any(|name| is_awaited(&status, name)));

        let rows = [row("later", None), row("new", None), row("worse", Some("KubernetesRefused"))];
        let gone = BTreeSet::from(["old".to_owned(), "never-told".to_owned()]);
        amend(&mut status, "pull", &rows, &gone);
        let told: Vec<(&str, bool)> = status.namespaces.iter().map(|row| (row.name.as_str(), row.ready)).collect();
        assert_eq!(told, [("bad", false), ("worse", false), ("later", true), ("new", true), ("stays", true)]);
        assert_eq!(status.namespace_count, Some(5));
        let held: Vec<&str> = status.secret_refs.iter().map(|held| held.namespace.as_str()).collect();
        assert_eq!(held, ["system", "stays", "later", "new"]);
        assert!(status.secret_refs.iter().all(|held| held.name == "pull"));

        let before = status.clone();
        amend(&mut status, "pull", &[], &BTreeSet::new());
        assert_eq!(status, before);
    }
}
