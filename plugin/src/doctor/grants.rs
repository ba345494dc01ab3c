//! Grants that nobody can make use of, or that nobody does.

use std::collections::BTreeMap;

use harbor_robot_operator::api::{Account, AccountSpec, Grant, RegistryKind, RegistryObject};
use harbor_robot_operator::domain::grants::{Origin, entries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Finding, Level};
use crate::cluster::Cluster;

/// Labels of each namespace.
type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

pub(super) async fn check(cluster: &Cluster, registries: &[RegistryObject], accounts: &[Account]) -> Vec<Finding> {
    let namespaces = match cluster.namespaces().await {
        Ok(found) => found,
        Err(error) => return vec![Finding::unknown("grants", &error)],
    };
    let labelled = |found: ObjectMeta| (found.name.unwrap_or_default(), found.labels.unwrap_or_default());
    found(&namespaces.into_iter().map(labelled).collect(), registries, accounts)
}

fn found(namespaces: &Namespaces, registries: &[RegistryObject], accounts: &[Account]) -> Vec<Finding> {
    let of_cluster = registries.iter().filter(|registry| registry.kind == RegistryKind::ClusterHarborRegistry);
    let each = of_cluster.flat_map(|registry| {
        let grants = registry.spec.grants.iter().flatten();
        grants.filter_map(|grant| of_grant(namespaces, registry, grant, accounts))
    });
    each.collect()
}

fn of_grant(
    namespaces: &Namespaces,
    registry: &RegistryObject,
    grant: &Grant,
    accounts: &[Account],
) -> Option<Finding> {
    let what = format!("grant {} of registry {}", grant.name, registry.name());
    let missing = grant.namespaces.iter().flatten().filter(|name| !namespaces.contains_key(*name));
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    if !missing.is_empty() {
        let says = format!("it names {}, which do not exist: correct it, or create them", missing.join(", "));
        return Some(Finding::new(Level::Warning, what, says));
    }
    let uses = |account: &Account| {
        let AccountSpec::Project(spec) = &account.spec else { return false };
        let pinned = account.status.as_ref().and_then(|status| status.registry.as_ref());
        let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
        let origin = Origin { namespace, labels: namespaces.get(namespace) };
        pinned.is_some_and(|pinned| pinned.kind == registry.kind && pinned.name == registry.name())
            && entries(std::slice::from_ref(grant), origin, &spec.project).next().is_some()
    };
    (!accounts.iter().any(uses)).then(|| Finding::new(Level::Ok, what, "no account makes use of it".to_owned()))
}

#[cfg(test)]
mod tests {
    use harbor_robot_operator::api::{ClusterHarborRegistry, RobotAccount};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grant_for_nobody_is_told() {
        let grant = |name: &str, namespaces: &[&str], project: &str| json!({"name": name, "namespaces": namespaces, "projects": [project], "permissions": ["PullArtifacts"]});
        let registry: ClusterHarborRegistry = serde_json::from_value(json!({"metadata": {"name": "main"}, "spec": {
            "url": "https://h", "auth": {}, "grants": [grant("used", &["a"], "p"), grant("idle", &["a"], "q"), grant("typo", &["a", "b"], "p")],
        }}))
        .unwrap();
        let account: RobotAccount = serde_json::from_value(json!({
            "metadata": {"name": "ci", "namespace": "a"}, "spec": {"project": "p"},
            "status": {"registry": {"kind": "ClusterHarborRegistry", "name": "main"}},
        }))
        .unwrap();
        let namespaces = BTreeMap::from([("a".to_owned(), BTreeMap::new())]);
        let found = found(&namespaces, &[registry.into()], &[account.into()]);
        let told: Vec<(Level, &str)> = found.iter().map(|finding| (finding.level, finding.what.as_str())).collect();
        assert_eq!(told, [(Level::Ok, "grant idle of registry main"), (Level::Warning, "grant typo of registry main")]);
        assert!(found[1].says.starts_with("it names b, which do not exist"), "{}", found[1].says);
    }
}
