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
    let mut seen: Option<String> = None;
    loop {
        tokio::time::sleep(EVERY).await;
        match ask(&apis, seen.as_deref()).await {
            Some(Age::AtLeast(version)) => seen = version,
            Some(Age::Older) => {
                tracing::warn!(
                    "the API server's data are older than before: etcd was restored. Everything is listed anew"
                );
                seen = None;
                ctx.restores.tell();
            }
            None => {}
        }
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
