//! What comes and goes in the cluster while Harbor does not answer or refuses the login. What needs no Harbor is done:
//! namespaces that come get the published credential, those that are not asked for any more lose it, and ServiceAccounts that
//! come name the Secret beside them. Secrets that are there stay as they are.

use std::collections::BTreeSet;

use super::super::Pass;
use super::secret_copies::problem_of;
use super::service_accounts::PullSecretReport;
use crate::api::{AccountStatus, ObjectName, conditions as kinds};
use crate::cluster::secret_template::Credential;
use crate::cluster::secrets::SecretSnapshot;
use crate::domain::conditions;
use crate::domain::report;
use crate::domain::secret_entries::SecretEntry;
use crate::domain::spread::{self, Row};

impl Pass<'_> {
    /// Follows namespaces and ServiceAccounts, and tells in `status` what came of it. `works`: nothing says that the
    /// credential is lost.
    pub(in super::super) async fn follow_the_cluster(&self, status: &mut AccountStatus, works: bool) {
        if self.is_deleting() {
            return;
        }
        // Of an unknown host no Secret can be made, nor told whether one is as it should be. What is not asked for any more goes
        // all the same.
        let works = works && self.registry.hosts().is_some();
        self.follow_namespaces(status, works).await;
        if works && !self.exceeds_grants() {
            self.serve_newcomers().await;
        }
    }

    async fn follow_namespaces(&self, status: &mut AccountStatus, works: bool) {
        let Some(wanted) = &self.copies_wanted else { return };
        let home = &self.secret_namespace;
        let known = self.places();
        let names: BTreeSet<&ObjectName> = wanted.iter().map(|(name, _)| name).collect();
        let stale: Vec<&ObjectName> = known.iter().filter(|name| *name != home && !names.contains(name)).collect();
        // What failed before waits for Harbor, and for the pause that goes with it.
        let came: Vec<&ObjectName> = wanted
            .iter()
            .filter(|(_, found)| found.as_ref().is_some_and(|namespace| !namespace.terminating))
            .map(|(name, _)| name)
            .filter(|name| *name != home && !known.contains(*name) && spread::is_awaited(status, name))
            .collect();
        if stale.is_empty() && came.is_empty() {
            return;
        }
        let (mut rows, mut gone) = (Vec::new(), BTreeSet::new());
        for name in stale {
            match self.remove_copy(name).await {
                Ok(_) => _ = gone.insert(name.to_string()),
                Err(error) => rows.push(Row { name: name.to_string(), problem: Some(problem_of(&error, true)) }),
            }
        }
        if let Some((live, held)) = self.published(works && !came.is_empty()).await {
            for name in came {
                let problem = self.write_copy(name, &live, &held).await.err().map(|failure| failure.problem);
                rows.push(Row { name: name.to_string(), problem });
            }
        }
        spread::amend(status, &self.desired.secret.name, &rows, &gone);
    }

    /// Puts the entry into ServiceAccounts that came or were changed beside a Secret of ours.
    async fn serve_newcomers(&self) {
        for namespace in self.ctx.index.places_with_news(self.key) {
            let entries = self.entries_in(&namespace);
            if entries.is_empty() {
                continue;
            }
            let entered = async {
                let live = self.copy_in(&namespace, &[]).read().await?;
                // Others of the wish are not on the Secret's record, which is what tells later where the entry is.
                let served: Vec<SecretEntry> = live.entries();
                let wanted: Vec<SecretEntry> = entries.iter().filter(|entry| served.contains(entry)).cloned().collect();
                let mut report = PullSecretReport { live, ..PullSecretReport::default() };
                self.add_pull_secret(&namespace, &wanted, &served, &mut report).await
            };
            if let Err(error) = entered.await {
                tracing::warn!(account = %self.key, %namespace, %error, "ServiceAccounts were not changed");
            }
        }
    }

    /// The first Secret and the credential in it, if that is the one on record and as good as when Harbor was last seen.
    async fn published(&self, wanted: bool) -> Option<(SecretSnapshot, Credential)> {
        let status = self.account.status.as_ref().filter(|_| wanted && self.desired.enabled)?;
        let ready = conditions::is_true(&status.conditions, kinds::READY);
        let disabled = conditions::since(&status.conditions, kinds::READY, "Disabled").is_some();
        let here = status.registry.as_ref().and_then(|pinned| pinned.url.as_deref());
        let recorded = report::recorded(status).current.filter(|_| ready && !disabled)?;
        if here != Some(&self.registry.object.spec.url)
            || recorded.expiration_time.is_some_and(|at| at <= self.registry_now())
        {
            return None;
        }
        let live = match self.copy_in(&self.secret_namespace, &[]).read().await {
            Ok(live) => live,
            Err(error) => {
                tracing::warn!(account = %self.key, %error, "the first Secret was not read");
                return None;
            }
        };
        let held = live.credential.clone()?;
        let same = held.robot.id == recorded.robot.id
            && held.robot.creation_time == recorded.robot.creation_time
            && recorded.confirms(live.checksum());
        let held = Credential { expiration_time: recorded.expiration_time, ..held };
        same.then_some((live, held))
    }
}
