//! The client: one Harbor, one login, and what was learnt about both.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::SecretString;

use super::config::Config;
use super::config_error::ConfigError;
use super::limits::KeyedLocks;
use super::projects::ProjectIds;
use super::transport::Transport;
use crate::domain::robot::{Home, Robot};
use crate::registry::{
    Answer, Catalogue, CreatedRobot, Digest, Error, NewRobot, Reduce, Registry, RobotUpdate, ServerInfo, Settings,
};

/// A Harbor with a login. Cheap to use from many tasks; a changed login or URL means a new client, which learns anew.
pub struct Client {
    pub(super) transport: Transport,
    pub(super) projects: ProjectIds,
    /// By robot id: Harbor's PUT and PATCH write back the whole row they read, so that two at once lose one, and both
    /// answer 200.
    pub(super) locks: KeyedLocks<i64>,
    /// Whether POST says `"effect":"allow"` (else nothing): a robot login may only hand out the text that it holds.
    says_allow: AtomicBool,
    /// Harbor's present name prefix, as last seen in a robot's name or the server's settings.
    prefix: Mutex<Option<String>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("prefix", &self.prefix()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has not talked to Harbor yet.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            transport: Transport::new(config)?,
            projects: ProjectIds::default(),
            locks: KeyedLocks::default(),
            says_allow: AtomicBool::new(false),
            prefix: Mutex::new(None),
        })
    }

    /// All visible robots of a home, whole. A sweep over a large home is better served by [`Registry::digests`].
    pub async fn list(&self, home: &Home) -> Result<Vec<Robot>, Error> {
        self.robots(home, None, Some).await
    }

    /// Harbor's robot name prefix, as last seen; `None` before any robot was seen whose short name is known. It may
    /// change at any time, for all robots at once.
    pub fn prefix(&self) -> Option<String> {
        self.prefix.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn learn_prefix(&self, prefix: Option<&str>) {
        let Some(prefix) = prefix else { return };
        let mut known = self.prefix.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() != Some(prefix) {
            *known = Some(prefix.to_owned());
        }
    }

    pub(super) fn says_allow(&self) -> bool {
        self.says_allow.load(Ordering::Relaxed)
    }

    pub(super) fn learn_effect(&self, says_allow: bool) {
        self.says_allow.store(says_allow, Ordering::Relaxed);
    }
}

impl Registry for Client {
    fn info(&self) -> Answer<'_, ServerInfo> {
        Box::pin(self.server_info())
    }

    fn is_harbor(&self) -> Answer<'_, bool> {
        Box::pin(self.greets_strangers())
    }

    fn digests<'a>(&'a self, home: &'a Home, reduce: &'a Reduce<'a>) -> Answer<'a, Vec<Digest>> {
        Box::pin(self.robots(home, None, move |robot| reduce(&robot)))
    }

    fn login_robot<'a>(&'a self, login: &'a str) -> Answer<'a, Option<Robot>> {
        Box::pin(self.robot_of_login(login))
    }

    fn find<'a>(&'a self, home: &'a Home, names: &'a [&'a str]) -> Answer<'a, Vec<Robot>> {
        Box::pin(self.robots_named(home, names))
    }

    fn get(&self, id: i64) -> Answer<'_, Option<Robot>> {
        Box::pin(self.robot(id))
    }

    fn create<'a>(&'a self, robot: &'a NewRobot) -> Answer<'a, CreatedRobot> {
        Box::pin(self.create_robot(robot))
    }

    fn update<'a>(&'a self, id: i64, robot: &'a RobotUpdate) -> Answer<'a, ()> {
        Box::pin(self.update_robot(id, robot))
    }

    fn refresh(&self, id: i64, secret: Option<SecretString>) -> Answer<'_, SecretString> {
        Box::pin(self.refresh_robot(id, secret))
    }

    fn delete(&self, id: i64) -> Answer<'_, ()> {
        Box::pin(self.delete_robot(id))
    }

    fn verify<'a>(&'a self, name: &'a str, secret: &'a SecretString) -> Answer<'a, bool> {
        Box::pin(self.logs_in(name, secret))
    }

    fn projects(&self) -> Answer<'_, BTreeSet<String>> {
        Box::pin(self.project_names())
    }

    fn project_exists<'a>(&'a self, project: &'a str) -> Answer<'a, bool> {
        Box::pin(self.has_project(project))
    }

    fn settings(&self) -> Answer<'_, Settings> {
        Box::pin(self.read_settings())
    }

    fn change_settings<'a>(&'a self, change: &'a Settings) -> Answer<'a, ()> {
        Box::pin(self.write_settings(change))
    }

    fn catalogue(&self) -> Answer<'_, Option<Catalogue>> {
        Box::pin(self.known_pairs())
    }

    fn name_prefix(&self) -> Option<String> {
        self.prefix()
    }

    fn clock_offset(&self) -> SignedDuration {
        self.transport.offset.get()
    }

    fn clock_is_absurd(&self) -> bool {
        self.transport.offset.is_absurd()
    }

    fn asked_to_wait(&self) -> Option<Duration> {
        self.transport.limits.held_for()
    }
}
