//! The right to change things, for as long as it lasts.

use std::time::Duration;

use crate::deadline;
use tokio::sync::watch;
use tokio::time::Instant;

/// Checked before each changing step; clones share one deadline.
#[derive(Clone, Debug)]
pub struct Claim(Option<watch::Receiver<Option<Instant>>>);

impl Claim {
    /// Without leader election: holds for ever.
    pub fn always() -> Self {
        Self(None)
    }

    pub(super) fn until(deadline: watch::Receiver<Option<Instant>>) -> Self {
        Self(Some(deadline))
    }

    /// True if nobody else can lead for at least `time` from now: what is sent now and given up after `time` cannot meet
    /// another leader's changes.
    pub fn holds_for(&self, time: Duration) -> bool {
        self.0.as_ref().is_none_or(|deadline| lasts(*deadline.borrow(), time))
    }

    /// True at once if the claim has `time` left; else waits until it has, usually for the renewal that is under way. False if
    /// the lead is lost.
    /// `time` must be below the lease duration, or this waits until then.
    pub async fn hold_for(&self, time: Duration) -> bool {
        if self.holds_for(time) {
            return true;
        }
        let Some(deadline) = &self.0 else { return true };
        let mut deadline = deadline.clone();
        deadline
            .wait_for(|deadline| deadline.is_none() || lasts(*deadline, time))
            .await
            .is_ok_and(|deadline| deadline.is_some())
    }
}

fn lasts(deadline: Option<Instant>, time: Duration) -> bool {
    deadline.is_some_and(|deadline| deadline::after(Instant::now(), time) < deadline)
}
