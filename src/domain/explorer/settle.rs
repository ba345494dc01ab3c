//! Undisturbed passes of one operator from any state: they come to an end, and the end is what the spec asks for.

use std::fmt::Write as _;

use crate::domain::plan::{Age, Permit};
use crate::domain::slots::Slot;

use super::Config;
use super::names::Name;
use super::operator::Operator;
use super::pass::{gather, is_wanted};
use super::steps::advance;
use super::view::Reading;
use super::world::{Ghost, World};

/// No state needs more passes in a row.
const MOST_PASSES: usize = 8;

/// What matters for undisturbed passes.
pub(super) fn undisturbed(world: &World) -> World {
    let mut world = World {
        operators: [Operator::default(); 2],
        leader: 0,
        ghost: Ghost::default(),
        events_left: 0,
        backup: None,
        ..*world
    };
    let status = &mut world.account.status;
    status.untouched_in_backup = false;
    for name in [&mut status.current, &mut status.previous].into_iter().chain(world.secret.as_mut().map(|secret| {
        secret.credential.kept = false;
        &mut secret.credential.robot
    })) {
        if let Name::Kept(slot) = *name {
            *name = Name::Gone(slot);
        }
    }
    world
}

/// What is wrong with where the world comes to rest.
pub(super) fn settle(config: &Config, start: &World) -> Result<(), String> {
    let mut world = *start;
    let mut history = String::new();
    let mut passes = 0;
    // Whether something calls for another pass: in the program nothing runs without a cause.
    let mut called = true;
    loop {
        world.normalise();
        if world.is_gone() {
            break;
        }
        let (busy, violation) = gather(config, &mut world, 0);
        if let Some(rule) = violation {
            return Err(format!("{rule}:{history}"));
        }
        if !busy {
            ready_is_true(&world).map_err(|what| format!("d: settled, but {what}:{history}"))?;
            let Some(what) = time_passes(&mut world) else { break };
            history += what;
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
            let (went_well, violation) = advance(config, &mut world, 0);
            called |= !went_well;
            if let Some(rule) = violation {
                return Err(format!("{rule}:{history}"));
            }
        }
        let status = world.account.status;
        called |= status.previous != Name::Nothing && status.overlap_ended;
    }
    goal(config, &world).map_err(|what| format!("d: settled, but {what}:{history}"))
}

/// What happens by itself to a world at rest.
fn time_passes(world: &mut World) -> Option<&'static str> {
    if world.patience.take().is_some() {
        return Some(" | what was held back is due");
    }
    if world.permit == Permit::Lapsing {
        world.permit = Permit::Refused;
        return Some(" | the grant lapses");
    }
    let status = &mut world.account.status;
    let runs = status.previous != Name::Nothing && !status.overlap_ended;
    if runs {
        (status.overlap_ended, world.ghost.former_ended) = (true, true);
    }
    runs.then_some(" | the overlap ends")
}

fn ensure(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}

/// Declared: of a robot whose mark was erased while no status named it, nobody knows that it is ours. Then what the
/// Secret holds counts for nothing, since tenants can write that.
fn ready_is_true(world: &World) -> Result<(), &'static str> {
    let known = world.secret.is_some_and(|secret| match secret.credential.robot {
        Name::Alive(slot) => world.is_known(slot),
        _ => false,
    });
    let works = world.works() && known && is_wanted(world);
    ensure(world.account.deleted || world.account.status.ready == works, "Ready is not what is true")
}

fn goal(config: &Config, world: &World) -> Result<(), &'static str> {
    let account = world.account;
    let (ours, works) = (world.ours().count(), world.works());
    if world.is_gone() {
        let most = usize::from(config.retain);
        return ensure(ours <= most, "the account is gone and robots of it are left");
    }
    ensure(!account.deleted, "the deletion never ends")?;
    let all_disabled = world.ours().all(|robot| robot.disabled);
    let foreign = world.secret.is_some_and(|secret| secret.foreign);
    if world.permit != Permit::Granted {
        ensure(all_disabled, "the grant is withdrawn and a robot lives")?;
        return ensure(world.secret.is_none() || foreign, "the grant is withdrawn and the Secret is there");
    }
    if !account.enabled {
        let most = if foreign { 2 } else { 1 };
        return ensure(all_disabled && ours <= most, "a disabled account has a live robot or two robots");
    }
    if foreign || (world.own != 0 && !world.may_update && !is_calm(config, world)) {
        return Ok(());
    }
    let of_others = |slot| world.robot(slot).is_some() && !world.is_known(slot);
    ensure(works || (ours == 0 && of_others(Slot::A)), "nothing works although a slot could be used")?;
    if Slot::BOTH.into_iter().any(of_others) {
        return Ok(());
    }
    let Some(secret) = world.secret else { return Err("there is no Secret") };
    let Name::Alive(slot) = secret.credential.robot else { return Err("the Secret names no robot") };
    ensure(!secret.reshaped, "the form of the Secret is not as wanted")?;
    ensure(ours == 1, "more than one robot is left")?;
    let status = account.status;
    let recorded = status.current == secret.credential.robot && status.previous == Name::Nothing;
    ensure(recorded, "status does not say what is")?;
    if account.in_place && !world.may_update {
        return Ok(());
    }
    let robot = world.robot(slot).ok_or("the Secret names a robot that is not there")?;
    ensure(robot.permissions == account.permissions, "the permissions differ")?;
    ensure(robot.age == Age::Fresh, "the renewal was forgotten")?;
    ensure(world.own == 0 || secret.credential.own == world.own, "the own password is not published")?;
    ensure(!Reading::live(world).token(), "the token was not served")?;
    ensure(status.untouched, "the update time was never recorded")
}

/// Nothing asks for a new credential, which a login that may not update cannot give an account with a password of its
/// own.
fn is_calm(config: &Config, world: &World) -> bool {
    let x = super::view::situation(config, world, 0, &Reading::live(world));
    (config.plan)(&x).blocker.is_none()
}
