//! `spec.serverSettings`: kept in Harbor as the registry says, by whoever may, and by the older of two.

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::{AFTER_OUTAGES, SOON, not_settled};
use super::unsaid;
use crate::check::Violation;
use crate::foreign::served;
use crate::kubernetes::{Id, kind};
use crate::logins::Login;
use crate::world::World;

/// What Harbor's setting is before anybody asks for another.
const DAYS: i64 = 30;

/// The registry asks for one setting after the other.
pub(super) async fn server_settings(world: &mut World) -> Vec<Violation> {
    let administrator = world.logins[0] == Login::Administrator;
    ask(world, &json!({"robotTokenDuration": "45d"}), &Value::Null);
    sleep(AFTER_OUTAGES).await;
    let mut wrong = Vec::new();
    if administrator {
        wrong.extend(is_not(world, "robot_token_duration", &json!(45)));
        wrong.extend(world.settled());
    } else {
        wrong.extend(unsaid(
            world,
            &World::registry(0),
            &["Ready True LoggedIn", "Stalled True LoginNotAdministrator"],
        ));
        wrong.extend(is_not(world, "robot_token_duration", &json!(DAYS)));
    }
    if wrong.is_empty() && administrator {
        wrong = contested(world).await;
    }
    if wrong.is_empty() && administrator {
        wrong = renamed(world).await;
    }
    let days = if administrator { json!({"robotTokenDuration": "30d", "robotNamePrefix": null}) } else { Value::Null };
    ask(world, &days, &Value::Null);
    sleep(AFTER_OUTAGES).await;
    ask(world, &Value::Null, &Value::Null);
    if wrong.is_empty() { not_settled(world, "Harbor's own settings", Instant::now(), SOON).await } else { wrong }
}

fn ask(world: &World, settings: &Value, confirmed: &Value) {
    let annotations = json!({"harbor-robots.io/confirm-prefix": confirmed});
    let patch = json!({"metadata": {"annotations": annotations}, "spec": {"serverSettings": settings}});
    drop(world.patch(&World::registry(0), &patch));
}

fn is_not(world: &World, setting: &str, wanted: &Value) -> Option<Violation> {
    let state = world.harbor(0).state();
    let is = state.settings.value(setting);
    (is != wanted).then(|| format!("k: {setting} of Harbor is to be {wanted}, and is {is}"))
}

/// Another registry of the same Harbor, by this name.
pub(super) fn another(world: &World, name: &str, spec: &Value, annotations: &Value) -> Id {
    let mut object = world.registry_object(0);
    object["metadata"] = json!({"name": name, "labels": served(), "annotations": annotations});
    object["spec"] = json!({"url": object["spec"]["url"], "auth": object["spec"]["auth"]});
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    let id = Id::new(kind("ClusterHarborRegistry"), "", name);
    world.put(id.kind(), "", &object);
    id
}

/// A younger registry asks for something else: it is told so, and nothing is written for it.
async fn contested(world: &World) -> Vec<Violation> {
    let second = another(world, "second", &json!({"serverSettings": {"robotTokenDuration": "60d"}}), &json!({}));
    sleep(AFTER_OUTAGES).await;
    let made = |id: &Id| world.stored(id)["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
    // Our clock may have been set back since the first was made.
    if made(&World::registry(0)) >= made(&second) {
        drop(world.delete(&second));
        sleep(AFTER_OUTAGES).await;
        return Vec::new();
    }
    let mut wrong: Vec<Violation> =
        unsaid(world, &second, &["Ready True LoggedIn", "Stalled True SettingsConflict"]).into_iter().collect();
    wrong.extend(is_not(world, "robot_token_duration", &json!(45)));
    drop(world.delete(&second));
    sleep(SOON).await;
    wrong.extend(world.cluster.store().get(&second).is_some().then(|| format!("k: {second} is still there")));
    wrong
}

/// Another prefix of all robots' names: nothing happens before it is confirmed, and then Secrets follow.
async fn renamed(world: &World) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for prefix in ["bot+", "robot$"] {
        let (settings, before) = (json!({"robotNamePrefix": prefix}), world.prefix(0));
        ask(world, &settings, &Value::Null);
        sleep(AFTER_OUTAGES).await;
        wrong.extend(unsaid(world, &World::registry(0), &["Ready True LoggedIn", "Stalled True PrefixNotConfirmed"]));
        wrong.extend(is_not(world, "robot_name_prefix", &json!(before)));
        ask(world, &settings, &json!(prefix));
        sleep(AFTER_OUTAGES).await;
        wrong.extend(is_not(world, "robot_name_prefix", &json!(prefix)));
        wrong.extend(not_settled(world, "another prefix", Instant::now(), SOON).await);
        if !wrong.is_empty() {
            break;
        }
    }
    wrong
}
