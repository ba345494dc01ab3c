//! One running stand-in: its memory, its quirks, its call log and what it was started with.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::control::calls::Calls;
use crate::control::quirks::Quirks;
use crate::http::proxy::Upstream;
use crate::http::token_key::TokenKey;
use crate::state::locks::{NameLocks, Upserts};
use crate::state::{Backup, State};

/// Everything that calls share. Instances have nothing in common, so several run in one process.
#[derive(Debug)]
pub struct App {
    state: Mutex<State>,
    backup: Mutex<Option<Backup>>,
    quirks: Mutex<Quirks>,
    calls: Mutex<Calls>,
    names: Mutex<NameLocks>,
    upserts: Mutex<Upserts>,
    external_url: String,
    has_ca: bool,
    /// Signs registry tokens.
    pub key: TokenKey,
    /// The registry behind `/v2/`, if there is one.
    pub upstream: Option<Upstream>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// A fresh Harbor that calls itself `external_url`.
    pub fn new(state: State, external_url: String, has_ca: bool, upstream: Option<Upstream>) -> Self {
        Self {
            state: Mutex::new(state),
            backup: Mutex::default(),
            quirks: Mutex::default(),
            calls: Mutex::default(),
            names: Mutex::default(),
            upserts: Mutex::default(),
            external_url,
            has_ca,
            key: TokenKey::new(),
            upstream,
        }
    }

    /// The memory, locked.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The last backup, locked.
    pub fn backup(&self) -> MutexGuard<'_, Option<Backup>> {
        lock(&self.backup)
    }

    /// The quirks, locked.
    pub fn quirks(&self) -> MutexGuard<'_, Quirks> {
        lock(&self.quirks)
    }

    /// The call log, locked.
    pub fn calls(&self) -> MutexGuard<'_, Calls> {
        lock(&self.calls)
    }

    /// The locked user names, locked.
    pub fn names(&self) -> MutexGuard<'_, NameLocks> {
        lock(&self.names)
    }

    /// The writes under way, locked.
    pub fn upserts(&self) -> MutexGuard<'_, Upserts> {
        lock(&self.upserts)
    }

    /// How this Harbor is called from outside.
    pub fn external_url(&self) -> &str {
        &self.external_url
    }

    /// Whether it serves TLS with a CA of its own.
    pub fn has_ca(&self) -> bool {
        self.has_ca
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.external_url.split_once("://").map_or("http", |(scheme, _)| scheme)
    }
}
