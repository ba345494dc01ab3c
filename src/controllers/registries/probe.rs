//! One pass over a registry: reads the login Secret, asks Harbor who it is, keeps the registry object's status, and lets
//! the accounts go when everything answers.

mod finalizer;
mod login;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::status::write_status;
use super::{By, ServedRegistry, Trouble, address, apply_object, wish};
use crate::api::{RegistryKey, RegistryObject, keys};
use crate::cluster::registries as registry_objects;
use crate::controllers::{Context, WaitFor};
use crate::deadline;
use crate::engine::Outcome;
use crate::registry::{Class, Error, LoginKind};
pub use finalizer::in_use;
use login::Answer;

/// A login that is refused, and a server that wants to be left alone, is tried again at least this often.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
/// What could not be found out is asked for again with the next poll, and at most this often.
const ONCE_MORE: Duration = Duration::from_mins(1);
/// Sweeps notice trouble; version, host and prefix are asked for again this often.
const REPROBE: Duration = Duration::from_hours(1);
/// What the API server refuses to take as a status it refuses again.
const REFUSED_STATUS: Duration = Duration::from_mins(1);
/// Accounts that wait for a registry that is tried every few seconds look at themselves this often.
const REMINDER: Duration = Duration::from_mins(1);

/// One pass over a registry: login, who am I, status.
pub async fn probe(ctx: &Arc<Context>, name: &RegistryKey) -> Outcome {
    let Some(state) = ctx.registries.get(name) else {
        // Accounts that are being deleted look whether they may give up.
        let waiting = ctx.release(WaitFor::Registry(name)) > 0;
        let again = || deadline::from_now(ctx.settings.abandon_after);
        return if waiting { Outcome::Settled { wake: Some(again()) } } else { Outcome::Gone };
    };
    if let Some(outcome) = finalizer::keep(ctx, &state).await {
        return outcome;
    }
    let asked = Arc::clone(&state.object);
    let Some(answer) = login::ask(ctx, &state).await else { return Outcome::Settled { wake: None } };
    if !record(ctx, name, &asked, answer) {
        return Outcome::Again;
    }
    let Some(now) = ctx.registries.get(name) else { return Outcome::Gone };
    // What cannot be said keeps nobody from being served. The pin of a former URL is the only record of it until the status is.
    let unsaid = match write_status(ctx, &now).await {
        Ok(()) => pin_host(ctx, name).await.err(),
        Err(error) => Some(error),
    };
    let next = match &now.trouble {
        None => {
            if state.trouble.is_some() {
                tracing::info!(registry = %name, "the registry answers");
            }
            serve(ctx, &now)
        }
        Some(trouble) => {
            let told = state.trouble.as_ref().filter(|_| state.probed).map(|trouble| trouble.reason);
            wait(ctx, &now, trouble, told)
        }
    };
    match unsaid {
        None => next,
        Some(error) if error.class() == Class::UserFix => {
            tracing::warn!(registry = %name, %error, "the registry object was not updated");
            Outcome::Failed { not_before: Some(deadline::from_now(REFUSED_STATUS)) }
        }
        Some(error) => failed(ctx, name, &error).await,
    }
}

/// Logs in and keeps in memory what is found out, or what stands in the way. Nothing is written anywhere.
pub async fn look(ctx: &Arc<Context>, name: &RegistryKey) {
    let Some(state) = ctx.registries.get(name) else { return };
    let asked = Arc::clone(&state.object);
    if let Some(answer) = login::ask(ctx, &state).await {
        record(ctx, name, &asked, answer);
    }
}

/// Takes over what was found out; false if the object asks for another server by now, of which the answer says nothing.
fn record(ctx: &Context, name: &RegistryKey, asked: &RegistryObject, answer: Answer) -> bool {
    let has_accounts = ctx.index.count(name) > 0;
    let mut overtaken = false;
    ctx.registries.change(name, |state| {
        overtaken = address(&state.object) != address(asked);
        if overtaken {
            return;
        }
        let (hosts, basis) = (state.hosts(), state.basis());
        state.probed = true;
        match answer.info {
            Ok(info) => {
                // Whoever wanted to change something was refused, and would be again.
                let was_refused = |trouble: &Trouble| trouble.reason == Error::ReadOnly.reason();
                let read_only = state.trouble.clone().filter(|trouble| info.read_only && was_refused(trouble));
                // Of a short outage the sweep that is under way need not begin anew.
                if state.trouble.is_some() && !state.session.capabilities.is_swept_now() {
                    state.outages += 1;
                }
                // Timers of accounts that came before the first answer were set without it: the sweep sees to them.
                if let (None, Some(client), false) = (&state.session.info, &state.session.client, has_accounts) {
                    state.swept.clock_offset = client.clock_offset();
                }
                if answer.login_read {
                    state.session.sees_system = match info.login {
                        LoginKind::Administrator => true,
                        LoginKind::User => false,
                        LoginKind::Robot => answer.login_robot.as_ref().is_some_and(|robot| robot.lists_system),
                    };
                    state.swept.recheck_system = state.session.sees_system;
                    state.session.login_robot = answer.login_robot;
                    // Whoever edited the object meanwhile wants another look.
                    let current = wish(&state.object) == wish(asked);
                    state.session.login_robot_seen = current.then(Instant::now);
                }
                (state.session.info, state.has_answered) = (Some(info), true);
                state.keep_host();
                let no_host = || Trouble::lasting("RegistryHostInvalid", state.no_host());
                state.trouble = if state.hosts().is_none() { Some(no_host()) } else { read_only };
            }
            Err(trouble) => state.trouble = Some(trouble),
        }
        // Secrets of accounts at rest are for the hosts that were known so far.
        if hosts.is_some() && hosts != state.hosts() {
            state.acted_on.get_or_insert(basis);
        }
        state.trouble_since = state.trouble.as_ref().and(state.trouble_since.or_else(|| Some(Instant::now())));
    });
    !overtaken
}

/// The registry answers: whoever waits for it goes on.
fn serve(ctx: &Context, state: &ServedRegistry) -> Outcome {
    let name = &state.key;
    // Also accounts that were parked while the registry seemed usable, and those that another version may help.
    ctx.release(WaitFor::Registry(name));
    ctx.release(WaitFor::Poll(name));
    if ctx.registries.adopt_basis(name) {
        ctx.recheck_all(name);
    }
    if state.awaits_sweep() {
        ctx.suggest_sweep(name.clone());
    }
    // Whether anybody still uses a registry that is to go may be seen differently in the middle of a pass, and what this
    // probe did not find out need not stay unknown for an hour.
    let poll = state.poll_interval(&ctx.settings);
    let unknown = login::is_due(state.session.login_robot_seen) || login::is_due(state.session.catalogue_seen);
    let again = deadline::from_now(match (state.is_deleting(), unknown) {
        (true, _) => poll,
        (false, true) => poll.max(ONCE_MORE),
        (false, false) => poll.max(REPROBE),
    });
    Outcome::Settled { wake: Some(notice(ctx, state).map_or(again, |notice| notice.min(again))) }
}

/// The registry cannot be used: its accounts say so, and it is tried again. `told`: the reason that the last probe found.
fn wait(ctx: &Context, state: &ServedRegistry, trouble: &Trouble, told: Option<&'static str>) -> Outcome {
    let name = &state.key;
    // What is tried every few seconds is told once.
    let news = trouble.again.is_none() || told != Some(trouble.reason);
    if news {
        tracing::warn!(registry = %name, reason = trouble.reason, message = trouble.message, "the registry cannot be used");
    }
    // Accounts say why they wait, and after a while what that means for them; settled ones are left alone.
    if news || state.released.is_none_or(|at| at.elapsed() >= REMINDER) {
        ctx.registries.change(name, |state| state.released = Some(Instant::now()));
        ctx.release(WaitFor::Registry(name));
    }
    let asked =
        state.session.client.as_ref().and_then(|client| client.asked_to_wait()).map(|wait| wait.min(LONGEST_PATIENCE));
    // What needs a person is tried the more rarely the longer it lasts: each wrong password keeps the right one of that user
    // name out for a while. A changed Secret or registry object is tried at once.
    let since = state.trouble_since.filter(|_| trouble.permanent);
    let wait = asked.max(since.map(|since| since.elapsed().min(LONGEST_PATIENCE)));
    match trouble.again {
        Some(after) => Outcome::Settled { wake: Some(deadline::from_now(after)) },
        None => Outcome::Failed { not_before: wait.map(deadline::from_now) },
    }
}

/// Writes down which host of images is kept, where the object does not say so. Until that succeeds this process keeps it.
async fn pin_host(ctx: &Context, name: &RegistryKey) -> Result<(), crate::cluster::Error> {
    let Some(state) = ctx.registries.get(name).filter(|state| !state.is_deleting()) else { return Ok(()) };
    let Some(pin) = state.unwritten_pin() else { return Ok(()) };
    let (key, value) = (keys::ANNOTATION_PINNED_HOST, pin.text());
    let metadata = registry_objects::annotate(&ctx.client, &state.object, key, &value).await?;
    ctx.registries.record_metadata(&state, metadata);
    Ok(())
}

/// When the login's expiry has to be announced, if that is still to come.
fn notice(ctx: &Context, state: &ServedRegistry) -> Option<Instant> {
    let now = state.registry_now(ctx.now());
    let at = state.session.login_robot.as_ref()?.notice_at().filter(|&at| at > now)?;
    Some(ctx.instant_of(at, now))
}

/// A write to the registry object failed. If it was made on an old picture, the next pass gets a new one.
async fn failed(ctx: &Context, name: &RegistryKey, error: &crate::cluster::Error) -> Outcome {
    if error.class() == Class::NotLeading {
        return Outcome::Settled { wake: None };
    }
    if error.class() != Class::Stale {
        tracing::warn!(registry = %name, %error, "the registry object was not updated");
        return Outcome::Failed { not_before: None };
    }
    let before = ctx.registries.get(name).map(|state| state.tracked.seen()).unwrap_or_default();
    match registry_objects::read(&ctx.client, name).await {
        Ok(Some(object)) => {
            // The watch will bring the same version, and find nothing new in it.
            apply_object(ctx, name, object, By::Read { before });
            Outcome::Again
        }
        Ok(None) => Outcome::Settled { wake: None },
        Err(error) => {
            tracing::warn!(registry = %name, %error, "the registry object was not read");
            Outcome::Failed { not_before: None }
        }
    }
}
