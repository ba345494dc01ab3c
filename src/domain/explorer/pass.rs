//! One pass over the world: the shipped plan, and what each of its steps does to Harbor and Kubernetes.

use crate::domain::plan::{Age, Blocker, Holder, Named, Plan, Purpose, Situation, Step, Target, Why};
use crate::domain::slots::Slot;

use super::Config;
use super::events::{Event, declare};
use super::world::{Move, Robot, Secret, Status, World};

/// A rule that was broken.
pub(super) type Violation = Option<&'static str>;

/// Reads the world and plans. False if there is nothing to do.
pub(super) fn gather(config: &Config, world: &mut World, number: usize) -> (bool, Violation) {
    let x = world.situation(config, number);
    let plan = (config.plan)(&x);
    let violation = judge(config, world, &x, &plan);
    let mut operator = world.operators[number];
    operator.forget();
    operator.permissions = world.permissions;
    operator.token = world.token;
    operator.disable = !world.enabled;
    (operator.secret_fresh, operator.account_fresh) = (true, true);
    operator.current = plan.current;
    operator.previous = plan.previous;
    operator.confirmed = plan.confirmed;
    operator.look_again = plan.look_again;
    operator.records = match plan.blocker {
        None | Some(Blocker::NotPermitted) => true,
        Some(Blocker::NameTaken | Blocker::LoginCannotUpdate | Blocker::SecretContested) => plan.current.is_some(),
        Some(Blocker::SecretNotOwned) => false,
    };
    operator.ready = match plan.blocker {
        None => plan.ready,
        Some(Blocker::NotPermitted) => false,
        Some(_) => x.credential_works() && world.enabled,
    };
    let status = world.status;
    let secret_token = world.secret.map_or(0, |secret| secret.token);
    let restored = status.current == Named::Nothing && plan.current.is_some();
    let mirrored = restored || secret_token == world.token;
    operator.status_token = if mirrored { world.token } else { status.token };
    let revoke_was_cut_off = config.revoke
        && world.token != 0
        && secret_token == world.token
        && status.token != world.token
        && status.current != Named::Nothing;
    operator.ends_overlap = (plan.retire_now && status.current != Named::Nothing) || revoke_was_cut_off;
    operator.keeps_overlap = plan
        .previous
        .is_some_and(|slot| status.previous == Named::Alive(slot) && status.current == Named::Alive(slot.other()));
    let cornered = x.slots.iter().flatten().any(|robot| robot.holder != Holder::Ours);
    operator.gap_declared = cornered || (config.in_place && x.current().is_some());
    let writes_to_current =
        |target: Target| plan.current == Some(target) || (target == Target::New && plan.current == Some(Target::New));
    let confirms = !world.deleted
        && plan.steps.iter().any(|step| match step {
            Step::Update(target, _) | Step::Refresh(target) => writes_to_current(*target),
            _ => false,
        });
    let removes = plan.steps.contains(&Step::RemoveFinalizer);
    let moves = plan.steps.iter().map(|step| Move::Take(*step)).chain(confirms.then_some(Move::Confirm));
    for (place, next) in operator.moves.iter_mut().zip(moves.chain((!removes).then_some(Move::WriteStatus))) {
        *place = Some(next);
    }
    world.operators[number] = operator;
    if plan.steps.is_empty() && next_status(world, number) == world.status {
        world.operators[number].forget();
        return (false, violation);
    }
    (true, violation)
}

/// Rules that a plan can break before anything is done.
fn judge(config: &Config, world: &World, x: &Situation, plan: &Plan) -> Violation {
    let ghost = &world.ghost;
    let only_for_token =
        plan.publishes() && x.token && !(config.plan)(&Situation { token: false, revoke: false, ..*x }).publishes();
    let intact = world.secret.is_some_and(|secret| secret.intact);
    if only_for_token && ghost.ever_published && ghost.token >= world.token && intact {
        return Some("f: a second rotation for a token that is already served");
    }
    let retires_former = plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::Delete(slot, Why::Retired) if ghost.former == Named::Alive(*slot)));
    let published_works = world.logs_in(ghost.published, ghost.published_right);
    if retires_former && world.former_works() && !published_works && ghost.published != Named::Nothing && intact {
        return Some("b4: the only working credential is retired although the current one is dead");
    }
    None
}

/// Makes the operator's next move. False if it did not go as planned.
pub(super) fn advance(config: &Config, world: &mut World, number: usize) -> (bool, Violation) {
    let Some(next) = world.operators[number].next() else { return (false, None) };
    let (went_well, violation) = match next {
        Move::Take(step) => take(config, world, number, step),
        Move::Confirm => (confirm(world, number), None),
        Move::WriteStatus => (write_status(world, number), None),
    };
    if !went_well {
        let operator = &mut world.operators[number];
        let tell = operator.published && next != Move::WriteStatus;
        operator.moves = Default::default();
        if tell {
            operator.interrupted = true;
            operator.moves[0] = Some(Move::WriteStatus);
        }
    }
    (went_well, violation)
}

fn take(config: &Config, world: &mut World, number: usize, step: Step) -> (bool, Violation) {
    let other = 1 - number;
    match step {
        Step::AddFinalizer => {
            if world.deleted {
                return (false, None);
            }
            world.finalizer = true;
            world.operators[other].account_fresh = false;
        }
        Step::Create(slot) => {
            if world.robot(slot).is_some() {
                return (false, None);
            }
            let operator = &mut world.operators[number];
            operator.made = Named::Alive(slot);
            (operator.holds, operator.disturbed, operator.confirmed) = (true, false, true);
            let permissions = operator.permissions;
            world.born(slot, Robot::new(Holder::Ours, permissions));
        }
        Step::Refresh(target) => return refresh(config, world, number, target),
        Step::Update(target, purpose) => return update(config, world, number, target, purpose),
        Step::Delete(slot, why) => {
            if world.operators[number].resolve(Target::Seen(slot)) != Named::Alive(slot) || world.robot(slot).is_none()
            {
                return (true, None);
            }
            let violation = if world.is_ours(slot) {
                judge_loss(world, number, slot, Some(why))
            } else {
                Some("c: DELETE of a robot that is not ours")
            };
            world.kill(slot);
            return (true, violation);
        }
        Step::Fence | Step::Reform | Step::ReleaseSecret | Step::DeleteSecret | Step::Publish(_) => {
            if !world.operators[number].secret_fresh || world.is_gone() {
                return (false, None);
            }
            world.operators[other].secret_fresh = false;
            match step {
                Step::Fence if world.secret.is_none() => {
                    world.secret = Some(Secret { names: Named::Nothing, right: false, intact: false, token: 0 });
                }
                Step::DeleteSecret => {
                    // Only ever planned without a grant; a former leader may be late with it.
                    declare(world, Event::DeleteSecret);
                    world.secret = None;
                    world.ghost.excused = true;
                }
                Step::Publish(target) => publish(world, number, target),
                _ => {}
            }
        }
        Step::RemoveFinalizer => {
            if !world.operators[number].account_fresh {
                return (false, None);
            }
            world.finalizer = false;
            world.operators[other].account_fresh = false;
            if world.deleted && !config.retain {
                world.secret = None;
            }
        }
    }
    (true, None)
}

/// The robot behind a PUT or PATCH; `None` if Harbor answers 404 or 403.
fn writable(world: &mut World, number: usize, target: Target) -> Option<Slot> {
    let Named::Alive(slot) = world.operators[number].resolve(target) else { return None };
    world.robot(slot)?;
    if !world.may_update {
        world.operators[number].cannot_update = true;
        return None;
    }
    Some(slot)
}

fn refresh(config: &Config, world: &mut World, number: usize, target: Target) -> (bool, Violation) {
    let Some(slot) = writable(world, number, target) else { return (false, None) };
    let violation = if !world.is_ours(slot) {
        Some("c: PATCH on a robot that is not ours")
    } else if !config.in_place && !config.adopt {
        Some("c: PATCH although nothing is rotated in place")
    } else {
        judge_loss(world, number, slot, None)
    };
    world.resecret(slot, Some(number));
    let operator = &mut world.operators[number];
    (operator.made, operator.holds, operator.confirmed) = (Named::Alive(slot), true, false);
    (true, violation)
}

fn update(config: &Config, world: &mut World, number: usize, target: Target, purpose: Purpose) -> (bool, Violation) {
    let Some(slot) = writable(world, number, target) else { return (false, None) };
    let unmarked = world.robot(slot).is_some_and(|robot| robot.holder == Holder::Unmarked);
    let allowed = world.is_ours(slot) || (purpose == Purpose::Adopt && config.adopt && unmarked);
    let operator = world.operators[number];
    if purpose == Purpose::Disable {
        // Without a grant: the revocation delay is far longer than a former leader's plan can live.
        world.disturb(slot);
    }
    let robot = world.robot_mut(slot);
    match purpose {
        Purpose::Retain => robot.retained = true,
        Purpose::Disable => robot.disabled = true,
        Purpose::Align | Purpose::Renew | Purpose::Adopt => {
            (robot.holder, robot.permissions, robot.disabled) = (Holder::Ours, operator.permissions, operator.disable);
            if purpose != Purpose::Align {
                robot.age = Age::Fresh;
            }
        }
    }
    world.ghost.excused |= world.robot(slot).is_some_and(|robot| robot.disabled);
    world.touch(slot);
    (true, (!allowed).then_some("c: PUT on a robot that is not ours"))
}

/// Whether a credential that people may be using can go. `why` is `None` for a PATCH.
fn judge_loss(world: &mut World, number: usize, slot: Slot, why: Option<Why>) -> Violation {
    let robot = Named::Alive(slot);
    let declared = matches!(why, Some(Why::Disabled | Why::AccountDeleted | Why::NotPermitted))
        || world.operators[number].gap_declared;
    let published = world.ghost.published == robot && world.logs_in(robot, world.ghost.published_right);
    world.ghost.excused |= published;
    if published && !declared {
        return Some("b2: the working published credential is killed");
    }
    if world.ghost.former == robot && world.former_works() && !declared && why != Some(Why::Retired) {
        return Some("b3: the previous credential is revoked before its overlap ended");
    }
    None
}

fn publish(world: &mut World, number: usize, target: Target) {
    let operator = &mut world.operators[number];
    operator.published = true;
    let operator = *operator;
    let names = operator.resolve(target);
    let right = operator.holds && operator.made == names && matches!(names, Named::Alive(_));
    world.secret = Some(Secret { names, right, intact: true, token: operator.token });
    let works = world.works();
    let ghost = &mut world.ghost;
    if ghost.published != names {
        (ghost.former, ghost.former_right, ghost.former_ended) = (ghost.published, ghost.published_right, false);
    }
    ghost.excused |= !works && operator.disturbed;
    (ghost.published, ghost.published_right, ghost.ever_published) = (names, right, true);
    ghost.token = operator.token;
}

fn confirm(world: &mut World, number: usize) -> bool {
    let operator = world.operators[number];
    let Some(Named::Alive(slot)) = operator.current.map(|current| operator.resolve(current)) else { return false };
    let Some(robot) = world.robot(slot) else { return false };
    let intact = world.secret.is_some_and(|secret| secret.intact);
    if robot.disabled || !intact {
        return true;
    }
    let works = world.works();
    world.operators[number].confirmed = works;
    works
}

fn write_status(world: &mut World, number: usize) -> bool {
    let next = next_status(world, number);
    if world.is_gone() || next == world.status {
        return !world.is_gone();
    }
    if !world.operators[number].account_fresh {
        return false;
    }
    world.status = next;
    world.operators[1 - number].account_fresh = false;
    // Revoke, and rights that shrink, end the overlap of whatever was published before.
    world.ghost.former_ended |= world.operators[number].ends_overlap && next.previous != Named::Nothing;
    true
}

/// `report` in small.
fn next_status(world: &World, number: usize) -> Status {
    let operator = &world.operators[number];
    let before = world.status;
    let ready = if operator.interrupted { before.ready } else { operator.ready };
    if !operator.records && !operator.published {
        return Status { ready, ..before };
    }
    let current = operator.current.map_or(Named::Nothing, |current| operator.resolve(current));
    let previous = operator.previous.map_or(Named::Nothing, |slot| operator.resolve(Target::Seen(slot)));
    let ended = operator.ends_overlap || (operator.keeps_overlap && before.overlap_ended);
    Status {
        current,
        previous,
        overlap_ended: previous != Named::Nothing && ended,
        token: if operator.published { operator.token } else { operator.status_token },
        untouched: current != Named::Nothing && (operator.confirmed || (before.untouched && before.current == current)),
        ready,
    }
}
