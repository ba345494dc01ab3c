//! Accounts that name no registry use the one that is annotated as the default, where there is exactly one.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::{AFTER_OUTAGES, SOON, not_settled};
use super::settings::another;
use super::unsaid;
use crate::actions::{Action, Edit};
use crate::check::Violation;
use crate::machine::Machine;
use crate::world::World;

const DEFAULT: &str = "harbor-robots.io/is-default";

/// A new account finds no default, or two of them, and is served once there is one.
pub(super) async fn none_or_two(world: &mut World, machine: &Machine, random: &mut SmallRng) -> Vec<Violation> {
    let Some(account) = (0..world.wishes.len()).find(|number| world.wishes[*number].spec["registryRef"].is_null())
    else {
        return Vec::new();
    };
    if world.wishes[account].deleted {
        return Vec::new();
    }
    let (id, registry, two) = (world.wishes[account].id(), World::registry(0), random.random_range(0..2) == 0);
    Action::Edit(account, Edit::Retain(false)).run(world, machine).await;
    sleep(SOON).await;
    Action::Delete(account).run(world, machine).await;
    sleep(AFTER_OUTAGES).await;
    if world.account(account).is_some() {
        return vec![format!("k: {id} is deleted, and still there")];
    }
    let annotate = |value: Value| json!({"metadata": {"annotations": {DEFAULT: value}}});
    let second = two.then(|| another(world, "second", &json!({}), &json!({DEFAULT: "true"})));
    if second.is_none() {
        drop(world.patch(&registry, &annotate(Value::Null)));
    }
    sleep(SOON).await;
    Action::Apply(account).run(world, machine).await;
    sleep(SOON).await;
    let reason = if two { "Ready False DefaultAmbiguous" } else { "Ready False RegistryNotFound" };
    let wrong: Vec<Violation> = unsaid(world, &id, &[reason]).into_iter().collect();
    match second {
        Some(second) => drop(world.delete(&second)),
        None => drop(world.patch(&registry, &annotate(json!("true")))),
    }
    if wrong.is_empty() { not_settled(world, "one default", Instant::now(), SOON).await } else { wrong }
}
