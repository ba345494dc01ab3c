//! The JSON bodies of the writes.

use serde::Serialize;

use crate::domain::robot::{Home, Lifetime, Permissions, Robot, Scope};
use crate::registry::NewRobot;

/// The body of PATCH.
#[derive(Serialize)]
pub(super) struct RefreshBody<'a> {
    /// Absent: Harbor draws one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<&'a str>,
}

/// The body of POST and PUT.
#[derive(Serialize)]
pub(super) struct RobotBody<'a> {
    name: &'a str,
    description: &'a str,
    level: &'static str,
    duration: i64,
    /// Not in POST, which ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    disable: Option<bool>,
    permissions: Vec<GroupBody<'a>>,
}

#[derive(Serialize)]
struct GroupBody<'a> {
    kind: &'static str,
    namespace: &'a str,
    access: Vec<AccessBody<'a>>,
}

#[derive(Serialize)]
struct AccessBody<'a> {
    resource: &'a str,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
}

impl<'a> RobotBody<'a> {
    /// For POST. A robot login may hand out a pair only with the very text of `effect` that it holds itself, absent or
    /// `allow`.
    pub(super) fn create(robot: &'a NewRobot, effect: Option<&'static str>) -> Self {
        Self {
            name: &robot.name,
            description: &robot.description,
            level: level(&robot.home),
            duration: duration(robot.lifetime),
            disable: None,
            permissions: groups(&robot.permissions, effect),
        }
    }

    /// For PUT. Every field is written out: Harbor decodes the body over the old permissions, and an absent `effect` or
    /// `namespace` keeps the value of whichever group stood there before.
    pub(super) fn update(robot: &'a Robot) -> Self {
        Self {
            name: &robot.name,
            description: &robot.description,
            level: level(&robot.home),
            duration: duration(robot.lifetime),
            disable: Some(robot.disabled),
            permissions: groups(&robot.permissions, Some("allow")),
        }
    }
}

fn level(home: &Home) -> &'static str {
    match home {
        Home::System => "system",
        Home::Project(_) => "project",
    }
}

fn duration(lifetime: Lifetime) -> i64 {
    match lifetime {
        Lifetime::Never => -1,
        Lifetime::Days(days) => i64::from(days),
    }
}

/// In the order of the map and its sets: one order for everybody, or Harbor's database deadlocks.
fn groups<'a>(permissions: &'a Permissions, effect: Option<&'static str>) -> Vec<GroupBody<'a>> {
    permissions
        .iter()
        .map(|(scope, pairs)| {
            let (kind, namespace) = match scope {
                Scope::System => ("system", "/"),
                Scope::AllProjects => ("project", "*"),
                Scope::Project(project) => ("project", project.as_str()),
            };
            let access = pairs
                .iter()
                .map(|pair| AccessBody { resource: &pair.resource, action: &pair.action, effect })
                .collect();
            GroupBody { kind, namespace, access }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::permissions::{Access, AccessSet};

    fn pair(text: &str) -> Access {
        let (resource, action) = text.split_once(':').unwrap();
        Access { resource: resource.into(), action: action.into() }
    }

    #[test]
    fn bodies_are_sorted_and_an_update_leaves_nothing_out() {
        let permissions = Permissions::from([
            (Scope::Project("b".into()), AccessSet::from([pair("tag:list"), pair("repository:push")])),
            (Scope::System, AccessSet::from([pair("robot:read")])),
        ]);
        let update = Robot {
            home: Home::System,
            name: "robot$x".into(),
            description: String::new(),
            lifetime: Lifetime::Never,
            disabled: false,
            permissions: permissions.clone(),
            ..crate::domain::fixtures::robot(crate::domain::slots::Slot::A, 0)
        };
        let with = |resource: &str, action: &str| json!({"resource": resource, "action": action, "effect": "allow"});
        let want = json!({"name": "robot$x", "description": "", "level": "system", "duration": -1, "disable": false,
            "permissions": [
                {"kind": "system", "namespace": "/", "access": [with("robot", "read")]},
                {"kind": "project", "namespace": "b", "access": [with("repository", "push"), with("tag", "list")]}]});
        assert_eq!(serde_json::to_value(RobotBody::update(&update)).unwrap(), want);

        let new = NewRobot {
            home: Home::Project("b".into()),
            name: "x".into(),
            description: "d".into(),
            lifetime: Lifetime::Days(3),
            permissions,
        };
        let body = serde_json::to_value(RobotBody::create(&new, None)).unwrap();
        assert_eq!((&body["level"], &body["duration"], body.get("disable")), (&json!("project"), &json!(3), None));
        assert_eq!(body["permissions"][1]["access"][0], json!({"resource": "repository", "action": "push"}));
    }
}
