//! The registry port over Harbor's REST API v2.0.
//!
//! `client` is the door and `config` what it is made of; `robots`, `projects`, `server` and `settings` hold the calls
//! by subject; `pages` reads lists; `reach` says where a client may connect to, by what `internet` knows of addresses;
//! `transport` sends one request and reads one answer within the limits of `limits`; `door` decides whether a request
//! carries a session or Basic, and opens sessions; `credential` is what is carried; `refusals` tells a wrong password
//! from a locked user name; `failure` says what a refusal or a broken connection means; `own` finds the robot that we
//! log in as; `wire` is Harbor's JSON, `held` that of a robot's permissions and `bodies` ours; `bounded` counts what is
//! read, `room` bounds what all clients do at one time; `names` knows how Harbor builds names; `clock` compares
//! Harbor's clock with ours.

#[cfg(test)]
mod answer_properties;
mod bodies;
mod bounded;
mod client;
mod clock;
mod config;
mod credential;
mod door;
mod failure;
#[cfg(test)]
mod header_properties;
mod held;
mod internet;
mod limits;
mod login_robot;
#[cfg(test)]
mod name_properties;
mod names;
mod pages;
mod private_host;
mod projects;
mod reach;
mod refusals;
mod robots;
mod room;
mod server;
mod settings;
mod transport;
mod wire;

pub use client::Client;
pub use config::{Carrier, Clock, Config, ConfigError, Observer, Timeouts};
pub use names::{prefix_of, short_name};
pub use private_host::{PrivateHost, PrivateHostError};
pub use reach::Reach;
pub use room::Room;
