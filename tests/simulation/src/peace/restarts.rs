//! An operator that starts: it lets alone what is as it should be, and takes up what changed meanwhile.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::{AFTER_OUTAGES, SOON, not_settled};
use crate::actions::{Action, Edit, Spoil};
use crate::check::Violation;
use crate::machine::Machine;
use crate::world::World;

/// In so long everything of a registry is gone that is deleted with its accounts and its login.
const TORN_DOWN: Duration = Duration::from_mins(2);
/// What falls due so soon is looked at.
const DUE: Duration = Duration::from_mins(5);

/// Every operator dies.
pub(super) async fn kill(world: &mut World, machine: &Machine) {
    for replica in 0..2 {
        Action::Kill(replica).run(world, machine).await;
    }
}

/// The same, and one starts.
pub(super) async fn restart(world: &mut World, machine: &Machine) {
    kill(world, machine).await;
    Action::Start(0).run(world, machine).await;
}

async fn stop(world: &mut World, machine: &Machine) {
    for replica in 0..2 {
        Action::Stop(replica).run(world, machine).await;
    }
}

/// Nothing to do for it, as far as its status, its Secret and its wish say. Of system accounts, which have Secrets in many
/// places, and of own passwords nothing says so.
fn is_at_rest(world: &World, number: usize) -> bool {
    let (wish, status) = (&world.wishes[number], world.account(number).unwrap_or_default()["status"].clone());
    !wish.namespace.is_empty() && !wish.has_own_password() && status["previous"].is_null()
}

/// A settled account costs no call when the operator starts: neither it nor its Secret is read.
pub(super) async fn at_rest(world: &mut World, machine: &Machine) -> Vec<Violation> {
    if world.has_unwatched_secrets() {
        // What is not watched is read.
        return Vec::new();
    }
    if world.something_is_due_within(DUE) {
        return Vec::new();
    }
    world.network.note("-- a start at rest");
    stop(world, machine).await;
    let resting: Vec<usize> = world.serviced().into_iter().filter(|number| is_at_rest(world, *number)).collect();
    world.network.listen();
    Action::Start(0).run(world, machine).await;
    sleep(SOON).await;
    let heard = world.network.heard();
    let reads = |number: &usize| {
        let wish = &world.wishes[*number];
        let lines = ["RobotAccount", "Secret"].map(|kind| format!("Get {kind} {}/{}", wish.namespace, wish.name));
        let read = heard.iter().find(|line| lines.iter().any(|read| line.ends_with(read)))?;
        Some(format!("k: {} is as it should be, and after a start: {read}", wish.id()))
    };
    let wrong: Vec<Violation> = resting.iter().filter_map(reads).collect();
    if wrong.is_empty() { not_settled(world, "a start", Instant::now(), SOON).await } else { wrong }
}

/// What people change while no operator runs.
pub(super) async fn while_away(
    world: &mut World,
    machine: &Machine,
    accounts: &[usize],
    random: &mut SmallRng,
) -> Vec<Violation> {
    world.network.note("-- while no operator runs");
    stop(world, machine).await;
    for &account in accounts {
        let spoil = |spoil| Action::Spoil(account, spoil);
        // Every other is left as it is.
        let action = match random.random_range(0..12) {
            0 => spoil(Spoil::Corrupt),
            1 => spoil(Spoil::Password),
            2 | 3 => spoil(Spoil::Keys),
            4 => Action::Edit(account, Edit::ServiceAccount("default")),
            5 => Action::Edit(account, Edit::Permissions(true)),
            6 => Action::Edit(account, Edit::Lifetime(30)),
            _ => continue,
        };
        action.run(world, machine).await;
    }
    Action::Start(0).run(world, machine).await;
    not_settled(world, "a start", Instant::now(), AFTER_OUTAGES).await
}

/// `kubectl delete -f`: a registry, its login and its accounts go at the same time.
pub(super) async fn torn_down(world: &mut World, machine: &Machine, number: usize) -> Vec<Violation> {
    world.network.note("-- all of a registry goes");
    Action::DeleteRegistry(number).run(world, machine).await;
    if world.seed.is_multiple_of(2) {
        // An operator that starts then does not know of its accounts yet.
        restart(world, machine).await;
        sleep(AFTER_OUTAGES).await;
        let used = world.serviced().into_iter().any(|account| world.wishes[account].registry() == number);
        if used && world.cluster.store().get(&World::registry(number)).is_none() {
            return vec![format!("k: {} is gone before its accounts", World::registry(number))];
        }
    }
    Action::DeleteLogin(number).run(world, machine).await;
    for account in 0..world.wishes.len() {
        if world.wishes[account].registry() == number {
            Action::Edit(account, Edit::Retain(false)).run(world, machine).await;
            Action::Delete(account).run(world, machine).await;
        }
    }
    let wrong = not_settled(world, "the deletion of everything", Instant::now(), TORN_DOWN).await;
    let there = world.cluster.store().get(&World::registry(number)).is_some();
    wrong.into_iter().chain(there.then(|| format!("k: {} is still there", World::registry(number)))).collect()
}
