//! harbor-robot-operator: Harbor robot accounts as Kubernetes objects.
//!
//! Five layers; imports only point down this list (a test reads the `use` lines, `tests/layering.rs`):
//! `run` → `controllers` → `cluster`, `registry` → `domain` → `api`; `engine`, `leader`, `metrics`, `decode` are leaves, and
//! all may use `deadline`. `gate`, where changing requests leave, is kept by `leader` and asked by `cluster` and `registry`.
//! `uninstall`, a command of its own, stands beside `run`.

// Times and durations come from outside: `RegistryTime` and `deadline` saturate, and what may panic is written with words.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
#![warn(unreachable_pub)]

#[allow(unreachable_pub, reason = "what KubeSchema derives looks unreachable")]
pub mod api;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod controllers;
pub mod deadline;
pub mod decode;
pub mod domain;
pub mod engine;
pub mod gate;
pub mod leader;
pub mod logging;
pub mod metrics;
pub mod metrics_access;
pub mod registry;
pub mod run;
pub mod server;
#[cfg(test)]
mod test_properties;
pub mod uninstall;
