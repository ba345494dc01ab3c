//! A server that answers slowly, or byte by byte, takes its time from its own accounts and from nobody else's.

use std::time::{Duration, Instant};

use harbor_robot_world::{Harbor, HarborOptions, eventually};
use serde_json::{Value, json};

use crate::scene::{SOON, Scene, Setting};

/// The stand-ins are on a loopback address, which no tenant reaches unless it is allowed.
const ALLOWED: [&str; 2] = ["--private-registry-hosts=127.0.0.1", "--tenant-requests-per-second=1000"];

/// More accounts than there are passes at one time.
const ACCOUNTS: usize = 80;

/// A scene with a second Harbor, which the HarborRegistry `slow` of the namespace points at.
async fn scene_with_slow() -> (Scene, Harbor) {
    let args = ALLOWED.map(ToOwned::to_owned).to_vec();
    let scene = Scene::new(Setting { args, ..Setting::default() }).await;
    let slow = tokio::task::spawn_blocking(|| Harbor::start(&HarborOptions::default())).await.unwrap().unwrap();
    slow.create_project(&scene.namespace).await.unwrap();
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "slow-login", "namespace": scene.namespace, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": slow.admin.name, "password": slow.admin.secret},
    }));
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "slow", "namespace": scene.namespace, "labels": {"scene": scene.registry}},
        "spec": {
            "url": slow.url, "auth": {"secretRef": {"name": "slow-login"}},
            "rateLimit": {"requestsPerSecond": 1000, "maxInFlight": 1000},
        },
    }));
    // Once one of its accounts is served it is known to answer.
    scene.account("first", of_slow()).await;
    scene.settled("first").await;
    (scene, slow)
}

fn of_slow() -> Value {
    json!({"registryRef": {"kind": "HarborRegistry", "name": "slow"}})
}

/// While many accounts wait on the server, one of the other registry is served as if they were not there.
async fn others_are_served(quirks: Value) {
    let (scene, slow) = scene_with_slow().await;
    slow.quirks(quirks).await.unwrap();
    slow.reset_calls().await.unwrap();
    for number in 0..ACCOUNTS {
        scene.account(&format!("slow-{number}"), of_slow()).await;
    }
    // One that waits for its answer is among those under way, one whose answer is on its way among those that were made.
    eventually("the slow server has all that it may have under way", SOON, || async {
        let calls = slow.call_counts().await.map_err(|error| error.to_string())?;
        if calls.most_in_flight.max(calls.total) >= 8 { Ok(()) } else { Err(format!("{calls:?}")) }
    })
    .await;
    for number in 0..3 {
        let name = format!("quick-{number}");
        let asked = Instant::now();
        scene.account(&name, json!({})).await;
        scene.settled(&name).await;
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    let most = slow.call_counts().await.unwrap().most_in_flight;
    assert!(most <= 8, "maxInFlight of a namespace's registry has a ceiling: {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_on_a_server_that_answers_after_nine_seconds_delay_no_others() {
    others_are_served(json!({"latencyMs": 9000})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_on_a_server_that_sends_a_byte_a_second_delay_no_others() {
    others_are_served(json!({"fail": [{"status": 200, "bodyBytes": 4096, "slowBodyMs": 1000, "count": 0}]})).await;
}
