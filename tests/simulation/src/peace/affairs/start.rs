//! What a start forgets is not told as if it were news, and what a wrong clock left is put right.

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::super::restarts::{kill, restart};
use super::super::{AFTER_OUTAGES, SOON, not_settled};
use crate::actions::{Action, Edit, Spoil};
use crate::check::Violation;
use crate::kubernetes::Id;
use crate::logins::Login;
use crate::machine::Machine;
use crate::wishes::Wish;
use crate::world::{HOSTS, World};

/// So far ahead Harbor's clock is, in seconds: longer than any credential lives.
const AHEAD: i64 = 100 * 86_400;

/// Statuses of all accounts and registries.
fn statuses(world: &World) -> Vec<(Id, Value)> {
    let accounts = world.wishes.iter().map(Wish::id);
    let ids = accounts.chain((0..HOSTS.len()).map(World::registry));
    let mut all = Vec::new();
    for id in ids {
        let mut status = world.stored(&id)["status"].take();
        // What Harbor is asked for once an hour a start asks for at once.
        for hourly in ["harborVersion", "permissions"] {
            if id.kind().name.ends_with("Registry") && status.is_object() {
                status[hourly] = Value::Null;
            }
        }
        all.push((id, status));
    }
    all
}

/// A start in peace changes nothing of what is told.
pub(super) async fn restarted(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    let harbor = world.harbor_of(one);
    let learns = !world.wishes[one].namespace.is_empty() && world.logins[harbor] == Login::Administrator;
    // What was learned is forgotten once an hour, which may be just then.
    for is_last in [false, true] {
        for push in [true, false] {
            Action::Edit(one, Edit::Permissions(push)).run(world, machine).await;
            sleep(SOON).await;
        }
        sleep(world.poll + SOON).await;
        let may_update = &world.stored(&World::registry(harbor))["status"]["login"]["mayUpdate"];
        if !learns || *may_update == true {
            break;
        }
        if is_last {
            return vec![format!(
                "k: the login at {} updates robots, and its registry says {may_update}",
                HOSTS[harbor]
            )];
        }
    }
    let time = AFTER_OUTAGES + world.poll;
    if world.something_is_due_within(time * 2) || world.our_clock_was_set || world.told_hourly {
        return Vec::new();
    }
    let before = statuses(world);
    restart(world, machine).await;
    sleep(time).await;
    let changed = before.into_iter().zip(statuses(world)).filter(|(before, now)| before != now);
    let changed = changed.map(|((id, before), (_, now))| format!("k: a start changed {id} from {before} to {now}"));
    changed.collect()
}

/// What a person does to a Secret while no operator runs is seen once one does.
pub(super) async fn spoiled_while_down(world: &mut World, machine: &Machine, accounts: &[usize]) -> Vec<Violation> {
    kill(world, machine).await;
    for (number, &account) in accounts.iter().enumerate() {
        let spoil = if number % 2 == 0 { Spoil::Password } else { Spoil::Corrupt };
        Action::Spoil(account, spoil).run(world, machine).await;
    }
    Action::Start(0).run(world, machine).await;
    let time = if world.has_unwatched_secrets() { world.poll + AFTER_OUTAGES } else { AFTER_OUTAGES };
    not_settled(world, "a start", Instant::now(), time).await
}

/// Harbor's clock was far ahead, and is right again: whatever was made meanwhile lives no longer than was asked for.
pub(super) async fn clock_ahead(world: &mut World, machine: &Machine) -> Vec<Violation> {
    for seconds in [AHEAD, -AHEAD] {
        Action::HarborClock(0, seconds).run(world, machine).await;
        sleep(world.poll + AFTER_OUTAGES).await;
        let wrong = not_settled(world, "another time at Harbor", Instant::now(), AFTER_OUTAGES).await;
        if !wrong.is_empty() {
            return wrong;
        }
    }
    // A robot that was made ahead lives longer than its account's grants allow, and goes by a sweep after their delay.
    sleep(super::orphans::DELAY + world.poll * 3).await;
    Vec::new()
}
