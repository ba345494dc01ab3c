//! Compares what a registry holds with what the last passes left there: one list per project in use instead of one
//! call per robot. Whatever differs is queued, and robots without an account are counted.

mod homes;
mod names;
pub mod orphan_count;
pub mod orphans;
pub mod round;
pub mod since;
mod ungranted;
pub mod unmanaged;
mod unwatched;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::index::{AccountSlots, robot_digest, slots_digest};
use super::registries::{self, RegistryState, poll_tag, project_tag, tag};
use super::{Context, Key, RegistryWork};
use crate::api::{RegistryKey, RegistryTime};
use crate::deadline;
use crate::domain::mark;
use crate::domain::report::Failure;
use crate::domain::robot::Home;
use crate::domain::slots::Slot;
use crate::engine::Outcome;
use crate::registry::harbor::short_name;
use crate::registry::{Class, Digest, Error, Registry};
use names::{digest_under, slots_of};
use orphan_count::OrphanCount;
use ungranted::Fence;
use unmanaged::Unmanaged;
use unwatched::{check_login, check_password, check_secret};

/// Robots of one place that name an account that is not known: so many are asked about in one sweep, each of them with a
/// question to the API server. Where more of them are orphans, the count says that there are at least as many.
const MOST_STRAYS: usize = 1_000;
/// Sweeps use at most this share of a registry's rate limit.
const SHARE: u32 = 10;

/// After so long it is said that a registry has no accounts any more: the pass of the last one has ended then.
pub const RECOUNT: Duration = Duration::from_secs(2);
/// … and where that could not be written, which may be so for long.
const RECOUNT_AGAIN: Duration = Duration::from_secs(30);

/// The operator is to end, or another replica leads: nobody asks any more what comes next.
const ENDING: Outcome = Outcome::Settled { wake: None };

/// One sweep over a registry.
pub async fn sweep(ctx: &Arc<Context>, name: &RegistryKey) -> Outcome {
    let started = Instant::now();
    match ctx.registries.may_sweep(name) {
        None => return Outcome::Gone,
        // The next good probe asks for a sweep.
        Some(false) => return Outcome::Settled { wake: None },
        Some(true) => {}
    }
    let Some(state) = ctx.registries.get(name) else { return Outcome::Gone };
    let Some(client) = state.client.clone() else { return Outcome::Again };
    let _under_way = state.capabilities.begin_sweep();
    let listed = ctx.index.is_listed();
    let mut homes = ctx.index.by_home(name);
    // Where orphans are deleted, each poll looks for them; else it is enough to count them now and then.
    if listed && (state.recheck_system || (state.deletes_orphans() && state.sees_system)) {
        homes.entry(ctx.index.home(&Home::System)).or_default();
    }
    let fence = Fence::of(ctx, name, &state);
    if fence.is_some() {
        for home in beside(ctx, name, &state, &*client).await {
            homes.entry(home).or_default();
        }
    }
    let mut orphan_count = OrphanCount::of(&state);
    let mut unseen = None;
    let before = state.swept_prefix.clone();
    // First of all: if that renames the robots, this very sweep finds them so.
    if let Err(error) = registries::keep_settings(ctx, name, &*client).await {
        if error.class() == Class::NotLeading {
            return ENDING;
        }
        tracing::warn!(registry = %name, %error, "Harbor's settings were not compared");
    }
    let expected = Expected {
        former_prefix: before.as_deref(),
        fence: fence.as_ref(),
        login: &state.login_name,
        now: state.registry_now(ctx.now()),
    };
    let pause =
        Duration::from_secs(SHARE.into()).checked_div(state.requests_per_second(&ctx.settings)).unwrap_or_default();
    state.capabilities.homes_are(|home| homes.contains_key(home));
    // Where the last one ended early, this one goes on: what lies behind a home that fails is not hidden by it.
    let mut unanswered = 0;
    for (home, mut accounts) in homes::from(homes, state.swept_to.as_deref()) {
        accounts.sort_unstable_by_key(|account| account.uid);
        let result = compare(ctx, name, &*client, &home, &accounts, &expected, &mut orphan_count).await;
        if *home == Home::System && result.as_ref().map_or_else(|error| error.class() == Class::UserFix, |_| true) {
            ctx.registries.saw_system(name);
        }
        if result.is_ok() {
            unanswered = 0;
            if state.capabilities.home_answered(&home) {
                homes::tell(ctx, &accounts);
            }
        }
        match result {
            // While logins are refused for their old names there is no time to be modest; the limit itself holds.
            Ok(_) if before.is_some() && client.name_prefix() != before => {}
            Ok(calls) => {
                if !ctx.pause(pause.saturating_mul(calls)).await {
                    return ENDING;
                }
            }
            Err(error) if error.class() == Class::NotLeading => return ENDING,
            // Nobody's home: the login sees the project and may not list its robots, or it is gone.
            Err(error) if accounts.is_empty() && *home != Home::System && !error.is_outage() => {
                tracing::debug!(registry = %name, home = ?home, %error, "robots could not be listed");
                state.round.follow(&home, false);
            }
            Err(error) => {
                tracing::warn!(registry = %name, home = ?home, %error, "robots could not be listed");
                if let Error::ListTooLong { .. } = error {
                    unseen = Some(unseen_in(name, &home, &error));
                }
                // What lasts must not keep everything else from being told.
                let lasts = error.class() == Class::UserFix || state.capabilities.why_home_fails(&home).is_some();
                if !matches!(error, Error::ProjectNotFound { .. }) {
                    orphan_count.missed(&home, lasts);
                }
                if error.is_outage() {
                    unanswered += 1;
                    // The probe finds out whether the registry as a whole is out of order. If it is not, only the pause
                    // keeps the two from chasing one another.
                    ctx.suspect(name, &error);
                    let usable = ctx.registries.get(name).is_some_and(|state| state.trouble.is_none());
                    if !usable || unanswered == homes::SEVERAL {
                        ctx.registries.swept_to(name, Some(home));
                        let wait = client.asked_to_wait().unwrap_or(homes::PAUSE);
                        return Outcome::Failed { not_before: Some(deadline::from_now(wait)) };
                    }
                }
                if error.class() != Class::UserFix
                    && state.capabilities.home_failed(&home, homes::why_not_listed(&state, &home, &error))
                {
                    homes::tell(ctx, &accounts);
                }
                report_to(ctx, &accounts, &error);
            }
        }
    }
    ctx.registries.swept_to(name, None);
    ctx.registries.swept(name, client.name_prefix());
    let projects = ctx.unless_ending(registries::refresh_projects(ctx, name, &*client)).await;
    let Some(projects) = projects else { return ENDING };
    match projects {
        Ok(calls) => {
            if !ctx.pause(pause.saturating_mul(calls)).await {
                return ENDING;
            }
        }
        Err(error) if error.is_outage() => {
            ctx.suspect(name, &error);
            let wait = client.asked_to_wait().map(deadline::from_now);
            return Outcome::Failed { not_before: wait };
        }
        Err(error) => {
            tracing::warn!(registry = %name, %error, "projects could not be listed");
            if let Error::ListTooLong { .. } = error {
                let message =
                    format!("registry {name}: patterns of projects are not compared with what there is: {error}");
                unseen.get_or_insert(Failure { reason: error.reason(), message, permanent: true });
            }
        }
    }
    if listed {
        registries::look_at_former(ctx, name).await;
    }
    let counts = orphan_count.result().filter(|_| listed);
    ctx.registries.sees_all_but(name, unseen);
    registries::swept(ctx, name, counts).await;
    if !ctx.settings.watch_secrets {
        for key in ctx.index.keys(|_, entry| entry.registry == *name) {
            if ctx.shutdown.is_cancelled() {
                return ENDING;
            }
            check_secret(ctx, &key).await;
        }
    }
    check_login(ctx, name, &state).await;
    for key in ctx.index.keys(|_, entry| entry.registry == *name && entry.password.is_some()) {
        if ctx.shutdown.is_cancelled() {
            return ENDING;
        }
        check_password(ctx, &key).await;
    }
    if ctx.registries.see_clock(name, client.clock_offset()) {
        tracing::info!(registry = %name, "Harbor's clock was set: deadlines are looked at again");
        for key in ctx.index.keys(|_, entry| entry.registry == *name && entry.wake.is_some()) {
            recheck(ctx, &key);
        }
        ctx.registry_work.hint(RegistryWork::Probe(name.clone()), None);
    }
    // Whoever began to wait for the registry just after it was released.
    ctx.accounts.release(tag(name));
    ctx.accounts.release(poll_tag(name));
    Outcome::Settled { wake: Some(next(ctx, name, &state, started)) }
}

/// The homes to visit although no account is there: those that had robots of ours, and the next few of all projects.
async fn beside(ctx: &Context, name: &RegistryKey, state: &RegistryState, client: &dyn Registry) -> Vec<Arc<Home>> {
    let (round, length) = (&state.round, ctx.settings.patrol_every);
    if round.is_due(length, Instant::now()) {
        match client.projects().await {
            Ok(projects) => round.begin(projects, length, Instant::now()),
            // The sweep meets an outage by itself; a login that may not list projects is asked again in the next round.
            Err(error) if error.is_outage() => {}
            Err(error) => {
                tracing::debug!(registry = %name, %error, "projects could not be listed");
                round.begin([], length, Instant::now());
            }
        }
    }
    let projects = round.take(length, state.poll_interval(&ctx.settings));
    let next = projects.into_iter().map(|project| ctx.index.home(&Home::Project(project)));
    round.followed().into_iter().chain(next).collect()
}

/// Sweeps keep their rhythm however long one takes. One that could not say yet that the last account went is followed soon.
fn next(ctx: &Context, name: &RegistryKey, state: &RegistryState, started: Instant) -> Instant {
    let told =
        ctx.registries.get(name).and_then(|state| state.object.status.as_ref()?.account_count).unwrap_or_default();
    let outdated = told > 0 && ctx.index.is_listed() && ctx.index.count(name) == 0;
    let poll = state.poll_interval(&ctx.settings);
    deadline::after(started, if outdated { poll.min(RECOUNT_AGAIN) } else { poll }).max(Instant::now())
}

/// What robots are compared with beside what the last passes left.
struct Expected<'a> {
    /// What stood before their names when they were last swept.
    former_prefix: Option<&'a str>,
    /// The grants, where any apply.
    fence: Option<&'a Fence<'a>>,
    /// The user name of our own login.
    login: &'a str,
    /// Harbor's time.
    now: RegistryTime,
}

/// Lists one home, queues the accounts whose slots changed and looks for orphans. Answers how many pages that took.
async fn compare(
    ctx: &Context,
    registry: &RegistryKey,
    client: &dyn Registry,
    home: &Arc<Home>,
    accounts: &[AccountSlots],
    expected: &Expected<'_>,
    orphan_count: &mut OrphanCount,
) -> Result<u32, Error> {
    let Expected { former_prefix, fence, login, now } = *expected;
    let is_slot = slots_of(ctx, home, accounts);
    let (strays, ungranted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (seen, marked) = (AtomicUsize::new(0), AtomicBool::new(false));
    // Of projects that are not in use there is no count that would last to the next sweep.
    let counts_unmanaged = !accounts.is_empty() || **home == Home::System;
    let unmanaged = Mutex::new(Unmanaged::default());
    // The pause that follows ends the sweep.
    let listing = ctx
        .unless_ending(client.digests(home, &|robot| {
            seen.fetch_add(1, Ordering::Relaxed);
            let mark = mark::parse(&robot.description);
            let ours = mark.as_ref().is_some_and(|mark| orphans::owner_here(ctx, mark).is_some());
            marked.fetch_or(ours, Ordering::Relaxed);
            if counts_unmanaged && unmanaged::is_unmanaged(robot, mark.as_ref(), login) {
                unmanaged.lock().unwrap_or_else(PoisonError::into_inner).add(robot, now);
            }
            let owner = mark.as_ref().and_then(|mark| orphans::owner_to_ask(ctx, registry, accounts, mark));
            let owner = owner.filter(|_| strays.fetch_add(1, Ordering::Relaxed) < MOST_STRAYS);
            let beyond = fence.zip(mark).and_then(|(fence, mark)| fence.owner_beyond(robot, &mark));
            let beyond = beyond.filter(|_| ungranted.fetch_add(1, Ordering::Relaxed) < MOST_STRAYS);
            // What others keep there is not kept here.
            (owner.is_some() || beyond.is_some() || is_slot(&robot.name)).then(|| Digest {
                name: robot.name.as_str().into(),
                whole: robot_digest(robot),
                renamed_from: former_prefix.and_then(|prefix| digest_under(prefix, home, robot)),
                owner,
                beyond,
            })
        }))
        .await;
    let Some(robots) = listing else { return Ok(0) };
    let mut robots = robots?;
    drop(is_slot);
    orphan_count.unmanaged(home, unmanaged.into_inner().unwrap_or_else(PoisonError::into_inner));
    if strays.into_inner() > MOST_STRAYS {
        tracing::warn!(%registry, ?home, most = MOST_STRAYS, "more robots without an account than are looked at in one sweep");
    }
    // Of a system robot only the prefix tells where its own name begins.
    let prefix = client.name_prefix();
    let prefix = prefix.as_deref().filter(|_| **home == Home::System);
    let beyond = robots.iter_mut().filter_map(|robot| Some((robot.name.clone(), robot.beyond.take()?))).collect();
    let strays = robots.iter_mut().filter_map(|robot| Some((robot.name.clone(), robot.owner.take()?))).collect();
    let by_name: HashMap<&str, &Digest> =
        robots.iter().filter_map(|robot| Some((short_name(&robot.name, home, prefix)?, robot))).collect();
    for AccountSlots { key, slots: left, .. } in accounts {
        // One that a pass worked on meanwhile may be in the list as it was before: the next sweep looks.
        let Some(entry) = ctx.index.get(key).filter(|entry| entry.slots == *left) else { continue };
        let slots = Slot::BOTH.map(|slot| by_name.get(slot.name(&entry.base_name).as_str()).copied());
        let now = slots_digest(slots.map(|robot| robot.map(|robot| robot.whole)));
        if *left == Some(now) {
            if !entry.mark_seen {
                // As the last process left it: the digest is over the description, too.
                ctx.index.update(key, |entry| entry.mark_seen = true);
            }
            continue;
        }
        let as_before = slots_digest(slots.map(|robot| robot.map(|robot| robot.renamed_from.unwrap_or(robot.whole))));
        if *left == Some(as_before) {
            // Nothing but the name, which belongs to the server: no need to ask for each robot again.
            ctx.index.update(key, |entry| (entry.slots, entry.renamed) = (Some(now), true));
        }
        tracing::debug!(account = %key, "Harbor holds something else than was left there");
        recheck(ctx, key);
    }
    if let Some(fence) = fence {
        fence.end(client, home, beyond).await?;
    }
    if let Some(state) = ctx.registries.get(registry) {
        state.round.follow(home, marked.into_inner());
    }
    // Accounts that waited for this project to appear.
    ctx.accounts.release(project_tag(registry, home));
    match orphans::among(ctx, home, prefix, strays, orphan_count.known(home)).await {
        Ok(mut found) => {
            if let Some(state) = ctx.registries.get(registry).filter(|state| state.deletes_orphans()) {
                found = orphans::delete(ctx, &state, client, home, found).await?;
            }
            orphan_count.orphans(home, found.iter().map(|orphan| orphan.id).collect());
        }
        Err(error) => {
            tracing::warn!(%registry, %error, "robots without an account were not counted");
            orphan_count.is_not_whole();
        }
    }
    Ok(u32::try_from(seen.into_inner() / 100).unwrap_or(u32::MAX).saturating_add(1))
}

/// What the registry's status says of a place with more robots than are read.
fn unseen_in(registry: &RegistryKey, home: &Home, error: &Error) -> Failure {
    let place = match home {
        Home::System => "the robots of the system".to_owned(),
        Home::Project(project) => format!("the robots of project {project}"),
    };
    let message = format!(
        "registry {registry}: {place} are not compared with what was left there: {error}; delete some, or use several projects"
    );
    Failure { reason: error.reason(), message, permanent: true }
}

/// A project that is gone or that the login may not list: its accounts look for themselves and say so.
fn report_to(ctx: &Context, accounts: &[AccountSlots], error: &Error) {
    let empty = slots_digest([None, None]);
    for account in accounts {
        if error.class() == Class::UserFix && account.slots != Some(empty) {
            recheck(ctx, &account.key);
        }
    }
}

/// Asks for a pass over an account although none of its objects changed.
pub fn recheck(ctx: &Context, key: &Key) {
    ctx.index.update(key, |entry| entry.recheck = true);
    ctx.accounts.hint(key.clone(), None);
}

/// Asks for a sweep soon.
pub fn enqueue_sweep(ctx: &Context, registry: &RegistryKey) {
    ctx.registry_work.hint(RegistryWork::Sweep(registry.clone()), None);
}
