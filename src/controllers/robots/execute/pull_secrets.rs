//! Our entry in the `imagePullSecrets` of the ServiceAccounts that an account names.

use std::collections::BTreeSet;
use std::time::Instant;

use super::super::Pass;
use super::{Run, Trouble};
use crate::api::ObjectName;
use crate::cluster;
use crate::cluster::secret_form::Form;
use crate::cluster::secrets::{self, Live};
use crate::cluster::service_accounts::{self, Entry};
use crate::deadline;
use crate::domain::report::Failure;

/// The Secret whose entry is wanted in ServiceAccounts.
pub(super) struct Place<'a> {
    /// Its namespace.
    pub(super) namespace: &'a ObjectName,
    /// As it is now.
    pub(super) live: Live,
    /// As it should be.
    pub(super) form: Form<'a>,
    /// The ServiceAccounts that carried the entry before this pass.
    pub(super) served: Vec<ObjectName>,
}

/// A ServiceAccount that goes on naming a Secret of ours: its namespace, its name, and what refuses to change it.
pub(super) type EntryLeft = (String, String, String);

/// What came of it.
#[derive(Default)]
pub(super) struct Served {
    /// The Secret afterwards.
    pub(super) live: Live,
    /// What a user should know.
    pub(super) notes: Vec<String>,
    /// Somebody keeps taking the entry out.
    pub(super) contested: Option<Failure>,
    /// ServiceAccounts that a rule of the cluster does not let us change, and its words.
    pub(super) refused: Vec<(ObjectName, String)>,
    /// When to look again.
    pub(super) wake: Option<Instant>,
}

impl Run<'_, '_> {
    /// Puts our entry into the wanted ServiceAccounts of the Secret's namespace.
    pub(super) async fn service_accounts(&mut self, wanted: &[ObjectName]) -> Result<(), Trouble> {
        let hosts = self.gathered.hosts.clone();
        let place = Place {
            namespace: &self.pass.secret_namespace,
            live: self.live.clone(),
            form: self.pass.form(&self.gathered.owner, &hosts, &self.gathered.untouched),
            served: self.gathered.live.service_accounts(),
        };
        let served = self.pass.serve(place, wanted).await?;
        let namespace = self.pass.secret_namespace.to_string();
        self.take(&namespace, &served);
        self.live = served.live;
        Ok(())
    }

    /// Takes over what is to be told of a namespace.
    pub(super) fn take(&mut self, namespace: &str, served: &Served) {
        self.notes.extend(served.notes.iter().cloned());
        if served.contested.is_some() {
            self.undone.clone_from(&served.contested);
        }
        if let Some((name, why)) = served.refused.first() {
            let message = format!(
                "the imagePullSecrets of ServiceAccount {name}{} are not as they should be: Kubernetes refuses the change: {why}",
                self.pass.place(namespace)
            );
            self.undone = Some(Failure { reason: "KubernetesRefused", message, permanent: true });
        }
        let left = served.refused.iter().map(|(name, why)| (namespace.to_owned(), name.to_string(), why.clone()));
        self.left.extend(left);
        self.wake = [self.wake, served.wake].into_iter().flatten().min();
    }
}

impl Pass<'_> {
    /// Puts our entry into the wanted ServiceAccounts and takes it out of those that carried it before.
    pub(super) async fn serve(&self, place: Place<'_>, wanted: &[ObjectName]) -> Result<Served, cluster::Error> {
        let ctx = self.ctx;
        let Place { namespace, live, form, served } = place;
        let secret = &self.desired.secret.name;
        let mut done = Served { live, ..Served::default() };
        let mut recorded = done.live.service_accounts();
        let untouched = done.live.untouched();
        // The record goes with the Secret; then the spec is what is left to go by.
        if done.live.is_absent() {
            recorded.extend(self.desired.service_accounts.iter().cloned());
        }
        let dropped: BTreeSet<ObjectName> = recorded.into_iter().filter(|name| !wanted.contains(name)).collect();
        for name in dropped.iter().filter(|name| !untouched.contains(name)) {
            match service_accounts::remove(&ctx.client, namespace, name, secret).await {
                Ok(Entry::Changed { from, to }) => {
                    ctx.index.leave_service_account(self.key, namespace, name, from, to);
                    ctx.metrics.kube_write("service-account");
                }
                Ok(_) => {}
                Err(error) => self.refused(name, error, &mut done)?,
            }
        }
        // Those that still carry the entry stay on record.
        let kept: Vec<ObjectName> =
            done.refused.iter().map(|(name, _)| name.clone()).chain(wanted.iter().cloned()).collect();
        self.enter(namespace, &form, wanted, &served, &mut done).await?;
        if !dropped.is_empty() && !self.is_deleting() && !done.live.is_absent() {
            ctx.metrics.kube_write("secret");
            let untouched: Vec<ObjectName> =
                done.live.untouched().into_iter().filter(|name| wanted.contains(name)).collect();
            let (client, live) = (&ctx.client, &done.live);
            done.live = secrets::record_service_accounts(client, namespace, live, &form, &kept, &untouched).await?;
        }
        Ok(done)
    }

    /// A rule of the cluster that keeps us from one ServiceAccount holds up nothing else. What it says of this one it may
    /// not say later, and nothing tells when.
    fn refused(&self, name: &ObjectName, error: cluster::Error, done: &mut Served) -> Result<(), cluster::Error> {
        let cluster::Error::Refused(why) = error else { return Err(error) };
        done.refused.push((name.clone(), why));
        let again = deadline::from_now(self.registry.poll_interval(&self.ctx.settings));
        done.wake = done.wake.into_iter().chain([again]).min();
        Ok(())
    }

    /// Where a ServiceAccount is, for a message of an account that has them in many namespaces.
    pub(super) fn place(&self, namespace: &str) -> String {
        if self.key.is_system() { format!(" in namespace {namespace}") } else { String::new() }
    }

    /// Puts our entry into the wanted ServiceAccounts. Those that were `served` before carried it then.
    pub(super) async fn enter(
        &self,
        namespace: &ObjectName,
        form: &Form<'_>,
        wanted: &[ObjectName],
        served: &[ObjectName],
        done: &mut Served,
    ) -> Result<(), cluster::Error> {
        let ctx = self.ctx;
        let secret = &self.desired.secret.name;
        for name in wanted {
            // One that is to come is on the record, too: taken out is what this process has seen in there.
            let served = served.contains(name) && ctx.index.has_served(self.key, namespace, name);
            let theirs = done.live.untouched().contains(name);
            let add = |served| service_accounts::add(&ctx.client, namespace, name, secret, served);
            let mut entry = add(served || theirs).await;
            if let Ok(Entry::TakenOut { by, .. }) = &entry {
                match served.then(|| self.stand_back(namespace, name, by.as_deref())).flatten() {
                    None => {
                        if theirs {
                            done.live = self.touch(namespace, form, &done.live, name).await?;
                        }
                        entry = add(false).await;
                    }
                    Some((until, failure)) => {
                        done.contested = Some(failure);
                        done.wake = Some(until);
                    }
                }
            }
            match entry {
                Err(error) => self.refused(name, error, done)?,
                Ok(Entry::Unchanged(version) | Entry::TakenOut { version, .. }) => {
                    ctx.index.leave_service_account(self.key, namespace, name, version, version);
                }
                Ok(Entry::Changed { from, to }) => {
                    ctx.index.leave_service_account(self.key, namespace, name, from, to);
                    ctx.metrics.kube_write("service-account");
                }
                Ok(Entry::Missing) => {
                    ctx.index.miss_service_account(self.key, namespace, name);
                    done.notes.push(format!("ServiceAccount {name} does not exist yet{}", self.place(namespace)));
                }
            }
        }
        Ok(())
    }

    /// Which of these ServiceAccounts, of those that are not on the Secret's record yet, list it already or do not exist. An
    /// entry that is there before ours is somebody else's, and stays when the account does not ask for it any more.
    pub(in super::super) async fn untouched(
        &self,
        namespace: &ObjectName,
        live: &Live,
        wanted: &[ObjectName],
    ) -> Result<Vec<ObjectName>, cluster::Error> {
        let (recorded, secret) = (live.service_accounts(), &self.desired.secret.name);
        let mut untouched = Vec::new();
        // With a lost Secret its record went: entries from then count as ours.
        if live.is_absent() && self.had_secret_in(namespace) {
            return Ok(untouched);
        }
        for name in wanted.iter().filter(|name| !recorded.contains(name)) {
            let entry = service_accounts::look(&self.ctx.client, namespace, name, secret).await?;
            if !matches!(entry, Entry::TakenOut { .. }) {
                untouched.push(name.clone());
            }
        }
        Ok(untouched)
    }

    /// True if a Secret of the account's is, or was, there as far as its status knows.
    pub(super) fn had_secret_in(&self, namespace: &str) -> bool {
        let mut recorded = self.account.status.iter().flat_map(|status| &status.secret_refs);
        recorded.any(|secret| secret.namespace == namespace)
    }

    /// Records that the entry of a ServiceAccount is ours from now on, before it is put there.
    async fn touch(
        &self,
        namespace: &ObjectName,
        form: &Form<'_>,
        live: &Live,
        name: &ObjectName,
    ) -> Result<Live, cluster::Error> {
        let ctx = self.ctx;
        let untouched: Vec<ObjectName> = live.untouched().into_iter().filter(|other| other != name).collect();
        ctx.metrics.kube_write("secret");
        let (client, recorded) = (&ctx.client, live.service_accounts());
        let live = secrets::record_service_accounts(client, namespace, live, form, &recorded, &untouched).await?;
        let version = live.version();
        if *namespace == *self.secret_namespace {
            ctx.index.update(self.key, |entry| entry.secret.leave(version));
        } else {
            ctx.index.update_copy(self.key, namespace, |copy| copy.secret.leave(version));
        }
        Ok(live)
    }

    /// Notes that somebody took our entry out of a ServiceAccount; until when and why it is left alone if that happens too
    /// often.
    fn stand_back(&self, namespace: &ObjectName, name: &str, by: Option<&str>) -> Option<(Instant, Failure)> {
        let now = Instant::now();
        let mut contested = None;
        if self.key.is_system() && *namespace != self.secret_namespace {
            // What one team does is held against no other.
            self.ctx.index.update_copy(self.key, namespace, |copy| {
                let contest = copy.service_accounts.get_or_insert_default();
                contested = contest.until(now);
                if contested.is_none() {
                    contest.note(now);
                    contested = contest.until(now);
                }
            });
        } else {
            self.ctx.index.update(self.key, |entry| {
                contested = entry.contests.as_ref().and_then(|contests| contests.service_accounts.until(now));
                if contested.is_none() {
                    contested = entry.contest(|contests| &mut contests.service_accounts);
                }
            });
        }
        let until = contested?;
        let place = self.place(namespace);
        let message = format!(
            "Secret {} was taken out of the imagePullSecrets of ServiceAccount {name}{place} three times within 10 minutes, \
             last by {}; it is left alone until 10 minutes have passed or the account is edited: find out who does that and \
             stop it",
            self.desired.secret.name,
            by.unwrap_or("somebody")
        );
        Some((until, Failure { reason: "ServiceAccountContested", message, permanent: true }))
    }
}
