//! One pass over the world: what is read, the shipped plan, and the status that comes of it.

use crate::domain::plan::{Blocker, Holder, Named, Permit, Plan, Situation, Step, Target, Why};
use crate::domain::slots::Slot;

use super::Config;
use super::names::Name;
use super::operator::{Move, Operator};
use super::view::{Reading, situation};
use super::world::{Account, Patience, Status, World};

/// A rule that was broken.
pub(super) type Violation = Option<&'static str>;

/// Reads the world and plans. False if there is nothing to do.
pub(super) fn gather(config: &Config, world: &mut World, number: usize) -> (bool, Violation) {
    let read_ahead = world.operators[number].stale_account.is_some();
    let reading = Reading::take(world, number);
    let x = situation(config, world, number, &reading);
    let planner = match world.patience {
        Some(Patience::Contest) if reading.is_disturbed() => config.back_off,
        Some(Patience::Pace) => config.hold,
        _ => config.plan,
    };
    let plan = planner(&x);
    if read_ahead && plan.needs_the_account() {
        return gather(config, world, number);
    }
    let violation = judge(world, &reading, &plan);
    let account = reading.account.value;
    let status = account.status;
    let robots = world.robots;
    let own = world.own;
    let operator = &mut world.operators[number];
    operator.forget();
    operator.status = status;
    operator.seen = [Slot::A, Slot::B].map(|slot| match robots[slot.index()] {
        Some(_) => Name::Alive(slot),
        None => Name::Nothing,
    });
    operator.permissions = account.permissions;
    operator.token = account.token;
    operator.own = own;
    operator.disable = !account.enabled;
    operator.in_place = account.in_place;
    (operator.secret_fresh, operator.account_fresh) = (reading.secret.fresh, reading.account.fresh);
    operator.current = plan.current;
    operator.previous = plan.previous;
    operator.confirmed = plan.confirmed;
    operator.look_again = plan.look_again;
    operator.records = !x.unreachable && plan.tells_the_current();
    operator.ready = match plan.blocker {
        None => plan.ready,
        Some(Blocker::NotPermitted) => false,
        Some(_) => x.credential_works() && x.enabled,
    };
    serve_token(config, operator, &reading, &plan);
    operator.keeps_overlap = plan
        .previous
        .is_some_and(|slot| status.previous == Name::Alive(slot) && status.current == Name::Alive(slot.other()));
    let without_token = || planner(&Situation { token: false, revoke: false, ..x });
    operator.only_for_token =
        x.token && reading.intact_secret().is_some() && plan.publishes() && !without_token().publishes();
    operator.cornered = x.slots.iter().flatten().any(|robot| robot.holder != Holder::Ours);
    operator.replaces_in_place = account.in_place && x.current().is_some();
    for (place, next) in operator.moves.iter_mut().zip(moves(&plan, account.deleted)) {
        *place = Some(next);
    }
    if plan.steps.is_empty() && next_status(world, number) == status {
        world.operators[number].forget();
        return (false, violation);
    }
    (true, violation)
}

/// What becomes of tokens, and of the overlap that a revoke token ends.
fn serve_token(config: &Config, operator: &mut Operator, reading: &Reading, plan: &Plan) {
    let Account { status, token, .. } = reading.account.value;
    let has_current = status.current != Name::Nothing;
    let in_secret = reading.secret_token() == token;
    let restored = !has_current && plan.current.is_some();
    operator.status_token = if restored || in_secret { token } else { status.token };
    let revoke_was_cut_off = config.revoke && token != 0 && in_secret && status.token != token;
    operator.ends_overlap = has_current && (plan.retire_now || revoke_was_cut_off);
}

/// The steps, the login that proves what they changed, and the status.
fn moves(plan: &Plan, deleted: bool) -> impl Iterator<Item = Move> {
    let changes_current = |step: &Step| match step {
        Step::Update(target, _) | Step::Refresh(target) => plan.current == Some(*target),
        _ => false,
    };
    let confirms = !deleted && plan.steps.iter().any(changes_current);
    let removes = plan.steps.contains(&Step::RemoveFinalizer);
    let steps = plan.steps.iter().map(|step| Move::Take(*step));
    steps.chain(confirms.then_some(Move::Confirm)).chain((!removes).then_some(Move::WriteStatus))
}

/// What a plan can break before anything is done.
fn judge(world: &World, reading: &Reading, plan: &Plan) -> Violation {
    let ghost = &world.ghost;
    let former = ghost.former.robot.seen();
    let retires_former =
        plan.steps.iter().any(|step| matches!(step, Step::Delete(slot, Why::Retired) if former == Named::Alive(*slot)));
    let knows = reading.is_fresh() && reading.intact_secret().is_some();
    let published_is_dead = ghost.published.robot != Name::Nothing && !world.logs_in(ghost.published);
    if retires_former && world.former_works() && published_is_dead && knows {
        return Some("b4: the only working credential is retired although the current one is dead");
    }
    None
}

pub(super) fn confirm(world: &mut World, number: usize) -> bool {
    let operator = world.operators[number];
    let Some(Name::Alive(slot)) = operator.current.map(|current| operator.resolve(current)) else { return false };
    let Some(robot) = world.robot(slot) else { return false };
    let intact = world.secret.is_some_and(|secret| secret.intact);
    if robot.disabled || !intact {
        return true;
    }
    let works = world.works();
    world.operators[number].confirmed = works;
    works
}

pub(super) fn write_status(world: &mut World, number: usize) -> bool {
    let next = next_status(world, number);
    let operator = &world.operators[number];
    if world.is_gone() || next == operator.status {
        return !world.is_gone();
    }
    if !operator.account_fresh {
        return false;
    }
    let ends_overlap = operator.ends_overlap;
    world.account.status = next;
    world.account_changes(Some(number));
    // Revoke, and rights that shrink, end the overlap of whatever was published before.
    world.ghost.former_ended |= ends_overlap && next.previous != Name::Nothing;
    true
}

/// `report` in small.
fn next_status(world: &World, number: usize) -> Status {
    let operator = &world.operators[number];
    let before = operator.status;
    let ready = if operator.interrupted { before.ready } else { operator.ready };
    if !operator.records && !operator.published {
        return Status { ready, ..before };
    }
    let current = operator.current.map_or(Name::Nothing, |current| operator.resolve(current));
    let previous = operator.previous.map_or(Name::Nothing, |slot| operator.resolve(Target::Seen(slot)));
    let ended = operator.ends_overlap || (operator.keeps_overlap && before.overlap_ended);
    let untouched_before = before.current == current && current != Name::Nothing;
    let confirmed = operator.confirmed && current != Name::Nothing;
    let copied = |slot: Slot| world.backup.and_then(|backup| backup.robots[slot.index()]);
    let untouched_in_backup = match current {
        Name::Alive(slot) if confirmed => copied(slot).is_some_and(|copied| copied.same && copied.untouched),
        _ => untouched_before && before.untouched_in_backup,
    };
    Status {
        current,
        previous,
        overlap_ended: previous != Name::Nothing && ended,
        token: if operator.published { operator.token } else { operator.status_token },
        untouched: confirmed || (untouched_before && before.untouched),
        untouched_in_backup,
        ready,
    }
}

/// Somebody's grant lets the account have a robot.
pub(super) fn is_wanted(world: &World) -> bool {
    world.account.enabled && world.permit == Permit::Granted && !world.account.deleted
}
