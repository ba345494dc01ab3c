//! One pass over an account, from its object to its status.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::ending::{without_registry, write_status};
use super::execute::Done;
use super::{errors, gather, prepare, remember};
use crate::api::{Account, AccountStatus, ObjectName, PinnedRegistry, RegistryTime, keys};
use crate::cluster::objects::{self, Version};
use crate::cluster::secret_template::{Endpoint, SecretTemplate};
use crate::cluster::secrets::AccountSecret;
use crate::cluster::{self, accounts};
use crate::controllers::index::Namespace;
use crate::controllers::registries::ServedRegistry;
use crate::controllers::{Context, Key, unreadable};
use crate::deadline;
use crate::domain::contest;
use crate::domain::desired::Desired;
use crate::domain::pace;
use crate::domain::plan::{self, Blocker, Situation};
use crate::domain::report::{self, Facts, Failure};
use crate::domain::secret_entries::SecretEntry;
use crate::domain::spread::{self, Row};
use crate::engine::{Cause, Outcome};

/// One account in one pass.
pub(super) struct Pass<'a> {
    pub(super) ctx: &'a Arc<Context>,
    pub(super) key: &'a Key,
    pub(super) account: Account,
    /// Where its Secret is: the account's namespace, or the operator's own for a system account.
    pub(super) secret_namespace: ObjectName,
    /// The namespaces that a system account's Secret is copied to, with those that are there.
    pub(super) copies_wanted: Option<Vec<(ObjectName, Option<Namespace>)>>,
    /// The account, as the owner of its Secrets.
    pub(super) owner: OwnerReference,
    /// Where clients find the registry; empty if that is not known.
    pub(super) endpoint: Endpoint,
    pub(super) registry: Arc<ServedRegistry>,
    pub(super) desired: Desired,
    /// Nothing is left that the account could hold.
    pub(super) refused: Option<Failure>,
    /// What is left out of `desired`, since this Harbor does not know it or does not have it.
    pub(super) unknown: Option<Failure>,
    /// Why this pass was asked for.
    pub(super) cause: Cause,
    /// The account is as an event brought it, which another leader's last write may have overtaken.
    pub(super) from_event: bool,
    /// Nothing is tried: what a pass finds out by trying is looked up, as far as that can be.
    pub(super) looks_ahead: bool,
}

pub(super) struct Planned {
    pub(super) gathered: gather::Gathered,
    pub(super) situation: Situation,
    pub(super) plan: plan::Plan,
}

/// One pass over an account.
pub async fn pass(ctx: Arc<Context>, key: Key, payload: Option<Box<Account>>, cause: Cause) -> Outcome {
    if cause == Cause::Hint && ctx.index.is_quiet(&key) {
        return Outcome::Settled { wake: ctx.index.get(&key).and_then(|entry| entry.wake) };
    }
    // An event that was queued before our own last write shows a status that is no more: with the Secret gone as well, a
    // plan would take the published robot for one that nobody names.
    let tracked = ctx.index.get(&key).map(|entry| entry.object);
    let shown = tracked.map(|object| object.seen()).unwrap_or_default();
    let latest = |account: &Account| tracked.is_none_or(|object| object.is_latest(Version::of(&account.metadata)));
    let brought = payload.filter(|account| cause == Cause::Change && latest(account));
    let from_event = brought.is_some();
    let account = match brought {
        Some(account) => *account,
        None => match accounts::read(&ctx.client, key.namespace.as_ref(), &key.name).await {
            Ok(Some(account)) => account,
            Ok(None) => return remember::forget(&ctx, &key, false),
            Err(cluster::Error::Unreadable(object)) => return unreadable::account(&ctx, *object),
            Err(error) => return error.into(),
        },
    };
    if ctx.gaps.readable(account.kind(), &account.metadata) {
        tracing::info!(account = %key, "the account can be read again");
    }
    let started = Instant::now();
    let ended = Box::pin(reconcile(&ctx, &key, account, cause, from_event, shown)).await;
    let outcome = ended.unwrap_or_else(|ended| ended);
    ctx.metrics.pass(errors::label(&outcome), started.elapsed());
    outcome
}

async fn reconcile(
    ctx: &Arc<Context>,
    key: &Key,
    account: Account,
    cause: Cause,
    from_event: bool,
    shown: Version,
) -> Result<Outcome, Outcome> {
    let deleting = objects::is_deleting(&account.metadata);
    let finalizer = objects::has_finalizer(&account.metadata, keys::FINALIZER_ROBOT);
    if deleting && !finalizer {
        return Ok(Outcome::Settled { wake: None });
    }
    let mut pass = Box::pin(prepare::prepare(ctx, key, account, cause, from_event, shown)).await?;
    pass.note_secret_entries();
    if !deleting && pass.is_suspended() {
        return pass.suspend().await;
    }
    if deleting && pass.registry.trouble_for(true).is_none() && pass.exceeds_grants() {
        pass.desired.retain = false;
    }
    if let Some(failure) = pass.comes_too_late() {
        let outcome = without_registry(ctx, key, pass.account, &failure).await;
        ctx.index.remove(key);
        return Ok(outcome);
    }
    if let Some(why) = pass.home_fails() {
        return pass.stopped(gather::Stop::Home(why)).await;
    }
    if !deleting {
        match pass.find_projects().await {
            Ok(found) => pass.leave_out(found),
            Err(stop) => return pass.stopped(stop).await,
        }
    }
    if let Some(stop) = pass.keeps_the_login().await {
        return pass.stopped(stop).await;
    }
    Box::pin(pass.run()).await
}

impl Pass<'_> {
    /// Why a registry on its way out does not serve the account.
    pub(super) fn comes_too_late(&self) -> Option<Failure> {
        let is_new = !objects::has_finalizer(&self.account.metadata, keys::FINALIZER_ROBOT);
        (is_new && self.registry.is_deleting()).then(|| {
            let message = format!("registry {} is being deleted and takes no new accounts", self.registry.key);
            Failure::lasting("RegistryDeleting", message)
        })
    }

    /// Sweeps cannot list the home of an account that is at rest: it says why, and nothing is asked for it.
    fn home_fails(&self) -> Option<Failure> {
        let entry = self.ctx.index.get(self.key).filter(|entry| entry.home_fails)?;
        let at_rest = self.cause == Cause::Hint && !self.is_deleting() && entry.slots.is_some();
        self.registry
            .session
            .capabilities
            .why_home_fails(&self.desired.home)
            .filter(|_| at_rest && self.registry.trouble.is_none())
    }

    async fn run(mut self) -> Result<Outcome, Outcome> {
        let status = self.account.status.clone().unwrap_or_default();
        let edited = self.is_edited(&status);
        // What a sweep saw of these is as good as a list of their own.
        let swept = self.ctx.index.get(self.key).is_some_and(|entry| entry.renamed || entry.home_fails);
        let planned = match self.gather_and_plan(edited, self.cause == Cause::Timer || swept).await {
            Ok(planned) => planned,
            Err(stop) => return self.stopped(stop).await,
        };
        let Planned { gathered, situation, plan } = &planned;
        if self.from_event && plan.needs_the_account() && !self.is_the_latest().await? {
            return Ok(Outcome::Again);
        }
        if let Some(stop) = self.would_do_a_part(&planned) {
            return self.stopped(stop).await;
        }
        let names: Vec<&str> = plan.steps.iter().map(|step| step.name()).collect();
        tracing::debug!(account = %self.key, steps = names.join(" "), blocker = ?plan.blocker, "planned");
        let done = self.execute(gathered, plan).await;
        if done.removed {
            return Ok(remember::forget(self.ctx, self.key, !self.desired.retain));
        }
        self.note_pace(plan, situation, &done, edited);
        if done.stale {
            self.ctx.index.update(self.key, |entry| {
                entry.slots = None;
                entry.secret.leave(done.live.version());
            });
            return Ok(done.next.unwrap_or(Outcome::Again));
        }
        Box::pin(self.conclude(&planned, &status, done)).await
    }

    /// A person's edit of the spec is served whenever it comes, and so are projects that come and go.
    pub(super) fn is_edited(&self, status: &AccountStatus) -> bool {
        status.observed_generation != self.account.metadata.generation
            || (status.robot.is_some() && status.projects != self.desired.projects)
    }

    /// A robot is neither made for a part of the wish, nor for nothing; one that there is goes on with the rest.
    pub(super) fn would_do_a_part(&self, Planned { situation, plan, .. }: &Planned) -> Option<gather::Stop> {
        let has_robot = situation.all_ours().next().is_some();
        let would = plan.grants() && (!has_robot || self.desired.permissions.is_empty());
        let failure = self.unknown.clone().filter(|_| would)?;
        Some(gather::Stop::Wish { failure, lost: !situation.credential_works() })
    }

    /// Says in the status what came of it, and remembers what was left.
    async fn conclude(mut self, planned: &Planned, status: &AccountStatus, done: Done) -> Result<Outcome, Outcome> {
        let Planned { gathered, situation, plan } = planned;
        let facts = self.facts(planned, status, &done.outcome, done.rows.as_deref());
        let now = facts.now;
        let (next, wake) = report::report(&facts);
        let next = self.unless_home_fails(next);
        let paced = gathered.held_until(situation).filter(|_| plan.blocker == Some(Blocker::RepairsPaused));
        let wake = wake.into_iter().chain(gathered.wake).chain(paced).min();
        let wake = wake.map(|at| self.ctx.instant_of(at, now));
        let wake = [wake, done.wake, self.unwatched(plan, gathered)].into_iter().flatten().min();
        let held_back = plan.blocker == Some(Blocker::LoginCannotUpdate) || self.unknown.is_some();
        // What waited for a namespace that could not be written to need not any longer.
        let caught_up = gathered.observed.behind && !spread::is_behind(&next);
        self.tell(&next, &done.outcome, plan);
        self.write_status(next).await?;
        self.ctx.index.update(self.key, |entry| {
            entry.slots = done.slots;
            (entry.renamed, entry.home_fails) = (false, false);
            entry.held_back = held_back;
            entry.secret.leave(done.live.version());
            entry.wake = wake;
        });
        if (plan.look_again || done.secret_outdated || caught_up) && done.outcome.failure.is_none() {
            return Ok(Outcome::Again);
        }
        Ok(done.next.unwrap_or(Outcome::Settled { wake }))
    }

    /// What a report of the plan depends on.
    pub(super) fn facts<'f>(
        &'f self,
        Planned { gathered, plan, .. }: &'f Planned,
        status: &'f AccountStatus,
        outcome: &'f report::Outcome,
        spread: Option<&'f [Row]>,
    ) -> Facts<'f> {
        let object = &self.registry.object;
        let (name, url) = (object.name().to_owned(), Some(object.spec.url.clone()));
        Facts {
            status,
            generation: self.account.metadata.generation,
            namespace: &self.secret_namespace,
            registry: PinnedRegistry { kind: object.kind, name, url },
            desired: &self.desired,
            observed: &gathered.observed,
            plan,
            blocked_by: self.blocked_by(plan, gathered),
            spread,
            outcome,
            now: self.registry_now(),
        }
    }

    /// Reads and plans; what is remembered is read after all where a plan would change it.
    pub(super) async fn gather_and_plan(&self, edited: bool, trusting: bool) -> Result<Planned, gather::Stop> {
        let planned = self.plan(self.gather(trusting).await?, edited);
        if planned.gathered.from_memory && !planned.plan.only_adds() {
            return Ok(self.plan(self.gather(false).await?, edited));
        }
        Ok(planned)
    }

    fn plan(&self, gathered: gather::Gathered, edited: bool) -> Planned {
        let situation = gathered.observed.situation(&self.desired);
        let held = gathered.held_until(&situation).and_then(|_| pace::kind(&situation));
        let plan = match held {
            _ if gathered.secret_contested.is_some() => contest::back_off(&situation),
            Some(kind) if !edited || kind == pace::Kind::Renewal => pace::defer(&situation, kind),
            _ => plan::plan(&situation),
        };
        Planned { gathered, situation, plan }
    }

    /// Counts a credential that was replaced, so that nothing makes a storm of robots.
    fn note_pace(&self, plan: &plan::Plan, situation: &Situation, done: &Done, edited: bool) {
        // A plan that was cut off, as by a login that turns out not to be allowed to update, replaced nothing.
        let whole = done.outcome.failure.is_none() && !done.outcome.interrupted && !done.stale;
        let replaced = done.outcome.published || (whole && !plan.publishes() && pace::replaces(plan));
        if let Some(kind) = pace::kind(situation).filter(|kind| replaced && (!edited || *kind == pace::Kind::Renewal)) {
            let now = self.registry_now();
            self.ctx.index.update(self.key, |entry| entry.contests.get_or_insert_default().pace(kind).note(kind, now));
        }
    }

    /// The reason and the words of what blocks the plan, where they depend on what was read.
    fn blocked_by(&self, plan: &plan::Plan, gathered: &gather::Gathered) -> Option<(&'static str, String)> {
        match plan.blocker {
            Some(Blocker::NotPermitted) => gathered.refusal.clone(),
            Some(Blocker::SecretContested) => {
                Some(("SecretContested", gathered.live.other_manager().unwrap_or("somebody").to_owned()))
            }
            Some(Blocker::RepairsPaused) => {
                Some(("RepairsPaused", gathered.live.other_manager().unwrap_or_default().to_owned()))
            }
            Some(Blocker::SecretNotOwned) => {
                let (secret, namespace) = (&self.desired.secret.name, &self.secret_namespace);
                let text = report::foreign_secret(secret, namespace, self.is_of_a_registry(namespace));
                Some(("SecretNotOwned", text))
            }
            _ => None,
        }
    }

    /// A picture that was stale twice in a row, or still is after a wait, is a fact that somebody should hear of, and no
    /// reason for haste.
    pub(super) fn once(&self, next: Outcome) -> Outcome {
        // The pass before this one asked for it at once, or failed.
        let again = matches!(self.cause, Cause::Again | Cause::Retry);
        if next == Outcome::Again && again { Outcome::Failed { not_before: None } } else { next }
    }

    /// True if the API server has the account as the event brought it. Events come late, by a minute and more where the server
    /// lags: the account may have gone since.
    async fn is_the_latest(&self) -> Result<bool, cluster::Error> {
        let seen = |account: &Account| (account.metadata.uid.clone(), Version::of(&account.metadata));
        match accounts::read(&self.ctx.client, self.key.namespace.as_ref(), &self.key.name).await {
            Ok(found) => Ok(found.is_some_and(|found| seen(&found) == seen(&self.account))),
            // The next pass reads it, and says so.
            Err(cluster::Error::Unreadable(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn is_deleting(&self) -> bool {
        objects::is_deleting(&self.account.metadata)
    }

    /// When to look again at what no watch and no sweep tells of.
    fn unwatched(&self, plan: &plan::Plan, gathered: &gather::Gathered) -> Option<Instant> {
        match plan.blocker? {
            // A stranger's Secret carries no label of ours.
            Blocker::SecretNotOwned => Some(deadline::from_now(self.registry.poll_interval(&self.ctx.settings))),
            Blocker::SecretContested => gathered.secret_contested,
            Blocker::NotPermitted | Blocker::NameTaken | Blocker::LoginCannotUpdate | Blocker::RepairsPaused => None,
        }
    }

    /// Notes for the watch which ServiceAccounts concern this account.
    fn note_secret_entries(&self) {
        let copies = self.copies_wanted.iter().flatten().map(|(namespace, _)| namespace);
        let own = self.copies_wanted.is_none().then_some(&self.secret_namespace);
        for namespace in own.into_iter().chain(copies) {
            self.ctx.index.set_secret_entries(self.key, namespace, &self.desired.entries);
        }
    }

    /// The entries in ServiceAccounts of a namespace. For a system account the first Secret's namespace is one of many.
    pub(super) fn entries_in(&self, namespace: &str) -> &[SecretEntry] {
        let here = self.copies_wanted.as_ref().is_none_or(|all| all.iter().any(|(name, _)| *name == namespace));
        if here { &self.desired.entries } else { &[] }
    }

    /// The first Secret. `untouched`: see [`SecretTemplate::untouched`].
    pub(super) fn first_secret<'a>(&'a self, untouched: &'a [SecretEntry]) -> AccountSecret<'a> {
        self.secret_in(&self.secret_namespace, self.entries_in(&self.secret_namespace), untouched)
    }

    /// The copy of it in another namespace.
    pub(super) fn copy_in<'a>(&'a self, namespace: &'a ObjectName, untouched: &'a [SecretEntry]) -> AccountSecret<'a> {
        self.secret_in(namespace, &self.desired.entries, untouched)
    }

    fn secret_in<'a>(
        &'a self,
        namespace: &'a ObjectName,
        entries: &'a [SecretEntry],
        untouched: &'a [SecretEntry],
    ) -> AccountSecret<'a> {
        let Self { ctx, owner, endpoint, desired, .. } = self;
        let template = SecretTemplate { owner, wish: &desired.secret, endpoint, entries, untouched };
        AccountSecret { client: &ctx.client, namespace, template }
    }

    pub(super) fn is_suspended(&self) -> bool {
        let all = self.registry.object.spec.suspend.unwrap_or_default();
        all || (self.account.is_suspended() && !self.exceeds_grants())
    }

    pub(super) fn registry_now(&self) -> RegistryTime {
        self.registry.registry_now(self.ctx.now())
    }

    pub(super) async fn write_status(&mut self, status: AccountStatus) -> Result<(), crate::cluster::Error> {
        write_status(self.ctx, self.key, &mut self.account, status).await
    }
}
