//! The permission catalogue: which resource:action pairs a robot may be given.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::version::Version;

static CATALOGUE: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../contract/data/permissions-v2.16.json"))
        .expect("the recorded catalogue is JSON")
});

/// The list of one kind as `GET /permissions` of a version shows it.
pub fn of_kind(version: Version, kind: &str) -> Value {
    let text = |pair: &Value, key: &str| pair[key].as_str().unwrap_or_default().to_owned();
    let known = |pair: &&Value| version.has_pair(kind, &text(pair, "resource"), &text(pair, "action"));
    let mut pairs: Vec<Value> = CATALOGUE[kind].as_array().into_iter().flatten().filter(known).cloned().collect();
    if kind == "system" && version.has_system_export() {
        pairs.extend(["create", "read"].map(|action| json!({"resource": "export-cve", "action": action})));
    }
    pairs.into()
}

/// Whether a permission of this kind may hold the pair. There is no wildcard and no `robot:update`.
pub fn holds(version: Version, kind: &str, resource: &str, action: &str) -> bool {
    let listed = CATALOGUE[kind].as_array().into_iter().flatten();
    let mut listed = listed.filter(|pair| pair["resource"] == resource && pair["action"] == action);
    (listed.next().is_some() && version.has_pair(kind, resource, action))
        || (kind == "system"
            && resource == "export-cve"
            && matches!(action, "create" | "read")
            && version.has_system_export())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_grew_as_harbor_did() {
        let count = |version, kind| of_kind(version, kind).as_array().unwrap().len();
        let history =
            [(10, 0, 51, 55), (10, 1, 53, 56), (11, 0, 53, 59), (12, 0, 72, 68), (12, 1, 70, 70), (16, 0, 70, 70)];
        for (minor, patch, system, project) in history {
            let version = Version::of(minor, patch);
            assert_eq!((count(version, "system"), count(version, "project")), (system, project), "{version}");
        }
    }

    #[test]
    fn there_is_no_wildcard_and_no_update_of_robots() {
        let now = Version::default();
        for kind in ["system", "project"] {
            assert!(holds(now, kind, "robot", "create"));
            assert!(!holds(now, kind, "robot", "update"));
            assert!(!holds(now, kind, "*", "*"));
        }
        assert!(!holds(now, "Project", "repository", "pull"));
    }
}
