//! How an account is named on the command line.

use std::fmt;
use std::str::FromStr;

use harbor_robot_operator::api::{Account, AccountSpec, GROUP, ObjectName};

/// An account by kind and name: `ci` and `ra/ci` are the RobotAccount `ci` of the namespace, `sra/pull` is the
/// SystemRobotAccount `pull`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub is_system: bool,
    pub name: ObjectName,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once('/').unwrap_or(("ra", text));
        let kind = kind.to_ascii_lowercase();
        let kind = kind.strip_suffix(&format!(".{GROUP}")).unwrap_or(&kind);
        let is_system = match kind {
            "ra" | "robotaccount" | "robotaccounts" => false,
            "sra" | "systemrobotaccount" | "systemrobotaccounts" => true,
            other => {
                return Err(format!(
                    "{other:?} is no kind of accounts: write NAME or ra/NAME for a RobotAccount, sra/NAME for a \
                     SystemRobotAccount, and the namespace as --namespace"
                ));
            }
        };
        let name = ObjectName::new(name).map_err(|error| format!("{name:?} is {error}"))?;
        Ok(Self { is_system, name })
    }
}

/// As it can be typed again: `ci`, `sra/pull`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_system { write!(f, "sra/{}", self.name) } else { write!(f, "{}", self.name) }
    }
}

/// The account's name as a command takes it.
pub(crate) fn typed(account: &Account) -> String {
    match account.spec {
        AccountSpec::Project(_) => account.name().to_owned(),
        AccountSpec::System(_) => format!("sra/{}", account.name()),
    }
}

/// `team-a/ci`, `sra/pull`: which account is meant, wherever it is.
pub(crate) fn shown(account: &Account) -> String {
    match &account.metadata.namespace {
        Some(namespace) => format!("{namespace}/{}", account.name()),
        None => typed(account),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_as_kubectl_names_objects() {
        for (text, is_system, shown) in [
            ("ci", false, "ci"),
            ("ra/ci", false, "ci"),
            ("RobotAccounts/ci", false, "ci"),
            ("robotaccount.harbor-robots.io/ci", false, "ci"),
            ("sra/pull", true, "sra/pull"),
            ("systemrobotaccounts.harbor-robots.io/pull", true, "sra/pull"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.is_system, target.to_string().as_str()), (is_system, shown), "{text}");
        }
        for (text, says) in
            [("team-a/ci", "--namespace"), ("A", "\"A\" is"), ("ra/", "\"\" is"), ("ra/a/b", "\"a/b\" is")]
        {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
