//! What a plan says: steps, and what will be true after them.

use super::super::slots::Slot;

/// The robot a step acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The one seen in this slot.
    Seen(Slot),
    /// The one made earlier in the same plan.
    New,
}

/// What a PUT is for. Always the full object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Make everything as wanted; the expiry moves only if the wanted lifetime changed.
    Align,
    /// As `Align`, and a whole lifetime from now on.
    Renew,
    /// As `Renew`, on a robot that carried nobody's mark.
    Adopt,
    /// Only the mark: `retained`.
    Retain,
    /// Only `disable`.
    Disable,
}

/// Why a robot is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Its overlap ended.
    OverlapEnded,
    /// Its slot is needed by a refresh, a change or a repair that cannot wait.
    Retired,
    /// The account is disabled.
    Disabled,
    /// The account is deleted.
    AccountDeleted,
    /// The account is not permitted any more.
    NotPermitted,
    /// A rotation that was cut off.
    Orphan,
    /// It can never log in again, or nobody knows its secret.
    Dead,
}

/// One small, named, repeatable step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// On the account; before the first registry call.
    AddFinalizer,
    /// POST into a free slot.
    Create(Slot),
    /// PUT.
    Update(Target, Purpose),
    /// PATCH: a new secret, which is the account's own password if it wishes one, else drawn by Harbor.
    Refresh(Target),
    /// DELETE.
    Delete(Slot, Why),
    /// Rewrite the Secret, so that the publish of an operator that lost its claim is refused.
    Fence,
    /// Write the credential into the Secret, with the robot's id and the tokens served.
    Publish(Target),
    /// Write the Secret's form anew around the credential that it holds.
    Reform,
    /// Remove the Secret.
    DeleteSecret,
    /// Take our owner reference off the Secret.
    ReleaseSecret,
    /// On the account; the object goes.
    RemoveFinalizer,
}

impl Step {
    /// Metric label and event action.
    pub fn name(self) -> &'static str {
        match self {
            Self::AddFinalizer => "AddFinalizer",
            Self::Create(_) => "CreateRobot",
            Self::Update(..) => "UpdateRobot",
            Self::Refresh(_) => "RefreshSecret",
            Self::Delete(..) => "DeleteRobot",
            Self::Fence => "FenceSecret",
            Self::Publish(_) => "PublishSecret",
            Self::Reform => "RewriteSecret",
            Self::DeleteSecret => "DeleteSecret",
            Self::ReleaseSecret => "ReleaseSecret",
            Self::RemoveFinalizer => "RemoveFinalizer",
        }
    }
}

/// What stands in the way; but for `RepairsPaused`, which time ends, it needs a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blocker {
    /// The grants do not cover the request.
    NotPermitted,
    /// The robot name belongs to somebody else.
    NameTaken,
    /// A Secret of that name is not ours.
    SecretNotOwned,
    /// The strategy needs PUT and PATCH, or an own password needs PATCH.
    LoginCannotUpdate,
    /// Somebody keeps changing our Secret.
    SecretContested,
    /// The credential was repaired only a short while ago (see [`super::super::pace`]).
    RepairsPaused,
}

/// The steps of one pass and what will be true after them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// The robot whose credential is published afterwards.
    pub current: Option<Target>,
    /// The older robot that lives on.
    pub previous: Option<Slot>,
    /// The published credential logs in afterwards.
    pub ready: bool,
    /// Needs a person.
    pub blocker: Option<Blocker>,
    /// The overlap of `previous` is zero: retire it in the next pass.
    pub retire_now: bool,
    /// Renewal waits for the end of a running overlap.
    pub waits_for_overlap: bool,
    /// The last state Harbor told of `current` is confirmed by a login and may be recorded as ours.
    pub confirmed: bool,
    /// There is more to do, which only another look can judge: gather again at once.
    pub look_again: bool,
}

/// Metric label of what goes before a plan that [`gives up something for another`](Plan::gives_up_for_another).
pub const REHEARSAL: &str = "RehearseSecret";

impl Plan {
    pub(super) fn blocked(by: Blocker) -> Self {
        Self { blocker: Some(by), ..Self::default() }
    }

    /// True if the plan knows what is published afterwards. Without a grant the Secret goes, so status is the only record of a
    /// robot that is left.
    pub fn tells_the_current(&self) -> bool {
        match self.blocker {
            None | Some(Blocker::NotPermitted) => true,
            Some(Blocker::SecretNotOwned) => false,
            Some(_) => self.current.is_some(),
        }
    }

    /// True if no step touches a robot that was there before, so that an older picture of it does no harm: a name that is
    /// taken meanwhile is refused by Harbor.
    pub fn only_adds(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::AddFinalizer | Step::Create(_) | Step::Publish(Target::New) | Step::Reform => true,
            Step::Update(target, _) | Step::Refresh(target) => *target == Target::New,
            _ => false,
        })
    }

    /// True if the plan is wrong should the account have changed since it was read. A robot goes that, by the records, nobody
    /// uses: wrong records would cost a working credential. Or something is made without a write to the account before it,
    /// which would find out that the account is gone: nobody would clear that away.
    pub fn needs_the_account(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Delete(_, Why::Orphan | Why::Dead)))
            || self.publishes() && !self.steps.contains(&Step::AddFinalizer)
    }

    /// True if a step gives a robot the wished permissions.
    pub fn grants(&self) -> bool {
        let gives = |purpose| matches!(purpose, Purpose::Align | Purpose::Renew | Purpose::Adopt);
        self.steps.iter().any(|step| match step {
            Step::Create(_) => true,
            Step::Update(_, purpose) => gives(*purpose),
            _ => false,
        })
    }

    /// True if a step changes anything in Harbor.
    pub fn changes_robots(&self) -> bool {
        let changes =
            |step: &Step| matches!(step, Step::Create(_) | Step::Update(..) | Step::Refresh(_) | Step::Delete(..));
        self.steps.iter().any(changes)
    }

    /// True if something is given up for a credential that is published later in this plan: whether it can be is found out
    /// before.
    pub fn gives_up_for_another(&self) -> bool {
        let ends = |step: &Step| matches!(step, Step::Delete(..) | Step::Refresh(Target::Seen(_)));
        self.publishes() && (self.previous.is_some() || self.steps.iter().any(ends))
    }

    /// True if a new credential is published.
    pub fn publishes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Publish(_)))
    }
}
