//! Creating, changing and deleting robots, with Harbor's checks in Harbor's order.

use super::grants::{self, Requested};
use super::robots::{Robot, Row};
use super::{Caller, State, rules};
use crate::error::{ApiError, ApiResult};

/// The body of POST. Whatever else a client sends is ignored.
#[derive(Debug, Clone, Default)]
pub struct CreateBody {
    /// Name, without project and prefix.
    pub name: String,
    /// Description.
    pub description: String,
    /// `system` or `project`.
    pub level: String,
    /// Days, or -1; left out is 0.
    pub duration: i64,
    /// Permissions.
    pub permissions: Vec<Requested>,
}

/// The body of PUT.
#[derive(Debug, Clone, Default)]
pub struct UpdateBody {
    /// Full name, which must be the present one.
    pub name: String,
    /// Description; left out clears it.
    pub description: String,
    /// Level, which must be the present one.
    pub level: String,
    /// Days, or -1; left out keeps the present one.
    pub duration: Option<i64>,
    /// Disabled; left out enables.
    pub disable: bool,
    /// Permissions; all are replaced.
    pub permissions: Vec<Requested>,
}

impl State {
    fn robot(&self, id: i64) -> ApiResult<&Robot> {
        if !self.version.is_since_16() && i32::try_from(id).is_err() {
            return Err(ApiError::internal());
        }
        self.robots.get(id).ok_or_else(|| ApiError::not_found(format!("robot {id} not found")))
    }

    /// Up to v2.10 duration 0 stands for the system's default.
    fn duration(&self, asked: i64) -> i64 {
        if asked == 0 { self.settings.value("robot_token_duration").as_i64().unwrap_or(30) } else { asked }
    }

    fn project_id(&self, name: &str) -> Option<i64> {
        self.projects.named(name).map(|project| project.id)
    }

    /// Creates a robot and returns its id; the drawn secret is in its row.
    pub fn create_robot(&mut self, caller: &Caller, body: &CreateBody) -> ApiResult<i64> {
        rules::robot_name(&body.name)?;
        rules::robot(self.version, body.duration, &body.level, &body.permissions)?;
        let duration = self.duration(body.duration);
        let namespace = &body.permissions[0].namespace;
        if !self.version.is_since_14() && body.level == "project" && namespace.contains(' ') {
            self.require_login(caller)?;
            return Err(ApiError::forbidden("forbidden"));
        }
        self.require_on_robots(caller, &body.level, self.project_id(namespace), "create")?;
        let (creator_type, creator_ref) = match caller {
            Caller::Robot { id, name } => {
                let of_system = self.robots.get(*id).is_some_and(|robot| robot.row.project == 0);
                if of_system && body.level == "project" && !self.version.system_robots_create_project_robots() {
                    return Err(ApiError::denied("denied"));
                }
                let held = self.robots.get(*id).map(|robot| robot.groups.as_slice()).unwrap_or_default();
                if !grants::within(&body.permissions, held, &self.projects) {
                    return Err(ApiError::denied(format!(
                        "permission scope is invalid. It must be equal to or more restrictive than the creator robot's \
                         permissions: {name}"
                    )));
                }
                ("robot", *id)
            }
            Caller::Person { id, .. } => ("local", *id),
            _ => ("local", 0),
        };
        let (project, stored) = if body.level == "project" {
            let project = self.projects.find(namespace)?;
            (project.id, format!("{}+{}", project.name, body.name))
        } else {
            (0, body.name.clone())
        };
        rules::columns(&stored, &body.description)?;
        if self.robots.named(&stored).is_some() {
            return Err(ApiError::conflict(format!("robot account {project}:{stored} already exists")));
        }
        let groups = grants::resolve(&body.permissions, &self.projects)?;
        let now = self.clock.now_ms();
        let row = Row {
            id: 0,
            name: stored,
            project,
            description: body.description.clone(),
            secret: Some(rules::draw_secret()),
            duration,
            disabled: false,
            expires_at: Row::expiry(now, duration),
            visible: true,
            creator_type: creator_type.into(),
            creator_ref,
            created_ms: now,
            updated_ms: now,
        };
        Ok(self.robots.insert(row, groups))
    }

    /// Reads a robot.
    pub fn read_robot(&self, caller: &Caller, id: i64) -> ApiResult<&Robot> {
        self.require_login(caller)?;
        let robot = self.robot(id)?;
        self.require_on_robots(caller, robot.row.level(), Some(robot.row.project), "read")?;
        Ok(robot)
    }

    /// The first half of PUT and PATCH: what they read before they decide. Nothing is checked but the login.
    pub fn read_for_update(&self, caller: &Caller, id: i64) -> ApiResult<Robot> {
        self.require_login(caller)?;
        self.robot(id).cloned()
    }

    /// The second half of PUT: checks, and writes back the row that was read with what the body changes.
    pub fn put_robot(&mut self, caller: &Caller, read: Robot, body: &UpdateBody) -> ApiResult<()> {
        let mut row = read.row;
        if row.secret.is_none() {
            return Err(ApiError::denied("editing of legacy robot is not allowed"));
        }
        let left_out = if self.version.refuses_duration_zero() { row.duration } else { 0 };
        let duration = body.duration.unwrap_or(left_out);
        rules::robot(self.version, duration, &body.level, &body.permissions)?;
        let duration = self.duration(duration);
        if row.project != 0 && self.projects.find(&body.permissions[0].namespace)?.id != row.project {
            return Err(ApiError::bad_request("cannot update the project id of robot"));
        }
        self.require_on_robots(caller, row.level(), Some(row.project), "update")?;
        if body.level != row.level() || body.name != row.full_name(self.settings.prefix()) {
            return Err(ApiError::bad_request("cannot update the level or name of robot"));
        }
        if duration != row.duration {
            row.duration = duration;
            row.expires_at = Row::expiry(row.created_ms, duration);
        }
        row.description.clone_from(&body.description);
        row.disabled = body.disable;
        rules::columns(&row.name, &row.description)?;
        let merged = grants::decode_into(&grants::shown(&read.groups, &self.projects), &body.permissions);
        let groups = grants::resolve(&merged, &self.projects)?;
        self.write_back(row, Some(groups))
    }

    /// The second half of PATCH. Returns the secret when it was drawn; one that was given is not told again.
    pub fn patch_robot(&mut self, caller: &Caller, read: Robot, secret: &str) -> ApiResult<Option<String>> {
        let mut row = read.row;
        self.require_on_robots(caller, row.level(), Some(row.project), "update")?;
        let drawn = if secret.is_empty() {
            Some(rules::draw_secret())
        } else {
            rules::secret(self.version, secret)?;
            None
        };
        row.secret = Some(drawn.clone().unwrap_or_else(|| secret.to_owned()));
        self.write_back(row, None)?;
        Ok(drawn)
    }

    /// A row that was read before another write overwrites what that one changed, as in Harbor.
    fn write_back(&mut self, mut row: Row, groups: Option<Vec<grants::Group>>) -> ApiResult<()> {
        row.updated_ms = self.clock.now_ms();
        let id = row.id;
        let robot = self.robots.get_mut(id).ok_or_else(|| ApiError::not_found(format!("robot {id} not found")))?;
        robot.row = row;
        if let Some(groups) = groups {
            robot.groups = groups;
        }
        Ok(())
    }

    /// Deletes a robot. One without any permission row stays, and the answer is 404: its deletion is rolled back.
    pub fn delete_robot(&mut self, caller: &Caller, id: i64) -> ApiResult<()> {
        self.require_login(caller)?;
        let robot = self.robot(id)?;
        self.require_on_robots(caller, robot.row.level(), Some(robot.row.project), "delete")?;
        if robot.groups.is_empty() && robot.row.secret.is_some() {
            return Err(ApiError::not_found(format!("role permission robotaccount:{id} not found")));
        }
        self.robots.remove(id);
        Ok(())
    }

    /// Removes a project with its robots. System robots keep a hidden permission row.
    pub fn delete_project(&mut self, id: i64) {
        self.projects.remove(id);
        self.robots.remove_of_project(id);
    }
}
