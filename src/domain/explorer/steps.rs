//! What each step of a plan does to Harbor and Kubernetes, and the rules that a step can break.

use crate::domain::plan::{Age, Purpose, Step, Target, Why};
use crate::domain::slots::Slot;

use super::Config;
use super::names::{Credential, Mark, Name, Robot};
use super::operator::Move;
use super::pass::{Violation, confirm, write_status};
use super::world::{Secret, World};

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
    match step {
        Step::Create(slot) => create(world, number, slot),
        Step::Refresh(target) => refresh(config, world, number, target),
        Step::Update(target, purpose) => update(config, world, number, target, purpose),
        Step::Delete(slot, why) => {
            if world.operators[number].resolve(Target::Seen(slot)) != Name::Alive(slot) || world.robot(slot).is_none() {
                return (true, None);
            }
            let violation = if world.is_ours(slot) {
                judge_loss(world, number, slot, Some(why))
            } else {
                Some("c: DELETE of a robot that is not ours")
            };
            world.kill(slot);
            (true, violation)
        }
        Step::Fence | Step::Reform | Step::ReleaseSecret | Step::DeleteSecret | Step::Publish(_) => {
            write_secret(world, number, step)
        }
        Step::AddFinalizer | Step::RemoveFinalizer => {
            let adds = step == Step::AddFinalizer;
            // The API server takes no new finalizer once the object is being deleted.
            if !world.operators[number].account_fresh || (adds && world.account.deleted) {
                return (false, None);
            }
            world.account.finalizer = adds;
            world.account_changes(Some(number));
            if world.is_gone() && !config.retain && world.secret.is_some_and(|secret| !secret.foreign) {
                world.secret = None;
            }
            (true, None)
        }
    }
}

fn create(world: &mut World, number: usize, slot: Slot) -> (bool, Violation) {
    let operator = &mut world.operators[number];
    let vain = operator.own != 0 && operator.cannot_update;
    let violation = vain.then_some("e: a robot is made although the login cannot give it the account's own password");
    if world.robots[slot.index()].is_some() {
        return (false, violation);
    }
    operator.made = Credential::new(Name::Alive(slot), 0);
    (operator.disturbed, operator.confirmed) = (false, true);
    let permissions = operator.permissions;
    world.born(slot, Robot::new(Mark::Ours, permissions));
    (true, violation)
}

/// The robot behind a PUT or PATCH; `None` if Harbor answers 404 or 403.
fn writable(world: &mut World, number: usize, target: Target) -> Result<Slot, Violation> {
    if world.operators[number].cannot_update {
        return Err(Some("e: PUT or PATCH by a login that is known not to be allowed to"));
    }
    let Name::Alive(slot) = world.operators[number].resolve(target) else { return Err(None) };
    world.robot(slot).ok_or(None)?;
    if !world.may_update {
        world.operators[number].cannot_update = true;
        return Err(None);
    }
    Ok(slot)
}

fn refresh(config: &Config, world: &mut World, number: usize, target: Target) -> (bool, Violation) {
    let slot = match writable(world, number, target) {
        Ok(slot) => slot,
        Err(violation) => return (false, violation),
    };
    let operator = world.operators[number];
    let new_with_own_password = operator.own != 0 && target == Target::New;
    let violation = if !world.is_ours(slot) {
        Some("c: PATCH on a robot that is not ours")
    } else if !operator.in_place && !config.adopt && !new_with_own_password {
        Some("c: PATCH although nothing is rotated in place")
    } else {
        judge_loss(world, number, slot, None)
    };
    world.resecret(slot, operator.own);
    // Declared: two leaders that PATCH one robot at once publish one after the other, and the last PATCH counts. And one
    // that PATCHes what the other takes for dead, since the strategy was changed between their reads, brings it back.
    let other = &mut world.operators[1 - number];
    other.disturbed |= other.concerns(Name::Alive(slot));
    other.revived[slot.index()] = true;
    let operator = &mut world.operators[number];
    operator.made = Credential::new(Name::Alive(slot), operator.own);
    // A new robot's first password of ours needs no proof: its update time is read again before it is recorded.
    operator.confirmed = false;
    (true, violation)
}

fn update(config: &Config, world: &mut World, number: usize, target: Target, purpose: Purpose) -> (bool, Violation) {
    let slot = match writable(world, number, target) {
        Ok(slot) => slot,
        Err(violation) => return (false, violation),
    };
    let unmarked = world.robot(slot).is_some_and(|robot| robot.mark == Mark::Nobody);
    let adopts = purpose == Purpose::Adopt && config.adopt && unmarked;
    let allowed = world.is_ours(slot) || adopts;
    let operator = world.operators[number];
    if purpose == Purpose::Disable {
        // Without a grant: the revocation delay is far longer than a former leader's plan can live.
        world.disturb(slot);
    }
    let robot = world.robot_mut(slot);
    robot.ours |= adopts;
    match purpose {
        Purpose::Retain => (robot.retained, robot.mark) = (true, Mark::Ours),
        Purpose::Disable => robot.disabled = true,
        Purpose::Align | Purpose::Renew | Purpose::Adopt => {
            (robot.mark, robot.permissions, robot.disabled) = (Mark::Ours, operator.permissions, operator.disable);
            if purpose != Purpose::Align {
                robot.age = Age::Fresh;
            }
        }
    }
    world.ghost.excused |= world.robot(slot).is_some_and(|robot| robot.disabled);
    // Declared: two leaders, and one of them takes for dead what the other's PUT brings back.
    world.operators[1 - number].revived[slot.index()] |= !matches!(purpose, Purpose::Disable | Purpose::Retain);
    world.touch(slot);
    (true, (!allowed).then_some("c: PUT on a robot that is not ours"))
}

/// Whether a credential that people may be using can go. `why` is `None` for a PATCH.
fn judge_loss(world: &mut World, number: usize, slot: Slot, why: Option<Why>) -> Violation {
    let robot = Name::Alive(slot);
    let operator = &world.operators[number];
    // Declared for both: what the user asked for, that there is no other slot to go to, and the gap that `InPlace` means.
    let asked_for = matches!(why, Some(Why::Disabled | Why::AccountDeleted | Why::NotPermitted));
    // A robot that nobody knows the secret of is dead to the plan; while the account is disabled it goes in any case.
    let asked_for = asked_for || (operator.disable && !world.account.enabled && why == Some(Why::Dead));
    let in_place = operator.replaces_in_place && matches!(why, None | Some(Why::Dead));
    let declared = asked_for || operator.cornered || in_place;
    // And that somebody brought the robot back to life between the list that showed it dead and its DELETE.
    let revived = why == Some(Why::Dead) && operator.revived[slot.index()];
    let declared = declared || revived;
    let published = world.ghost.published.robot == robot && world.logs_in(world.ghost.published);
    world.ghost.excused |= published;
    if published && !declared {
        return Some("b2: the working published credential is killed");
    }
    if world.ghost.former.robot == robot && world.former_works() && !declared && why != Some(Why::Retired) {
        return Some("b3: the previous credential is revoked before its overlap ended");
    }
    None
}

/// All conditional on what was read.
fn write_secret(world: &mut World, number: usize, step: Step) -> (bool, Violation) {
    let ours = world.secret.is_some_and(|secret| !secret.foreign);
    if step == Step::ReleaseSecret && !ours {
        return (true, None);
    }
    if !world.operators[number].secret_fresh || world.is_gone() {
        return (false, None);
    }
    world.secret_changes(Some(number));
    let foreign = world.secret.is_some_and(|secret| secret.foreign);
    let mut violation = foreign.then_some("c: a Secret of others is written");
    match step {
        Step::Fence if world.secret.is_none() => world.secret = Some(Secret::default()),
        Step::Reform => world.secret.iter_mut().for_each(|secret| secret.reshaped = false),
        Step::DeleteSecret => {
            // Only ever planned without a grant; a former leader may be late with it.
            world.secret = None;
            let ghost = &mut world.ghost;
            // With the grant goes every promise.
            (ghost.published, ghost.former, ghost.excused) = (Credential::default(), Credential::default(), true);
        }
        Step::Publish(target) => violation = violation.or(publish(world, number, target)),
        _ => {}
    }
    (true, violation)
}

fn publish(world: &mut World, number: usize, target: Target) -> Violation {
    let operator = &mut world.operators[number];
    operator.published = true;
    let operator = *operator;
    let robot = operator.resolve(target);
    let credential =
        if operator.made.robot == robot { operator.made } else { Credential { robot, ..Credential::default() } };
    world.secret = Some(Secret { credential, intact: true, token: operator.token, ..Secret::default() });
    world.publish_what_no_status_knows(robot);
    let (works, status) = (world.works(), world.account.status);
    let ghost = &mut world.ghost;
    let again = operator.only_for_token && ghost.ever_published && ghost.token >= operator.token;
    let only_record = operator.restored || (operator.disturbed && status.current != ghost.published.robot);
    if !matches!(robot, Name::Alive(_)) && only_record {
        ghost.published = Credential::default();
    }
    if ghost.published.robot != robot {
        // No overlap is promised to a robot that is gone.
        (ghost.former, ghost.former_ended) = (ghost.published, !matches!(ghost.published.robot, Name::Alive(_)));
    }
    ghost.excused |= !works && operator.disturbed;
    (ghost.published, ghost.ever_published, ghost.token) = (credential, true, operator.token);
    again.then_some("f: a second rotation for a token that is already served")
}
