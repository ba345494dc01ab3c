//! The JSON of Harbor's answers about robots, projects and itself, and its translation into the model's terms.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::names;
use super::pages::Row;
use crate::api::RegistryTime;
use crate::domain::permissions::{Access, AccessSet};
use crate::domain::robot::{Home, Lifetime, Permissions, Robot, Scope};
use crate::registry::{Catalogue, CreatedRobot};

/// What is known of where a robot was read.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// From the list of this home.
    List(&'a Home),
    /// By id, with Harbor's name prefix if it was learnt.
    Id { prefix: Option<&'a str> },
}

/// A robot of the list or of GET. Absent, `null` and zero values are one to Harbor.
#[derive(Deserialize)]
pub(super) struct RobotRow {
    id: i64,
    name: String,
    #[serde(default)]
    description: Option<String>,
    level: String,
    #[serde(default)]
    duration: Option<i64>,
    #[serde(default)]
    editable: Option<bool>,
    #[serde(default)]
    disable: Option<bool>,
    #[serde(default)]
    expires_at: Option<i64>,
    #[serde(default)]
    permissions: Option<Vec<GroupRow>>,
    creation_time: Timestamp,
    #[serde(default)]
    update_time: Option<Timestamp>,
}

#[derive(Deserialize)]
struct GroupRow {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    access: Option<Vec<AccessRow>>,
}

#[derive(Deserialize)]
struct AccessRow {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    effect: String,
}

impl Row for RobotRow {
    fn id(&self) -> i64 {
        self.id
    }
}

impl RobotRow {
    /// Whether it is a system robot: before 2.13 some lists mix the levels.
    pub(super) fn is_system(&self) -> bool {
        self.level == "system"
    }

    /// Whether this row belongs to `project`. It does not if a remembered project id now means another project, as
    /// after a restore of Harbor's database. Robots from before 2.2 are shown without a project in the name.
    pub(super) fn is_of(&self, project: &str) -> bool {
        let home = Home::Project(project.to_owned());
        self.editable == Some(false)
            || (self.namespace().is_none_or(|namespace| namespace == project)
                && names::short_name(&self.name, &home, None).is_some())
    }

    /// The single namespace of a project robot's permissions.
    fn namespace(&self) -> Option<&str> {
        match self.permissions.as_deref() {
            Some([group]) => Some(group.namespace.as_str()).filter(|namespace| !namespace.is_empty()),
            _ => None,
        }
    }

    /// In the model's terms. A project robot read by id whose project cannot be told gets an empty project name.
    pub(super) fn into_robot(self, origin: Origin<'_>) -> Robot {
        let home = match origin {
            _ if self.is_system() => Home::System,
            Origin::List(home) => home.clone(),
            Origin::Id { prefix } => {
                let namespace = self.namespace();
                let project = names::project_of(&self.name, namespace, prefix).or(namespace);
                Home::Project(project.unwrap_or_default().to_owned())
            }
        };
        let (permissions, foreign_effect) = permissions(self.permissions.unwrap_or_default());
        Robot {
            id: self.id,
            name: self.name,
            description: self.description.unwrap_or_default(),
            home,
            lifetime: lifetime(self.duration.unwrap_or_default()),
            expires_at: expiry(self.expires_at),
            editable: self.editable.unwrap_or(true),
            disabled: self.disable.unwrap_or_default(),
            permissions,
            foreign_effect,
            created_at: self.creation_time.into(),
            updated_at: self.update_time.unwrap_or(self.creation_time).into(),
        }
    }
}

/// The sets of pairs, and whether there is anything that the model cannot say: another effect than `allow`, a kind or
/// namespace of no known meaning.
fn permissions(groups: Vec<GroupRow>) -> (Permissions, bool) {
    let mut known = Permissions::new();
    let mut foreign = false;
    for group in groups {
        let scope = match (group.kind.as_str(), group.namespace.as_str()) {
            ("system", "/") => Scope::System,
            ("project", "*") => Scope::AllProjects,
            ("project", namespace) if !namespace.is_empty() => Scope::Project(group.namespace),
            _ => {
                foreign = true;
                continue;
            }
        };
        for AccessRow { resource, action, effect } in group.access.unwrap_or_default() {
            if matches!(effect.as_str(), "" | "allow") {
                known.entry(scope.clone()).or_default().insert(Access { resource, action });
            } else {
                foreign = true;
            }
        }
    }
    (known, foreign)
}

fn lifetime(duration: i64) -> Lifetime {
    match u32::try_from(duration) {
        Ok(days) => Lifetime::Days(days),
        Err(_) if duration < 0 => Lifetime::Never,
        Err(_) => Lifetime::Days(u32::MAX),
    }
}

/// Seconds, −1 = never; 0 is left out by Harbor and means long dead.
fn expiry(expires_at: Option<i64>) -> Option<RegistryTime> {
    match expires_at.unwrap_or_default() {
        -1 => None,
        seconds => Some(RegistryTime::from_second(seconds)),
    }
}

/// The answer to POST.
#[derive(Deserialize)]
pub(super) struct CreatedRow {
    id: i64,
    /// The full name.
    pub(super) name: String,
    secret: SecretString,
    creation_time: Timestamp,
    #[serde(default)]
    expires_at: Option<i64>,
}

impl CreatedRow {
    pub(super) fn has_secret(&self) -> bool {
        !self.secret.expose_secret().is_empty()
    }
}

impl From<CreatedRow> for CreatedRobot {
    fn from(row: CreatedRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            secret: row.secret,
            created_at: row.creation_time.into(),
            expires_at: expiry(row.expires_at),
        }
    }
}

/// The answer to PATCH.
#[derive(Deserialize)]
pub(super) struct RefreshedRow {
    /// Absent if we chose it.
    #[serde(default)]
    pub(super) secret: Option<SecretString>,
}

/// A project of the list or of GET.
#[derive(Deserialize)]
pub(super) struct ProjectRow {
    /// Never reused within one database.
    pub(super) project_id: i64,
    /// Exact.
    pub(super) name: String,
}

impl Row for ProjectRow {
    fn id(&self) -> i64 {
        self.project_id
    }
}

/// `/users/current`.
#[derive(Deserialize)]
pub(super) struct UserRow {
    /// Absent for mere users of old versions.
    #[serde(default)]
    pub(super) sysadmin_flag: bool,
}

/// `/systeminfo`.
#[derive(Deserialize)]
pub(super) struct SystemInfoRow {
    #[serde(default)]
    pub(super) auth_mode: Option<String>,
    #[serde(default)]
    pub(super) harbor_version: Option<String>,
    #[serde(default)]
    pub(super) registry_url: Option<String>,
    #[serde(default)]
    pub(super) read_only: Option<bool>,
}

/// `/permissions`.
#[derive(Deserialize)]
pub(super) struct CatalogueRow {
    /// `null` for a project admin.
    system: Option<Vec<AccessRow>>,
    project: Vec<AccessRow>,
}

impl From<CatalogueRow> for Catalogue {
    fn from(row: CatalogueRow) -> Self {
        let set = |rows: Vec<AccessRow>| -> AccessSet {
            rows.into_iter().map(|AccessRow { resource, action, .. }| Access { resource, action }).collect()
        };
        Self { system: set(row.system.unwrap_or_default()), project: set(row.project) }
    }
}

/// `/service/token`; the token itself is not needed.
#[derive(Deserialize)]
pub(super) struct TokenRow {
    #[serde(rename = "token")]
    pub(super) _token: SecretString,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(extra: &Value) -> RobotRow {
        let mut robot = json!({
            "id": 12, "name": "robot$library+ci", "level": "project", "duration": 30, "editable": true, "disable": false,
            "expires_at": 1_790_000_000, "creation_time": "2024-07-11T13:47:44.261Z",
            "update_time": "2024-07-11T13:47:44.262Z",
            "permissions": [{"kind": "project", "namespace": "library",
                             "access": [{"resource": "repository", "action": "pull"}]}],
        });
        robot.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(robot).unwrap()
    }

    fn read(extra: &Value) -> Robot {
        row(extra).into_robot(Origin::Id { prefix: None })
    }

    fn pair(text: &str) -> Access {
        let (resource, action) = text.split_once(':').unwrap();
        Access { resource: resource.into(), action: action.into() }
    }

    #[test]
    fn a_robot_is_read_as_harbor_writes_it() {
        let robot = read(&json!({}));
        assert_eq!(robot.home, Home::Project("library".into()));
        assert_eq!(robot.description, "");
        assert_eq!(robot.lifetime, Lifetime::Days(30));
        assert_eq!(robot.expires_at.unwrap().as_second(), 1_790_000_000);
        assert_eq!(robot.created_at.as_millisecond(), 1_720_705_664_261);
        assert_eq!(robot.updated_at.as_millisecond(), 1_720_705_664_262);
        let want = [(Scope::Project("library".into()), AccessSet::from([pair("repository:pull")]))];
        assert_eq!(robot.permissions, Permissions::from(want));
        assert!(robot.editable && !robot.disabled && !robot.foreign_effect);
    }

    #[test]
    fn what_harbor_leaves_out_or_sends_as_null_has_its_meaning() {
        let robot = read(&json!({"permissions": null, "update_time": null, "expires_at": null, "description": null}));
        assert_eq!(robot.updated_at, robot.created_at);
        assert_eq!(robot.expires_at, Some(RegistryTime::MIN), "zero is in the past, not never");
        assert!(robot.permissions.is_empty());
        let robot = read(&json!({"expires_at": -1, "duration": -1}));
        assert_eq!((robot.expires_at, robot.lifetime), (None, Lifetime::Never));
    }

    #[test]
    fn other_effects_and_kinds_make_a_robot_foreign_and_allow_does_not() {
        let group = |kind: &str, namespace: &str, effect: &str| {
            json!({"permissions": [{"kind": kind, "namespace": namespace,
                   "access": [{"resource": "repository", "action": "pull", "effect": effect}]}]})
        };
        assert!(!read(&group("project", "library", "allow")).foreign_effect);
        let denied = read(&group("project", "library", "deny"));
        assert!(denied.foreign_effect && denied.permissions.is_empty());
        assert!(read(&group("galaxy", "library", "")).foreign_effect);
        assert!(read(&group("system", "library", "")).foreign_effect);
    }

    #[test]
    fn groups_of_one_namespace_are_one_set() {
        let access = |action: &str| {
            json!({"kind": "project", "namespace": "*",
            "access": [{"resource": "repository", "action": action}]})
        };
        let robot =
            read(&json!({"level": "system", "name": "robot$x", "permissions": [access("pull"), access("push")]}));
        assert_eq!(robot.home, Home::System);
        let want = AccessSet::from([pair("repository:pull"), pair("repository:push")]);
        assert_eq!(robot.permissions, Permissions::from([(Scope::AllProjects, want)]));
    }

    #[test]
    fn a_row_of_another_project_is_noticed() {
        assert!(row(&json!({})).is_of("library"));
        assert!(!row(&json!({})).is_of("brary"));
        assert!(!row(&json!({})).is_of("other"));
        assert!(row(&json!({"permissions": []})).is_of("library"));
        assert!(row(&json!({"permissions": [], "name": "robot$old", "editable": false})).is_of("library"));
    }
}
