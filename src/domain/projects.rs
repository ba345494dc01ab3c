//! What a system account may do in which projects: patterns and names against the projects that there are, and what is
//! taken away again.

use std::collections::BTreeSet;

use super::patterns;
use super::permissions::{self, Access, AccessSet};
use super::robot::{Permissions, Scope};
use crate::api::{Permission, ProjectAccess, ProjectsRecord, SystemRobotAccountSpec};

/// So many names of projects are in a status.
const NAMES_TOLD: usize = 100;

/// True if the projects that there are have to be known for the account's permissions.
pub fn depend_on_names(spec: &SystemRobotAccountSpec) -> bool {
    spec.projects.as_ref().is_some_and(|projects| projects.matching.is_some())
}

/// The permissions that a spec comes to while Harbor has these projects.
pub fn permissions(spec: &SystemRobotAccountSpec, existing: &BTreeSet<String>) -> Permissions {
    of_spec(spec, |pattern| existing.iter().filter(|name| patterns::fits(pattern, name)).cloned().collect())
}

/// The same as the spec has it, for people: each pattern stands for the projects that fit it.
pub fn by_pattern(spec: &SystemRobotAccountSpec) -> Permissions {
    of_spec(spec, |pattern| vec![pattern.to_owned()])
}

fn of_spec(spec: &SystemRobotAccountSpec, fitting: impl Fn(&str) -> Vec<String>) -> Permissions {
    let mut all = spec.projects.as_ref().map(|projects| in_projects(projects, fitting)).unwrap_or_default();
    let system = spec.system_access.as_deref().unwrap_or_default();
    all.insert(Scope::System, pairs(None, Some(system)));
    all.retain(|_, pairs| !pairs.is_empty());
    all
}

fn in_projects(projects: &ProjectAccess, fitting: impl Fn(&str) -> Vec<String>) -> Permissions {
    let mut all = Permissions::new();
    let mut add = |scope, pairs: &AccessSet| all.entry(scope).or_default().extend(pairs.iter().cloned());
    if let Some(set) = &projects.all {
        add(Scope::AllProjects, &pairs(set.permissions.as_deref(), set.access.as_deref()));
    }
    for entry in projects.matching.iter().flatten() {
        let pairs = pairs(entry.permissions.as_deref(), entry.access.as_deref());
        for name in fitting(&entry.pattern) {
            add(Scope::Project(name), &pairs);
        }
    }
    for entry in projects.selected.iter().flatten() {
        let pairs = pairs(entry.permissions.as_deref(), entry.access.as_deref());
        add(Scope::Project(entry.project.clone()), &pairs);
    }
    let except = projects.except.as_ref();
    let except = except.map(|set| plain(set.permissions.as_deref(), set.access.as_deref())).unwrap_or_default();
    for pairs in all.values_mut() {
        pairs.retain(|pair| !except.contains(pair));
        if !pairs.contains(&pull()) {
            pairs.remove(&push());
        }
    }
    all
}

fn pull() -> Access {
    Access::new("repository", "pull")
}

fn push() -> Access {
    Access::new("repository", "push")
}

/// Neither given = nothing: what a system robot may do is always written down.
fn plain(names: Option<&[Permission]>, access: Option<&[Access]>) -> AccessSet {
    permissions::wanted(Some(names.unwrap_or_default()), access)
}

/// Harbor lets a robot of a project that may push pull as well; a system robot that may only push can do neither
/// (goharbor/harbor#13973).
fn pairs(names: Option<&[Permission]>, access: Option<&[Access]>) -> AccessSet {
    let mut pairs = plain(names, access);
    if pairs.contains(&push()) {
        pairs.insert(pull());
    }
    pairs
}

/// What status says of the projects.
pub fn record(permissions: &Permissions) -> ProjectsRecord {
    let names = permissions.keys().filter_map(|scope| match scope {
        Scope::Project(name) => Some(name),
        Scope::System | Scope::AllProjects => None,
    });
    let all = permissions.contains_key(&Scope::AllProjects);
    ProjectsRecord {
        all: all.then_some(true),
        count: (!all).then(|| i32::try_from(names.clone().count()).unwrap_or(i32::MAX)),
        names: names.take(NAMES_TOLD).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn existing(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn of(spec: Value, names: &[&str]) -> Vec<String> {
        let spec: SystemRobotAccountSpec = serde_json::from_value(spec).unwrap();
        let texts = permissions(&spec, &existing(names)).into_iter().map(|(scope, pairs)| {
            let scope = match scope {
                Scope::System => "/".to_owned(),
                Scope::AllProjects => "*".to_owned(),
                Scope::Project(name) => name,
            };
            let pairs: Vec<String> = pairs.iter().map(ToString::to_string).collect();
            format!("{scope} {}", pairs.join(","))
        });
        texts.collect()
    }

    #[test]
    fn patterns_fit_the_projects_that_there_are_and_add_up() {
        let spec = json!({"projects": {"matching": [
            {"pattern": "team-*", "permissions": ["PullArtifacts"]},
            {"pattern": "*-prod", "access": [{"resource": "tag", "action": "list"}]},
        ]}});
        assert_eq!(
            of(spec.clone(), &["team-a", "team-prod", "other", "x-prod"]),
            ["team-a repository:pull", "team-prod repository:pull,tag:list", "x-prod tag:list"]
        );
        assert_eq!(of(spec, &["other"]), [""; 0]);
    }

    #[test]
    fn people_are_told_of_patterns_and_what_is_taken_from_them() {
        let spec = json!({"projects": {
            "matching": [{"pattern": "team-*", "permissions": ["PushArtifacts", "CreateTags"]}],
            "except": {"permissions": ["CreateTags"]},
        }, "systemAccess": [{"resource": "project", "action": "list"}]});
        let spec: SystemRobotAccountSpec = serde_json::from_value(spec).unwrap();
        let rows: Vec<_> = permissions::records_by_scope(&by_pattern(&spec)).collect();
        let wanted = json!([
            {"kind": "System", "resource": "project", "actions": ["list"]},
            {"kind": "Project", "project": "team-*", "resource": "repository", "actions": ["pull", "push"]},
        ]);
        assert_eq!(serde_json::to_value(rows).unwrap(), wanted);
    }

    #[test]
    fn all_and_selected_do_not_ask_which_projects_there_are() {
        let all = json!({"projects": {"all": {"permissions": ["PullArtifacts"]}},
                         "systemAccess": [{"resource": "project", "action": "list"}]});
        assert_eq!(of(all, &["a"]), ["/ project:list", "* repository:pull"]);
        let selected = json!({"projects": {"selected": [
            {"project": "b", "permissions": ["PullArtifacts"]},
            {"project": "a", "access": [{"resource": "tag", "action": "list"}]},
        ]}});
        assert_eq!(of(selected, &[]), ["a tag:list", "b repository:pull"]);
    }

    #[test]
    fn push_never_comes_without_pull() {
        let by_name = json!({"projects": {"all": {"permissions": ["PushArtifacts"]}}});
        assert_eq!(of(by_name, &[]), ["* repository:pull,repository:push"]);
        let by_pair = json!({"projects": {"all": {"access": [{"resource": "repository", "action": "push"}]}}});
        assert_eq!(of(by_pair, &[]), ["* repository:pull,repository:push"]);
        let no_pull = json!({"projects": {
            "all": {"permissions": ["PushArtifacts", "CreateTags"]},
            "except": {"permissions": ["PullArtifacts"]},
        }});
        assert_eq!(of(no_pull, &[]), ["* tag:create"]);
        let no_push = json!({"projects": {
            "all": {"permissions": ["PushArtifacts"]},
            "except": {"permissions": ["PushArtifacts"]},
        }});
        assert_eq!(of(no_push, &[]), ["* repository:pull"], "taking push away leaves pull");
    }

    #[test]
    fn what_is_excepted_is_taken_from_every_project_and_nothing_may_be_left() {
        let except = json!({"permissions": ["DeleteArtifacts"], "access": [{"resource": "tag", "action": "list"}]});
        let selected = json!([
            {"project": "a", "permissions": ["PullArtifacts", "DeleteArtifacts"]},
            {"project": "b", "access": [{"resource": "tag", "action": "list"}]},
        ]);
        let spec = json!({"projects": {"selected": selected, "except": except}});
        assert_eq!(of(spec, &[]), ["a repository:pull"]);
        // What is not about projects stays.
        let spec = json!({"projects": {"selected": [{"project": "b", "access": [{"resource": "tag", "action": "list"}]}],
                                       "except": except},
                          "systemAccess": [{"resource": "project", "action": "list"}]});
        assert_eq!(of(spec, &[]), ["/ project:list"]);
    }

    #[test]
    fn status_tells_how_many_projects_and_the_first_hundred_names() {
        let set = AccessSet::from([pull()]);
        let many: Permissions = (0..250).map(|n| (Scope::Project(format!("p{n:03}")), set.clone())).collect();
        let told = record(&many);
        assert_eq!((told.all, told.count, told.names.len(), told.names[99].as_str()), (None, Some(250), 100, "p099"));
        let told = record(&Permissions::from([(Scope::AllProjects, set)]));
        assert_eq!((told.all, told.count, told.names.len()), (Some(true), None, 0));
    }

    proptest! {
        #[test]
        fn no_set_ever_holds_push_alone_or_anything_excepted(
            given in proptest::collection::vec(0..Permission::ALL.len(), 1..10),
            taken in proptest::collection::vec(0..Permission::ALL.len(), 0..10),
        ) {
            let names = |picked: &[usize]| {
                let set: BTreeSet<Permission> = picked.iter().map(|n| Permission::ALL[*n]).collect();
                set.into_iter().collect::<Vec<_>>()
            };
            let mut projects = json!({"all": {"permissions": names(&given)}});
            if !taken.is_empty() {
                projects["except"] = json!({"permissions": names(&taken)});
            }
            let spec: SystemRobotAccountSpec = serde_json::from_value(json!({"projects": projects})).unwrap();
            for pairs in permissions(&spec, &BTreeSet::new()).values() {
                prop_assert!(!pairs.contains(&push()) || pairs.contains(&pull()));
                prop_assert!(names(&taken).into_iter().all(|name| !pairs.contains(&permissions::pair(name))));
                prop_assert!(!pairs.is_empty());
            }
        }
    }
}
