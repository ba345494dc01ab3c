//! The registry port: the few calls the operator needs from Harbor, and what can go wrong with each.
//!
//! `harbor` implements it over Harbor's REST API v2.0. Everything above speaks only in these terms.

mod error;
pub mod harbor;

pub use crate::domain::catalogue::Catalogue;
pub use error::{Class, Error};

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::SignedDuration;

use crate::api::RegistryTime;
use secrecy::SecretString;

use crate::api::ObjectName;
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

/// The answer of every call.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// What a login is. Learned from `/users/current` (200 = a person, 412 = a robot, 401 = nobody).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginKind {
    /// A person with `sysadmin_flag`.
    Administrator,
    /// Any other person, e.g. a project admin.
    User,
    /// A robot account.
    Robot,
}

/// What the server says of itself to an authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `harbor_version`, as written (`v2.16.0-c50c7ddd`); absent on builds that do not say.
    pub version: Option<String>,
    /// `registry_url`: host\[:port\] without a scheme, the key for docker's configuration.
    pub registry_host: Option<String>,
    /// What our login is.
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

/// A full replacement (PUT). Harbor overwrites description, disable and permissions with what is sent; the name must
/// equal the present full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotUpdate {
    /// Level and project.
    pub home: Home,
    /// The full name just read.
    pub name: String,
    /// With the mark.
    pub description: String,
    /// Counted from creation; equal to the stored one = expiry untouched.
    pub lifetime: Lifetime,
    /// Disabled robots cannot log in.
    pub disabled: bool,
    /// Never empty.
    pub permissions: Permissions,
}

/// Harbor's settings that concern robots (`/configurations`; recorded in the contract's `31-prefix-change` and
/// `32-configurations`), as read, or as a change of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub fixed: Vec<&'static str>,
}

impl Settings {
    /// Harbor's name of [`Self::robot_name_prefix`].
    pub const ROBOT_NAME_PREFIX: &'static str = "robot_name_prefix";
    /// Harbor's name of [`Self::robot_token_duration`].
    pub const ROBOT_TOKEN_DURATION: &'static str = "robot_token_duration";
}

/// A Harbor registry with a login. Implementations bound every call in time and size, keep to the rate and in-flight
/// limits, and allow one write at a time per robot.
pub trait Registry: Send + Sync + 'static {
    /// Version, host and kind of login. Fails with [`Error::Unauthorized`] when the login is not accepted (Harbor
    /// answers `/systeminfo` anonymously with 200, so the login is asked for by `/users/current`).
    fn info(&self) -> Answer<'_, ServerInfo>;

    /// Whether what answers there tells strangers what a Harbor tells them. Other servers answer 401 to a login, too.
    fn is_harbor(&self) -> Answer<'_, bool>;

    /// All visible robots of a home, each as `reduce` leaves it, if it does. They are read page by page and reduced at once, since a
    /// project may hold many thousands. [`Error::ProjectNotFound`] if the project does not exist,
    /// [`Error::CannotListProjects`] if it does but the login cannot learn its id.
    fn digests<'a>(&'a self, home: &'a Home, reduce: &'a Reduce<'a>) -> Answer<'a, Vec<Digest>>;

    /// The robot that logs in under this full name, as its own login sees it; `None` if the login may not list robots
    /// where it lives.
    fn login_robot<'a>(&'a self, login: &'a str) -> Answer<'a, Option<Robot>>;

    /// Those robots of a home whose short name is one of `names` (one call; absent ones are left out).
    fn find<'a>(&'a self, home: &'a Home, names: &'a [&'a str]) -> Answer<'a, Vec<Robot>>;

    /// One robot by id; `None` if there is none. The project in its home is empty in the rare case that neither its name
    /// nor its permissions tell it (robots from before Harbor 2.2).
    fn get(&self, id: i64) -> Answer<'_, Option<Robot>>;

    /// Makes a robot. [`Error::Conflict`] if the name is taken.
    fn create<'a>(&'a self, robot: &'a NewRobot) -> Answer<'a, CreatedRobot>;

    /// Replaces description, lifetime, disable and permissions (PUT).
    fn update<'a>(&'a self, id: i64, robot: &'a RobotUpdate) -> Answer<'a, ()>;

    /// Sets a new secret (PATCH): the given one, or one that Harbor draws. The old one dies at once.
    fn refresh(&self, id: i64, secret: Option<SecretString>) -> Answer<'_, SecretString>;

    /// Deletes a robot; a robot that is not there counts as deleted.
    fn delete(&self, id: i64) -> Answer<'_, ()>;

    /// Whether this credential logs in (token service without a scope: 200 or 401). A refused one costs Harbor 1.5 s.
    fn verify<'a>(&'a self, name: &'a str, secret: &'a SecretString) -> Answer<'a, bool>;

    /// The names of all projects that the login sees, at most 32,000. That is not all there are, nor all it has rights
    /// in (contract `33-projects`): administrators see all; other persons those they are members of and the public ones;
    /// robots those that their permissions name and the public ones, also of others, or all if they hold a permission on
    /// all projects (`*`) or `project:list` of the system.
    ///
    /// A project made while the list is read may be missing. So may, rarely, another one where many are deleted at that
    /// time: ask [`Self::project_exists`] before acting on an absence. Fails if the login is not accepted, where Harbor
    /// itself would answer with the public projects.
    fn projects(&self) -> Answer<'_, BTreeSet<String>>;

    /// Whether there is a project of exactly this name, visible or not: Harbor tells every login (contract
    /// `33-projects`). Names that Harbor cannot have are not asked for.
    fn project_exists<'a>(&'a self, project: &'a str) -> Answer<'a, bool>;

    /// Harbor's settings. [`Error::Forbidden`] unless the login is a system administrator's; a robot's never is.
    fn settings(&self) -> Answer<'_, Settings>;

    /// Changes those settings that are given. [`Error::Forbidden`] unless the login is a system administrator's, or if
    /// they are fixed; [`Error::Invalid`] for a value that Harbor does not take. A refused value keeps the other from being changed.
    fn change_settings<'a>(&'a self, change: &'a Settings) -> Answer<'a, ()>;

    /// The pairs that this Harbor knows. `None` if it does not say: before 2.10, or to any login but that of a system
    /// administrator or of an administrator of some project.
    fn catalogue(&self) -> Answer<'_, Option<Catalogue>>;

    /// Harbor's robot name prefix as last learnt, from its settings or the name of a robot whose short name is known;
    /// `None` at first. It may change at any time.
    fn name_prefix(&self) -> Option<String>;

    /// Harbor's clock minus ours, from the last answer's `Date` header; zero before the first answer.
    fn clock_offset(&self) -> SignedDuration;

    /// The last answer's `Date` is so far from our clock that it was not believed; see [`Self::clock_offset`].
    fn clock_is_absurd(&self) -> bool;

    /// Up to when the server asked to be left alone (`Retry-After` of a 429 or 503), as time from now.
    fn asked_to_wait(&self) -> Option<Duration>;
}
