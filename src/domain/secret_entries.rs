//! In which lists of which ServiceAccounts a Secret is entered.

use std::fmt;

use crate::api::{ObjectName, ServiceAccountUse};

/// A list of a ServiceAccount that names Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretList {
    /// `imagePullSecrets`, with which its pods pull.
    ImagePullSecrets,
    /// `secrets`, where programs look for what to push with.
    Secrets,
}

impl SecretList {
    /// The lists that a use names.
    pub fn of(wanted: Option<ServiceAccountUse>) -> &'static [Self] {
        match wanted {
            None | Some(ServiceAccountUse::ImagePullSecrets) => &[Self::ImagePullSecrets],
            Some(ServiceAccountUse::Secrets) => &[Self::Secrets],
            Some(ServiceAccountUse::Both) => &[Self::ImagePullSecrets, Self::Secrets],
        }
    }
}

impl fmt::Display for SecretList {
    /// As the field of a ServiceAccount is called.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ImagePullSecrets => "imagePullSecrets",
            Self::Secrets => SECRETS,
        })
    }
}

/// A Secret's entry in one list of one ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretEntry {
    /// Whose list.
    pub service_account: ObjectName,
    /// Which.
    pub list: SecretList,
}

const SECRETS: &str = "secrets";

impl SecretEntry {
    /// The record of an entry, which [`SecretEntry::read`] reads: the name of the ServiceAccount, with `/secrets` for that list.
    /// Names hold no slash.
    pub fn record(&self) -> String {
        match self.list {
            SecretList::ImagePullSecrets => self.service_account.to_string(),
            SecretList::Secrets => format!("{}/{SECRETS}", self.service_account),
        }
    }

    /// What [`SecretEntry::record`] wrote; `None` for any other text.
    pub fn read(record: &str) -> Option<Self> {
        let (name, list) = match record.split_once('/') {
            None => (record, SecretList::ImagePullSecrets),
            Some((name, SECRETS)) => (name, SecretList::Secrets),
            Some(_) => return None,
        };
        Some(Self { service_account: ObjectName::new(name).ok()?, list })
    }
}

impl fmt::Display for SecretEntry {
    /// For people: `the imagePullSecrets of ServiceAccount default`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of ServiceAccount {}", self.list, self.service_account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_nothing_else_is_one() {
        for list in [SecretList::ImagePullSecrets, SecretList::Secrets] {
            let entry = SecretEntry { service_account: "build.er".parse().unwrap(), list };
            assert_eq!(SecretEntry::read(&entry.record()), Some(entry));
        }
        for text in ["", "/secrets", "a/imagePullSecrets", "a/secrets/", "../secrets", "A"] {
            assert_eq!(SecretEntry::read(text), None, "{text:?}");
        }
    }
}
