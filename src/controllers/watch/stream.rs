//! Streams of watch events: opened, merged, and told where they lost their place.

use std::collections::HashSet;
use std::fmt::Debug;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

use crate::cluster::objects::PAGE;
use crate::controllers::index::digest;

/// The streams of one kind over all watched namespaces.
pub(super) type Events<K> = BoxStream<'static, Event<K>>;

pub(super) fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

pub(super) fn open<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Event<K>> + Send + 'static
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let what = std::any::type_name::<K>().rsplit("::").next().unwrap_or_default().trim_end_matches('>').to_owned();
    watch(api, config).default_backoff().filter_map(move |event| {
        let event = match event {
            Ok(event) => Some(event),
            Err(error) => {
                tracing::warn!(kind = what, error = %describe(&error), "a watch was interrupted and goes on by itself");
                None
            }
        };
        std::future::ready(event)
    })
}

/// The text of a watch error; an API error's own text is enough.
fn describe(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.message.clone(),
        other => other.to_string(),
    }
}

pub(super) fn in_namespaces<K>(client: &Client, namespaces: &[String], config: &watcher::Config) -> Vec<Events<K>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    if namespaces.is_empty() {
        return vec![open(Api::<K>::all(client.clone()), config.clone()).boxed()];
    }
    let open_one = |name: &String| open(Api::<K>::namespaced(client.clone(), name), config.clone()).boxed();
    namespaces.iter().map(open_one).collect()
}

/// What a stream lists when it has lost its place. Nothing tells of what went meanwhile but that it is not there.
pub(super) struct Listing<'a> {
    /// Which stream.
    stream: usize,
    there: &'a HashSet<u64>,
}

impl Listing<'_> {
    /// True if the list does not hold the object.
    pub(super) fn lacks(&self, namespace: &str, name: &str) -> bool {
        !self.there.contains(&digest((namespace, name)))
    }

    /// True if objects of this namespace, or the cluster's (`None`), are in this list. A stream for all namespaces or one for
    /// each comes first, then the one for what is in none.
    pub(super) fn covers(&self, namespaces: &[String], namespace: Option<&str>) -> bool {
        match namespace {
            None => self.stream == namespaces.len().max(1),
            Some(_) if namespaces.is_empty() => self.stream == 0,
            Some(name) => namespaces.get(self.stream).is_some_and(|here| here == name),
        }
    }
}

/// How far a stream is.
#[derive(Default)]
struct Progress {
    listed: bool,
    /// What the present list held so far, if it is not the stream's first.
    there: Option<HashSet<u64>>,
    began: bool,
}

/// Feeds one kind's events to `see`, and every list but the first to `listed`, when it is through; `ready` is told once every
/// initial list was read.
pub(super) async fn feed<K: 'static>(
    streams: Vec<Events<K>>,
    meta: fn(&K) -> &ObjectMeta,
    ready: impl FnOnce(),
    mut see: impl FnMut(Event<K>),
    mut listed: impl FnMut(&Listing<'_>),
) {
    let mut waiting = streams.len();
    let mut ready = Some(ready);
    let mut all_progress: Vec<Progress> = streams.iter().map(|_| Progress::default()).collect();
    let tagged = streams.into_iter().enumerate().map(|(n, stream)| stream.map(move |event| (n, event)).boxed());
    let mut all = stream::select_all(tagged);
    while let Some((n, event)) = all.next().await {
        let progress = &mut all_progress[n];
        match &event {
            Event::Init => progress.there = std::mem::replace(&mut progress.began, true).then(HashSet::new),
            Event::InitApply(object) => {
                if let Some(there) = &mut progress.there {
                    let meta = meta(object);
                    let namespace = meta.namespace.as_deref().unwrap_or_default();
                    there.insert(digest((namespace, meta.name.as_deref().unwrap_or_default())));
                }
            }
            Event::Apply(_) | Event::Delete(_) | Event::InitDone => {}
        }
        let through = matches!(event, Event::InitDone);
        see(event);
        if !through {
            continue;
        }
        if let Some(there) = progress.there.take() {
            listed(&Listing { stream: n, there: &there });
        }
        if !std::mem::replace(&mut progress.listed, true) {
            waiting -= 1;
        }
        if waiting == 0
            && let Some(ready) = ready.take()
        {
            ready();
        }
    }
}

/// The same event with what `change` makes of its object.
fn map<K, L>(event: Event<K>, change: impl Fn(K) -> L) -> Event<L> {
    match event {
        Event::Apply(object) => Event::Apply(change(object)),
        Event::InitApply(object) => Event::InitApply(change(object)),
        Event::Delete(object) => Event::Delete(change(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// Streams of one kind as streams of whatever `change` makes of it.
pub(super) fn mapped<K: 'static, L: 'static>(
    streams: Vec<Events<K>>,
    change: fn(K) -> L,
) -> impl Iterator<Item = Events<L>> {
    streams.into_iter().map(move |stream| stream.map(move |event| map(event, change)).boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str) -> ObjectMeta {
        ObjectMeta { name: Some(name.to_owned()), namespace: Some("n".to_owned()), ..ObjectMeta::default() }
    }

    fn list(names: &[&str]) -> Vec<Event<ObjectMeta>> {
        let there = names.iter().map(|name| Event::InitApply(meta(name)));
        [Event::Init].into_iter().chain(there).chain([Event::InitDone]).collect()
    }

    /// What is missed of `a`, `b` and `c` in each list that is told, and how many streams were listed when it was ready.
    async fn missed(streams: Vec<Vec<Event<ObjectMeta>>>) -> (Vec<(usize, String)>, bool) {
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
        assert_eq!(missed(vec![list(&["a"]), vec![Event::Init]]).await, (vec![], false));
    }

    #[tokio::test]
    async fn every_further_list_tells_what_went() {
        let apply = vec![Event::Apply(meta("b"))];
        let events = [list(&["a"]), apply, list(&["b", "c"]), list(&["a", "b", "c"])].concat();
        assert_eq!(missed(vec![events]).await, (vec![(0, "a".to_owned()), (0, String::new())], true));
    }

    #[tokio::test]
    async fn a_list_that_broke_off_and_began_anew_counts_from_there() {
        let broken = vec![Event::Init, Event::InitApply(meta("a"))];
        assert_eq!(missed(vec![[broken, list(&["b"])].concat()]).await, (vec![(0, "ac".to_owned())], true));
    }

    #[test]
    fn a_list_tells_of_its_own_namespace_only() {
        let there = HashSet::new();
        let covers = |stream, namespaces: &[String], namespace| {
            let listing = Listing { stream, there: &there };
            listing.covers(namespaces, namespace)
        };
        let two = ["a".to_owned(), "b".to_owned()];
        assert!(covers(1, &two, Some("b")) && !covers(0, &two, Some("b")) && !covers(2, &two, Some("b")));
        assert!(covers(2, &two, None) && !covers(1, &two, None));
        assert!(covers(0, &[], Some("b")) && !covers(1, &[], Some("b")));
        assert!(covers(1, &[], None) && !covers(0, &[], None));
    }
}
