//! From an error to what the queue does next and what status says.

use std::sync::Arc;

use crate::controllers::registries::RegistryState;
use crate::controllers::{Context, registries};
use crate::domain::report::Failure;
use crate::domain::robot::Home;
use crate::engine::Outcome;
use crate::registry::{Class, Error};

/// After a failed Kubernetes call.
pub fn of_kube(error: &crate::cluster::Error) -> Outcome {
    match error.class() {
        Class::Stale => Outcome::Again,
        Class::NotLeading => Outcome::Settled { wake: None },
        Class::Retry { .. } | Class::UserFix | Class::Unknown => {
            tracing::warn!(%error, "a Kubernetes call failed");
            Outcome::Failed { not_before: None }
        }
    }
}

/// After a failed registry call. Trouble of the registry as a whole makes everybody wait for one probe; a missing
/// project waits for the sweep that sees it.
pub fn of_registry(ctx: &Arc<Context>, registry: &Arc<str>, home: &Home, error: &Error) -> Outcome {
    if error.is_outage() {
        // The probe finds out whether the registry as a whole is out of order: then the next try of this account parks
        // it. If it is not, only the backoff keeps account and probe from chasing one another.
        ctx.suspect(registry, error);
    }
    if matches!(error, Error::ProjectNotFound { .. } | Error::CannotListProjects { .. }) {
        return Outcome::Parked(registries::project_tag(registry, home));
    }
    match error.class() {
        Class::Stale => Outcome::Again,
        Class::NotLeading => Outcome::Settled { wake: None },
        // A time that the server named holds back its client and its probe: the account waits for the probe, so that it goes
        // on as soon as that is answered.
        Class::Retry { .. } | Class::UserFix | Class::Unknown => Outcome::Failed { not_before: None },
    }
}

/// What status says of an error of a registry.
pub fn failure(state: &RegistryState, error: &Error) -> Failure {
    let registry = &state.object.spec.url;
    if error.is_of_login() {
        let registries::Trouble { reason, message, permanent, .. } = registries::doubted(&state.object.key());
        return Failure { reason, message, permanent };
    }
    if let Some(registries::Trouble { reason, message, permanent, .. }) = registries::unreachable_tenant(state, error) {
        return Failure { reason, message, permanent };
    }
    let advice = match error {
        Error::ProjectNotFound { .. } => "; create it, and the account proceeds by itself",
        Error::CannotListProjects { .. } => "; grant the login project:read or project:list",
        Error::ScopeExceeded { .. } => "; grant the login robot these permissions too, or use a person's login",
        Error::Undeletable => "; a person has to give it one, or to use a person's login for the registry",
        Error::LoginTooOld => "; use a project robot or a person's login",
        _ => "",
    };
    Failure {
        reason: error.reason(),
        message: format!("{registry}: {error}{advice}"),
        permanent: error.class() == Class::UserFix,
    }
}

/// Metric label.
pub fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Settled { .. } => "settled",
        Outcome::Again => "again",
        Outcome::Failed { .. } => "failed",
        Outcome::Parked(_) | Outcome::ParkedUntil(..) => "parked",
        Outcome::Gone => "gone",
    }
}
