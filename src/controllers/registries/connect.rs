//! The client of a registry: made anew where the object or the login Secret asks for another one.

use std::sync::Arc;

use super::served::CREDENTIALS_MISSING;
use super::{ServedRegistry, Trouble};
use crate::api::RegistryKey;
use crate::cluster::login::{self, Login, LoginError, Trust};
use crate::controllers::Context;
use crate::domain::digest;
use crate::registry::Error;
use crate::registry::harbor::{self, ConfigError};

/// Makes sure of a client for the present login and connection settings. Where those are gone and something waits to be
/// deleted, or an account is to publish them again, the client in memory serves that: then also what is missing.
pub(super) async fn connect(
    ctx: &Context,
    state: &ServedRegistry,
) -> Result<(Arc<harbor::Client>, Option<Trouble>), Trouble> {
    let name = &state.key;
    let missing = match current(ctx, state).await {
        Ok(client) => {
            if state.session.kept || state.session.kept_in_vain {
                ctx.registries.change(name, |state| (state.session.kept, state.session.kept_in_vain) = (false, false));
            }
            return Ok((client, None));
        }
        Err(trouble) if trouble.reason == CREDENTIALS_MISSING => trouble,
        Err(trouble) => return Err(trouble),
    };
    let needed =
        state.is_deleting() || ctx.index.has_deleting(name) || ctx.index.publishes_login(name, state.login_secret());
    match state.kept_client().filter(|_| needed) {
        Some(client) => Ok((Arc::clone(client), Some(missing))),
        None => Err(missing),
    }
}

async fn current(ctx: &Context, state: &ServedRegistry) -> Result<Arc<harbor::Client>, Trouble> {
    let (name, spec) = (&state.key, &state.object.spec);
    let namespace = state.secret_namespace(&ctx.settings);
    let most = ctx.settings.tenants.registries;
    if state.is_tenants() && ctx.registries.older_of_namespace(&state.object) >= most {
        let text = format!(
            "{most} older HarborRegistry objects of this namespace are served, and no more than that; delete one, or have the \
             cluster's administrators raise the operator's flag --tenant-registries"
        );
        return Err(broken(name, "TooManyRegistries", &text));
    }
    let Some(secret) = &spec.auth.secret_ref else {
        return Err(broken(name, CREDENTIALS_MISSING, "spec.auth names no Secret"));
    };
    let login = login::read(&ctx.client, namespace, secret, trust(state)).await.map_err(|error| unread(name, error))?;
    if state.login_version != login.version {
        ctx.registries.change(name, |state| state.login_version = login.version);
    }
    let roots = roots(ctx, state).await.map_err(|error| unread(name, error))?;
    let connection = digest((
        &spec.url,
        login.fingerprint(),
        &roots,
        state.requests_per_second(&ctx.settings),
        state.max_in_flight(&ctx.settings),
    ));
    if let Some(client) = state.session.client.as_ref().filter(|_| state.session.connection == connection) {
        return Ok(Arc::clone(client));
    }
    let client = Arc::new(client_for(ctx, state, &spec.url, &login, roots)?);
    ctx.registries.change(name, |state| {
        if state.session.client.is_some() {
            state.keep_basis();
        }
        let former = state.session.begin(Arc::clone(&client), connection, &spec.url, &login.username);
        if former.client.is_some() && former.url != spec.url {
            state.leave(&former.url, former.client);
        }
        // Nothing is done by a login of which it is not known what it is.
        state.trouble.get_or_insert_with(|| Trouble::unprobed(name));
        state.probed = false;
    });
    tracing::info!(registry = %name, login = login.username, "logging in");
    Ok(client)
}

/// What only a person can put right. Names of logins and Secrets are for whoever sees the registry.
fn broken(name: &RegistryKey, reason: &'static str, message: &str) -> Trouble {
    let for_accounts = format!("registry {name}: its connection is not set up; the registry's own status says more");
    let trouble = Trouble::lasting(reason, format!("registry {name}: {message}"));
    Trouble { for_accounts: Some(for_accounts), ..trouble }
}

fn unread(name: &RegistryKey, error: LoginError) -> Trouble {
    match error {
        LoginError::Missing(message) => broken(name, CREDENTIALS_MISSING, &message),
        LoginError::NotMarked(message) => broken(name, "SecretNotMarked", &message),
        LoginError::Kube(error) => {
            let for_accounts =
                format!("registry {name}: its login cannot be read now; the registry's own status says more");
            let trouble = Trouble::passing(error.reason(), format!("registry {name}: {error}"));
            Trouble { for_accounts: Some(for_accounts), ..trouble }
        }
    }
}

/// Whoever writes a ClusterHarborRegistry owns the operator's namespace.
fn trust(state: &ServedRegistry) -> Trust {
    if state.is_tenants() { Trust::Marked } else { Trust::Any }
}

/// Whose certificates are trusted; `None`: the system's.
async fn roots(ctx: &Context, state: &ServedRegistry) -> Result<Option<String>, LoginError> {
    let tls = state.object.spec.tls.clone().unwrap_or_default();
    match (tls.ca_certificates, &tls.ca_certificates_ref) {
        (Some(pem), _) => Ok(Some(pem)),
        (None, Some(source)) => {
            let namespace = state.secret_namespace(&ctx.settings);
            login::read_ca_certificates(&ctx.client, namespace, source, trust(state)).await.map(Some)
        }
        (None, None) => Ok(None),
    }
}

/// A client for a URL that `spec.url` named before, with the present login.
pub(super) async fn client_at(ctx: &Context, state: &ServedRegistry, url: &str) -> Option<Arc<harbor::Client>> {
    let namespace = state.secret_namespace(&ctx.settings);
    let login = match &state.object.spec.auth.secret_ref {
        Some(secret) => login::read(&ctx.client, namespace, secret, trust(state)).await.ok(),
        None => None,
    };
    let made = match (login, roots(ctx, state).await) {
        (Some(login), Ok(roots)) => client_for(ctx, state, url, &login, roots).ok(),
        _ => None,
    };
    if made.is_none() {
        tracing::warn!(registry = %state.key, url, "no client for the former Harbor can be made");
    }
    made.map(Arc::new)
}

/// A client of this registry's login for a URL.
fn client_for(
    ctx: &Context,
    state: &ServedRegistry,
    url: &str,
    login: &Login,
    roots: Option<String>,
) -> Result<harbor::Client, Trouble> {
    let invalid = |text: &str| broken(&state.key, "UrlInvalid", text);
    let url: url::Url = url.parse().map_err(|_| invalid(&format!("{url} is not a URL")))?;
    if url.scheme() != "https" && !ctx.settings.allow_http {
        return Err(invalid("spec.url must be https (http needs the operator's flag --allow-http)"));
    }
    let (metrics, clock, tenants) = (Arc::clone(&ctx.metrics), ctx.clock, &ctx.settings.tenants);
    let of_cluster = !state.is_tenants();
    let reach = if of_cluster {
        harbor::Reach::Anywhere
    } else {
        // It could else be pointed at whatever the operator reaches.
        harbor::Reach::Internet { except: tenants.private_hosts.clone(), denied: tenants.denied.clone() }
    };
    harbor::Client::new(harbor::Config {
        url,
        username: login.username.clone(),
        password: login.password.clone(),
        roots: roots.map(String::into_bytes),
        reach,
        requests_per_second: state.requests_per_second(&ctx.settings),
        max_in_flight: state.max_in_flight(&ctx.settings),
        room: ctx.registries.room(state.is_tenants()),
        timeouts: harbor::Timeouts::default(),
        user_agent: concat!("harbor-robot-operator/", env!("CARGO_PKG_VERSION")).to_owned(),
        clock: Arc::new(move || clock.now()),
        observer: Some(Arc::new(move |call, outcome, took| match outcome {
            _ if of_cluster => metrics.registry_call(call, outcome, took),
            // How a call failed, or how soon, would tell what is at an address that its owner may only call unreachable.
            "ok" => metrics.namespaced_registry_call("ok"),
            _ => metrics.namespaced_registry_call("failed"),
        })),
        gate: ctx.gate.clone(),
        carrier: ctx.carrier.clone(),
    })
    .map_err(|error| match error {
        // As if nothing answered there.
        ConfigError::Address => Trouble::from_error(state, &Error::Unreachable("address not allowed")),
        other => broken(&state.key, "ConnectionInvalid", &other.to_string()),
    })
}
