//! What is not served any more and what comes to nothing, in peace: access that is not granted ends, and whoever asks for what is
//! not there is told so.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::waiting::KNOWN_AWAY;
use super::{AFTER_OUTAGES, LONG_POLL, SOON, not_settled};
use crate::actions::{Action, Damage, Edit};
use crate::check::{Violation, condition};
use crate::machine::Machine;
use crate::world::{HOSTS, World};

/// So long what was granted outlives its grant.
const DELAY: Duration = Duration::from_mins(5);
/// For so long an account under `Retain` waits for a Harbor that does not answer, and a little longer.
const LET_GO: Duration = Duration::from_mins(3);
/// So long a Harbor is away then.
const AWAY: Duration = Duration::from_mins(5);

/// Grants that are narrower than what accounts have: access ends after the delay, and nothing works any more that was published.
pub(super) async fn narrowed(world: &mut World, machine: &Machine, random: &mut SmallRng) -> Vec<Violation> {
    world.network.note("-- narrower grants");
    let mut grants = world.registry_object(0)["spec"]["grants"].take();
    match random.random_range(0..5) {
        0 => grants[0]["permissions"] = json!(["CreateTags"]),
        1 => grants[0]["maxExpiresAfter"] = json!("1h"),
        2 => grants[0]["projects"] = json!(["another"]),
        3 => grants = json!([]),
        _ => grants[0]["namespaceSelector"] = json!({"matchLabels": {"team": "no"}}),
    }
    let all = (0..world.wishes.len()).filter(|number| is_fenced(world, *number)).collect::<Vec<_>>();
    world.note_published();
    if let Err(refusal) = world.patch(&World::registry(0), &json!({"spec": {"grants": grants}})) {
        return vec![format!("h: {} are no grants: {}", grants, refusal.message)];
    }
    sleep(SOON).await;
    let mut wrong: Vec<Violation> = all.iter().filter_map(|number| not_told(world, *number)).collect();
    sleep(DELAY).await;
    wrong.extend(all.into_iter().filter_map(|number| still_served(world, number)));
    Action::Repair.run(world, machine).await;
    if wrong.is_empty() { not_settled(world, "grants as before", Instant::now(), SOON).await } else { wrong }
}

/// It needs a grant.
fn is_fenced(world: &World, number: usize) -> bool {
    let wish = &world.wishes[number];
    world.living_account(number).is_some() && wish.registry() == 0 && !wish.namespace.is_empty()
}

/// It is told at once that the grant is gone.
fn not_told(world: &World, number: usize) -> Option<Violation> {
    let (id, account) = (world.wishes[number].id(), world.account(number)?);
    let ready = condition(&account, "Ready");
    (ready["reason"] != "NotPermitted").then(|| format!("g: {id} has lost its grant, and says {ready}"))
}

fn still_served(world: &World, number: usize) -> Option<Violation> {
    let (id, account) = (world.wishes[number].id(), world.account(number)?);
    let ready = condition(&account, "Ready");
    if ready["reason"] != "NotPermitted" {
        return Some(format!("g: {id} has no grant, and says {} {}", ready["reason"], ready["message"]));
    }
    if world.secret_of(number).is_some() {
        return Some(format!("g: {id} has no grant, and its Secret is there"));
    }
    let works = |(of, harbor, user, password): &&(usize, usize, String, String)| {
        *of == number
            && *harbor == world.harbor_of(number)
            && world.harbor(*harbor).state().robot_login(user, password).is_some()
    };
    let (_, _, user, _) = world.published.keys().find(works)?;
    Some(format!("g: {id} has no grant, and {user} logs in"))
}

/// A registry that goes, and takes nobody with it: whoever names it is told, and served again when it is back.
pub(super) async fn no_registry(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let number = 1;
    world.network.note("-- a registry is gone");
    let before = (world.excused, world.forgot_former);
    for action in [Action::DeleteRegistry(number), Action::DamageRegistry(number, Damage::Finalizers)] {
        action.run(world, machine).await;
        sleep(Duration::from_millis(100)).await;
    }
    sleep(AFTER_OUTAGES).await;
    if world.cluster.store().get(&World::registry(number)).is_some() {
        return vec![format!("h: {} does not go without its finalizer", World::registry(number))];
    }
    // Whoever is told of it loses nothing by it.
    (world.excused, world.forgot_former) = before;
    let mut wrong = Vec::new();
    let is_of_it =
        |account: &usize| world.wishes[*account].registry() == number && world.living_account(*account).is_some();
    let accounts: Vec<usize> = (0..world.wishes.len()).filter(is_of_it).collect();
    for account in accounts {
        Action::Edit(account, Edit::ServiceAccount("default")).run(world, machine).await;
        sleep(SOON).await;
        let stored = world.account(account).unwrap_or_default();
        let synced = condition(&stored, "Synced");
        if synced["reason"] != "RegistryNotFound" {
            wrong.push(format!("k: the registry of {} is gone, and it says {synced}", world.wishes[account].id()));
        }
    }
    Action::Repair.run(world, machine).await;
    if wrong.is_empty() { not_settled(world, "a registry again", Instant::now(), AFTER_OUTAGES).await } else { wrong }
}

/// The same of an account whose grant just went: what it holds outlives that for a while.
pub(super) async fn let_go_ungranted(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let fenced = world.serviced().into_iter().find(|number| is_fenced(world, *number));
    let Some(one) = fenced.filter(|_| world.poll < LONG_POLL) else { return Vec::new() };
    Action::Edit(one, Edit::Retain(true)).run(world, machine).await;
    sleep(SOON).await;
    Action::Ungrant.run(world, machine).await;
    sleep(SOON).await;
    let_go(world, machine, one).await
}

/// Under `Retain` an account does not wait for a Harbor that does not answer.
pub(super) async fn let_go(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    let id = world.wishes[one].id();
    let before = world.wishes[one].spec["deletionPolicy"].clone();
    world.network.note("-- Retain without Harbor");
    Action::Edit(one, Edit::Retain(true)).run(world, machine).await;
    sleep(SOON).await;
    for host in HOSTS {
        world.network.take_away(host, AWAY);
    }
    sleep(Duration::from_secs(5)).await;
    Action::Delete(one).run(world, machine).await;
    sleep(LET_GO).await;
    if let Some(left) = world.account(one) {
        return vec![format!("k: {id} is to be retained, and waits for Harbor: {}", condition(&left, "Ready"))];
    }
    sleep(AWAY.saturating_sub(LET_GO)).await;
    Action::Repair.run(world, machine).await;
    world.wishes[one].spec["deletionPolicy"] = if before.is_null() { json!("Delete") } else { before };
    Action::Apply(one).run(world, machine).await;
    // The robot that was left is taken over, or cleared away after two looks.
    sleep(world.poll * 3).await;
    not_settled(world, "Retain without Harbor", Instant::now(), AFTER_OUTAGES * 2).await
}

/// A registry whose Harbor cannot be reached says so, and what to look at.
pub(super) fn is_not_told_of_no_harbor(world: &World) -> Option<Violation> {
    // One that nobody uses is asked for once an hour only.
    let used = |number: &usize| world.serviced().iter().any(|account| world.wishes[*account].registry() == *number);
    (0..HOSTS.len()).filter(used).filter(|_| world.poll < KNOWN_AWAY).find_map(|number| {
        let id = World::registry(number);
        let stored = world.cluster.store().get(&id).cloned()?;
        let ready = condition(&stored, "Ready");
        let told =
            ready["reason"] == "Unreachable" && ready["message"].as_str().unwrap_or_default().contains("spec.url");
        (!told).then(|| format!("k: no Harbor answers, and {id} says {ready}"))
    })
}

/// A project that cannot be listed is told to the account that has its robot there.
pub(super) fn is_told_of_a_failing_project(world: &World, account: usize, why: &str) -> Option<Violation> {
    let stored = world.account(account).unwrap_or_default();
    let synced = condition(&stored, "Synced");
    let project = world.wishes[account].spec["project"].as_str().unwrap_or_default();
    let message = synced["message"].as_str().unwrap_or_default();
    let told = synced["status"] == "False" && message.contains(project) && message.contains(why);
    (!told).then(|| {
        let id = world.wishes[account].id();
        format!("k: {id} says nothing of project {project}, which Harbor does not list: {synced}")
    })
}
