//! One account at rest and what a pass over it would read, to vary in tests.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::catalogue::Unknown;
use super::desired::{Desired, SecretWish};
use super::mark::{self, Identity};
use super::observed::{Checksum, PreviousRecord, Recorded, RobotRecord, RobotRef, SecretSeen, Tokens};
use super::permissions::Access;
use super::plan::{CustomPassword, Permit, Situation, Strategy};
use super::robot::{Home, Lifetime, Permissions, Robot, Scope};
use super::rotation::{self, Rotation};
use super::situation::Observed;
use super::slots::Slot;
use crate::api::{ObjectName, RegistryTime};

/// Seconds after the first robot was made.
pub(super) fn at(seconds: i64) -> RegistryTime {
    RegistryTime::from_second(1_800_000_000 + seconds)
}

pub(super) fn days(count: i64) -> i64 {
    count * 86_400
}

pub(super) fn project(pairs: &[&str]) -> Permissions {
    let access = pairs.iter().map(|pair| pair.split_once(':').unwrap());
    Permissions::from([(
        Scope::Project("team-a".into()),
        access.map(|(resource, action)| Access::new(resource, action)).collect(),
    )])
}

pub(crate) fn desired() -> Desired {
    Desired {
        identity: Identity::new("u-1", "c", Some("team-a"), "ci"),
        home: Home::Project("team-a".into()),
        base_name: "ci".into(),
        text: "pushes".into(),
        enabled: true,
        permissions: project(&["repository:pull", "repository:push"]),
        told: project(&["repository:pull", "repository:push"]),
        unknown: Unknown::new(),
        lifetime: Lifetime::Days(30),
        expires_after: "30d".into(),
        strategy: Strategy::Overlap,
        rotation: Rotation { renew_before: None, overlap: rotation::DEFAULT_OVERLAP, interval: None },
        secret: secret("ci"),
        entries: Vec::new(),
        retain: false,
        adopt: false,
        own_password: None,
        tokens: Tokens::default(),
        projects: None,
    }
}

/// A Secret without anything added.
pub(super) fn secret(name: &str) -> SecretWish {
    let name = ObjectName::new(name).unwrap();
    SecretWish {
        name,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        keys: BTreeMap::new(),
        chosen_password: false,
    }
}

/// A robot just as `desired()` wants it, with an id that tells its slot and its creation.
pub(crate) fn robot(slot: Slot, created: i64) -> Robot {
    let wish = desired();
    Robot {
        id: 100 + created * 2 + i64::try_from(slot.index()).unwrap(),
        name: format!("robot$team-a+{}", slot.name(&wish.base_name)),
        description: wish.description(),
        home: wish.home,
        lifetime: wish.lifetime,
        expiration_time: Some(at(created + days(30))),
        editable: true,
        disabled: false,
        permissions: wish.permissions,
        foreign_effect: false,
        creation_time: at(created),
        update_time: at(created),
    }
}

pub(super) fn reference(robot: &Robot) -> RobotRef {
    RobotRef { id: robot.id, creation_time: robot.creation_time, name: robot.name.clone() }
}

pub(super) fn record(robot: &Robot) -> RobotRecord {
    RobotRecord {
        robot: reference(robot),
        update_time: Some(robot.update_time),
        checksum: Some(checksum()),
        expiration_time: robot.expiration_time,
    }
}

/// Of whatever is published.
pub(super) fn checksum() -> Checksum {
    Checksum::read("c0ffee00c0ffee00").unwrap()
}

pub(super) fn secret_of(robot: &Robot) -> SecretSeen {
    SecretSeen::Ours {
        robot: Some(reference(robot)),
        checksum: Some(checksum()),
        current_form: true,
        handled: Tokens::default(),
    }
}

pub(super) fn refresh(token: &str) -> Tokens {
    Tokens { refresh: Some(token.into()), revoke: None }
}

pub(super) fn revoke(token: &str) -> Tokens {
    Tokens { refresh: None, revoke: Some(token.into()) }
}

/// What a pass reads.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) now: RegistryTime,
    pub(super) robots: [Option<Robot>; 2],
    pub(super) secret: SecretSeen,
    pub(super) recorded: Recorded,
    pub(super) login_works: Option<bool>,
    pub(super) own: CustomPassword,
    pub(super) permit: Permit,
    pub(super) may_adopt: bool,
    pub(super) may_update: bool,
    pub(super) paced_until: Option<RegistryTime>,
    pub(super) unreachable: bool,
    pub(super) known: [bool; 2],
}

impl View {
    /// An account at rest, an hour after its robot was made in the first slot.
    pub(super) fn settled() -> Self {
        let robot = robot(Slot::A, 0);
        Self {
            now: at(3_600),
            secret: secret_of(&robot),
            recorded: Recorded {
                current: Some(record(&robot)),
                expires_after: Some("30d".into()),
                ..Recorded::default()
            },
            robots: [Some(robot), None],
            login_works: None,
            own: CustomPassword::NotWished,
            permit: Permit::Granted,
            may_adopt: false,
            may_update: true,
            paced_until: None,
            unreachable: false,
            known: [true; 2],
        }
    }

    /// A new account.
    pub(super) fn fresh() -> Self {
        Self { robots: [None, None], secret: SecretSeen::Absent, recorded: Recorded::default(), ..Self::settled() }
    }

    /// Just after a rotation at 1000 s: the new robot is in the second slot, the old one lives for a day.
    pub(super) fn in_overlap() -> Self {
        let (old, new) = (robot(Slot::A, 0), robot(Slot::B, 1_000));
        Self {
            now: at(1_010),
            secret: secret_of(&new),
            recorded: Recorded {
                current: Some(record(&new)),
                previous: Some(PreviousRecord { robot: reference(&old), revocation_time: at(1_002 + days(1)) }),
                last_rotation: Some(at(1_002)),
                ..Self::settled().recorded
            },
            robots: [Some(old), Some(new)],
            ..Self::settled()
        }
    }

    pub(super) fn first(&mut self) -> &mut Robot {
        self.robots[0].as_mut().unwrap()
    }

    pub(super) fn later(self, by: SignedDuration) -> Self {
        Self { now: self.now + by, ..self }
    }

    pub(super) fn served(mut self, tokens: Tokens) -> Self {
        if let SecretSeen::Ours { handled, .. } = &mut self.secret {
            *handled = tokens;
        }
        self
    }

    pub(super) fn observed(&self) -> Observed {
        Observed {
            now: self.now,
            later_clock: self.now,
            robots: self.robots.clone(),
            secret: self.secret.clone(),
            recorded: self.recorded.clone(),
            known: self.known,
            login_works: self.login_works,
            own: self.own,
            permit: self.permit,
            may_adopt: self.may_adopt,
            may_update: self.may_update,
            deleting: false,
            finalizer: true,
            unsettled: false,
            unreachable: self.unreachable,
            abandoned: false,
            own_login: String::new(),
            paced_until: self.paced_until,
            behind: false,
        }
    }

    pub(super) fn situation(&self, desired: &Desired) -> Situation {
        self.observed().situation(desired)
    }
}

/// The description of a robot that belongs to another account of the same cluster.
pub(super) fn others_mark() -> String {
    mark::write("theirs", &Identity::new("u-2", "c", Some("team-b"), "ci"), false)
}

/// The description that this account left before it was restored from a backup.
pub(super) fn predecessors_mark() -> String {
    mark::write("pushes", &Identity { uid: "u-0".into(), ..desired().identity }, true)
}
