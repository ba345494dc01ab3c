//! The custom resources: types, rules that the API server checks, columns, keys.
//!
//! Nothing is defaulted into a spec, so every optional field is an `Option` and an absent one is not written. What is in
//! effect is in the status.

pub mod account;
pub mod conditions;
pub mod crds;
pub mod duration;
pub mod keys;
pub mod permissions;
pub mod registry;
pub mod robot_account;
mod rules;
mod schema;

pub use account::{
    AdoptionPolicy, DeletionPolicy, PinnedRegistry, PreviousRobot, RegistryKind, RegistryRef, RobotRecord, Rotation,
    RotationStrategy, SecretFormat, SecretFormatType, SecretKeyRef, SecretOutput, SecretRecord,
};
pub use duration::{DurationString, ExpiresAfter, InvalidDuration};
pub use permissions::{AccessRule, Permission};
pub use registry::{
    AccountDefaults, CaBundleKind, CaBundleRef, ClusterHarborRegistry, ClusterHarborRegistrySpec,
    ClusterHarborRegistryStatus, Grant, GrantAdoption, LoginKind, LoginRecord, LoginSecretRef, OrphanPolicy, RateLimit,
    RegistryAuth, RegistryTls, ServerSettings,
};
pub use robot_account::{RobotAccount, RobotAccountSpec, RobotAccountStatus};

/// The API group of every kind.
pub const GROUP: &str = "harbor-robots.io";

/// The version of every kind.
pub const VERSION: &str = "v1alpha1";
