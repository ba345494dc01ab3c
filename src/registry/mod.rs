//! Harbor in the terms of everything above: what is asked of it and answered, and what can go wrong. `harbor` holds the
//! client of its REST API v2.0.

#![warn(clippy::missing_errors_doc)]

mod error;
pub mod harbor;

pub use crate::api::LoginKind;
pub use crate::domain::catalogue::Catalogue;
pub use error::{Class, Error};

use secrecy::SecretString;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use crate::api::{ObjectName, RegistryTime};
use crate::domain::mark::Mark;
use crate::domain::robot::{Home, Lifetime, Permissions, Robot};

/// What a sweep keeps of a robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The full name.
    pub name: Box<str>,
    /// Changes whenever anything about the robot does.
    pub whole: u64,
    /// The same under the prefix that the sweep knows from before, if that is another one.
    pub renamed_from: Option<u64>,
    /// The account in its mark, where the sweep asks about it.
    pub owner: Option<Box<Owner>>,
    /// The account in its mark, if the robot holds more than is granted.
    pub beyond: Option<Box<Owner>>,
}

/// The account that a robot's mark names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `None` for cluster-scoped accounts.
    pub namespace: Option<ObjectName>,
    /// `metadata.name`.
    pub name: ObjectName,
}

impl Owner {
    /// The account that a mark names.
    pub fn in_mark(mark: &Mark<'_>) -> Option<Self> {
        let namespace = match mark.namespace {
            "" => None,
            name => Some(ObjectName::new(name).ok()?),
        };
        Some(Self { uid: mark.uid.into(), namespace, name: ObjectName::new(mark.name).ok()? })
    }
}

/// Reduces a robot to what a sweep keeps; `None` = nothing.
pub type Reduce<'a> = dyn Fn(&Robot) -> Option<Digest> + Send + Sync + 'a;

/// What the server says of itself to an authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `harbor_version`, as written (`v2.16.0-c50c7ddd`); absent on builds that do not say.
    pub version: Option<String>,
    /// `registry_url`: host\[:port\] without a scheme, the key for docker's configuration.
    pub registry_host: Option<String>,
    /// `read_only`: it refuses every change until an administrator switches that off, or its garbage collection is through.
    pub read_only: bool,
    /// What our login is: learned from `/users/current` (200 = a person, 412 = a robot, 401 = nobody).
    pub login: LoginKind,
}

/// A robot to be made. `disable` and `secret` are not here: Harbor ignores both on POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRobot {
    /// Level and project.
    pub home: Home,
    /// The short name (a slot).
    pub name: String,
    /// With the mark.
    pub description: String,
    /// Days or never.
    pub lifetime: Lifetime,
    /// Never empty.
    pub permissions: Permissions,
}

/// The answer to a create.
#[derive(Clone, Debug)]
pub struct CreatedRobot {
    /// Harbor's id.
    pub id: i64,
    /// The full name, prefix included.
    pub name: String,
    /// Shown this once.
    pub secret: SecretString,
    /// Creation time, milliseconds.
    pub creation_time: RegistryTime,
    /// `None` = never.
    pub expiration_time: Option<RegistryTime>,
}

/// Harbor's settings that concern robots (`/configurations`; recorded in the contract's `31-prefix-change` and
/// `32-configurations`), as read, or as a change of them.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Begins the full name of every robot; a change renames all at once, and their old logins are refused from then
    /// on. From 2.16 on Harbor trims it and refuses a blank one with 400; before, any text is taken as it is. `None`: not
    /// readable, or to be left alone.
    pub robot_name_prefix: Option<String>,
    /// Days, positive. The web page proposes it for new robots; from 2.11 on the API never uses it. `None`: not
    /// readable, or to be left alone.
    pub robot_token_duration: Option<i64>,
    /// By Harbor's names ([`Self::ROBOT_NAME_PREFIX`], …) those that nobody can change now (`editable: false`): all, on a
    /// Harbor that takes its settings from `CONFIG_OVERWRITE_JSON`. Has no meaning in a change.
    #[serde(skip)]
    pub fixed: Vec<&'static str>,
}

impl Settings {
    /// Harbor's name of [`Self::robot_name_prefix`].
    pub const ROBOT_NAME_PREFIX: &'static str = "robot_name_prefix";
    /// Harbor's name of [`Self::robot_token_duration`].
    pub const ROBOT_TOKEN_DURATION: &'static str = "robot_token_duration";
}
