use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::gate::Authority as _;

/// What the server does to the next writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing arrives and nothing is answered.
    Cut,
    /// The write commits, its answer is lost.
    LostAnswer,
    /// 500.
    Broken,
}

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    /// By candidate.
    faults: HashMap<&'static str, Fault>,
    writes: usize,
    changed: Arc<tokio::sync::Notify>,
}

/// One Lease behind the API server's rules: create once, replace by resourceVersion, a write that changes nothing keeps
/// it.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

impl Server {
    fn client(&self, who: &'static str) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, std::io::Error>(server.answer(who, request).await) }
        });
        Client::new(service, "ops")
    }

    /// Its wall clock stands still: nothing may depend on it.
    fn candidate(&self, who: &'static str) -> Election {
        let wall = || Timestamp::UNIX_EPOCH;
        let [lease, deadline, retry] = [15, 10, 2].map(Duration::from_secs);
        let params = Params::new(lease, deadline, retry).unwrap();
        Election::new(self.client(who), "ops", "operator", who.to_owned(), params, wall)
    }

    fn fault(&self, who: &'static str, fault: Option<Fault>) {
        let mut state = self.0.lock().unwrap();
        match fault {
            Some(fault) => state.faults.insert(who, fault),
            None => state.faults.remove(who),
        };
    }

    fn lease(&self) -> Option<Value> {
        self.0.lock().unwrap().lease.clone()
    }

    fn holder(&self) -> Option<String> {
        Some(self.lease()?["spec"]["holderIdentity"].as_str()?.to_owned())
    }

    fn edit(&self, edit: impl FnOnce(&mut Option<Value>)) {
        let mut state = self.0.lock().unwrap();
        edit(&mut state.lease);
        state.version += 1;
        let version = state.version.to_string();
        if let Some(lease) = &mut state.lease {
            lease["metadata"]["resourceVersion"] = json!(version);
        }
        state.changed.notify_waiters();
    }

    async fn answer(&self, who: &'static str, request: Request<Body>) -> Response<Body> {
        let fault = self.0.lock().unwrap().faults.get(who).copied();
        match fault {
            Some(Fault::Cut) => std::future::pending().await,
            Some(Fault::Broken) => return failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Some(Fault::LostAnswer) | None => {}
        }
        let (method, query) = (request.method().clone(), request.uri().query().unwrap_or("").to_owned());
        if query.contains("watch=") {
            let changed = Arc::clone(&self.0.lock().unwrap().changed);
            changed.notified().await;
            return self.event();
        }
        let body = request.into_body().collect_bytes().await.unwrap();
        if method == Method::GET {
            return self.read(&query);
        }
        let answer = self.write(&method, serde_json::from_slice(&body).unwrap());
        if fault == Some(Fault::LostAnswer) {
            std::future::pending::<()>().await;
        }
        answer
    }

    fn read(&self, query: &str) -> Response<Body> {
        let state = self.0.lock().unwrap();
        if query.contains("fieldSelector") {
            let items: Vec<_> = state.lease.iter().collect();
            let metadata = json!({"resourceVersion": state.version.to_string()});
            return ok(
                &json!({"apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList", "metadata": metadata, "items": items}),
            );
        }
        state.lease.as_ref().map_or_else(|| failure(StatusCode::NOT_FOUND, "NotFound"), ok)
    }

    fn event(&self) -> Response<Body> {
        let state = self.0.lock().unwrap();
        let event = json!({"type": "MODIFIED", "object": state.lease});
        Response::new(Body::from(format!("{event}\n").into_bytes()))
    }

    fn write(&self, method: &Method, new: Value) -> Response<Body> {
        let mut state = self.0.lock().unwrap();
        state.writes += 1;
        let old = state.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (method, old) {
            (&Method::POST, Some(_)) => return failure(StatusCode::CONFLICT, "AlreadyExists"),
            (&Method::PUT, None) => return failure(StatusCode::NOT_FOUND, "NotFound"),
            (&Method::PUT, Some(old)) if new["metadata"]["resourceVersion"] != old => {
                return failure(StatusCode::CONFLICT, "Conflict");
            }
            _ => {}
        }
        let unchanged = state.lease.as_ref() == Some(&new);
        drop(state);
        if !unchanged {
            self.edit(|lease| *lease = Some(new));
        }
        ok(&self.lease().unwrap())
    }
}

fn ok(body: &Value) -> Response<Body> {
    Response::new(Body::from(body.to_string().into_bytes()))
}

fn failure(status: StatusCode, reason: &str) -> Response<Body> {
    let body = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "code": status.as_u16(), "message": reason, "metadata": {}});
    let mut response = ok(&body);
    *response.status_mut() = status;
    response
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

const STEP: Duration = Duration::from_secs(8);

#[tokio::test(start_paused = true)]
async fn the_first_creates_the_lease_and_leads_at_once() {
    let server = Server::default();
    let start = Instant::now();
    let leadership = server.candidate("a").acquire().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((leadership.takeover(), server.holder().as_deref()), (Takeover::Clean, Some("a")));
    assert!(leadership.claim().holds_for(STEP));
    assert!(!leadership.claim().holds_for(Duration::from_secs(16)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_renews_keeps_the_lead_for_ever_at_one_write_per_renewal() {
    let server = Server::default();
    let mut leadership = server.candidate("a").acquire().await;
    let claim = leadership.claim();
    let standby = tokio::spawn(server.candidate("b").acquire());
    assert!(timeout(Duration::from_hours(1), leadership.keep()).await.is_err());
    assert!(claim.holds_for(STEP));
    assert!(!standby.is_finished());
    assert!((719..=721).contains(&server.0.lock().unwrap().writes));
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_over_at_once_and_clean() {
    let server = Server::default();
    let leadership = server.candidate("a").acquire().await;
    let claim = leadership.claim();
    let standby = tokio::spawn(server.candidate("b").acquire());
    seconds(3).await;
    let start = Instant::now();
    leadership.release().await;
    assert!(!claim.holds_for(Duration::ZERO));
    let next = standby.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(next.takeover(), Takeover::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_is_replaced_only_after_its_claim_has_ended() {
    let server = Server::default();
    let leadership = server.candidate("a").acquire().await;
    let claim = leadership.claim();
    let start = Instant::now();
    let next = server.candidate("b").acquire().await;
    assert!(start.elapsed() >= Duration::from_secs(15));
    assert!(start.elapsed() <= Duration::from_secs(21), "{:?}", start.elapsed());
    assert!(!claim.holds_for(Duration::from_millis(1)));
    assert_eq!(next.takeover(), Takeover::Unclean);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_gives_up_before_another_can_lead() {
    let server = Server::default();
    let mut leadership = server.candidate("a").acquire().await;
    let claim = leadership.claim();
    let standby = tokio::spawn(server.candidate("b").acquire());
    server.fault("a", Some(Fault::Cut));
    let start = Instant::now();
    assert_eq!(leadership.keep().await, Lost::Deadline);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert!(!claim.holds_for(Duration::ZERO) && claim.hold().await.is_none());
    assert!(!standby.is_finished());
    assert_eq!(standby.await.unwrap().takeover(), Takeover::Unclean);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_stopped_and_wakes_up_finds_its_claim_ended() {
    let server = Server::default();
    let mut leadership = server.candidate("a").acquire().await;
    let claim = leadership.claim();
    // Nobody polls `keep`: the process stands still.
    let _next = server.candidate("b").acquire().await;
    seconds(40).await;
    assert!(!claim.holds_for(Duration::ZERO));
    assert_eq!(leadership.keep().await, Lost::Deadline);
    assert_eq!(server.holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn another_holder_ends_the_lead() {
    let server = Server::default();
    let mut leadership = server.candidate("a").acquire().await;
    server.edit(|lease| lease.as_mut().unwrap()["spec"]["holderIdentity"] = json!("thief"));
    assert_eq!(leadership.keep().await, Lost::Taken("thief".to_owned()));
    assert!(!leadership.claim().holds_for(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_a_label_or_a_deleted_lease_do_not_end_the_lead() {
    let server = Server::default();
    let mut leadership = server.candidate("a").acquire().await;
    let claim = leadership.claim();
    let keep = tokio::spawn(async move { leadership.keep().await });
    server.fault("a", Some(Fault::LostAnswer));
    seconds(6).await;
    server.fault("a", None);
    seconds(6).await;
    assert!(claim.holds_for(STEP));
    server.edit(|lease| lease.as_mut().unwrap()["metadata"]["labels"] = json!({"a": "b"}));
    seconds(6).await;
    assert!(claim.holds_for(STEP));
    server.edit(|lease| *lease = None);
    seconds(6).await;
    assert!(claim.holds_for(STEP));
    assert_eq!(server.holder().as_deref(), Some("a"));
    assert!(!keep.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_claim_can_be_waited_for_while_a_renewal_is_late() {
    let server = Server::default();
    let mut leadership = server.candidate("a").acquire().await;
    let claim = leadership.claim();
    let keep = tokio::spawn(async move { leadership.keep().await });
    server.fault("a", Some(Fault::Broken));
    seconds(8).await;
    assert!(!claim.holds_for(STEP));
    server.fault("a", None);
    let granted = claim.hold().await.unwrap();
    assert!(claim.holds_for(granted));
    assert!(!keep.is_finished());
}

#[tokio::test(start_paused = true)]
async fn of_many_candidates_exactly_one_leads_at_any_time() {
    let server = Server::default();
    let names = ["a", "b", "c", "d", "e"];
    let mut candidates = tokio::task::JoinSet::new();
    for name in names {
        candidates.spawn(server.candidate(name).acquire());
    }
    let mut claims: Vec<Claim> = Vec::new();
    for _ in names {
        let leadership = candidates.join_next().await.unwrap().unwrap();
        assert!(claims.iter().all(|claim| !claim.holds_for(Duration::ZERO)), "two claims at once");
        claims.push(leadership.claim());
        // Each leader freezes: no renewal, no release, and its claim is not withdrawn.
        std::mem::forget(leadership);
        seconds(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_candidate_goes_on_trying_while_the_api_server_is_down() {
    let server = Server::default();
    server.fault("a", Some(Fault::Cut));
    let candidate = tokio::spawn(server.candidate("a").acquire());
    seconds(60).await;
    server.fault("a", Some(Fault::Broken));
    seconds(60).await;
    server.fault("a", None);
    assert_eq!(candidate.await.unwrap().takeover(), Takeover::Clean);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_the_claim_is_answered_by_the_next_renewal_at_the_latest() {
    let server = Server::default();
    let mut leadership = server.candidate("a").acquire().await;
    let claim = leadership.claim();
    let keep = tokio::spawn(async move { leadership.keep().await });
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(137)).await;
        let asked = Instant::now();
        assert_eq!(claim.hold().await, Some(Duration::from_secs(10)));
        assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
        assert!(claim.holds_for(Duration::from_secs(10)));
    }
    assert!(!keep.is_finished());
}

#[test]
fn no_two_processes_share_an_identity() {
    assert_ne!(identity("pod-0"), identity("pod-0"));
}
