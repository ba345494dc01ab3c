//! The proxy itself, in front of a Harbor stand-in.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::time::{Duration, Instant};

use harbor_robot_faults::{Door, Fault, Faults, Moment, Point, Server, Side};
use harbor_robot_world::install_crypto_provider;
use harbor_stand_in::{Options, StandIn};
use reqwest::{Certificate, Client, Method, Response};
use serde_json::{Value, json};

struct World {
    harbor: StandIn,
    faults: Faults,
    door: Door,
    http: Client,
    direct: Client,
}

impl World {
    async fn new() -> Self {
        install_crypto_provider();
        let harbor = StandIn::start(Options { tls: true, ..Options::default() }).await.unwrap();
        let server = Server::new(harbor.url(), harbor.ca_pem(), None).unwrap();
        let faults = Faults::new();
        let door = Door::open(Side::Harbor, server, &faults).await.unwrap();
        let http = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let ca = Certificate::from_pem(harbor.ca_pem().unwrap().as_bytes()).unwrap();
        let direct = Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
        Self { harbor, faults, door, http, direct }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> reqwest::Result<Response> {
        let call = self.http.request(method, format!("{}/api/v2.0/{path}", self.door.url));
        call.basic_auth("admin", Some("Harbor12345")).json(&body).send().await
    }

    async fn make(&self, project: &str) -> reqwest::Result<u16> {
        let body = json!({"project_name": project, "metadata": {"public": "false"}});
        Ok(self.call(Method::POST, "projects", body).await?.status().as_u16())
    }

    /// What the stand-in holds, asked past the proxy.
    async fn projects(&self) -> Vec<String> {
        let call = self.direct.get(format!("{}/api/v2.0/projects?page_size=100", self.harbor.url()));
        let answer = call.basic_auth("admin", Some("Harbor12345")).send().await.unwrap();
        names(&answer.json().await.unwrap())
    }
}

fn names(projects: &Value) -> Vec<String> {
    let name = |project: &Value| project["name"].as_str().unwrap().to_owned();
    let mut names: Vec<String> = projects.as_array().unwrap().iter().map(name).collect();
    names.retain(|name| name != "library");
    names.sort();
    names
}

fn the(nth: usize, operation: &str) -> Point {
    Point { operation: operation.to_owned(), nth }
}

const POST: &str = "Harbor POST projects";

#[tokio::test]
async fn calls_pass_and_are_traced_by_kind() {
    let world = World::new().await;
    assert_eq!(world.make("one").await.unwrap(), 201);
    assert_eq!(world.make("two").await.unwrap(), 201);
    world.call(Method::GET, "projects?page_size=100", Value::Null).await.unwrap();
    let trace = world.faults.trace();
    let seen: Vec<String> = trace.iter().map(|call| format!("{} {}", call.number, call.point())).collect();
    assert_eq!(seen, ["1 Harbor POST projects #1", "2 Harbor POST projects #2", "3 Harbor GET projects #1"]);
    assert_eq!(trace.iter().map(harbor_robot_faults::Call::changes).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(trace[2].path, "/api/v2.0/projects?page_size=100");
    world.faults.forget();
    assert_eq!(world.faults.trace(), []);
    assert_eq!(world.projects().await, ["one", "two"]);
}

#[tokio::test]
async fn at_a_stop_nothing_passes_and_what_a_dead_client_sent_is_dropped() {
    for (moment, done) in [(Moment::BeforeSending, false), (Moment::Committed, true), (Moment::Answered, true)] {
        let world = World::new().await;
        let mut stop = world.faults.stop_at(the(2, POST), moment);
        assert_eq!(world.make("one").await.unwrap(), 201);
        let rest = async {
            stop.reached().await;
            assert_eq!(world.projects().await.contains(&"two".to_owned()), done, "{moment:?}");
            let further = world.make("three");
            tokio::pin!(further);
            let waited = tokio::time::timeout(Duration::from_millis(100), &mut further).await;
            assert!(waited.is_err(), "{moment:?}: it went past the stop");
            drop(stop.client_is_dead());
            assert!(further.await.is_err(), "{moment:?}");
        };
        let (call, ()) = tokio::join!(world.make("two"), rest);
        assert_eq!(call.is_ok(), moment == Moment::Answered, "{moment:?}");
        assert_eq!(world.make("four").await.unwrap(), 201);
        let wanted: &[&str] = if done { &["four", "one", "two"] } else { &["four", "one"] };
        assert_eq!(world.projects().await, wanted, "{moment:?}");
    }
}

#[tokio::test]
async fn a_stop_that_is_released_changes_nothing() {
    for moment in [Moment::BeforeSending, Moment::Committed, Moment::Answered] {
        let world = World::new().await;
        let mut stop = world.faults.stop_at(the(1, POST), moment);
        let release = async {
            stop.reached().await;
            stop.release();
        };
        let (call, ()) = tokio::join!(world.make("one"), release);
        assert_eq!(call.unwrap(), 201, "{moment:?}");
        assert_eq!(world.make("two").await.unwrap(), 201);
    }
}

#[tokio::test]
async fn the_call_of_a_dead_client_can_arrive_late() {
    let world = World::new().await;
    let mut stop = world.faults.stop_at(the(1, POST), Moment::BeforeSending);
    let gone = tokio::time::timeout(Duration::from_millis(100), world.make("late")).await;
    assert!(gone.is_err());
    stop.reached().await;
    let held = stop.client_is_dead();
    assert_eq!(world.make("early").await.unwrap(), 201);
    assert_eq!(world.projects().await, ["early"]);
    assert_eq!(held.arrives_late().await, 201);
    assert_eq!(world.projects().await, ["early", "late"]);
}

#[tokio::test]
async fn faults_hit_the_calls_that_they_name() {
    let world = World::new().await;
    world.faults.once(the(1, POST), Fault::Refuse);
    world.faults.once(the(2, POST), Fault::LoseAnswer);
    world.faults.once(the(3, POST), Fault::Answer(503, "later".to_owned()));
    world.faults.once(the(4, POST), Fault::AnswerAfterwards(502, String::new()));
    assert!(world.make("refused").await.is_err());
    assert!(world.make("lost").await.is_err());
    assert_eq!(world.make("unavailable").await.unwrap(), 503);
    assert_eq!(world.make("gateway").await.unwrap(), 502);
    assert_eq!(world.projects().await, ["gateway", "lost"]);

    for fault in [Fault::Delay(Duration::from_millis(50)), Fault::DelayAnswer(Duration::from_millis(50))] {
        world.faults.always(POST, fault);
        let begun = Instant::now();
        assert_eq!(world.make("lost").await.unwrap(), 409);
        assert!(begun.elapsed() >= Duration::from_millis(50));
    }
    world.faults.clear();
    assert_eq!(world.make("last").await.unwrap(), 201);
}

#[tokio::test]
async fn a_frozen_read_is_answered_as_it_was_at_first() {
    let world = World::new().await;
    let seen = || async {
        let answer = world.call(Method::GET, "projects?page_size=100", Value::Null).await.unwrap();
        names(&answer.json().await.unwrap())
    };
    assert_eq!(world.make("one").await.unwrap(), 201);
    world.faults.freeze("Harbor GET projects");
    assert_eq!(seen().await, ["one"]);
    assert_eq!(world.make("two").await.unwrap(), 201);
    assert_eq!(seen().await, ["one"]);
    world.faults.clear();
    assert_eq!(seen().await, ["one", "two"]);
}
