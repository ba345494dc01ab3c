//! The client of Harbor's REST API v2.0.
//!
//! `client` is the entry, with the calls by subject in `robots`, `login_robot`, `projects`, `server_info` and `settings`.
//! They go through `paging` (lists) and `transport` (as our login: `login`, `credential`, `lockout`) to `wire`, which sends
//! one request and reads one answer, of which `failure` says what a refusal or a broken connection means.

#[cfg(test)]
mod answer_properties;
mod bounded;
mod call;
mod client;
mod clock;
mod config;
mod config_error;
mod credential;
mod egress;
mod failure;
mod global_addresses;
#[cfg(test)]
mod header_properties;
mod held;
mod limits;
mod lockout;
mod login;
mod login_robot;
#[cfg(test)]
mod name_properties;
mod names;
mod paging;
mod private_host;
mod project_ids;
mod projects;
mod requests;
mod responses;
mod robots;
mod room;
mod server_info;
mod settings;
mod transport;
mod wire;

pub use client::Client;
pub use config::{Carrier, Clock, Config, Observer, Timeouts};
pub use config_error::ConfigError;
pub use egress::Reach;
pub use names::{prefix_of, short_name};
pub use private_host::{PrivateHost, PrivateHostError};
pub use room::Room;
