//! Damages objects of every watched kind, all at once, and looks at what becomes of everybody else.

use std::time::Duration;

use futures::future::join_all;
use harbor_robot_world::poll;
use serde_json::{Value, json};

use super::damaged::{Damage, Kind, NAME, damages, read};
use super::world::{World, is_chosen};
use crate::scene::SOON;

/// How long it may take to serve an account whose object was put right.
const SERVED: Duration = Duration::from_mins(1);

/// Damages them all.
///
/// # Panics
/// When something did not hold.
pub async fn wreck() {
    let damages: Vec<Damage> = damages().into_iter().filter(|damage| is_chosen(damage.name)).collect();
    if damages.is_empty() {
        return;
    }
    let mut world = World::new("damaged", &[]).await;
    let namespaces: Vec<String> = (0..damages.len()).map(|n| format!("{}-{n}", world.scene.namespace)).collect();
    world.scene.harbor.seed_projects(&namespaces).await.unwrap();
    let items: Vec<Value> = damages
        .iter()
        .zip(&namespaces)
        .flat_map(|(damage, namespace)| damage.objects(&world.scene, namespace))
        .collect();
    tokio::task::block_in_place(|| world.scene.apply(json!({"apiVersion": "v1", "kind": "List", "items": items})));
    served(&mut world, &damages, &namespaces, SOON).await;
    world.count_memory();

    strike(&mut world, &damages, &namespaces, 1).await;
    world.others_are_served("beside damaged objects").await;
    world.remembers("beside damaged objects");

    world.no_panic();
    tokio::task::block_in_place(|| world.scene.terminate());
    // Whoever ran last has put something right again.
    strike(&mut world, &damages, &namespaces, 2).await;
    tokio::task::block_in_place(|| world.scene.start());
    world.others_are_served("after a start among damaged objects").await;
    world.remembers("after a start among damaged objects");
    // The first accounts are served before everything is looked at.
    let operator = world.scene.operator.as_ref().unwrap();
    let ready = poll("ready", SOON, || async { if operator.ready().await { Ok(()) } else { Err("not ready") } }).await;
    if let Err(error) = ready {
        world.failed("the process", format!("after a start among damaged objects: {error}"));
    }

    let mended = damages.iter().zip(&namespaces).map(|(damage, namespace)| damage.mend(&world.scene, namespace));
    for (damage, result) in damages.iter().zip(join_all(mended).await) {
        if let Err(error) = result {
            world.failed(damage.name, format!("not put right: {error}"));
        }
    }
    served(&mut world, &damages, &namespaces, SERVED).await;
    world.end();
}

async fn strike(world: &mut World, damages: &[Damage], namespaces: &[String], round: usize) {
    let struck =
        damages.iter().zip(namespaces).map(|(damage, namespace)| damage.strike(&world.scene, namespace, round));
    for (damage, result) in damages.iter().zip(join_all(struck).await) {
        if let Err(error) = result {
            world.failed(damage.name, format!("the API server takes it: {error}"));
        }
    }
}

/// The row's account is Ready, and so is what else there is in it.
async fn served(world: &mut World, damages: &[Damage], namespaces: &[String], within: Duration) {
    let scene = &world.scene;
    let waits = damages.iter().zip(namespaces).map(|(damage, namespace)| async move {
        let kinds = match damage.kind {
            Kind::SystemAccount | Kind::ClusterRegistry => vec![Kind::Account, damage.kind],
            _ => vec![Kind::Account],
        };
        for kind in kinds {
            // A login of the cluster is in the operator's own namespace.
            poll(&format!("{kind:?} is Ready"), within, || async {
                let object = read(scene, &kind.path(scene, namespace)).await?;
                let status = &object["status"];
                let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
                let ready = conditions.iter().any(|found| found["type"] == "Ready" && found["status"] == "True");
                let current = status["observedGeneration"] == object["metadata"]["generation"];
                if ready && current { Ok(()) } else { Err(status.to_string().chars().take(600).collect::<String>()) }
            })
            .await?;
        }
        // Ready is what was said before the Secret was struck, until a pass looked.
        poll("its credential logs in", within, || async {
            let secret = scene.secret_in(namespace, NAME).await;
            let login = secret.as_ref().and_then(crate::scene::login_in).ok_or("no credential")?;
            match scene.harbor.verify(&login.name, &login.secret).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(format!("{} is refused", login.name)),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    });
    for (damage, result) in damages.iter().zip(join_all(waits).await) {
        if let Err(error) = result {
            world.failed(damage.name, error);
        }
    }
}
