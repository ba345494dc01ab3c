//! The reasons that an account's conditions can have, as labels of metrics: a stored status may hold any word.

/// All of them; `docs/reasons.md` says what they mean, and a test compares the two.
pub const OF_ACCOUNTS: [&str; 54] = [
    "BadAnswer",
    "Conflict",
    "ConnectionInvalid",
    "CredentialsMissing",
    "CredentialsRejected",
    "DefaultAmbiguous",
    "Disabled",
    "Forbidden",
    "InSync",
    "InvalidSpec",
    "KubernetesError",
    "KubernetesRefused",
    "LegacyRobot",
    "LoginCannotListProjects",
    "LoginCannotRenewItself",
    "LoginCannotUpdate",
    "LoginInUse",
    "LoginLacksPermissions",
    "LoginLocked",
    "LoginTooOld",
    "NameTaken",
    "NamespacesFailed",
    "NoAnswer",
    "NoPermissions",
    "NotPermitted",
    "ObjectNotFound",
    "PasswordInvalid",
    "PasswordMissing",
    "PermissionUnknown",
    "Progressing",
    "ProjectNotFound",
    "Published",
    "RateLimited",
    "ReadOnly",
    "Refused",
    "RegistryDeleting",
    "RegistryHostInvalid",
    "RegistryNotFound",
    "RegistryNotReady",
    "RegistryUnreadable",
    "RenewalOverdue",
    "RepairsPaused",
    "RobotNotFound",
    "RobotRenamed",
    "RobotUndeletable",
    "SecretContested",
    "SecretNotMarked",
    "SecretNotOwned",
    "ServerError",
    "ServiceAccountContested",
    "Suspended",
    "TooManyRegistries",
    "Unreachable",
    "UrlInvalid",
];

/// Stands for a word that is none of them.
pub const OTHER: &str = "Other";

/// The reason as a word that does not come from outside.
pub fn of_account(word: &str) -> &'static str {
    OF_ACCOUNTS.binary_search(&word).map_or(OTHER, |at| OF_ACCOUNTS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_become_labels() {
        assert!(OF_ACCOUNTS.is_sorted());
        for word in OF_ACCOUNTS {
            assert_eq!(of_account(word), word);
        }
        for word in ["", "published", "x".repeat(1_000_000).as_str(), "a\"} 1\nharbor_robots_leading"] {
            assert_eq!(of_account(word), OTHER);
        }
    }
}
