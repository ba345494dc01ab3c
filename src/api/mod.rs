//! The custom resources: types, rules that the API server checks, columns, keys.
//!
//! Nothing is defaulted into a spec, so every optional field is an `Option` and an absent one is not written. What is in
//! effect is in the status.

pub mod account;
pub mod account_status;
pub mod any_kind;
mod columns;
pub mod conditions;
pub mod crds;
pub mod duration;
pub mod harbor_registry;
pub mod keys;
mod limits;
pub mod names;
pub mod permissions;
pub mod registry;
mod registry_rules;
pub mod registry_status;
pub mod registry_time;
pub mod robot_account;
mod rules;
mod schema;
#[cfg(test)]
mod stored_properties;
pub mod system_robot_account;

pub use account::{
    AdoptionPolicy, DeletionPolicy, RegistryKind, RegistryRef, Rotation, RotationStrategy, SecretKey, SecretKeyFormat,
    SecretKeyRef, SecretOutput, ServiceAccountRef, ServiceAccountUse,
};
pub use account_status::{
    AccountStatus, NamespaceRecord, PinnedRegistry, PreviousRobot, ProjectsRecord, RobotRecord, SecretRecord,
};
pub use any_kind::{Account, AccountSpec, RegistryObject};
pub use duration::{Delay, DurationString, ExpiresAfter, Interval, InvalidDuration};
pub use harbor_registry::{HarborRegistry, HarborRegistrySpec};
pub use names::{InvalidName, ObjectName, RegistryKey};
pub use permissions::{AccessRule, Permission, PermissionKind, PermissionRecord};
pub use registry::{
    AccountDefaults, CaCertificatesKind, CaCertificatesRef, ClusterHarborRegistry, ClusterHarborRegistrySpec, Grant,
    GrantAdoption, GrantRetention, LoginSecretRef, OrphanPolicy, RateLimit, RegistryAuth, RegistryTls, ServerSettings,
};
pub use registry_status::{
    CatalogueRecord, CatalogueSource, FormerUrl, LoginKind, LoginRecord, RegistryStatus, UnmanagedRobots,
};
pub use registry_time::RegistryTime;
pub use robot_account::{RobotAccount, RobotAccountSpec};
pub use system_robot_account::{
    PatternAccess, ProjectAccess, ProjectSet, SelectedAccess, SystemRobotAccount, SystemRobotAccountSpec,
    SystemSecretOutput,
};

/// The API group of every kind.
pub const GROUP: &str = "harbor-robots.io";

/// The version of every kind.
pub const VERSION: &str = "v1alpha1";
