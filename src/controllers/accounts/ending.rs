//! Passes that end before there is a plan: suspended accounts, a registry that is not there or in trouble, a wish that
//! cannot be had. Each says why and waits for the right thing. An account that is being deleted waits no longer than it has
//! to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Pass, errors, gather, remember};
use crate::api::{Account, AccountStatus, OrphanPolicy, RegistryTime, conditions as kinds, keys};
use crate::cluster::objects::{self, Version};
use crate::cluster::{accounts, namespaces};
use crate::controllers::registries::{Trouble, resolve};
use crate::controllers::{Context, Key, WaitFor};
use crate::deadline;
use crate::domain::conditions;
use crate::domain::report::{Failure, Unread};
use crate::engine::Outcome;
use crate::registry;

impl Pass<'_> {
    /// Stops all but deletion; Ready stays what it was.
    pub(super) async fn suspend(mut self) -> Result<Outcome, Outcome> {
        let by = if self.account.is_suspended() { "spec.suspend" } else { "the registry's spec.suspend" };
        let before = self.account.status.clone().unwrap_or_default();
        let (unread, now) = (self.unread(&before), self.registry_now());
        let wake = unread.next_look().map(|at| self.ctx.instant_of(at, now));
        self.write_status(unread.suspended(by)).await?;
        self.ctx.index.update(self.key, |entry| entry.wake = wake);
        Ok(Outcome::Settled { wake })
    }

    fn unread<'s>(&self, before: &'s AccountStatus) -> Unread<'s> {
        unread(self.ctx, &self.account, before, self.registry_now())
    }

    /// Gathering ended early: says why and waits for the right thing.
    pub(super) async fn stopped(mut self, stop: gather::Stop) -> Result<Outcome, Outcome> {
        let of_harbor = matches!(stop, gather::Stop::Registry(_) | gather::Stop::Trouble(_));
        let (mut failure, next, lost) = Box::pin(self.reason(stop)).await?;
        let next = self.once(next);
        if next == Outcome::Again {
            return Ok(next);
        }
        if self.is_deleting() {
            match self.desired.retain {
                false => failure.message += &way_out(failure.reason),
                true if of_harbor => failure.message += MARK_FIRST,
                true => {}
            }
        }
        self.tell_failure(failure, lost).await?;
        Ok(next)
    }

    /// Why gathering ended, what comes next, and whether what is published is lost; `Err` = there is nothing to tell.
    async fn reason(&mut self, stop: gather::Stop) -> Result<(Failure, Outcome, bool), Outcome> {
        let mut lost = false;
        let (failure, next) = match stop {
            gather::Stop::Ending => return Err(Outcome::Settled { wake: None }),
            // Of what only a person can put right the account tells.
            gather::Stop::Kube(error) if error.class() == registry::Class::UserFix => {
                let failure = Failure::lasting(error.reason(), error.to_string());
                (failure, error.into())
            }
            gather::Stop::Kube(error) => return Err(error.into()),
            gather::Stop::Wish { failure, lost: credential_lost } => {
                lost = credential_lost;
                (failure, WaitFor::Poll(&self.registry.key).into())
            }
            gather::Stop::Home(failure) => {
                self.ctx.index.update(self.key, |entry| entry.home_fails = false);
                let wake = self.ctx.index.get(self.key).and_then(|entry| entry.wake);
                // Something else may have asked for this pass, too.
                let next = if self.ctx.index.is_quiet(self.key) { Outcome::Settled { wake } } else { Outcome::Again };
                self.tell_failure(failure, false).await?;
                return Err(next);
            }
            gather::Stop::Needed(failure) => (failure, self.until_others_go()),
            gather::Stop::NotTakenUp(failure) => {
                let poll = deadline::from_now(self.registry.poll_interval(&self.ctx.settings));
                (failure, WaitFor::Registry(&self.registry.key).until(Some(poll)))
            }
            gather::Stop::Wait => return Err(WaitFor::Registry(&self.registry.key).into()),
            gather::Stop::Registry(error) if error.is_of_login() => {
                self.ctx.suspect(&self.registry.key, &error);
                // Not parked: if the probe is content, only the backoff keeps the two from chasing one another.
                return Err(Outcome::Failed { not_before: None });
            }
            gather::Stop::Registry(error) => {
                lost = matches!(error, registry::Error::ProjectNotFound(_));
                let next = errors::of_registry(self.ctx, &self.registry.key, &self.desired.home, &error);
                let next = match next {
                    // Sweeps list no project for one that has no robot to look for.
                    Outcome::Parked(..) if !objects::has_finalizer(&self.account.metadata, keys::FINALIZER_ROBOT) => {
                        WaitFor::Poll(&self.registry.key).into()
                    }
                    next => next,
                };
                (errors::failure(&self.registry, &self.desired.home, &self.desired.permissions, &error), next)
            }
            gather::Stop::Trouble(trouble) => {
                if (self.is_deleting() || self.is_own_login()) && self.registry.may_be_kept() {
                    self.ctx.probe(self.registry.key.clone());
                }
                (trouble.into(), WaitFor::Registry(&self.registry.key).into())
            }
        };
        Ok((failure, next, lost))
    }

    async fn tell_failure(&mut self, failure: Failure, lost: bool) -> Result<(), crate::cluster::Error> {
        let before = self.account.status.clone().unwrap_or_default();
        let mut status = self.unread(&before).failed(&failure, lost);
        self.follow_the_cluster(&mut status, !lost).await;
        self.tell_not_in_sync(failure.reason, &failure.message);
        self.write_status(status).await
    }

    /// What sweeps cannot list is not in sync, however this pass found it.
    pub(super) fn unless_home_fails(&self, status: AccountStatus) -> AccountStatus {
        let synced = conditions::is_true(&status.conditions, kinds::SYNCED) && !self.is_deleting();
        let why = self.registry.session.capabilities.why_home_fails(&self.desired.home).filter(|_| synced);
        match why {
            Some(why) => self.unread(&status).unlisted(&why),
            None => status,
        }
    }

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
    pub(super) fn is_let_go_by(&self, error: &registry::Error) -> bool {
        self.is_let_go(error.class() == registry::Class::UserFix && !error.is_of_login())
    }

    /// Nobody can delete the robot, and the namespace waits for nothing else; or Harbor refuses the login that this account
    /// published, and nobody else needs one.
    pub(super) async fn is_abandoned(&self, trouble: &Trouble) -> Result<bool, gather::Stop> {
        let since = self.registry.trouble_since.map(|since| since.elapsed());
        // Without a login nothing comes back by itself, however often this process began anew meanwhile.
        let never_served = trouble.permanent && !self.registry.has_answered;
        let deleted = self.account.metadata.deletion_timestamp.as_ref().filter(|_| never_served);
        let waits = deleted.and_then(|at| Duration::try_from(self.ctx.now().duration_since(at.0.into())).ok());
        let long = since.max(waits).is_some_and(|waits| waits >= self.ctx.settings.abandon_after);
        match &self.key.namespace {
            Some(namespace) if long => Ok(namespaces::is_terminating(&self.ctx.client, namespace).await?),
            // It ended its own robot and did not live to see that.
            None if long => Ok(self.is_own_login() && trouble.reason == "CredentialsRejected"),
            _ => Ok(false),
        }
    }
}

/// How long the mark of a retained robot is worth waiting for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why an account under `Retain` waits.
const MARK_FIRST: &str = "; the account waits a minute for that, so that its robot can be marked as retained: under orphanPolicy: Delete \
                          a robot without that mark is deleted";

/// What a person can do for an account whose robot cannot be deleted now.
fn way_out(reason: &str) -> String {
    let until = match reason {
        "CredentialsMissing" | "CredentialsRejected" | "RegistryNotFound" => "the registry has a login that works",
        _ => "that is over",
    };
    format!(
        "; the account waits with its deletion until {until}. To leave the robot in Harbor, set spec.deletionPolicy: Retain"
    )
}

/// What is known of an account without a look, where registry time is `now`.
fn unread<'s>(ctx: &Context, account: &Account, before: &'s AccountStatus, now: RegistryTime) -> Unread<'s> {
    Unread {
        status: before,
        generation: account.metadata.generation,
        enabled: !account.disabled().copied().unwrap_or_default(),
        deleting: objects::is_deleting(&account.metadata),
        now,
        said_at: ctx.wall_time().into(),
    }
}

/// An account whose registry is not there or not clear: says so and waits for a registry. What is published works until it
/// expires, which nobody but a timer tells then.
pub(super) async fn without_registry(
    ctx: &Arc<Context>,
    key: &Key,
    mut account: Account,
    failure: &Failure,
) -> Outcome {
    let name = resolve::wanted(&account);
    let before = account.status.clone().unwrap_or_default();
    // Without a registry its clock is not known: ours is as good as any.
    let now = ctx.now();
    let unread = unread(ctx, &account, &before, now);
    let next_look = unread.next_look().map(|at| ctx.instant_of(at, now));
    let registry = name.as_ref().map_or(WaitFor::DefaultRegistry, WaitFor::Registry);
    let written = write_status(ctx, key, &mut account, unread.failed(failure, false)).await;
    written.map_or_else(Outcome::from, |()| registry.until(next_look))
}

/// Writes status if it differs.
pub(super) async fn write_status(
    ctx: &Arc<Context>,
    key: &Key,
    account: &mut Account,
    status: AccountStatus,
) -> Result<(), crate::cluster::Error> {
    let status = status.bounded();
    if account.status.as_ref() != Some(&status) {
        ctx.metrics.kube_write("status");
        account.metadata = accounts::write_status(&ctx.client, account, status.clone()).await?;
        account.status = Some(status);
    }
    let left = Version::of(&account.metadata);
    let told = remember::told_of(account);
    let may_have_robots = objects::has_finalizer(&account.metadata, keys::FINALIZER_ROBOT);
    ctx.index.update(key, |entry| {
        entry.may_have_robots = may_have_robots;
        entry.had_robots |= may_have_robots;
        entry.object.leave(left);
        entry.told = told;
    });
    Ok(())
}
