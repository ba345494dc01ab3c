//! When an account that is being deleted goes although Harbor fails.

use std::time::{Duration, Instant};

use super::Pass;
use super::gather::Stop;
use crate::api::OrphanPolicy;
use crate::cluster::namespaces;
use crate::controllers::registries::Trouble;
use crate::registry::{Class, Error};

/// How long the mark of a retained robot is worth waiting for.
const PATIENCE: Duration = Duration::from_mins(1);

impl Pass<'_> {
    /// True if `Retain` lets the account go although a call fails. It is the way out of a Harbor that is gone for good, so no
    /// failure holds it for long; but where orphans are deleted, `retained` in its mark is all that keeps the robot, so what
    /// passes by itself is waited for a while, from the first failure on.
    pub(super) fn is_let_go(&self, permanent: bool) -> bool {
        let deletes_orphans = self.registry.object.spec.orphan_policy == Some(OrphanPolicy::Delete);
        if !self.desired.retain || permanent || !deletes_orphans {
            return self.desired.retain;
        }
        let mut failing = Instant::now();
        self.ctx.index.update(self.key, |entry| {
            failing = *entry.contests.get_or_insert_default().failing.get_or_insert(failing);
        });
        failing.elapsed() >= PATIENCE
    }

    /// The same for what Harbor answered. A single 401 proves nothing: a probe asks once more.
    pub(super) fn is_let_go_by(&self, error: &Error) -> bool {
        self.is_let_go(error.class() == Class::UserFix && !error.is_of_login())
    }

    /// Nobody can delete the robot and the namespace waits for nothing else.
    pub(super) async fn is_abandoned(&self, trouble: &Trouble) -> Result<bool, Stop> {
        let since = self.registry.trouble_since.map(|since| since.elapsed());
        // Without a login nothing comes back by itself, however often this process began anew meanwhile.
        let deleted = self.account.metadata.deletion_timestamp.as_ref().filter(|_| {
            let never_served = !self.registry.has_answered;
            trouble.permanent && never_served
        });
        let waits = deleted.and_then(|at| Duration::try_from(self.ctx.now().duration_since(at.0.into())).ok());
        let long = since.max(waits).is_some_and(|waits| waits >= self.ctx.settings.abandon_after);
        match &self.key.namespace {
            Some(namespace) if long => Ok(namespaces::is_terminating(&self.ctx.client, namespace).await?),
            _ => Ok(false),
        }
    }
}
