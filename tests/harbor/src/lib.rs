//! Stands in for Harbor: the robot API and the registry front of v2.16 in memory, for tests.
//!
//! `StandIn::start` starts one inside this process, the program `harbor-stand-in` one beside it.
//!
//! What it answers is held to the recorded contract in `tests/contract`. What tests can do to it (move its clock, make it
//! fail, count its calls) is in `README.md`.

pub mod app;
pub mod catalogue;
pub mod clock;
pub mod control;
pub mod error;
pub mod gojson;
pub mod http;
pub mod query;
mod server;
pub mod state;
mod tls;
pub mod version;

pub use server::{Options, StandIn, apart, converse};
