//! Hands the queue's work to tokio tasks, a bounded number at once.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Cause, Config, Counts, Group, Key, Outcome, Queue};

/// Why a run ended although nobody asked for it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What a pass left panicked when it was dropped.
    #[error("a pass panicked beyond its end: {0}")]
    Panicked(JoinError),
}

/// How a run ended after the shutdown token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Passes that did not end in time and were dropped at their next await: their last call may or may not have
    /// happened.
    pub cut_off: usize,
}

type Due<K, P> = (K, Option<P>, Cause);

struct Shared<K: Key, P> {
    queue: Mutex<Queue<K, P>>,
    pushed: Notify,
}

/// A queue that watch streams push to and one [`run`] takes from. Clones share it.
pub struct Handle<K: Key, P>(Arc<Shared<K, P>>);

impl<K: Key, P> Clone for Handle<K, P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Key, P> Handle<K, P> {
    /// An empty queue.
    pub fn new(config: Config) -> Self {
        Self::grouped(config, |key, _| key.group())
    }

    /// See [`Queue::grouped`].
    pub fn grouped(config: Config, group_of: impl Fn(&K, Option<&P>) -> K::Group + Send + Sync + 'static) -> Self {
        let queue = Queue::grouped(config, Box::new(group_of), now());
        Self(Arc::new(Shared { queue: Mutex::new(queue), pushed: Notify::new() }))
    }

    /// See [`Queue::change`].
    pub fn change(&self, key: K, payload: Option<P>) {
        self.push(|queue| queue.change(key, payload, now()));
    }

    /// See [`Queue::hint`].
    pub fn hint(&self, key: K, payload: Option<P>) {
        self.push(|queue| queue.hint(key, payload, now()));
    }

    /// See [`Queue::wake_at`].
    pub fn wake_at(&self, key: K, at: Instant) {
        self.push(|queue| queue.wake_at(key, at));
    }

    /// See [`Queue::release`].
    pub fn release(&self, tag: u64) -> usize {
        self.push(|queue| queue.release(tag, now()))
    }

    /// See [`Queue::forget`].
    pub fn forget(&self, key: &K) {
        self.lock().forget(key);
    }

    /// See [`Queue::counts`].
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }

    /// What may run now, at most `free`, and when to look again. With nothing free that is when a pass ends, however
    /// many timers are due.
    fn take(&self, free: usize) -> (Vec<Due<K, P>>, Option<Instant>) {
        let mut queue = self.lock();
        let due: Vec<_> = std::iter::from_fn(|| queue.pop(now())).take(free).collect();
        let next_wake = if due.len() < free { queue.next_wake() } else { None };
        (due, next_wake)
    }

    fn push<T>(&self, act: impl FnOnce(&mut Queue<K, P>) -> T) -> T {
        let result = act(&mut self.lock());
        self.0.pushed.notify_one();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Queue<K, P>> {
        // The one lock that is not taken over from a panic: without a sound queue only a new process helps.
        self.0.queue.lock().expect("nothing panics while it holds the queue")
    }
}

/// Runs passes until `shutdown`, at most `concurrency` at once, then waits up to `drain` for those in flight.
///
/// Only one run may take from a queue. A pass that panics has failed and backs off, `panicked` is told, and no other pass
/// notices: what made it panic may lie in one tenant's object or server. A panic anywhere else ends the process.
pub async fn run<K, P, F, Fut>(
    handle: Handle<K, P>,
    concurrency: usize,
    handler: F,
    panicked: impl Fn(&K),
    shutdown: CancellationToken,
    drain: Duration,
) -> Result<Stopped, Error>
where
    K: Key + Send + 'static,
    K::Group: Send,
    <K::Group as Group>::Pool: Send,
    P: Send + 'static,
    F: Fn(K, Option<P>, Cause) -> Fut,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let mut passes = JoinSet::new();
    while !shutdown.is_cancelled() {
        let free = concurrency.max(1) - passes.len();
        let (due, next_wake) = handle.take(free);
        for (key, payload, cause) in due {
            let pass = handler(key.clone(), payload, cause);
            passes.spawn(async move { (key, AssertUnwindSafe(pass).catch_unwind().await.ok()) });
        }
        tokio::select! {
            // In any order, since all is looked at again: in a fixed one a simulated run repeats itself.
            biased;
            () = shutdown.cancelled() => {}
            Some(ended) = passes.join_next() => finish(&handle, &panicked, ended)?,
            () = handle.0.pushed.notified() => {}
            () = wait_until(next_wake) => {}
        }
    }
    let waited = tokio::time::timeout(drain, async {
        while let Some(ended) = passes.join_next().await {
            finish(&handle, &panicked, ended)?;
        }
        Ok(())
    });
    if let Ok(result) = waited.await {
        result?;
    }
    let cut_off = passes.len();
    passes.shutdown().await;
    Ok(Stopped { cut_off })
}

fn finish<K: Key, P>(
    handle: &Handle<K, P>,
    panicked: &impl Fn(&K),
    ended: Result<(K, Option<Outcome>), JoinError>,
) -> Result<(), Error> {
    let (key, outcome) = ended.map_err(Error::Panicked)?;
    let outcome = outcome.unwrap_or_else(|| {
        panicked(&key);
        Outcome::Failed { not_before: None }
    });
    handle.lock().done(&key, outcome, now());
    Ok(())
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// tokio's clock, so that tests can pause it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
