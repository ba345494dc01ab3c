//! Where changing requests leave. Each one asks here, right before it is sent, whether this process may still change
//! anything; what is sent is given up before another process may.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::deadline;

/// Who knows whether this process may change anything.
pub trait Authority: Send + Sync + 'static {
    /// Waits until a request may leave and answers how long it may take; `None` if none may leave any more.
    fn hold(&self) -> BoxFuture<'_, Option<Duration>>;
}

/// Why a request was not sent, or was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was not sent: another process may be the one to change things.
    #[error("another replica leads")]
    NotLeading,
    /// It was given up before its answer came, and may have happened.
    #[error("timed out")]
    TimedOut,
}

/// Shared by all that sends changing requests.
#[derive(Clone, Default)]
pub struct Gate(Option<Arc<dyn Authority>>);

impl Gate {
    /// Lets everything pass, for as long as it likes.
    pub fn open() -> Self {
        Self::default()
    }

    /// Lets nothing pass.
    pub fn closed() -> Self {
        Self::of(Nobody)
    }

    /// Lets pass what `authority` says.
    pub fn of(authority: impl Authority) -> Self {
        Self(Some(Arc::new(authority)))
    }

    /// Sends a request as soon as it may leave.
    pub async fn pass<T>(&self, request: impl Future<Output = T>) -> Result<T, Refusal> {
        let Some(authority) = &self.0 else { return Ok(request.await) };
        let time = authority.hold().await.ok_or(Refusal::NotLeading)?;
        let until = deadline::after(Instant::now(), time);
        let mut request = pin!(request);
        // Before each piece of work, not only when a timer fires: after this process stood still (SIGSTOP, a frozen machine)
        // a connection that is ready must not be written to any more.
        let in_time = poll_fn(|context| {
            if Instant::now() < until {
                request.as_mut().poll(context).map(Ok)
            } else {
                Poll::Ready(Err(Refusal::TimedOut))
            }
        });
        timeout_at(until, in_time).await.unwrap_or(Err(Refusal::TimedOut))
    }
}

/// Never lets a request leave.
struct Nobody;

impl Authority for Nobody {
    fn hold(&self) -> BoxFuture<'_, Option<Duration>> {
        Box::pin(std::future::ready(None))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Holds for so many seconds, so many times.
    struct Holds(AtomicU32, u64);

    impl Authority for Holds {
        fn hold(&self) -> BoxFuture<'_, Option<Duration>> {
            let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            Box::pin(std::future::ready(left.ok().map(|_| Duration::from_secs(self.1))))
        }
    }

    fn gate(times: u32, seconds: u64) -> Gate {
        Gate::of(Holds(AtomicU32::new(times), seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_asks_anew() {
        let gate = gate(2, 5);
        assert_eq!(gate.pass(async { 1 }).await, Ok(1));
        assert_eq!(gate.pass(async { 2 }).await, Ok(2));
        assert_eq!(gate.pass(async { 3 }).await, Err(Refusal::NotLeading));
        assert_eq!(Gate::open().pass(async { 4 }).await, Ok(4));
        assert_eq!(Gate::closed().pass(async { 5 }).await, Err(Refusal::NotLeading));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_given_up_when_its_time_is_over() {
        let begun = Instant::now();
        assert_eq!(gate(1, 5).pass(std::future::pending::<()>()).await, Err(Refusal::TimedOut));
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_slept_past_its_time_does_no_more_work() {
        let worked = AtomicU32::new(0);
        let request = poll_fn(|context| {
            if worked.fetch_add(1, Ordering::Relaxed) == 0 {
                // Ready again at once, but the process stands still in between.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        });
        let frozen = async {
            tokio::time::advance(Duration::from_secs(40)).await;
        };
        let gate = gate(1, 5);
        let (passed, ()) = tokio::join!(gate.pass(request), frozen);
        assert_eq!((passed, worked.load(Ordering::Relaxed)), (Err(Refusal::TimedOut), 1));
    }
}
