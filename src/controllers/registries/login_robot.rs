//! The operator's own login where it is a robot that may see itself: when it expires, and what it may do.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::api::{PermissionRecord, RegistryTime, registry_time::share};
use crate::domain::digest;
use crate::domain::permissions::{self, Access, AccessSet};
use crate::domain::robot::{Home, Permissions, Robot, Scope};

/// An expiry is announced this long before: two weeks hold a holiday.
const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What the login saw of its own robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRobot {
    creation_time: RegistryTime,
    /// When the login stops working; `None` = never.
    pub expiration_time: Option<RegistryTime>,
    /// It may list the robots of the system.
    pub lists_system: bool,
    /// It sees every project: by its right to list them, or since it holds something in all of them.
    pub lists_projects: bool,
    /// It may update the robots of all projects.
    pub updates_robots: bool,
    /// What it holds, for people: the first hundred rows.
    pub holds: Vec<PermissionRecord>,
    /// Changes with its permissions.
    pub rights: u64,
    permissions: Arc<Permissions>,
}

/// So many rows of what a login holds are in a status.
const ROWS_TOLD: usize = 100;

/// A scope in a sentence.
pub fn place(scope: &Scope) -> String {
    match scope {
        Scope::System => "the system".to_owned(),
        Scope::AllProjects => "all projects".to_owned(),
        Scope::Project(name) => format!("project {name}"),
    }
}

/// Where robots of this home live, in a sentence.
pub fn place_of(home: &Home) -> String {
    match home {
        Home::System => place(&Scope::System),
        Home::Project(name) => format!("project {name}"),
    }
}

impl From<Robot> for LoginRobot {
    fn from(robot: Robot) -> Self {
        let holds = |scope, resource: &str, action: &str| {
            let pair = Access { resource: resource.to_owned(), action: action.to_owned() };
            robot.permissions.get(&scope).is_some_and(|pairs| pairs.contains(&pair))
        };
        Self {
            creation_time: robot.creation_time,
            expiration_time: robot.expiration_time,
            lists_system: holds(Scope::System, "robot", "list"),
            lists_projects: holds(Scope::System, "project", "list")
                || robot.permissions.contains_key(&Scope::AllProjects),
            updates_robots: holds(Scope::AllProjects, "project", "update"),
            holds: permissions::records_by_scope(&robot.permissions).take(ROWS_TOLD).collect(),
            rights: digest((&robot.permissions, robot.foreign_effect)),
            permissions: Arc::new(robot.permissions),
        }
    }
}

impl LoginRobot {
    /// What of these permissions it does not hold, so that it cannot hand them out: a line for each place.
    pub fn lacks(&self, wanted: &Permissions) -> Vec<String> {
        let held = |scope: &Scope, pair: &Access| self.permissions.get(scope).is_some_and(|pairs| pairs.contains(pair));
        let line = |(scope, pairs): (&Scope, &AccessSet)| {
            let everywhere = *scope != Scope::System;
            let missing =
                pairs.iter().filter(|&pair| !(held(scope, pair) || everywhere && held(&Scope::AllProjects, pair)));
            let missing: Vec<String> = missing.map(|pair| format!("{}:{}", pair.resource, pair.action)).collect();
            (!missing.is_empty()).then(|| format!("{} on {}", missing.join(", "), place(scope)))
        };
        wanted.iter().filter_map(line).collect()
    }

    /// From when on the expiry is announced: two weeks before, or a third of the robot's life if that is shorter.
    pub fn notice_at(&self) -> Option<RegistryTime> {
        let expiry = self.expiration_time?;
        let life = expiry.duration_since(self.creation_time).max(SignedDuration::ZERO);
        Some(expiry - NOTICE.min(share(life, 1.0 / 3.0)))
    }

    /// When it expires, if that is to be announced now (registry time).
    pub fn expiring(&self, now: RegistryTime) -> Option<RegistryTime> {
        self.expiration_time.filter(|_| self.notice_at().is_some_and(|at| at <= now))
    }

    /// When it expired.
    pub fn expired(&self, now: RegistryTime) -> Option<RegistryTime> {
        self.expiration_time.filter(|&at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: i64) -> RegistryTime {
        RegistryTime::from_second(1_800_000_000 + days * 86_400)
    }

    fn robot(days: Option<i64>) -> LoginRobot {
        LoginRobot {
            creation_time: day(0),
            expiration_time: days.map(day),
            lists_system: true,
            lists_projects: true,
            updates_robots: false,
            holds: Vec::new(),
            rights: 0,
            permissions: Arc::default(),
        }
    }

    fn permissions(all: &[(Scope, &[&str])]) -> Permissions {
        let pair = |text: &&str| text.split_once(':').map(|(resource, action)| Access::new(resource, action));
        all.iter().map(|(scope, texts)| (scope.clone(), texts.iter().filter_map(pair).collect())).collect()
    }

    #[test]
    fn what_a_login_cannot_hand_out_is_named_with_its_place() {
        let project = |name: &str| Scope::Project(name.to_owned());
        let holds = permissions(&[
            (Scope::AllProjects, &["repository:pull"]),
            (project("a"), &["tag:create"]),
            (Scope::System, &["project:list"]),
        ]);
        let login = LoginRobot { permissions: Arc::new(holds), ..robot(None) };
        let wanted = permissions(&[
            (project("a"), &["repository:pull", "tag:create", "tag:delete"]),
            (project("b"), &["repository:pull", "tag:create"]),
            (Scope::System, &["project:list", "repository:pull"]),
        ]);
        let expected = ["repository:pull on the system", "tag:delete on project a", "tag:create on project b"];
        assert_eq!(login.lacks(&wanted), expected);
        assert!(login.lacks(&permissions(&[(project("c"), &["repository:pull"])])).is_empty());
    }

    #[test]
    fn an_expiry_is_announced_two_weeks_before_or_in_the_last_third_of_a_short_life() {
        for (life, notice) in [(365, 351), (42, 28), (30, 20), (3, 2)] {
            let robot = robot(Some(life));
            assert_eq!(robot.notice_at(), Some(day(notice)), "{life} days");
            assert_eq!(robot.expiring(day(notice)), Some(day(life)));
            assert_eq!(robot.expiring(day(notice) - SignedDuration::from_secs(1)), None);
            assert_eq!((robot.expired(day(notice)), robot.expired(day(life))), (None, Some(day(life))));
        }
    }

    #[test]
    fn a_robot_that_lives_for_ever_is_not_announced() {
        assert_eq!((robot(None).notice_at(), robot(None).expiring(day(99_999))), (None, None));
    }
}
