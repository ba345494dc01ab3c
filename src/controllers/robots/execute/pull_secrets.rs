//! Our entry in the `imagePullSecrets` of the ServiceAccounts that an account names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Run, Trouble};
use crate::cluster::secrets;
use crate::cluster::service_accounts::{self, Entry};
use crate::domain::report::Failure;

/// How often to look for a ServiceAccount that is not there and is not watched.
const MISSING_SERVICE_ACCOUNT: Duration = Duration::from_mins(1);

impl Run<'_, '_> {
    /// Puts our entry into the wanted ServiceAccounts and takes it out of those that carried it before.
    pub(super) async fn service_accounts(&mut self, wanted: &[String]) -> Result<(), Trouble> {
        let ctx = Arc::clone(self.pass.ctx);
        let namespace = Arc::clone(&self.pass.key.namespace);
        let secret = self.pass.desired.secret.name.clone();
        // The record goes with the Secret; then the spec is what is left to go by.
        let mut recorded = self.live.service_accounts();
        recorded.extend(self.pass.desired.service_accounts.iter().cloned());
        let dropped: BTreeSet<String> = recorded.into_iter().filter(|name| !wanted.contains(name)).collect();
        for name in &dropped {
            let entry = service_accounts::remove(&ctx.client, &namespace, name, &secret).await?;
            if let Entry::Changed { from, to } = entry {
                ctx.index.leave_service_account(self.pass.key, name, from, to);
                ctx.metrics.kube_write("service-account");
            }
        }
        let served = self.gathered.live.service_accounts();
        for name in wanted {
            let mut entry =
                service_accounts::add(&ctx.client, &namespace, name, &secret, served.contains(name)).await?;
            if matches!(entry, Entry::TakenOut(_)) && self.may_put_back(name) {
                entry = service_accounts::add(&ctx.client, &namespace, name, &secret, false).await?;
            }
            match entry {
                Entry::Unchanged(version) | Entry::TakenOut(version) => {
                    ctx.index.leave_service_account(self.pass.key, name, version, version);
                }
                Entry::Changed { from, to } => {
                    ctx.index.leave_service_account(self.pass.key, name, from, to);
                    ctx.metrics.kube_write("service-account");
                }
                Entry::Missing => {
                    self.notes.push(format!("ServiceAccount {name} does not exist yet"));
                    self.look_again(Instant::now() + MISSING_SERVICE_ACCOUNT);
                }
            }
        }
        if !dropped.is_empty() && !self.observed.deleting {
            let hosts = self.gathered.hosts.clone();
            let form = self.pass.form(&self.gathered.owner, &hosts);
            ctx.metrics.kube_write("secret");
            self.live = secrets::record_service_accounts(&ctx.client, &namespace, &self.live, &form, wanted).await?;
        }
        Ok(())
    }

    /// Notes that somebody took our entry out of a ServiceAccount; false if that happens too often.
    fn may_put_back(&mut self, name: &str) -> bool {
        let mut contested = self.gathered.service_accounts_contested;
        if contested.is_none() {
            self.pass.ctx.index.update(self.pass.key, |entry| {
                contested = entry.contest(|contests| &mut contests.service_accounts);
            });
        }
        let Some(until) = contested else { return true };
        let message = format!(
            "Secret {} was taken out of the imagePullSecrets of ServiceAccount {name} three times within 10 minutes; it \
             is left alone until 10 minutes have passed or the account is edited: find out who does that and stop it",
            self.pass.desired.secret.name
        );
        self.undone = Some(Failure { reason: "ServiceAccountContested", message, permanent: true });
        self.look_again(until);
        false
    }

    fn look_again(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |earlier| earlier.min(at)));
    }
}
