//! Only the leader changes anything: each request asks before it leaves.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use harbor_robot_operator::gate::{Authority, Gate};
use harbor_robot_operator::registry::harbor::{Client, Config};
use harbor_robot_operator::registry::{Class, Error, Settings};

use super::stub::{Act, Stub, answer, error, json as json_answer};
use super::{config, created, new_robot, update};

/// The lead lasts for so many changes, and grants each so much time.
struct Lasts(AtomicU32, Duration);

impl Authority for Lasts {
    fn hold(&self) -> BoxFuture<'_, Option<Duration>> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        Box::pin(std::future::ready(left.ok().map(|_| self.1)))
    }
}

fn leading(stub: &Stub, changes: u32, time: Duration) -> Client {
    let gate = Gate::of(Lasts(AtomicU32::new(changes), time));
    Client::new(Config { gate, ..config(&format!("http://{}", stub.address)) }).unwrap()
}

#[tokio::test]
async fn without_the_lead_no_changing_request_leaves_and_reads_do() {
    let stub = Stub::start(|request| match request.method.as_str() {
        "GET" => json_answer(200, &super::row(7, "library", "ci")),
        _ => answer(200, &[], ""),
    })
    .await;
    let client = leading(&stub, 0, Duration::from_secs(10));
    let change = Settings { robot_token_duration: Some(7), ..Settings::default() };
    let refused = [
        client.create(&new_robot()).await.map(drop),
        client.update(&update()).await,
        client.refresh(7, None).await.map(drop),
        client.delete(7).await,
        client.change_settings(&change).await,
    ];
    assert_eq!(refused, [(); 5].map(|()| Err(Error::NotLeading)));
    assert_eq!(Error::NotLeading.class(), Class::NotLeading);
    assert!(client.get(7).await.unwrap().is_some());
    assert_eq!(stub.seen().iter().map(super::stub::Seen::line).collect::<Vec<_>>(), ["GET /api/v2.0/robots/7"]);
}

#[tokio::test]
async fn a_lead_that_ends_between_two_sends_of_one_change_ends_the_change() {
    let stub = Stub::script(vec![
        error(500, "UNKNOWN", "internal server error"),
        json_answer(201, &created(7, "robot$library+ci", "made")),
    ])
    .await;
    let client = leading(&stub, 1, Duration::from_secs(10));
    assert_eq!(client.create(&new_robot()).await.err(), Some(Error::NotLeading));
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn a_change_is_given_up_when_the_lead_grants_no_more_time() {
    let stub = Stub::always(Act::Hang(Vec::new())).await;
    let client = leading(&stub, 1, Duration::from_millis(300));
    let asked = Instant::now();
    assert_eq!(client.delete(7).await, Err(Error::NoAnswer("timed out")));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(stub.seen().len(), 1);
}
