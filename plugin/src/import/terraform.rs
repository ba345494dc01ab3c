//! Robots in the state of Terraform's provider for Harbor, as `terraform show -json` prints it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use harbor_robot_operator::domain::permissions::Access;
use harbor_robot_operator::domain::robot::{Home, Lifetime, Permissions, Scope};
use serde::Deserialize;

use super::found::Found;
use crate::error::Error;

const RESOURCE: &str = "harbor_robot_account";
/// The largest state that is read, in bytes.
const LARGEST: u64 = 256 * 1024 * 1024;

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    values: Option<Values>,
}

#[derive(Deserialize)]
struct Values {
    root_module: Module,
}

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    child_modules: Vec<Self>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "type")]
    kind: String,
    address: String,
    values: serde_json::Value,
}

/// The provider's attributes (registry.terraform.io/providers/goharbor/harbor, `harbor_robot_account`). Its `secret` is left
/// where it is.
#[derive(Deserialize)]
struct Attributes {
    name: String,
    level: String,
    #[serde(default)]
    full_name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    duration: Option<i64>,
    #[serde(default)]
    disable: Option<bool>,
    #[serde(default)]
    permissions: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    kind: String,
    namespace: String,
    #[serde(default)]
    access: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    resource: String,
    action: String,
    #[serde(default)]
    effect: Option<String>,
}

/// The robots in a file; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<Vec<Found>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Refused(format!("{}: {error}", file.display()));
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        io::stdin().take(LARGEST).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|open| open.take(LARGEST).read_to_string(&mut text))
    };
    read.map_err(|error| failed(&error))?;
    robots(&text).map_err(|error| failed(&error))
}

fn robots(text: &str) -> Result<Vec<Found>, String> {
    let shown: Shown = serde_json::from_str(text)
        .map_err(|error| format!("this is not what `terraform show -json` prints: {error}"))?;
    let root = shown.values.ok_or("this holds no state: use `terraform show -json` without a plan file")?.root_module;
    let (mut modules, mut found) = (vec![root], Vec::new());
    while let Some(module) = modules.pop() {
        modules.extend(module.child_modules);
        for resource in module.resources.into_iter().filter(|resource| resource.kind == RESOURCE) {
            let attributes =
                Attributes::deserialize(&resource.values).map_err(|error| format!("{}: {error}", resource.address))?;
            found.push(of(attributes, &resource.address)?);
        }
    }
    Ok(found)
}

fn of(robot: Attributes, address: &str) -> Result<Found, String> {
    let mut unsaid = vec![format!("Terraform has to forget it first: terraform state rm '{address}'")];
    let mut permissions = Permissions::new();
    for group in &robot.permissions {
        let scope = match (group.kind.as_str(), group.namespace.as_str()) {
            ("system", _) => Scope::System,
            (_, "*") => Scope::AllProjects,
            (_, project) => Scope::Project(project.to_owned()),
        };
        let pairs = permissions.entry(scope).or_default();
        for pair in &group.access {
            if pair.effect.as_deref().is_some_and(|effect| effect == "deny") {
                unsaid.push(format!("it denies {}:{}, which no account can", pair.resource, pair.action));
            } else {
                pairs.insert(Access::new(&pair.resource, &pair.action));
            }
        }
    }
    let home = match robot.level.as_str() {
        "system" => Home::System,
        "project" => {
            let project = robot.permissions.first().map(|group| group.namespace.clone());
            Home::Project(project.ok_or_else(|| format!("{address}: a robot of a project without permissions"))?)
        }
        other => return Err(format!("{address}: level {other:?} is neither system nor project")),
    };
    let days = robot.duration.and_then(|days| u32::try_from(days).ok()).filter(|days| *days > 0);
    Ok(Found {
        full_name: robot.full_name.unwrap_or_else(|| robot.name.clone()),
        name: Some(robot.name),
        home,
        description: robot.description.unwrap_or_default(),
        lifetime: days.map_or(Lifetime::Never, Lifetime::Days),
        disabled: robot.disable.unwrap_or_default(),
        permissions,
        unsaid,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn robots_are_read_from_all_modules() {
        let robot = |name: &str, level: &str, namespace: &str| {
            json!({"type": RESOURCE, "address": format!("harbor_robot_account.{name}"), "values": {
                "name": name, "level": level, "duration": 30, "disable": null, "secret": "Never-Printed-1",
                "full_name": format!("robot$x+{name}"), "description": "by hand",
                "permissions": [{"kind": "project", "namespace": namespace, "access": [
                    {"resource": "repository", "action": "pull", "effect": ""},
                    {"resource": "repository", "action": "push", "effect": "deny"}]}],
            }})
        };
        let other = json!({"type": "harbor_project", "address": "harbor_project.x", "values": {}});
        let state = json!({"values": {"root_module": {
            "resources": [other, robot("ci", "project", "team-a")],
            "child_modules": [{"resources": [robot("all", "system", "*")]}],
        }}});
        let found = robots(&state.to_string()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((&found[0].home, found[0].lifetime), (&Home::Project("team-a".to_owned()), Lifetime::Days(30)));
        assert_eq!(found[0].permissions[&Scope::Project("team-a".to_owned())].len(), 1);
        assert!(found[0].unsaid[0].contains("terraform state rm 'harbor_robot_account.ci'"));
        assert!(found[0].unsaid[1].contains("it denies repository:push"));
        assert!(found[1].permissions.contains_key(&Scope::AllProjects));
        assert!(!format!("{found:?}").contains("Never-Printed"));
    }

    #[test]
    fn what_is_no_state_is_refused_with_what_to_do() {
        for (text, says) in [
            ("x", "this is not what `terraform show -json` prints"),
            ("{}", "this holds no state"),
            (
                r#"{"values":{"root_module":{"resources":[{"type":"harbor_robot_account","address":"a.b","values":{}}]}}}"#,
                "a.b: missing field",
            ),
        ] {
            let error = robots(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
