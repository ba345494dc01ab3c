//! The robots table: rows by id, found by stored name, listed by project in name order.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::grants::{self, Group};
use super::projects::Projects;
use crate::clock::rfc3339_ms;
use crate::query::Cell;

/// The columns of a robot. PUT and PATCH each write back the whole row that they read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Robot id.
    pub id: i64,
    /// Stored name: no prefix, and `<project>+<name>` for a project robot.
    pub name: String,
    /// Project id; 0 for a system robot.
    pub project: i64,
    /// Description.
    pub description: String,
    /// Secret, as it is; `None` for a robot from before v2.2, which has none and cannot log in.
    pub secret: Option<String>,
    /// Days, or -1.
    pub duration: i64,
    /// Disabled.
    pub disabled: bool,
    /// Unix seconds, or -1.
    pub expires_at: i64,
    /// Listed. Robots that the scanner makes are not.
    pub visible: bool,
    /// `local`, `robot`, or empty for old rows.
    pub creator_type: String,
    /// User or robot id.
    pub creator_ref: i64,
    /// When created, milliseconds.
    pub created_ms: i64,
    /// When last written, milliseconds.
    pub updated_ms: i64,
}

/// A robot with its permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robot {
    /// Columns.
    pub row: Row,
    /// Permissions, those of deleted projects included.
    pub groups: Vec<Group>,
}

impl Row {
    /// `system` or `project`.
    pub fn level(&self) -> &'static str {
        if self.project == 0 { "system" } else { "project" }
    }

    /// The name to log in with. A robot without a secret is shown under its stored name.
    pub fn full_name(&self, prefix: &str) -> String {
        if self.secret.is_some() { format!("{prefix}{}", self.name) } else { self.name.clone() }
    }

    /// Whether it can log in at this moment.
    pub fn is_alive(&self, now_ms: i64) -> bool {
        !self.disabled && (self.expires_at == -1 || self.expires_at > now_ms.div_euclid(1000))
    }

    /// When a robot of this age and duration expires: counted from its creation.
    pub fn expiry(created_ms: i64, duration: i64) -> i64 {
        if duration == -1 { -1 } else { created_ms.div_euclid(1000) + duration * 86_400 }
    }

    /// The value of a list column; `None` for an unknown key.
    pub fn cell(&self, key: &str) -> Option<Cell<'_>> {
        Some(match key {
            "id" | "ID" => Cell::Int(self.id),
            "name" | "Name" | "NAME" => Cell::Text(&self.name),
            "description" | "Description" | "DESCRIPTION" => Cell::Text(&self.description),
            "duration" | "Duration" | "DURATION" => Cell::Int(self.duration),
            "project_id" | "ProjectID" => Cell::Int(self.project),
            "disabled" | "Disabled" | "DISABLED" => Cell::Flag(self.disabled),
            "visible" | "Visible" | "VISIBLE" => Cell::Flag(self.visible),
            "expiresat" | "ExpiresAt" | "EXPIRESAT" => Cell::Int(self.expires_at),
            "creator_ref" | "CreatorRef" => Cell::Int(self.creator_ref),
            "creator_type" | "CreatorType" => Cell::Text(&self.creator_type),
            "creation_time" | "CreationTime" => Cell::Time(self.created_ms),
            "update_time" | "UpdateTime" => Cell::Time(self.updated_ms),
            _ => return None,
        })
    }
}

impl Robot {
    /// The robot as the API shows it.
    pub fn view(&self, prefix: &str, projects: &Projects) -> Value {
        let row = &self.row;
        let mut view = Map::new();
        let mut put = |key: &str, value: Value| view.insert(key.into(), value);
        put("id", row.id.into());
        put("name", row.full_name(prefix).into());
        put("level", row.level().into());
        put("duration", row.duration.into());
        put("editable", row.secret.is_some().into());
        put("disable", row.disabled.into());
        put("permissions", grants::view(&self.groups, projects));
        put("creation_time", rfc3339_ms(row.created_ms).into());
        put("update_time", rfc3339_ms(row.updated_ms).into());
        if !row.description.is_empty() {
            put("description", json!(row.description));
        }
        if row.expires_at != 0 {
            put("expires_at", row.expires_at.into());
        }
        if !row.creator_type.is_empty() {
            put("creator_type", json!(row.creator_type));
        }
        if row.creator_ref != 0 {
            put("creator_ref", row.creator_ref.into());
        }
        Value::Object(view)
    }
}

/// All robots.
#[derive(Debug, Clone, Default)]
pub struct Robots {
    by_id: HashMap<i64, Robot>,
    by_name: HashMap<String, i64>,
    listed: HashMap<i64, BTreeMap<String, i64>>,
    last_id: i64,
}

impl Robots {
    /// By id.
    pub fn get(&self, id: i64) -> Option<&Robot> {
        self.by_id.get(&id)
    }

    /// By id, to change anything but name, project and visibility.
    pub fn get_mut(&mut self, id: i64) -> Option<&mut Robot> {
        self.by_id.get_mut(&id)
    }

    /// By stored name. Names are unique per project, and a project robot's carries the project's.
    pub fn named(&self, stored: &str) -> Option<&Robot> {
        self.by_name.get(stored).and_then(|id| self.by_id.get(id))
    }

    /// The visible robots of a project (0: of the system), in name order.
    pub fn listed(&self, project: i64) -> Option<&BTreeMap<String, i64>> {
        self.listed.get(&project)
    }

    /// The visible robots of every project and the system.
    pub fn all_listed(&self) -> impl Iterator<Item = (&String, &i64)> {
        self.listed.values().flatten()
    }

    /// Adds a robot under a new id; its name must be free.
    pub fn insert(&mut self, mut row: Row, groups: Vec<Group>) -> i64 {
        self.last_id += 1;
        row.id = self.last_id;
        self.by_name.insert(row.name.clone(), row.id);
        if row.visible {
            self.listed.entry(row.project).or_default().insert(row.name.clone(), row.id);
        }
        self.by_id.insert(self.last_id, Robot { row, groups });
        self.last_id
    }

    /// Removes a robot.
    pub fn remove(&mut self, id: i64) {
        let Some(robot) = self.by_id.remove(&id) else { return };
        self.by_name.remove(&robot.row.name);
        if let Some(listed) = self.listed.get_mut(&robot.row.project) {
            listed.remove(&robot.row.name);
        }
    }

    /// Removes a deleted project's robots.
    pub fn remove_of_project(&mut self, project: i64) {
        let ids: Vec<i64> =
            self.by_id.values().filter(|robot| robot.row.project == project).map(|robot| robot.row.id).collect();
        for id in ids {
            self.remove(id);
        }
        self.listed.remove(&project);
    }

    /// Moves the times of every robot back.
    pub fn age(&mut self, days: i64) {
        for robot in self.by_id.values_mut() {
            robot.row.created_ms -= days * 86_400_000;
            robot.row.updated_ms -= days * 86_400_000;
            if robot.row.expires_at != -1 {
                robot.row.expires_at -= days * 86_400;
            }
        }
    }
}
