//! What sweeps of a registry found out, and where they are. Of another Harbor none of it is true.

use std::sync::Arc;

use jiff::SignedDuration;

use super::orphan_count::Counts;
use super::round::Round;
use super::since::Since;
use crate::domain::report::Failure;
use crate::domain::robot::Home;

/// See the module.
#[derive(Clone, Default)]
pub struct Swept {
    /// What the last sweep was for; see `registries::basis`.
    pub basis: Option<u64>,
    /// Robots without an account and robots that nobody manages, as the last whole sweep found them.
    pub counts: Option<Arc<Counts>>,
    /// What sweeps do not get to see, since there is too much of it.
    pub problem: Option<Failure>,
    /// What stands in the way of `spec.serverSettings`.
    pub settings_problem: Option<Failure>,
    /// The home at which the last sweep ended early; `None` = it came through.
    pub stopped_at: Option<Arc<Home>>,
    /// What stood before the names of robots when they were last swept.
    pub prefix: Option<String>,
    /// The next sweep also looks at the robots of the system, which is due once after each probe.
    pub recheck_system: bool,
    /// Which homes sweeps visit beside those in use.
    pub round: Arc<Round>,
    /// Since when robots are without an account, where `orphanPolicy` asks for their deletion.
    pub orphans_due: Arc<Since>,
    /// Since when robots hold more than is granted.
    pub ungranted: Arc<Since>,
    /// Harbor's clock minus ours when timers were last set by it.
    pub clock_offset: SignedDuration,
}
