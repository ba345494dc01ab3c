//! Objects of either kind, for whoever treats both alike: an account is a `RobotAccount` or a `SystemRobotAccount`, a
//! registry is a `HarborRegistry` or a `ClusterHarborRegistry`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::account::{
    AdoptionPolicy, DeletionPolicy, RegistryKind, RegistryRef, Rotation, SecretKeyRef, SecretOutput, ServiceAccountRef,
};
use super::account_status::AccountStatus;
use super::duration::ExpiresAfter;
use super::harbor_registry::HarborRegistry;
use super::names::{InvalidName, RegistryKey};
use super::registry::{ClusterHarborRegistry, ClusterHarborRegistrySpec};
use super::registry_status::RegistryStatus;
use super::robot_account::{RobotAccount, RobotAccountSpec};
use super::system_robot_account::{SystemRobotAccount, SystemRobotAccountSpec};
use super::{GROUP, VERSION};

/// `status.observedGeneration` of an object that nobody has looked at yet: the default in the CustomResourceDefinitions.
pub(super) const NOT_OBSERVED: i64 = -1;

/// The status of an object that somebody has looked at.
fn observed<S: Default + PartialEq>(status: Option<S>, generation: fn(&mut S) -> &mut Option<i64>) -> Option<S> {
    let mut status = status?;
    generation(&mut status).take_if(|generation| *generation == NOT_OBSERVED);
    Some(status).filter(|status| *status != S::default())
}

/// A `RobotAccount` or a `SystemRobotAccount`.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// `metadata`.
    pub metadata: ObjectMeta,
    /// `spec`, which tells the kind.
    pub spec: AccountSpec,
    /// `status`.
    pub status: Option<AccountStatus>,
}

/// The spec of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum AccountSpec {
    /// Of a `RobotAccount`.
    Project(RobotAccountSpec),
    /// Of a `SystemRobotAccount`.
    System(SystemRobotAccountSpec),
}

impl From<RobotAccount> for Account {
    fn from(RobotAccount { metadata, spec, status }: RobotAccount) -> Self {
        let status = observed(status, |status| &mut status.observed_generation);
        Self { metadata, spec: AccountSpec::Project(spec), status }
    }
}

impl From<SystemRobotAccount> for Account {
    fn from(SystemRobotAccount { metadata, spec, status }: SystemRobotAccount) -> Self {
        let status = observed(status, |status| &mut status.observed_generation);
        Self { metadata, spec: AccountSpec::System(spec), status }
    }
}

/// A field that both specs have.
macro_rules! shared {
    ($(#[$doc:meta])* $name:ident: $type:ty) => {
        $(#[$doc])*
        pub fn $name(&self) -> $type {
            match &self.spec {
                AccountSpec::Project(spec) => spec.$name.as_ref(),
                AccountSpec::System(spec) => spec.$name.as_ref(),
            }
        }
    };
}

impl Account {
    shared!(/// `spec.registryRef`.
        registry_ref: Option<&RegistryRef>);
    shared!(/// `spec.description`.
        description: Option<&String>);
    shared!(/// `spec.expiresAfter`.
        expires_after: Option<&ExpiresAfter>);
    shared!(/// `spec.rotation`.
        rotation: Option<&Rotation>);
    shared!(/// `spec.passwordSecretRef`.
        password_secret_ref: Option<&SecretKeyRef>);
    shared!(/// `spec.serviceAccounts`.
        service_accounts: Option<&Vec<ServiceAccountRef>>);
    shared!(/// `spec.deletionPolicy`.
        deletion_policy: Option<&DeletionPolicy>);
    shared!(/// `spec.adoptionPolicy`.
        adoption_policy: Option<&AdoptionPolicy>);
    shared!(/// `spec.disabled`.
        disabled: Option<&bool>);
    shared!(/// `spec.suspend`.
        suspend: Option<&bool>);

    /// True if `spec.suspend` is set.
    pub fn is_suspended(&self) -> bool {
        self.suspend().copied().unwrap_or_default()
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The kind's name.
    pub fn kind(&self) -> &'static str {
        match self.spec {
            AccountSpec::Project(_) => "RobotAccount",
            AccountSpec::System(_) => "SystemRobotAccount",
        }
    }

    /// The robot's name in effect, without Harbor's prefix, the project and the slot.
    pub fn robot_name(&self) -> String {
        let named = match &self.spec {
            AccountSpec::Project(spec) => spec.name.as_ref(),
            AccountSpec::System(spec) => spec.name.as_ref(),
        };
        named.map_or_else(|| self.name(), String::as_str).to_owned()
    }

    /// `spec.secret`, apart from the namespaces of a `SystemRobotAccount`.
    pub fn secret(&self) -> SecretOutput {
        match &self.spec {
            AccountSpec::Project(spec) => spec.secret.clone().unwrap_or_default(),
            AccountSpec::System(spec) => {
                let secret = spec.secret.clone().unwrap_or_default();
                SecretOutput {
                    name: secret.name,
                    labels: secret.labels,
                    annotations: secret.annotations,
                    keys: secret.keys,
                }
            }
        }
    }

    /// The name of our Secret in effect.
    pub fn secret_name(&self) -> String {
        let named = match &self.spec {
            AccountSpec::Project(spec) => spec.secret.as_ref().and_then(|secret| secret.name.as_ref()),
            AccountSpec::System(spec) => spec.secret.as_ref().and_then(|secret| secret.name.as_ref()),
        };
        named.map_or_else(|| self.name(), String::as_str).to_owned()
    }

    /// The owner reference of everything that is made for the account.
    pub fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: self.kind().to_owned(),
            name: self.name().to_owned(),
            uid: self.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// A `HarborRegistry` or a `ClusterHarborRegistry`. What only the latter has is absent in the former.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryObject {
    /// Which.
    pub kind: RegistryKind,
    /// `metadata`.
    pub metadata: ObjectMeta,
    /// `spec`.
    pub spec: ClusterHarborRegistrySpec,
    /// `status`.
    pub status: Option<RegistryStatus>,
}

impl RegistryObject {
    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Which registry it is; what the API server holds has a name that is one.
    pub fn key(&self) -> Result<RegistryKey, InvalidName> {
        match self.kind {
            RegistryKind::ClusterHarborRegistry => RegistryKey::cluster(self.name()),
            RegistryKind::HarborRegistry => {
                RegistryKey::namespaced(self.metadata.namespace.as_deref().unwrap_or_default(), self.name())
            }
        }
    }
}

impl From<ClusterHarborRegistry> for RegistryObject {
    fn from(ClusterHarborRegistry { metadata, spec, status }: ClusterHarborRegistry) -> Self {
        let status = observed(status, |status| &mut status.observed_generation);
        Self { kind: RegistryKind::ClusterHarborRegistry, metadata, spec, status }
    }
}

impl From<HarborRegistry> for RegistryObject {
    fn from(HarborRegistry { metadata, spec, status }: HarborRegistry) -> Self {
        let status = observed(status, |status| &mut status.observed_generation);
        Self { kind: RegistryKind::HarborRegistry, metadata, spec: spec.into(), status }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_come_from_the_account_unless_given() {
        let read = |spec| {
            let account: RobotAccount =
                serde_json::from_value(json!({"metadata": {"name": "ci"}, "spec": spec})).unwrap();
            Account::from(account)
        };
        let account = read(json!({"project": "team-a"}));
        assert_eq!((account.robot_name(), account.secret_name()), ("ci".into(), "ci".into()));
        let account = read(json!({"project": "team-a", "name": "pusher", "secret": {"name": "pull"}}));
        assert_eq!((account.robot_name(), account.secret_name()), ("pusher".into(), "pull".into()));
    }

    #[test]
    fn what_both_kinds_have_is_read_alike() {
        let shared = json!({"suspend": true, "expiresAfter": "7d", "serviceAccounts": [{"name": "default"}],
                            "secret": {"keys": [{"key": "user", "format": "Username"}]}});
        let (mut project, mut system) = (shared.clone(), shared);
        project["project"] = json!("team-a");
        system["systemAccess"] = json!([{"resource": "project", "action": "list"}]);
        let project: RobotAccount =
            serde_json::from_value(json!({"metadata": {"name": "ci", "uid": "u"}, "spec": project})).unwrap();
        let system: SystemRobotAccount =
            serde_json::from_value(json!({"metadata": {"name": "ci", "uid": "u"}, "spec": system})).unwrap();
        let (project, system) = (Account::from(project), Account::from(system));
        assert!(project.is_suspended() && system.is_suspended());
        assert_eq!(project.expires_after(), system.expires_after());
        assert_eq!(project.secret(), system.secret());
        assert_eq!(project.service_accounts(), system.service_accounts());
        assert_eq!(system.owner_reference().kind, "SystemRobotAccount");
        assert_eq!(project.owner_reference().uid, "u");
    }

    #[test]
    fn a_status_that_nobody_wrote_is_none() {
        let read = |status| {
            let account = json!({"metadata": {"name": "ci"}, "spec": {"project": "team-a"}, "status": status});
            Account::from(serde_json::from_value::<RobotAccount>(account).unwrap()).status
        };
        assert_eq!(read(json!({"observedGeneration": -1})), None);
        assert_eq!(read(json!({})), None);
        // Somebody took a part of it away, and the default came back.
        let left = read(json!({"observedGeneration": -1, "expiresAfter": "7d"})).unwrap();
        assert_eq!((left.observed_generation, left.expires_after.as_deref()), (None, Some("7d")));
        let registry = json!({"metadata": {"name": "r"}, "spec": {"url": "https://h", "auth": {}}, "status": {"observedGeneration": -1}});
        let registry: ClusterHarborRegistry = serde_json::from_value(registry).unwrap();
        assert_eq!(RegistryObject::from(registry).status, None);
    }
}
