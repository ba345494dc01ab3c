use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::api::RobotAccount;

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some("n".to_owned()), ..ObjectMeta::default() }
}

fn is(name: &str, shown: Shown) -> Step<ObjectMeta> {
    Step::Object(Seen::Is(meta(name), shown))
}

fn unreadable(name: &str) -> Step<ObjectMeta> {
    Step::Object(Seen::Unreadable(Box::new(Unreadable {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        metadata: meta(name),
        path: String::new(),
        detail: String::new(),
    })))
}

fn list(names: &[&str]) -> Vec<Step<ObjectMeta>> {
    let there = names.iter().map(|name| is(name, Shown::Listed));
    [Step::Init].into_iter().chain(there).chain([Step::InitDone]).collect()
}

/// What is missed of `a`, `b` and `c` in each list that is told, and how many streams were listed when it was ready.
async fn missed(streams: Vec<Vec<Step<ObjectMeta>>>) -> (Vec<(usize, String)>, bool) {
    let mut missed = Vec::new();
    let mut ready = false;
    let streams = streams.into_iter().map(|events| stream::iter(events).boxed()).collect();
    let listed = |listing: &Listing<'_>| {
        let names = ["a", "b", "c"].into_iter().filter(|name| listing.lacks("n", name));
        missed.push((listing.stream, names.collect()));
    };
    feed(streams, |meta| meta, || ready = true, |_| {}, listed).await;
    (missed, ready)
}

#[tokio::test]
async fn the_first_list_is_where_a_stream_begins() {
    assert_eq!(missed(vec![list(&["a"]), list(&[])]).await, (vec![], true));
    assert_eq!(missed(vec![list(&["a"]), vec![Step::Init]]).await, (vec![], false));
}

#[tokio::test]
async fn every_further_list_tells_what_went() {
    let apply = vec![is("b", Shown::Event)];
    let events = [list(&["a"]), apply, list(&["b", "c"]), list(&["a", "b", "c"])];
    assert_eq!(
        missed(vec![events.into_iter().flatten().collect()]).await,
        (vec![(0, "a".to_owned()), (0, String::new())], true)
    );
}

#[tokio::test]
async fn a_list_that_broke_off_and_began_anew_counts_from_there() {
    let broken = vec![Step::Init, is("a", Shown::Listed)];
    let events = [broken, list(&["b"])].into_iter().flatten().collect();
    assert_eq!(missed(vec![events]).await, (vec![(0, "ac".to_owned())], true));
}

#[tokio::test]
async fn what_cannot_be_read_is_not_gone() {
    let odd = vec![Step::Init, unreadable("b"), is("a", Shown::Listed), Step::InitDone];
    let events = [list(&["a", "b"]), odd].into_iter().flatten().collect();
    assert_eq!(missed(vec![events]).await, (vec![(0, "c".to_owned())], true));
}

#[tokio::test]
async fn a_stream_without_rights_holds_up_no_other() {
    let refused = || vec![Step::Init, Step::Refused];
    assert_eq!(missed(vec![refused(), list(&["a"])]).await, (vec![], true));
    assert_eq!(missed(vec![list(&["a"]), refused()]).await, (vec![], true));
    assert_eq!(missed(vec![refused(), vec![Step::Init]]).await, (vec![], false), "one is still to come");
    assert_eq!(missed(vec![refused(), refused()]).await, (vec![], false), "nothing can be served");
    // It tells what is not there when it may list at last.
    let late = [refused(), list(&["a"])].into_iter().flatten().collect();
    assert_eq!(missed(vec![late]).await, (vec![(0, "bc".to_owned())], true));
}

/// An API server whose watches fail, and which goes back to a former state after the first: what it was asked.
fn restored(asked: &Arc<Mutex<Vec<bool>>>) -> kube::Client {
    let asked = Arc::clone(asked);
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let watch = request.uri().query().unwrap_or_default().contains("watch=true");
        let mut asked = asked.lock().unwrap();
        asked.push(watch);
        let version = if asked.len() == 1 { "500" } else { "400" };
        let (status, body) = if watch {
            (503, json!({"kind": "Status", "status": "Failure", "code": 503, "message": "starting", "reason": "x"}))
        } else {
            let account = json!({
                "metadata": {"name": "ci", "namespace": "n", "resourceVersion": version}, "spec": {"project": "p"},
            });
            let meta = json!({"resourceVersion": version});
            (200, json!({"kind": "List", "apiVersion": "v1", "metadata": meta, "items": [account]}))
        };
        let answer = http::Response::builder().status(status);
        let answer = answer.body(kube::client::Body::from(body.to_string().into_bytes())).unwrap();
        async move { Ok::<_, std::io::Error>(answer) }
    });
    kube::Client::new(service, "n")
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_failed_begins_anew_with_a_list() {
    let asked = Arc::default();
    let api = Api::<Lenient<RobotAccount>>::all(restored(&asked));
    let steps: Vec<_> = open::<RobotAccount, RobotAccount>(&Arc::default(), &Restores::default(), api, None, config())
        .take(6)
        .collect()
        .await;
    let versions = steps.iter().filter_map(|step| match step {
        Step::Object(Seen::Is(account, Shown::Listed)) => account.metadata.resource_version.as_deref(),
        _ => None,
    });
    assert_eq!(versions.collect::<Vec<_>>(), ["500", "400"]);
    assert_eq!(asked.lock().unwrap()[..3], [false, true, false], "list, watch, list");
}

/// How long after its API server came back a watch lists, which was away for an hour.
async fn listed_after() -> Duration {
    let back = tokio::time::Instant::now() + Duration::from_hours(1);
    let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        let there = tokio::time::Instant::now() >= back;
        let body = json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []});
        let answer = http::Response::new(kube::client::Body::from(body.to_string().into_bytes()));
        async move { if there { Ok(answer) } else { Err(std::io::Error::other("connection refused")) } }
    });
    let api = Api::<Lenient<RobotAccount>>::all(kube::Client::new(service, "n"));
    let mut steps =
        std::pin::pin!(open::<RobotAccount, RobotAccount>(&Arc::default(), &Restores::default(), api, None, config()));
    while !matches!(steps.next().await, Some(Step::InitDone)) {}
    back.elapsed()
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_was_away_for_long_is_watched_again_within_fifteen_seconds() {
    for _ in 0..100 {
        let after = listed_after().await;
        assert!(after <= Duration::from_secs(15), "{after:?}");
    }
}

#[test]
fn a_list_tells_of_its_own_namespace_only() {
    let there = HashSet::new();
    let covers = |stream, namespaces: &[ObjectName], namespace| {
        let listing = Listing { stream, there: &there };
        listing.covers(namespaces, namespace)
    };
    let two = ["a", "b"].map(|name| ObjectName::new(name).unwrap());
    assert!(covers(1, &two, Some("b")) && !covers(0, &two, Some("b")) && !covers(2, &two, Some("b")));
    assert!(covers(2, &two, None) && !covers(1, &two, None));
    assert!(covers(0, &[], Some("b")) && !covers(1, &[], Some("b")));
    assert!(covers(1, &[], None) && !covers(0, &[], None));
}
