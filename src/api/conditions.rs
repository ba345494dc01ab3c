//! The types of the conditions in `status.conditions`. They follow kstatus, so `kubectl wait`, Flux and Argo CD
//! understand them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Deserializer};

/// An account: a credential that works is published now. A registry: its login works.
pub const READY: &str = "Ready";

/// Harbor equals the spec.
pub const SYNCED: &str = "Synced";

/// Work is under way or will be tried again. Present only while true.
pub const RECONCILING: &str = "Reconciling";

/// A person has to do something; the reason says what. Present only while true.
pub const STALLED: &str = "Stalled";

/// An hour has passed since the time of renewal. Present only while true.
pub const RENEWAL_OVERDUE: &str = "RenewalOverdue";

/// The operator's own login at a registry expires soon. Present only while true.
pub const LOGIN_EXPIRING: &str = "LoginExpiring";

/// A registry's clock is more than five minutes off ours. Present only while true.
pub const CLOCK_SKEW: &str = "ClockSkew";

/// Harbor names another host of images than before, which nobody has confirmed. Present only while true.
pub const REGISTRY_HOST_CHANGED: &str = "RegistryHostChanged";

/// Robots of a registry's accounts are left in a Harbor that `spec.url` named before. Present only while true.
pub const ROBOTS_LEFT_BEHIND: &str = "RobotsLeftBehind";

/// All of them.
pub const ALL: [&str; 9] = [
    READY,
    SYNCED,
    RECONCILING,
    STALLED,
    RENEWAL_OVERDUE,
    LOGIN_EXPIRING,
    CLOCK_SKEW,
    REGISTRY_HOST_CHANGED,
    ROBOTS_LEFT_BEHIND,
];

/// Those that can be read: a date that nobody can hold, which whoever may write a status can put into one, must not cost the
/// whole object. What is left out is written anew when it is due.
pub(super) fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|condition| serde_json::from_value(condition).ok()).collect())
}
