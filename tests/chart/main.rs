//! The chart as Helm takes it: what it renders, what it refuses, and a whole life from install to uninstall on a control plane
//! of its own, with a kubelet that starts the operator as its Deployment says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails where it unwraps")]

mod helm;
mod kubelet;
mod life;
mod monitoring;
mod policies;
mod readme;
mod render;
mod values;
