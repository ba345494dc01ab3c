//! Robots that nobody answers for: those of accounts that were forced away, and those of accounts at rest that lost their
//! grants. Each ends after its time, and not before.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::{AFTER_OUTAGES, SOON, not_settled};
use super::unsaid;
use crate::actions::{Action, Damage, any};
use crate::check::Violation;
use crate::kubernetes::kind;
use crate::machine::Machine;
use crate::world::{ORPHAN_AFTER, World};

/// So long what was granted outlives its grant.
pub(super) const DELAY: Duration = Duration::from_mins(5);

/// An account goes without the operator: its robot is counted, and deleted where that is asked for.
pub(super) async fn orphaned(
    world: &mut World,
    machine: &Machine,
    accounts: &[usize],
    random: &mut SmallRng,
) -> Vec<Violation> {
    let is_of_the_cluster = |account: &usize| world.wishes[*account].registry() == 0;
    let all: Vec<usize> = accounts.iter().copied().filter(is_of_the_cluster).collect();
    if all.is_empty() {
        return Vec::new();
    }
    let one = any(random, &all);
    let (id, path) = (World::registry(0), world.wishes[one].path());
    let reported = random.random_range(0..2) == 0;
    if reported {
        drop(world.patch(&id, &json!({"spec": {"orphanPolicy": "Report"}})));
        sleep(SOON).await;
    }
    let robots = world.robots_by_account(0).get(&path).map_or(0, Vec::len);
    Action::Damage(one, Damage::Finalizers).run(world, machine).await;
    Action::Delete(one).run(world, machine).await;
    let left = |world: &World| world.robots_by_account(0).get(&path).map_or(0, Vec::len);
    let mut wrong = Vec::new();
    sleep(ORPHAN_AFTER.saturating_sub(Duration::from_secs(5))).await;
    if left(world) != robots {
        wrong.push(format!("a: a robot of {path} was deleted before its time"));
    }
    sleep(ORPHAN_AFTER + world.poll * 2 + AFTER_OUTAGES).await;
    let (now, status) = (left(world), world.stored(&id)["status"].take());
    let expected = if reported { robots } else { 0 };
    if now != expected {
        wrong
            .push(format!("a: {now} of {robots} robots of {path}, which is gone, are there, and {expected} are to be"));
    }
    // Counted are those of the system, and of projects in use.
    let project = &world.wishes[one].spec["project"];
    let uses = |other: usize| {
        other != one && world.wishes[other].registry() == 0 && world.wishes[other].spec["project"] == *project
    };
    let used = project.is_null() || (0..world.wishes.len()).any(uses);
    if reported && used && status["orphanCount"] != json!(robots) {
        wrong.push(format!("k: {robots} robots have no account, and {id} says {}", status["orphanCount"]));
    }
    Action::Repair.run(world, machine).await;
    Action::Apply(one).run(world, machine).await;
    sleep(world.poll).await;
    if wrong.is_empty() { not_settled(world, "an account again", Instant::now(), AFTER_OUTAGES).await } else { wrong }
}

/// An account that is to be let alone loses its grant, as all do: its robot ends after the delay, and the registry tells of it.
pub(super) async fn ungranted_at_rest(world: &mut World, accounts: &[usize], random: &mut SmallRng) -> Vec<Violation> {
    let fenced =
        |account: &usize| world.wishes[*account].registry() == 0 && !world.wishes[*account].namespace.is_empty();
    let fenced: Vec<usize> = accounts.iter().copied().filter(fenced).collect();
    if fenced.is_empty() {
        return Vec::new();
    }
    let one = fenced[random.random_range(0..fenced.len())];
    let (id, registry) = (world.wishes[one].id(), World::registry(0));
    world.suspend(one, true);
    sleep(SOON).await;
    let mut wrong: Vec<Violation> =
        unsaid(world, &id, &["Ready True Published", "Synced False Suspended"]).into_iter().collect();
    let account = world.account(one).unwrap_or_default();
    drop(world.patch(&registry, &json!({"spec": {"grants": []}})));
    sleep(DELAY.saturating_sub(SOON)).await;
    if !world.logs_in(one, &account) {
        wrong.push(format!("b: what {id} published ended before the delay was over"));
    }
    sleep(SOON + world.poll * 2 + SOON).await;
    if world.logs_in(one, &account) {
        wrong.push(format!("g: {id} has no grant, and its credential logs in"));
    }
    let name = account["status"]["robot"]["name"].as_str().unwrap_or_default().to_owned();
    let tells = |event: &Value| {
        let note = event["note"].as_str().unwrap_or_default();
        event["reason"] == "RobotNotPermitted" && event["regarding"]["name"] == registry.name && note.contains(&name)
    };
    // A pass over the account may have been sooner than the sweep.
    let told = unsaid(world, &id, &["Ready False NotPermitted"]).is_none();
    if !told && !world.cluster.store().all(kind("Event"), None).any(|(_, event)| tells(event)) {
        wrong.push(format!("k: nothing tells that {name} of {id} ended"));
    }
    world.suspend(one, false);
    world.restore_order();
    sleep(world.poll).await;
    if wrong.is_empty() { not_settled(world, "grants again", Instant::now(), AFTER_OUTAGES).await } else { wrong }
}

impl World {
    /// The operator has to let an account alone, or not any longer.
    pub(super) fn suspend(&mut self, account: usize, suspended: bool) {
        self.wishes[account].spec["suspend"] = json!(suspended);
        self.apply(&self.wishes[account].clone());
    }
}
