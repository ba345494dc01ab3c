//! Somebody who asks again and again makes no storm of robots.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::{SOON, not_settled};
use crate::actions::{Action, Edit, Tamper};
use crate::check::Violation;
use crate::machine::Machine;
use crate::world::World;

/// So often a person asks.
const TIMES: u32 = 12;
/// And again after so long.
const PAUSE: Duration = Duration::from_secs(30);
/// The first one is served at once, the others after 1 and 2 minutes each; and a wait for one before may just have been over.
const SERVED: usize = 4;

/// A refresh every half minute, or a robot that is deleted as often.
pub(super) async fn insistent(
    world: &mut World,
    machine: &Machine,
    one: usize,
    random: &mut SmallRng,
) -> Vec<Violation> {
    let deletes = world.poll <= PAUSE && random.random_range(0..2) == 0;
    if world.wishes[one].has_own_password() {
        // A token changes none, and it is the same in each robot.
        return Vec::new();
    }
    world.network.note("-- an insistent person");
    let before = published(world, one);
    let first = u32::try_from(world.network.calls()).unwrap_or(u32::MAX / 2);
    for number in 0..TIMES {
        let refresh = Action::Edit(one, Edit::Refresh(first + number));
        let action = if deletes { Action::Robot(one, Tamper::Delete) } else { refresh };
        action.run(world, machine).await;
        for _ in 0..3 {
            sleep(PAUSE / 3).await;
            world.note_published();
        }
    }
    let made = published(world, one).difference(&before).count();
    let (id, minutes) = (world.wishes[one].id(), (PAUSE * TIMES).as_secs() / 60);
    if made > SERVED {
        return vec![format!(
            "k: somebody wanted another credential of {id} {TIMES} times in {minutes} minutes, and it published {made}"
        )];
    }
    not_settled(world, "an insistent person", Instant::now(), SOON).await
}

/// User names and passwords that an account published.
fn published(world: &mut World, one: usize) -> BTreeSet<(String, String)> {
    world.note_published();
    let of = world.published.keys().filter(|(number, ..)| *number == one);
    of.map(|(_, _, user, password)| (user.clone(), password.clone())).collect()
}
