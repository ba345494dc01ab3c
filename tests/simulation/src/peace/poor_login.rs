//! A robot's login that lacks a right: whoever needs it reads which one it is, and where.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{AFTER_OUTAGES, LONG_POLL, SOON, not_settled};
use crate::actions::{Action, Edit};
use crate::check::{Violation, condition};
use crate::logins::Login;
use crate::machine::Machine;
use crate::world::World;

/// Rights that may be missing: resource, action, whether of the system, and the account of the first wishes that needs it.
const RIGHTS: [(&str, &str, bool, usize); 3] =
    [("robot", "create", false, 0), ("repository", "push", false, 1), ("robot", "create", true, 4)];

/// The login of the cluster's registry is a robot that lacks one of them.
pub(super) async fn poor_login(world: &mut World, machine: &Machine, random: &mut SmallRng) -> Vec<Violation> {
    let (resource, action, system, account) = RIGHTS[random.random_range(0..RIGHTS.len())];
    let (login, wishes) = (world.logins[0], world.wishes.clone());
    if !world.serviced().contains(&account) || world.poll >= LONG_POLL {
        return Vec::new();
    }
    world.network.note(format_args!("-- a login without {resource}:{action}"));
    for number in (0..wishes.len()).filter(|number| wishes[*number].registry() == 0 && !wishes[*number].deleted) {
        world.wishes[number].spec["rotation"]["strategy"] = json!("Overlap");
        world.wishes[number].spec["passwordSecretRef"] = Value::Null;
        world.apply(&world.wishes[number]);
    }
    sleep(SOON).await;
    world.log_in_as(0, Login::Robot);
    sleep(SOON).await;
    world.take_right(0, system, resource, action);
    if action == "push" {
        Action::Edit(account, Edit::Permissions(true)).run(world, machine).await;
    }
    let token = u32::try_from(world.network.calls()).unwrap_or(u32::MAX);
    Action::Edit(account, Edit::Refresh(token)).run(world, machine).await;
    sleep(AFTER_OUTAGES).await;
    let stored = world.account(account).unwrap_or_default();
    let synced = condition(&stored, "Synced");
    let said = synced["message"].as_str().unwrap_or_default();
    let place = stored["spec"]["project"].as_str().unwrap_or("system");
    let mut wrong = Vec::new();
    let names = [resource, action, place].into_iter().all(|word| said.contains(word));
    if synced["status"] != "False" || !names || said.contains("project:update") {
        let id = world.wishes[account].id();
        wrong.push(format!(
            "k: the login may not {action} a {resource} on {place}, which {id} needs, and it says {synced}"
        ));
        // Whose refresh waits did not try yet.
        wrong.retain(|wrong| !world.is_of_a_paced_account(wrong));
    }
    // Nor who the operator is there.
    wrong.extend(world.always());
    world.give_rights(0);
    sleep(world.poll + AFTER_OUTAGES).await;
    if wrong.is_empty() {
        wrong = not_settled(world, "a right again", Instant::now(), AFTER_OUTAGES).await;
    }
    world.log_in_as(0, login);
    sleep(SOON).await;
    for (number, wish) in wishes.into_iter().enumerate() {
        world.wishes[number].spec = wish.spec;
    }
    world.apply_all();
    if wrong.is_empty() { not_settled(world, "the former login", Instant::now(), AFTER_OUTAGES).await } else { wrong }
}
