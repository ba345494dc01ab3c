//! Our entries in the lists of the ServiceAccounts that an account names.

use std::collections::BTreeSet;
use std::time::Instant;

use super::super::Pass;
use super::{Run, Trouble};
use crate::api::ObjectName;
use crate::cluster;
use crate::cluster::secrets::SecretSnapshot;
use crate::cluster::service_accounts::{self, Found, Wish};
use crate::controllers::index::{Copy, Entry};
use crate::deadline;
use crate::domain::contest::Contest;
use crate::domain::report::Failure;
use crate::domain::secret_entries::SecretEntry;

/// An entry that stays, though nobody asks for it: its namespace, the entry, and what refuses to change it.
pub(super) type EntryLeft = (String, SecretEntry, String);

/// What came of it.
#[derive(Default)]
pub(super) struct PullSecretReport {
    /// The Secret afterwards.
    pub(super) live: SecretSnapshot,
    /// What a user should know.
    pub(super) notes: Vec<String>,
    /// Somebody keeps taking an entry out.
    pub(super) contested: Option<Failure>,
    /// Entries that a rule of the cluster does not let us change.
    pub(super) refused: Vec<EntryLeft>,
    /// When to look again.
    pub(super) wake: Option<Instant>,
}

impl Run<'_, '_> {
    /// Makes the wanted entries in ServiceAccounts of the Secret's namespace.
    pub(super) async fn enter_service_accounts(&mut self, wanted: &[SecretEntry]) -> Result<(), Trouble> {
        let (namespace, live) = (self.pass.secret_namespace.clone(), self.done.live.clone());
        let served = self.gathered.live.entries();
        let report = self.pass.sync_pull_secrets(&namespace, live, &served, wanted).await?;
        self.take(&namespace, &report);
        self.done.live = report.live;
        Ok(())
    }

    /// Takes over what is to be told of a namespace.
    pub(super) fn take(&mut self, namespace: &str, served: &PullSecretReport) {
        self.done.outcome.notes.extend(served.notes.iter().cloned());
        if served.contested.is_some() {
            self.done.outcome.undone.clone_from(&served.contested);
        }
        if let Some((_, entry, why)) = served.refused.first() {
            let message = format!(
                "{entry}{} are not as they should be: Kubernetes refuses the change: {why}",
                self.pass.place(namespace)
            );
            self.done.outcome.undone = Some(Failure::lasting("KubernetesRefused", message));
        }
        self.left.extend(served.refused.iter().cloned());
        self.done.wake = [self.done.wake, served.wake].into_iter().flatten().min();
    }
}

impl Pass<'_> {
    /// Makes the wanted entries for the Secret of a namespace, and takes those out that were wanted before. `live`: the Secret
    /// as it is now; `served`: the entries that were on its record before this pass.
    pub(super) async fn sync_pull_secrets(
        &self,
        namespace: &ObjectName,
        live: SecretSnapshot,
        served: &[SecretEntry],
        wanted: &[SecretEntry],
    ) -> Result<PullSecretReport, cluster::Error> {
        let ctx = self.ctx;
        let secret = &self.desired.secret.name;
        let mut done = PullSecretReport { live, ..PullSecretReport::default() };
        let mut recorded = done.live.entries();
        let untouched = done.live.untouched();
        // The record goes with the Secret; then the spec is what is left to go by.
        if done.live.is_absent() {
            recorded.extend(self.desired.entries.iter().cloned());
        }
        let dropped: BTreeSet<SecretEntry> = recorded.into_iter().filter(|entry| !wanted.contains(entry)).collect();
        for entry in dropped.iter().filter(|entry| !untouched.contains(entry)) {
            match service_accounts::keep(&ctx.client, namespace, entry, secret, Wish::Gone).await {
                Ok(Found::Changed { from, to }) => {
                    ctx.index.leave_service_account(self.key, namespace, &entry.service_account, from, to);
                    ctx.metrics.kube_write("service-account");
                }
                Ok(_) => {}
                Err(error) => self.refused(namespace, entry, error, &mut done)?,
            }
        }
        // Those that are still there stay on record.
        let kept: Vec<SecretEntry> =
            done.refused.iter().map(|(_, entry, _)| entry.clone()).chain(wanted.iter().cloned()).collect();
        self.add_pull_secret(namespace, wanted, served, &mut done).await?;
        if !dropped.is_empty() && !self.is_deleting() && !done.live.is_absent() {
            let untouched: Vec<SecretEntry> =
                done.live.untouched().into_iter().filter(|entry| wanted.contains(entry)).collect();
            ctx.metrics.kube_write("secret");
            done.live = self.copy_in(namespace, &[]).record_entries(&done.live, &kept, &untouched).await?;
        }
        Ok(done)
    }

    /// A rule of the cluster that keeps us from one ServiceAccount holds up nothing else. What it says of this one it may
    /// not say later, and nothing tells when.
    fn refused(
        &self,
        namespace: &str,
        entry: &SecretEntry,
        error: cluster::Error,
        done: &mut PullSecretReport,
    ) -> Result<(), cluster::Error> {
        let cluster::Error::Refused(why) = error else { return Err(error) };
        done.refused.push((namespace.to_owned(), entry.clone(), why));
        let again = deadline::from_now(self.registry.poll_interval(&self.ctx.settings));
        done.wake = done.wake.into_iter().chain([again]).min();
        Ok(())
    }

    /// Where a ServiceAccount is, for a message of an account that has them in many namespaces.
    pub(super) fn place(&self, namespace: &str) -> String {
        if self.key.is_system() { format!(" in namespace {namespace}") } else { String::new() }
    }

    /// Makes the wanted entries. Those that were `served` before were there then.
    pub(super) async fn add_pull_secret(
        &self,
        namespace: &ObjectName,
        wanted: &[SecretEntry],
        served: &[SecretEntry],
        done: &mut PullSecretReport,
    ) -> Result<(), cluster::Error> {
        let ctx = self.ctx;
        let secret = &self.desired.secret.name;
        // One that is to come is on the record, too: taken out is what a former pass of this process has seen in there.
        let was_there = |entry: &SecretEntry| {
            served.contains(entry) && ctx.index.has_served(self.key, namespace, &entry.service_account)
        };
        let served: Vec<bool> = wanted.iter().map(was_there).collect();
        for (entry, served) in wanted.iter().zip(served) {
            let name = &entry.service_account;
            let theirs = done.live.untouched().contains(entry);
            let keep = |wish| service_accounts::keep(&ctx.client, namespace, entry, secret, wish);
            let mut found = keep(if served || theirs { Wish::AsIs } else { Wish::There }).await;
            if let Ok(Found::TakenOut { by, .. }) = &found {
                match served.then(|| self.back_off(namespace, entry, by.as_deref())).flatten() {
                    None => {
                        if theirs {
                            done.live = self.touch(namespace, &done.live, entry).await?;
                        }
                        found = keep(Wish::There).await;
                    }
                    Some((until, failure)) => {
                        done.contested = Some(failure);
                        done.wake = Some(until);
                    }
                }
            }
            match found {
                Err(error) => self.refused(namespace, entry, error, done)?,
                Ok(Found::Unchanged(version) | Found::TakenOut { version, .. }) => {
                    ctx.index.leave_service_account(self.key, namespace, name, version, version);
                }
                Ok(Found::Changed { from, to }) => {
                    ctx.index.leave_service_account(self.key, namespace, name, from, to);
                    ctx.metrics.kube_write("service-account");
                }
                Ok(Found::Missing) => {
                    ctx.index.miss_service_account(self.key, namespace, name);
                    let note = format!("ServiceAccount {name} does not exist yet{}", self.place(namespace));
                    if !done.notes.contains(&note) {
                        done.notes.push(note);
                    }
                }
            }
        }
        Ok(())
    }

    /// Which of these entries, of those that are not on the Secret's record yet, are there already or have no ServiceAccount.
    /// An entry that is there before ours is somebody else's, and stays when the account does not ask for it any more.
    pub(in super::super) async fn untouched(
        &self,
        namespace: &ObjectName,
        live: &SecretSnapshot,
        wanted: &[SecretEntry],
    ) -> Result<Vec<SecretEntry>, cluster::Error> {
        let (recorded, secret) = (live.entries(), &self.desired.secret.name);
        let mut untouched = Vec::new();
        // With a lost Secret its record went: entries from then count as ours.
        if live.is_absent() && self.had_secret_in(namespace) {
            return Ok(untouched);
        }
        for entry in wanted.iter().filter(|entry| !recorded.contains(entry)) {
            let found = service_accounts::keep(&self.ctx.client, namespace, entry, secret, Wish::AsIs).await?;
            if !matches!(found, Found::TakenOut { .. }) {
                untouched.push(entry.clone());
            }
        }
        Ok(untouched)
    }

    /// True if the account publishes nothing and this process has entered a Secret of it, as that of a former account of its name
    /// that the garbage collector took afterwards.
    pub(super) fn lists_what_is_gone(&self) -> bool {
        let (ctx, namespace) = (self.ctx, &self.secret_namespace);
        let entered = |entry: &SecretEntry| ctx.index.has_served(self.key, namespace, &entry.service_account);
        !self.desired.enabled && !self.is_deleting() && self.entries_in(namespace).iter().any(entered)
    }

    /// True if a Secret of the account's is, or was, there as far as its status knows.
    pub(super) fn had_secret_in(&self, namespace: &str) -> bool {
        let mut recorded = self.account.status.iter().flat_map(|status| &status.secret_refs);
        recorded.any(|secret| secret.namespace == namespace)
    }

    /// Records that an entry is ours from now on, before it is made.
    async fn touch(
        &self,
        namespace: &ObjectName,
        live: &SecretSnapshot,
        entry: &SecretEntry,
    ) -> Result<SecretSnapshot, cluster::Error> {
        let ctx = self.ctx;
        let untouched: Vec<SecretEntry> = live.untouched().into_iter().filter(|other| other != entry).collect();
        ctx.metrics.kube_write("secret");
        let live = self.copy_in(namespace, &[]).record_entries(live, &live.entries(), &untouched).await?;
        let version = live.version();
        if *namespace == *self.secret_namespace {
            ctx.index.update(self.key, |entry| entry.secret.leave(version));
        } else {
            ctx.index.update_copy(self.key, namespace, |copy| copy.secret.leave(version));
        }
        Ok(live)
    }

    /// Notes that somebody took an entry of ours out; until when and why it is left alone if that happens too
    /// often.
    fn back_off(&self, namespace: &ObjectName, entry: &SecretEntry, by: Option<&str>) -> Option<(Instant, Failure)> {
        let (now, mut contested) = (Instant::now(), None);
        let mut note = |contest: &mut Contest| {
            contest.note(now);
            contested = contest.until(now);
        };
        if self.key.is_system() && *namespace != self.secret_namespace {
            // What one team does is held against no other.
            let note = |copy: &mut Copy| note(copy.service_accounts.get_or_insert_default());
            self.ctx.index.update_copy(self.key, namespace, note);
        } else {
            let note = |entry: &mut Entry| note(&mut entry.contests.get_or_insert_default().service_accounts);
            self.ctx.index.update(self.key, note);
        }
        let until = contested?;
        let place = self.place(namespace);
        let message = format!(
            "Secret {} was taken out of {entry}{place} three times within 10 minutes, \
             last by {}; it is left alone until 10 minutes have passed or the account is edited: find out who does that and \
             stop it",
            self.desired.secret.name,
            by.unwrap_or("somebody")
        );
        Some((until, Failure::lasting("ServiceAccountContested", message)))
    }
}
