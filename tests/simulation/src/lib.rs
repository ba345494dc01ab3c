//! The whole operator in one thread on simulated time, thousands of times faster than life, with a Kubernetes and a Harbor in
//! memory, and every misfortune drawn from one seed.
//!
//! `machine` has the clocks and the randomness, `kubernetes` an API server, `to_kubernetes` and `to_harbor` the ways there
//! over the `network`, on which calls are late or lost; `process` starts and ends the operator. `world` is what a run begins
//! with, `wishes` what users have in Git, `logins` who the operator is at its Harbors, `order` what only people can put
//! right, `foreign` what another operator serves, `actions` what people and tools do to it, `check` what must hold, `form`
//! of Secrets and who lists them, `left` of robots, `published` of credentials, `told` of what people read, `measured` of the
//! metrics, `diary` of the log, `run` one run, `peace` its last part, `apart` one in a process of its own, `shrink` makes the story of one that
//! failed short.

pub mod actions;
pub mod apart;
pub mod chance;
pub mod check;
mod diary;
mod foreign;
mod form;
pub mod kubernetes;
mod left;
pub mod logins;
pub mod machine;
mod measured;
pub mod network;
mod order;
mod peace;
pub mod process;
mod published;
pub mod run;
pub mod shrink;
pub mod to_harbor;
pub mod to_kubernetes;
mod told;
pub mod wishes;
pub mod world;
