//! The client: one Harbor, one login, and what was learnt about both.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;

use super::config::Config;
use super::config_error::ConfigError;
use super::limits::KeyedLocks;
use super::project_ids::ProjectIds;
use super::transport::Transport;
use crate::domain::robot::{Home, Robot};
use crate::registry::Error;

/// A Harbor with a login. Cheap to use from many tasks; a changed login or URL means a new client, which learns anew.
///
/// Every call is bounded in time and size and keeps to the limits of rate and number in flight; there is one write at a
/// time per robot. Each may fail with any [`Error`] that says so of the server, the connection or the login.
pub struct Client {
    pub(super) transport: Transport,
    pub(super) projects: ProjectIds,
    /// By robot id: Harbor's PUT and PATCH write back the whole row they read, so that two at once lose one, and both
    /// answer 200.
    pub(super) locks: KeyedLocks<i64>,
    /// Whether POST says `"effect":"allow"` (else nothing): a robot login may only hand out the text that it holds.
    pub(super) says_allow: AtomicBool,
    /// Harbor's present name prefix, as last seen in a robot's name or the server's settings.
    prefix: Mutex<Option<String>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("prefix", &self.name_prefix()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has not talked to Harbor yet.
    ///
    /// # Errors
    /// If the URL, its address or the CA bundle of the configuration cannot be used.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            transport: Transport::new(config)?,
            projects: ProjectIds::default(),
            locks: KeyedLocks::default(),
            says_allow: AtomicBool::new(false),
            prefix: Mutex::new(None),
        })
    }

    /// All visible robots of a home, whole. A sweep over a large home is better served by [`Self::digests`].
    ///
    /// # Errors
    /// As of [`Self::digests`].
    pub async fn list(&self, home: &Home) -> Result<Vec<Robot>, Error> {
        self.robots(home, None, Some).await
    }

    /// Harbor's robot name prefix as last learnt, from its settings or the name of a robot whose short name is known;
    /// `None` at first. It may change at any time, for all robots at once.
    pub fn name_prefix(&self) -> Option<String> {
        self.prefix.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn learn_prefix(&self, prefix: Option<&str>) {
        let Some(prefix) = prefix else { return };
        let mut known = self.prefix.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() != Some(prefix) {
            *known = Some(prefix.to_owned());
        }
    }

    /// Harbor's clock minus ours, from the last answer's `Date` header; zero before the first answer.
    pub fn clock_offset(&self) -> SignedDuration {
        self.transport.wire.offset.get()
    }

    /// The last answer's `Date` is so far from our clock that it was not believed; see [`Self::clock_offset`].
    pub fn clock_is_absurd(&self) -> bool {
        self.transport.wire.offset.is_absurd()
    }

    /// Up to when the server asked to be left alone (`Retry-After` of a 429 or 503), as time from now.
    pub fn asked_to_wait(&self) -> Option<Duration> {
        self.transport.wire.limits.held_for()
    }
}
