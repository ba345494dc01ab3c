//! The decision table: what one pass sees, to the steps it takes. Pure, total, deterministic.
//!
//! Everything here is about *which robot* and *in what order*; how a robot or a Secret is compared with the wish is
//! settled before (`situation`), so that the table stays small enough to be explored exhaustively.
//!
//! Words: **current** is the newest living robot of ours that the Secret or status names. The other robot of ours is
//! an **orphan** if newer (a rotation that was cut off), the **previous** if older, recorded or not. A credential is
//! **lost** when the Secret is absent, damaged, names another robot or its login was refused; a robot is **dark** when
//! it is disabled or expired (a login then proves nothing) and **dead** when it can never log in again as it stands.

mod current;
mod step;
mod view;

pub use step::{Blocker, Plan, Purpose, REHEARSAL, Step, Target, Why};
pub use view::{Age, CustomPassword, Holder, Named, Permit, Recorded, SecretView, Situation, SlotView, Strategy};

use super::slots::Slot;

/// The table. The first row that fits wins; each function below is a group of rows.
pub fn plan(x: &Situation) -> Plan {
    if x.deleting {
        return deletion(x);
    }
    if x.permit != Permit::Granted {
        return not_permitted(x);
    }
    if x.unreachable {
        return Plan::default();
    }
    let mut plan = if x.secret == SecretView::Foreign {
        secret_of_others(x)
    } else if !x.enabled && !x.may_update {
        disabled_by_deleting(x)
    } else if let Some(current) = x.current() {
        current::with_current(x, current)
    } else {
        without_current(x)
    };
    if x.secret != SecretView::Foreign {
        fence(&mut plan.steps);
    }
    plan.retire_now |= x.revoke && plan.publishes() && plan.previous.is_some();
    plan.look_again |= plan.retire_now;
    // A robot of ours would outlive an account without a finalizer, whatever blocks the account now.
    if !x.finalizer && (plan.blocker.is_none() || x.all_ours().next().is_some()) {
        plan.steps.insert(0, Step::AddFinalizer);
    }
    plan
}

/// Nothing can be published, but an account can still be disabled.
fn secret_of_others(x: &Situation) -> Plan {
    let mut plan = Plan::blocked(Blocker::SecretNotOwned);
    plan.current = x.current().map(Target::Seen);
    if !x.enabled {
        switch_off(x, &mut plan, Why::Disabled);
    }
    plan
}

/// No robot of ours can log in any more.
fn switch_off(x: &Situation, plan: &mut Plan, why: Why) {
    for (slot, robot) in x.all_ours() {
        if !x.may_update {
            plan.steps.push(Step::Delete(slot, why));
            plan.current = None;
        } else if !robot.disabled {
            plan.steps.push(Step::Update(Target::Seen(slot), Purpose::Disable));
        }
    }
}

/// Rows 1 and 2.
fn deletion(x: &Situation) -> Plan {
    let mut plan = Plan::default();
    if !x.finalizer {
        return plan;
    }
    if x.abandoned || (x.unreachable && x.retain) {
        if x.retain {
            plan.steps.push(Step::ReleaseSecret);
        }
        plan.steps.push(Step::RemoveFinalizer);
        return plan;
    }
    if x.unreachable {
        return plan;
    }
    let keep = if x.retain { x.current().or_else(|| x.newest()) } else { None };
    let last_act = x.own_login.filter(|&slot| keep != Some(slot) && x.ours(slot).is_some());
    for (slot, robot) in x.all_ours().filter(|(slot, _)| last_act != Some(*slot)) {
        if keep != Some(slot) {
            plan.steps.push(Step::Delete(slot, Why::AccountDeleted));
        } else if x.may_update && !robot.retained {
            plan.steps.push(Step::Update(Target::Seen(slot), Purpose::Retain));
        }
    }
    // With the robot that the operator is logged in as nobody is left to ask what else there is.
    if let Some(slot) = last_act.filter(|_| !x.unsettled) {
        plan.steps.push(Step::Delete(slot, Why::AccountDeleted));
        if x.retain {
            plan.steps.push(Step::ReleaseSecret);
        }
        plan.steps.push(Step::RemoveFinalizer);
        plan.current = keep.map(Target::Seen);
        return plan;
    }
    // The finalizer goes only in a pass whose own list showed nothing left to do.
    if plan.steps.is_empty() && !x.unsettled {
        if x.retain {
            plan.steps.push(Step::ReleaseSecret);
        }
        plan.steps.push(Step::RemoveFinalizer);
    } else {
        plan.look_again = !plan.steps.is_empty();
    }
    plan.current = keep.map(Target::Seen);
    plan
}

/// Rows 3 and 4. The finalizer stays: it is removed only from an object that is being deleted.
fn not_permitted(x: &Situation) -> Plan {
    let mut plan = Plan::blocked(Blocker::NotPermitted);
    plan.current = x.current().map(Target::Seen);
    if !x.finalizer || x.permit == Permit::Lapsing || x.unreachable {
        return plan;
    }
    switch_off(x, &mut plan, Why::NotPermitted);
    if matches!(x.secret, SecretView::Ours { .. }) {
        plan.steps.push(Step::DeleteSecret);
    }
    plan
}

/// Row 6.
fn disabled_by_deleting(x: &Situation) -> Plan {
    let steps = x.all_ours().map(|(slot, _)| Step::Delete(slot, Why::Disabled)).collect();
    Plan { steps, ..Plan::default() }
}

/// Gives a slot a robot whose secret we know: always a new robot.
fn fill(x: &Situation, steps: &mut Vec<Step>, slot: Slot, why: Why) -> Target {
    if x.slot(slot).is_some() {
        steps.push(Step::Delete(slot, why));
    }
    make(x, steps, slot)
}

/// A new robot in a free slot, with the secret it is to have.
fn make(x: &Situation, steps: &mut Vec<Step>, slot: Slot) -> Target {
    steps.push(Step::Create(slot));
    if x.own != CustomPassword::NotWished {
        steps.push(Step::Refresh(Target::New));
    }
    if !x.enabled {
        steps.push(Step::Update(Target::New, Purpose::Disable));
    }
    Target::New
}

/// Rows 8 to 13.
fn without_current(x: &Situation) -> Plan {
    let mut plan = Plan::default();
    let named: Vec<Slot> = [x.secret_names(), x.recorded.current].into_iter().filter_map(Named::slot).collect();
    let other_of_ours = |slot: Slot| x.ours(slot.other()).map(|_| slot.other());
    if !named.is_empty() {
        // Rows 9 and 10: a named robot is gone, or its slot holds a robot that no record names. After a restore of Harbor
        // that can be the older one; what status records as the previous is still promised to pods.
        let promised = |slot: Slot| x.recorded.previous == Named::Alive(slot);
        let free = |slot: Slot| {
            let unnamed = x.ours(slot).is_some() && named.contains(&slot) && x.newest() == Some(slot);
            x.slot(slot).is_none() || (unnamed && !promised(slot))
        };
        let spare = |slot: Slot| other_of_ours(slot).filter(|_| promised(slot)).unwrap_or(slot);
        let wanted = named.iter().copied().chain(Slot::BOTH).find(|&slot| free(slot)).or_else(|| x.newest().map(spare));
        if let Some(slot) = wanted {
            plan.current = Some(fill(x, &mut plan.steps, slot, Why::Dead));
            plan.previous = other_of_ours(slot);
        }
    } else if let Some(newest) = x.newest() {
        // Row 11: both records are gone. The older robot may be what pods still use.
        plan.current = Some(fill(x, &mut plan.steps, newest, Why::Dead));
        plan.previous = other_of_ours(newest);
    } else if x.slot(Slot::A).is_none() {
        plan.current = Some(fill(x, &mut plan.steps, Slot::A, Why::Dead));
    }
    let nothing_of_ours = x.all_ours().next().is_none();
    let unmarked = x.slot(Slot::A).is_some_and(|robot| robot.holder == Holder::Unmarked);
    if plan.current.is_none() && nothing_of_ours && unmarked && x.may_adopt && x.may_update {
        plan.steps.push(Step::Update(Target::Seen(Slot::A), Purpose::Adopt));
        plan.steps.push(Step::Refresh(Target::Seen(Slot::A)));
        plan.current = Some(Target::Seen(Slot::A));
    }
    let Some(target) = plan.current else {
        return Plan::blocked(Blocker::NameTaken);
    };
    if x.cannot_publish() {
        // A robot of ours that is left may still be what pods use.
        return Plan::blocked(Blocker::LoginCannotUpdate);
    }
    if !x.enabled
        && let Some(slot) = plan.previous.take()
    {
        plan.steps.insert(0, Step::Delete(slot, Why::Disabled));
    }
    plan.steps.push(Step::Publish(target));
    plan.ready = x.enabled;
    plan.confirmed = true;
    plan
}

/// Before the robot whose credential might be published by somebody else at this moment is destroyed, the Secret is
/// rewritten: an operator that lost its claim then fails to publish.
fn fence(steps: &mut Vec<Step>) {
    let risky = |step: &Step| matches!(step, Step::Delete(_, Why::Orphan | Why::Dead | Why::Disabled));
    if let Some(at) = steps.iter().position(risky) {
        steps.insert(at, Step::Fence);
    }
}

#[cfg(test)]
mod tests;
