//! A watch: what happens after a version, until the time is up or the connection is cut.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Cluster;
use super::request::Call;
use super::rest::shown;
use super::status::Refusal;
use super::store::{Change, ChangeKind};

/// How often a watch that hears nothing is told the present version.
const BOOKMARKS: Duration = Duration::from_mins(1);

struct Watch {
    cluster: Cluster,
    call: Call,
    /// Lines of what was there at the beginning.
    first: VecDeque<Bytes>,
    /// Told of everything up to here.
    at: u64,
    until: Instant,
    bookmark: Option<Instant>,
    told: watch::Receiver<u64>,
    cut: watch::Receiver<u64>,
    over: bool,
}

/// Opens a watch.
pub(super) fn open(cluster: &Cluster, call: &Call) -> Result<BoxStream<'static, Bytes>, Refusal> {
    let store = cluster.store();
    let initial = call.query("sendInitialEvents") == Some("true");
    let at = match call.query("resourceVersion").unwrap_or_default() {
        "" | "0" => store.version(),
        text => text.parse().map_err(|_| Refusal::new(500, "", format!("resourceVersion: Invalid value: {text:?}")))?,
    };
    let seconds = call.query("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(1_800);
    let bookmarks = call.query("allowWatchBookmarks") == Some("true");
    let mut first = VecDeque::new();
    if initial || matches!(call.query("resourceVersion"), None | Some("" | "0")) {
        let there = store.all(call.kind, call.namespace.as_deref()).filter(|(_, object)| call.selects(object));
        first.extend(there.map(|(_, object)| line("ADDED", &shown(call, object))));
    }
    if initial && bookmarks {
        first.push_back(bookmark_at(call, store.version(), true));
    }
    let now = Instant::now();
    let watch = Watch {
        at: if initial { store.version() } else { at },
        first,
        until: now + Duration::from_secs(seconds),
        bookmark: bookmarks.then_some(now + BOOKMARKS),
        told: store.subscribe(),
        cut: store.cut.subscribe(),
        over: false,
        call: call.clone(),
        cluster: cluster.clone(),
    };
    drop(store);
    Ok(stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((line, watch))
    })
    .boxed())
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.over {
                return None;
            }
            if let Some(line) = self.first.pop_front() {
                return Some(line);
            }
            if let Some(line) = self.at_hand() {
                return Some(line);
            }
            let bookmark = self.bookmark.unwrap_or(self.until);
            tokio::select! {
                biased;
                changed = self.cut.changed() => {
                    changed.ok()?;
                    return None;
                }
                changed = self.told.changed() => changed.ok()?,
                () = sleep_until(self.until) => return None,
                () = sleep_until(bookmark) => {
                    self.bookmark = Some(Instant::now() + BOOKMARKS);
                    return Some(bookmark_at(&self.call, self.at, false));
                }
            }
        }
    }

    /// The next line of what happened already.
    fn at_hand(&mut self) -> Option<Bytes> {
        let store = self.cluster.store();
        if self.at < store.oldest() {
            self.over = true;
            return Some(line("ERROR", &Refusal::expired(self.at, store.oldest()).to_json()));
        }
        for change in store.since(self.at) {
            self.at = change.version;
            if let Some((event, mut object)) = self.event(change) {
                object["metadata"]["resourceVersion"] = json!(change.version.to_string());
                return Some(line(event, &shown(&self.call, &object)));
            }
        }
        None
    }

    /// What a change is to this watch: an object that no longer fits has gone, one that fits now has come.
    fn event(&self, change: &Change) -> Option<(&'static str, Value)> {
        let id = &change.id;
        if id.kind() != self.call.kind
            || self.call.namespace.as_ref().is_some_and(|namespace| *namespace != id.namespace)
        {
            return None;
        }
        let before = change.before.as_ref().is_some_and(|object| self.call.selects(object));
        let after = change.kind != ChangeKind::Deleted && self.call.selects(&change.object);
        match (before, after) {
            (false, true) => Some(("ADDED", (*change.object).clone())),
            (true, true) => Some(("MODIFIED", (*change.object).clone())),
            (true, false) if change.kind == ChangeKind::Deleted => Some(("DELETED", (*change.object).clone())),
            (true, false) => change.before.as_ref().map(|before| ("DELETED", (**before).clone())),
            (false, false) => None,
        }
    }
}

/// Tells the present version; `last`: that all that was there has been told.
fn bookmark_at(call: &Call, at: u64, last: bool) -> Bytes {
    let mut metadata = json!({"resourceVersion": at.to_string(), "creationTimestamp": null});
    if last {
        metadata = json!({"resourceVersion": at.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}});
    }
    let object = json!({"kind": call.kind.name, "apiVersion": call.kind.api_version(), "metadata": metadata});
    line("BOOKMARK", &object)
}

fn line(event: &str, object: &Value) -> Bytes {
    let mut text = json!({"type": event, "object": object}).to_string();
    text.push('\n');
    text.into()
}
