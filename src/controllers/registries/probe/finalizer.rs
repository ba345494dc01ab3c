//! The finalizer of a registry: it stays until no account is left that may have robots.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::ServedRegistry;
use super::super::resolve::resolve;
use super::failed;
use crate::api::{Account, RegistryKey, keys};
use crate::cluster::{accounts, explain, objects, registries as registry_objects};
use crate::controllers::Context;
use crate::decode::Unreadable;
use crate::engine::Outcome;

/// Adds it to a registry that is to be served, and takes it off one that nobody uses any more. What a pass comes to that ends
/// with that.
pub(super) async fn keep(ctx: &Arc<Context>, state: &ServedRegistry) -> Option<Outcome> {
    let name = &state.key;
    if !state.is_deleting() {
        if objects::has_finalizer(&state.object.metadata, keys::FINALIZER_REGISTRY) {
            return None;
        }
        return match registry_objects::add_finalizer(&ctx.client, &state.object, keys::FINALIZER_REGISTRY).await {
            Ok(metadata) => {
                ctx.registries.record_metadata(state, metadata);
                None
            }
            Err(error) => Some(failed(ctx, name, &error).await),
        };
    }
    if ctx.index.count(name) > 0 {
        return None;
    }
    match in_use(ctx, name, None).await {
        Ok(true) => None,
        Ok(false) => {
            let removed = registry_objects::remove_finalizer(&ctx.client, &state.object, keys::FINALIZER_REGISTRY);
            Some(match removed.await {
                Ok(()) => Outcome::Settled { wake: None },
                Err(error) => failed(ctx, name, &error).await,
            })
        }
        Err(error) => {
            tracing::warn!(registry = %name, %error, "the accounts of a registry that is to go were not listed");
            Some(Outcome::Failed { not_before: None })
        }
    }
}

/// True if an account that may have robots, another one than that, uses the registry. At a start accounts become known later
/// than registries.
pub async fn in_use(ctx: &Context, name: &RegistryKey, but: Option<&Account>) -> Result<bool, crate::cluster::Error> {
    let but = but.and_then(|account| account.metadata.uid.as_deref());
    let may_have_robots = |metadata: &ObjectMeta| {
        objects::has_finalizer(metadata, keys::FINALIZER_ROBOT) && (but.is_none() || metadata.uid.as_deref() != but)
    };
    let uses = |account: Result<Account, Box<Unreadable>>| match account {
        Ok(account) if may_have_robots(&account.metadata) => {
            resolve(&ctx.registries, &account).is_ok_and(|wanted| wanted == *name)
        }
        // Whether it uses this one cannot be told.
        Err(account) if may_have_robots(&account.metadata) => {
            tracing::warn!(registry = %name, "is not let go: {}", explain(&account));
            true
        }
        _ => false,
    };
    // Nobody in another namespace can name one of a namespace.
    let namespaces = name.namespace().map_or(&*ctx.settings.namespaces, std::slice::from_ref);
    accounts::any(&ctx.client, namespaces, uses).await
}
