//! Rows 7 and 14 to 24: what is done for an account that has a current robot.

use super::super::slots::Slot;
use super::{
    Age, Blocker, CustomPassword, Named, Plan, Purpose, SecretView, Situation, SlotView, Step, Strategy, Target, Why,
    fill, make,
};

/// What is wrong with the current robot and its credential.
struct Condition {
    slot: Slot,
    robot: SlotView,
    lost: bool,
    dead: bool,
    due: bool,
    token: bool,
    /// The account's own password is not the published one.
    own: bool,
    differs: bool,
    confirmed: bool,
    /// The other robot of ours, if it is newer and no record says that it was replaced.
    orphan: Option<Slot>,
    /// The other robot of ours, if it is older, or was replaced by the record.
    older: Option<Slot>,
    /// It is the previous, status says so, and its overlap is over.
    overlap_ended: bool,
}

fn examine(x: &Situation, slot: Slot, robot: SlotView) -> Condition {
    let named = x.holds_credential_of(slot);
    let dark = robot.disabled || robot.age == Age::Expired;
    let refused = named && !x.untouched(slot) && !dark && x.login_works == Some(false);
    let other = x.ours(slot.other()).map(|_| slot.other());
    // What status records as the previous is promised to pods: Harbor's clock may have been ahead when it was made, or set back
    // since.
    let recorded = other.is_some_and(|other| x.recorded.previous == Named::Alive(other))
        && x.recorded.current == Named::Alive(slot);
    let older = other.filter(|&other| recorded || !x.is_newer(other));
    Condition {
        slot,
        robot,
        lost: !named || refused,
        dead: robot.age == Age::Expired || refused || (robot.disabled && x.enabled && !x.may_update),
        due: robot.age >= Age::Due && x.enabled,
        token: x.token && x.enabled,
        own: x.own == CustomPassword::Differs && x.enabled,
        differs: robot.differs || robot.disabled == x.enabled,
        confirmed: x.untouched(slot) || (named && !dark && x.login_works == Some(true)),
        orphan: other.filter(|&other| older != Some(other)),
        older,
        overlap_ended: recorded && x.recorded.overlap_ended,
    }
}

/// Rows 7 and 14 to 24.
pub(super) fn with_current(x: &Situation, slot: Slot) -> Plan {
    let robot = x.ours(slot).expect("current() returns a slot with a robot of ours");
    let c = examine(x, slot, robot);
    let mut plan = Plan {
        current: Some(Target::Seen(slot)),
        previous: c.orphan.or(c.older),
        confirmed: c.confirmed,
        ready: x.enabled && !c.lost && robot.age < Age::Expired && (!robot.disabled || x.may_update),
        ..Plan::default()
    };
    if !x.enabled {
        disable(x, &c, &mut plan);
        return plan;
    }
    let replaced = match x.strategy {
        Strategy::InPlace => in_place(x, &c, &mut plan),
        Strategy::Overlap => overlap(x, &c, &mut plan),
    };
    if !replaced {
        settle(x, &c, &mut plan);
    }
    plan
}

/// Row 7: a login that may update. Renewal and tokens wait until the account is enabled.
fn disable(x: &Situation, c: &Condition, plan: &mut Plan) {
    plan.ready = false;
    if c.differs && !c.lost {
        plan.steps.push(Step::Update(Target::Seen(c.slot), Purpose::Align));
    }
    if let Some(other) = plan.previous.take() {
        plan.steps.push(Step::Delete(other, Why::Disabled));
    }
    if c.lost {
        let target = fill(x, &mut plan.steps, c.slot, Why::Disabled);
        publish(plan, target, None);
        plan.ready = false;
    } else {
        reform(x, plan);
    }
}

fn publish(plan: &mut Plan, target: Target, previous: Option<Slot>) {
    plan.steps.push(Step::Publish(target));
    plan.current = Some(target);
    plan.previous = previous;
    plan.ready = true;
    plan.confirmed = true;
}

/// Rows 21 and 22. True if the credential is replaced.
fn in_place(x: &Situation, c: &Condition, plan: &mut Plan) -> bool {
    let person = c.lost || c.token || c.own;
    if !(person || c.due || c.dead) {
        if c.differs && !x.may_update {
            plan.blocker = Some(Blocker::LoginCannotUpdate);
        }
        align(x, c, plan);
        return false;
    }
    if x.cannot_publish() || (!x.may_update && !c.lost && !c.dead) {
        plan.blocker = Some(Blocker::LoginCannotUpdate);
        return false;
    }
    if x.own == CustomPassword::Published && !person {
        // The password stays, so only the expiry has to move; a PUT brings an expired robot back, too. Every other way
        // to be dead is a lost credential or ends above.
        plan.steps.push(Step::Update(Target::Seen(c.slot), Purpose::Renew));
        plan.ready = true;
        return false;
    }
    plan.steps.extend(c.orphan.map(|orphan| Step::Delete(orphan, Why::Orphan)));
    if !x.may_update {
        let target = fill(x, &mut plan.steps, c.slot, Why::Dead);
        publish(plan, target, c.older);
        return true;
    }
    // Nothing may stand between PATCH and publish: the old secret is dead from here on.
    plan.steps.push(Step::Refresh(Target::Seen(c.slot)));
    publish(plan, Target::Seen(c.slot), c.older);
    plan.steps.push(Step::Update(Target::Seen(c.slot), Purpose::Renew));
    true
}

/// Rows 14 to 20. True if the credential is replaced.
fn overlap(x: &Situation, c: &Condition, plan: &mut Plan) -> bool {
    let change = c.differs && !x.may_update;
    // Row 14: the robot may be all right but for this; enable it before anything is judged.
    let enable_first = x.may_update && c.robot.disabled;
    let person = c.token || c.lost || c.own || change || c.dead;
    if enable_first || !(person || c.due) {
        align(x, c, plan);
        plan.look_again = enable_first;
        return false;
    }
    if x.cannot_publish() {
        plan.blocker = Some(Blocker::LoginCannotUpdate);
        return false;
    }
    let other_slot = c.slot.other();
    if c.dead {
        // Row 15: repaired in its own slot, so that a running overlap is left alone.
        plan.steps.extend(c.orphan.map(|orphan| Step::Delete(orphan, Why::Orphan)));
        let target = fill(x, &mut plan.steps, c.slot, Why::Dead);
        publish(plan, target, c.older);
        return true;
    }
    match (x.slot(other_slot), c.orphan, c.older) {
        // Row 16.
        (None, ..) => {}
        // Row 17.
        (_, Some(orphan), _) => plan.steps.push(Step::Delete(orphan, Why::Orphan)),
        // Rows 18 and 19.
        (_, None, Some(older)) => {
            if !person && !c.overlap_ended {
                plan.waits_for_overlap = true;
                align(x, c, plan);
                return false;
            }
            let why = if c.overlap_ended { Why::OverlapEnded } else { Why::Retired };
            plan.steps.push(Step::Delete(older, why));
        }
        // Row 15, second half, and row 20: the other slot is a stranger's.
        (_, None, None) if c.lost => {
            let target = fill(x, &mut plan.steps, c.slot, Why::Dead);
            publish(plan, target, None);
            return true;
        }
        (_, None, None) => {
            plan.blocker = Some(Blocker::NameTaken);
            align(x, c, plan);
            return false;
        }
    }
    let target = make(x, &mut plan.steps, other_slot);
    publish(plan, target, Some(c.slot));
    plan.retire_now = change && c.robot.exceeds;
    true
}

/// Rows 14 and 23: what a PUT can put right, also while a renewal has to wait.
fn align(x: &Situation, c: &Condition, plan: &mut Plan) {
    if c.differs && x.may_update {
        plan.steps.push(Step::Update(Target::Seen(c.slot), Purpose::Align));
    }
}

/// Row 24: what is left to tidy when the credential stays.
fn settle(x: &Situation, c: &Condition, plan: &mut Plan) {
    let orphan = c.orphan.map(|orphan| (orphan, Why::Orphan));
    let ended = c.older.filter(|_| c.overlap_ended).map(|older| (older, Why::OverlapEnded));
    if let Some((slot, why)) = orphan.or(ended) {
        plan.steps.push(Step::Delete(slot, why));
        plan.previous = None;
    }
    if !c.lost {
        reform(x, plan);
    }
}

fn reform(x: &Situation, plan: &mut Plan) {
    if matches!(x.secret, SecretView::Ours { current_form: false, .. }) {
        plan.steps.push(Step::Reform);
    }
}
