//! A Harbor that knows less than it did.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::restarts::restart;
use super::super::{AFTER_OUTAGES, SOON, not_settled};
use super::{message, unsaid};
use crate::actions::{Action, Edit};
use crate::check::Violation;
use crate::logins::Login;
use crate::machine::Machine;
use crate::run::LESSONS;
use crate::world::World;

/// In so long an account that waits asks Harbor less than so often.
const LOOKS: (Duration, u64) = (Duration::from_mins(2), 300);

/// Harbor was downgraded, and refuses a pair: the account has the rest, and says which it is.
pub(super) async fn old_harbor(world: &mut World, machine: &Machine, accounts: &[usize]) -> Vec<Violation> {
    let asks = |account: &usize| !world.wishes[*account].namespace.is_empty() && world.wishes[*account].registry() == 0;
    let Some(account) = accounts.iter().copied().find(asks) else { return Vec::new() };
    if world.logins[0] == Login::Robot {
        return Vec::new();
    }
    Action::Edit(account, Edit::Access(false)).run(world, machine).await;
    sleep(SOON).await;
    Action::Version(0, 12, 0).run(world, machine).await;
    Action::Edit(account, Edit::Access(true)).run(world, machine).await;
    sleep(SOON).await;
    let id = world.wishes[account].id();
    let mut wrong: Vec<Violation> =
        unsaid(world, &id, &["Ready True Published", "Synced False PermissionUnknown"]).into_iter().collect();
    let said = message(world, &id, "Synced");
    if !said.contains("export-cve") {
        wrong.push(format!("k: Harbor does not know export-cve, and {id} says {said}"));
    }
    let calls = world.network.calls();
    sleep(LOOKS.0).await;
    let calls = world.network.calls() - calls;
    wrong.extend((calls > LOOKS.1).then(|| format!("k: {calls} calls while a pair is unknown")));
    world.restore_order();
    if !wrong.is_empty() {
        return wrong;
    }
    // A start forgets what was learned by trying; most runs do not have the time to wait for an hour.
    if !world.seed.is_multiple_of(4) {
        restart(world, machine).await;
        return not_settled(world, "a start", Instant::now(), world.poll + AFTER_OUTAGES).await;
    }
    // An account that would give up what pods may still have waits for one look more.
    let overlaps = !world.account(account).unwrap_or_default()["status"]["previous"].is_null();
    let time = LESSONS * (1 + u32::from(overlaps)) + world.poll * 2 + AFTER_OUTAGES;
    let wrong = not_settled(world, "a Harbor that knows the pair", Instant::now(), time).await;
    // Another account may have learned it later.
    sleep(LESSONS).await;
    wrong
}
