//! What changes where credentials come from: the Harbor that the registry names, and passwords of users' own choice.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::{AFTER_OUTAGES, SOON, not_settled};
use crate::actions::{Action, Edit, Own, Place, Trouble, any};
use crate::check::Violation;
use crate::logins::Login;
use crate::machine::Machine;
use crate::run::{LESSONS, LONGEST_REST};
use crate::world::World;

/// What is left at a former URL is deleted after accounts are Ready at the new one, which is seen at the next poll.
const CLEAN: Duration = Duration::from_mins(2);

/// How long answers are none of Harbor's own.
const LASTS: Duration = Duration::from_secs(20);

/// The registry of the cluster goes back to its first Harbor, and what was left at the other is deleted, or told of.
pub(super) async fn homecoming(world: &mut World, machine: &Machine) -> Vec<Violation> {
    if world.place == Place::Home {
        return Vec::new();
    }
    world.network.note("-- the first Harbor again");
    Action::Url(Place::Home, true).run(world, machine).await;
    world.restore_order();
    world.apply_all();
    // What belongs to nobody is cleared away after two looks.
    sleep(world.poll * 3 + CLEAN).await;
    let wrong = not_settled(world, "another Harbor", Instant::now(), AFTER_OUTAGES).await;
    if !wrong.is_empty() {
        return wrong;
    }
    // One for each former URL.
    for _ in 0..2 {
        world.clean_former(&World::registry(0));
        sleep(world.poll + CLEAN).await;
    }
    not_settled(world, "the clearing of another Harbor", Instant::now(), SOON).await
}

/// Edits in the middle of answers that are none of Harbor's own are served after these.
pub(super) async fn trouble(
    world: &mut World,
    machine: &Machine,
    accounts: &[usize],
    random: &mut SmallRng,
) -> Vec<Violation> {
    let trouble = any(random, &Trouble::ALL);
    world.network.note(format_args!("-- {trouble:?}"));
    for harbor in 0..2 {
        Action::Trouble(harbor, trouble, LASTS.as_secs()).run(world, machine).await;
    }
    for &account in accounts {
        Action::Edit(account, Edit::Permissions(random.random_range(0..2) == 0)).run(world, machine).await;
        sleep(Duration::from_millis(random.random_range(0..3_000))).await;
    }
    sleep(LASTS).await;
    world.end_troubles();
    // What was asked to wait for longer than the trouble, does; and what looked as if it were lost is repaired at a measured
    // pace.
    let longest = if trouble == Trouble::Busy("86400") { LONGEST_REST } else { world.poll + AFTER_OUTAGES };
    let wrong = not_settled(world, &format!("{trouble:?}"), Instant::now(), longest).await;
    if !trouble.teaches() {
        return wrong;
    }
    not_settled(world, &format!("what {trouble:?} taught"), Instant::now(), LESSONS + world.poll * 2).await
}

/// A password of one's own is applied at once where the account says so, and within a poll where only its Secret does.
pub(super) async fn own_password(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    if world.logins[world.harbor_of(one)] == Login::Robot {
        // It may not set one.
        return Vec::new();
    }
    world.network.note("-- an own password");
    if world.wishes[one].has_own_password() {
        Action::Edit(one, Edit::OwnPassword(false)).run(world, machine).await;
        sleep(SOON).await;
    }
    Action::Edit(one, Edit::OwnPassword(true)).run(world, machine).await;
    let mut wrong = not_settled(world, "an own password", Instant::now(), SOON).await;
    if wrong.is_empty() {
        Action::OwnPassword(one, Own::Another).run(world, machine).await;
        sleep(world.poll).await;
        wrong = not_settled(world, "another own password", Instant::now(), AFTER_OUTAGES).await;
    }
    Action::Edit(one, Edit::OwnPassword(false)).run(world, machine).await;
    if wrong.is_empty() { not_settled(world, "no own password", Instant::now(), SOON).await } else { wrong }
}
