//! Waiting for a state.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// The shortest pause between two looks, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];

/// A pause is this part of what was waited already: whoever waits long for one thing leaves the servers to others.
const PART: u32 = 8;

/// Asks `look` again and again until it gives `Ok`; after `timeout` an error says what was waited for and what `look` said
/// last.
pub async fn poll<T, S, F>(what: &str, timeout: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    S: std::fmt::Display,
    F: Future<Output = Result<T, S>>,
{
    let begun = Instant::now();
    let deadline = begun + timeout;
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
        let [shortest, longest] = PAUSES;
        tokio::time::sleep((begun.elapsed() / PART).clamp(shortest, longest)).await;
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
