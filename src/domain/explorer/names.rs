//! Robots and credentials as relations ("the robot now in this slot", "one that was there"), so that states are finite
//! and equal worlds are equal values.

use crate::domain::plan::{Age, Named};
use crate::domain::slots::Slot;

/// A robot as a record, a credential or an operator's memory refers to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Name {
    #[default]
    Nothing,
    /// The robot that is in this slot now.
    Alive(Slot),
    /// A robot of this slot that is not there now, but in the backup of Harbor.
    Kept(Slot),
    /// A robot of this slot that is never there again.
    Gone(Slot),
}

impl Name {
    /// As a pass sees it: by id and creation time, so a robot made later under the same id is another one.
    pub(super) fn seen(self) -> Named {
        match self {
            Self::Nothing => Named::Nothing,
            Self::Alive(slot) => Named::Alive(slot),
            Self::Kept(slot) | Self::Gone(slot) => Named::Gone(slot),
        }
    }

    pub(super) fn may_live(self) -> bool {
        matches!(self, Self::Alive(_) | Self::Kept(_))
    }
}

/// A password that somebody holds, for a robot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Credential {
    pub(super) robot: Name,
    /// It is the one that the robot has.
    pub(super) right: bool,
    /// It is the one that the robot has in the backup of Harbor.
    pub(super) kept: bool,
    /// Which of the account's own passwords it is; 0 = drawn by Harbor.
    pub(super) own: u8,
}

impl Credential {
    pub(super) fn new(robot: Name, own: u8) -> Self {
        Self { robot, right: true, kept: false, own }
    }

    /// Forgets what can make no difference any more.
    pub(super) fn normalise(&mut self) {
        self.right &= matches!(self.robot, Name::Alive(_));
        self.kept &= self.robot.may_live();
    }
}

/// Who the text at the end of a robot's description names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Mark {
    Ours,
    Nobody,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Robot {
    pub(super) mark: Mark,
    /// We made or adopted it, whatever the mark says.
    pub(super) ours: bool,
    /// Which version of the spec's permissions.
    pub(super) permissions: u8,
    pub(super) disabled: bool,
    pub(super) retained: bool,
    pub(super) age: Age,
}

impl Robot {
    pub(super) fn new(mark: Mark, permissions: u8) -> Self {
        let ours = mark == Mark::Ours;
        Self { mark, ours, permissions, disabled: false, retained: false, age: Age::Fresh }
    }

    pub(super) fn can_log_in(self) -> bool {
        !self.disabled && self.age < Age::Expired
    }
}

/// A robot in the backup of Harbor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Copied {
    pub(super) robot: Robot,
    /// It is the one that is in the slot now.
    pub(super) same: bool,
    /// And nobody wrote to it since.
    pub(super) untouched: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Backup {
    pub(super) robots: [Option<Copied>; 2],
    pub(super) second_is_newer: bool,
}
