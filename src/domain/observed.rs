//! What a pass read: robots, Secret and status, before they are compared with the wish.

use std::fmt;

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

/// Tells one credential from another: the beginning of the checksum that is written beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checksum(u64);

impl Checksum {
    /// Reads it from the checksum itself or from what [`Display`](fmt::Display) made of it; `None` if that is neither.
    pub fn read(text: &str) -> Option<Self> {
        u64::from_str_radix(text.get(..DIGITS)?, 16).ok().map(Self)
    }
}

const DIGITS: usize = 16;

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

/// Status' record of a robot of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotRecord {
    /// Which.
    pub robot: RobotRef,
    /// Harbor's `update_time` after our own last write, confirmed by a login; `None` = not known.
    pub update_time: Option<RegistryTime>,
    /// The credential that logged in then; `None` = not known.
    pub checksum: Option<Checksum>,
    /// `None` = never.
    pub expiration_time: Option<RegistryTime>,
}

impl RobotRecord {
    /// True if it was the published credential that logged in.
    pub fn confirms(&self, published: Option<Checksum>) -> bool {
        published.is_some() && self.checksum == published
    }
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
        /// Of the credential, if it is whole: it has the checksum written beside it, and its user name is the robot's.
        checksum: Option<Checksum>,
        /// Everything around the credential is as wanted.
        current_form: bool,
        /// Tokens served by the publish that wrote it.
        handled: Tokens,
    },
}

impl SecretSeen {
    /// Of the credential in it, if that is ours and whole.
    pub fn checksum(&self) -> Option<Checksum> {
        match self {
            Self::Ours { checksum, .. } => *checksum,
            Self::Absent | Self::Foreign => None,
        }
    }

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

/// True if nobody wrote to the robot since a login with this very credential worked. Either may become an older one by
/// itself: Harbor is restored, or somebody puts an older Secret back.
pub fn is_untouched(record: &RobotRecord, robot: &Robot, published: Option<Checksum>) -> bool {
    record.robot.is(robot)
        && record.update_time.is_some_and(|known| is_same_update(known, robot))
        && record.confirms(published)
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
        let is_untouched = |robot: &Robot| is_untouched(&record, robot, record.checksum);
        assert!(is_untouched(&made));
        let by_a_millisecond = at(0) + SignedDuration::from_millis(1);
        assert!(is_untouched(&Robot { update_time: by_a_millisecond, ..made.clone() }));
        for seconds in [1, 3_600, -1, -3_600] {
            assert!(!is_untouched(&Robot { update_time: at(seconds), ..made.clone() }), "{seconds}");
        }
    }

    #[test]
    fn a_credential_that_was_never_tried_says_nothing_about_an_untouched_robot() {
        let made = robot(Slot::A, 0);
        let record = record(&made);
        for other in [None, Checksum::read("0123456789abcdef")] {
            assert!(!is_untouched(&record, &made, other), "{other:?}");
        }
        assert!(!is_untouched(&RobotRecord { checksum: None, ..record.clone() }, &made, record.checksum));
        assert!(!is_untouched(&RobotRecord { checksum: None, ..record }, &made, None));
    }

    #[test]
    fn a_checksum_is_read_from_the_whole_of_it_and_from_its_own_text() {
        let whole = "00ff00ff00ff00ffdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
        let read = Checksum::read(whole).unwrap();
        assert_eq!((read.to_string().as_str(), Checksum::read(&read.to_string())), (&whole[..16], Some(read)));
        assert_eq!(["", "00ff", "no checksum at all", "€€€€€€"].map(Checksum::read), [None; 4]);
    }
}
