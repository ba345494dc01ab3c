//! A robot account as Harbor shows it, in the model's own terms.

use std::collections::BTreeMap;

use crate::api::{PermissionKind, RegistryTime};

use super::permissions::AccessSet;

/// Where a robot lives. Fixed at creation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Home {
    /// A system robot (`level: system`).
    System,
    /// A robot of this project (`level: project`), by the project's name.
    Project(String),
}

/// What a group of pairs applies to: Harbor's `kind` and `namespace` of a permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `kind: system`, `namespace: /`.
    System,
    /// `kind: project`, `namespace: *`.
    AllProjects,
    /// `kind: project` and a project's name.
    Project(String),
}

impl Scope {
    /// Harbor's `kind`.
    pub fn kind(&self) -> PermissionKind {
        match self {
            Self::System => PermissionKind::System,
            Self::AllProjects | Self::Project(_) => PermissionKind::Project,
        }
    }
}

/// All permissions of a robot. Harbor returns groups in random order and merges equal ones, so they are compared as
/// a map of sets.
pub type Permissions = BTreeMap<Scope, AccessSet>;

/// Lifetime in whole days, or for ever: Harbor's `duration` (−1 = never). Harbor counts from the robot's creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifetime {
    /// So many days after creation.
    Days(u32),
    /// Never expires: longer than any days.
    Never,
}

impl Lifetime {
    /// The days; `None` for ever.
    pub fn days(self) -> Option<u32> {
        match self {
            Self::Never => None,
            Self::Days(days) => Some(days),
        }
    }
}

/// A robot as read from Harbor (list or GET).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Robot {
    /// Harbor's id. After a restore of Harbor ids run again: never act on an id alone.
    pub id: i64,
    /// The full name, prefix included: what one logs in with.
    pub name: String,
    /// The description, mark included; empty when absent.
    pub description: String,
    /// `level` and project (taken from the full name, since Harbor does not state it elsewhere).
    pub home: Home,
    /// The stored `duration`.
    pub lifetime: Lifetime,
    /// `None` = never.
    pub expiration_time: Option<RegistryTime>,
    /// False for robots from before Harbor 2.2, which Harbor will not edit.
    pub editable: bool,
    /// Disabled robots cannot log in.
    pub disabled: bool,
    /// Pairs with effect `allow` or none.
    pub permissions: Permissions,
    /// True if any pair carries an effect other than `allow`/none (such a robot differs from any wish of ours).
    pub foreign_effect: bool,
    /// Creation time, milliseconds.
    pub creation_time: RegistryTime,
    /// Moves on every PATCH and PUT, also on one without a change. Absent in Harbor's answer: the creation time.
    pub update_time: RegistryTime,
}
