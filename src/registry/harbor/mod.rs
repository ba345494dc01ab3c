//! The registry port over Harbor's REST API v2.0.
//!
//! `client` is the entry and `config` what it is made of; `robots`, `projects`, `server_info` and `settings` hold the
//! calls by subject; `paging` reads lists; `egress` says where a client may connect to, by what `global_addresses` knows
//! of addresses; `transport` sends one request and reads one answer within the limits of `limits`; `login` decides
//! whether a request carries a session or Basic, and opens sessions; `credential` is what is carried; `lockout` tells a
//! wrong password from a locked user name; `failure` says what a refusal or a broken connection means; `login_robot`
//! finds the robot that we log in as; `responses` is Harbor's JSON, `held` that of a robot's permissions and `requests`
//! ours; `bounded` counts what is read, `room` bounds what all clients do at one time; `names` knows how Harbor builds
//! names; `clock` compares Harbor's clock with ours.

#[cfg(test)]
mod answer_properties;
mod bounded;
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
mod projects;
mod requests;
mod responses;
mod robots;
mod room;
mod server_info;
mod settings;
mod transport;

pub use client::Client;
pub use config::{Carrier, Clock, Config, Observer, Timeouts};
pub use config_error::ConfigError;
pub use egress::Reach;
pub use names::{prefix_of, short_name};
pub use private_host::{PrivateHost, PrivateHostError};
pub use room::Room;
