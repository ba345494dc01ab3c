//! The model, pure: no async, no Kubernetes client, no HTTP, no clock. Time is always an argument.

pub mod catalogue;
pub mod conditions;
pub mod contest;
pub mod desired;
#[cfg(test)]
mod explorer;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod grants;
pub mod mark;
#[cfg(test)]
mod mark_properties;
pub mod observed;
pub mod pace;
pub mod password;
pub mod patterns;
pub mod permissions;
pub mod plan;
pub mod projects;
pub mod reasons;
pub mod refused_pairs;
pub mod report;
pub mod robot;
pub mod rotation;
pub mod secret_entries;
pub mod situation;
pub mod slots;
pub mod spread;
#[cfg(test)]
mod time_properties;
pub mod update_right;

use std::hash::{DefaultHasher, Hash, Hasher as _};

/// A digest of anything that can be hashed, to be compared within one process.
pub fn digest(value: impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash.finish()
}
