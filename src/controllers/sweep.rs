//! Compares what a registry holds with what the last passes left there: one list per project in use instead of one
//! call per robot. Whatever differs is queued.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::index::{robot_digest, slots_digest};
use super::registries::{RegistryState, project_tag, tag};
use super::{Context, Key, RegistryWork};
use crate::cluster::secrets;
use crate::domain::robot::Home;
use crate::domain::slots::Slot;
use crate::engine::Outcome;
use crate::registry::harbor::short_name;
use crate::registry::{Class, Error, Registry};

/// Sweeps use at most this share of a registry's rate limit.
const SHARE: u32 = 10;

/// One sweep over a registry.
pub async fn sweep(ctx: &Arc<Context>, name: &Arc<str>) -> Outcome {
    let Some(state) = ctx.registries.get(name) else { return Outcome::Gone };
    let started = Instant::now();
    let (Some(client), None) = (state.client.clone(), &state.trouble) else {
        // The next good probe asks for a sweep.
        return Outcome::Settled { wake: None };
    };
    let homes = ctx.index.by_home(name);
    let pause = Duration::from_secs(1) * SHARE / state.requests_per_second();
    for (home, accounts) in homes {
        let result = compare(ctx, name, &*client, &home, &accounts).await;
        match result {
            Ok(calls) => tokio::time::sleep(pause * calls).await,
            Err(error) if error.is_outage() => {
                // If the probe finds nothing wrong, only the backoff keeps the two from chasing one another.
                ctx.suspect(name, &error);
                let wait = client.asked_to_wait().map(|wait| Instant::now() + wait);
                return Outcome::Failed { not_before: wait };
            }
            Err(error) => {
                tracing::warn!(registry = %name, home = ?home, %error, "robots could not be listed");
                report_to(ctx, &accounts, &error);
            }
        }
    }
    if !ctx.settings.watch_secrets {
        for key in ctx.index.keys(|_, entry| *entry.registry == **name) {
            check_secret(ctx, &key).await;
        }
    }
    if ctx.registries.see_clock(name, client.clock_offset()) {
        tracing::info!(registry = %name, "Harbor's clock was set: deadlines are looked at again");
        for key in ctx.index.keys(|_, entry| *entry.registry == **name && entry.wake.is_some()) {
            look(ctx, &key);
        }
    }
    // Whoever began to wait for the registry just after it was released.
    ctx.accounts.release(tag(name));
    Outcome::Settled { wake: Some(next(&state, started)) }
}

/// Sweeps keep their rhythm however long one takes.
fn next(state: &RegistryState, started: Instant) -> Instant {
    (started + state.poll_interval()).max(Instant::now())
}

/// Lists one home and queues the accounts whose slots changed. Answers how many pages that took.
async fn compare(
    ctx: &Context,
    registry: &Arc<str>,
    client: &dyn Registry,
    home: &Arc<Home>,
    accounts: &[(Key, Option<u64>)],
) -> Result<u32, Error> {
    let robots = client.digests(home, robot_digest).await?;
    let by_name: HashMap<&str, u64> =
        robots.iter().filter_map(|(name, digest)| Some((short_name(name, home, None)?, *digest))).collect();
    for (key, left) in accounts {
        // One that a pass worked on meanwhile may be in the list as it was before: the next sweep looks.
        let Some(entry) = ctx.index.get(key).filter(|entry| entry.slots == *left) else { continue };
        let slots = Slot::BOTH.map(|slot| by_name.get(slot.name(&entry.base_name).as_str()).copied());
        if *left != Some(slots_digest(slots)) {
            tracing::debug!(account = %key, "Harbor holds something else than was left there");
            look(ctx, key);
        }
    }
    // Accounts that waited for this project to appear.
    ctx.accounts.release(project_tag(registry, home));
    Ok(u32::try_from(robots.len() / 100).unwrap_or(u32::MAX).saturating_add(1))
}

/// A project that is gone or that the login may not list: its accounts look for themselves and say so.
fn report_to(ctx: &Context, accounts: &[(Key, Option<u64>)], error: &Error) {
    let empty = slots_digest([None, None]);
    for (key, left) in accounts {
        if error.class() == Class::UserFix && *left != Some(empty) {
            look(ctx, key);
        }
    }
}

/// Without a watch on Secrets: reads one by name and queues its account if it is not as the last pass left it.
async fn check_secret(ctx: &Context, key: &Key) {
    let Some(entry) = ctx.index.get(key) else { return };
    let name = entry.secret_name.as_deref().unwrap_or(&key.name);
    match secrets::read_at_rest(&ctx.client, &key.namespace, name).await {
        Ok(seen) => {
            // After a start nothing was left yet: a whole Secret is where to begin.
            if let Some(whole) = seen.as_ref().filter(|secret| entry.secret == 0 && secret.intact) {
                ctx.index.update(key, |entry| entry.secret = whole.version);
            }
            match seen {
                Some(secret) if ctx.index.see_secret(key, secret.version, Some(secret.clone())) => {
                    ctx.accounts.hint(key.clone(), None);
                }
                None if entry.secret != 0 => look(ctx, key),
                Some(_) | None => {}
            }
        }
        Err(error) => tracing::warn!(account = %key, %error, "the Secret was not read"),
    }
}

/// Asks for a pass over an account although none of its objects changed.
pub fn look(ctx: &Context, key: &Key) {
    ctx.index.update(key, |entry| entry.look = true);
    ctx.accounts.hint(key.clone(), None);
}

/// Asks for a sweep soon.
pub fn soon(ctx: &Context, registry: &Arc<str>) {
    ctx.registry_work.hint(RegistryWork::Sweep(Arc::clone(registry)), None);
}
