//! Somebody between the operator and Harbor refuses one change: what the login may do is asked once more, and no other account
//! has a part in it.

use serde_json::Value;
use tokio::time::Instant;

use super::super::{SOON, not_settled};
use crate::actions::{Action, Edit};
use crate::check::Violation;
use crate::logins::Login;
use crate::machine::Machine;
use crate::world::World;

/// Two accounts are edited, and one of them is refused once: both keep their robots, which are changed where they are.
pub(super) async fn once(world: &mut World, machine: &Machine) -> Vec<Violation> {
    if world.mistaught || world.told_hourly || world.logins[0] == Login::Robot {
        // A robot's word holds for all projects at once.
        return Vec::new();
    }
    let robot = |account: usize| world.robot_of(account).filter(|(harbor, _)| *harbor == 0);
    let of_a_team = |account: &usize| !world.wishes[*account].namespace.is_empty();
    let accounts = world.serviced().into_iter().filter(of_a_team);
    let before: Vec<(usize, i64)> = accounts.filter_map(|account| Some((account, robot(account)?.1))).take(2).collect();
    let [(_, refused), _] = before[..] else { return Vec::new() };
    world.refuse_once(0, refused);
    for (account, _) in &before {
        let pushes = world.wishes[*account].spec["permissions"]
            .as_array()
            .is_some_and(|all| all.contains(&Value::from("PushArtifacts")));
        Action::Edit(*account, Edit::Permissions(!pushes)).run(world, machine).await;
    }
    let mut wrong = not_settled(world, "one refusal", Instant::now(), SOON).await;
    world.end_troubles();
    for (account, id) in before {
        let now = world.robot_of(account).map(|(_, id)| id);
        if now != Some(id) {
            wrong
                .push(format!("k: {} had the robot {id}, has {now:?}, and may be changed", world.wishes[account].id()));
        }
    }
    wrong
}
