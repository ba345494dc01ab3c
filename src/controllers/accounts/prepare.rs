//! Before a pass: which registry the account uses, and what it wants of it.

use std::sync::Arc;

use super::ending::without_registry;
use super::pass::Pass;
use super::remember;
use super::wish::wish;
use crate::api::{Account, AccountSpec, RegistryKey};
use crate::cluster::objects::{self, Version};
use crate::controllers::registries::{ServedRegistry, resolve};
use crate::controllers::{Context, Key, WaitFor};
use crate::domain::desired::Desired;
use crate::domain::report::Failure;
use crate::engine::{Cause, Outcome};

/// Why there is no pass.
pub(super) enum Unserved {
    /// It is told by the account.
    Failure(Failure),
    /// This is no matter of ours, or cannot be told now.
    Ended(Outcome),
}

/// Makes a pass ready; `Err` = what it comes to where there is nothing to read and to plan.
pub(super) async fn prepare<'a>(
    ctx: &'a Arc<Context>,
    key: &'a Key,
    account: Account,
    cause: Cause,
    from_event: bool,
    shown: Version,
) -> Result<Pass<'a>, Outcome> {
    match registry_and_wish(ctx, key, &account, shown).await {
        Ok((registry, desired)) => begin(ctx, key, account, registry, desired, (cause, from_event)),
        Err(Unserved::Failure(failure)) => Err(without_registry(ctx, key, account, &failure).await),
        Err(Unserved::Ended(outcome)) => Err(outcome),
    }
}

/// The account's registry, and what the account wants of it.
pub(super) async fn registry_and_wish(
    ctx: &Arc<Context>,
    key: &Key,
    account: &Account,
    shown: Version,
) -> Result<(Arc<ServedRegistry>, Desired), Unserved> {
    let name = resolve::resolve(&ctx.registries, account).map_err(Unserved::Failure)?;
    let registry = match find_registry(ctx, key, account, &name).await.map_err(Unserved::Ended)? {
        Ok(registry) => registry,
        Err(failure) => {
            remember::remember(ctx, key, account, &name, shown);
            return Err(Unserved::Failure(failure));
        }
    };
    let listed = registry.session.projects.clone().unwrap_or_default();
    let desired = wish(ctx, account, &registry, &listed).map_err(Unserved::Failure)?;
    // All accounts of a registry share its key.
    remember::remember(ctx, key, account, &registry.key, shown);
    Ok((registry, desired))
}

/// A pass in which nothing was read yet.
pub(super) fn begin<'a>(
    ctx: &'a Arc<Context>,
    key: &'a Key,
    account: Account,
    registry: Arc<ServedRegistry>,
    desired: Desired,
    (cause, from_event): (Cause, bool),
) -> Result<Pass<'a>, Outcome> {
    let (secret_namespace, copies_wanted) = match (&account.spec, &key.namespace) {
        (AccountSpec::Project(_), Some(namespace)) => (namespace.clone(), None),
        // No API server has a RobotAccount outside every namespace.
        (AccountSpec::Project(_), None) => return Err(Outcome::Gone),
        (AccountSpec::System(spec), _) => {
            let secret = spec.secret.clone().unwrap_or_default();
            (ctx.settings.resource_namespace.clone(), Some(ctx.index.copies_wanted(key, &secret)))
        }
    };
    Ok(Pass {
        ctx,
        key,
        owner: account.owner_reference(),
        endpoint: registry.endpoint().unwrap_or_default(),
        account,
        secret_namespace,
        copies_wanted,
        registry,
        desired,
        refused: None,
        unknown: None,
        cause,
        from_event,
        looks_ahead: false,
    })
}

/// The registry by this name, or why there is none; `Err` = this is no matter of ours, or cannot be told now.
async fn find_registry(
    ctx: &Arc<Context>,
    key: &Key,
    account: &Account,
    name: &RegistryKey,
) -> Result<Result<Arc<ServedRegistry>, Failure>, Outcome> {
    if let Some(registry) = ctx.registries.get(name) {
        return Ok(Ok(registry));
    }
    let is_deleting = objects::is_deleting(&account.metadata);
    if resolve::served_elsewhere(ctx, name, is_deleting).await? {
        tracing::debug!(account = %key, registry = %name, "another operator serves this registry");
        return Err(WaitFor::Registry(name).into());
    }
    // What cannot be seen is not gone: nothing is given up for that.
    if is_deleting && !resolve::is_out_of_sight(ctx, name) {
        return Ok(Ok(resolve::stand_in(ctx, name, account)));
    }
    Ok(Err(resolve::missing(ctx, name)))
}
