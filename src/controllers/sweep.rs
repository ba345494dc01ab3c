//! Compares what a registry holds with what the last passes left there: one list per project in use instead of one
//! call per robot. Whatever differs is queued, and robots without an account are counted.

mod compare;
mod orphan_count;
mod orphans;
mod ungranted;
mod unwatched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::accounts::errors;
use super::index::{AccountSlots, slots_digest};
use super::registries::{self, ServedRegistry};
use super::{Context, WaitFor};
use crate::api::RegistryKey;
use crate::deadline;
use crate::domain::report::Failure;
use crate::domain::robot::{Home, Permissions};
use crate::engine::Outcome;
use crate::registry::{Class, Error, harbor};
use compare::{Expected, compare};
use orphan_count::OrphanCount;
use ungranted::Fence;
use unwatched::{check_login, check_password, check_secret};

/// Sweeps use at most this share of a registry's rate limit.
const SHARE: u32 = 10;

/// After so long it is said once more that a registry has no accounts, where that could not be written: that may be so for long.
const RECOUNT_AGAIN: Duration = Duration::from_secs(30);

/// So many homes in a row without an answer end a sweep: the probe says whether Harbor is there at all.
const SEVERAL: u32 = 3;

/// One that ended early goes on after this long, if the registry is usable and does not say itself when.
const PAUSE: Duration = Duration::from_secs(10);

/// The operator is to end, or another replica leads: nobody asks any more what comes next.
const ENDING: Outcome = Outcome::Settled { wake: None };

/// One sweep over a registry.
pub async fn sweep(ctx: &Arc<Context>, name: &RegistryKey) -> Outcome {
    let started = Instant::now();
    let may_sweep = ctx.registries.may_sweep(name);
    let Some(state) = ctx.registries.get(name) else { return Outcome::Gone };
    if !may_sweep {
        // The next good probe asks for a sweep.
        return Outcome::Settled { wake: None };
    }
    let Some(client) = state.session.client.clone() else { return Outcome::Again };
    let _under_way = state.session.capabilities.begin_sweep();
    let pause =
        Duration::from_secs(SHARE.into()).checked_div(state.requests_per_second(&ctx.settings)).unwrap_or_default();
    let sweep =
        Sweep { orphan_count: OrphanCount::of(&state), state: &state, client, ctx, pause, unseen: None, unanswered: 0 };
    match sweep.run().await {
        Ok(()) => Outcome::Settled { wake: Some(next(ctx, &state, started)) },
        Err(ended) => ended,
    }
}

/// A sweep under way. What cuts it short is the `Err` of its parts.
struct Sweep<'a> {
    ctx: &'a Arc<Context>,
    state: &'a ServedRegistry,
    client: Arc<harbor::Client>,
    /// Follows each call.
    pause: Duration,
    orphan_count: OrphanCount,
    /// What there is too much of.
    unseen: Option<Failure>,
    /// So many homes in a row were not answered for.
    unanswered: u32,
}

impl Sweep<'_> {
    async fn run(mut self) -> Result<(), Outcome> {
        let (ctx, name, state) = (self.ctx, &self.state.key, self.state);
        let listed = ctx.index.is_listed();
        let mut homes = ctx.index.by_home(name);
        // Where orphans are deleted, each poll looks for them; else it is enough to count them now and then.
        if listed && (state.swept.recheck_system || (state.deletes_orphans() && state.session.sees_system)) {
            homes.entry(ctx.index.home(&Home::System)).or_default();
        }
        let fence = Fence::of(ctx, state);
        if fence.is_some() {
            for home in beside(ctx, state, &self.client).await {
                homes.entry(home).or_default();
            }
        }
        // First of all: if that renames the robots, this very sweep finds them so.
        if let Err(error) = registries::keep_settings(ctx, name, &self.client).await {
            if error.class() == Class::NotLeading {
                return Err(ENDING);
            }
            tracing::warn!(registry = %name, %error, "Harbor's settings were not compared");
        }
        let expected = Expected {
            former_prefix: state.swept.prefix.as_deref(),
            fence: fence.as_ref(),
            login: &state.session.login_name,
            now: state.registry_now(ctx.now()),
        };
        state.session.capabilities.homes_are(|home| homes.contains_key(home));
        // Where the last one ended early, this one goes on: what lies behind a home that fails is not hidden by it.
        for (home, accounts) in in_order(homes, state.swept.stopped_at.as_deref()) {
            self.visit(&home, accounts, &expected).await?;
        }
        ctx.registries.record_sweep(state, |swept| {
            (swept.stopped_at, swept.prefix) = (None, self.client.name_prefix());
        });
        self.list_projects().await?;
        if listed {
            registries::check_former(ctx, name).await;
        }
        let (unseen, counts) = (self.unseen.take(), self.orphan_count.result().filter(|_| listed));
        ctx.registries.record_sweep(state, |swept| {
            swept.problem = unseen;
            swept.counts = counts.map(Arc::new).or(swept.counts.take());
        });
        registries::tell_swept(ctx, name).await;
        self.check_unwatched().await?;
        self.check_clock();
        ctx.release(WaitFor::Poll(name));
        Ok(())
    }

    async fn visit(
        &mut self,
        home: &Arc<Home>,
        mut accounts: Vec<AccountSlots>,
        expected: &Expected<'_>,
    ) -> Result<(), Outcome> {
        let (ctx, name) = (self.ctx, &self.state.key);
        accounts.sort_unstable_by_key(|account| account.uid);
        let result = compare(ctx, name, &self.client, home, &accounts, expected, &mut self.orphan_count).await;
        if **home == Home::System && result.as_ref().map_or_else(|error| error.class() == Class::UserFix, |_| true) {
            ctx.registries.record_sweep(self.state, |swept| swept.recheck_system = false);
        }
        match result {
            Ok(calls) => {
                self.unanswered = 0;
                if self.state.session.capabilities.home_answered(home) {
                    tell_not_listed(ctx, &accounts);
                }
                // While logins are refused for their old names there is no time to be modest; the limit itself holds.
                let before = expected.former_prefix;
                if before.is_some() && self.client.name_prefix().as_deref() != before {
                    return Ok(());
                }
                self.pause(calls).await
            }
            Err(error) if error.class() == Class::NotLeading => Err(ENDING),
            // Nobody's home: the login sees the project and may not list its robots, or it is gone.
            Err(error) if accounts.is_empty() && **home != Home::System && !error.is_outage() => {
                tracing::debug!(registry = %name, home = ?home, %error, "robots could not be listed");
                self.state.swept.round.follow(home, false);
                Ok(())
            }
            Err(error) => self.not_listed(home, &accounts, &error),
        }
    }

    fn not_listed(&mut self, home: &Arc<Home>, accounts: &[AccountSlots], error: &Error) -> Result<(), Outcome> {
        let (ctx, name, capabilities) = (self.ctx, &self.state.key, &self.state.session.capabilities);
        tracing::warn!(registry = %name, home = ?home, %error, "robots could not be listed");
        if let Error::ListTooLong { .. } = error {
            let place = registries::place_of(home);
            let message = format!(
                "registry {name}: the robots of {place} are not compared with what was left there: {error}; delete some, or \
                 use several projects"
            );
            self.unseen = Some(Failure::lasting(error.reason(), message));
        }
        // What lasts must not keep everything else from being told.
        let lasts = error.class() == Class::UserFix || capabilities.why_home_fails(home).is_some();
        if !matches!(error, Error::ProjectNotFound(_)) {
            self.orphan_count.missed(home, lasts);
        }
        if error.is_outage() {
            self.unanswered += 1;
            // The probe finds out whether the registry as a whole is out of order. If it is not, only the pause keeps the
            // two from chasing one another.
            ctx.suspect(name, error);
            let usable = ctx.registries.get(name).is_some_and(|state| state.trouble.is_none());
            if !usable || self.unanswered == SEVERAL {
                ctx.registries.record_sweep(self.state, |swept| swept.stopped_at = Some(Arc::clone(home)));
                let wait = self.client.asked_to_wait().unwrap_or(PAUSE);
                return Err(Outcome::Failed { not_before: Some(deadline::from_now(wait)) });
            }
        }
        if error.class() == Class::UserFix {
            // A project that is gone or that the login may not list: its accounts look for themselves and say so.
            let empty = slots_digest([None, None]);
            accounts
                .iter()
                .filter(|account| account.slots != Some(empty))
                .for_each(|account| ctx.recheck(&account.key));
        } else if capabilities.home_failed(home, why_not_listed(self.state, home, error)) {
            tell_not_listed(ctx, accounts);
        }
        Ok(())
    }

    async fn list_projects(&mut self) -> Result<(), Outcome> {
        let (ctx, name) = (self.ctx, &self.state.key);
        match ctx.unless_ending(registries::refresh_projects(ctx, name, &self.client)).await.ok_or(ENDING)? {
            Ok(calls) => self.pause(calls).await,
            Err(error) if error.is_outage() => {
                ctx.suspect(name, &error);
                Err(Outcome::Failed { not_before: self.client.asked_to_wait().map(deadline::from_now) })
            }
            Err(error) => {
                tracing::warn!(registry = %name, %error, "projects could not be listed");
                if let Error::ListTooLong { .. } = error {
                    let message =
                        format!("registry {name}: patterns of projects are not compared with what there is: {error}");
                    self.unseen.get_or_insert(Failure::lasting(error.reason(), message));
                }
                Ok(())
            }
        }
    }

    /// What no watch tells of.
    async fn check_unwatched(&self) -> Result<(), Outcome> {
        let (ctx, name) = (self.ctx, &self.state.key);
        let going_on = || if ctx.shutdown.is_cancelled() { Err(ENDING) } else { Ok(()) };
        if !ctx.settings.watch_secrets {
            for key in ctx.index.keys(|_, entry| entry.registry == *name) {
                going_on()?;
                check_secret(ctx, &key).await;
            }
        }
        check_login(ctx, self.state).await;
        for key in ctx.index.keys(|_, entry| entry.registry == *name && entry.password.is_some()) {
            going_on()?;
            check_password(ctx, &key).await;
        }
        Ok(())
    }

    fn check_clock(&self) {
        let (ctx, name) = (self.ctx, &self.state.key);
        if !ctx.registries.see_clock(name, self.client.clock_offset()) {
            return;
        }
        tracing::info!(registry = %name, "Harbor's clock was set: deadlines are looked at again");
        ctx.recheck_those(name, |_, entry| entry.wake.is_some());
        ctx.suggest_probe(name.clone());
    }

    async fn pause(&self, calls: u32) -> Result<(), Outcome> {
        if self.ctx.pause(self.pause.saturating_mul(calls)).await { Ok(()) } else { Err(ENDING) }
    }
}

/// The homes to visit although no account is there: those that had robots of ours, and the next few of all projects.
async fn beside(ctx: &Context, state: &ServedRegistry, client: &harbor::Client) -> Vec<Arc<Home>> {
    let (round, length) = (&state.swept.round, ctx.settings.patrol_every);
    if round.is_due(length, Instant::now()) {
        match client.projects().await {
            Ok(projects) => round.begin(projects, length, Instant::now()),
            // The sweep meets an outage by itself; a login that may not list projects is asked again in the next round.
            Err(error) if error.is_outage() => {}
            Err(error) => {
                tracing::debug!(registry = %state.key, %error, "projects could not be listed");
                round.begin([], length, Instant::now());
            }
        }
    }
    let projects = round.take(length, state.poll_interval(&ctx.settings));
    let next = projects.into_iter().map(|project| ctx.index.home(&Home::Project(project)));
    round.followed().into_iter().chain(next).collect()
}

/// Sweeps keep their rhythm however long one takes. One that could not say yet that the last account went is followed soon.
fn next(ctx: &Context, state: &ServedRegistry, started: Instant) -> Instant {
    let now = ctx.registries.get(&state.key);
    let told = now.and_then(|now| now.object.status.as_ref()?.account_count).unwrap_or_default();
    let outdated = told > 0 && ctx.index.is_listed() && ctx.index.count(&state.key) == 0;
    let poll = state.poll_interval(&ctx.settings);
    deadline::after(started, if outdated { poll.min(RECOUNT_AGAIN) } else { poll }).max(Instant::now())
}

/// The homes in their order, beginning behind the one that the last sweep came to.
fn in_order<T>(
    homes: BTreeMap<Arc<Home>, T>,
    swept_to: Option<&Home>,
) -> impl Iterator<Item = (Arc<Home>, T)> + use<T> {
    let (before, behind): (Vec<_>, Vec<_>) =
        homes.into_iter().partition(|(home, _)| swept_to.is_some_and(|last| **home <= *last));
    behind.into_iter().chain(before)
}

/// What its accounts are told of a home that cannot be listed.
fn why_not_listed(state: &ServedRegistry, home: &Home, error: &Error) -> Failure {
    let place = registries::place_of(home);
    let failure = errors::failure(state, home, &Permissions::default(), error);
    let message = format!(
        "{}; the robots of {place} cannot be listed, so that nobody knows whether they are as they were left",
        failure.message
    );
    Failure { message, ..failure }
}

/// Accounts of a home that cannot be listed, or can be again, say so. None of that takes a call.
fn tell_not_listed(ctx: &Context, accounts: &[AccountSlots]) {
    for account in accounts {
        ctx.index.update(&account.key, |entry| entry.home_fails = true);
        ctx.recheck(&account.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_goes_on_behind_where_the_last_one_ended() {
        let homes = || ["a", "b", "c"].map(|name| (Arc::new(Home::Project(name.to_owned())), ())).into();
        let order = |swept_to: Option<&str>| {
            let swept_to = swept_to.map(|name| Home::Project(name.to_owned()));
            let homes = in_order(homes(), swept_to.as_ref());
            let name = |home: &Home| match home {
                Home::Project(name) => name.clone(),
                Home::System => String::new(),
            };
            homes.map(|(home, ())| name(&home)).collect::<String>()
        };
        assert_eq!((order(None), order(Some("a")), order(Some("c"))), ("abc".into(), "bca".into(), "abc".into()));
        assert_eq!(order(Some("bb")), "cab", "one that has no accounts any more");
    }
}
