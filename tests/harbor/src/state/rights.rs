//! Who may do what: robots by their permissions, persons by their role, everybody in public projects.

use super::grants::{Access, Group, Scope};
use super::robots::Robot;
use super::{Caller, State};
use crate::error::{ApiError, ApiResult};

/// The project itself as a resource, where an operation is not about one of its parts.
pub const ITSELF: &str = "project";

/// What anybody may do in a public project.
fn in_public(resource: &str, action: &str) -> bool {
    match action {
        "pull" => resource == "repository",
        "list" => matches!(resource, "repository" | "label" | "artifact" | "tag" | "accessory"),
        "read" => {
            let read = ["repository", "artifact", "artifact-addition", "label", "scan", "sbom", "scanner"];
            resource == ITSELF || read.contains(&resource)
        }
        _ => false,
    }
}

/// What a role may do in its project (1 project admin, 2 developer, 3 guest, 4 maintainer, 5 limited guest).
fn in_role(role: i64, resource: &str, action: &str) -> bool {
    match (resource, action) {
        _ if role == 1 => true,
        (ITSELF | "metadata" | "quota" | "artifact", "read") | ("repository", "read" | "list" | "pull") => {
            (2..=5).contains(&role)
        }
        ("robot" | "member" | "label", "read" | "list") | ("log", "list") => (2..=4).contains(&role),
        ("repository", "push" | "update") => matches!(role, 2 | 4),
        ("repository" | "artifact" | "tag", "delete") | ("metadata", _) => role == 4,
        _ => false,
    }
}

/// Deny wins; empty and `allow` allow.
fn decide<'a>(matching: impl Iterator<Item = &'a Access>, otherwise: bool) -> bool {
    let mut allowed = otherwise;
    for access in matching {
        match access.effect.as_str() {
            "deny" => return false,
            "" | "allow" => allowed = true,
            _ => {}
        }
    }
    allowed
}

/// Whether a permission on `resource` in `scope` speaks about `wanted` in a project. A `project` permission on all
/// projects has the path `/project/*`, which matches every part of every project.
fn speaks_about(scope: Scope, access: &Access, project: i64, wanted: &str, action: &str) -> bool {
    access.action == action
        && match scope {
            Scope::System => false,
            Scope::AllProjects => access.resource == wanted || access.resource == ITSELF,
            Scope::Project(id) => id == project && access.resource == wanted,
        }
}

fn robot_may(robot: &Robot, public: bool, project: i64, resource: &str, action: &str) -> bool {
    let accesses = |group: &'_ Group| {
        let scope = group.scope;
        group.access.clone().into_iter().filter(move |access| speaks_about(scope, access, project, resource, action))
    };
    let mut matching: Vec<Access> = robot.groups.iter().flat_map(accesses).collect();
    // Of a project robot Harbor takes push for pull as well; of a system robot it does not.
    if robot.row.project != 0 && robot.row.project == project && (resource, action) == ("repository", "pull") {
        let push = |group: &Group| {
            let scope = group.scope;
            let pushes =
                group.access.iter().filter(move |access| speaks_about(scope, access, project, resource, "push"));
            pushes.cloned().collect::<Vec<_>>()
        };
        matching.extend(robot.groups.iter().flat_map(push).filter(|access| access.effect != "deny"));
    }
    decide(matching.iter(), public && in_public(resource, action))
}

impl State {
    /// Whether the caller is a system administrator.
    pub fn is_admin(&self, caller: &Caller) -> bool {
        matches!(caller, Caller::Person { id, .. } if self.users.get(*id).is_some_and(|user| user.sysadmin))
    }

    /// The robot that calls, if one does.
    pub fn robot_of(&self, caller: &Caller) -> Option<&Robot> {
        match caller {
            Caller::Robot { id, .. } => self.robots.get(*id),
            _ => None,
        }
    }

    /// Whether the caller may do this in the system.
    pub fn may_in_system(&self, caller: &Caller, resource: &str, action: &str) -> bool {
        if self.is_admin(caller) {
            return true;
        }
        self.robot_of(caller).is_some_and(|robot| {
            let system = robot.groups.iter().filter(|group| group.scope == Scope::System);
            let matching =
                system.flat_map(|group| &group.access).filter(|a| a.resource == resource && a.action == action);
            decide(matching, false)
        })
    }

    /// Whether the caller may do this in a project.
    pub fn may_in_project(&self, caller: &Caller, project: i64, resource: &str, action: &str) -> bool {
        if self.is_admin(caller) {
            return true;
        }
        let Some(found) = self.projects.get(project) else { return false };
        match caller {
            Caller::Nobody => found.public && in_public(resource, action),
            Caller::Person { id, .. } => {
                found.role(*id).is_some_and(|role| in_role(role, resource, action))
                    || (found.public && in_public(resource, action))
            }
            Caller::Robot { id, .. } => {
                self.robots.get(*id).is_some_and(|robot| robot_may(robot, found.public, project, resource, action))
            }
            Caller::Token { access, issued, .. } => {
                // A token is no good for a project that is younger than it.
                resource == "repository"
                    && *issued >= found.created_ms.div_euclid(1000)
                    && access.iter().any(|(name, actions)| *name == found.name && actions.iter().any(|a| a == action))
            }
        }
    }

    /// 401 for nobody.
    pub fn require_login(&self, caller: &Caller) -> ApiResult<()> {
        if caller.is_authenticated() { Ok(()) } else { Err(ApiError::unauthorized()) }
    }

    /// 401, or 403 with the caller's name.
    pub fn require_in_system(&self, caller: &Caller, resource: &str, action: &str) -> ApiResult<()> {
        self.require_login(caller)?;
        if self.may_in_system(caller, resource, action) {
            return Ok(());
        }
        Err(ApiError::forbidden(caller.name()))
    }

    /// 401, or 403 `forbidden`, which is also what everybody but an administrator gets for a project that does not exist.
    pub fn require_in_project(
        &self,
        caller: &Caller,
        project: Option<i64>,
        resource: &str,
        action: &str,
    ) -> ApiResult<()> {
        if self.is_admin(caller) || project.is_some_and(|id| self.may_in_project(caller, id, resource, action)) {
            return Ok(());
        }
        self.require_login(caller)?;
        Err(ApiError::forbidden("forbidden"))
    }

    /// The rights on robots of a level and project.
    pub fn require_on_robots(&self, caller: &Caller, level: &str, project: Option<i64>, action: &str) -> ApiResult<()> {
        if level == "system" {
            self.require_in_system(caller, "robot", action)
        } else {
            self.require_in_project(caller, project, "robot", action)
        }
    }

    /// The robot that a credential belongs to.
    pub fn robot_login(&self, name: &str, secret: &str) -> Option<&Robot> {
        let stored = name.strip_prefix(self.settings.prefix())?;
        let robot = self.robots.named(stored)?;
        let fits = robot.row.secret.as_deref() == Some(secret) && robot.row.is_alive(self.clock.now_ms());
        fits.then_some(robot)
    }

    /// The person that a credential belongs to.
    pub fn person_login(&self, name: &str, password: &str) -> Option<Caller> {
        let user = self.users.named(name).filter(|user| user.password == password)?;
        Some(Caller::Person { id: user.id, name: user.name.clone() })
    }
}
