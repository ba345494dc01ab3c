//! From an error to what the queue does next and what status says.

use std::sync::Arc;

use crate::api::RegistryKey;
use crate::controllers::registries::ServedRegistry;
use crate::controllers::{Context, WaitFor, registries};
use crate::domain::permissions;
use crate::domain::report::Failure;
use crate::domain::robot::{Home, Permissions};
use crate::engine::Outcome;
use crate::registry::{Class, Error, LoginKind};

/// After a failed Kubernetes call.
impl From<crate::cluster::Error> for Outcome {
    fn from(error: crate::cluster::Error) -> Self {
        let outcome = of_class(error.class());
        if matches!(outcome, Self::Failed { .. }) {
            tracing::warn!(%error, "a Kubernetes call failed");
        }
        outcome
    }
}

fn of_class(class: Class) -> Outcome {
    match class {
        Class::Stale => Outcome::Again,
        Class::NotLeading => Outcome::Settled { wake: None },
        // A time that a registry named holds back its client and its probe: the account waits for the probe, so that it goes
        // on as soon as that is answered.
        Class::Retry { .. } | Class::UserFix | Class::Unknown => Outcome::Failed { not_before: None },
    }
}

/// After a failed registry call. Trouble of the registry as a whole makes everybody wait for one probe; a missing
/// project waits for the sweep that sees it.
pub(crate) fn of_registry(ctx: &Arc<Context>, registry: &RegistryKey, home: &Home, error: &Error) -> Outcome {
    if error.is_outage() {
        // The probe finds out whether the registry as a whole is out of order: then the next try of this account parks
        // it. If it is not, only the backoff keeps account and probe from chasing one another.
        ctx.suspect(registry, error);
    }
    if matches!(error, Error::ProjectNotFound(_) | Error::CannotListProjects(_)) {
        return WaitFor::Project(registry, home).into();
    }
    of_class(error.class())
}

/// What status says of an error that a registry gave to whoever wanted these permissions for a robot of this home.
pub(crate) fn failure(state: &ServedRegistry, home: &Home, wanted: &Permissions, error: &Error) -> Failure {
    let registry = &state.object.spec.url;
    if error.is_of_login() {
        return registries::Trouble::suspected(&state.key).into();
    }
    if let Some(trouble) = registries::unreachable_tenant(state, error) {
        return trouble.into();
    }
    let with = |advice: &str| format!("{error}; {advice}");
    let message = match error {
        // Harbor's text names the login, which is nothing for accounts.
        Error::ScopeExceeded(_) => too_much(state, wanted),
        Error::Forbidden { needs, message } => forbidden(state, home, needs, message),
        Error::ProjectNotFound(_) => with("create it, and the account proceeds by itself"),
        Error::CannotListProjects(_) => with("grant the login project:read or project:list"),
        Error::Undeletable => with("a person has to give it one, or to use a person's login for the registry"),
        Error::LoginTooOld => with("use a project robot or a person's login"),
        _ => error.to_string(),
    };
    let permanent = error.class() == Class::UserFix;
    Failure { reason: error.reason(), message: format!("{registry}: {message}"), permanent }
}

/// The robot login holds less than it is asked to hand out.
fn too_much(state: &ServedRegistry, wanted: &Permissions) -> String {
    let lacks = state.session.login_robot.as_ref().map(|own| own.lacks(wanted)).unwrap_or_default();
    let what = if lacks.is_empty() {
        let all = wanted
            .iter()
            .map(|(scope, pairs)| format!("{} on {}", permissions::lines(pairs).join("; "), registries::place(scope)));
        format!("asked for are {}", told(all.collect()))
    } else {
        format!("it lacks {}", told(lacks))
    };
    format!(
        "the registry's robot login may only hand out permissions that it holds itself, and {what}: give it these in Harbor, \
         ask for less, or give the registry a person's login"
    )
}

/// So many places are told.
const PLACES: usize = 5;

fn told(mut lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(PLACES);
    lines.truncate(PLACES);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", lines.join("; "))
}

/// Harbor refuses a call for want of a permission.
fn forbidden(state: &ServedRegistry, home: &Home, needs: &str, said: &str) -> String {
    let place = registries::place_of(home);
    let name = state.session.login_name.as_str();
    let says_more = said != "forbidden" && !(name.is_empty() || said.contains(name));
    let said = if says_more { format!(" ({said})") } else { String::new() };
    let advice = match (state.session.info.as_ref().map(|info| info.login), home) {
        _ if needs.is_empty() => "give the registry another login".to_owned(),
        (Some(LoginKind::User), Home::Project(_)) => format!("make its user an administrator of {place} in Harbor"),
        (Some(LoginKind::User), Home::System) => "robots of the system take an administrator of Harbor".to_owned(),
        _ if needs == "project:update" => {
            "updating robots takes project:update on all projects, or a person's login".to_owned()
        }
        _ => format!("give it {needs} on {place} in Harbor, or give the registry another login"),
    };
    format!("Harbor refuses this to the registry's login on {place}{said}: {advice}")
}

/// Metric label.
pub(crate) fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Settled { .. } => "settled",
        Outcome::Again => "again",
        Outcome::Failed { .. } => "failed",
        Outcome::Parked(..) => "parked",
        Outcome::Gone => "gone",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::registries::for_tests::registry;
    use crate::domain::fixtures::desired;
    use crate::registry::ServerInfo;

    fn logged_in(kind: LoginKind) -> ServedRegistry {
        let mut state = registry(false, &json!({}));
        state.session.login_name = "robot$operator".to_owned();
        state.session.info = Some(ServerInfo { version: None, read_only: false, registry_host: None, login: kind });
        state
    }

    #[test]
    fn a_refusal_says_which_permission_is_missing_where_and_never_who_the_operator_is() {
        for (kind, error, says) in [
            (
                LoginKind::Robot,
                Error::Forbidden { needs: "robot:create", message: "forbidden".into() },
                "give it robot:create on project team-a in Harbor",
            ),
            (
                LoginKind::Robot,
                Error::Forbidden { needs: "project:update", message: "robot$operator".into() },
                "project:update on all projects",
            ),
            (
                LoginKind::User,
                Error::Forbidden { needs: "robot:create", message: "quota of ours".into() },
                "(quota of ours): make its user an administrator of project team-a",
            ),
            (
                LoginKind::Robot,
                Error::ScopeExceeded("permission scope is invalid. … robot$operator".into()),
                "asked for are ",
            ),
        ] {
            let (state, wish) = (logged_in(kind), desired());
            let failure = failure(&state, &wish.home, &wish.permissions, &error);
            assert!(failure.message.contains(says), "{}", failure.message);
            assert!(!failure.message.contains("robot$operator"), "{}", failure.message);
            assert!(failure.permanent);
        }
    }
}
