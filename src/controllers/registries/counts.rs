//! What a sweep counted: robots whose account is gone, and robots that nobody manages.

use std::collections::HashMap;
use std::sync::Arc;

use super::unmanaged::Unmanaged;
use crate::domain::robot::Home;

/// By home; homes without any are left out.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The digests of the owners that robots without an account name, one for each robot.
    pub orphans: HashMap<Arc<Home>, Vec<u64>>,
    /// Robots that nobody manages.
    pub unmanaged: HashMap<Arc<Home>, Unmanaged>,
}

impl Counts {
    /// How many robots have no account.
    pub fn orphans(&self) -> usize {
        self.orphans.values().map(Vec::len).sum()
    }

    /// What nobody manages in all homes together.
    pub fn unmanaged(&self) -> Unmanaged {
        Unmanaged::sum(self.unmanaged.values())
    }
}
