//! Many accounts on servers that are slow: whoever waits for them holds nobody else up.

use std::time::Duration;

use futures::StreamExt as _;
use harbor_robot_faults::Pace;
use harbor_robot_operator::api::RobotAccount;
use harbor_robot_world::poll;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

use super::Row;
use super::lies::pace;
use super::played::{OLD, Played};
use super::stage::are_asked_again;
use super::transport::NO_HARBOR;
use super::world::{World, is_chosen};
use crate::scene::condition;

/// On each server.
const ACCOUNTS: usize = 300;
/// How long it may take to serve them all once the servers are quick.
const SERVED: Duration = Duration::from_mins(1);

fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "300 accounts on a server that answers after nine seconds",
            pace(Pace::After(Duration::from_secs(9))),
            &[],
        ),
        Row::new(
            "300 accounts on a server that sends a byte a second",
            pace(Pace::ByteBy(Duration::from_secs(1))),
            NO_HARBOR,
        ),
    ]
}

/// Plays them together.
///
/// # Panics
/// When something did not hold.
pub async fn play() {
    let rows: Vec<Row> = rows().into_iter().filter(|row| is_chosen(row.name)).collect();
    if rows.is_empty() {
        return;
    }
    let mut world = World::new("slow", &["--tenant-requests-per-second=1000"]).await;
    let mut played = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        played.push(Played::new(&world.scene, number, row).await);
    }
    let projects: Vec<String> = played.iter().map(|played| played.namespace.clone()).collect();
    world.scene.harbor.seed_projects(&projects).await.unwrap();
    let mut items: Vec<_> = played.iter().flat_map(|played| played.objects(&world.scene)).collect();
    for item in items.iter_mut().filter(|item| item["kind"] == "HarborRegistry") {
        // A tenant asks for as much as it may.
        item["spec"]["rateLimit"] = json!({"requestsPerSecond": 1_000, "maxInFlight": 1_000});
    }
    tokio::task::block_in_place(|| world.scene.apply(json!({"apiVersion": "v1", "kind": "List", "items": items})));
    world.others_are_served("before the lie").await;
    world.count_memory();
    for played in &played {
        played.liar.lie(played.row.lie.clone());
        let api = played.accounts(&world.scene);
        let made = (0..ACCOUNTS).map(|n| {
            let account = serde_json::from_value(played.account(&format!("ci-{n}"), &json!({}))).unwrap();
            let api = api.clone();
            async move { api.create(&PostParams::default(), &account).await.map(drop) }
        });
        let made: Vec<_> = futures::stream::iter(made).buffer_unordered(20).collect().await;
        for made in made {
            made.unwrap();
        }
    }
    for n in 1..=5 {
        world.others_are_served(&format!("beside slow servers, {n}")).await;
    }
    say_why(&mut world, &played).await;
    world.remembers("beside slow servers");
    world.kill().await;
    for played in &played {
        played.liar.forget();
    }
    world.start();
    are_asked_again(&mut world, &played).await;
    for n in 1..=3 {
        world.others_are_served(&format!("after a restart beside slow servers, {n}")).await;
    }
    for played in &played {
        played.liar.tell_the_truth();
    }
    served(&mut world, &played).await;
    world.remembers("until all are served");
    world.end();
}

/// The registry, or its first account, says that nothing answers. Of one that is only slow nothing is wrong.
async fn say_why(world: &mut World, played: &[Played]) {
    for played in played.iter().filter(|played| !played.row.says.is_empty()) {
        let scene = &world.scene;
        let said = poll("says that it does not answer", Duration::from_secs(30), || async {
            let said = played.said(scene, &[OLD]).await;
            if said.fits(&played.row) { Ok(said.problems) } else { Err(format!("{:?}", said.problems)) }
        });
        match said.await {
            Ok(said) => eprintln!("  {}: {}", played.row.name, said.join(", ")),
            Err(error) => world.failed(played.row.name, error),
        }
    }
}

async fn served(world: &mut World, played: &[Played]) {
    let begun = std::time::Instant::now();
    for played in played {
        let scene = &world.scene;
        let all = poll("all are served", SERVED.saturating_sub(begun.elapsed()), || async {
            let api: Api<RobotAccount> = played.accounts(scene);
            let accounts = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let ready =
                |account: &&RobotAccount| condition(account, "Ready").is_some_and(|(status, _, _)| status == "True");
            let ready = accounts.items.iter().filter(ready).count();
            if ready > ACCOUNTS { Ok(()) } else { Err(format!("{ready} of {}", ACCOUNTS + 1)) }
        });
        match all.await {
            Ok(()) => eprintln!("  {}: served after {:.1?}", played.row.name, begun.elapsed()),
            Err(error) => world.failed(played.row.name, error),
        }
    }
}
