//! Kinds that the operator may not list: whatever needs none of them is served all the same.

use tokio::time::{Instant, sleep};

use super::super::restarts::kill;
use super::super::{AFTER_GAPS, AFTER_OUTAGES, SOON, not_settled};
use super::unsaid;
use crate::actions::{Action, Edit};
use crate::check::Violation;
use crate::machine::Machine;
use crate::world::World;

/// The operator starts without the right to list the registries of namespaces.
pub(super) async fn not_allowed(world: &mut World, machine: &Machine, accounts: &[usize]) -> Vec<Violation> {
    kill(world, machine).await;
    world.network.forbid(Some("HarborRegistry"));
    Action::Start(0).run(world, machine).await;
    sleep(AFTER_OUTAGES).await;
    for &account in accounts {
        for name in ["default", "builder"] {
            Action::Edit(account, Edit::ServiceAccount(name)).run(world, machine).await;
        }
    }
    sleep(SOON).await;
    let mut wrong = Vec::new();
    for &account in accounts {
        let id = world.wishes[account].id();
        if world.wishes[account].registry() == 0 {
            wrong.extend(world.unserviced(account));
            wrong.extend(unsaid(world, &id, &["Ready True Published", "Synced True InSync"]));
        } else {
            wrong.extend(unsaid(world, &id, &["Ready True Published", "Synced False RegistryNotFound"]));
        }
    }
    world.network.forbid(None);
    if wrong.is_empty() { not_settled(world, "the right to list", Instant::now(), AFTER_GAPS).await } else { wrong }
}
