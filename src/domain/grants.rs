//! Who may ask for what: the fence between teams. Pure, and checked before any call: a request outside the grants
//! makes none.
//!
//! Grants add up, as roles do: an entry counts when its namespaces and its projects both fit in that same entry and it
//! admits the lifetime; the request must lie within the pairs of all entries that count, and one of them must allow
//! adoption where one is wished for, and retention where that is. Pairs are compared, not names.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::desired::Desired;
use super::permissions::{self, Access};
use super::robot::{Home, Lifetime, Robot};
use super::{catalogue, patterns};
use crate::api::{ExpiresAfter, Grant, GrantAdoption, GrantRetention, PermissionKind, RegistryTime};

/// Stands for the account's namespace in `projects`.
const NAMESPACE: &str = "$(namespace)";
/// The longest lifetime, in days, that an entry without `maxExpiresAfter` admits: who is granted something by a short
/// entry shall not hold it for ever.
const LONGEST_BY_DEFAULT: u32 = 90;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The account's namespace.
    pub namespace: &'a str,
    /// That namespace's labels; `None` if they cannot be known (a selector then never fits).
    pub labels: Option<&'a BTreeMap<String, String>>,
}

/// Why a request is refused: what is asked too much, and what would be allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// What the grants allow beyond the request itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// An unmarked robot may be taken over.
    pub adoption: bool,
}

/// Checks a request for a project robot.
pub fn check(grants: &[Grant], origin: Origin<'_>, desired: &Desired) -> Result<Granted, Refusal> {
    let Home::Project(project) = &desired.home else {
        return Err(Refusal("grants cover project robots only".to_owned()));
    };
    let here: Vec<&Grant> = entries(grants, origin, project).collect();
    if here.is_empty() {
        let why = match dead_patterns(grants, origin).join(", ") {
            dead if dead.is_empty() => dead,
            dead => {
                format!("; {dead} in a grant counts for nobody, since next to $(namespace) there must be a '.' or '_'")
            }
        };
        return Err(Refusal(format!(
            "no grant of the registry gives namespace {} the project {project}; ask its administrator for one{why}",
            origin.namespace
        )));
    }
    let long_enough: Vec<&Grant> = here.iter().copied().filter(|grant| admits(grant, desired.lifetime)).collect();
    if long_enough.is_empty() {
        let longest =
            here.iter().filter_map(|grant| longest(grant)).filter_map(Lifetime::days).max().unwrap_or_default();
        return Err(Refusal(format!(
            "expiresAfter {} is longer than the {longest}d that {}",
            desired.expires_after,
            cite(&here)
        )));
    }
    let excess: Vec<String> = desired
        .pairs()
        .into_iter()
        .filter(|pair| !long_enough.iter().any(|grant| covers_pair(grant, pair)))
        .map(|pair| pair.to_string())
        .collect();
    if !excess.is_empty() {
        return Err(Refusal(format!(
            "{} not granted; {} {}",
            excess.join(", "),
            cite(&long_enough),
            ceiling(&long_enough)
        )));
    }
    let retention = |grant: &&Grant| grant.retention == Some(GrantRetention::Allowed);
    if desired.retain && !long_enough.iter().any(retention) {
        return Err(Refusal(format!(
            "deletionPolicy: Retain not granted; {} no robot to outlive its account (retention: Denied)",
            cite(&long_enough)
        )));
    }
    Ok(Granted { adoption: long_enough.iter().any(|grant| grant.adoption == Some(GrantAdoption::Allowed)) })
}

/// Whether the entries cover what a project robot can do at this moment (registry time), whatever its account and its status
/// say: its permissions and the life it has left. One that cannot log in needs no cover.
pub fn cover_robot<'g>(
    grants: impl IntoIterator<Item = &'g Grant>,
    origin: Origin<'_>,
    robot: &Robot,
    now: RegistryTime,
) -> bool {
    let Home::Project(project) = &robot.home else { return true };
    if robot.disabled || robot.expiration_time.is_some_and(|at| at <= now) {
        return true;
    }
    let lifetime = robot.expiration_time.map_or(Lifetime::Never, |at| days_left(at, now));
    let fit: Vec<&Grant> = entries(grants, origin, project).filter(|grant| admits(grant, lifetime)).collect();
    let covered = |pair| fit.iter().any(|grant| covers_pair(grant, pair));
    // Harbor itself keeps a project robot to its project, so the scope of a pair says nothing more.
    !fit.is_empty() && robot.permissions.values().flatten().all(covered)
}

/// The days that a robot has left, rounded up as a request for them is. Harbor sets an expiry to the second, and clocks differ
/// by more than that.
fn days_left(expiration_time: RegistryTime, now: RegistryTime) -> Lifetime {
    const DAY: u64 = 86_400;
    const SLACK: i64 = 3_600;
    let seconds = expiration_time.as_second().saturating_sub(now.as_second()).saturating_sub(SLACK);
    let days = u64::try_from(seconds).unwrap_or_default().div_ceil(DAY);
    Lifetime::Days(u32::try_from(days).unwrap_or(u32::MAX))
}

/// The entries in which both namespace and project fit.
pub fn entries<'g>(
    grants: impl IntoIterator<Item = &'g Grant>,
    origin: Origin<'_>,
    project: &str,
) -> impl Iterator<Item = &'g Grant> {
    grants.into_iter().filter(move |grant| covers_namespace(grant, origin) && covers_project(grant, origin, project))
}

fn cite(grants: &[&Grant]) -> String {
    let names: Vec<&str> = grants.iter().map(|grant| grant.name.as_str()).collect();
    if names.len() == 1 {
        format!("grant {} allows", names[0])
    } else {
        format!("the grants {} allow", names.join(", "))
    }
}

fn ceiling(grants: &[&Grant]) -> String {
    let named = grants.iter().flat_map(|grant| grant.permissions.iter().flatten().copied().map(permissions::pair));
    let raw = grants.iter().flat_map(|grant| grant.access.iter().flatten().cloned());
    let pairs: BTreeSet<String> = named.chain(raw).map(|pair| pair.to_string()).collect();
    if pairs.is_empty() { "nothing".to_owned() } else { pairs.into_iter().collect::<Vec<_>>().join(", ") }
}

/// The longest lifetime that an entry admits; `None` if its limit cannot be read, and then it admits none.
fn longest(grant: &Grant) -> Option<Lifetime> {
    match grant.max_expires_after.as_ref().map(ExpiresAfter::days) {
        None => Some(Lifetime::Days(LONGEST_BY_DEFAULT)),
        Some(Ok(days)) => Some(days.map_or(Lifetime::Never, Lifetime::Days)),
        Some(Err(_)) => None,
    }
}

fn admits(grant: &Grant, lifetime: Lifetime) -> bool {
    longest(grant).is_some_and(|most| lifetime <= most)
}

fn covers_namespace(grant: &Grant, origin: Origin<'_>) -> bool {
    let by_name = grant.namespaces.as_ref().is_some_and(|names| names.iter().any(|name| name == origin.namespace));
    let by_selector = match (&grant.namespace_selector, origin.labels) {
        (Some(selector), Some(labels)) => !selects_all(selector) && selects(selector, labels),
        (Some(selector), None) => selects_by_name(selector, origin.namespace),
        (None, _) => false,
    };
    by_name || by_selector
}

fn covers_project(grant: &Grant, origin: Origin<'_>, project: &str) -> bool {
    // Names of namespaces and projects cannot hold `*` or `$`, so replacing first is safe.
    grant
        .projects
        .iter()
        .any(|pattern| is_safe(pattern) && patterns::fits(&pattern.replace(NAMESPACE, origin.namespace), project))
}

/// `$(namespace)-prod` would hand namespace `team` the project of namespace `team-prod`, and `$(namespace)-*` those of all
/// its neighbours: what stands next to `$(namespace)` begins or ends there with `.` or `_`, which no namespace name holds.
/// The API server's rule says the same; this holds for objects that were stored without it.
fn is_safe(pattern: &str) -> bool {
    let split = |text: char| text == '.' || text == '_';
    let pieces: Vec<&str> = pattern.split(NAMESPACE).collect();
    let last = pieces.len() - 1;
    pieces.iter().enumerate().all(|(n, piece)| {
        let at_an_end = piece.is_empty() && (n == 0 || n == last);
        at_an_end || ((n == 0 || piece.starts_with(split)) && (n == last || piece.ends_with(split)))
    })
}

/// The patterns of a namespace's grants that give nothing to anybody, since they would reach a neighbour's projects: stored
/// before the API server refused them.
fn dead_patterns<'g>(grants: &'g [Grant], origin: Origin<'_>) -> Vec<&'g str> {
    let here = grants.iter().filter(|grant| covers_namespace(grant, origin));
    here.flat_map(|grant| &grant.projects).map(String::as_str).filter(|pattern| !is_safe(pattern)).collect()
}

fn covers_pair(grant: &Grant, pair: &Access) -> bool {
    let named = grant.permissions.iter().flatten().any(|name| permissions::pair(*name) == *pair);
    named || grant.access.iter().flatten().any(|rule| covers(rule, pair))
}

fn covers(rule: &Access, pair: &Access) -> bool {
    // A wildcard in a grant is a set of pairs; a robot that holds one would hold the escalating pairs, too.
    if pair.resource.contains('*') || pair.action.contains('*') {
        return false;
    }
    if rule == pair {
        return true;
    }
    let wild =
        (rule.resource == "*" || rule.resource == pair.resource) && (rule.action == "*" || rule.action == pair.action);
    wild && !permissions::is_escalating(pair)
        && catalogue::known(catalogue::Version::LAST_KNOWN, PermissionKind::Project, pair)
}

/// The label that each namespace has, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Whether a selector that asks for nothing but the name fits a namespace whose labels cannot be known.
fn selects_by_name(selector: &LabelSelector, namespace: &str) -> bool {
    let keys = selector.match_labels.iter().flatten().map(|(key, _)| key.as_str());
    let mut keys = keys.chain(selector.match_expressions.iter().flatten().map(|term| term.key.as_str())).peekable();
    let labels = BTreeMap::from([(NAME_LABEL.to_owned(), namespace.to_owned())]);
    keys.peek().is_some() && keys.all(|key| key == NAME_LABEL) && selects(selector, &labels)
}

/// A selector without terms, stored before the API server refused it: it may be an accident and gives nothing to anybody.
fn selects_all(selector: &LabelSelector) -> bool {
    let no_labels = selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty);
    no_labels && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// Kubernetes' label selectors: all of `matchLabels` and all of `matchExpressions`; one without terms fits everything.
pub fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let exact = selector.match_labels.as_ref();
    let terms = selector.match_expressions.as_deref().unwrap_or_default();
    let exact_fit = exact.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact_fit
        && terms.iter().all(|term| {
            let value = labels.get(&term.key);
            let among = || value.is_some_and(|value| term.values.iter().flatten().any(|wanted| wanted == value));
            match term.operator.as_str() {
                "In" => among(),
                "NotIn" => !among(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests;
