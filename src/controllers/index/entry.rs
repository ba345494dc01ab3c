//! What is kept of one account.

use std::sync::Arc;
use std::time::Instant;

use super::robot_identity;
use crate::api::{ObjectName, RegistryKey, RegistryTime};
use crate::cluster::objects::Version;
use crate::controllers::Key;
use crate::controllers::tracked::Tracked;
use crate::domain::contest::Contest;
use crate::domain::pace::{Kind, Pace};
use crate::domain::robot::{Home, Robot};

/// One account at rest.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `metadata.uid`, hashed: tells an account from a namesake made later.
    pub uid: u64,
    /// The registry it uses.
    pub registry: RegistryKey,
    /// Where its robots live.
    pub home: Arc<Home>,
    /// Its first slot's short name.
    pub base_name: Box<str>,
    /// The Secret's name, where it is not the account's.
    pub secret_name: Option<ObjectName>,
    /// The digest of spec, annotations and deletion that the last pass saw.
    pub wish: u64,
    /// The account at the API server.
    pub object: Tracked,
    /// The digest of both slots as the last pass left them; `None` = not known, the next sweep looks.
    pub slots: Option<u64>,
    /// A sweep saw that the robots have other names and are else as they were left.
    pub renamed: bool,
    /// The robots in both slots that carry the account's mark, or did; see [`robot_identity`]. 0 = none.
    pub marked: [u64; 2],
    /// This process saw the mark itself. Until then `marked` is what status says.
    pub mark_seen: bool,
    /// What was learned by trying keeps it from being as wished: when that is forgotten, it tries again.
    pub held_back: bool,
    /// Its Secret, or the first of them.
    pub secret: Tracked,
    /// Its account was told that its home could not be listed, or is to be told.
    pub home_fails: bool,
    /// Something else asks for a look: a sweep, a ServiceAccount, the registry.
    pub recheck: bool,
    /// When to look again without an event.
    pub wake: Option<Instant>,
    /// A call of unknown outcome may commit until then.
    pub unsettled_until: Option<Instant>,
    /// It had our finalizer when this process saw it first and was not settled: a process before us may have left a call
    /// under way.
    pub left_unfinished: bool,
    /// It has our finalizer: it may have robots. Without it no call is made on its behalf.
    pub may_have_robots: bool,
    /// It had our finalizer once: somebody may have taken it off.
    pub had_robots: bool,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// Deleted with `Retain`, and a registry call failed: the next pass goes without.
    pub gave_up: bool,
    /// What its status says, for the metrics.
    pub told: Told,
    /// Others who undid our work lately, and how often we repaired it; `None` for nearly every account.
    pub contests: Option<Box<Contests>>,
    /// The Secret with the account's own password; `None` for nearly every account.
    pub password: Option<Box<PasswordSeen>>,
    /// Its permissions depend on which projects there are.
    pub by_pattern: bool,
}

/// The Secret with an account's own password. It carries no label of ours, so no watch tells of it: sweeps look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordSeen {
    /// The Secret's name.
    pub secret: ObjectName,
    /// The version that the last pass read; none if it was not there.
    pub version: Version,
}

/// Where others undid our work.
#[derive(Clone, Debug, Default)]
pub struct Contests {
    /// Our Secret.
    pub secret: Contest,
    /// Our entry in ServiceAccounts.
    pub service_accounts: Contest,
    /// How often the credential was replaced for another reason than its age.
    pub repairs: Pace,
    /// How often it was for its age.
    pub renewals: Pace,
    /// Since when this process sees no grant for the account any more.
    pub refused: Option<Instant>,
    /// Since when calls fail for an account under `Retain` that is being deleted.
    pub failing: Option<Instant>,
}

impl Contests {
    /// Where replacements of this kind are counted.
    pub fn pace(&mut self, kind: Kind) -> &mut Pace {
        match kind {
            Kind::Repair => &mut self.repairs,
            Kind::Renewal => &mut self.renewals,
        }
    }
}

impl Entry {
    /// An account of which nothing else is known yet.
    pub fn new(uid: u64, registry: RegistryKey, home: Arc<Home>) -> Self {
        Self {
            uid,
            registry,
            home,
            base_name: Box::default(),
            secret_name: None,
            wish: 0,
            object: Tracked::default(),
            slots: None,
            renamed: false,
            marked: [0; 2],
            mark_seen: false,
            held_back: false,
            secret: Tracked::default(),
            home_fails: false,
            recheck: false,
            wake: None,
            unsettled_until: None,
            left_unfinished: false,
            may_have_robots: false,
            had_robots: false,
            deleting: false,
            gave_up: false,
            told: Told { state: State::NotReady("Progressing"), expires: None, renews: None },
            contests: None,
            password: None,
            by_pattern: false,
        }
    }

    /// Whether each of the robots was seen with the account's mark before.
    pub fn knows(&self, robots: &[Option<Robot>; 2]) -> [bool; 2] {
        robots.each_ref().map(|robot| {
            let identity = robot.as_ref().map(|robot| robot_identity(robot.id, robot.creation_time));
            self.mark_seen && identity.is_some_and(|identity| self.marked.contains(&identity))
        })
    }

    /// Notes a robot that carries the account's mark.
    pub fn see_mark(&mut self, slot: usize, identity: u64) {
        if !self.mark_seen {
            (self.marked, self.mark_seen) = ([0; 2], true);
        }
        self.marked[slot] = identity;
    }

    /// True if there is nothing new since the last pass.
    pub fn is_quiet(&self) -> bool {
        !self.recheck && self.object.is_quiet() && self.secret.is_quiet()
    }
}

/// An account for a sweep over its home.
#[derive(Clone, Debug)]
pub struct AccountSlots {
    /// Which account.
    pub key: Key,
    /// [`Entry::uid`].
    pub uid: u64,
    /// [`Entry::slots`].
    pub slots: Option<u64>,
}

/// What the status of an account says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether it is ready.
    pub state: State,
    /// When the published credential expires (registry time).
    pub expires: Option<RegistryTime>,
    /// When it is to be renewed (registry time).
    pub renews: Option<RegistryTime>,
}

/// Coarse state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Ready.
    Ready,
    /// Not ready, for this reason of `domain::reasons`.
    NotReady(&'static str),
    /// Suspended.
    Suspended,
}
