//! The JSON of Harbor's answers about robots, projects and itself, and its translation into the model's terms.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};

use super::bounded::{Few, Text};
use super::held::{Held, LONGEST_WORD};
use super::names;
use super::paging::Row;
use crate::api::RegistryTime;
use crate::domain::permissions::{Access, AccessSet};
use crate::domain::robot::{Home, Lifetime, Robot};
use crate::registry::{Catalogue, CreatedRobot};

/// The longest names of Harbor, in bytes: a prefix, a project's (255), `+` and a robot's (255).
const LONGEST_NAME: usize = 640;
/// Harbor keeps 1,024 characters of a description.
const LONGEST_DESCRIPTION: usize = 4096;
/// `host:port`.
const LONGEST_HOST: usize = 300;
/// Harbor draws 32 characters, and takes at most 128.
const LONGEST_SECRET: usize = 1024;
/// Pairs of each kind that a Harbor may know; 2.16 knows 72.
const MOST_KNOWN_PAIRS: usize = 512;

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
    name: Text<LONGEST_NAME>,
    description: Option<Text<LONGEST_DESCRIPTION>>,
    level: Text<LONGEST_WORD>,
    duration: Option<i64>,
    editable: Option<bool>,
    disable: Option<bool>,
    expires_at: Option<i64>,
    permissions: Option<Held>,
    creation_time: Timestamp,
    update_time: Option<Timestamp>,
}

impl Row for RobotRow {
    fn id(&self) -> i64 {
        self.id
    }
}

impl RobotRow {
    /// Whether it is a system robot: before 2.13 some lists mix the levels.
    pub(super) fn is_system(&self) -> bool {
        self.level.0 == "system"
    }

    /// Whether this row belongs to `project`. It does not if a remembered project id now means another project, as
    /// after a restore of Harbor's database. Robots from before 2.2 are shown without a project in the name.
    pub(super) fn is_of(&self, project: &str) -> bool {
        let home = Home::Project(project.to_owned());
        self.editable == Some(false)
            || (self.namespace().is_none_or(|namespace| namespace == project)
                && names::short_name(&self.name.0, &home, None).is_some())
    }

    /// The single namespace of a project robot's permissions.
    fn namespace(&self) -> Option<&str> {
        self.permissions.as_ref()?.namespace()
    }

    /// In the model's terms. A project robot read by id whose project cannot be told gets an empty project name.
    pub(super) fn into_robot(self, origin: Origin<'_>) -> Robot {
        let home = match origin {
            _ if self.is_system() => Home::System,
            Origin::List(home) => home.clone(),
            Origin::Id { prefix } => {
                let namespace = self.namespace();
                let project = names::project_of(&self.name.0, namespace, prefix).or(namespace);
                Home::Project(project.unwrap_or_default().to_owned())
            }
        };
        let Held { permissions, foreign: foreign_effect, .. } = self.permissions.unwrap_or_default();
        Robot {
            id: self.id,
            name: self.name.0,
            description: self.description.unwrap_or_default().0,
            home,
            lifetime: lifetime(self.duration.unwrap_or_default()),
            expiration_time: expiry(self.expires_at),
            editable: self.editable.unwrap_or(true),
            disabled: self.disable.unwrap_or_default(),
            permissions,
            foreign_effect,
            creation_time: self.creation_time.into(),
            update_time: self.update_time.unwrap_or(self.creation_time).into(),
        }
    }
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
    pub(super) name: Text<LONGEST_NAME>,
    #[serde(deserialize_with = "secret")]
    secret: SecretString,
    creation_time: Timestamp,
    expires_at: Option<i64>,
}

impl CreatedRow {
    pub(super) fn has_secret(&self) -> bool {
        is_secret(self.secret.expose_secret())
    }
}

impl From<CreatedRow> for CreatedRobot {
    fn from(row: CreatedRow) -> Self {
        Self {
            id: row.id,
            name: row.name.0,
            secret: row.secret,
            creation_time: row.creation_time.into(),
            expiration_time: expiry(row.expires_at),
        }
    }
}

/// The answer to PATCH.
#[derive(Deserialize)]
pub(super) struct RefreshedRow {
    /// Absent if we chose it.
    secret: Option<Text<LONGEST_SECRET>>,
}

impl RefreshedRow {
    /// The secret that Harbor drew.
    pub(super) fn secret(self) -> Option<SecretString> {
        self.secret.map(|Text(secret)| secret).filter(|secret| is_secret(secret)).map(Into::into)
    }
}

/// False for what Harbor cannot have drawn, and no client could send: nothing, or a text with line ends in it.
fn is_secret(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    Text::<LONGEST_SECRET>::deserialize(deserializer).map(|Text(secret)| secret.into())
}

/// A project of the list or of GET.
#[derive(Deserialize)]
pub(super) struct ProjectRow {
    /// Never reused within one database.
    pub(super) project_id: i64,
    /// Exact.
    pub(super) name: Text<LONGEST_NAME>,
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
    pub(super) auth_mode: Option<Text<LONGEST_WORD>>,
    pub(super) harbor_version: Option<Text<LONGEST_WORD>>,
    pub(super) registry_url: Option<Text<LONGEST_HOST>>,
    /// Told to whoever logs in.
    pub(super) read_only: Option<bool>,
}

/// `/permissions`.
#[derive(Deserialize)]
pub(super) struct CatalogueRow {
    /// `null` for a project admin.
    system: Option<Few<PairRow, MOST_KNOWN_PAIRS>>,
    project: Few<PairRow, MOST_KNOWN_PAIRS>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PairRow {
    resource: Text<LONGEST_WORD>,
    action: Text<LONGEST_WORD>,
}

impl From<CatalogueRow> for Catalogue {
    fn from(row: CatalogueRow) -> Self {
        let pair = |PairRow { resource, action }| Access { resource: resource.0, action: action.0 };
        let set = |rows: Few<PairRow, MOST_KNOWN_PAIRS>| -> AccessSet { rows.0.into_iter().map(pair).collect() };
        Self { system: row.system.map(set).unwrap_or_default(), project: set(row.project) }
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
    use crate::domain::robot::{Permissions, Scope};

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
    fn a_secret_that_no_client_could_send_is_none() {
        let read = |secret: &str| {
            let answer = serde_json::json!({"secret": secret}).to_string();
            serde_json::from_str::<RefreshedRow>(&answer).unwrap().secret().is_some()
        };
        assert!(read("Aa1\u{e4} \"}"));
        for text in ["", "Aa1\r\nX: y", "Aa1\0", "Aa1\u{7}"] {
            assert!(!read(text), "{text:?}");
        }
    }

    #[test]
    fn a_robot_is_read_as_harbor_writes_it() {
        let robot = read(&json!({}));
        assert_eq!(robot.home, Home::Project("library".into()));
        assert_eq!(robot.description, "");
        assert_eq!(robot.lifetime, Lifetime::Days(30));
        assert_eq!(robot.expiration_time.unwrap().as_second(), 1_790_000_000);
        assert_eq!(robot.creation_time.as_millisecond(), 1_720_705_664_261);
        assert_eq!(robot.update_time.as_millisecond(), 1_720_705_664_262);
        let want = [(Scope::Project("library".into()), AccessSet::from([pair("repository:pull")]))];
        assert_eq!(robot.permissions, Permissions::from(want));
        assert!(robot.editable && !robot.disabled && !robot.foreign_effect);
    }

    #[test]
    fn what_harbor_leaves_out_or_sends_as_null_has_its_meaning() {
        let robot = read(&json!({"permissions": null, "update_time": null, "expires_at": null, "description": null}));
        assert_eq!(robot.update_time, robot.creation_time);
        assert_eq!(robot.expiration_time, Some(RegistryTime::MIN), "zero is in the past, not never");
        assert!(robot.permissions.is_empty());
        let robot = read(&json!({"expires_at": -1, "duration": -1}));
        assert_eq!((robot.expiration_time, robot.lifetime), (None, Lifetime::Never));
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
