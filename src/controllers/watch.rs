//! Turns watch events into work. Nothing is cached but what the index keeps.

use std::fmt::Debug;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::index;
use super::registries::{Seen, look_at_users};
use super::{Context, Key, RegistryWork, robots};
use crate::api::{
    Account, ClusterHarborRegistry, HarborRegistry, RegistryObject, RobotAccount, SystemRobotAccount, keys,
};
use crate::cluster::{objects, secret_form};

/// Objects per page of an initial list: bounds the memory of a start.
const PAGE: u32 = 100;

/// The streams of one kind over all watched namespaces.
pub type Events<K> = BoxStream<'static, Event<K>>;

fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

fn open<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Event<K>> + Send + 'static
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

fn in_namespaces<K>(client: &Client, namespaces: &[String], config: &watcher::Config) -> Vec<Events<K>>
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

/// Feeds one kind's events to `see`; `ready` is told once every initial list was read.
async fn feed<K: 'static>(streams: Vec<Events<K>>, ready: impl FnOnce(), mut see: impl FnMut(Event<K>)) {
    let mut waiting = streams.len();
    let mut ready = Some(ready);
    let mut listed: Vec<bool> = vec![false; streams.len()];
    let tagged = streams.into_iter().enumerate().map(|(n, stream)| stream.map(move |event| (n, event)).boxed());
    let mut all = stream::select_all(tagged);
    while let Some((n, event)) = all.next().await {
        let done = matches!(event, Event::InitDone) && !std::mem::replace(&mut listed[n], true);
        see(event);
        if done {
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
fn mapped<K: 'static, L: 'static>(streams: Vec<Events<K>>, change: fn(K) -> L) -> impl Iterator<Item = Events<L>> {
    streams.into_iter().map(move |stream| stream.map(move |event| map(event, change)).boxed())
}

/// Accounts of both kinds; an operator of some namespaces has nothing to do with those of the system.
pub async fn accounts(ctx: Arc<Context>, ready: impl FnOnce()) {
    let namespaces = &ctx.settings.namespaces;
    let mut streams: Vec<Events<Account>> =
        mapped(in_namespaces::<RobotAccount>(&ctx.client, namespaces, &config()), Account::from).collect();
    if namespaces.is_empty() {
        let all = open(Api::<SystemRobotAccount>::all(ctx.client.clone()), config()).boxed();
        streams.extend(mapped(vec![all], Account::from));
    }
    feed(streams, ready, |event| match event {
        Event::Apply(mut account) | Event::InitApply(mut account) => {
            // Most of an object in memory, and nobody reads them: thousands may wait in the queue at once.
            account.metadata.managed_fields = None;
            robots::see(&ctx, account);
        }
        Event::Delete(account) => robots::gone(&ctx, &account),
        Event::Init | Event::InitDone => {}
    })
    .await;
}

/// Registries of both kinds.
pub async fn registries(ctx: Arc<Context>, ready: impl FnOnce()) {
    let mut config = config();
    if let Some(selector) = &ctx.settings.registry_selector {
        config = config.labels(selector);
    }
    let of_namespaces = in_namespaces::<HarborRegistry>(&ctx.client, &ctx.settings.namespaces, &config);
    let mut streams: Vec<Events<RegistryObject>> = mapped(of_namespaces, RegistryObject::from).collect();
    let of_the_cluster = open(Api::<ClusterHarborRegistry>::all(ctx.client.clone()), config).boxed();
    streams.extend(mapped(vec![of_the_cluster], RegistryObject::from));
    feed(streams, ready, |event| match event {
        Event::Apply(registry) | Event::InitApply(registry) => see_registry(&ctx, registry),
        Event::Delete(registry) => {
            let name = registry.key();
            ctx.registries.remove(&name);
            ctx.metrics.forget_registry(&name);
            release(&ctx, &name);
            look_at_users(&ctx, &name);
        }
        Event::Init | Event::InitDone => {}
    })
    .await;
}

fn see_registry(ctx: &Arc<Context>, registry: RegistryObject) {
    let name = ctx.index.name(&registry.key());
    let seen = ctx.registries.see(&name, registry);
    if seen == Seen::Nothing {
        return;
    }
    ctx.registry_work.change(RegistryWork::Probe(Arc::clone(&name)), None);
    if seen == Seen::Changed {
        // Under another URL the probe has to come first; it looks at the accounts when it is through.
        look_at_users(ctx, &name);
    }
    release(ctx, &name);
}

/// Lets accounts go that wait for a default registry, or for this one to come.
fn release(ctx: &Context, registry: &str) {
    ctx.accounts.release(super::registries::tag(""));
    ctx.accounts.release(super::registries::tag(registry));
}

/// Our own Secrets, by label: each is reduced at once to what is compared.
pub async fn secrets(ctx: Arc<Context>, ready: impl FnOnce()) {
    let config = config().labels(&format!("{}={}", keys::LABEL_MANAGED_BY, keys::MANAGED_BY));
    let streams = in_namespaces::<Secret>(&ctx.client, &ctx.settings.namespaces, &config);
    feed(streams, ready, |event| match event {
        Event::Apply(secret) | Event::InitApply(secret) => see_secret(&ctx, &secret, false),
        Event::Delete(secret) => see_secret(&ctx, &secret, true),
        Event::Init | Event::InitDone => {}
    })
    .await;
}

fn see_secret(ctx: &Arc<Context>, secret: &Secret, deleted: bool) {
    let Some((account, rest)) = secret_form::at_rest(secret) else { return };
    let namespace = secret.namespace().unwrap_or_default();
    let key = ctx.index.key(if account.system { "" } else { &namespace }, &account.name);
    let changed = if account.system && *namespace != *ctx.settings.resource_namespace {
        ctx.index.see_copy(&key, &namespace, rest.version, deleted)
    } else {
        ctx.index.see_secret(&key, rest.version, (!deleted).then_some(rest))
    };
    if changed {
        ctx.accounts.hint(key, None);
    }
}

/// Secrets and ConfigMaps of the operator's own namespace: logins and CA bundles of registries, metadata only.
pub async fn logins(ctx: Arc<Context>) {
    let api = Api::<PartialObjectMeta<Secret>>::namespaced(ctx.client.clone(), &ctx.settings.resource_namespace);
    let streams = vec![open(api, config()).boxed()];
    feed(
        streams,
        || {},
        |event| {
            if let Event::Apply(secret) | Event::Delete(secret) = event {
                let name = secret.name_any();
                for state in ctx.registries.all().into_iter().filter(|state| !state.is_tenants()) {
                    let spec = &state.object.spec;
                    let login = spec.auth.secret_ref.as_ref().is_some_and(|secret| secret.name == name);
                    let bundle = spec.tls.as_ref().and_then(|tls| tls.ca_bundle_ref.as_ref());
                    if login || bundle.is_some_and(|source| source.name == name) {
                        let name = ctx.index.name(&state.object.key());
                        ctx.registry_work.change(RegistryWork::Probe(name), None);
                    }
                }
            }
        },
    )
    .await;
}

/// ServiceAccounts, metadata only: those that an account names may come, go or be edited.
pub async fn service_accounts(ctx: Arc<Context>) {
    let streams = in_namespaces::<PartialObjectMeta<ServiceAccount>>(&ctx.client, &ctx.settings.namespaces, &config());
    feed(
        streams,
        || {},
        |event| {
            let (Event::Apply(account) | Event::InitApply(account) | Event::Delete(account)) = event else { return };
            let version = objects::version(&account.metadata);
            let namespace = account.namespace().unwrap_or_default();
            for user in ctx.index.see_service_account(&namespace, &account.name_any(), version) {
                wake(&ctx, user);
            }
        },
    )
    .await;
}

/// Namespaces, metadata only: grants may select them by label.
pub async fn namespaces(ctx: Arc<Context>, ready: impl FnOnce()) {
    let streams = vec![open(Api::<PartialObjectMeta<Namespace>>::all(ctx.client.clone()), config()).boxed()];
    feed(streams, ready, |event| match event {
        Event::Apply(namespace) | Event::InitApply(namespace) => {
            let terminating = objects::is_deleting(&namespace.metadata);
            let name = namespace.name_any();
            let labels = namespace.metadata.labels.unwrap_or_default();
            see_namespace(&ctx, &name, Some(&index::Namespace { labels, terminating }));
        }
        Event::Delete(namespace) => see_namespace(&ctx, &namespace.name_any(), None),
        Event::Init | Event::InitDone => {}
    })
    .await;
}

fn see_namespace(ctx: &Context, name: &str, now: Option<&index::Namespace>) {
    for key in ctx.index.see_namespace(name, now) {
        ctx.index.update(&key, |entry| entry.look = true);
        wake(ctx, key);
    }
}

/// Asks for a pass over an account beside whose Secrets something came or went. One that waits for its registry hears no
/// hint, and what needs no Harbor is done all the same.
fn wake(ctx: &Context, account: Key) {
    let registry = ctx.index.get(&account).and_then(|entry| ctx.registries.get(&entry.registry));
    if registry.is_some_and(|state| state.trouble.is_some()) {
        ctx.accounts.change(account, None);
    } else {
        ctx.accounts.hint(account, None);
    }
}
