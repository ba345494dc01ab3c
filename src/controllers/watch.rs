//! Turns watch events into work. Nothing is cached but what the index keeps.

mod stream;

use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt as _};

use super::index;
use super::registries::{Seen, look_at_users, release, take_in};
use super::sweep::look;
use super::{Context, Key, RegistryWork, robots};
use crate::api::{
    Account, ClusterHarborRegistry, HarborRegistry, RegistryObject, RobotAccount, SystemRobotAccount, keys,
};
use crate::cluster::{objects, secret_form};
use stream::{Events, Listing, config, feed, in_namespaces, mapped, open};

/// Accounts of both kinds; an operator of some namespaces has nothing to do with those of the system.
pub async fn accounts(ctx: Arc<Context>, ready: impl FnOnce()) {
    let namespaces = &ctx.settings.namespaces;
    let mut streams: Vec<Events<Account>> =
        mapped(in_namespaces::<RobotAccount>(&ctx.client, namespaces, &config()), Account::from).collect();
    if namespaces.is_empty() {
        let all = open(Api::<SystemRobotAccount>::all(ctx.client.clone()), config()).boxed();
        streams.extend(mapped(vec![all], Account::from));
    }
    let see = |event: Event<Account>| match event {
        Event::Apply(mut account) | Event::InitApply(mut account) => {
            // Most of an object in memory, and nobody reads them: thousands may wait in the queue at once.
            account.metadata.managed_fields = None;
            robots::see(&ctx, account);
        }
        Event::Delete(account) => robots::gone(&ctx, &account),
        Event::Init | Event::InitDone => {}
    };
    let listed = |listing: &Listing<'_>| {
        let lacks = |key: &Key| {
            let namespace = Some(&*key.namespace).filter(|_| !key.is_system());
            listing.covers(namespaces, namespace) && listing.lacks(&key.namespace, &key.name)
        };
        for key in ctx.index.keys(|key, _| lacks(key)) {
            ctx.accounts.change(key, None);
        }
    };
    feed(streams, |account| &account.metadata, ready, see, listed).await;
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
    let see = |event: Event<RegistryObject>| match event {
        Event::Apply(registry) | Event::InitApply(registry) => see_registry(&ctx, registry),
        Event::Delete(registry) => forget_registry(&ctx, &registry.key()),
        Event::Init | Event::InitDone => {}
    };
    let listed = |listing: &Listing<'_>| {
        for state in ctx.registries.all() {
            let namespace = state.object.metadata.namespace.as_deref();
            let gone = listing.lacks(namespace.unwrap_or_default(), state.object.name());
            if gone && listing.covers(&ctx.settings.namespaces, namespace) {
                forget_registry(&ctx, &state.object.key());
            }
        }
    };
    feed(streams, |registry| &registry.metadata, ready, see, listed).await;
}

fn forget_registry(ctx: &Context, name: &str) {
    ctx.registries.remove(name);
    ctx.metrics.forget_registry(name);
    release(ctx, name);
    look_at_users(ctx, name);
}

fn see_registry(ctx: &Arc<Context>, registry: RegistryObject) {
    let name = ctx.index.name(&registry.key());
    if take_in(ctx, &name, registry) != Seen::Nothing {
        ctx.registry_work.change(RegistryWork::Probe(name), None);
    }
}

/// Our own Secrets, by label: each is reduced at once to what is compared.
pub async fn secrets(ctx: Arc<Context>, ready: impl FnOnce()) {
    let config = config().labels(&format!("{}={}", keys::LABEL_MANAGED_BY, keys::MANAGED_BY));
    let streams = in_namespaces::<Secret>(&ctx.client, &ctx.settings.namespaces, &config);
    let see = |event: Event<Secret>| match event {
        Event::Apply(secret) | Event::InitApply(secret) => see_secret(&ctx, &secret, false),
        Event::Delete(secret) => see_secret(&ctx, &secret, true),
        Event::Init | Event::InitDone => {}
    };
    let listed = |listing: &Listing<'_>| {
        let lacks = |namespace: &str, name: &str| {
            listing.covers(&ctx.settings.namespaces, Some(namespace)) && listing.lacks(namespace, name)
        };
        for key in ctx.index.without_secret(&ctx.settings.resource_namespace, lacks) {
            look(&ctx, &key);
        }
    };
    feed(streams, Resource::meta, ready, see, listed).await;
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
    let see = |event: Event<PartialObjectMeta<Secret>>| {
        let (secret, listed) = match event {
            Event::Apply(secret) | Event::Delete(secret) => (secret, false),
            Event::InitApply(secret) => (secret, true),
            Event::Init | Event::InitDone => return,
        };
        let (name, version) = (secret.name_any(), objects::version(&secret.metadata));
        for state in ctx.registries.all().into_iter().filter(|state| !state.is_tenants()) {
            let spec = &state.object.spec;
            let login = spec.auth.secret_ref.as_ref().is_some_and(|secret| secret.name == name);
            let bundle = spec.tls.as_ref().and_then(|tls| tls.ca_bundle_ref.as_ref());
            let concerned = if listed {
                // A probe has read another version, or none yet: then it is about to.
                login && ![0, version].contains(&state.login_version)
            } else {
                login || bundle.is_some_and(|source| source.name == name)
            };
            if concerned {
                let name = ctx.index.name(&state.object.key());
                ctx.registry_work.change(RegistryWork::Probe(name), None);
            }
        }
    };
    feed(vec![open(api, config()).boxed()], Resource::meta, || {}, see, |_| {}).await;
}

/// ServiceAccounts: those that an account names may come, go or be edited.
pub async fn service_accounts(ctx: Arc<Context>) {
    let streams = in_namespaces::<ServiceAccount>(&ctx.client, &ctx.settings.namespaces, &config());
    let see = |event: Event<ServiceAccount>| {
        let (account, there) = match event {
            Event::Apply(account) | Event::InitApply(account) => (account, true),
            Event::Delete(account) => (account, false),
            Event::Init | Event::InitDone => return,
        };
        let version = objects::version(&account.metadata);
        let namespace = account.namespace().unwrap_or_default();
        let entries = account.image_pull_secrets.as_deref().unwrap_or_default();
        let names = |secret: &str| there && entries.iter().any(|entry| entry.name == secret);
        for user in ctx.index.see_service_account(&namespace, &account.name_any(), version, names) {
            wake(&ctx, user);
        }
    };
    feed(streams, Resource::meta, || {}, see, |_| {}).await;
}

/// Namespaces, metadata only: grants may select them by label.
pub async fn namespaces(ctx: Arc<Context>, ready: impl FnOnce()) {
    let streams = vec![open(Api::<PartialObjectMeta<Namespace>>::all(ctx.client.clone()), config()).boxed()];
    let see = |event: Event<PartialObjectMeta<Namespace>>| match event {
        Event::Apply(namespace) | Event::InitApply(namespace) => {
            let terminating = objects::is_deleting(&namespace.metadata);
            let name = namespace.name_any();
            let labels = namespace.metadata.labels.unwrap_or_default();
            see_namespace(&ctx, &name, Some(&index::Namespace { labels, terminating }));
        }
        Event::Delete(namespace) => see_namespace(&ctx, &namespace.name_any(), None),
        Event::Init | Event::InitDone => {}
    };
    let listed = |listing: &Listing<'_>| {
        for name in ctx.index.namespaces().into_iter().filter(|name| listing.lacks("", name)) {
            see_namespace(&ctx, &name, None);
        }
    };
    feed(streams, Resource::meta, ready, see, listed).await;
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
