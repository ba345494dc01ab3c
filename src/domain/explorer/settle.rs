//! Undisturbed passes of one operator from any state: they come to an end, and the end is what the spec asks for.

use std::fmt::Write as _;

use crate::domain::plan::{Age, Holder, Named};
use crate::domain::slots::Slot;

use super::Config;
use super::pass::{advance, gather};
use super::world::{Operator, World};

/// No state needs more passes in a row.
const MOST_PASSES: usize = 8;

/// What is wrong with where the world comes to rest.
pub(super) fn settle(config: &Config, start: &World) -> Result<(), String> {
    let mut world = *start;
    world.operators = [Operator::default(); 2];
    world.leader = 0;
    let mut history = String::new();
    let mut passes = 0;
    // Whether something calls for another pass: in the program nothing runs without a cause.
    let mut called = true;
    loop {
        world.normalise();
        if world.is_gone() {
            break;
        }
        if !gather(config, &mut world, 0).0 {
            if world.status.previous == Named::Nothing || world.status.overlap_ended {
                break;
            }
            (world.status.overlap_ended, world.ghost.former_ended) = (true, true);
            history += " | the overlap ends";
            (passes, called) = (0, true);
            continue;
        }
        passes += 1;
        let _ = write!(history, " | {:?}", world.operators[0].moves.iter().flatten().collect::<Vec<_>>());
        if !called {
            return Err(format!("d: a pass left work behind that nothing calls for:{history}"));
        }
        if passes > MOST_PASSES {
            return Err(format!("d: does not settle:{history}"));
        }
        called = world.operators[0].look_again;
        while world.operators[0].is_busy() {
            called |= !advance(config, &mut world, 0).0;
        }
        called |= world.status.previous != Named::Nothing && world.status.overlap_ended;
    }
    goal(config, &world).map_err(|what| format!("d: settled, but {what}:{history}"))
}

fn goal(config: &Config, world: &World) -> Result<(), &'static str> {
    let ensure = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    let (ours, works) = (world.ours().count(), world.works());
    if world.is_gone() {
        let most = usize::from(config.retain);
        return ensure(ours <= most, "the account is gone and robots of it are left");
    }
    ensure(!world.deleted, "the deletion never ends")?;
    ensure(world.status.ready == (works && world.enabled && world.granted), "Ready is not what is true")?;
    let all_disabled = world.ours().all(|robot| robot.disabled);
    if !world.granted {
        ensure(all_disabled, "the grant is withdrawn and a robot lives")?;
        return ensure(world.secret.is_none(), "the grant is withdrawn and the Secret is there");
    }
    if !world.enabled {
        return ensure(all_disabled && ours <= 1, "a disabled account has a live robot or two robots");
    }
    let of_others = |slot| world.robot(slot).is_some_and(|robot| robot.holder != Holder::Ours);
    ensure(works || (ours == 0 && of_others(Slot::A)), "nothing works although a slot could be used")?;
    if Slot::BOTH.into_iter().any(of_others) {
        return Ok(());
    }
    let Some(secret) = world.secret else { return Err("there is no Secret") };
    let Named::Alive(slot) = secret.names else { return Err("the Secret names no robot") };
    ensure(ours == 1, "more than one robot is left")?;
    let recorded = world.status.current == secret.names && world.status.previous == Named::Nothing;
    ensure(recorded, "status does not say what is")?;
    if config.in_place && !world.may_update {
        return Ok(());
    }
    let robot = world.robot(slot).ok_or("the Secret names a robot that is not there")?;
    ensure(robot.permissions == world.permissions, "the permissions differ")?;
    ensure(robot.age == Age::Fresh, "the renewal was forgotten")?;
    ensure(!world.situation(config, 0).token, "the token was not served")?;
    ensure(world.status.untouched, "the update time was never recorded")
}
