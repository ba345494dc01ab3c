//! The operator as its own process against a real API server and the Harbor stand-in. One module a subject; each test
//! has a `Scene` of its own (namespace, stand-in, registry object, operator) and all share one control plane.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::needless_pass_by_value, reason = "json!(…) reads best as an argument by value")]

mod again;
mod canary;
mod drift;
mod grants;
mod hands;
mod life;
mod modes;
mod ownership;
mod permissions;
mod rbac;
mod registry;
mod scene;
mod secret;
mod service_accounts;
mod suspend;
mod telling;
mod trouble;
mod update;
