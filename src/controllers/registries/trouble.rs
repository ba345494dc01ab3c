//! Why a registry cannot be used: the words for each error, and how little of it a tenant's registry tells.

use std::time::Duration;

use super::ServedRegistry;
use crate::api::RegistryKey;
use crate::domain::report::Failure;
use crate::registry::Error;

/// Why a registry cannot be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// From the table of reasons.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// The same for accounts, whose namespaces may not learn what is in the operator's; `None` = `message`.
    pub for_accounts: Option<String>,
    /// Needs a person.
    pub permanent: bool,
    /// When to look again, where no backoff fits: the next try is as good as the last.
    pub again: Option<Duration>,
}

/// What its accounts say.
impl From<Trouble> for Failure {
    fn from(Trouble { reason, message, for_accounts, permanent, .. }: Trouble) -> Self {
        Self { reason, message: for_accounts.unwrap_or(message), permanent }
    }
}

impl Trouble {
    /// What passes by itself, in words for everybody.
    pub(super) fn passing(reason: &'static str, message: String) -> Trouble {
        Trouble { reason, message, for_accounts: None, permanent: false, again: None }
    }

    /// What needs a person, in words for everybody.
    pub(super) fn lasting(reason: &'static str, message: String) -> Trouble {
        Trouble { permanent: true, ..Self::passing(reason, message) }
    }

    /// No probe has ended yet.
    pub(super) fn unprobed(name: &RegistryKey) -> Trouble {
        Self::passing("RegistryNotReady", format!("registry {name} has not been reached yet"))
    }

    /// A single 401 proves nothing (see `probe`): only the probe's second one makes the login a wrong one.
    pub fn suspected(name: &RegistryKey) -> Trouble {
        let message = format!("registry {name}: Harbor did not accept the login; it is tried again");
        Self::passing("RegistryNotReady", message)
    }

    /// What an error says of a registry. Harbor refuses a login, and in read-only mode each change; nothing else that a probe
    /// asks for: whatever else comes from a tenant's registry, the words of some other server may be in it.
    pub(super) fn from_error(state: &ServedRegistry, error: &Error) -> Trouble {
        if state.is_tenants() && !error.is_of_login() && *error != Error::ReadOnly {
            return unreachable(state, error);
        }
        let trouble = trouble_of(&state.key, error);
        match bare_name(&state.session.login_name).filter(|_| error.is_of_login()) {
            // Names of the operator's login and Secret are for whoever sees the registry.
            Some(hint) => Trouble {
                for_accounts: Some(trouble.message.clone()),
                message: format!("{} (Secret {}: {hint})", trouble.message, state.login_secret()),
                ..trouble
            },
            None => trouble,
        }
    }
}

/// What is said of a tenant's registry that cannot be used as it is. Whether a host, a port or a certificate is at fault
/// would let anybody who may create such an object map a network that only the operator sees.
pub fn unreachable_tenant(state: &ServedRegistry, error: &Error) -> Option<Trouble> {
    let hidden =
        matches!(error, Error::Unreachable(_) | Error::NoAnswer(_) | Error::BadAnswer { .. } | Error::Server(_));
    (hidden && state.is_tenants()).then(|| unreachable(state, error))
}

fn unreachable(state: &ServedRegistry, error: &Error) -> Trouble {
    let name = &state.key;
    Trouble {
        reason: "Unreachable",
        message: format!("registry {name}: no Harbor answers at spec.url, or it may not be reached from here"),
        ..trouble_of(name, error)
    }
}

/// A robot's name of which a shell took a part: in double quotes `robot$operator` becomes `robot`, and
/// `robot$team-a+operator` becomes `robot-a+operator`.
fn bare_name(name: &str) -> Option<String> {
    let robot = name.strip_prefix("robot")?;
    let cut = robot.is_empty() || robot == "$" || robot.starts_with(['+', '-', '.']);
    cut.then(|| {
        format!(
            "its username is {name:?}; if a shell replaced what follows $ in double quotes, write the whole name in single \
             quotes, like 'robot$operator'"
        )
    })
}

fn trouble_of(name: &RegistryKey, error: &Error) -> Trouble {
    let advice = match error {
        Error::Unauthorized => {
            "; check user name and password in the Secret that spec.auth names, and the login's expiry in Harbor"
        }
        Error::LoginLocked(_) => {
            "; what is published goes on working, and the login is tried until it gets through. If nobody guesses, check the \
             user name and the password in the Secret that spec.auth names"
        }
        Error::Unreachable(_) => "; check spec.url, spec.tls and the network",
        _ => "",
    };
    let again = match error {
        Error::LoginLocked(after) => Some(*after),
        _ => None,
    };
    let trouble = Trouble::passing(error.reason(), format!("registry {name}: {error}{advice}"));
    Trouble { permanent: matches!(error, Error::Unauthorized), again, ..trouble }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::super::served::tests::registry;
    use super::*;

    #[test]
    fn a_name_that_a_shell_cut_is_told_to_whoever_sees_the_registry() {
        let mut state = registry(false, &json!({"auth": {"secretRef": {"name": "harbor-login"}}}));
        for (name, cut) in [
            ("robot", true),
            ("robot$", true),
            ("robot+operator", true),
            ("robot-a+operator", true),
            ("robot$operator", false),
            ("robotina", false),
            ("admin", false),
        ] {
            state.session.login_name = name.to_owned();
            for error in [Error::Unauthorized, Error::LoginLocked(Duration::ZERO)] {
                let Trouble { message, for_accounts, .. } = Trouble::from_error(&state, &error);
                assert_eq!(message.contains("in single quotes") && message.contains("harbor-login"), cut, "{name}");
                assert!(!for_accounts.unwrap_or_default().contains("harbor-login"));
            }
            let elsewhere = Trouble::from_error(&state, &Error::Server(502));
            assert!(!elsewhere.message.contains("quotes"));
        }
    }

    #[test]
    fn of_a_registry_of_a_namespace_nothing_tells_why_it_cannot_be_reached() {
        let errors = [
            Error::Unreachable("connection refused"),
            Error::Unreachable("address not allowed"),
            Error::Unreachable("certificate not trusted"),
            Error::NoAnswer("timed out"),
            Error::BadAnswer { what: "no JSON".into(), after_write: false },
            Error::Server(502),
            Error::NotFound,
            Error::Forbidden { needs: "robot:list", message: "of another server".into() },
            Error::Invalid("of another server".into()),
            Error::Busy(None),
        ];
        let told = |namespaced: bool| {
            let registry = registry(namespaced, &json!({}));
            let texts = errors.iter().map(|error| Trouble::from_error(&registry, error));
            texts.map(|trouble| (trouble.reason, trouble.message)).collect::<BTreeSet<_>>()
        };
        assert_eq!(told(true).len(), 1, "{:?}", told(true));
        assert_eq!(told(false).len(), errors.len());
    }
}
