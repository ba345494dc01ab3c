//! What a user should know of an account that is in order: what it waits for, and what is done otherwise than asked.
//! Functions of the state: no times, so that nothing is written while nothing changes.

use super::super::plan::{Holder, Strategy};
use super::super::robot::Lifetime;
use super::super::rotation::{self, Cut};
use super::super::situation;
use super::super::slots::Slot;
use super::{Facts, overlap as ends, recorded as as_read};
use crate::api::AccountStatus;

/// The end of an overlap is taken after the publish, the robot was made before it.
const SLACK: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// For the message of `Synced`.
pub(super) fn of(facts: &Facts<'_>, status: &AccountStatus) -> Vec<String> {
    [
        margin(facts),
        short_life(facts),
        overlap(facts, status),
        renewal(facts),
        refresh(facts),
        revoke(facts),
        stranger(facts),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn margin(facts: &Facts<'_>) -> Option<String> {
    let Facts { desired, .. } = facts;
    let misfit = desired.enabled && !rotation::margin_fits(&desired.rotation, desired.lifetime);
    misfit.then(|| {
        format!(
            "rotation.renewBefore, of the account or of the registry's defaults, is not shorter than expiresAfter ({}): the \
             credential is renewed when a third of its life is left",
            desired.expires_after
        )
    })
}

/// Harbor's own count is of whole days.
fn short_life(facts: &Facts<'_>) -> Option<String> {
    let Facts { desired, outcome, .. } = facts;
    let robot = outcome.robot.as_ref().filter(|_| desired.enabled)?;
    let (Lifetime::Days(days), Some(expiry)) = (desired.lifetime, robot.expiration_time) else { return None };
    let shorter = robot.lifetime == desired.lifetime && expiry + SLACK < robot.creation_time + rotation::days(days);
    shorter
        .then(|| "Harbor gave the robot a shorter life than was asked for, see status.robot.expirationTime".to_owned())
}

fn overlap(facts: &Facts<'_>, status: &AccountStatus) -> Option<String> {
    let rotation = &facts.desired.rotation;
    let (recorded, current) = (status.previous.as_ref()?, facts.outcome.robot.as_ref()?);
    let previous = facts.observed.robot(Slot::of(&recorded.name))?;
    let due = situation::renewal_time(facts.desired, &as_read(status), current);
    let latest = ends::latest_end(facts.desired, due, Some(current));
    let (_, cut) = rotation::overlap(rotation, previous.expiration_time, latest, current.creation_time);
    let whole = current.creation_time + rotation.overlap;
    // One that ends at once was asked for.
    let cut = cut.filter(|_| recorded.revocation_time + SLACK < whole && recorded.revocation_time > facts.now)?;
    let why = match cut {
        Cut::OldExpires => "the former credential expires before",
        Cut::NewExpires => "the present credential has to be renewed before",
        Cut::RenewBefore => "rotation.renewBefore is shorter",
        Cut::Interval => "rotation.interval is shorter",
    };
    Some(format!("the overlap is cut short, see status.previous.revocationTime: {why}"))
}

fn renewal(facts: &Facts<'_>) -> Option<String> {
    let text = "the renewal waits for the end of the overlap, see status.previous.revocationTime";
    facts.plan.waits_for_overlap.then(|| text.to_owned())
}

fn refresh(facts: &Facts<'_>) -> Option<String> {
    let Facts { observed, desired, outcome, .. } = facts;
    if outcome.published || !observed.refresh_waits(desired) {
        None
    } else if !desired.enabled {
        Some("the refresh that was asked for waits until the account is enabled".to_owned())
    } else {
        let at = observed.refresh_allowed_at(desired)?;
        Some(if observed.refresh_is_paced() {
            format!(
                "the refresh that was asked for waits until {at}, since the credential was replaced several times in a row"
            )
        } else {
            "the refresh that was asked for waits until the credential is a minute old".to_owned()
        })
    }
}

fn revoke(facts: &Facts<'_>) -> Option<String> {
    let waits = !facts.outcome.published && !facts.desired.enabled && facts.observed.revoke_waits(facts.desired);
    waits.then(|| "the revocation that was asked for waits until the account is enabled".to_owned())
}

/// A robot of somebody else's in the slot that the next rotation needs: told long before that.
fn stranger(facts: &Facts<'_>) -> Option<String> {
    let Facts { observed, desired, outcome, .. } = facts;
    let current = outcome.robot.as_ref().filter(|_| desired.strategy == Strategy::Overlap)?;
    let other = Slot::of(&current.name).other();
    let robot = observed.robot(other)?;
    let held = observed.situation(desired).slots[other.index()].is_some_and(|slot| slot.holder != Holder::Ours);
    held.then(|| {
        format!(
            "robot {} in Harbor is not this account's, and the next rotation needs its name: delete it there before the \
             renewal, or use rotation.strategy: InPlace",
            robot.name
        )
    })
}
