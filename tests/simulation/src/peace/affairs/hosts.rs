//! `spec.registryHost`: credentials are for the host that images are pulled from, if it can be one.

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::{SOON, not_settled};
use super::{message, unsaid};
use crate::check::Violation;
use crate::world::World;

/// Another host, with and without a port, and one that is none, which costs nobody its credential.
pub(super) async fn image_host(world: &mut World) -> Vec<Violation> {
    for host in ["images.example:8443", "images.example"] {
        world.image_host = Some(host.to_owned());
        drop(world.patch(&World::registry(0), &json!({"spec": {"registryHost": host}})));
        let wrong = not_settled(world, "another host of images", Instant::now(), SOON).await;
        if !wrong.is_empty() {
            return wrong;
        }
    }
    let (id, serviced) = (World::registry(0), world.serviced());
    for host in
        [format!("{}example", "images.".repeat(36)), "images_of.example".to_owned(), "images.example:0".to_owned()]
    {
        drop(world.patch(&id, &json!({"spec": {"registryHost": host}})));
        sleep(SOON).await;
        let said = ["Ready False RegistryHostInvalid", "Stalled True RegistryHostInvalid"];
        let mut wrong: Vec<Violation> = unsaid(world, &id, &said).into_iter().collect();
        let text = message(world, &id, "Ready");
        if !text.contains(&host[..10]) || !text.contains("spec.registryHost") {
            wrong.push(format!("k: {id} does not say that {host} is no host: {text}"));
        }
        if world.serviced() != serviced {
            wrong.push(format!("k: {host} is no host, and accounts are not Ready any more"));
        }
        if !wrong.is_empty() {
            return wrong;
        }
    }
    world.image_host = None;
    drop(world.patch(&id, &json!({"spec": {"registryHost": null}})));
    not_settled(world, "the first host of images", Instant::now(), SOON).await
}
