//! An operator in the middle of a plan.

use crate::domain::plan::{Step, Target};
use crate::domain::slots::Slot;

use super::names::{Credential, Name};
use super::world::{Account, Secret, Status};

/// More moves than any plan has.
const MOST_MOVES: usize = 10;

/// What a pass does, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Move {
    Take(Step),
    /// GET and a login, after PUT or PATCH on the published robot.
    Confirm,
    WriteStatus,
}

/// Something read earlier than the rest of a pass: by a cache that lags, or since a pass reads one thing after another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Stale<T> {
    pub(super) value: T,
    /// Nobody wrote to it since, so a conditional write is accepted.
    pub(super) fresh: bool,
}

/// Its memory is lost in a crash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Operator {
    pub(super) moves: [Option<Move>; MOST_MOVES],
    /// Read ahead for the next pass.
    pub(super) stale_secret: Option<Stale<Option<Secret>>>,
    pub(super) stale_account: Option<Stale<Account>>,
    /// Status as this pass read it.
    pub(super) status: Status,
    /// The robots it saw in the slots.
    pub(super) seen: [Name; 2],
    /// The credential of the robot that it made or gave a new secret.
    pub(super) made: Credential,
    /// Somebody else laid hands on a robot of this plan.
    pub(super) disturbed: bool,
    /// Harbor was restored under this plan.
    pub(super) restored: bool,
    /// Somebody else brought the robot that it saw in this slot back to life.
    pub(super) revived: [bool; 2],
    pub(super) permissions: u8,
    pub(super) token: u8,
    /// The account's own password; 0 = none wished.
    pub(super) own: u8,
    pub(super) disable: bool,
    pub(super) in_place: bool,
    /// Nobody wrote to the Secret or the account since it read them.
    pub(super) secret_fresh: bool,
    pub(super) account_fresh: bool,
    pub(super) current: Option<Target>,
    pub(super) previous: Option<Slot>,
    pub(super) ready: bool,
    pub(super) confirmed: bool,
    pub(super) ends_overlap: bool,
    pub(super) keeps_overlap: bool,
    /// Status names the robots of the plan afterwards; else they stay as they were.
    pub(super) records: bool,
    pub(super) status_token: u8,
    /// Nothing but a token calls for the publish.
    pub(super) only_for_token: bool,
    pub(super) published: bool,
    pub(super) interrupted: bool,
    pub(super) look_again: bool,
    /// It saw somebody else's robot in a slot.
    pub(super) cornered: bool,
    /// It saw a current robot, and the strategy is to replace its credential in place.
    pub(super) replaces_in_place: bool,
    /// Learned from a 403; survives the plan.
    pub(super) cannot_update: bool,
}

impl Operator {
    pub(super) fn is_busy(&self) -> bool {
        self.moves[0].is_some()
    }

    pub(super) fn next(&mut self) -> Option<Move> {
        let next = self.moves[0];
        self.moves.rotate_left(1);
        self.moves[MOST_MOVES - 1] = None;
        next
    }

    /// A plan is over.
    pub(super) fn forget(&mut self) {
        let Self { stale_secret, stale_account, cannot_update, .. } = *self;
        *self = Self { stale_secret, stale_account, cannot_update, ..Self::default() };
    }

    pub(super) fn resolve(&self, target: Target) -> Name {
        match target {
            Target::New => self.made.robot,
            Target::Seen(slot) => self.seen[slot.index()],
        }
    }

    pub(super) fn concerns(&self, robot: Name) -> bool {
        let touches = |target: Target| self.resolve(target) == robot;
        self.made.robot == robot
            || self.moves.iter().flatten().any(|next| match next {
                Move::Take(Step::Refresh(target) | Step::Update(target, _) | Step::Publish(target)) => touches(*target),
                _ => false,
            })
    }
}
