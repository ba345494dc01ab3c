//! Which registry an account uses.

use std::sync::Arc;

use crate::api::{RegistryKind, RobotAccount};
use crate::cluster::{self, objects};
use crate::controllers::registries::{Registries, RegistryState};
use crate::controllers::{Context, RegistryWork};
use crate::domain::report::Failure;

/// The registry that the account names itself, or that was pinned at first use; `None` = the default one.
pub fn wanted(account: &RobotAccount) -> Option<String> {
    let named = account.spec.registry_ref.as_ref().map(|reference| reference.name.clone());
    let pinned = account.status.as_ref().and_then(|status| status.registry.as_ref()).map(|pinned| pinned.name.clone());
    named.or(pinned)
}

/// The registry's name, or why there is none.
pub fn resolve(registries: &Registries, account: &RobotAccount) -> Result<String, Failure> {
    let kind = account.spec.registry_ref.as_ref().map(|reference| reference.kind);
    if kind == Some(RegistryKind::HarborRegistry) {
        return Err(Failure {
            reason: "RegistryNotFound",
            message: "this operator does not serve the kind HarborRegistry; name a ClusterHarborRegistry".to_owned(),
            permanent: true,
        });
    }
    if let Some(name) = wanted(account) {
        return Ok(name);
    }
    let mut defaults = registries.defaults();
    match defaults.len() {
        1 => Ok(defaults.remove(0)),
        0 => Err(Failure {
            reason: "RegistryNotFound",
            message: "spec.registryRef is not set and no ClusterHarborRegistry is annotated harbor-robots.io/is-default: \"true\"".to_owned(),
            permanent: true,
        }),
        _ => Err(Failure {
            reason: "DefaultAmbiguous",
            message: format!(
                "spec.registryRef is not set and several ClusterHarborRegistries are annotated as the default: {}",
                defaults.join(", ")
            ),
            permanent: true,
        }),
    }
}

/// The named registry does not exist.
pub fn missing(name: &str) -> Failure {
    Failure {
        reason: "RegistryNotFound",
        message: format!("ClusterHarborRegistry {name} does not exist"),
        permanent: true,
    }
}

/// True if another operator serves the registry: then its accounts are not ours to say anything about.
pub async fn served_elsewhere(ctx: &Context, name: &str) -> Result<bool, cluster::Error> {
    if ctx.settings.registry_selector.is_none() {
        return Ok(false);
    }
    Ok(objects::read(&objects::cluster_registries(&ctx.client), name).await?.is_some())
}

/// For an account that is being deleted and whose registry object is gone: it waits until it may give up.
pub fn stand_in(ctx: &Context, name: &Arc<str>, account: &RobotAccount) -> Arc<RegistryState> {
    let since = ctx.registries.missed_since(name);
    ctx.registry_work.wake_at(RegistryWork::Probe(Arc::clone(name)), since + ctx.settings.abandon_after);
    let pinned = account.status.as_ref().and_then(|status| status.registry.as_ref());
    let url = pinned.and_then(|pinned| pinned.url.clone()).unwrap_or_default();
    Arc::new(RegistryState::missing(name, url, since))
}
