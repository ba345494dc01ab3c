//! Turns watch events into work. Nothing is cached but what the index keeps.

pub mod restores;
mod stream;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt as _};

use super::index;
use super::registries::{self, By, apply_object};
use super::tracked::Shown;
use super::{Context, Key, accounts, unreadable};
use crate::api::{
    Account, ClusterHarborRegistry, HarborRegistry, ObjectName, RegistryKey, RegistryObject, RobotAccount,
    SystemRobotAccount, keys,
};
use crate::cluster::objects::{self, Partial, Version};
use crate::cluster::secret_template;
use crate::cluster::service_accounts::lists;
use stream::{Listing, Seen, config, feed, in_namespaces, in_the_cluster, open};

/// Accounts of both kinds; an operator of some namespaces has nothing to do with those of the system.
pub async fn accounts(ctx: Arc<Context>, ready: impl FnOnce()) {
    let namespaces = &ctx.settings.namespaces;
    let mut streams = in_namespaces::<RobotAccount, Account>(&ctx, &config());
    if namespaces.is_empty() {
        streams.push(in_the_cluster::<SystemRobotAccount, _>(&ctx, config()));
    }
    let observe = |seen: Seen<Account>| match seen {
        Seen::Is(account, shown) => {
            let again = ctx.gaps.readable(account.kind(), &account.metadata);
            let Some(key) = ctx.index.key_of(&account.metadata) else { return };
            if again {
                // Whatever it was when it could be read last.
                tracing::info!(account = %key, "the account can be read again");
                ctx.edited(key.clone(), None);
            }
            if !ctx.shielded(&key, || accounts::observe(&ctx, account, shown)) {
                ctx.edited(key, None);
            }
        }
        Seen::Gone(meta, _) => accounts::gone(&ctx, &meta),
        // What is known of it stays: its robot is its own, and its credential lives on.
        Seen::Unreadable(account) => unreadable::found(&ctx, *account),
    };
    let listed = |listing: &Listing<'_>| {
        let lacks = |key: &Key| {
            listing.covers(namespaces, key.namespace.as_deref()) && listing.lacks(key.namespace(), &key.name)
        };
        for key in ctx.index.keys(|key, _| lacks(key)) {
            ctx.edited(key, None);
        }
    };
    feed(streams, |account| &account.metadata, ready, observe, listed).await;
}

/// Registries of both kinds.
pub async fn registries(ctx: Arc<Context>, ready: impl FnOnce()) {
    let mut config = config();
    if let Some(selector) = &ctx.settings.registry_selector {
        config = config.labels(selector);
    }
    let mut streams = in_namespaces::<HarborRegistry, RegistryObject>(&ctx, &config);
    if ctx.settings.cluster_registries {
        streams.push(in_the_cluster::<ClusterHarborRegistry, _>(&ctx, config));
    }
    let observe = |seen: Seen<RegistryObject>| match seen {
        Seen::Is(registry, shown) => {
            // The API server stores no name that is none.
            if let Ok(key) = registry.key() {
                ctx.shielded(&key, || see_registry(&ctx, &key, registry, shown));
            }
        }
        Seen::Gone(meta, _) => {
            let name = meta.name.as_deref().unwrap_or_default();
            let key = match meta.namespace.as_deref() {
                Some(namespace) => RegistryKey::namespaced(namespace, name),
                None => RegistryKey::cluster(name),
            };
            if let Ok(key) = key {
                forget_registry(&ctx, &key);
            }
        }
        // One that was read before serves its accounts as it was.
        Seen::Unreadable(registry) => unreadable::found(&ctx, *registry),
    };
    let listed = |listing: &Listing<'_>| {
        for state in ctx.registries.all() {
            let namespace = state.object.metadata.namespace.as_deref();
            let gone = listing.lacks(namespace.unwrap_or_default(), state.object.name());
            if gone && listing.covers(&ctx.settings.namespaces, namespace) {
                forget_registry(&ctx, &state.key);
            }
        }
    };
    feed(streams, |registry| &registry.metadata, ready, observe, listed).await;
}

fn forget_registry(ctx: &Context, name: &RegistryKey) {
    ctx.registries.remove(name);
    ctx.release_for(name);
    ctx.recheck_all(name);
}

fn see_registry(ctx: &Context, name: &RegistryKey, registry: RegistryObject, shown: Shown) {
    let again = ctx.gaps.readable(&registry.kind.to_string(), &registry.metadata);
    let seen = apply_object(ctx, name, registry, By::Watch(shown));
    if again {
        tracing::info!(registry = %name, "the registry can be read again");
        ctx.release_for(name);
    }
    if again || seen != registries::Seen::Nothing {
        ctx.probe(name.clone());
    }
}

/// Our own Secrets, by label: each is reduced at once to what is compared.
pub async fn secrets(ctx: Arc<Context>, ready: impl FnOnce()) {
    let config = config().labels(&format!("{}={}", keys::LABEL_MANAGED_BY, keys::MANAGED_BY));
    let streams = in_namespaces::<Secret, Secret>(&ctx, &config);
    let observe = |seen: Seen<Secret>| {
        let (secret, shown) = match seen {
            Seen::Is(secret, shown) => (secret, shown),
            Seen::Gone(_, Some(secret)) => (secret, Shown::Deleted),
            Seen::Gone(meta, None) => return recheck_owners(&ctx, &meta),
            Seen::Unreadable(secret) => {
                recheck_owners(&ctx, &secret.metadata);
                return unreadable::found(&ctx, *secret);
            }
        };
        ctx.shielded(secret.name_any(), || see_secret(&ctx, &secret, shown));
    };
    let listed = |listing: &Listing<'_>| {
        let lacks = |namespace: &str, name: &str| {
            listing.covers(&ctx.settings.namespaces, Some(namespace)) && listing.lacks(namespace, name)
        };
        for key in ctx.index.without_secret(&ctx.settings.resource_namespace, lacks) {
            ctx.recheck(&key);
        }
    };
    feed(streams, Resource::meta, ready, observe, listed).await;
}

/// What is in a Secret that cannot be read, or was in it, nobody knows: the accounts with one of its name look.
fn recheck_owners(ctx: &Context, secret: &ObjectMeta) {
    let is_it = |namespace: &str, name: &str| {
        secret.namespace.as_deref() == Some(namespace) && secret.name.as_deref() == Some(name)
    };
    for key in ctx.index.without_secret(&ctx.settings.resource_namespace, is_it) {
        ctx.recheck(&key);
    }
}

fn see_secret(ctx: &Arc<Context>, secret: &Secret, shown: Shown) {
    ctx.gaps.readable("Secret", &secret.metadata);
    let Some((account, rest)) = secret_template::summarize(secret) else { return };
    let Ok(namespace) = ObjectName::new(secret.metadata.namespace.as_deref().unwrap_or_default()) else { return };
    // Whoever may edit the Secret may write what it likes there.
    let Some(key) = ctx.index.key((!account.system).then_some(&*namespace), &account.name) else { return };
    let changed = if account.system && namespace != ctx.settings.resource_namespace {
        ctx.index.see_copy(&key, &namespace, rest.version, shown)
    } else {
        ctx.index.see_secret(&key, rest, shown)
    };
    if changed {
        ctx.hint(key);
    }
}

/// Secrets and ConfigMaps of the operator's own namespace: logins and CA bundles of registries, metadata only.
pub async fn logins(ctx: Arc<Context>) {
    let namespace = &ctx.settings.resource_namespace;
    let api = Api::<Partial<Secret>>::namespaced(ctx.client.clone(), namespace);
    let observe = |seen: Seen<PartialObjectMeta<Secret>>| {
        let (metadata, listed) = match seen {
            Seen::Is(secret, shown) => (secret.metadata, shown == Shown::Listed),
            Seen::Gone(meta, _) => (*meta, false),
            // What a probe reads of it tells what is wrong.
            Seen::Unreadable(secret) => (secret.metadata, false),
        };
        let (name, version) = (metadata.name.as_deref().unwrap_or_default(), Version::of(&metadata));
        for state in ctx.registries.all().into_iter().filter(|state| !state.is_tenants()) {
            let spec = &state.object.spec;
            let login = spec.auth.secret_ref.as_ref().is_some_and(|secret| secret.name == name);
            let bundle = spec.tls.as_ref().and_then(|tls| tls.ca_certificates_ref.as_ref());
            let concerned = if listed {
                // A probe has read another version, or none yet: then it is about to.
                login && ![Version::NONE, version].contains(&state.login_version)
            } else {
                login || bundle.is_some_and(|source| source.name == name)
            };
            if concerned {
                ctx.probe(state.key.clone());
            }
        }
    };
    let streams = vec![open(&ctx.gaps, &ctx.restores, api, Some(namespace), config())];
    feed(streams, Resource::meta, || {}, observe, |_| {}).await;
}

/// ServiceAccounts: those that an account names may come, go or be edited.
pub async fn service_accounts(ctx: Arc<Context>) {
    let streams = in_namespaces::<ServiceAccount, ServiceAccount>(&ctx, &config());
    let observe = |seen: Seen<ServiceAccount>| {
        let (account, shown) = match seen {
            Seen::Is(account, shown) => (account, shown),
            Seen::Gone(metadata, _) => {
                (ServiceAccount { metadata: *metadata, ..ServiceAccount::default() }, Shown::Deleted)
            }
            Seen::Unreadable(account) => return unreadable::found(&ctx, *account),
        };
        let meta = &account.metadata;
        ctx.gaps.readable("ServiceAccount", meta);
        let (namespace, name) =
            (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        ctx.shielded(name, || {
            let names = |list, secret: &str| lists(&account, list, secret);
            for user in ctx.index.see_service_account(namespace, name, Version::of(meta), shown, names) {
                ctx.recheck_the_cluster(user);
            }
        });
    };
    feed(streams, Resource::meta, || {}, observe, |_| {}).await;
}

/// Namespaces, metadata only: grants may select them by label.
pub async fn namespaces(ctx: Arc<Context>, ready: impl FnOnce()) {
    let streams = vec![in_the_cluster::<PartialObjectMeta<Namespace>, _>(&ctx, config())];
    let observe = |seen: Seen<PartialObjectMeta<Namespace>>| match seen {
        Seen::Is(namespace, _) => {
            ctx.gaps.readable("Namespace", &namespace.metadata);
            let terminating = objects::is_deleting(&namespace.metadata);
            let name = namespace.name_any();
            let labels = namespace.metadata.labels.unwrap_or_default();
            see_namespace(&ctx, &name, Some(&index::Namespace { labels, terminating }));
        }
        Seen::Gone(meta, _) => see_namespace(&ctx, meta.name.as_deref().unwrap_or_default(), None),
        Seen::Unreadable(namespace) => unreadable::found(&ctx, *namespace),
    };
    let listed = |listing: &Listing<'_>| {
        for name in ctx.index.namespaces().into_iter().filter(|name| listing.lacks("", name)) {
            see_namespace(&ctx, &name, None);
        }
    };
    feed(streams, Resource::meta, ready, observe, listed).await;
}

fn see_namespace(ctx: &Context, name: &str, now: Option<&index::Namespace>) {
    for key in ctx.index.see_namespace(name, now) {
        ctx.index.update(&key, |entry| entry.recheck = true);
        ctx.recheck_the_cluster(key);
    }
}
