//! How an account under `deletionPolicy: Retain` is let go where Harbor fails.

use std::time::Duration;

use super::Pass;

/// How long the mark of a retained robot is worth waiting for.
const PATIENCE: Duration = Duration::from_mins(1);

impl Pass<'_> {
    /// True if `Retain` lets the account go although a call fails. It is the way out of a Harbor that is gone for good, so no
    /// failure holds it for long; but where orphans are deleted, `retained` in its mark is all that keeps the robot, so what
    /// passes by itself is waited for a while.
    pub(super) fn is_let_go(&self, permanent: bool) -> bool {
        let deleted = self.account.metadata.deletion_timestamp.as_ref();
        let waits = deleted.and_then(|at| Duration::try_from(self.ctx.now().duration_since(at.0.into())).ok());
        let waited = waits.is_none_or(|waits| waits >= PATIENCE);
        self.desired.retain && (permanent || waited || !self.registry.deletes_orphans())
    }
}
