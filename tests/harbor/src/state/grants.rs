//! Permissions: as a client asks for them, as they are stored, and as they are shown.

use rand::seq::SliceRandom;
use serde_json::{Map, Value, json};

use super::projects::Projects;
use crate::error::{ApiError, ApiResult};

/// One resource:action pair with its effect, which is empty when the client sent none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Resource.
    pub resource: String,
    /// Action.
    pub action: String,
    /// Effect: empty and `allow` allow, `deny` denies, anything else grants nothing.
    pub effect: String,
}

/// A permission group as a client sends it, or as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requested {
    /// `system` or `project`.
    pub kind: String,
    /// `/`, `*` or a project's name.
    pub namespace: String,
    /// Pairs.
    pub access: Vec<Access>,
    /// The element was `null`.
    pub null: bool,
    /// One of the pairs was `null`.
    pub null_access: bool,
}

/// What a stored group is about. A project is kept by id, so that a deleted one hides the group for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The system.
    System,
    /// Every project.
    AllProjects,
    /// One project.
    Project(i64),
}

/// A stored permission group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What it is about.
    pub scope: Scope,
    /// Pairs, each stored once.
    pub access: Vec<Access>,
}

impl Scope {
    /// Kind and namespace as shown; `None` when the project is gone.
    pub fn shown(self, projects: &Projects) -> Option<(&'static str, &str)> {
        Some(match self {
            Self::System => ("system", "/"),
            Self::AllProjects => ("project", "*"),
            Self::Project(id) => ("project", &projects.get(id)?.name),
        })
    }
}

/// Finds what the requested groups are about and merges those with the same scope.
pub fn resolve(requested: &[Requested], projects: &Projects) -> ApiResult<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for wanted in requested {
        let scope = match (wanted.kind.as_str(), wanted.namespace.as_str()) {
            ("system", "/") => Scope::System,
            ("project", "*") => Scope::AllProjects,
            ("project", name) => Scope::Project(projects.find(name)?.id),
            _ => return Err(ApiError::bad_request("unknown namespace")),
        };
        let at = groups.iter().position(|group| group.scope == scope).unwrap_or_else(|| {
            groups.push(Group { scope, access: Vec::new() });
            groups.len() - 1
        });
        for access in &wanted.access {
            if !groups[at].access.contains(access) {
                groups[at].access.push(access.clone());
            }
        }
    }
    Ok(groups)
}

/// The groups that are shown, in an order that is different at each call, as Harbor's is.
pub fn shown(groups: &[Group], projects: &Projects) -> Vec<Requested> {
    let mut shown: Vec<Requested> = groups
        .iter()
        .filter_map(|group| {
            let (kind, namespace) = group.scope.shown(projects)?;
            let access = group.access.clone();
            Some(Requested { kind: kind.into(), namespace: namespace.into(), access, ..Requested::default() })
        })
        .collect();
    shown.shuffle(&mut rand::rng());
    shown
}

/// What PUT makes of the old groups: Harbor decodes the new ones into them, so that what an element at an index leaves
/// out or empty keeps the value that the old element at this index has.
pub fn decode_into(old: &[Requested], new: &[Requested]) -> Vec<Requested> {
    let keep = |new: &str, old: Option<&String>| {
        if new.is_empty() { old.cloned().unwrap_or_default() } else { new.to_owned() }
    };
    let group = |(at, new): (usize, &Requested)| {
        let old = old.get(at);
        let access = new.access.iter().enumerate().map(|(at, new)| {
            let old = old.and_then(|old| old.access.get(at));
            Access {
                resource: keep(&new.resource, old.map(|old| &old.resource)),
                action: keep(&new.action, old.map(|old| &old.action)),
                effect: keep(&new.effect, old.map(|old| &old.effect)),
            }
        });
        Requested {
            kind: keep(&new.kind, old.map(|old| &old.kind)),
            namespace: keep(&new.namespace, old.map(|old| &old.namespace)),
            access: access.collect(),
            ..Requested::default()
        }
    };
    new.iter().enumerate().map(group).collect()
}

/// Groups as the API shows them.
pub fn view(groups: &[Group], projects: &Projects) -> Value {
    let put = |map: &mut Map<String, Value>, key: &str, text: &str| {
        if !text.is_empty() {
            map.insert(key.into(), text.into());
        }
    };
    let access = |access: &Access| {
        let mut map = Map::new();
        put(&mut map, "resource", &access.resource);
        put(&mut map, "action", &access.action);
        put(&mut map, "effect", &access.effect);
        Value::Object(map)
    };
    let group = |group: Requested| {
        json!({
            "kind": group.kind, "namespace": group.namespace,
            "access": group.access.iter().map(access).collect::<Vec<_>>(),
        })
    };
    shown(groups, projects).into_iter().map(group).collect()
}

/// Whether a robot that holds `creator` may hand out `wanted`: group by group, and pair by pair with the effect as text.
pub fn within(wanted: &[Requested], creator: &[Group], projects: &Projects) -> bool {
    let held = |kind: &str, namespace: &str| {
        let exact = creator.iter().find(|group| group.scope.shown(projects) == Some((kind, namespace)));
        exact.or_else(|| creator.iter().find(|group| kind == "project" && group.scope == Scope::AllProjects))
    };
    wanted.iter().all(|group| {
        held(&group.kind, &group.namespace)
            .is_some_and(|held| group.access.iter().all(|access| held.access.contains(access)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(namespace: &str, effects: &[&str]) -> Requested {
        let access =
            |effect: &&str| Access { resource: "repository".into(), action: "pull".into(), effect: (*effect).into() };
        Requested {
            kind: "project".into(),
            namespace: namespace.into(),
            access: effects.iter().map(access).collect(),
            ..Requested::default()
        }
    }

    #[test]
    fn what_a_put_leaves_out_comes_from_the_old_element_at_the_same_index() {
        let merged = decode_into(&[group("a", &["deny"])], &[group("", &["", ""]), group("b", &[""])]);
        assert_eq!(merged, [group("a", &["deny", ""]), group("b", &[""])]);
    }

    #[test]
    fn a_group_of_a_deleted_project_is_kept_but_not_shown() {
        let mut projects = Projects::default();
        let id = projects.create("p", false, 1, "admin", 0);
        let groups = resolve(&[group("p", &[""])], &projects).unwrap();
        projects.remove(id);
        projects.create("p", false, 1, "admin", 0);
        assert_eq!(view(&groups, &projects), json!([]));
        assert_eq!(groups.len(), 1);
    }
}
