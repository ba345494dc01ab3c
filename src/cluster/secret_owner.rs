//! Whose Secret it is: the account that it was made for, and whether it is ours to write to.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::api::keys;

/// The account that a Secret of ours is made for, as the Secret says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretAccount {
    /// A `SystemRobotAccount`; otherwise a `RobotAccount` of the Secret's namespace.
    pub system: bool,
    /// Its name.
    pub name: String,
}

impl SecretAccount {
    /// From the text of [`account_text`].
    pub(super) fn read(account: String) -> Self {
        match account.strip_prefix(SYSTEM) {
            Some(name) => Self { system: true, name: name.to_owned() },
            None => Self { system: false, name: account },
        }
    }
}

/// What stands before the name of a `SystemRobotAccount` in an annotation, so that it is not taken for a namesake of the
/// namespace. Names of objects hold no slash.
const SYSTEM: &str = "SystemRobotAccount/";

/// The account as the Secret's annotation has it.
pub(super) fn account_text(owner: &OwnerReference) -> String {
    if owner.kind == SYSTEM.trim_end_matches('/') { format!("{SYSTEM}{}", owner.name) } else { owner.name.clone() }
}

/// Whether a Secret of the wanted name is ours: our owner reference is on it; or it carries our label and our account's
/// name, and no owner reference or that of a former account of this name (a restore, `Retain`). Writing over anything else
/// would let whoever may create an account replace any Secret of the namespace.
pub fn is_ours(secret: &Secret, owner: &OwnerReference) -> bool {
    let owners = secret.metadata.owner_references.as_deref().unwrap_or_default();
    if owners.iter().any(|other| other.uid == owner.uid) {
        return true;
    }
    let labelled = label(secret, keys::LABEL_MANAGED_BY) == Some(keys::MANAGED_BY);
    let same_account = annotation(secret, keys::ANNOTATION_ACCOUNT) == Some(account_text(owner).as_str());
    let only_stale = owners.iter().all(|other| other.kind == owner.kind && other.name == owner.name);
    labelled && same_account && only_stale
}

pub(super) fn annotation<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    secret.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

pub(super) fn label<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    secret.metadata.labels.as_ref()?.get(key).map(String::as_str)
}
