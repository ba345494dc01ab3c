//! The right to change things, for as long as it lasts.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Params;
use crate::deadline;
use crate::gate::Authority;

/// Asked before each changing request; clones share one deadline.
#[derive(Clone, Debug)]
pub struct Claim {
    deadline: watch::Receiver<Option<Instant>>,
    call_time: Duration,
}

impl Claim {
    pub(super) fn until(deadline: watch::Receiver<Option<Instant>>, params: &Params) -> Self {
        Self { deadline, call_time: params.call_time() }
    }

    /// True if nobody else can lead for at least `time` from now: what is sent now and given up after `time` cannot meet
    /// another leader's changes.
    pub fn holds_for(&self, time: Duration) -> bool {
        lasts(*self.deadline.borrow(), time)
    }
}

impl Authority for Claim {
    /// A call may take [`Params::call_time`], which each renewal grants: this waits at most for the renewal that is under
    /// way, or until the lead is lost.
    fn hold(&self) -> BoxFuture<'_, Option<Duration>> {
        let (mut deadline, time) = (self.deadline.clone(), self.call_time);
        Box::pin(async move {
            let held = deadline.wait_for(|deadline| deadline.is_none() || lasts(*deadline, time)).await;
            held.is_ok_and(|deadline| deadline.is_some()).then_some(time)
        })
    }
}

fn lasts(deadline: Option<Instant>, time: Duration) -> bool {
    deadline.is_some_and(|deadline| deadline::after(Instant::now(), time) < deadline)
}
