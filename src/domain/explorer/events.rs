//! What people, time and other programs do to the world.

use crate::domain::plan::{Age, Holder, Named};
use crate::domain::slots::Slot;

use super::world::{EDITED, Robot, Status, World};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Event {
    ChangePermissions,
    ToggleEnabled,
    SetToken,
    DeleteSecret,
    DamageSecret,
    ForgeAnnotation,
    WipeStatus,
    ToggleGrant,
    DeleteAccount,
    DeleteRobot(Slot),
    DisableRobot(Slot),
    ResecretRobot(Slot),
    EditRobot(Slot),
    RobotAges(Slot),
    StrangerTakes(Slot),
    StrangerLeaves,
    ToggleLoginRights,
    /// The overlap is over. Free: it happens to everybody.
    OverlapEnds,
}

use Event::{
    ChangePermissions, DamageSecret, DeleteAccount, DeleteRobot, DeleteSecret, DisableRobot, EditRobot,
    ForgeAnnotation, OverlapEnds, ResecretRobot, RobotAges, SetToken, StrangerLeaves, StrangerTakes, ToggleEnabled,
    ToggleGrant, ToggleLoginRights, WipeStatus,
};

pub(super) const ALL: [Event; 24] = [
    ChangePermissions,
    ToggleEnabled,
    SetToken,
    DeleteSecret,
    DamageSecret,
    ForgeAnnotation,
    WipeStatus,
    ToggleGrant,
    DeleteAccount,
    DeleteRobot(Slot::A),
    DeleteRobot(Slot::B),
    DisableRobot(Slot::A),
    DisableRobot(Slot::B),
    ResecretRobot(Slot::A),
    ResecretRobot(Slot::B),
    EditRobot(Slot::A),
    EditRobot(Slot::B),
    RobotAges(Slot::A),
    RobotAges(Slot::B),
    StrangerTakes(Slot::A),
    StrangerTakes(Slot::B),
    StrangerLeaves,
    ToggleLoginRights,
    OverlapEnds,
];

/// The world afterwards; `None` if the event cannot happen or changes nothing.
pub(super) fn happen(before: &World, event: Event) -> Option<World> {
    let mut world = *before;
    if world.is_gone() {
        return None;
    }
    if event == OverlapEnds {
        let running = world.status.previous != Named::Nothing && !world.status.overlap_ended;
        let former_running = world.ghost.former != Named::Nothing && !world.ghost.former_ended;
        world.status.overlap_ended = world.status.previous != Named::Nothing;
        world.ghost.former_ended = world.ghost.former != Named::Nothing;
        return (running || former_running).then_some(world);
    }
    world.events_left = world.events_left.checked_sub(1)?;
    declare(&mut world, event);
    if let DeleteRobot(slot) | DisableRobot(slot) | ResecretRobot(slot) | EditRobot(slot) | RobotAges(slot) = event {
        if !world.is_ours(slot) {
            return None;
        }
        world.disturb(slot);
    }
    if !apply(&mut world, event) {
        return None;
    }
    match event {
        ChangePermissions | ToggleEnabled | SetToken | WipeStatus | DeleteAccount => {
            world.operators.iter_mut().for_each(|operator| operator.account_fresh = false);
        }
        DeleteSecret | DamageSecret | ForgeAnnotation => {
            world.operators.iter_mut().for_each(|operator| operator.secret_fresh = false);
        }
        _ => {}
    }
    world.ghost.excused |= before.works() && !world.works();
    Some(world)
}

/// Declared double faults: the only record of what was published goes, so nothing can tell it from a rotation that was
/// cut off. One renewal with a gap is allowed then.
pub(super) fn declare(world: &mut World, event: Event) {
    let named = world.secret.map_or(Named::Nothing, |secret| secret.names);
    let ghost = &mut world.ghost;
    if matches!(event, DeleteSecret | ForgeAnnotation) && world.status.current != named {
        ghost.published_right = false;
        ghost.former_right &= world.status.current == ghost.former;
    }
    let named_by_secret = world.secret.is_some_and(|secret| secret.intact && secret.names == ghost.published);
    if event == WipeStatus && !named_by_secret {
        (ghost.published_right, ghost.former_right) = (false, false);
    }
}

fn apply(world: &mut World, event: Event) -> bool {
    let deleted = world.deleted;
    match event {
        ChangePermissions => world.permissions ^= 1,
        ToggleEnabled => world.enabled = !world.enabled,
        SetToken => world.token += 1,
        DeleteSecret if world.secret.is_some() => world.secret = None,
        DamageSecret | ForgeAnnotation => {
            let Some(secret) = world.secret.as_mut().filter(|secret| secret.intact) else { return false };
            if event == ForgeAnnotation {
                let Named::Alive(slot) = secret.names else { return false };
                secret.names = Named::Gone(slot);
            }
            (secret.right, secret.intact) = (false, false);
        }
        WipeStatus if world.status != Status::default() => world.status = Status::default(),
        ToggleGrant => world.granted = !world.granted,
        DeleteAccount if !deleted => {
            world.deleted = true;
            if !world.finalizer {
                world.secret = None;
            }
        }
        DeleteRobot(slot) => world.kill(slot),
        DisableRobot(slot) => {
            let robot = world.robot_mut(slot);
            if robot.disabled {
                return false;
            }
            robot.disabled = true;
            world.touch(slot);
        }
        ResecretRobot(slot) => world.resecret(slot, None),
        EditRobot(slot) => {
            world.robot_mut(slot).permissions = EDITED;
            world.touch(slot);
        }
        RobotAges(slot) => {
            let robot = world.robot_mut(slot);
            robot.age = match robot.age {
                Age::Fresh => Age::Due,
                Age::Due => Age::Expired,
                Age::Expired => return false,
            };
        }
        StrangerTakes(slot) if world.robot(slot).is_none() => world.born(slot, Robot::new(Holder::Stranger, 0)),
        StrangerLeaves => {
            let held = |slot: &Slot| world.robot(*slot).is_some_and(|robot| robot.holder == Holder::Stranger);
            let Some(slot) = Slot::BOTH.into_iter().find(held) else { return false };
            world.kill(slot);
        }
        ToggleLoginRights => {
            world.may_update = !world.may_update;
            world.operators.iter_mut().for_each(|operator| operator.cannot_update = false);
        }
        _ => return false,
    }
    // The spec of an account that is being deleted makes no difference any more.
    !(deleted && matches!(event, ChangePermissions | ToggleEnabled | SetToken)) && world.token <= 2
}
