//! Compares what was read with the wish: real robots, Secret and status, reduced to what the decision table asks.

use std::time::Duration;

use jiff::SignedDuration;

use crate::api::RegistryTime;

use super::desired::Desired;
use super::mark::{self, Owner};
use super::observed::{PreviousRecord, Recorded, RobotRef, SecretSeen, Tokens, is_untouched};
use super::plan::{self, Age, CustomPassword, Holder, Named, Permit, SecretView, Situation, SlotView};
use super::robot::{Lifetime, Robot};
use super::rotation;
use super::slots::Slot;

/// A refresh needs the current robot to be this old, so that a storm of tokens cannot make a storm of robots.
pub const REFRESH_MINIMUM_AGE: SignedDuration = SignedDuration::from_secs(60);
/// Harbor's expiry may differ by a second between a create and a later PUT.
const EXPIRY_TOLERANCE: Duration = Duration::from_secs(1);

/// What was just written may lie beyond the clocks by this.
const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// Everything one pass read.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Registry time.
    pub now: RegistryTime,
    /// The later one of Harbor's clock and ours: what lies far beyond both was written while Harbor's was ahead. Of a clock
    /// that is behind nothing follows.
    pub later_clock: RegistryTime,
    /// The robots in our two slots, whoever's they are.
    pub robots: [Option<Robot>; 2],
    /// The Secret.
    pub secret: SecretSeen,
    /// Status.
    pub recorded: Recorded,
    /// In which slots the robot was seen with our mark before, or made by us. Whoever may write status may put any robot on
    /// record: without its mark, only one that this process knows is ours.
    pub known: [bool; 2],
    /// The answer of a login with the published credential.
    pub login_works: Option<bool>,
    /// The account's own password, if it wishes one, against the published credential.
    pub own: CustomPassword,
    /// What the grants say.
    pub permit: Permit,
    /// Adoption is wished for and granted.
    pub may_adopt: bool,
    /// The login may PUT and PATCH.
    pub may_update: bool,
    /// Has a deletionTimestamp.
    pub deleting: bool,
    /// Has our finalizer.
    pub finalizer: bool,
    /// A write of unknown outcome may still commit.
    pub unsettled: bool,
    /// Harbor cannot be asked.
    pub unreachable: bool,
    /// Harbor cannot be asked for good.
    pub abandoned: bool,
    /// The full name that the operator itself is logged in as.
    pub own_login: String,
    /// Repairs and refreshes wait until then; see [`super::pace`].
    pub paced_until: Option<RegistryTime>,
    /// A copy of the Secret in some namespace may still hold the former credential.
    pub behind: bool,
}

impl Observed {
    /// The robot in a slot.
    pub fn robot(&self, slot: Slot) -> Option<&Robot> {
        self.robots[slot.index()].as_ref()
    }

    /// What the decision table sees.
    pub fn situation(&self, desired: &Desired) -> Situation {
        let slots = [Slot::A, Slot::B].map(|slot| self.robot(slot).map(|robot| self.view(desired, robot)));
        // One made while Harbor's clock was ahead was made before any that the right clock dates.
        let order = |slot| self.robot(slot).map(|robot| (!self.begins_later(robot), robot.creation_time, robot.id));
        let record = self.recorded.current.as_ref();
        Situation {
            slots,
            second_is_newer: order(Slot::B) > order(Slot::A),
            secret: match &self.secret {
                SecretSeen::Absent => SecretView::Absent,
                SecretSeen::Foreign => SecretView::Foreign,
                SecretSeen::Ours { robot, checksum, current_form, .. } => SecretView::Ours {
                    names: self.named(robot.as_ref()),
                    intact: checksum.is_some(),
                    current_form: *current_form,
                },
            },
            recorded: plan::Recorded {
                current: self.named(record.map(|record| &record.robot)),
                previous: self.named(self.recorded.previous.as_ref().map(|record| &record.robot)),
                overlap_ended: self.overlap_ended(desired),
                untouched: self
                    .current()
                    .zip(record)
                    .is_some_and(|(robot, record)| is_untouched(record, robot, self.secret.checksum())),
            },
            login_works: self.login_works,
            token: self.token_is_served_now(desired),
            revoke: self.revoke_waits(desired),
            enabled: desired.enabled,
            permit: self.permit,
            deleting: self.deleting,
            retain: desired.retain,
            finalizer: self.finalizer,
            may_update: self.may_update && !self.is_to_be_made_again(desired),
            may_adopt: self.may_adopt && desired.adopt,
            strategy: desired.strategy,
            own: self.own,
            unsettled: self.unsettled,
            unreachable: self.unreachable,
            abandoned: self.abandoned,
            own_login: Slot::BOTH
                .into_iter()
                .find(|&slot| self.robot(slot).is_some_and(|robot| robot.name == self.own_login)),
        }
    }

    /// A namespace that cannot be written to keeps the former credential alive, but not one that was to end at once (a leak,
    /// rights taken away), nor past the next renewal, which needs its slot.
    fn overlap_ended(&self, desired: &Desired) -> bool {
        let Some(previous) = &self.recorded.previous else { return false };
        let current = self.current();
        let due = current.is_none_or(|robot| self.renewal_time(desired, robot).is_some_and(|at| at <= self.now));
        let at_once = current.is_some_and(|robot| previous.revocation_time <= robot.creation_time);
        previous.revocation_time <= self.now && (at_once || !self.behind || due)
    }

    /// The robot that status has as the current one, if it is there.
    pub(super) fn current(&self) -> Option<&Robot> {
        let record = self.recorded.current.as_ref()?;
        self.robots.iter().flatten().find(|robot| record.robot.is(robot))
    }

    fn named(&self, record: Option<&RobotRef>) -> Named {
        let Some(record) = record else { return Named::Nothing };
        let alive = Slot::BOTH.into_iter().find(|&slot| self.robot(slot).is_some_and(|robot| record.is(robot)));
        alive.map_or_else(|| Named::Gone(Slot::of(&record.name)), Named::Alive)
    }

    fn is_known(&self, robot: &Robot) -> bool {
        Slot::BOTH
            .iter()
            .any(|slot| self.known[slot.index()] && self.robot(*slot).is_some_and(|known| known.id == robot.id))
    }

    /// Status names the robot.
    pub fn is_on_record(&self, robot: &Robot) -> bool {
        let current = self.recorded.current.as_ref().map(|record| &record.robot);
        let previous = self.recorded.previous.as_ref().map(|record| &record.robot);
        [current, previous].into_iter().flatten().any(|record| record.is(robot))
    }

    fn view(&self, desired: &Desired, robot: &Robot) -> SlotView {
        let holder = match mark::read(&robot.description, &desired.identity) {
            _ if robot.home != desired.home => Holder::Stranger,
            Owner::Us | Owner::Predecessor => Holder::Ours,
            Owner::Nobody if self.is_known(robot) && self.is_on_record(robot) => Holder::Ours,
            Owner::Nobody if robot.editable => Holder::Unmarked,
            Owner::Nobody | Owner::Other => Holder::Stranger,
        };
        let held = desired.meaningful(&robot.permissions);
        let exceeds = held
            .iter()
            .any(|(scope, pairs)| desired.permissions.get(scope).is_none_or(|wanted| !pairs.is_subset(wanted)));
        SlotView {
            holder,
            differs: robot.description != desired.description()
                || held != desired.permissions
                || robot.foreign_effect
                || self.lifetime_differs(desired, robot),
            exceeds,
            disabled: robot.disabled,
            retained: robot.description == mark::write(&desired.text, &desired.identity, true),
            age: self.age(desired, robot),
        }
    }

    /// An edited `expiresAfter` counts from now, so a robot keeps its expiry as long as the wish it was made with (in
    /// status) is still the wish and nobody moved the expiry in Harbor. A wish that is not on record is not in effect.
    ///
    /// Whatever is on record, a robot does not live longer than a wish made now allows.
    pub fn lifetime_differs(&self, desired: &Desired, robot: &Robot) -> bool {
        if self.outlives(desired, robot) {
            // Harbor counts from creation, so no PUT shortens a life that begins in the future.
            return !self.begins_later(robot);
        }
        match (robot.expiration_time, desired.lifetime) {
            (None, Lifetime::Never) => false,
            (None, Lifetime::Days(_)) | (Some(_), Lifetime::Never) => true,
            (Some(expiry), Lifetime::Days(days)) => match &self.recorded.current {
                Some(record) if record.robot.is(robot) => {
                    let moved = record
                        .expiration_time
                        .is_none_or(|at| expiry.duration_since(at).unsigned_abs() > EXPIRY_TOLERANCE);
                    moved || self.recorded.expires_after.as_ref() != Some(&desired.expires_after)
                }
                _ => matches!(robot.lifetime, Lifetime::Days(stored) if stored < days),
            },
        }
    }

    /// It lives longer than the wish allows: Harbor's clock was ahead when it was made or edited, or it was made for another
    /// wish that nothing tells of any more.
    fn outlives(&self, desired: &Desired, robot: &Robot) -> bool {
        let (Some(expiry), Lifetime::Days(days)) = (robot.expiration_time, desired.lifetime) else { return false };
        // Harbor counts whole days, from creation: see `rotation::lifetime_from_now`.
        expiry > self.later_clock + rotation::days(days) + rotation::DAY + SLACK
    }

    fn begins_later(&self, robot: &Robot) -> bool {
        robot.creation_time > self.later_clock + SLACK
    }

    /// It was made while Harbor's clock was ahead, and that makes its credential live too long: another robot takes its
    /// place.
    fn is_misborn(&self, desired: &Desired, robot: &Robot) -> bool {
        self.begins_later(robot) && (self.outlives(desired, robot) || desired.rotation.interval.is_some())
    }

    /// In place only a new robot under the same name helps, as for a login that may not update.
    fn is_to_be_made_again(&self, desired: &Desired) -> bool {
        let in_place =
            desired.strategy == plan::Strategy::InPlace && desired.enabled && self.own == CustomPassword::NotWished;
        in_place && self.current().is_some_and(|robot| self.is_misborn(desired, robot))
    }

    fn age(&self, desired: &Desired, robot: &Robot) -> Age {
        let misborn = self.is_misborn(desired, robot);
        let made_again = misborn && self.is_to_be_made_again(desired);
        // A robot without a secret of its own can never log in.
        if !robot.editable || made_again || robot.expiration_time.is_some_and(|at| at <= self.now) {
            Age::Expired
        } else {
            let misborn = misborn && desired.strategy == plan::Strategy::Overlap;
            let due = misborn || self.renewal_time(desired, robot).is_some_and(|at| at <= self.now);
            if due { Age::Due } else { Age::Fresh }
        }
    }

    /// When this robot is due for renewal.
    pub fn renewal_time(&self, desired: &Desired, robot: &Robot) -> Option<RegistryTime> {
        renewal_time(desired, &self.recorded, robot)
    }

    /// A token is there that no publish has served.
    fn waits(&self, desired: &Desired, of: fn(&Tokens) -> &Option<String>) -> bool {
        let wish = of(&desired.tokens);
        let mut served = self.secret.handled().into_iter().chain([&self.recorded.handled]);
        // Status empty: a restore. The token is recorded, not acted on.
        self.recorded.current.is_some() && wish.is_some() && !served.any(|tokens| of(tokens) == wish)
    }

    /// A refresh token waits to be served.
    pub fn refresh_waits(&self, desired: &Desired) -> bool {
        self.waits(desired, |tokens| &tokens.refresh)
    }

    /// A revoke token waits to be served.
    pub fn revoke_waits(&self, desired: &Desired) -> bool {
        self.waits(desired, |tokens| &tokens.revoke)
    }

    /// When a refresh token that came too early after the last rotation may be served.
    pub fn refresh_allowed_at(&self, desired: &Desired) -> Option<RegistryTime> {
        let at = self.old_enough_at().max(self.paced_until);
        at.filter(|&at| at > self.now && self.refresh_waits(desired))
    }

    /// True if it is the pace that a refresh waits for, beyond the minute that every credential has.
    pub fn refresh_is_paced(&self) -> bool {
        self.paced_until > self.old_enough_at().map(|at| at + REFRESH_MINIMUM_AGE)
    }

    fn old_enough_at(&self) -> Option<RegistryTime> {
        let made = self.recorded.current.as_ref().map(|record| record.robot.creation_time);
        // One in the future was noted by a clock that has been set back since.
        let past = |at: Option<RegistryTime>| at.filter(|&at| at <= self.now + REFRESH_MINIMUM_AGE);
        past(made).max(past(self.recorded.last_rotation)).map(|at| at + REFRESH_MINIMUM_AGE)
    }

    /// Status' record of the robot that was replaced: it counts only while `status.robot` is the other robot.
    pub fn recorded_previous(&self, previous: &Robot) -> Option<&PreviousRecord> {
        let current = self.recorded.current.as_ref().filter(|_| self.current().is_some())?;
        self.recorded.previous.as_ref().filter(|record| !current.robot.is(previous) && record.robot.is(previous))
    }

    fn token_is_served_now(&self, desired: &Desired) -> bool {
        self.revoke_waits(desired) || (self.refresh_waits(desired) && self.refresh_allowed_at(desired).is_none())
    }
}

/// When a robot is due for renewal, in registry time; `None` = never.
pub fn renewal_time(desired: &Desired, recorded: &Recorded, robot: &Robot) -> Option<RegistryTime> {
    let on_record = recorded.current.as_ref().is_some_and(|record| record.robot.is(robot));
    let last_rotation =
        recorded.last_rotation.filter(|_| on_record).unwrap_or(robot.creation_time).max(robot.creation_time);
    rotation::renewal_time(
        &desired.rotation,
        robot.creation_time,
        last_rotation,
        robot.expiration_time,
        &desired.identity.uid,
    )
}

#[cfg(test)]
mod tests;
