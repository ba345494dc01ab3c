//! The cluster's registry is forced away: who wants to go waits, unless a whole namespace waits for it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::super::{AFTER_OUTAGES, SOON, not_settled};
use super::message;
use crate::actions::{Action, Damage, Edit};
use crate::check::Violation;
use crate::kubernetes::kind;
use crate::machine::Machine;
use crate::world::World;

/// So long a registry has to be missed before accounts of a namespace on its way out go without their robots, and a little
/// longer.
const ABANDONED: Duration = Duration::from_secs(120 + 75);
/// In so long accounts that wait make less than so many calls.
const WAITING: (Duration, u64) = (Duration::from_mins(5), 400);
/// The namespace that goes.
const TEAM: &str = "team-a";

/// It goes without its finalizer, and comes back.
pub(super) async fn forced_away(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let of_it = |number: &usize| world.wishes[*number].registry() == 0 && world.living_account(*number).is_some();
    let all: Vec<usize> = (0..world.wishes.len()).filter(of_it).collect();
    let (gone, staying): (Vec<usize>, Vec<usize>) =
        all.into_iter().partition(|number| world.wishes[*number].namespace == TEAM);
    for &account in gone.iter().chain(&staying) {
        Action::Edit(account, Edit::Retain(false)).run(world, machine).await;
    }
    sleep(SOON).await;
    let robots: Vec<String> = gone.iter().filter_map(|number| robot_name(world, *number)).collect();
    let before = (world.excused, world.forgot_former);
    Action::DeleteRegistry(0).run(world, machine).await;
    Action::DamageRegistry(0, Damage::Finalizers).run(world, machine).await;
    (world.excused, world.forgot_former) = before;
    sleep(SOON).await;
    for &account in &staying {
        Action::Delete(account).run(world, machine).await;
    }
    Action::DeleteNamespace(TEAM).run(world, machine).await;
    sleep(ABANDONED).await;
    let mut wrong: Vec<Violation> = gone.iter().filter_map(|number| waits(world, *number)).collect();
    wrong.extend(robots.iter().filter_map(|robot| untold(world, robot)));
    wrong.extend(staying.iter().filter_map(|number| does_not_wait(world, *number)));
    let calls = world.network.calls();
    sleep(WAITING.0).await;
    let calls = world.network.calls() - calls;
    wrong.extend((calls > WAITING.1).then(|| format!("k: {calls} calls of accounts that wait for their registry")));
    world.restore_order();
    sleep(AFTER_OUTAGES).await;
    wrong.extend(staying.iter().filter_map(|number| waits(world, *number)));
    for account in gone.into_iter().chain(staying) {
        Action::Apply(account).run(world, machine).await;
    }
    world.restore_order();
    sleep(world.poll).await;
    if wrong.is_empty() { not_settled(world, "a registry again", Instant::now(), AFTER_OUTAGES).await } else { wrong }
}

fn robot_name(world: &World, account: usize) -> Option<String> {
    let object = world.account(account)?;
    object["status"]["robot"]["name"].as_str().map(str::to_owned)
}

/// An account that is to be gone.
fn waits(world: &World, account: usize) -> Option<Violation> {
    let id = world.wishes[account].id();
    let object = world.account(account)?;
    Some(format!("k: {id} is to be gone by now: {}", object["status"]["conditions"]))
}

/// An account that is not to be gone before its robot, or does not say what it waits for.
fn does_not_wait(world: &World, account: usize) -> Option<Violation> {
    let id = world.wishes[account].id();
    if world.stored(&id).is_null() {
        return Some(format!("k: {id} is gone, and its robot is not"));
    }
    let said = message(world, &id, "Ready") + &message(world, &id, "Synced");
    (!said.contains("does not exist")).then(|| format!("k: {id} waits for a registry that is gone, and says {said}"))
}

/// No event tells of a robot that was given up.
fn untold(world: &World, robot: &str) -> Option<Violation> {
    let tells = |event: &Value| {
        event["reason"] == "RobotAbandoned" && event["note"].as_str().unwrap_or_default().contains(robot)
    };
    let told = world.cluster.store().all(kind("Event"), Some("default")).any(|(_, event)| tells(event));
    (!told).then(|| format!("k: no event tells that {robot} was left"))
}
