//! Why a registry cannot be used: the words for each error, and how little of it a tenant's registry tells.

use std::time::Duration;

use super::RegistryState;
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

pub(super) fn in_doubt(name: &str) -> Trouble {
    let message = format!("registry {name} has not been reached yet");
    Trouble { reason: "RegistryNotReady", message, for_accounts: None, permanent: false, again: None }
}

/// A single 401 proves nothing (see `probe`): only the probe's second one makes the login a wrong one.
pub fn doubted(name: &str) -> Trouble {
    Trouble {
        reason: "RegistryNotReady",
        message: format!("registry {name}: Harbor did not accept the login; it is tried again"),
        for_accounts: None,
        permanent: false,
        again: None,
    }
}

/// What is said of a tenant's registry that cannot be used as it is. Whether a host, a port or a certificate is at fault
/// would let anybody who may create such an object map a network that only the operator sees.
pub fn unreachable_tenant(state: &RegistryState, error: &Error) -> Option<Trouble> {
    let hidden = matches!(
        error,
        Error::Unreachable { .. } | Error::NoAnswer { .. } | Error::BadAnswer { .. } | Error::Server { .. }
    );
    (hidden && state.is_tenants()).then(|| unreachable(state, error))
}

fn unreachable(state: &RegistryState, error: &Error) -> Trouble {
    let name = state.object.key();
    Trouble {
        reason: "Unreachable",
        message: format!("registry {name}: no Harbor answers at spec.url, or it may not be reached from here"),
        ..trouble_of(&name, error)
    }
}

/// What an error says of a registry. Harbor refuses a login, and nothing else that a probe asks for: whatever else comes
/// from a tenant's registry, the words of some other server may be in it.
pub(super) fn told(state: &RegistryState, error: &Error) -> Trouble {
    if state.is_tenants() && !error.is_of_login() {
        return unreachable(state, error);
    }
    trouble_of(&state.object.key(), error)
}

fn trouble_of(name: &str, error: &Error) -> Trouble {
    let advice = match error {
        Error::Unauthorized => "; check the Secret that spec.auth names, and the login's expiry in Harbor",
        Error::LoginLocked { .. } => {
            "; what is published goes on working, and the login is tried until it gets through. If nobody guesses, check the \
             Secret that spec.auth names"
        }
        Error::Unreachable { .. } => "; check spec.url, spec.tls and the network",
        _ => "",
    };
    Trouble {
        reason: error.reason(),
        message: format!("registry {name}: {error}{advice}"),
        for_accounts: None,
        permanent: matches!(error, Error::Unauthorized),
        again: match error {
            Error::LoginLocked { after } => Some(*after),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::super::state::tests::registry;
    use super::*;

    #[test]
    fn of_a_registry_of_a_namespace_nothing_tells_why_it_cannot_be_reached() {
        let errors = [
            Error::Unreachable { what: "connection refused" },
            Error::Unreachable { what: "address not allowed" },
            Error::Unreachable { what: "certificate not trusted" },
            Error::NoAnswer { what: "timed out" },
            Error::BadAnswer { what: "no JSON".into(), after_write: false },
            Error::Server { status: 502 },
            Error::NotFound,
            Error::Forbidden { message: "of another server".into() },
            Error::Invalid { message: "of another server".into() },
            Error::Busy { after: None },
        ];
        let told = |namespaced: bool| {
            let registry = registry(namespaced, &json!({}));
            let texts = errors.iter().map(|error| told(&registry, error));
            texts.map(|trouble| (trouble.reason, trouble.message)).collect::<BTreeSet<_>>()
        };
        assert_eq!(told(true).len(), 1, "{:?}", told(true));
        assert_eq!(told(false).len(), errors.len());
    }
}
