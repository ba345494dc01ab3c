//! What comes about with nobody's edit: time that passes at Harbor, and what a pass tells of itself.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{AFTER_OUTAGES, SOON, not_settled};
use crate::actions::{Action, Edit};
use crate::check::{Violation, condition, moment};
use crate::kubernetes::kind;
use crate::machine::Machine;
use crate::world::World;

/// Harbor's clock is set to when the first renewal is due: that is noticed at the next poll, and edits help nobody.
pub(super) async fn clock(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let due = |number: &usize| {
        let account = world.account(*number).filter(|_| world.harbor_of(*number) == 0)?;
        Some((moment(&account["status"]["renewalTime"])?, account["status"]["robot"].clone()))
    };
    let Some((number, (at, robot))) =
        world.serviced().into_iter().filter_map(|number| Some((number, due(&number)?))).min_by_key(|(_, (at, _))| *at)
    else {
        return Vec::new();
    };
    world.network.note("-- a clock is set");
    let ahead = at - world.harbor(0).state().clock.now_ms();
    Action::HarborClock(0, ahead / 1_000 + 60).run(world, machine).await;
    sleep(world.poll + AFTER_OUTAGES).await;
    let id = world.wishes[number].id();
    let stored = world.account(number).unwrap_or_default();
    if stored["status"]["robot"] == robot {
        return vec![format!("k: {id} was due for renewal by Harbor's clock, and has {robot}")];
    }
    // Others may be due in the same minute, or have expired.
    not_settled(world, "another time at Harbor", Instant::now(), AFTER_OUTAGES).await
}

fn events(world: &World) -> BTreeSet<String> {
    world.cluster.store().all(kind("Event"), None).map(|(id, _)| id.to_string()).collect()
}

/// A new credential is told by an event of the account, with what becomes of the former one.
pub(super) async fn refreshed(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    if world.wishes[one].has_own_password() {
        return Vec::new();
    }
    world.network.note("-- a refresh");
    let (before, former) = (events(world), world.account(one).unwrap_or_default()["status"]["previous"]["id"].clone());
    let count = u32::try_from(world.network.calls()).unwrap_or(u32::MAX);
    Action::Edit(one, Edit::Refresh(count)).run(world, machine).await;
    let wrong = not_settled(world, "a refresh", Instant::now(), SOON).await;
    if !wrong.is_empty() {
        return wrong;
    }
    // The event may be under way when the status is there.
    sleep(Duration::from_secs(1)).await;
    let (id, account) = (world.wishes[one].id(), world.account(one).unwrap_or_default());
    let status = &account["status"];
    let name = status["robot"]["name"].as_str().unwrap_or_default();
    // One that is there from an earlier rotation was told of then.
    let previous = Some(&status["previous"]).filter(|previous| previous["id"] != former);
    let until = previous.and_then(|previous| previous["revocationTime"].as_str());
    let store = world.cluster.store();
    let tells = |event: &Value| {
        let note = event["note"].as_str().unwrap_or_default();
        let regarding = &event["regarding"];
        let of = regarding["kind"] == id.kind().name
            && regarding["name"] == id.name
            && regarding["uid"] == account["metadata"]["uid"];
        let what = event["reason"] == "Replaced" || event["reason"] == "Refreshed";
        let end = until.is_none_or(|until| note.ends_with(&format!(" is deleted at {until}")));
        of && what && event["type"] == "Normal" && note.starts_with(&format!("Robot {name} was ")) && end
    };
    let told = store.all(kind("Event"), None).any(|(at, event)| !before.contains(&at.to_string()) && tells(event));
    let last = condition(&account, "Ready")["message"].clone();
    (!told)
        .then(|| format!("k: no event tells of the refresh of {id}, which has {name} until {until:?}: {last}"))
        .into_iter()
        .collect()
}
