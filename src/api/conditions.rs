//! The types of the conditions in `status.conditions`. They follow kstatus, so `kubectl wait`, Flux and Argo CD
//! understand them.

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
