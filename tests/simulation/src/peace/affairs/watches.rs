//! What watches do not tell.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::{AFTER_GAPS, not_settled};
use crate::actions::{Action, Spoil, Tamper};
use crate::check::Violation;
use crate::machine::Machine;
use crate::world::World;

/// A poll that comes before a watch that tells nothing is given up.
const SHORT_POLL: Duration = Duration::from_secs(30);

/// While watches lag the operator repairs a credential and a person spoils it again: the list that follows shows the end of it
/// alone.
pub(super) async fn lag(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    let Some(id) = world.secret_of(one).filter(|_| world.poll <= SHORT_POLL && !world.has_unwatched_secrets()) else {
        return Vec::new();
    };
    let before = world.stored(&id);
    Action::Lag(world.poll.as_secs() + 20).run(world, machine).await;
    Action::Robot(one, Tamper::Secret).run(world, machine).await;
    sleep(world.poll + Duration::from_secs(10)).await;
    if world.stored(&id) != before {
        Action::Spoil(one, Spoil::Password).run(world, machine).await;
    }
    Action::Compact.run(world, machine).await;
    world.network.lose_held();
    world.network.hold_events(Duration::ZERO);
    not_settled(world, "a lag", Instant::now(), AFTER_GAPS).await
}
