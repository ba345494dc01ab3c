//! One pass over a registry: reads the login Secret, asks Harbor who it is, keeps the registry object's status, and lets
//! the accounts go when everything answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connect::{Connected, connect};
use super::login_robot::{self, LoginRobot};
use super::resolve::resolve;
use super::status::write_status;
use super::{By, RegistryState, Trouble, address, apply_object, poll_tag, tag, wish};
use crate::api::{Account, RegistryKey, RegistryObject, keys};
use crate::cluster::{accounts, explain, objects, registries as registry_objects};
use crate::controllers::sweep::recheck;
use crate::controllers::{Context, RegistryWork};
use crate::deadline;
use crate::decode::Unreadable;
use crate::domain::robot::Home;
use crate::engine::Outcome;
use crate::registry::{Class, Error, LoginKind, Registry, ServerInfo};

/// Harbor locks a person's name for 1.5 s after somebody's wrong password: a single 401 proves nothing.
const SECOND_TRY: Duration = Duration::from_secs(2);
/// A login that is refused, and a server that wants to be left alone, is tried again at least this often.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
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
        let waiting = ctx.accounts.release(tag(name)) > 0;
        let again = || deadline::from_now(ctx.settings.abandon_after);
        return if waiting { Outcome::Settled { wake: Some(again()) } } else { Outcome::Gone };
    };
    if state.is_deleting() && ctx.index.count(name) == 0 {
        match in_use(ctx, name).await {
            Ok(true) => {}
            Ok(false) => {
                let removed = registry_objects::remove_finalizer(&ctx.client, &state.object, keys::FINALIZER_REGISTRY);
                return match removed.await {
                    Ok(()) => Outcome::Settled { wake: None },
                    Err(error) => failed(ctx, name, &error).await,
                };
            }
            Err(error) => {
                tracing::warn!(registry = %name, %error, "the accounts of a registry that is to go were not listed");
                return Outcome::Failed { not_before: None };
            }
        }
    }
    if !state.is_deleting() && !objects::has_finalizer(&state.object.metadata, keys::FINALIZER_REGISTRY) {
        match registry_objects::add_finalizer(&ctx.client, &state.object, keys::FINALIZER_REGISTRY).await {
            Ok(metadata) => {
                ctx.registries.record_write(
                    name,
                    &state.object,
                    RegistryObject { metadata, ..(*state.object).clone() },
                );
            }
            Err(error) => return failed(ctx, name, &error).await,
        }
    }
    let asked = Arc::clone(&state.object);
    let Some(result) = ctx.unless_ending(ask(ctx, name, &state)).await else { return Outcome::Settled { wake: None } };
    let was_usable = state.trouble.is_none();
    let told = state.trouble.as_ref().filter(|_| state.probed).map(|trouble| trouble.reason);
    let has_accounts = ctx.index.count(name) > 0;
    let own = match &result {
        Ok(info) => ctx.unless_ending(look_at_login(ctx, name, info.login)).await.flatten(),
        Err(_) => None,
    };
    let all_seen = own.is_some() && ctx.unless_ending(look_at_server(ctx, name)).await.unwrap_or_default();
    if let Some(own) = &own {
        compare_rights(ctx, name, own.as_ref());
        try_again(ctx, name);
    }
    let mut overtaken = false;
    ctx.registries.change(name, |state| {
        // What was asked says nothing of another address.
        overtaken = address(&state.object) != address(&asked);
        if overtaken {
            return;
        }
        let hosts = state.hosts();
        state.probed = true;
        match &result {
            Ok(info) => {
                // Of a short outage the sweep that is under way need not begin anew.
                state.sweep_owed |= state.trouble.is_some() && !state.capabilities.is_swept_now();
                // Timers of accounts that came before the first answer were set without it: the sweep sees to them.
                if let (None, Some(client), false) = (&state.info, &state.client, has_accounts) {
                    state.clock_offset = client.clock_offset();
                }
                // An account that asks for what Harbor did not know has a credential without it.
                let version = |info: &ServerInfo| info.version.clone();
                state.recheck_owed |= state.info.as_ref().is_some_and(|before| version(before) != version(info));
                state.info = Some(info.clone());
                if let Some(own) = own {
                    state.sees_system = match info.login {
                        LoginKind::Administrator => true,
                        LoginKind::User => false,
                        LoginKind::Robot => own.as_ref().is_some_and(|own| own.lists_system),
                    };
                    state.recheck_system = state.sees_system;
                    state.login_robot = own;
                    // Whoever edited the object meanwhile wants another look.
                    state.login_robot_seen = (all_seen && wish(&state.object) == wish(&asked)).then(Instant::now);
                }
                state.keep_host();
                state.trouble = state.hosts().is_none().then(|| Trouble {
                    reason: "RegistryHostInvalid",
                    message: state.no_host(),
                    for_accounts: None,
                    permanent: true,
                    again: None,
                });
            }
            Err(trouble) => state.trouble = Some(trouble.clone()),
        }
        // Secrets name the hosts.
        state.recheck_owed |= hosts.is_some() && hosts != state.hosts();
        match &state.trouble {
            None => state.trouble_since = None,
            Some(_) => {
                state.trouble_since.get_or_insert_with(Instant::now);
            }
        }
    });
    if overtaken {
        return Outcome::Again;
    }
    let unpinned = pin_host(ctx, name).await.err();
    let Some(state) = ctx.registries.get(name) else { return Outcome::Gone };
    // What cannot be said keeps nobody from being served.
    let unsaid = write_status(ctx, name, &state).await.err().or(unpinned);
    let next = match &state.trouble {
        None => {
            if !was_usable {
                tracing::info!(registry = %name, "the registry answers");
            }
            // Also accounts that were parked while the registry seemed usable, and those that another version may help.
            ctx.accounts.release(tag(name));
            ctx.accounts.release(poll_tag(name));
            if ctx.registries.take_recheck(name) {
                recheck_accounts_of(ctx, name);
            }
            if state.sweep_owed {
                ctx.registry_work.hint(RegistryWork::Sweep(name.clone()), None);
            }
            // Whether anybody still uses a registry that is to go may be seen differently in the middle of a pass.
            let poll = state.poll_interval(&ctx.settings);
            // And what this probe did not find out need not stay unknown for an hour.
            let soon = state.is_deleting() || state.login_robot_seen.is_none();
            let rhythm = if soon { poll } else { poll.max(REPROBE) };
            let again = deadline::from_now(rhythm);
            Outcome::Settled { wake: Some(notice(ctx, &state).map_or(again, |notice| notice.min(again))) }
        }
        Some(trouble) => {
            // What is tried every few seconds is told once.
            let news = trouble.again.is_none() || told != Some(trouble.reason);
            if news {
                tracing::warn!(registry = %name, reason = trouble.reason, message = trouble.message, "the registry cannot be used");
            }
            // Accounts say why they wait, and after a while what that means for them; settled ones are left alone.
            if news || state.released.is_none_or(|at| at.elapsed() >= REMINDER) {
                ctx.registries.change(name, |state| state.released = Some(Instant::now()));
                ctx.accounts.release(tag(name));
            }
            let asked =
                state.client.as_ref().and_then(|client| client.asked_to_wait()).map(|wait| wait.min(LONGEST_PATIENCE));
            let wait = asked.max(patience(trouble, state.trouble_since));
            match trouble.again {
                Some(after) => Outcome::Settled { wake: Some(deadline::from_now(after)) },
                None => Outcome::Failed { not_before: wait.map(deadline::from_now) },
            }
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

/// Writes down which host of images is kept, where the object does not say so. Until that succeeds this process keeps it.
async fn pin_host(ctx: &Context, name: &RegistryKey) -> Result<(), crate::cluster::Error> {
    let Some(state) = ctx.registries.get(name).filter(|state| !state.is_deleting()) else { return Ok(()) };
    let Some(pin) = state.unwritten_pin() else { return Ok(()) };
    let (key, value) = (keys::ANNOTATION_PINNED_HOST, pin.text());
    let metadata = registry_objects::annotate(&ctx.client, &state.object, key, &value).await?;
    let object = RegistryObject { metadata, ..(*state.object).clone() };
    ctx.registries.record_write(name, &state.object, object);
    Ok(())
}

/// True if an account that may have robots uses the registry. At a start accounts become known later than registries.
async fn in_use(ctx: &Context, name: &RegistryKey) -> Result<bool, crate::cluster::Error> {
    let uses = |account: Result<Account, Box<Unreadable>>| match account {
        Ok(account) => {
            objects::has_finalizer(&account.metadata, keys::FINALIZER_ROBOT)
                && resolve(&ctx.registries, &account).is_ok_and(|wanted| wanted == *name)
        }
        // Whether it uses this one cannot be told.
        Err(account) => {
            let may = objects::has_finalizer(&account.metadata, keys::FINALIZER_ROBOT);
            if may {
                tracing::warn!(registry = %name, "is not let go: {}", explain(&account));
            }
            may
        }
    };
    match name.namespace() {
        // Nobody in another namespace can name it.
        Some(namespace) => accounts::any(&ctx.client, std::slice::from_ref(namespace), uses).await,
        None => accounts::any(&ctx.client, &ctx.settings.namespaces, uses).await,
    }
}

/// What needs a person is tried the more rarely the longer it lasts: each wrong password keeps the right one of that user
/// name out for a while. A changed Secret or registry object is tried at once.
fn patience(trouble: &Trouble, since: Option<Instant>) -> Option<Duration> {
    since.filter(|_| trouble.permanent).map(|since| since.elapsed().min(LONGEST_PATIENCE))
}

/// The login as it sees itself: once an hour, and when it or the registry is another one. `None` = not looked at.
async fn look_at_login(ctx: &Context, name: &RegistryKey, login: LoginKind) -> Option<Option<LoginRobot>> {
    let state = ctx.registries.get(name)?;
    if state.login_robot_seen.is_some_and(|at| at.elapsed() < REPROBE) {
        return None;
    }
    match login {
        LoginKind::Robot => login_robot::read(state.client.as_ref()?, &state.login_name).await,
        LoginKind::Administrator | LoginKind::User => Some(None),
    }
}

/// The permissions that Harbor knows, as often as the login is looked at. An older list, or the built-in one, serves
/// where that fails (`false`).
async fn look_at_server(ctx: &Context, name: &RegistryKey) -> bool {
    let Some(client) = ctx.registries.get(name).and_then(|state| state.client.clone()) else { return false };
    match client.catalogue().await {
        Ok(catalogue) => {
            let catalogue = catalogue.map(|catalogue| ctx.registries.shared(catalogue));
            ctx.registries.change(name, |state| {
                state.recheck_owed |= state.catalogue.is_some() && state.catalogue != catalogue;
                state.catalogue = catalogue;
            });
            true
        }
        Err(error) => {
            tracing::debug!(registry = %name, %error, "Harbor's permissions were not listed");
            false
        }
    }
}

/// Where a robot login was given other permissions, what was learned by trying is not so any more. Of a person, or a robot that
/// cannot see itself, nothing tells that: whoever needs PUT or PATCH tries them again as often as the login is looked at.
fn compare_rights(ctx: &Context, name: &RegistryKey, own: Option<&LoginRobot>) {
    let Some(state) = ctx.registries.get(name) else { return };
    let changed = state.login_robot.as_ref().zip(own).is_some_and(|(before, now)| before.rights != now.rights);
    // Taken away and given back between two looks.
    let refused = state.capabilities.may_update(&Home::Project(String::new())) == Some(false);
    let given_back = refused && own.is_some_and(|own| own.updates_robots);
    if changed || given_back {
        tracing::info!(registry = %name, "the login was given other permissions");
        state.capabilities.forget_updates();
        ctx.registries.change(name, |state| (state.sweep_owed, state.recheck_owed) = (true, true));
    } else if own.is_none() {
        state.capabilities.forget_updates();
    }
}

/// What Harbor refused as unknown is tried again as often as the login is looked at, and so is what the login could not do:
/// by the accounts that are not as wished for it.
fn try_again(ctx: &Context, name: &RegistryKey) {
    let Some(state) = ctx.registries.get(name) else { return };
    state.capabilities.forget_refused_pairs();
    for key in ctx.index.keys(|_, entry| entry.registry == *name && entry.held_back) {
        recheck(ctx, &key);
    }
}

/// When the login's expiry has to be announced, if that is still to come.
fn notice(ctx: &Context, state: &RegistryState) -> Option<Instant> {
    let now = state.registry_now(ctx.now());
    let at = state.login_robot.as_ref()?.notice_at().filter(|&at| at > now)?;
    Some(ctx.instant_of(at, now))
}

/// Asks for a pass over each account of a registry that a person changed: neither a backoff nor anything that an
/// account waits for holds it up.
pub fn recheck_accounts_of(ctx: &Context, registry: &RegistryKey) {
    for key in ctx.index.keys(|_, entry| entry.registry == *registry) {
        ctx.index.update(&key, |entry| entry.recheck = true);
        ctx.accounts.change(key, None);
    }
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

/// Makes sure of a client for the present login and asks Harbor who it is. A first 401 is checked again; one more of a
/// login that is known to be wrong is not, since each may lock a person out for 1.5 s.
async fn ask(ctx: &Arc<Context>, name: &RegistryKey, state: &Arc<RegistryState>) -> Result<ServerInfo, Trouble> {
    let Connected { client, missing } = connect(ctx, name, state).await?;
    if let Some(missing) = missing {
        return ask_kept(ctx, name, state, &*client, missing).await;
    }
    let same = ctx.registries.get(name).is_some_and(|now| now.connection == state.connection);
    let known_wrong = state.trouble.as_ref().is_some_and(|trouble| trouble.reason == Error::Unauthorized.reason());
    match client.info().await {
        Err(Error::Unauthorized) if same && known_wrong => return Err(refused(ctx, name, state, &Error::Unauthorized)),
        // Any server with logins refuses this one; who asks may know that of a Harbor only.
        Err(error) if state.is_tenants() && error.is_of_login() && !matches!(client.is_harbor().await, Ok(true)) => {
            return Err(Trouble::from_error(state, &Error::Unreachable { what: "no Harbor answers there" }));
        }
        Err(Error::Unauthorized) => {}
        answer => return answer.map_err(|error| refused(ctx, name, state, &error)),
    }
    // Another wrong try in between would make Harbor refuse the right password, too.
    ctx.registries.change(name, |state| state.trouble = Some(Trouble::suspected(name)));
    tokio::time::sleep(SECOND_TRY).await;
    let Some(state) = &ctx.registries.get(name) else { return Err(Trouble::from_error(state, &Error::Unauthorized)) };
    let Connected { client, missing } = connect(ctx, name, state).await?;
    match missing {
        None => client.info().await.map_err(|error| refused(ctx, name, state, &error)),
        Some(missing) => ask_kept(ctx, name, state, &*client, missing).await,
    }
}

/// Asks Harbor by a login that is only in memory. A registry on its way out is served by it; of another one only what is
/// to be deleted is, and the login is missing all the same. One refusal is enough: the login is not to come back.
async fn ask_kept(
    ctx: &Arc<Context>,
    name: &RegistryKey,
    state: &RegistryState,
    client: &dyn Registry,
    missing: Trouble,
) -> Result<ServerInfo, Trouble> {
    let answer = client.info().await;
    ctx.registries.change(name, |state| {
        state.kept = answer.is_ok();
        state.kept_in_vain |= matches!(answer, Err(Error::Unauthorized));
    });
    match answer {
        Ok(info) if state.is_deleting() => Ok(info),
        Ok(_) | Err(Error::Unauthorized) => Err(missing),
        Err(error) => Err(Trouble::from_error(state, &error)),
    }
}

/// What an answer says of the registry; of a robot's login that was seen to expire, that it did.
fn refused(ctx: &Context, name: &RegistryKey, asked: &Arc<RegistryState>, error: &Error) -> Trouble {
    let state = ctx.registries.get(name).unwrap_or_else(|| Arc::clone(asked));
    let trouble = Trouble::from_error(&state, error);
    if *error != Error::Unauthorized {
        return trouble;
    }
    let Some(at) = state.login_robot.as_ref().and_then(|own| own.expired(state.registry_now(ctx.now()))) else {
        return trouble;
    };
    let (login, secret) = (&state.login_name, state.login_secret());
    let message = format!(
        "registry {name}: Harbor does not accept the login; {login} expired at {at}: let it live longer in Harbor, or put \
         another login into Secret {secret}"
    );
    // Names of the operator's login and Secret are for whoever sees the registry.
    Trouble { for_accounts: Some(trouble.message.clone()), message, ..trouble }
}
