//! What holds the passes over an account up until it comes.

use std::time::Instant;

use super::index::digest;
use crate::api::RegistryKey;
use crate::domain::robot::Home;
use crate::engine::Outcome;

/// What an account can wait for instead of trying again and again.
#[derive(Clone, Copy, Hash)]
pub enum WaitFor<'a> {
    /// A registry that is annotated as the default.
    DefaultRegistry,
    /// This registry: that it exists, and that it answers.
    Registry(&'a RegistryKey),
    /// The next poll of this registry.
    Poll(&'a RegistryKey),
    /// This project of a registry.
    Project(&'a RegistryKey, &'a Home),
}

impl WaitFor<'_> {
    /// What it is released by.
    pub(super) fn tag(self) -> u64 {
        digest(self)
    }

    /// Waits for it, and looks again at that time if it does not come before.
    pub fn until(self, at: Option<Instant>) -> Outcome {
        Outcome::Parked(self.tag(), at)
    }
}

impl From<WaitFor<'_>> for Outcome {
    fn from(what: WaitFor<'_>) -> Self {
        what.until(None)
    }
}
