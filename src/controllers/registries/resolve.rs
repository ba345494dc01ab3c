//! Which registry an account uses.

use std::sync::Arc;
use std::time::Instant;

use super::{Registries, ServedRegistry};
use crate::api::{Account, AccountSpec, InvalidName, ObjectName, PinnedRegistry, RegistryKey, RegistryKind};
use crate::cluster::{self, registries as objects};
use crate::controllers::Context;
use crate::deadline;
use crate::domain::report::Failure;

/// The registry that the account names itself, or that was pinned at first use; `None` = the default one.
///
/// Never one of another namespace than the account's: whoever may make accounts uses the logins of their own only. Status
/// is written by whoever may write it: a pin that is no name, or of a namespace where there is none, counts as none.
pub(in crate::controllers) fn wanted(account: &Account) -> Option<RegistryKey> {
    let key = |kind, name: &str| match (kind, account.metadata.namespace.as_deref()) {
        (RegistryKind::ClusterHarborRegistry, _) => RegistryKey::cluster(name).ok(),
        (RegistryKind::HarborRegistry, Some(namespace)) => RegistryKey::namespaced(namespace, name).ok(),
        (RegistryKind::HarborRegistry, None) => None,
    };
    if let Some(reference) = account.registry_ref() {
        return key(reference.kind, &reference.name);
    }
    let PinnedRegistry { kind, name, .. } = account.status.as_ref()?.registry.as_ref()?;
    key(*kind, name)
}

/// The registry's key, or why there is none.
pub fn resolve(registries: &Registries, account: &Account) -> Result<RegistryKey, Failure> {
    let reference = account.registry_ref();
    let kind = reference.map(|reference| reference.kind);
    if kind == Some(RegistryKind::HarborRegistry) && matches!(account.spec, AccountSpec::System(_)) {
        let text = "a SystemRobotAccount has no namespace to find a HarborRegistry in; name a ClusterHarborRegistry";
        return Err(Failure::lasting("RegistryNotFound", text));
    }
    if let Some(key) = wanted(account) {
        return Ok(key);
    }
    if let Some(reference) = reference {
        let text = format!("spec.registryRef.name: {:?} is {InvalidName}", reference.name);
        return Err(Failure::lasting("RegistryNotFound", text));
    }
    let mut defaults = registries.defaults();
    match defaults.len() {
        1 => Ok(defaults.remove(0)),
        0 => {
            let text = "spec.registryRef is not set and no ClusterHarborRegistry is annotated harbor-robots.io/is-default: \"true\"";
            Err(Failure::lasting("RegistryNotFound", text))
        }
        _ => {
            let names = defaults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let text = "spec.registryRef is not set and several ClusterHarborRegistries are annotated as the default";
            Err(Failure::lasting("DefaultAmbiguous", format!("{text}: {names}")))
        }
    }
}

/// The named registry is not known: it does not exist, or cannot be seen.
pub(in crate::controllers) fn missing(ctx: &Context, key: &RegistryKey) -> Failure {
    let (kind, namespace, name) = (key.kind(), key.namespace().map(ObjectName::as_str), key.name());
    let place = if namespace.is_some() { " in this namespace" } else { "" };
    let unreadable = ctx.gaps.is_unreadable(&kind.to_string(), namespace, name);
    let message = if unreadable {
        format!("{kind} {name}{place} cannot be read; its own status or an event on it says why")
    } else if kind == RegistryKind::ClusterHarborRegistry && !ctx.settings.cluster_registries {
        "this operator serves no ClusterHarborRegistry objects (--cluster-registries=false): name a HarborRegistry of this \
         namespace in spec.registryRef"
            .to_owned()
    } else if ctx.gaps.is_refused(&kind.to_string(), namespace) {
        let advice = match kind {
            RegistryKind::ClusterHarborRegistry => {
                "name a HarborRegistry of this namespace in spec.registryRef, or let it"
            }
            RegistryKind::HarborRegistry => "let it",
        };
        format!("the operator may not read {kind} objects{place}: {advice} get, list and watch them")
    } else {
        format!("{kind} {name} does not exist{place}")
    };
    let reason = if unreadable { "RegistryUnreadable" } else { "RegistryNotFound" };
    Failure::lasting(reason, message)
}

/// True if the registry may well be there although nothing is known of it.
pub(in crate::controllers) fn is_out_of_sight(ctx: &Context, key: &RegistryKey) -> bool {
    let (kind, namespace) = (key.kind().to_string(), key.namespace().map(ObjectName::as_str));
    let not_served = namespace.is_none() && !ctx.settings.cluster_registries;
    not_served || ctx.gaps.is_unreadable(&kind, namespace, key.name()) || ctx.gaps.is_refused(&kind, namespace)
}

/// True if another operator serves the registry: then its accounts are not ours to say anything about. Each change of each of
/// them is seen here, too, so the registry is not asked for each time; but what happens to an account that is being deleted
/// depends on whether it is there now.
pub(in crate::controllers) async fn served_elsewhere(
    ctx: &Context,
    name: &RegistryKey,
    is_deleting: bool,
) -> Result<bool, cluster::Error> {
    // What this operator would see if it could is its own to tell about.
    if ctx.settings.registry_selector.is_none() || is_out_of_sight(ctx, name) {
        return Ok(false);
    }
    if !is_deleting && ctx.registries.is_elsewhere(name) {
        return Ok(true);
    }
    let is_there = objects::read(&ctx.client, name).await?.is_some();
    if is_there {
        ctx.registries.note_elsewhere(name);
    }
    Ok(is_there)
}

/// For an account that is being deleted and whose registry object is gone: it waits until it may give up.
pub(in crate::controllers) fn stand_in(ctx: &Context, name: &RegistryKey, account: &Account) -> Arc<ServedRegistry> {
    let since = ctx.registries.missed_since(name);
    let after = ctx.settings.abandon_after;
    // Who waits longer than that looks again as often: a time that is over would be served at once, again and again.
    let again = Some(deadline::after(since, after)).filter(|at| *at > Instant::now());
    let again = again.unwrap_or_else(|| deadline::from_now(after));
    ctx.probe_at(name.clone(), again);
    let pinned = account.status.as_ref().and_then(|status| status.registry.as_ref());
    let url = pinned.and_then(|pinned| pinned.url.clone()).unwrap_or_default();
    Arc::new(ServedRegistry::missing(name, url, since))
}
