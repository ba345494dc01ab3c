//! What the decision table sees: robots, Secret and status reduced to small values, and the words defined over them.

use super::super::slots::Slot;
pub use crate::api::RotationStrategy as Strategy;

/// Whose robot a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Ours: our mark, our predecessor's, or the very robot in status without anybody else's mark.
    Ours,
    /// Nobody's mark: may be adopted where that is allowed.
    Unmarked,
    /// Somebody else's.
    Stranger,
}

/// How far a robot is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Age {
    /// Renewal is not due.
    Fresh,
    /// Past its renewal time.
    Due,
    /// Past its expiry.
    Expired,
}

/// A robot in one of our slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotView {
    /// Whose it is.
    pub holder: Holder,
    /// Permissions, description, mark or lifetime are not as wanted (`disabled` apart).
    pub differs: bool,
    /// It holds pairs that are wanted no longer.
    pub exceeds: bool,
    /// Cannot log in until enabled.
    pub disabled: bool,
    /// Its mark already says that it was retained.
    pub retained: bool,
    /// How far in its life.
    pub age: Age,
}

/// A robot named by a record (Secret or status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Named {
    /// None.
    #[default]
    Nothing,
    /// The robot that is in this slot now.
    Alive(Slot),
    /// A robot of this slot that exists no longer.
    Gone(Slot),
}

impl Named {
    pub(super) fn slot(self) -> Option<Slot> {
        match self {
            Self::Nothing => None,
            Self::Alive(slot) | Self::Gone(slot) => Some(slot),
        }
    }
}

/// The Secret as read live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SecretView {
    /// There is none.
    #[default]
    Absent,
    /// One of that name that is not ours.
    Foreign,
    /// Ours.
    Ours {
        /// The robot in its annotation.
        names: Named,
        /// The credential has the checksum we wrote beside it.
        intact: bool,
        /// Everything around the credential (hosts, formats, labels, type) is as wanted.
        current_form: bool,
    },
}

/// What status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Recorded {
    /// `status.robot`.
    pub current: Named,
    /// `status.previous`.
    pub previous: Named,
    /// `status.previous.revocationTime` has passed.
    pub overlap_ended: bool,
    /// `status.robot.updateTime` is what Harbor says now: nobody wrote to the robot since we did.
    pub untouched: bool,
}

/// Whether the account wishes a password of its own (`spec.passwordSecretRef`). Harbor ignores a `secret` in POST, so it
/// takes a PATCH to set one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum CustomPassword {
    /// Harbor draws the password.
    #[default]
    NotWished,
    /// It does, and the credential in our Secret has that password.
    Published,
    /// It does, and the credential in our Secret has another one, or there is none.
    Differs,
}

/// What the grants say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permit {
    /// The request is granted.
    Granted,
    /// It is not, but was until recently: robots are left alone for the revocation delay.
    Lapsing,
    /// It is not.
    Refused,
}

/// Everything a plan depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Situation {
    /// The robots in our two slots.
    pub slots: [Option<SlotView>; 2],
    /// With two robots: the second slot's is the newer (later creation time, then larger id).
    pub second_is_newer: bool,
    /// The Secret.
    pub secret: SecretView,
    /// Status.
    pub recorded: Recorded,
    /// Answer of a login with the published credential; `None` if not asked.
    pub login_works: Option<bool>,
    /// A refresh or revoke token waits to be served.
    pub token: bool,
    /// It is a revoke token: older robots go as soon as the new credential is published.
    pub revoke: bool,
    /// `!spec.disabled`.
    pub enabled: bool,
    /// What the grants say.
    pub permit: Permit,
    /// The account has a deletionTimestamp.
    pub deleting: bool,
    /// `deletionPolicy: Retain`.
    pub retain: bool,
    /// Our finalizer is there.
    pub finalizer: bool,
    /// The login may PUT and PATCH.
    pub may_update: bool,
    /// An unmarked robot in the first slot may be taken over.
    pub may_adopt: bool,
    /// How a credential is replaced.
    pub strategy: Strategy,
    /// The account's own password.
    pub own: CustomPassword,
    /// A write of unknown outcome may still commit: a list proves nothing yet.
    pub unsettled: bool,
    /// Harbor cannot be asked (outage, or login or registry object gone); the slots are unknown.
    pub unreachable: bool,
    /// Harbor cannot be asked for good (namespace terminating, see design): the finalizer goes all the same.
    pub abandoned: bool,
    /// The robot in this slot is the one that the operator itself is logged in as.
    pub own_login: Option<Slot>,
}

impl Situation {
    pub(super) fn slot(&self, slot: Slot) -> Option<SlotView> {
        self.slots[slot.index()]
    }

    /// The robot in a slot, if it is ours.
    pub fn ours(&self, slot: Slot) -> Option<SlotView> {
        self.slot(slot).filter(|robot| robot.holder == Holder::Ours)
    }

    /// The robots of ours, with their slots.
    pub fn all_ours(&self) -> impl Iterator<Item = (Slot, SlotView)> + '_ {
        Slot::BOTH.into_iter().filter_map(|slot| self.ours(slot).map(|robot| (slot, robot)))
    }

    /// True if the slot's robot is the newer of the two.
    pub fn is_newer(&self, slot: Slot) -> bool {
        (slot == Slot::B) == self.second_is_newer
    }

    pub(super) fn newest(&self) -> Option<Slot> {
        match (self.ours(Slot::A), self.ours(Slot::B)) {
            (Some(_), Some(_)) => Some(if self.second_is_newer { Slot::B } else { Slot::A }),
            (Some(_), None) => Some(Slot::A),
            (None, Some(_)) => Some(Slot::B),
            (None, None) => None,
        }
    }

    pub(super) fn secret_names(&self) -> Named {
        match self.secret {
            SecretView::Ours { names, .. } => names,
            SecretView::Absent | SecretView::Foreign => Named::Nothing,
        }
    }

    /// The newest living robot of ours that the Secret or status names.
    pub fn current(&self) -> Option<Slot> {
        let alive = |named| match named {
            Named::Alive(slot) if self.ours(slot).is_some() => Some(slot),
            _ => None,
        };
        match (alive(self.secret_names()), alive(self.recorded.current)) {
            (None, any) | (any, None) => any,
            (Some(a), Some(b)) if a == b => Some(a),
            (Some(a), Some(b)) => Some(if self.is_newer(a) { a } else { b }),
        }
    }

    /// An own password is wished for, and only PATCH sets one: nothing new can be published with this login.
    pub(super) fn cannot_publish(&self) -> bool {
        self.own != CustomPassword::NotWished && !self.may_update
    }

    pub(in crate::domain) fn holds_credential_of(&self, slot: Slot) -> bool {
        matches!(self.secret, SecretView::Ours { names: Named::Alive(named), intact: true, .. } if named == slot)
    }

    /// True if only a login can tell whether the published credential still works: somebody wrote to the robot after
    /// us. A login with a robot that is disabled or expired proves nothing and is not asked for.
    pub fn wants_login(&self) -> bool {
        !self.deleting
            && self.permit == Permit::Granted
            && self.current().is_some_and(|slot| {
                let dark = self.ours(slot).is_some_and(|robot| robot.disabled || robot.age == Age::Expired);
                self.holds_credential_of(slot) && !dark && !self.untouched(slot)
            })
    }

    pub(super) fn untouched(&self, slot: Slot) -> bool {
        self.recorded.current == Named::Alive(slot) && self.recorded.untouched
    }

    /// True if the published credential logs in, as far as this pass knows: its robot lives, is enabled and unexpired,
    /// and nobody refused the login.
    pub fn credential_works(&self) -> bool {
        self.current().is_some_and(|slot| {
            let lives = self.ours(slot).is_some_and(|robot| !robot.disabled && robot.age < Age::Expired);
            lives && self.holds_credential_of(slot) && (self.untouched(slot) || self.login_works != Some(false))
        })
    }

    /// True if no robot of ours can log in.
    pub fn is_switched_off(&self) -> bool {
        self.all_ours().all(|(_, robot)| robot.disabled)
    }
}
