//! Notices that etcd was restored from a backup.
//!
//! A watch that ends in peace, as all do every few minutes and when an API server is stopped, goes on from the last version
//! that it knows. After a restore that one may be ahead of everything: nothing would come before versions have caught up with
//! it, which takes hours for a backup that is hours old. So the API server is asked every half minute whether its data are
//! at least as new as at the last time; where they are not, all watches begin anew with a list.

use std::time::Duration;

use kube::api::Api;
use tokio::sync::watch;

use super::stream::apis;
use crate::api::RobotAccount;
use crate::cluster::objects::{Age, Partial, age};
use crate::controllers::Context;

/// How often it is asked: one call for one object.
const EVERY: Duration = Duration::from_secs(30);

/// Tells all watches.
#[derive(Debug, Default)]
pub struct Restores(watch::Sender<u32>);

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
    let apis: Vec<Api<Partial<RobotAccount>>> = apis(ctx).into_iter().map(|(_, api)| api).collect();
    let mut seen = None;
    loop {
        if is_restored(&apis, &mut seen).await {
            tracing::warn!("the API server's data are older than before: etcd was restored. Everything is listed anew");
            ctx.restores.tell();
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Asks whether the data are at least as new as the version that was `seen`, and notes the present one. The cache of an API
/// server may only be behind, so what it denies has to be confirmed by what is stored.
async fn is_restored(apis: &[Api<Partial<RobotAccount>>], seen: &mut Option<String>) -> bool {
    let older = match ask(apis, seen.as_deref()).await {
        Some(Age::AtLeast(version)) => {
            *seen = version;
            return false;
        }
        Some(Age::Older) => seen.take(),
        None => return false,
    };
    let Some(Age::AtLeast(Some(now))) = ask(apis, None).await else {
        *seen = older;
        return false;
    };
    let restored = older.is_some_and(|seen| !is_ahead_of(&now, &seen));
    *seen = Some(now);
    restored
}

/// Only to confirm what the API server says. Versions are decimal numbers in every API server that there is; others are never
/// ahead.
fn is_ahead_of(now: &str, seen: &str) -> bool {
    match (now.parse::<u64>(), seen.parse::<u64>()) {
        (Ok(now), Ok(seen)) => now >= seen,
        _ => false,
    }
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

    /// An API server with these answers, the last for ever: what its cache knows, by which it judges, and what is stored.
    fn server(answers: &[(u64, u64)]) -> Api<Partial<RobotAccount>> {
        let mut left: Vec<(u64, u64)> = answers.iter().rev().copied().collect();
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (cached, stored) = if left.len() > 1 { left.pop().unwrap() } else { left[0] };
            let query = request.uri().query().unwrap_or_default();
            let wanted = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")?.parse::<u64>().ok());
            let (code, body) = if wanted.is_some_and(|wanted| wanted > cached) {
                let details = json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large"}]});
                let says = json!({
                    "kind": "Status", "status": "Failure", "code": 504, "reason": "Timeout",
                    "message": "Too large resource version", "details": details,
                });
                (504, says)
            } else {
                let metadata = json!({"resourceVersion": stored.to_string()});
                (200, json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": []}))
            };
            let answer = http::Response::builder().status(code);
            let answer = answer.body(kube::client::Body::from(body.to_string().into_bytes())).unwrap();
            async move { Ok::<_, std::io::Error>(answer) }
        });
        Api::all(kube::Client::new(service, "n"))
    }

    async fn answers(answers: &[(u64, u64)], times: usize) -> Vec<bool> {
        let (apis, mut seen, mut all) = ([server(answers)], None, Vec::new());
        for _ in 0..times {
            all.push(is_restored(&apis, &mut seen).await);
        }
        all
    }

    #[tokio::test]
    async fn data_that_are_older_were_restored_and_are_known_from_then_on() {
        assert_eq!(answers(&[(500, 500), (700, 700), (400, 400)], 4).await, [false, false, true, false]);
        assert_eq!(answers(&[(500, 500), (500, 500), (501, 501)], 3).await, [false; 3]);
    }

    #[tokio::test]
    async fn a_cache_that_is_behind_means_nothing_however_long() {
        assert_eq!(answers(&[(500, 500), (300, 500), (300, 600)], 5).await, [false; 5]);
    }
}
