//! Who holds which credential, and who logged in when.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use harbor_robot_world::{Call, HarborClient, Login};
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::Event;
use tokio::task::JoinSet;

use super::super::accounts;
use super::super::clock::Clock;
use crate::objects;

/// The Secret is seen before status, which tells when the overlap ends: so long the old credential works in any case.
const UNTOLD: i64 = 2_500;
/// Whoever holds a credential whose overlap ends stops using it this many milliseconds before.
const CAUTION: i64 = 250;

/// A login that was refused, in milliseconds of Harbor's clock.
#[derive(Clone)]
pub(super) struct Failed {
    account: String,
    login: String,
    began: i64,
    ended: i64,
    why: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, login, began, ended, why } = self;
        write!(f, "{account}: {login}, from {began} to {ended}: {why}")
    }
}

#[derive(Default)]
struct Account {
    current: Option<Login>,
    /// The one before, and when it was replaced.
    old: Option<(Login, i64)>,
    /// What status said last of a robot that was replaced: its name, and until when it works.
    previous: Option<(String, i64)>,
    /// When the Secret was seen to hold each credential.
    published: Vec<i64>,
    /// Id of the robot.
    robot: Option<String>,
}

impl Account {
    /// Until when a replaced login works, if status has said so.
    fn end_of(&self, login: &str) -> Option<i64> {
        self.previous.as_ref().filter(|(name, _)| name == login).map(|(_, end)| *end)
    }
}

/// What all clients know.
pub(super) struct Book {
    inner: Mutex<Inner>,
}

struct Inner {
    clock: Clock,
    accounts: HashMap<String, Account>,
    logins: u64,
    old_logins: u64,
    failed: Vec<Failed>,
}

impl Book {
    pub(super) fn new(clock: Clock) -> Self {
        let inner = Inner { clock, accounts: HashMap::new(), logins: 0, old_logins: 0, failed: Vec::new() };
        Self { inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts whose Secret was seen.
    pub(super) fn len(&self) -> usize {
        self.lock().accounts.values().filter(|account| account.current.is_some()).count()
    }

    /// Harbor's clock is set forward.
    pub(super) fn jump(&self, milliseconds: i64) {
        self.lock().clock.jump(milliseconds);
    }

    /// How many logins there were, and which failed.
    pub(super) fn logins(&self) -> (u64, Vec<Failed>) {
        let inner = self.lock();
        (inner.logins, inner.failed.clone())
    }

    /// How many logins were made with a credential that the Secret no longer held.
    pub(super) fn old_logins(&self) -> u64 {
        self.lock().old_logins
    }

    /// Milliseconds from each PATCH, which ends the old secret, to the moment that the Secret was seen with the new one.
    pub(super) fn gaps(&self, calls: &[Call]) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a gap")]
        let gaps = self.spans(calls).into_iter().map(|(_, from, to)| (to - from) as f64).collect();
        gaps
    }

    /// Whether a login failed while its credential was being replaced.
    pub(super) fn in_gap(&self, failed: &Failed, calls: &[Call]) -> bool {
        self.spans(calls)
            .iter()
            .any(|(account, from, to)| *account == failed.account && *from <= failed.ended && failed.began <= *to)
    }

    fn spans(&self, calls: &[Call]) -> Vec<(String, i64, i64)> {
        let inner = self.lock();
        let mut spans = Vec::new();
        for (name, account) in &inner.accounts {
            let Some(robot) = &account.robot else { continue };
            let patched = |call: &&Call| call.method == "PATCH" && call.target.ends_with(&format!("/robots/{robot}"));
            for call in calls.iter().filter(patched) {
                if let Some(seen) = account.published.iter().find(|at| **at >= call.at) {
                    spans.push((name.clone(), call.at, *seen));
                }
            }
        }
        spans
    }

    fn see_secret(&self, secret: &DynamicObject) -> Result<()> {
        let login = objects::credential(secret)?;
        let mut inner = self.lock();
        let now = inner.clock.now();
        let account = inner.accounts.entry(secret.metadata.name.clone().context("a name")?).or_default();
        if account.current.as_ref() != Some(&login) {
            account.old = account.current.replace(login).map(|old| (old, now));
            account.published.push(now);
        }
        Ok(())
    }

    fn see_account(&self, seen: &DynamicObject) {
        let Some(name) = &seen.metadata.name else { return };
        let mut inner = self.lock();
        let account = inner.accounts.entry(name.clone()).or_default();
        account.robot = seen.data["status"]["robot"]["id"].as_i64().map(|id| id.to_string());
        if let Some(revocation_time) = accounts::moment(seen, "/previous/revocationTime") {
            let name = seen.data["status"]["previous"]["name"].as_str().unwrap_or_default();
            account.previous = Some((name.to_owned(), revocation_time));
        }
    }

    /// What a client of this account logs in with now: what the Secret holds, and in an overlap also what it held.
    fn held(&self, name: &str) -> (i64, Option<Login>, Option<Login>) {
        let inner = self.lock();
        let now = inner.clock.now();
        let Some(account) = inner.accounts.get(name) else { return (now, None, None) };
        let old = account.old.as_ref().filter(|(old, since)| {
            // In place the login name stays, and the old secret is dead.
            let other = account.current.as_ref().is_some_and(|current| current.name != old.name);
            other && now < account.end_of(&old.name).unwrap_or(since + UNTOLD) - CAUTION
        });
        (now, account.current.clone(), old.map(|(old, _)| old.clone()))
    }

    fn note(&self, name: &str, login: &Login, began: i64, is_old: bool, result: Result<bool>) {
        let mut inner = self.lock();
        let ended = inner.clock.now();
        let end = inner.accounts.get(name).and_then(|account| account.end_of(&login.name));
        if is_old && end.is_some_and(|end| ended >= end) {
            // It was under way for too long to tell anything.
            return;
        }
        inner.logins += 1;
        inner.old_logins += u64::from(is_old);
        let why = match result {
            Ok(true) => return,
            Ok(false) => "refused".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        inner.failed.push(Failed { account: name.to_owned(), login: login.name.clone(), began, ended, why });
    }
}

/// Keeps the book up to date until it is dropped.
pub(super) fn watch(book: &Arc<Book>, client: &kube::Client) -> JoinSet<Result<()>> {
    let mut tasks = JoinSet::new();
    let (of_secrets, of_accounts) = (Arc::clone(book), Arc::clone(book));
    tasks.spawn(follow(objects::secrets(client, accounts::NAMESPACE), move |secret| of_secrets.see_secret(secret)));
    tasks.spawn(follow(accounts::api(client), move |account| {
        of_accounts.see_account(account);
        Ok(())
    }));
    tasks
}

async fn follow(api: Api<DynamicObject>, see: impl Fn(&DynamicObject) -> Result<()>) -> Result<()> {
    let mut events = accounts::events(api);
    while let Some(event) = events.next().await {
        if let Event::Apply(object) | Event::InitApply(object) = event {
            see(&object)?;
        }
    }
    Ok(())
}

/// Clients that log in, one for each account, until it is dropped.
pub(super) fn log_in(book: &Arc<Book>, harbor: &HarborClient, period: Duration) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let names: Vec<String> = book.lock().accounts.keys().cloned().collect();
    for name in names {
        let (book, harbor) = (Arc::clone(book), harbor.clone());
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(period);
            loop {
                ticks.tick().await;
                let (began, current, old) = book.held(&name);
                for (login, is_old) in [(current, false), (old, true)] {
                    let Some(login) = login else { continue };
                    let result = harbor.verify(&login.name, &login.secret).await;
                    book.note(&name, &login, began, is_old, result);
                }
            }
        });
    }
    tasks
}
