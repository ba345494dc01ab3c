//! Who the login is, and what it may do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::connect::connect;
use super::super::login_robot::LoginRobot;
use super::super::{ServedRegistry, Trouble};
use super::REPROBE;
use crate::api::RegistryKey;
use crate::controllers::Context;
use crate::domain::robot::Home;
use crate::registry::{Error, LoginKind, ServerInfo, harbor};

/// Harbor locks a person's name for 1.5 s after somebody's wrong password: a single 401 proves nothing.
const SECOND_TRY: Duration = Duration::from_secs(2);

/// What a probe found out.
pub(super) struct Answer {
    /// What Harbor says of itself, or what stands in the way.
    pub(super) info: Result<ServerInfo, Trouble>,
    /// The login was asked what it is.
    pub(super) login_read: bool,
    /// What it saw, if it is a robot that may.
    pub(super) login_robot: Option<LoginRobot>,
}

/// Asks Harbor; `None` = the operator is to end.
pub(super) async fn ask(ctx: &Arc<Context>, state: &Arc<ServedRegistry>) -> Option<Answer> {
    let name = &state.key;
    let info = ctx.unless_ending(ask_who_we_are(ctx, state)).await?;
    let mut login = None;
    if let Ok(info) = &info {
        login = ctx.unless_ending(read_login(ctx, name, info.login)).await.flatten();
        let _ = ctx.unless_ending(list_permissions(ctx, name)).await;
    }
    if let Some(login) = &login {
        unlearn(ctx, name, login.as_ref());
    }
    Some(Answer { info, login_read: login.is_some(), login_robot: login.flatten() })
}

/// Makes sure of a client for the present login and asks Harbor who it is. A first 401 is checked again; one more of a
/// login that is known to be wrong is not, since each may lock a person out for 1.5 s.
async fn ask_who_we_are(ctx: &Arc<Context>, state: &Arc<ServedRegistry>) -> Result<ServerInfo, Trouble> {
    let name = &state.key;
    let (client, missing) = connect(ctx, state).await?;
    if let Some(missing) = missing {
        return ask_kept(ctx, state, &client, missing).await;
    }
    let same = ctx.registries.get(name).is_some_and(|now| now.session.connection == state.session.connection);
    let known_wrong = state.trouble.as_ref().is_some_and(|trouble| trouble.reason == Error::Unauthorized.reason());
    match client.info().await {
        Err(Error::Unauthorized) if same && known_wrong => return Err(refused(ctx, state, &Error::Unauthorized)),
        // Any server with logins refuses this one; who asks may know that of a Harbor only.
        Err(error) if state.is_tenants() && error.is_of_login() && !matches!(client.is_harbor().await, Ok(true)) => {
            return Err(Trouble::from_error(state, &Error::Unreachable("no Harbor answers there")));
        }
        Err(Error::Unauthorized) => {}
        answer => return answer.map_err(|error| refused(ctx, state, &error)),
    }
    // Another wrong try in between would make Harbor refuse the right password, too.
    ctx.registries.change(name, |state| state.trouble = Some(Trouble::suspected(name)));
    tokio::time::sleep(SECOND_TRY).await;
    let Some(state) = &ctx.registries.get(name) else { return Err(Trouble::from_error(state, &Error::Unauthorized)) };
    let (client, missing) = connect(ctx, state).await?;
    match missing {
        None => client.info().await.map_err(|error| refused(ctx, state, &error)),
        Some(missing) => ask_kept(ctx, state, &client, missing).await,
    }
}

/// Asks Harbor by a login that is only in memory. A registry on its way out is served by it; of another one only what is
/// to be deleted is, and the login is missing all the same. One refusal is enough: the login is not to come back.
async fn ask_kept(
    ctx: &Context,
    state: &ServedRegistry,
    client: &harbor::Client,
    missing: Trouble,
) -> Result<ServerInfo, Trouble> {
    let answer = client.info().await;
    ctx.registries.change(&state.key, |state| {
        state.session.kept = answer.is_ok();
        state.session.kept_in_vain |= matches!(answer, Err(Error::Unauthorized));
    });
    match answer {
        Ok(info) if state.is_deleting() => Ok(info),
        Ok(_) | Err(Error::Unauthorized) => Err(missing),
        Err(error) => Err(Trouble::from_error(state, &error)),
    }
}

/// What an answer says of the registry; of a robot's login that was seen to expire, that it did.
fn refused(ctx: &Context, asked: &Arc<ServedRegistry>, error: &Error) -> Trouble {
    let name = &asked.key;
    let state = ctx.registries.get(name).unwrap_or_else(|| Arc::clone(asked));
    let trouble = Trouble::from_error(&state, error);
    if *error != Error::Unauthorized {
        return trouble;
    }
    let Some(at) = state.session.login_robot.as_ref().and_then(|own| own.expired(state.registry_now(ctx.now()))) else {
        return trouble;
    };
    let (login, secret) = (&state.session.login_name, state.login_secret());
    let message = format!(
        "registry {name}: Harbor does not accept the login; {login} expired at {at}: let it live longer in Harbor, or put \
         another login into Secret {secret}"
    );
    // Names of the operator's login and Secret are for whoever sees the registry.
    Trouble { for_accounts: Some(trouble.message.clone()), message, ..trouble }
}

/// The login as it sees itself: once an hour, and when it or the registry is another one. `None` = not looked at; one look
/// that fails is followed by another at the next poll.
async fn read_login(ctx: &Context, name: &RegistryKey, login: LoginKind) -> Option<Option<LoginRobot>> {
    let state = ctx.registries.get(name)?;
    if !is_due(state.session.login_robot_seen) {
        return None;
    }
    if login != LoginKind::Robot {
        return Some(None);
    }
    let login = &state.session.login_name;
    match state.session.client.as_ref()?.login_robot(login).await {
        Ok(robot) => Some(robot.map(LoginRobot::from)),
        Err(error) => {
            tracing::debug!(login, %error, "the login's own robot was not read");
            None
        }
    }
}

/// The permissions that Harbor knows, as often as the login is looked at. An older list, or the built-in one, serves
/// where that fails.
async fn list_permissions(ctx: &Context, name: &RegistryKey) {
    let Some(state) = ctx.registries.get(name) else { return };
    let Some(client) = state.session.client.as_ref().filter(|_| is_due(state.session.catalogue_seen)) else { return };
    match client.catalogue().await {
        Ok(catalogue) => {
            let catalogue = catalogue.map(|catalogue| ctx.registries.shared(catalogue));
            ctx.registries.change(name, |state| {
                (state.session.catalogue, state.session.catalogue_seen) = (catalogue, Some(Instant::now()));
            });
        }
        Err(error) => tracing::debug!(registry = %name, %error, "Harbor's permissions were not listed"),
    }
}

/// True an hour after the last time, and if there was none.
pub(super) fn is_due(seen: Option<Instant>) -> bool {
    seen.is_none_or(|at| at.elapsed() >= REPROBE)
}

/// Where a robot login was given other permissions, what was learned by trying is not so any more. Of a person, or a robot that
/// cannot see itself, nothing tells that: whoever needs PUT or PATCH tries them again as often as the login is looked at. So is
/// what Harbor refused as unknown, by the accounts that are not as wished for it.
fn unlearn(ctx: &Context, name: &RegistryKey, own: Option<&LoginRobot>) {
    let Some(state) = ctx.registries.get(name) else { return };
    let changed = state.session.login_robot.as_ref().zip(own).is_some_and(|(before, now)| before.rights != now.rights);
    // Taken away and given back between two looks.
    let refused = state.session.capabilities.updates().may(&Home::Project(String::new())) == Some(false);
    let given_back = refused && own.is_some_and(|own| own.updates_robots);
    if changed || given_back {
        tracing::info!(registry = %name, "the login was given other permissions");
        state.session.capabilities.updates().forget();
        ctx.registries.change(name, |state| state.rights_returned += u32::from(given_back));
    } else if own.is_none() {
        state.session.capabilities.updates().forget();
    }
    state.session.capabilities.forget_refused_pairs();
    ctx.recheck_those(name, |_, entry| entry.held_back);
}
