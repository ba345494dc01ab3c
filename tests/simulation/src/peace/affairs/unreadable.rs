//! Objects that cannot be read: they say so, and what is published works on.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::super::restarts::restart;
use super::super::{AFTER_OUTAGES, SOON, not_settled};
use super::{message, unsaid};
use crate::actions::{Action, Damage, Edit};
use crate::check::Violation;
use crate::kubernetes::Id;
use crate::machine::Machine;
use crate::world::{HOSTS, World};

/// What it says does not name what is wrong.
fn unnamed(world: &World, id: &Id) -> Option<Violation> {
    let said = message(world, id, "Stalled");
    (!said.contains("cannot be read")).then(|| format!("k: {id} cannot be read, and says {said}"))
}

/// An account that cannot be read.
pub(super) async fn account(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    let id = world.wishes[one].id();
    Action::Damage(one, Damage::Number).run(world, machine).await;
    sleep(SOON).await;
    let said = ["Ready True Published", "Synced False Unreadable", "Stalled True Unreadable"];
    let mut wrong: Vec<Violation> = unsaid(world, &id, &said).into_iter().chain(unnamed(world, &id)).collect();
    let account = world.account(one).unwrap_or_default();
    if !world.logs_in(one, &account) {
        wrong.push(format!("b: {id} cannot be read, and its credential works no more"));
    }
    world.mend_numbers();
    if wrong.is_empty() { not_settled(world, "a number that can be read", Instant::now(), SOON).await } else { wrong }
}

/// A registry that cannot be read serves as it was read last; an operator that never read it says so.
pub(super) async fn registry(world: &mut World, machine: &Machine, random: &mut SmallRng) -> Vec<Violation> {
    let number = random.random_range(0..HOSTS.len());
    let id = World::registry(number);
    let is_of_it = |account: &usize| world.wishes[*account].registry() == number;
    let accounts: Vec<usize> = world.serviced().into_iter().filter(is_of_it).collect();
    Action::DamageRegistry(number, Damage::Number).run(world, machine).await;
    sleep(SOON).await;
    let said = ["Ready False Unreadable", "Stalled True Unreadable"];
    let mut wrong: Vec<Violation> = unsaid(world, &id, &said).into_iter().chain(unnamed(world, &id)).collect();
    for &account in &accounts {
        Action::Edit(account, Edit::ServiceAccount("builder")).run(world, machine).await;
        Action::Edit(account, Edit::Permissions(random.random_range(0..2) == 0)).run(world, machine).await;
    }
    sleep(SOON).await;
    for &account in &accounts {
        wrong.extend(unsaid(world, &world.wishes[account].id(), &["Ready True Published", "Synced True InSync"]));
        wrong.extend(world.unserviced(account));
    }
    if wrong.is_empty() && random.random_range(0..2) == 0 {
        wrong = never_read(world, machine, &accounts).await;
    }
    world.mend_numbers();
    if wrong.is_empty() {
        not_settled(world, "a number that can be read", Instant::now(), AFTER_OUTAGES).await
    } else {
        wrong
    }
}

async fn never_read(world: &mut World, machine: &Machine, accounts: &[usize]) -> Vec<Violation> {
    restart(world, machine).await;
    sleep(AFTER_OUTAGES).await;
    let mut wrong = Vec::new();
    for &account in accounts {
        for name in ["builder", "default"] {
            Action::Edit(account, Edit::ServiceAccount(name)).run(world, machine).await;
        }
    }
    sleep(SOON).await;
    for &account in accounts {
        let id = world.wishes[account].id();
        wrong.extend(unsaid(world, &id, &["Ready True Published", "Synced False RegistryUnreadable"]));
        let object = world.account(account).unwrap_or_default();
        if !world.logs_in(account, &object) {
            wrong.push(format!("b: the registry of {id} cannot be read, and its credential works no more"));
        }
    }
    wrong
}
