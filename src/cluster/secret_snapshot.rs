//! A Secret of an account as it was read, and what it tells.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::objects::{Version, other_manager};
use super::secret_owner;
use super::secret_template::{self, Credential, SecretTemplate};
use crate::domain::observed::{Checksum, RobotRef, SecretSeen};
use crate::domain::robot::Robot;
use crate::domain::secret_entries::SecretEntry;

/// A Secret as it was read.
#[derive(Clone, Default)]
pub struct SecretSnapshot {
    pub(super) object: Option<Secret>,
    pub(super) ours: bool,
    /// The credential in it, if it is whole.
    pub credential: Option<Credential>,
    robot_named: Option<RobotRef>,
}

impl SecretSnapshot {
    /// The Secret for the model. Name and expiry of the robot that it names belong to its form: Harbor renames all
    /// robots when the server's prefix changes.
    pub fn seen<'r>(&self, template: &SecretTemplate<'_>, robots: impl IntoIterator<Item = &'r Robot>) -> SecretSeen {
        let Some(secret) = &self.object else { return SecretSeen::Absent };
        if !self.ours {
            return SecretSeen::Foreign;
        }
        let credential = robots.into_iter().find_map(|robot| self.credential_of(robot));
        let current_form = credential.is_none_or(|credential| {
            secret_template::is_writable(secret) && secret_template::is_current(secret, template, &credential)
        });
        SecretSeen::Ours {
            robot: self.robot_named.clone(),
            checksum: self.checksum(),
            current_form,
            handled: secret_template::handled(secret),
        }
    }

    /// Of the credential in it, if that is ours and whole.
    pub fn checksum(&self) -> Option<Checksum> {
        self.object.as_ref().filter(|_| self.credential.is_some()).and_then(secret_template::noted_checksum)
    }

    /// True if there is no Secret of that name.
    pub fn is_absent(&self) -> bool {
        self.object.is_none()
    }

    /// True if it was made for this account.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// The credential with name and expiry as its robot has them now; `None` if it is not this robot's.
    pub fn credential_of(&self, robot: &Robot) -> Option<Credential> {
        let named = self.robot_named.as_ref().is_some_and(|named| named.is(robot));
        self.credential.as_ref().filter(|_| named).map(|credential| with_facts_of(credential, robot))
    }

    /// Our entries in ServiceAccounts, as recorded on the Secret.
    pub fn entries(&self) -> Vec<SecretEntry> {
        self.object.as_ref().filter(|_| self.ours).map(secret_template::entries).unwrap_or_default()
    }

    /// Those of them that are not ours.
    pub fn untouched(&self) -> Vec<SecretEntry> {
        self.object.as_ref().filter(|_| self.ours).map(secret_template::untouched).unwrap_or_default()
    }

    /// True if it carries an owner reference to this very account. Tools that copy Secrets take labels and annotations
    /// along, and no owners.
    pub fn is_owned_by(&self, owner: &OwnerReference) -> bool {
        let owners = self.object.as_ref().and_then(|secret| secret.metadata.owner_references.as_ref());
        owners.is_some_and(|owners| owners.iter().any(|other| other.uid == owner.uid))
    }

    /// Its version; none if there is no Secret.
    pub fn version(&self) -> Version {
        self.object.as_ref().map_or(Version::NONE, |secret| Version::of(&secret.metadata))
    }

    /// The last field manager besides us that wrote to the Secret.
    pub fn other_manager(&self) -> Option<&str> {
        other_manager(&self.object.as_ref()?.metadata)
    }
}

/// Reduces a Secret to what is asked of it.
pub(super) fn examine(secret: Secret, template: &SecretTemplate<'_>) -> SecretSnapshot {
    let ours = secret_owner::is_ours(&secret, template.owner);
    SecretSnapshot {
        credential: secret_template::credential(&secret, &template.owner.uid).filter(|_| ours),
        robot_named: secret_template::robot(&secret).filter(|_| ours),
        object: Some(secret),
        ours,
    }
}

/// The credential with name and expiry as its robot has them now.
pub(super) fn with_facts_of(credential: &Credential, robot: &Robot) -> Credential {
    let name = robot.name.clone();
    Credential {
        robot: RobotRef { name, ..credential.robot.clone() },
        expiration_time: robot.expiration_time,
        secret: credential.secret.clone(),
    }
}
