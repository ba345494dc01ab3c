//! Streams of watch events: opened, merged, and told where they lost their place.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::Api;
use kube::core::Status;
use kube::runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::restores::Restores;
use crate::api::{GROUP, ObjectName};
use crate::cluster::in_namespace;
use crate::cluster::objects::PAGE;
use crate::controllers::Context;
use crate::controllers::gaps::Gaps;
use crate::controllers::tracked::Shown;
use crate::decode::{Lenient, Unreadable};
use crate::domain::digest;

/// What a watch tells of one object.
pub(super) enum Seen<K> {
    /// It is so now.
    Is(K, Shown),
    /// It is gone: its metadata, and what it was, if it could be read.
    Gone(Box<ObjectMeta>, Option<K>),
    /// It is there and cannot be read.
    Unreadable(Box<Unreadable>),
}

pub(super) enum Step<K> {
    /// A list begins.
    Init,
    /// It is through.
    InitDone,
    /// There is no right to list.
    Refused,
    /// Something about one object.
    Object(Seen<K>),
}

/// A kind that can be watched.
pub(super) trait Watched:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static
{
}

impl<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static> Watched for K {}

/// The streams of one kind over all watched namespaces.
pub(super) type Events<K> = BoxStream<'static, Step<K>>;

pub(super) fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// The waits after failures in a row; each is drawn between half and one and a half of it. client-go waits up to 30 s, for
/// the sake of thousands of kubelets; here it is one call for each of eight kinds, and whoever waits is an edit that nobody
/// has heard of.
const SHORTEST_WAIT: Duration = Duration::from_millis(800);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// What is not allowed may be allowed any time, and nothing tells when.
const REFUSED_WAIT: Duration = Duration::from_secs(15);

/// One watch, opened anew whenever it fails.
struct Source<K> {
    gaps: Arc<Gaps>,
    kind: Cow<'static, str>,
    namespace: Option<ObjectName>,
    api: Api<Lenient<K>>,
    config: watcher::Config,
    events: BoxStream<'static, watcher::Result<Event<Lenient<K>>>>,
    failures: u32,
    wait: Option<Duration>,
    /// Told when everything has to be listed anew.
    restored: watch::Receiver<u32>,
}

/// Events of one kind in a namespace, or in all of them (`None`), with its objects as another type.
pub(super) fn open<K: Watched, L: From<K> + 'static>(
    gaps: &Arc<Gaps>,
    restores: &Restores,
    api: Api<Lenient<K>>,
    namespace: Option<&ObjectName>,
    config: watcher::Config,
) -> Events<L> {
    let events = watcher::watcher(api.clone(), config.clone()).boxed();
    let source = Source {
        gaps: Arc::clone(gaps),
        kind: K::kind(&()),
        namespace: namespace.cloned(),
        api,
        config,
        events,
        failures: 0,
        wait: None,
        restored: restores.subscribe(),
    };
    stream::unfold(source, |mut source| async move {
        let step = source.next().await?;
        Some((step, source))
    })
    .boxed()
}

impl<K: Watched> Source<K> {
    async fn next<L: From<K>>(&mut self) -> Option<Step<L>> {
        loop {
            let (wait, events) = (self.wait.take(), &mut self.events);
            let next = async {
                if let Some(wait) = wait {
                    tokio::time::sleep(wait).await;
                }
                events.next().await
            };
            let next = tokio::select! {
                biased;
                Ok(()) = self.restored.changed() => None,
                event = next => Some(event?),
            };
            let event = match next {
                Some(Ok(event)) => event,
                Some(Err(error)) if self.is_refused(&error) => return Some(Step::Refused),
                Some(Err(_)) => continue,
                None => {
                    self.begin_anew();
                    continue;
                }
            };
            if !matches!(event, Event::Init) {
                self.failures = 0;
            }
            return Some(match event {
                Event::Init => Step::Init,
                Event::InitDone => {
                    self.allowed();
                    Step::InitDone
                }
                Event::Apply(object) => Step::Object(Self::read(object, Shown::Event)),
                Event::InitApply(object) => Step::Object(Self::read(object, Shown::Listed)),
                Event::Delete(object) => Step::Object(self.gone(object)),
            });
        }
    }

    fn read<L: From<K>>(object: Lenient<K>, shown: Shown) -> Seen<L> {
        match object.into_result() {
            Ok(mut object) => {
                // Most of an object in memory, and nobody reads them.
                object.meta_mut().managed_fields = None;
                Seen::Is(object.into(), shown)
            }
            Err(object) => Seen::Unreadable(object),
        }
    }

    fn gone<L: From<K>>(&self, object: Lenient<K>) -> Seen<L> {
        let (meta, object) = match object.into_result() {
            Ok(object) => (object.meta().clone(), Some(object.into())),
            Err(object) => (object.metadata, None),
        };
        self.gaps.readable(&self.kind, &meta);
        Seen::Gone(Box::new(meta), object)
    }

    /// Sets the wait after a failure; true if there is no right to list. A watch that failed in its course begins anew with a
    /// list. It could go on from the last version it knew, but after a restore of etcd that one is ahead of everything, and
    /// nothing would come before versions have caught up with it.
    fn is_refused(&mut self, error: &watcher::Error) -> bool {
        let begins_anew = matches!(error, watcher::Error::InitialListFailed(_) | watcher::Error::NoResourceVersion);
        if !begins_anew {
            self.begin_anew();
        }
        let answer = answer_in(error);
        // An API error's own text is enough.
        let text = answer.map_or_else(|| error.to_string(), |status| status.message.clone());
        let doubled = SHORTEST_WAIT.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        if !answer.is_some_and(Status::is_forbidden) {
            let wait = LONGEST_WAIT.min(doubled);
            let spread = wait.as_secs_f64() * rand::random_range(0.5..1.5);
            self.wait = Some(Duration::try_from_secs_f64(spread).unwrap_or(wait));
            self.tell_interrupted(answer, &text);
            return false;
        }
        self.wait = Some(REFUSED_WAIT.min(doubled));
        let namespace = self.namespace.as_deref();
        if self.gaps.refused(&self.kind, namespace) {
            let place = namespace.unwrap_or("the cluster");
            tracing::warn!(kind = %self.kind, namespace = place, error = %text, "not allowed to list and watch: what is there is \
                            not served, and is looked for again every few seconds");
        }
        true
    }

    /// With a list.
    fn begin_anew(&mut self) {
        self.events = watcher::watcher(self.api.clone(), self.config.clone()).boxed();
    }

    fn tell_interrupted(&self, answer: Option<&Status>, text: &str) {
        // What an API server says of a path that it does not have is no status object.
        let is_missing = answer.is_some_and(|status| status.code == 404);
        if !(K::group(&()) == GROUP && is_missing) {
            tracing::warn!(kind = %self.kind, error = text, "a watch was interrupted and goes on by itself");
        } else if self.gaps.missing(&self.kind) {
            tracing::error!(
                kind = %self.kind,
                error = text,
                "the API server does not have this kind: its CustomResourceDefinition is not installed, or was deleted. Install \
                 the definitions of this version (`harbor-robot-operator crds` prints them); the watch begins by itself then"
            );
        }
    }

    fn allowed(&self) {
        if self.gaps.found(&self.kind) {
            tracing::info!(kind = %self.kind, "the API server has this kind again");
        }
        if self.gaps.allowed(&self.kind, self.namespace.as_deref()) {
            let place = self.namespace.as_deref().unwrap_or("the cluster");
            tracing::info!(kind = %self.kind, namespace = place, "allowed to list again");
        }
    }
}

/// What the API server said of a watch, if it said anything.
fn answer_in(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}

/// Objects of the watched namespaces: all at once (`None`), or each by itself.
pub(super) fn apis<K>(ctx: &Context) -> Vec<(Option<&ObjectName>, Api<K>)>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    let namespaces = &ctx.settings.namespaces;
    if namespaces.is_empty() {
        return vec![(None, Api::all(ctx.client.clone()))];
    }
    namespaces.iter().map(|name| (Some(name), in_namespace(&ctx.client, name))).collect()
}

/// Events of a kind in the watched namespaces.
pub(super) fn in_namespaces<K, L>(ctx: &Context, config: &watcher::Config) -> Vec<Events<L>>
where
    K: Watched + Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    L: From<K> + 'static,
{
    let open_one = |(namespace, api)| open(&ctx.gaps, &ctx.restores, api, namespace, config.clone());
    apis(ctx).into_iter().map(open_one).collect()
}

/// Events of a kind of the cluster.
pub(super) fn in_the_cluster<K: Watched, L: From<K> + 'static>(ctx: &Context, config: watcher::Config) -> Events<L> {
    open(&ctx.gaps, &ctx.restores, Api::all(ctx.client.clone()), None, config)
}

/// What a stream lists when it has lost its place. Nothing tells of what went meanwhile but that it is not there.
pub(super) struct Listing<'a> {
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
    pub(super) fn covers(&self, namespaces: &[ObjectName], namespace: Option<&str>) -> bool {
        match namespace {
            None => self.stream == namespaces.len().max(1),
            Some(_) if namespaces.is_empty() => self.stream == 0,
            Some(name) => namespaces.get(self.stream).is_some_and(|here| *here == *name),
        }
    }
}

/// How far a stream is.
#[derive(Default)]
struct Progress {
    listed: bool,
    /// It may not list.
    refused: bool,
    /// What the present list held so far, if it is not the stream's first.
    there: Option<HashSet<u64>>,
    began: bool,
}

/// Feeds one kind's events to `observe`, and every list but the first to `listed`, when it is through. `ready` is told once
/// every initial list was read that may be read, and one at least was: a namespace without rights holds up no other.
pub(super) async fn feed<K: 'static>(
    streams: Vec<Events<K>>,
    meta: fn(&K) -> &ObjectMeta,
    ready: impl FnOnce(),
    mut observe: impl FnMut(Seen<K>),
    mut listed: impl FnMut(&Listing<'_>),
) {
    let mut ready = Some(ready);
    let mut all_progress: Vec<Progress> = streams.iter().map(|_| Progress::default()).collect();
    let tagged = streams.into_iter().enumerate().map(|(n, stream)| stream.map(move |step| (n, step)).boxed());
    let mut all = stream::select_all(tagged);
    while let Some((n, step)) = all.next().await {
        let progress = &mut all_progress[n];
        match step {
            Step::Init => {
                progress.there = std::mem::replace(&mut progress.began, true).then(HashSet::new);
                continue;
            }
            Step::Object(seen) => {
                let found = match &seen {
                    Seen::Is(object, _) => Some(meta(object)),
                    Seen::Unreadable(object) => Some(&object.metadata),
                    Seen::Gone(..) => None,
                };
                if let (Some(there), Some(meta)) = (&mut progress.there, found) {
                    let namespace = meta.namespace.as_deref().unwrap_or_default();
                    there.insert(digest((namespace, meta.name.as_deref().unwrap_or_default())));
                }
                observe(seen);
                continue;
            }
            Step::Refused => progress.refused = true,
            Step::InitDone => {
                (progress.listed, progress.refused) = (true, false);
                if let Some(there) = progress.there.take() {
                    listed(&Listing { stream: n, there: &there });
                }
            }
        }
        let through = all_progress.iter().all(|progress| progress.listed || progress.refused);
        if through
            && all_progress.iter().any(|progress| progress.listed)
            && let Some(ready) = ready.take()
        {
            ready();
        }
    }
}

#[cfg(test)]
mod tests;
