//! harbor-robot-operator: Harbor robot accounts as Kubernetes objects.
//!
//! Five layers; imports only point down this list (a test reads the `use` lines, `tests/layering.rs`):
//! `run` → `controllers` → `cluster`, `registry` → `domain` → `api`; `engine`, `leader`, `metrics` are leaves.

pub mod api;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod controllers;
pub mod domain;
pub mod engine;
pub mod leader;
pub mod logging;
pub mod metrics;
pub mod registry;
pub mod run;
pub mod server;
