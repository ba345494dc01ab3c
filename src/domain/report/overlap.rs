//! Until when the robot that was replaced lives on.

use jiff::SignedDuration;

use crate::api::RegistryTime;

use super::super::desired::Desired;
use super::super::plan::Strategy;
use super::super::robot::Robot;
use super::super::rotation;
use super::Facts;

/// See [`rotation::latest_overlap_end`]. In place no slot is needed.
pub(super) fn latest_end(
    desired: &Desired,
    renewal: Option<RegistryTime>,
    current: Option<&Robot>,
) -> Option<RegistryTime> {
    let expiry = current.and_then(|robot| robot.expiration_time).filter(|_| desired.strategy == Strategy::Overlap);
    rotation::latest_overlap_end(renewal, expiry)
}

/// A recorded end of an overlap stays, unless an edit brought the current robot's expiry closer; a new overlap starts
/// now.
pub(super) fn end(facts: &Facts<'_>, previous: &Robot, latest: Option<RegistryTime>) -> RegistryTime {
    let Facts { observed, desired, now, .. } = facts;
    if facts.plan.retire_now && facts.outcome.published || revoke_was_cut_off(facts) || came_back(facts, previous) {
        // Not after the new robot was made: that tells an end at once from an overlap that ran its time.
        return facts.outcome.robot.as_ref().map_or(*now, |current| current.creation_time.min(*now));
    }
    if let Some(record) = observed.recorded_previous(previous) {
        // No overlap that runs ends later than one that begins now, but for one noted while Harbor's clock was ahead.
        let whole = desired.rotation.overlap.max(rotation::DEFAULT_OVERLAP);
        let longest = (observed.later_clock + whole + rotation::DAY).whole_second();
        let recorded = record.revocation_time.min(longest);
        return latest.map_or(recorded, |latest| recorded.min(latest));
    }
    let end = *now + rotation::overlap(&desired.rotation, previous.expiration_time, latest, *now).0;
    // Rounded up: an overlap is never shorter than it says.
    (end + SignedDuration::from_nanos(999_999_999)).whole_second()
}

/// A revoke token was served by a publish that status does not know yet: the older robot must not get an overlap.
fn revoke_was_cut_off(facts: &Facts<'_>) -> bool {
    let Facts { observed, desired, .. } = facts;
    let wish = desired.tokens.revoke.as_ref();
    let served = observed.secret.handled().and_then(|tokens| tokens.revoke.as_ref());
    let recorded = &observed.recorded;
    wish.is_some() && served == wish && recorded.handled.revoke.as_ref() != wish && recorded.current.is_some()
}

/// It is older than the robot on record, which is gone, and its overlap had ended: it came back with a Harbor that was
/// restored or is named again. A revoke token that was ever served may have been meant for it: when that was, and for which
/// robots, nobody knows any more.
fn came_back(facts: &Facts<'_>, previous: &Robot) -> bool {
    let Facts { observed, .. } = facts;
    let recorded = &observed.recorded;
    let older = recorded.current.as_ref().is_some_and(|record| previous.creation_time < record.robot.creation_time);
    recorded.handled.revoke.is_some() && older && observed.current().is_none() && !observed.is_on_record(previous)
}
