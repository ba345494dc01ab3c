//! Waiting for a state.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

const INTERVAL: Duration = Duration::from_millis(10);

/// Asks `look` every 10 ms until it gives `Ok`; after `timeout` an error says what was waited for and what `look` said
/// last.
pub async fn poll<T, S, F>(what: &str, timeout: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    S: std::fmt::Display,
    F: Future<Output = Result<T, S>>,
{
    let deadline = Instant::now() + timeout;
    let mut last = String::from("nothing");
    loop {
        match tokio::time::timeout_at(deadline.into(), look()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(seen)) => last = format!("{seen:#}"),
            Err(_) => return Err(anyhow!("{what}: not within {timeout:?}; last seen: {last}")),
        }
        if Instant::now() >= deadline {
            return Err(anyhow!("{what}: not within {timeout:?}; last seen: {last}"));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// [`poll`] for tests: panics with the last seen state.
///
/// # Panics
/// When the state is not there in time.
pub async fn eventually<T, S, F>(what: &str, timeout: Duration, look: impl FnMut() -> F) -> T
where
    S: std::fmt::Display,
    F: Future<Output = Result<T, S>>,
{
    match poll(what, timeout, look).await {
        Ok(found) => found,
        Err(error) => panic!("{error}"),
    }
}
