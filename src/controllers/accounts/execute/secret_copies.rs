//! The Secret of a system account in each of its namespaces. The first one, in the operator's own namespace, is where the
//! credential is kept; the others are copies of it. What happens in one namespace holds up no other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};

use super::super::Pass;
use super::service_accounts::{EntryLeft, PullSecretReport};
use super::{Run, Trouble};
use crate::api::ObjectName;
use crate::cluster;
use crate::cluster::objects::Version;
use crate::cluster::secret_template::Credential;
use crate::cluster::secrets::SecretSnapshot;
use crate::controllers::index::Namespace;
use crate::controllers::tracked::Tracked;
use crate::deadline;
use crate::domain::digest;
use crate::domain::report::foreign_secret;
use crate::domain::spread::{Problem, Row, SECRETS_TOLD};
use crate::registry::Class;

/// Namespaces at the same time.
const AT_ONCE: usize = 8;

/// A namespace whose Secret could not be written for a passing reason is looked at again after this long.
const RETRY: Duration = Duration::from_secs(10);

/// What came of one namespace. `Ok` if the Secret and its ServiceAccounts are as they should be; `None` if they were known to
/// be.
pub(super) type CopyResult = Result<Option<Box<PullSecretReport>>, CopyFailure>;

/// A namespace that is to have a copy, and what is known of it; `None` = there is none of that name.
type Wanted = (ObjectName, Option<Namespace>);

/// A copy or its ServiceAccounts are not as they should be.
pub(super) struct CopyFailure {
    pub(super) problem: Problem,
    /// When to try again, if that is known.
    pub(super) again: Option<Instant>,
}

impl Run<'_, '_> {
    /// Takes the credential out of the namespaces that are not asked for any more and, if there is nothing against it, brings
    /// the published one to the others.
    pub(super) async fn sync_secret_copies(&mut self, write: bool) {
        let Some(wanted) = self.pass.copies_wanted.clone() else { return };
        let mut rows = self.remove_stale_copies(&wanted).await;
        if write {
            rows.extend(self.write_copies(&wanted).await);
            rows.sort_by(|a, b| a.name.cmp(&b.name));
            self.done.rows = Some(rows);
        }
    }

    /// Answers with the namespaces in which a copy is left that should not be.
    async fn remove_stale_copies(&mut self, wanted: &[Wanted]) -> Vec<Row> {
        let (pass, mut rows) = (&*self.pass, Vec::new());
        let is_wanted = |name: &ObjectName| wanted.iter().any(|(wanted, _)| wanted == name);
        for name in pass.places().iter().filter(|name| **name != pass.secret_namespace && !is_wanted(name)) {
            match pass.remove_copy(name).await {
                Ok(left) => self.left.extend(left),
                Err(error) => {
                    rows.push(Row { name: name.to_string(), problem: Some(problem_of(&error, true)) });
                    let again = deadline::from_now(pass.registry.poll_interval(&pass.ctx.settings));
                    self.done.wake = [self.done.wake, Some(again)].into_iter().flatten().min();
                }
            }
        }
        rows
    }

    /// What came of each namespace that is asked for. Everything in one that is being deleted is on its way out.
    async fn write_copies(&mut self, wanted: &[Wanted]) -> Vec<Row> {
        let (pass, primary) = (&*self.pass, &self.done.live);
        let credential = self.robots.iter().flatten().find_map(|robot| primary.credential_of(robot));
        let put = credential.as_ref();
        let is_home = |name: &ObjectName| *name == pass.secret_namespace;
        let copies = wanted
            .iter()
            .filter(|(name, found)| !is_home(name) && !found.as_ref().is_some_and(|namespace| namespace.terminating));
        let visit = |name, exists: bool| -> BoxFuture<'_, (&ObjectName, CopyResult)> {
            let fails = |problem| std::future::ready((name, Err(CopyFailure { problem, again: None })));
            match put {
                _ if !exists => Box::pin(fails(Problem::no_namespace())),
                None => Box::pin(fails(Problem::no_credential())),
                Some(held) => Box::pin(async move { (name, pass.write_copy(name, primary, held).await) }),
            }
        };
        let visits: Vec<_> = copies.map(|(name, found)| visit(name, found.is_some())).collect();
        let results: Vec<(&ObjectName, CopyResult)> = stream::iter(visits).buffered(AT_ONCE).collect().await;
        let home = wanted.iter().map(|(name, _)| name).find(|name| is_home(name));
        let home = home.map(|name| Row { name: name.to_string(), problem: put.is_none().then(Problem::no_credential) });
        let mut rows: Vec<Row> = home.into_iter().collect();
        for (name, result) in results {
            let problem = match result {
                Ok(report) => {
                    report.inspect(|report| self.take(name, report));
                    None
                }
                Err(CopyFailure { problem, again }) => {
                    self.done.wake = [self.done.wake, again].into_iter().flatten().min();
                    Some(problem)
                }
            };
            rows.push(Row { name: name.to_string(), problem });
        }
        rows
    }

    /// The account is on its way out, or may hold nothing any more. Secrets that are `released` outlive it as they are; the
    /// others are deleted, and no ServiceAccount names them any more.
    pub(super) async fn withdraw(&mut self, released: bool) -> Result<(), Trouble> {
        if !self.pass.key.is_system() {
            return Ok(());
        }
        for name in self.pass.places() {
            if name == self.pass.secret_namespace {
                continue;
            }
            if released {
                let copy = self.pass.copy_in(&name, &[]);
                let live = copy.read().await?;
                if !self.pass.is_stray(&name, &live) {
                    copy.release(&live).await?;
                }
            } else {
                match self.pass.remove_copy(&name).await {
                    Ok(left) => self.left.extend(left),
                    // A namespace that refuses this is not held up: what is left there goes with its owner.
                    Err(cluster::Error::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if !released {
            self.done.rows = Some(Vec::new());
        }
        Ok(())
    }
}

impl Pass<'_> {
    /// Every namespace that has a copy, or may have one. The watch tells of all copies by their label, whatever status
    /// says of them. Without a watch status has the first hundred: where there may be more, each namespace is looked into
    /// before the account goes, and once after a start. What a status names is looked at, and only what is ours is touched.
    pub(super) fn places(&self) -> BTreeSet<ObjectName> {
        let index = &self.ctx.index;
        let recorded = self.account.status.iter().flat_map(|status| &status.secret_refs);
        let mut places: BTreeSet<ObjectName> =
            recorded.filter_map(|secret| ObjectName::new(&secret.namespace).ok()).collect();
        let may_be_more = !self.ctx.settings.watch_secrets && places.len() >= SECRETS_TOLD;
        if may_be_more && (self.is_deleting() || index.search_once(self.key)) {
            places.extend(index.namespaces());
        }
        places.extend(index.copied_to(self.key));
        if self.is_deleting() {
            // A status that somebody wiped tells of none.
            places.extend(self.copies_wanted.iter().flatten().map(|(name, _)| name.clone()));
        }
        places
    }

    /// Makes the Secret of a namespace a copy of the first one.
    pub(super) async fn write_copy(
        &self,
        namespace: &ObjectName,
        primary: &SecretSnapshot,
        held: &Credential,
    ) -> CopyResult {
        let ctx = self.ctx;
        let form = self.copy_in(namespace, &[]).template.digest(held.expiration_time);
        let content = digest((primary.version(), form, &held.robot.name));
        if ctx.settings.watch_secrets && ctx.index.is_copy_settled(self.key, namespace, content) {
            return Ok(None);
        }
        let before = ctx.index.copy(self.key, namespace);
        if let Some(until) = before.contest.as_ref().and_then(|contest| contest.until(Instant::now())) {
            return Err(self.contested(until));
        }
        match self.try_to_write_copy(namespace, held, before.secret).await {
            Ok(result) => {
                let quiet =
                    matches!(&result, Ok(Some(served)) if served.notes.is_empty() && served.contested.is_none());
                ctx.index.update_copy(self.key, namespace, |copy| copy.content = if quiet { content } else { 0 });
                result
            }
            Err(error) => {
                ctx.index.update_copy(self.key, namespace, |copy| copy.content = 0);
                // What a policy refuses it may allow later, and nothing tells when.
                let refused = error.class() == Class::UserFix;
                let pause = if refused { self.registry.poll_interval(&ctx.settings) } else { RETRY };
                let there = before.secret.is_left() || before.secret.seen() != Version::NONE;
                let held = there || self.had_secret_in(namespace);
                Err(CopyFailure { problem: problem_of(&error, held), again: Some(deadline::from_now(pause)) })
            }
        }
    }

    async fn try_to_write_copy(
        &self,
        namespace: &ObjectName,
        held: &Credential,
        before: Tracked,
    ) -> Result<CopyResult, cluster::Error> {
        let ctx = self.ctx;
        let entries = &self.desired.entries;
        let live = self.copy_in(namespace, &[]).read().await?;
        let untouched = self.untouched(namespace, &live, entries).await?;
        if !live.is_absent() && !live.is_ours() {
            ctx.index.drop_copy(self.key, namespace);
            let text = foreign_secret(&self.desired.secret.name, namespace, self.is_of_a_registry(namespace));
            let problem = problem("SecretNotOwned", text, false);
            // A stranger's Secret carries no label of ours, so no watch tells when it goes.
            let again = Some(deadline::from_now(self.registry.poll_interval(&ctx.settings)));
            return Ok(Err(CopyFailure { problem, again }));
        }
        let (from, served) = (live.version(), live.entries());
        let written = self.copy_in(namespace, &untouched).copy(&live, held).await?;
        if written.is_some() {
            ctx.metrics.kube_write("secret");
            // Neither ours of the last pass nor a new one: somebody wrote in between.
            let disturbed = before.is_left() && from != before.left();
            ctx.index.update_copy(self.key, namespace, |copy| {
                if disturbed {
                    copy.contest.get_or_insert_default().note(Instant::now());
                }
            });
        }
        let live = written.unwrap_or(live);
        let version = live.version();
        ctx.index.update_copy(self.key, namespace, |copy| copy.secret.read(version, before.seen()));
        let served = self.sync_pull_secrets(namespace, live, &served, entries).await?;
        let version = served.live.version();
        ctx.index.update_copy(self.key, namespace, |copy| copy.secret.leave(version));
        Ok(Ok(Some(Box::new(served))))
    }

    /// Takes the Secret and its entries out of a namespace that is not asked for any more.
    /// Answers with the ServiceAccounts in which the entry is left, since a rule of the cluster protects them.
    pub(super) async fn remove_copy(&self, namespace: &ObjectName) -> Result<Vec<EntryLeft>, cluster::Error> {
        let (ctx, mut left) = (self.ctx, Vec::new());
        let copy = self.copy_in(namespace, &[]);
        let live = copy.read().await?;
        let stray = self.is_stray(namespace, &live);
        if stray {
            tracing::debug!(account = %self.key, %namespace, "a copy that somebody else made is left alone");
        }
        if !stray && (live.is_absent() || live.is_ours()) {
            // Entries may be left of a Secret that somebody deleted.
            let PullSecretReport { live, refused, .. } = self.sync_pull_secrets(namespace, live, &[], &[]).await?;
            left = refused;
            if !live.is_absent() {
                ctx.metrics.kube_write("secret");
                copy.delete(&live).await?;
            }
        }
        ctx.index.set_secret_entries(self.key, namespace, &[]);
        ctx.index.drop_copy(self.key, namespace);
        Ok(left)
    }

    /// A Secret in a namespace that nobody asks for and where this account never put one: another tool copied ours under its
    /// name, labels and annotations, and it is that tool's. A restored one looks alike, but its namespace is asked for.
    fn is_stray(&self, namespace: &str, live: &SecretSnapshot) -> bool {
        live.is_ours() && !live.is_owned_by(&self.owner) && !self.had_secret_in(namespace)
    }

    /// True if the account's Secret in that namespace has the name of one that a registry uses: its login, or its
    /// certificates.
    pub(in super::super) fn is_of_a_registry(&self, namespace: &str) -> bool {
        let (name, settings) = (&self.desired.secret.name, &self.ctx.settings);
        self.ctx.registries.all().iter().any(|registry| {
            let bundle = registry.object.spec.tls.as_ref().and_then(|tls| tls.ca_certificates_ref.as_ref());
            let used = *name == registry.login_secret() || bundle.is_some_and(|source| *name == *source.name);
            used && registry.secret_namespace(settings) == namespace
        })
    }

    fn contested(&self, until: Instant) -> CopyFailure {
        let text = format!(
            "Secret {} was changed or deleted three times within 10 minutes; it is left alone for 10 minutes: find out \
             who does that and stop it",
            self.desired.secret.name
        );
        CopyFailure { problem: problem("SecretContested", text, true), again: Some(until) }
    }
}

pub(super) fn problem_of(error: &cluster::Error, behind: bool) -> Problem {
    problem(error.reason(), error.to_string(), behind)
}

fn problem(reason: &str, message: String, behind: bool) -> Problem {
    Problem { reason: reason.to_owned(), message, behind, waits: false }
}
