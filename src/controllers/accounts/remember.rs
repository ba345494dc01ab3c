//! Accounts as the watch delivers them, and what is kept of them in memory: what a person changed, and what are echoes of
//! our own writes.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::restart::settle;
use super::wish;
use crate::api::{Account, AccountSpec, ObjectName, RegistryKey, conditions as kinds, keys};
use crate::cluster::objects::{self, Version};
use crate::controllers::index::{Entry, State, Told};
use crate::controllers::tracked::{Shown, Tracked};
use crate::controllers::{Context, Key, WaitFor};
use crate::domain::digest;
use crate::domain::robot::Home;
use crate::domain::{conditions, desired, reasons};
use crate::engine::Outcome;

/// What the watch shows of an account.
pub fn observe(ctx: &Arc<Context>, account: Account, shown: Shown) {
    let Some(key) = ctx.index.key_of(&account.metadata) else { return };
    let Some(entry) = ctx.index.get(&key).filter(|entry| entry.uid == uid_digest(&account)) else {
        if !settle(ctx, &key, &account) {
            ctx.edited(key, Some(Box::new(account)));
        }
        return;
    };
    if !ctx.index.see_account(&key, Version::of(&account.metadata), shown) {
        return;
    }
    if entry.wish == spec_digest(&account) {
        ctx.hint(key);
    } else {
        ctx.edited(key, Some(Box::new(account)));
    }
}

fn uid_digest(account: &Account) -> u64 {
    digest(&account.metadata.uid)
}

/// A digest of what a person can change on the account.
fn spec_digest(account: &Account) -> u64 {
    let meta = &account.metadata;
    let annotations = desired::tokens(meta.annotations.as_ref());
    digest((meta.generation, &meta.uid, annotations.refresh, annotations.revoke, meta.deletion_timestamp.is_some()))
}

/// What the account's status says, for the metrics.
pub(super) fn told_of(account: &Account) -> Told {
    let status = account.status.as_ref();
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let ready = conditions::find(conditions, kinds::READY);
    let state = if conditions::find(conditions, kinds::SYNCED).is_some_and(|synced| synced.reason == "Suspended") {
        State::Suspended
    } else if ready.is_some_and(|ready| ready.status == "True") {
        State::Ready
    } else {
        State::NotReady(ready.map_or("Progressing", |ready| reasons::of_account(&ready.reason)))
    };
    let published = status.filter(|_| !account.disabled().copied().unwrap_or_default());
    Told {
        state,
        expires: published.and_then(|status| status.robot.as_ref()?.expiration_time),
        renews: published.and_then(|status| status.renewal_time),
    }
}

/// Notes at the start of a pass what it is about to act on, so that echoes of its own writes are known as such.
/// `shown`: what the watch had shown of it when it was read.
pub(super) fn remember(ctx: &Context, key: &Key, account: &Account, registry: &RegistryKey, shown: Version) {
    let (version, uid, wish) = (Version::of(&account.metadata), uid_digest(account), spec_digest(account));
    let finalizer = objects::has_finalizer(&account.metadata, keys::FINALIZER_ROBOT);
    let home = ctx.index.home(&match &account.spec {
        AccountSpec::Project(spec) => Home::Project(spec.project.clone()),
        AccountSpec::System(_) => Home::System,
    });
    let mut entry = ctx.index.get(key).filter(|entry| entry.uid == uid).unwrap_or_else(|| Entry {
        // Whether the watch has shown it, or will, is not known.
        object: Tracked::found(version),
        left_unfinished: finalizer,
        wish,
        ..Entry::new(uid, registry.clone(), Arc::clone(&home))
    });
    entry.object.read(version, shown);
    // A person who edits the account may have settled the matter; a new token does not make repairs cheaper.
    if let Some(contests) = entry.contests.as_mut().filter(|_| entry.wish != wish) {
        (contests.secret, contests.service_accounts, contests.failing) = Default::default();
    }
    (entry.registry, entry.home, entry.wish, entry.told) = (registry.clone(), home, wish, told_of(account));
    entry.base_name = account.robot_name().into();
    entry.secret_name = ObjectName::new(&account.secret_name()).ok().filter(|name| *name != key.name);
    entry.recheck = false;
    entry.may_have_robots = finalizer;
    entry.had_robots |= finalizer;
    entry.deleting = objects::is_deleting(&account.metadata);
    entry.by_pattern = wish::by_pattern(&account.spec);
    if account.password_secret_ref().is_none() {
        entry.password = None;
    }
    ctx.index.set(key.clone(), entry);
    if let Some(secret) = ctx.index.take_secret(key) {
        ctx.index.see_secret(key, secret, Shown::Listed);
    }
}

/// The account is gone from the API server.
pub fn gone(ctx: &Arc<Context>, meta: &ObjectMeta) {
    let Some(key) = ctx.index.key_of(meta) else { return };
    ctx.forget(&key);
    forget(ctx, &key, false);
}

/// Drops what is known of an account that is gone, and lets a registry go that waited for it. Unless the last pass saw to it
/// that nothing is left, sweeps look at what the account left behind.
pub(super) fn forget(ctx: &Arc<Context>, key: &Key, nothing_left: bool) -> Outcome {
    let Some(Entry { registry, home, had_robots, .. }) = ctx.index.remove(key) else { return Outcome::Gone };
    ctx.release(WaitFor::Others(&registry));
    match ctx.registries.get(&registry) {
        Some(state) => {
            state.session.capabilities.names_projects(key, |_| false);
            if had_robots && !nothing_left {
                state.swept.round.follow(&home, true);
            }
            if state.is_deleting() {
                ctx.probe(registry);
            } else if ctx.index.count(&registry) == 0 {
                // A registry that nobody uses may be deleted by hand, and its status says so.
                ctx.recount(registry);
            }
        }
        None if ctx.index.count(&registry) == 0 => ctx.registries.miss_no_more(&registry),
        None => {}
    }
    Outcome::Gone
}
