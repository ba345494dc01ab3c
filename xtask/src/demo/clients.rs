//! Those who use the credential while it is replaced.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use kube::api::{Api, DynamicObject};
use tokio::task::JoinSet;

use super::DEMO;
use crate::objects::{credential, secrets};
use crate::stage::Stage;

/// Clients that read the Secret before each login, and clients that keep what they read once.
const READERS: usize = 2;
const KEEPERS: usize = 2;
/// Between two logins of one client.
const PAUSE: Duration = Duration::from_millis(25);

/// What the clients came to so far.
#[derive(Default)]
pub(super) struct Tally {
    logins: AtomicU64,
    pulls: AtomicU64,
    failed: AtomicU64,
    /// The first thing that went wrong.
    trouble: Mutex<Option<String>>,
}

impl Tally {
    fn note(&self, count: &AtomicU64, result: Result<()>) {
        count.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(format!("{error:#}"));
        }
    }

    /// An error if anything failed.
    pub(super) fn check(&self) -> Result<()> {
        match &*self.trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(trouble) => Err(anyhow!("{self}; the first one: {trouble}")),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        write!(f, "{} logins, {} pulls, {} failed", count(&self.logins), count(&self.pulls), count(&self.failed))
    }
}

/// Running clients.
pub(super) struct Clients {
    /// What they came to so far.
    pub(super) tally: Arc<Tally>,
    signals: Arc<Signals>,
    tasks: JoinSet<Result<()>>,
}

#[derive(Default)]
struct Signals {
    /// Keepers read the Secret again.
    read_again: AtomicBool,
    stop: AtomicBool,
}

impl Clients {
    pub(super) async fn start(stage: &Arc<Stage>) -> Result<Self> {
        let mut clients = Self { tally: Arc::default(), signals: Arc::default(), tasks: JoinSet::new() };
        let api = secrets(&stage.plane.client().await?, DEMO);
        for number in 0..READERS + KEEPERS {
            let (tally, signals) = (Arc::clone(&clients.tally), Arc::clone(&clients.signals));
            let log_in = log_in(Arc::clone(stage), api.clone(), number >= READERS, tally, signals);
            clients.tasks.spawn(log_in);
        }
        let (stage, tally, signals) = (Arc::clone(stage), Arc::clone(&clients.tally), Arc::clone(&clients.signals));
        clients.tasks.spawn_blocking(move || {
            while !signals.stop.load(Ordering::Relaxed) {
                let pulled = stage.plane.rig("pull", ["--namespace", DEMO, "--pod", "hello"], "").ok();
                tally.note(&tally.pulls, pulled.map(drop));
            }
            Ok(())
        });
        Ok(clients)
    }

    /// From now on nobody uses a credential that the Secret no longer holds.
    pub(super) fn let_go(&self) {
        self.signals.read_again.store(true, Ordering::Relaxed);
    }

    /// Ends the clients; an error if any login or pull has failed.
    pub(super) async fn stop(mut self) -> Result<Arc<Tally>> {
        self.signals.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        self.tally.check()?;
        Ok(self.tally)
    }
}

/// Logs in again and again as `docker login` does.
async fn log_in(
    stage: Arc<Stage>,
    secrets: Api<DynamicObject>,
    keeps: bool,
    tally: Arc<Tally>,
    signals: Arc<Signals>,
) -> Result<()> {
    let mut kept = None;
    while !signals.stop.load(Ordering::Relaxed) {
        let keeps = keeps && !signals.read_again.load(Ordering::Relaxed);
        let login = match kept.take().filter(|_| keeps) {
            Some(login) => login,
            None => credential(&secrets.get(DEMO).await?)?,
        };
        let result = match stage.harbor().verify(&login.name, &login.secret).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(anyhow!("Harbor refused {}", login.name)),
            Err(error) => Err(error),
        };
        tally.note(&tally.logins, result);
        kept = Some(login);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
