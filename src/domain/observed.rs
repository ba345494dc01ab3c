//! What a pass read: robots, Secret and status, before they are compared with the wish.

use jiff::SignedDuration;

use crate::api::RegistryTime;

use super::robot::Robot;

/// A robot as our records name it. Ids run again after a restore of Harbor, so the creation time is part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RobotRef {
    /// Harbor's id.
    pub id: i64,
    /// Creation time, milliseconds.
    pub creation_time: RegistryTime,
    /// The full name when it was recorded; it changes with the server's prefix.
    pub name: String,
}

impl RobotRef {
    /// True if `robot` is the one that was recorded.
    pub fn is(&self, robot: &Robot) -> bool {
        self.id == robot.id && self.creation_time == robot.creation_time
    }
}

/// Status' record of a robot of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotRecord {
    /// Which.
    pub robot: RobotRef,
    /// Harbor's `update_time` after our own last write, confirmed by a login; `None` = not known.
    pub update_time: Option<RegistryTime>,
    /// `None` = never.
    pub expiration_time: Option<RegistryTime>,
}

/// Status' record of the robot that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousRecord {
    /// Which.
    pub robot: RobotRef,
    /// Its overlap ends then, in registry time.
    pub revocation_time: RegistryTime,
}

/// The tokens of the refresh and revoke annotations: wished for, or served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// `harbor-robots.io/refresh`.
    pub refresh: Option<String>,
    /// `harbor-robots.io/revoke`.
    pub revoke: Option<String>,
}

/// What status said at the start of the pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The robot whose credential is published.
    pub current: Option<RobotRecord>,
    /// The one it replaced.
    pub previous: Option<PreviousRecord>,
    /// Tokens served.
    pub handled: Tokens,
    /// The effective `expiresAfter` that `current` was made or updated with.
    pub expires_after: Option<String>,
    /// When a credential was last replaced.
    pub last_rotation: Option<RegistryTime>,
}

/// What the Secret said, without its secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SecretSeen {
    /// There is none.
    #[default]
    Absent,
    /// One of that name that is not ours.
    Foreign,
    /// Ours.
    Ours {
        /// The robot in its annotations.
        robot: Option<RobotRef>,
        /// The credential has the checksum written beside it, and its user name is the robot's.
        intact: bool,
        /// Everything around the credential is as wanted.
        current_form: bool,
        /// Tokens served by the publish that wrote it.
        handled: Tokens,
    },
}

impl SecretSeen {
    /// The tokens that the publish served which wrote it; `None` if it is not ours.
    pub fn handled(&self) -> Option<&Tokens> {
        match self {
            Self::Ours { handled, .. } => Some(handled),
            Self::Absent | Self::Foreign => None,
        }
    }
}

/// Harbor's `update_time` right after POST may be a millisecond later than `creation_time`; up to this much counts as
/// never updated.
const NEVER_UPDATED: SignedDuration = SignedDuration::from_millis(10);

/// True if this update time of a robot says that nobody wrote to it since it was made. An earlier one than its creation was
/// written by a clock that had been set back.
pub fn is_never_updated(creation_time: RegistryTime, update_time: RegistryTime) -> bool {
    (SignedDuration::ZERO..=NEVER_UPDATED).contains(&update_time.duration_since(creation_time))
}

/// True if the update time on record and the robot's are of the same write, or both of none.
pub fn is_same_update(known: RegistryTime, robot: &Robot) -> bool {
    let fresh = |at| is_never_updated(robot.creation_time, at);
    known == robot.update_time || (fresh(known) && fresh(robot.update_time))
}

/// True if nobody wrote to the robot since we recorded `updated_at`.
pub fn is_untouched(record: &RobotRecord, robot: &Robot) -> bool {
    record.robot.is(robot) && record.update_time.is_some_and(|known| is_same_update(known, robot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::{at, record, robot};
    use crate::domain::slots::Slot;

    #[test]
    fn a_robot_that_was_written_to_is_told_from_one_that_never_was_even_if_the_clock_was_set_back() {
        let made = robot(Slot::A, 0);
        let record = record(&made);
        assert!(is_untouched(&record, &made));
        let by_a_millisecond = at(0) + SignedDuration::from_millis(1);
        assert!(is_untouched(&record, &Robot { update_time: by_a_millisecond, ..made.clone() }));
        for seconds in [1, 3_600, -1, -3_600] {
            assert!(!is_untouched(&record, &Robot { update_time: at(seconds), ..made.clone() }), "{seconds}");
        }
    }
}
