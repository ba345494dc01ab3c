//! What people do to robots in Harbor.

use crate::left::uid_in_mark;
use crate::world::{Unmarked, World};

/// What is done to a robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// It is deleted.
    Delete,
    /// It is disabled.
    Disable,
    /// It gets another secret.
    Secret,
    /// It may do less.
    Permissions,
    /// Its description is another one, without a mark.
    Unmark,
    /// Its mark is cut short.
    CutMark,
    /// There is more in its description.
    Describe,
}

impl Tamper {
    /// All of them; those that only a person can put right are rare.
    pub const ALL: [Self; 15] = [
        Self::Delete,
        Self::Delete,
        Self::Disable,
        Self::Disable,
        Self::Secret,
        Self::Secret,
        Self::Secret,
        Self::Permissions,
        Self::Permissions,
        Self::Describe,
        Self::Describe,
        Self::Unmark,
        Self::Unmark,
        Self::Unmark,
        Self::CutMark,
    ];

    /// What an operator puts right by itself, whatever its login may.
    pub const BY_ANY_LOGIN: [Self; 4] = [Self::Delete, Self::Disable, Self::Secret, Self::Permissions];

    /// The same, if it saw the robot before and its login may update robots.
    pub const PUT_RIGHT: [Self; 6] =
        [Self::Delete, Self::Disable, Self::Secret, Self::Permissions, Self::Unmark, Self::Describe];

    pub(super) fn run(self, world: &mut World, account: usize) {
        let Some((harbor, id)) = world.robot_of(account) else { return };
        let mut state = world.harbor(harbor).state();
        if self == Self::Delete {
            state.robots.remove(id);
            return;
        }
        let now = state.clock.now_ms();
        let Some(robot) = state.robots.get_mut(id) else { return };
        robot.row.updated_ms = now;
        let before = robot.row.description.clone();
        match self {
            Self::Disable => robot.row.disabled = true,
            Self::Secret => robot.row.secret = Some("Changed1ByAPersonInTheWebPage000".to_owned()),
            Self::Permissions | Self::Delete => {
                for group in &mut robot.groups {
                    group.access.truncate(1);
                }
            }
            Self::Unmark => "a person's words".clone_into(&mut robot.row.description),
            Self::CutMark => robot.row.description.truncate(before.len() * 2 / 3),
            Self::Describe => robot.row.description = format!("a person's words {before} and more"),
        }
        if matches!(self, Self::Unmark | Self::CutMark) && before.contains("[harbor-robots.io/") {
            let (name, created) = (robot.row.name.clone(), robot.row.created_ms);
            drop(state);
            world.unmarked.push(Unmarked { harbor, name, created, description: before });
        }
    }
}

impl World {
    /// Writes the marks that people took away back for the accounts that are there, as their messages ask for. A robot
    /// without a mark whose account is gone is nobody's: whoever took its mark away deletes it.
    pub(crate) fn mark_again(&self) {
        let accounts: Vec<_> = (0..self.wishes.len()).filter_map(|number| self.account(number)).collect();
        let lives = |uid: &str| accounts.iter().any(|account| account["metadata"]["uid"] == uid);
        let is_theirs = |unmarked: &Unmarked| uid_in_mark(&unmarked.description).is_some_and(lives);
        // First those of the living: one robot may have lost its mark twice. A backup may bring them back without it.
        let mut all: Vec<_> = self.unmarked.iter().map(|unmarked| (unmarked, is_theirs(unmarked))).collect();
        all.sort_by_key(|(_, lives)| !lives);
        for (Unmarked { harbor, name, created, description }, lives) in all {
            let mut state = self.harbor(*harbor).state();
            let now = state.clock.now_ms();
            let id = state.robots.named(name).filter(|robot| robot.row.created_ms == *created);
            let Some(id) = id.filter(|robot| !is_marked(&robot.row.description)).map(|robot| robot.row.id) else {
                continue;
            };
            if !lives {
                state.robots.remove(id);
            } else if let Some(robot) = state.robots.get_mut(id) {
                robot.row.description.clone_from(description);
                robot.row.updated_ms = now;
            }
        }
    }
}

fn is_marked(description: &str) -> bool {
    description.rsplit_once("[harbor-robots.io/").is_some_and(|(_, mark)| mark.contains(']'))
}
