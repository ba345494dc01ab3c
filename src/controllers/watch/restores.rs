//! Notices that etcd was restored from a backup.
//!
//! A watch that ends in peace, as all do every few minutes and when an API server is stopped, goes on from the last version
//! that it knows. After a restore that one may be ahead of everything: nothing would come before versions have caught up with
//! it, which takes hours for a backup that is hours old. So the API server is asked every half minute whether its data are
//! at least as new as at the last time; where they are not, all watches begin anew with a list.

use std::time::Duration;

use kube::api::Api;
use tokio::sync::watch;

use crate::api::RobotAccount;
use crate::cluster::objects::{Age, Partial, age};
use crate::controllers::Context;

/// How often it is asked: one call for one object.
const EVERY: Duration = Duration::from_secs(30);
/// So many answers in a row have to say that the data are older …
const ANSWERS: usize = 3;
/// … with so much time between them.
const BETWEEN: Duration = Duration::from_secs(5);

/// Tells all watches.
#[derive(Debug)]
pub struct Restores(watch::Sender<u32>);

impl Default for Restores {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Restores {
    /// For one watch.
    pub(super) fn subscribe(&self) -> watch::Receiver<u32> {
        self.0.subscribe()
    }

    fn tell(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Asks for as long as the operator runs.
pub async fn notice(ctx: &Context) {
    let namespaces = &ctx.settings.namespaces;
    let apis: Vec<Api<Partial<RobotAccount>>> = if namespaces.is_empty() {
        vec![Api::all(ctx.client.clone())]
    } else {
        namespaces.iter().map(|name| Api::namespaced(ctx.client.clone(), name)).collect()
    };
    let mut seen = None;
    loop {
        tokio::time::sleep(EVERY).await;
        if is_restored(&apis, &mut seen).await {
            tracing::warn!("the API server's data are older than before: etcd was restored. Everything is listed anew");
            ctx.restores.tell();
        }
    }
}

/// Asks whether the data are at least as new as the version that was `seen`, and notes the present one. One of several API
/// servers may be behind the others for some seconds, so that one answer is not enough.
async fn is_restored(apis: &[Api<Partial<RobotAccount>>], seen: &mut Option<String>) -> bool {
    for _ in 0..ANSWERS {
        match ask(apis, seen.as_deref()).await {
            Some(Age::AtLeast(version)) => {
                *seen = version;
                return false;
            }
            Some(Age::Older) => tokio::time::sleep(BETWEEN).await,
            None => return false,
        }
    }
    *seen = None;
    true
}

/// The first namespace that may be listed answers for all: versions are the cluster's.
async fn ask(apis: &[Api<Partial<RobotAccount>>], seen: Option<&str>) -> Option<Age> {
    for api in apis {
        if let Ok(age) = age(api, seen).await {
            return Some(age);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An API server at these versions, one after the other, and the last for ever: it compares by itself.
    fn server(versions: &[u64]) -> Api<Partial<RobotAccount>> {
        let mut left: Vec<u64> = versions.iter().rev().copied().collect();
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let now = if left.len() > 1 { left.pop().unwrap() } else { left[0] };
            let query = request.uri().query().unwrap_or_default();
            let wanted = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")?.parse::<u64>().ok());
            let (code, body) = if wanted.is_some_and(|wanted| wanted > now) {
                let details = json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large"}]});
                let says = json!({
                    "kind": "Status", "status": "Failure", "code": 504, "reason": "Timeout", "message": "Too large resource version",
                    "details": details,
                });
                (504, says)
            } else {
                let metadata = json!({"resourceVersion": now.to_string()});
                (200, json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": []}))
            };
            let answer = http::Response::builder().status(code);
            let answer = answer.body(kube::client::Body::from(body.to_string().into_bytes())).unwrap();
            async move { Ok::<_, std::io::Error>(answer) }
        });
        Api::all(kube::Client::new(service, "n"))
    }

    async fn answers(versions: &[u64], times: usize) -> Vec<bool> {
        let (apis, mut seen, mut all) = ([server(versions)], None, Vec::new());
        for _ in 0..times {
            all.push(is_restored(&apis, &mut seen).await);
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn data_that_stay_older_were_restored() {
        assert_eq!(answers(&[500, 700, 400], 4).await, [false, false, true, false], "and are known from then on");
        assert_eq!(answers(&[500, 500, 501], 3).await, [false; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_behind_the_others_for_a_moment_means_nothing() {
        assert_eq!(answers(&[500, 499, 500], 2).await, [false, false]);
    }
}
