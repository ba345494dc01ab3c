//! What a robot may do: Harbor's resource/action pairs and the ten names of Harbor's web page.

use std::collections::BTreeSet;

use super::robot::{Permissions, Scope};
pub use crate::api::AccessRule as Access;
use crate::api::{Permission, PermissionKind, PermissionRecord};

/// A set of pairs. Lists are always sent in one sorted order: concurrent creates with differently ordered lists deadlock
/// Harbor's database.
pub type AccessSet = BTreeSet<Access>;

/// The pair behind a name of Harbor's page. Harbor 2.10 and newer has no Helm chart resources (charts are OCI
/// artifacts), so the three Helm names mean what they come to today.
pub fn pair(name: Permission) -> Access {
    let (resource, action) = match name {
        Permission::PushArtifacts | Permission::CreateHelmChartVersions => ("repository", "push"),
        Permission::PullArtifacts | Permission::ReadHelmCharts => ("repository", "pull"),
        Permission::DeleteArtifacts | Permission::DeleteHelmChartVersions => ("artifact", "delete"),
        Permission::CreateTags => ("tag", "create"),
        Permission::DeleteTags => ("tag", "delete"),
        Permission::CreateArtifactLabels => ("artifact-label", "create"),
        Permission::CreateScans => ("scan", "create"),
    };
    Access::new(resource, action)
}

/// The pairs that names and raw pairs come to. Neither given = all ten names, as Harbor's page has it; only raw pairs
/// given = just those.
pub fn wanted(names: Option<&[Permission]>, access: Option<&[Access]>) -> AccessSet {
    let names = match (names, access) {
        (None, None) => &Permission::ALL[..],
        (names, _) => names.unwrap_or_default(),
    };
    names.iter().copied().map(pair).chain(access.unwrap_or_default().iter().cloned()).collect()
}

/// A line for each resource, like `tag: create, delete`.
pub fn lines(pairs: &AccessSet) -> Vec<String> {
    let rows = records(pairs, None, None).into_iter();
    rows.map(|row| format!("{}: {}", row.resource, row.actions.join(", "))).collect()
}

/// A row for each resource, for a status: `kind` and `project` where there may be others.
pub fn records(pairs: &AccessSet, kind: Option<PermissionKind>, project: Option<&str>) -> Vec<PermissionRecord> {
    let mut rows: Vec<PermissionRecord> = Vec::new();
    // Pairs come sorted by resource.
    for pair in pairs {
        match rows.last_mut().filter(|row| row.resource == pair.resource) {
            Some(row) => row.actions.push(pair.action.clone()),
            None => rows.push(PermissionRecord {
                kind,
                project: project.map(ToOwned::to_owned),
                resource: pair.resource.clone(),
                actions: vec![pair.action.clone()],
            }),
        }
    }
    rows
}

/// The rows of everything that a robot of any level holds, for a status.
pub fn records_by_scope(permissions: &Permissions) -> impl Iterator<Item = PermissionRecord> + '_ {
    permissions.iter().flat_map(|(scope, pairs)| {
        let project = match scope {
            Scope::System => None,
            Scope::AllProjects => Some("*"),
            Scope::Project(name) => Some(name.as_str()),
        };
        records(pairs, Some(scope.kind()), project)
    })
}

/// Pairs that widen their holder's own power, change who may do what, or reach outside the project. No `*` in a grant
/// covers them: each must be written out.
pub fn is_escalating(access: &Access) -> bool {
    match access.resource.as_str() {
        "robot"
        | "member"
        | "metadata"
        | "notification-policy"
        | "preheat-policy"
        | "ldap-user"
        | "registry"
        | "scanner" => true,
        "project" => matches!(access.action.as_str(), "update" | "delete"),
        resource => resource.starts_with("user") || resource.starts_with("replication"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(set: &AccessSet) -> String {
        set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn all_ten_names_come_to_seven_pairs() {
        assert_eq!(
            text(&wanted(None, None)),
            "artifact:delete artifact-label:create repository:pull repository:push scan:create tag:create tag:delete"
        );
    }

    #[test]
    fn only_raw_pairs_are_just_those() {
        let access = [Access { resource: "repository".into(), action: "list".into() }];
        assert_eq!(text(&wanted(None, Some(&access))), "repository:list");
        assert_eq!(text(&wanted(Some(&[Permission::PullArtifacts]), Some(&access))), "repository:list repository:pull");
    }

    #[test]
    fn a_resource_is_told_in_one_line() {
        let pairs = ["tag:create", "repository:pull", "tag:delete"].map(|pair| pair.split_once(':').unwrap());
        let pairs = pairs.map(|(resource, action)| Access::new(resource, action));
        assert_eq!(lines(&pairs.into()), ["repository: pull", "tag: create, delete"]);
    }

    #[test]
    fn escalating_pairs_are_known() {
        for (pair, expected) in [
            ("robot:list", true),
            ("user-group:read", true),
            ("replication-policy:list", true),
            ("project:update", true),
            ("project:read", false),
            ("repository:push", false),
            ("scan:create", false),
            ("scanner:read", true),
        ] {
            let (resource, action) = pair.split_once(':').unwrap();
            assert_eq!(is_escalating(&Access::new(resource, action)), expected, "{pair}");
        }
    }
}
