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

/// Harbor's `update_time` right after POST may be a millisecond later than `creation_time`; up to this much counts as
/// never updated.
pub const NEVER_UPDATED: SignedDuration = SignedDuration::from_millis(10);

/// True if nobody wrote to the robot since we recorded `updated_at`.
pub fn is_untouched(record: &RobotRecord, robot: &Robot) -> bool {
    let fresh = |at: RegistryTime| at.duration_since(robot.creation_time) <= NEVER_UPDATED;
    record.robot.is(robot)
        && record.update_time.is_some_and(|at| at == robot.update_time || (fresh(at) && fresh(robot.update_time)))
}
