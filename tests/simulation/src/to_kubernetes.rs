//! The operator's way to the API server: a `kube::Client` whose calls go through the simulated network.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tower::{BoxError, service_fn};

use crate::check::condition;
use crate::kubernetes::{
    Accept, Body, Call, Cluster, Id, Refusal, Verb, check_media, kind, now, refused, review, reviewed, streamed,
};
use crate::network::{Answer, Cut, KUBERNETES, Network, Reached, Server};
use crate::process::Life;

/// A Lease that was renewed so lately is held.
const FRESH: Duration = Duration::from_secs(10);

/// So soon after a Secret was deleted it is made again by one and the same pass.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A client of one process.
pub fn client(cluster: &Cluster, network: &Network, life: &Arc<Life>) -> Client {
    let (cluster, network, life) = (cluster.clone(), network.clone(), Arc::clone(life));
    Client::new(
        service_fn(move |request: Request<kube::client::Body>| {
            let (cluster, network, life) = (cluster.clone(), network.clone(), Arc::clone(&life));
            async move { life.while_it_lasts(call(cluster, network, Arc::clone(&life), request)).await }
        }),
        "default",
    )
}

/// No answer comes, for whatever reason.
fn lost() -> BoxError {
    "the connection was lost".into()
}

async fn call(
    cluster: Cluster,
    network: Network,
    life: Arc<Life>,
    request: Request<kube::client::Body>,
) -> Result<Response<Body>, BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let media = parts.headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    if let Err(refusal) = check_media(parts.method.as_str(), media, body.len()) {
        return Ok(refused(&refusal));
    }
    let body: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
    let partial = parts
        .headers
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes().windows(18).any(|part| part == b"as=PartialObjectMe"));
    let accept = if partial { Accept::Metadata } else { Accept::Whole };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if let Some(answer) = review(parts.method.as_str(), target, &body) {
        return Ok(answer.map_or_else(|refusal| refused(&refusal), |review| reviewed(&review)));
    }
    let call = match Call::parse(parts.method.as_str(), target, accept, body, "unknown") {
        Ok(call) => call,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let line = format!("{} {}", life.name(), call.line());
    if life.is_cut_off() || network.is_away(KUBERNETES) {
        sleep(Duration::from_millis(500)).await;
        return Err(lost());
    }
    let is_write = call.is_write();
    let fate = network.fate(Server::Kubernetes, &line, is_write);
    let said = match call.kind.name {
        "Event" => format!(": {} {}", call.body["reason"], call.body["note"]),
        _ if call.status => format!(": {}", ready(&call.body)),
        _ => String::new(),
    };
    network.note(format_args!("{line}{said}"));
    network.reach(|reached| note(&call, reached));
    if is_write && call.kind.name != "Lease" {
        network.tried_to_write(&line);
        only_the_leader_writes(&cluster, &network, life.name(), &line);
    }
    secrets_stay(&cluster, &network, &call, &line);
    if matches!(call.verb, Verb::List | Verb::Watch) && network.is_forbidden(call.kind.name) {
        sleep(fate.wait).await;
        let text = format!("{} is forbidden: User \"operator\" cannot list resource", call.kind.plural);
        return Ok(refused(&Refusal::new(403, "Forbidden", text)));
    }
    let watch = call.clone();
    let (servers, told_of) = (cluster.clone(), network.clone());
    // What was sent arrives, whether its sender still waits or not.
    let delivered = tokio::spawn(async move {
        sleep(fate.wait).await;
        if !fate.arrives || call.verb == Verb::Watch {
            return None;
        }
        let before = servers.store().version();
        let answer = servers.answer(&call);
        if is_write {
            told_of.note(format_args!("  {line} -> {}", answer.status().as_u16()));
            if answer.status().is_success() && servers.store().version() == before {
                told_of.changed_nothing(&line);
            }
        }
        Some(answer)
    });
    let answer = delivered.await?;
    match fate.answer {
        Answer::Own if life.is_cut_off() => Err(lost()),
        Answer::Own => match answer {
            Some(answer) => Ok(answer),
            None => Ok(match cluster.watch(&watch) {
                Ok(lines) => streamed(told(lines, network, life, &watch)),
                Err(refusal) => refused(&refusal),
            }),
        },
        Answer::Lost | Answer::Half => Err(lost()),
        Answer::Status(status) => {
            let reason = match status {
                409 => "Conflict",
                429 => "TooManyRequests",
                _ => "InternalError",
            };
            Ok(refused(&Refusal::new(status, reason, "the simulation says so")))
        }
        Answer::Silence => std::future::pending().await,
        Answer::Death => {
            life.end();
            std::future::pending().await
        }
    }
}

/// Nobody changes anything while somebody else leads, as the Lease says that was renewed a moment ago. One that came back
/// with a backup says nothing.
pub(crate) fn only_the_leader_writes(cluster: &Cluster, network: &Network, replica: &str, line: &str) {
    let lease = cluster.store().all(kind("Lease"), None).next().map(|(_, lease)| lease.clone());
    let Some(lease) = lease else { return };
    let text = |field: &str| lease["spec"][field].as_str().unwrap_or_default().to_owned();
    let renewed = text("renewTime").parse::<jiff::Timestamp>().ok();
    let fresh = renewed.is_some_and(|at| now().duration_since(at).unsigned_abs() < FRESH);
    let holder = text("holderIdentity");
    if fresh && !holder.is_empty() && !holder.starts_with(replica) {
        network.broke(format_args!("{line}, and {holder} leads"));
    }
}

/// What can be written to is not deleted and made again by one pass: whoever pulls in between gets nothing. A pass that looks
/// anew may find that the account is permitted again.
fn secrets_stay(cluster: &Cluster, network: &Network, call: &Call, line: &str) {
    let owner = |secret: &Value| secret["metadata"]["ownerReferences"][0]["uid"].as_str().map(str::to_owned);
    let of = |name: &str| Id::new(kind("Secret"), call.namespace.as_deref().unwrap_or_default(), name);
    match (call.kind.name, call.verb) {
        ("Secret", Verb::Delete) => {
            let id = of(call.name.as_deref().unwrap_or_default());
            let stored = cluster.store().get(&id).cloned();
            let writable =
                |secret: &Value| secret["immutable"] != true && secret["type"] == "kubernetes.io/dockerconfigjson";
            if let Some(owner) = stored.filter(|secret| writable(secret)).and_then(|secret| owner(&secret)) {
                network.deletes(&id, owner);
            }
        }
        ("Secret", Verb::Get) => network.looks_again(&of(call.name.as_deref().unwrap_or_default())),
        ("Secret", Verb::Create) => {
            let name = call.body["metadata"]["name"].as_str().unwrap_or_default();
            let deleted = owner(&call.body).and_then(|owner| network.deleted(&of(name), &owner));
            if deleted.is_some_and(|at| at.elapsed() < AT_ONCE) {
                network.broke(format_args!("{line}, which could have been written to and was deleted for that"));
            }
        }
        _ => {}
    }
}

/// What a call shows of what its sender came to.
fn note(call: &Call, reached: &mut Reached) {
    reached.calls.insert(format!("{:?} {}{}", call.verb, call.kind.name, if call.status { "/status" } else { "" }));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if call.kind.name == "Event" {
        reached.events.extend(text(&call.body["reason"]));
    }
    if call.status {
        let conditions = call.body["status"]["conditions"].as_array().into_iter().flatten();
        let reasons = conditions.filter_map(|condition| text(&condition["reason"]));
        match call.kind.name {
            "RobotAccount" | "SystemRobotAccount" => reached.reasons.extend(reasons),
            _ => reached.registries.extend(reasons),
        }
    }
}

/// The lines of a watch as they arrive.
fn told(
    lines: BoxStream<'static, Bytes>,
    network: Network,
    life: Arc<Life>,
    call: &Call,
) -> BoxStream<'static, std::io::Result<Bytes>> {
    let name = format!("{} watch on {}", life.name(), call.kind.name);
    let state = Some((lines, network, life, name));
    stream::unfold(state, |state| async move {
        let (mut lines, network, life, name) = state?;
        let line = life.while_it_lasts(lines.next()).await?;
        if life.is_cut_off() {
            return Some((Err(broken()), None));
        }
        let bookmark = line.starts_with(b"{\"object\"") && line.ends_with(b"\"type\":\"BOOKMARK\"}\n");
        let event = if bookmark { format!("{name}: bookmark") } else { format!("{name}: event") };
        match network.event(&event) {
            Ok(wait) => {
                let sent = Instant::now();
                sleep(wait).await;
                if network.is_lost(sent) {
                    return Some((Err(broken()), None));
                }
                Some((Ok(line), Some((lines, network, life, name))))
            }
            Err(Cut::End) => None,
            Err(Cut::Reset) => Some((Err(broken()), None)),
            Err(Cut::Silence) => std::future::pending().await,
        }
    })
    .boxed()
}

fn broken() -> std::io::Error {
    std::io::Error::other("the connection was reset")
}

/// What a status says first.
fn ready(object: &Value) -> String {
    let ready = condition(object, "Ready");
    format!("Ready={} {} {}", ready["status"], ready["reason"], ready["message"])
}
