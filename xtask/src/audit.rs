//! What the operator asked of the API servers of a test run, against what a manifest of `deploy/` grants it: nothing that
//! it was refused, nothing granted that it never used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::rights::Rights;

/// The ServiceAccount in the manifests. Tests that take rights away use another one.
const OPERATOR: &str = "harbor-robot-operator";
/// The operator's namespace in the manifests.
const OWN: &str = "harbor-robots";
/// A team's.
const TEAM: &str = "team-a";

/// Granted and never asked for by the operator itself, with the reason.
const NOT_ASKED_FOR: [(&str, &str, &str); 2] = [
    // The admission plugin OwnerReferencesPermissionEnforcement, which some clusters run, asks the authorizer for this where an
    // owner reference has blockOwnerDeletion.
    ("harbor-robots.io", "robotaccounts/finalizers", "update"),
    ("harbor-robots.io", "systemrobotaccounts/finalizers", "update"),
];

/// A line of an audit log, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

/// A role of a manifest, or a binding of one to the operator; the others are of no concern here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    rules: Vec<Rule>,
    role_ref: Option<RoleRef>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct RoleRef {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

/// Where a role holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Cluster,
    /// The operator's namespace.
    Own,
    /// Somebody else's.
    Other,
}

/// One right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    scope: Scope,
    group: String,
    resource: String,
    name: Option<String>,
    verb: String,
}

impl Right {
    /// True if a request needs this very right, or one that is a part of it.
    fn covers(&self, used: &Right) -> bool {
        (self.scope == Scope::Cluster || self.scope == used.scope)
            && (&self.group, &self.resource, &self.verb) == (&used.group, &used.resource, &used.verb)
            && (self.name.is_none() || self.name == used.name)
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { scope, group, resource, name, verb } = self;
        let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        write!(f, "{verb} {resource}{name} (group {group:?}, {scope:?})")
    }
}

/// What was asked for.
#[derive(Default)]
struct Asked {
    allowed: BTreeSet<Right>,
    /// With one request of each, and how many.
    refused: BTreeMap<Right, (String, usize)>,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Of the run with these rights
    #[arg(long, value_enum, default_value = "shipped")]
    rights: Rights,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let rights = options.rights;
    if check(&rights.audit_logs(), &rights.manifests())? { Ok(()) } else { bail!("rights and requests differ") }
}

/// Compares the logs in a folder with manifests, and prints what is wrong.
pub(crate) fn check(logs: &Path, manifests: &[PathBuf]) -> Result<bool> {
    let granted = granted_by(manifests)?;
    let mut asked = Asked::default();
    let entries = fs::read_dir(logs).with_context(|| format!("read {}", logs.display()))?;
    for entry in entries {
        let path = entry?.path();
        let lines = BufReader::new(File::open(&path)?).lines();
        for line in lines {
            asked.read(&line.with_context(|| format!("read {}", path.display()))?)?;
        }
    }
    if asked.allowed.is_empty() {
        bail!("no request of the operator in {}", logs.display());
    }
    let unused = unused(&granted, &asked.allowed);
    for (right, (request, times)) in &asked.refused {
        println!("the operator was refused {times} times: {right}, as in {request}");
    }
    for right in &unused {
        println!("granted, and nothing used it: {right}");
    }
    println!("{} rights granted, {} kinds of requests made", granted.len(), asked.allowed.len());
    Ok(asked.refused.is_empty() && unused.is_empty())
}

impl Asked {
    fn read(&mut self, line: &str) -> Result<()> {
        let event: Event = serde_json::from_str(line).with_context(|| format!("the audit log has {line}"))?;
        let Some(account) = event.user.username.strip_prefix("system:serviceaccount:") else { return Ok(()) };
        let Some((own, OPERATOR)) = account.split_once(':') else { return Ok(()) };
        let Some(object) = event.object_ref else { return Ok(()) };
        let ObjectRef { api_group, resource, subresource, namespace, name } = object;
        let scope = match namespace.as_str() {
            "" => Scope::Cluster,
            namespace if namespace == own => Scope::Own,
            _ => Scope::Other,
        };
        let resource = if subresource.is_empty() { resource } else { format!("{resource}/{subresource}") };
        // A list or a watch of one object has its name in the field selector, and the audit log nowhere else.
        let selected = event.request_uri.split("metadata.name%3D").nth(1);
        let selected = selected.and_then(|rest| rest.split('&').next()).map(str::to_owned);
        let name = Some(name).filter(|name| !name.is_empty()).or(selected);
        let right = Right { scope, group: api_group, resource, name, verb: event.verb };
        if event.annotations.get("authorization.k8s.io/decision").is_some_and(|decision| decision == "forbid") {
            let right = Right { name: None, ..right };
            self.refused.entry(right).or_insert((event.request_uri, 0)).1 += 1;
        } else {
            // Names are of interest only where a rule has them.
            let name = right.name.clone().filter(|name| name == OPERATOR || name == "kube-system");
            self.allowed.insert(Right { name, ..right });
        }
        Ok(())
    }
}

fn granted_by(manifests: &[PathBuf]) -> Result<BTreeSet<Right>> {
    let mut all = BTreeSet::new();
    for manifest in manifests {
        let text = fs::read_to_string(manifest).with_context(|| format!("read {}", manifest.display()))?;
        all.extend(granted(&text).with_context(|| format!("read {}", manifest.display()))?);
    }
    Ok(all)
}

/// Every single right that a manifest gives the operator: roles without a binding are for people.
fn granted(manifest: &str) -> Result<BTreeSet<Right>> {
    let documents = manifest.split("\n---\n").map(serde_saphyr::from_str::<Document>);
    let documents: Vec<Document> = documents.collect::<std::result::Result<_, _>>()?;
    let bound: BTreeSet<(String, String, String)> = documents
        .iter()
        .filter_map(|binding| Some((&binding.metadata, binding.role_ref.as_ref()?)))
        .map(|(metadata, role)| (role.kind.clone(), metadata.namespace.clone(), role.name.clone()))
        .collect();
    let mut granted = BTreeSet::new();
    for Document { kind, metadata, rules, .. } in documents {
        if !bound.contains(&(kind.clone(), metadata.namespace.clone(), metadata.name.clone())) {
            continue;
        }
        let scope = match (kind.as_str(), metadata.namespace.as_str()) {
            ("ClusterRole", _) => Scope::Cluster,
            ("Role", namespace) if namespace == OWN => Scope::Own,
            ("Role", _) => Scope::Other,
            _ => continue,
        };
        for Rule { api_groups, resources, resource_names, verbs } in rules {
            // A team's own namespace stands for each of them.
            let resource_names: Vec<String> = resource_names.into_iter().filter(|name| name != TEAM).collect();
            let names: Vec<Option<String>> =
                if resource_names.is_empty() { vec![None] } else { resource_names.into_iter().map(Some).collect() };
            for group in &api_groups {
                for resource in &resources {
                    for verb in &verbs {
                        granted.extend(names.iter().map(|name| Right {
                            scope,
                            group: group.clone(),
                            resource: resource.clone(),
                            name: name.clone(),
                            verb: verb.clone(),
                        }));
                    }
                }
            }
        }
    }
    Ok(granted)
}

fn unused(granted: &BTreeSet<Right>, used: &BTreeSet<Right>) -> Vec<Right> {
    let meant =
        |right: &Right| NOT_ASKED_FOR.contains(&(right.group.as_str(), right.resource.as_str(), right.verb.as_str()));
    granted.iter().filter(|right| !meant(right) && !used.iter().any(|used| right.covers(used))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "kind: ClusterRole
metadata: {name: all}
rules:
- apiGroups: [harbor-robots.io]
  resources: [robotaccounts, robotaccounts/finalizers]
  verbs: [update]
- apiGroups: [\"\"]
  resources: [secrets]
  verbs: [get, list]
---
kind: ClusterRoleBinding
metadata: {name: other}
roleRef: {kind: ClusterRole, name: all}
---
kind: ClusterRole
metadata: {name: for-people}
rules:
- apiGroups: [harbor-robots.io]
  resources: [robotaccounts]
  verbs: [create]
---
kind: Role
metadata: {namespace: harbor-robots, name: own}
rules:
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [harbor-robot-operator]
  verbs: [watch]
---
kind: RoleBinding
metadata: {namespace: harbor-robots, name: own}
roleRef: {kind: Role, name: own}
---
kind: Deployment
";

    fn line(account: &str, verb: &str, object: &str, decision: &str, uri: &str) -> String {
        format!(
            r#"{{"verb":"{verb}","requestURI":"{uri}","user":{{"username":"system:serviceaccount:a-system:{account}"}},"objectRef":{object},"annotations":{{"authorization.k8s.io/decision":"{decision}"}}}}"#
        )
    }

    fn asked(lines: &[String]) -> Asked {
        let mut asked = Asked::default();
        for line in lines {
            asked.read(line).expect("a line of the log");
        }
        asked
    }

    #[test]
    fn what_nothing_used_and_what_was_refused_is_told() {
        let secret = r#"{"resource":"secrets","namespace":"team","name":"pull"}"#;
        let account = r#"{"resource":"robotaccounts","apiGroup":"harbor-robots.io","namespace":"team","name":"ci"}"#;
        let asked = asked(&[
            line(OPERATOR, "get", secret, "allow", "/x"),
            line(OPERATOR, "update", account, "allow", "/x"),
            line(OPERATOR, "delete", secret, "forbid", "/y"),
            line(OPERATOR, "delete", secret, "forbid", "/z"),
            line("refused-on-purpose", "create", secret, "forbid", "/x"),
            line("somebody", "list", secret, "allow", "/x"),
        ]);
        let told: Vec<String> =
            unused(&granted(MANIFEST).expect("yaml"), &asked.allowed).iter().map(Right::to_string).collect();
        assert_eq!(
            told,
            [
                "list secrets (group \"\", Cluster)",
                "watch leases harbor-robot-operator (group \"coordination.k8s.io\", Own)"
            ]
        );
        let refused: Vec<_> = asked.refused.into_iter().map(|(right, told)| (right.to_string(), told)).collect();
        assert_eq!(refused, [("delete secrets (group \"\", Other)".to_owned(), ("/y".to_owned(), 2))]);
    }

    #[test]
    fn a_watch_of_one_object_uses_the_right_to_that_one() {
        let leases = r#"{"resource":"leases","apiGroup":"coordination.k8s.io","namespace":"a-system"}"#;
        let granted = granted(MANIFEST).expect("yaml");
        let lease = |uri: &str| {
            let asked = asked(&[line(OPERATOR, "watch", leases, "allow", uri)]);
            unused(&granted, &asked.allowed).iter().any(|right| right.resource == "leases")
        };
        assert!(!lease("/leases?fieldSelector=metadata.name%3Dharbor-robot-operator&watch=true"));
        assert!(lease("/leases?watch=true"));
    }

    #[test]
    fn the_other_installations_grant_what_the_shipped_one_does_or_less() {
        let of = |rights: Rights| granted_by(&rights.manifests()).expect("manifests");
        let (shipped, hardened, namespaced) = (of(Rights::Shipped), of(Rights::Hardened), of(Rights::Namespaced));
        let less: Vec<String> = shipped.difference(&hardened).map(Right::to_string).collect();
        assert_eq!(less, ["list secrets (group \"\", Cluster)", "watch secrets (group \"\", Cluster)"]);
        assert_eq!(hardened.difference(&shipped).count(), 0);
        let beyond: Vec<&Right> =
            namespaced.iter().filter(|right| !shipped.iter().any(|granted| granted.covers(right))).collect();
        assert!(beyond.is_empty(), "{beyond:?}");
        let of_the_cluster = namespaced.iter().filter(|right| right.scope == Scope::Cluster);
        let kinds: BTreeSet<&str> = of_the_cluster.map(|right| right.resource.as_str()).collect();
        assert_eq!(
            kinds.into_iter().collect::<Vec<_>>(),
            ["clusterharborregistries", "clusterharborregistries/status", "namespaces"]
        );
    }
}
