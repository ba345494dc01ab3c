//! One pass over a registry: reads the login Secret, asks Harbor who it is, keeps the registry object's status, and lets
//! the accounts go when everything answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;

use super::state::trouble_of;
use super::{RegistryState, Trouble, doubted, tag};
use crate::api::{
    ClusterHarborRegistry, ClusterHarborRegistryStatus, LoginKind, LoginRecord, conditions as kinds, keys,
};
use crate::cluster::login::{self, LoginError};
use crate::cluster::objects;
use crate::controllers::index::digest;
use crate::controllers::{Context, RegistryWork};
use crate::domain::conditions::{self, State, Verdict};
use crate::domain::robot::Home;
use crate::engine::Outcome;
use crate::registry::{self, Class, Error, Registry, ServerInfo};

const DEFAULT_IN_FLIGHT: usize = 8;
/// Harbor locks a person's name for 1.5 s after somebody's wrong password: a single 401 proves nothing.
const SECOND_TRY: Duration = Duration::from_secs(2);
/// Sweeps notice trouble; version, host and prefix are asked for again this often.
const REPROBE: Duration = Duration::from_hours(1);
/// An offset of Harbor's clock above this is reported.
const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// One pass over a registry: login, who am I, status.
pub async fn probe(ctx: &Arc<Context>, name: &Arc<str>) -> Outcome {
    let Some(state) = ctx.registries.get(name) else {
        // Accounts that are being deleted look whether they may give up.
        let waiting = ctx.accounts.release(tag(name)) > 0;
        let again = || Instant::now() + ctx.settings.abandon_after;
        return if waiting { Outcome::Settled { wake: Some(again()) } } else { Outcome::Gone };
    };
    let api = objects::cluster_registries(&ctx.client);
    if state.is_deleting() && ctx.index.count(name) == 0 {
        return match objects::remove_finalizer(&api, &state.object, keys::FINALIZER_REGISTRY).await {
            Ok(()) => Outcome::Settled { wake: None },
            Err(error) => failed(ctx, name, &error).await,
        };
    }
    if !state.is_deleting() && !objects::has_finalizer(&state.object.metadata, keys::FINALIZER_REGISTRY) {
        match objects::add_finalizer(&api, &state.object, keys::FINALIZER_REGISTRY).await {
            Ok(metadata) => {
                ctx.registries.wrote(name, ClusterHarborRegistry { metadata, ..(*state.object).clone() });
            }
            Err(error) => return failed(ctx, name, &error).await,
        }
    }
    let result = ask(ctx, name, &state).await;
    let was_usable = state.trouble.is_none();
    let before = (state.connection, state.hosts());
    ctx.registries.change(name, |state| {
        state.probed = true;
        match &result {
            Ok(info) => {
                if let (None, Some(client)) = (&state.info, &state.client) {
                    state.clock_offset = client.clock_offset();
                }
                state.info = Some(info.clone());
                state.trouble = state.hosts().is_none().then(|| Trouble {
                    reason: "RegistryHostInvalid",
                    message: format!(
                        "registry {}: Harbor names no usable registry host; set spec.registryHost",
                        state.object.name_any()
                    ),
                    for_accounts: None,
                    permanent: true,
                });
            }
            Err(trouble) => state.trouble = Some(trouble.clone()),
        }
        match &state.trouble {
            None => state.trouble_since = None,
            Some(_) => {
                state.trouble_since.get_or_insert_with(Instant::now);
            }
        }
    });
    let Some(state) = ctx.registries.get(name) else { return Outcome::Gone };
    if let Err(error) = write_status(ctx, name, &state).await {
        return failed(ctx, name, &error).await;
    }
    ctx.metrics.registry_up(name, state.trouble.is_none());
    match &state.trouble {
        None => {
            if !was_usable {
                tracing::info!(registry = %name, "the registry answers");
            }
            // Also accounts that were parked while the registry seemed usable.
            ctx.accounts.release(tag(name));
            if state.probed && before.0 != 0 && before != (state.connection, state.hosts()) {
                // Another login may do what the last one could not, and Secrets name the hosts.
                look_at_users(ctx, name);
            }
            ctx.registry_work.hint(RegistryWork::Sweep(Arc::clone(name)), None);
            Outcome::Settled { wake: Some(Instant::now() + state.poll_interval().max(REPROBE)) }
        }
        Some(trouble) => {
            tracing::warn!(registry = %name, reason = trouble.reason, message = trouble.message, "the registry cannot be used");
            // Accounts say why they wait; settled ones are left alone.
            ctx.accounts.release(tag(name));
            let wait = state.client.as_ref().and_then(|client| client.asked_to_wait());
            Outcome::Failed { not_before: wait.map(|wait| Instant::now() + wait) }
        }
    }
}

/// Asks for a pass over each account of a registry that a person changed: neither a backoff nor anything that an
/// account waits for holds it up.
pub fn look_at_users(ctx: &Context, registry: &str) {
    for key in ctx.index.keys(|_, entry| *entry.registry == *registry) {
        ctx.index.update(&key, |entry| entry.look = true);
        ctx.accounts.change(key, None);
    }
}

/// A write to the registry object failed. If it was made on an old picture, the next pass gets a new one.
async fn failed(ctx: &Context, name: &Arc<str>, error: &crate::cluster::Error) -> Outcome {
    if error.class() != Class::Stale {
        tracing::warn!(registry = %name, %error, "the registry object was not updated");
        return Outcome::Failed { not_before: None };
    }
    match objects::read(&objects::cluster_registries(&ctx.client), name).await {
        Ok(Some(object)) => {
            ctx.registries.see(name, object);
            Outcome::Again
        }
        Ok(None) => Outcome::Settled { wake: None },
        Err(error) => {
            tracing::warn!(registry = %name, %error, "the registry object was not read");
            Outcome::Failed { not_before: None }
        }
    }
}

/// Makes sure of a client for the present login and asks Harbor who it is. A first 401 is checked again.
async fn ask(ctx: &Arc<Context>, name: &Arc<str>, state: &RegistryState) -> Result<ServerInfo, Trouble> {
    let client = connect(ctx, name, state).await?;
    match client.info().await {
        Err(Error::Unauthorized) => {}
        answer => return answer.map_err(|error| trouble_of(name, &error)),
    }
    // Another wrong try in between would make Harbor refuse the right password, too.
    ctx.registries.change(name, |state| state.trouble = Some(doubted(name)));
    tokio::time::sleep(SECOND_TRY).await;
    let Some(state) = ctx.registries.get(name) else { return Err(trouble_of(name, &Error::Unauthorized)) };
    let client = connect(ctx, name, &state).await?;
    client.info().await.map_err(|error| trouble_of(name, &error))
}

async fn connect(ctx: &Arc<Context>, name: &Arc<str>, state: &RegistryState) -> Result<Arc<dyn Registry>, Trouble> {
    let spec = &state.object.spec;
    let namespace = &ctx.settings.resource_namespace;
    let elsewhere = |what: &str| Some(format!("registry {name}: {what}; the registry's own status says more"));
    let broken = |reason, message: String| Trouble {
        reason,
        message: format!("registry {name}: {message}"),
        for_accounts: elsewhere("its connection is not set up"),
        permanent: true,
    };
    let unread = |error: LoginError| match error {
        LoginError::Missing(message) => broken("CredentialsMissing", message),
        LoginError::Kube(error) => Trouble {
            reason: error.reason(),
            message: format!("registry {name}: {error}"),
            for_accounts: elsewhere("its login cannot be read now"),
            permanent: false,
        },
    };
    let Some(secret) = &spec.auth.secret_ref else {
        return Err(broken("CredentialsMissing", "spec.auth names no Secret".to_owned()));
    };
    let login = login::read(&ctx.client, namespace, &secret.name).await.map_err(unread)?;
    let tls = spec.tls.clone().unwrap_or_default();
    let roots = match (&tls.ca_bundle, &tls.ca_bundle_ref) {
        (Some(pem), _) => Some(pem.clone()),
        (None, Some(source)) => Some(login::read_ca_bundle(&ctx.client, namespace, source).await.map_err(unread)?),
        (None, None) => None,
    };
    let connection = digest((
        &spec.url,
        login.fingerprint(),
        &roots,
        state.requests_per_second(),
        spec.rate_limit.as_ref().map(|limit| limit.max_in_flight),
    ));
    if let Some(client) = state.client.as_ref().filter(|_| state.connection == connection) {
        return Ok(Arc::clone(client));
    }
    let url: url::Url = spec.url.parse().map_err(|_| broken("UrlInvalid", format!("{} is not a URL", spec.url)))?;
    if url.scheme() != "https" && !ctx.settings.allow_http {
        return Err(broken(
            "UrlInvalid",
            "spec.url must be https (http needs the operator's flag --allow-http)".to_owned(),
        ));
    }
    let metrics = Arc::clone(&ctx.metrics);
    let in_flight = spec.rate_limit.as_ref().and_then(|limit| usize::try_from(limit.max_in_flight?).ok());
    let client = registry::harbor::Client::new(registry::harbor::Config {
        url,
        username: login.username.clone(),
        password: login.password.clone(),
        roots: roots.map(String::into_bytes),
        requests_per_second: state.requests_per_second(),
        max_in_flight: in_flight.unwrap_or(DEFAULT_IN_FLIGHT),
        timeouts: registry::harbor::Timeouts::default(),
        user_agent: concat!("harbor-robot-operator/", env!("CARGO_PKG_VERSION")).to_owned(),
        clock: Arc::new(crate::clock::now),
        observer: Some(Arc::new(move |call, outcome, took| metrics.registry_call(call, outcome, took))),
    })
    .map_err(|error| broken("ConnectionInvalid", error.to_string()))?;
    let client: Arc<dyn Registry> = Arc::new(client);
    state.learned.reset();
    ctx.registries.change(name, |state| {
        state.client = Some(Arc::clone(&client));
        state.connection = connection;
        state.login_name.clone_from(&login.username);
    });
    tracing::info!(registry = %name, login = login.username, "logging in");
    Ok(client)
}

async fn write_status(ctx: &Context, name: &Arc<str>, state: &RegistryState) -> Result<(), crate::cluster::Error> {
    let before = state.object.status.clone().unwrap_or_default();
    let generation = state.object.metadata.generation;
    let mut status = ClusterHarborRegistryStatus {
        observed_generation: generation,
        cluster_name: Some(ctx.settings.cluster_name.clone()),
        accounts: i32::try_from(ctx.index.count(&state.object.name_any())).ok(),
        ..before.clone()
    };
    if let Some(info) = &state.info {
        let kind = match info.login {
            registry::LoginKind::Administrator => LoginKind::Administrator,
            registry::LoginKind::User => LoginKind::User,
            registry::LoginKind::Robot => LoginKind::Robot,
        };
        let may_update = state.learned.may_update(&Home::Project(String::new()));
        status.login = Some(LoginRecord { kind, name: state.login_name.clone(), may_update });
        status.harbor_version.clone_from(&info.version);
        status.robot_name_prefix.clone_from(&info.robot_name_prefix);
        status.registry_host = state.hosts().and_then(|hosts| hosts.into_iter().next());
    }
    let suspended = state.object.spec.suspend.unwrap_or_default();
    let mut verdicts = match &state.trouble {
        None if suspended => vec![Verdict::new(
            kinds::READY,
            State::True,
            "Suspended",
            "the login works; spec.suspend stops every account of this registry",
        )],
        None => vec![Verdict::new(kinds::READY, State::True, "LoggedIn", "Harbor accepts the login")],
        Some(trouble) => vec![Verdict::new(kinds::READY, State::False, trouble.reason, trouble.message.clone())],
    };
    verdicts.push(match &state.trouble {
        Some(trouble) if trouble.permanent => {
            Verdict::new(kinds::STALLED, State::True, trouble.reason, trouble.message.clone())
        }
        _ => Verdict::absent(kinds::STALLED),
    });
    let offset = state.client.as_ref().map(|client| client.clock_offset()).unwrap_or_default();
    verdicts.push(if offset.abs() > SKEW {
        let message = "Harbor's clock and this cluster's differ by more than 5 minutes; deadlines follow Harbor's";
        Verdict::new(kinds::CLOCK_SKEW, State::True, "ClockSkew", message)
    } else {
        Verdict::absent(kinds::CLOCK_SKEW)
    });
    status.conditions = conditions::apply(&before.conditions, &verdicts, generation, ctx.now());
    if status == before {
        return Ok(());
    }
    ctx.metrics.kube_write("registry-status");
    let object = ClusterHarborRegistry { status: Some(status), ..(*state.object).clone() };
    let meta = objects::write_status(&objects::cluster_registries(&ctx.client), object.clone()).await?;
    let object = ClusterHarborRegistry { metadata: meta, ..object };
    ctx.registries.wrote(name, object);
    Ok(())
}
