//! A system account that names its projects.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::{AFTER_OUTAGES, SOON, not_settled};
use super::{message, unsaid};
use crate::actions::Action;
use crate::check::Violation;
use crate::machine::Machine;
use crate::world::World;

/// In so long an account that waits for a project asks Harbor less than so often.
const LOOKS: (Duration, u64) = (Duration::from_mins(2), 300);

/// One of them goes: the account has the others, says so, and has it again once it is back.
pub(super) async fn named(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let system = |number: &usize| world.wishes[*number].namespace.is_empty();
    let Some(account) = world.serviced().into_iter().find(system) else { return Vec::new() };
    let before = world.wishes[account].spec["projects"].clone();
    let permissions = before["matching"][0]["permissions"].clone();
    let select = |names: &[&str]| {
        let all = names.iter().map(|name| json!({"project": name, "permissions": permissions}));
        json!({"selected": all.collect::<Vec<_>>(), "matching": null})
    };
    wish_for(world, machine, account, select(&["shared", "team-b"])).await;
    let mut wrong = not_settled(world, "named projects", Instant::now(), SOON).await;
    if wrong.is_empty() {
        Action::DeleteProject(0, "shared").run(world, machine).await;
        wish_for(world, machine, account, select(&["shared", "team-a", "team-b"])).await;
        sleep(SOON).await;
        let id = world.wishes[account].id();
        wrong.extend(unsaid(world, &id, &["Ready True Published", "Synced False ProjectNotFound"]));
        let said = message(world, &id, "Synced");
        if !said.contains("shared") || said.contains("team-") {
            wrong.push(format!("k: the project shared alone is not there, and {id} says {said}"));
        }
        let calls = world.network.calls();
        sleep(LOOKS.0).await;
        let calls = world.network.calls() - calls;
        wrong.extend((calls > LOOKS.1).then(|| format!("k: {calls} calls while a project is missing")));
        wrong.extend(less_than(world, account, 2));
        world.restore_order();
        sleep(world.poll).await;
    }
    if wrong.is_empty() {
        wrong = not_settled(world, "a named project", Instant::now(), AFTER_OUTAGES).await;
    }
    wish_for(world, machine, account, json!({"matching": before["matching"], "selected": null})).await;
    if wrong.is_empty() { not_settled(world, "any project", Instant::now(), SOON).await } else { wrong }
}

async fn wish_for(world: &mut World, machine: &Machine, account: usize, projects: Value) {
    let merged: serde_json::Map<String, Value> = projects
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    world.wishes[account].spec["projects"] = Value::Object(merged);
    Action::Apply(account).run(world, machine).await;
}

/// The account's robot is in fewer projects than these.
fn less_than(world: &World, account: usize, projects: usize) -> Option<Violation> {
    let (harbor, id) = world.robot_of(account)?;
    let state = world.harbor(harbor).state();
    let groups = &state.robots.get(id)?.groups;
    let given = groups.iter().filter(|group| group.scope.shown(&state.projects).is_some()).count();
    (given != projects).then(|| format!("k: {} is in {given} projects of {projects}", world.wishes[account].id()))
}
