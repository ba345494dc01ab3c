//! A robot that exists, from wherever it is known.

use harbor_robot_operator::domain::mark;
use harbor_robot_operator::domain::robot::{Home, Lifetime, Permissions, Robot};
use harbor_robot_operator::registry::harbor::short_name;

use crate::error::Error;
use crate::harbor::Harbor;

/// A robot without an account.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What it logs in as.
    pub(super) full_name: String,
    /// Without the prefix and the project; none if that cannot be told.
    pub(super) name: Option<String>,
    pub(super) home: Home,
    pub(super) description: String,
    pub(super) lifetime: Lifetime,
    pub(super) disabled: bool,
    pub(super) permissions: Permissions,
    /// What an account cannot say of it.
    pub(super) unsaid: Vec<String>,
}

impl Found {
    pub(super) fn project(&self) -> Option<&str> {
        match &self.home {
            Home::System => None,
            Home::Project(name) => Some(name),
        }
    }

    fn read(robot: Robot, prefix: Option<&str>) -> Self {
        let mut unsaid = Vec::new();
        if robot.foreign_effect {
            unsaid.push("it has permissions that deny something, which no account can".to_owned());
        }
        if !robot.editable {
            unsaid.push(
                "it is from before Harbor 2.2: it cannot be edited, and an account cannot take it over".to_owned(),
            );
        }
        Self {
            name: short_name(&robot.name, &robot.home, prefix).map(ToOwned::to_owned),
            full_name: robot.name,
            home: robot.home,
            description: robot.description,
            lifetime: robot.lifetime,
            disabled: robot.disabled,
            permissions: robot.permissions,
            unsaid,
        }
    }
}

/// The robots that carry no mark and that nobody here logs in as, of the system and of projects that fit.
pub(super) async fn unmanaged(harbor: &Harbor, wanted: &[String]) -> Result<Vec<Found>, Error> {
    let robots = harbor.robots(wanted).await?;
    // A system robot's name begins where the prefix ends.
    let settings = harbor.client.settings().await.ok();
    let prefix = settings.and_then(|settings| settings.robot_name_prefix).or_else(|| harbor.client.name_prefix());
    let status = harbor.registry.as_ref().and_then(|registry| registry.status.as_ref());
    let prefix = prefix.or_else(|| status.and_then(|status| status.robot_name_prefix.clone()));
    let login = status.and_then(|status| status.login.as_ref()).map(|login| login.name.as_str());
    let is_free = |robot: &Robot| mark::parse(&robot.description).is_none() && login != Some(robot.name.as_str());
    let free = robots.into_iter().filter(is_free);
    Ok(free.map(|robot| Found::read(robot, prefix.as_deref())).collect())
}
