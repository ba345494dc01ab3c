//! Passes that end before there is a plan: suspended accounts, a registry that is not there or in trouble, a wish that
//! cannot be had. Each says why and waits for the right thing.

use std::sync::Arc;

use super::{Pass, errors, gather, remember};
use crate::api::{Account, AccountStatus, RegistryTime, conditions as kinds, keys};
use crate::cluster::accounts;
use crate::cluster::objects::{self, Version};
use crate::controllers::enqueue::WaitFor;
use crate::controllers::registries::{self, resolve};
use crate::controllers::{Context, Key};
use crate::domain::conditions::{self, State, Verdict};
use crate::domain::report::{self, Failure};
use crate::engine::Outcome;
use crate::registry;

impl Pass<'_> {
    /// Stops all but deletion; Ready stays what it was.
    pub(super) async fn suspend(mut self) -> Outcome {
        let mut status = self.account.status.clone().unwrap_or_default();
        let by = if self.account.is_suspended() { "spec.suspend" } else { "the registry's spec.suspend" };
        let message = format!("nothing is changed, renewed or refreshed: {by} is set");
        let mut verdicts = vec![
            Verdict::new(kinds::SYNCED, State::False, "Suspended", message),
            Verdict::absent(kinds::RECONCILING),
            Verdict::absent(kinds::STALLED),
        ];
        if conditions::find(&status.conditions, kinds::READY).is_none() {
            let message = format!("no credential was made yet, and none is: {by} is set");
            verdicts.push(Verdict::new(kinds::READY, State::False, "Suspended", message));
        }
        let now = self.registry_now();
        let expiry = status.robot.as_ref().and_then(|robot| robot.expiration_time);
        if expiry.is_some_and(|at| at <= now) && self.desired.enabled {
            let message = format!("the credential has expired and is not renewed: {by} is set");
            verdicts.push(Verdict::new(kinds::READY, State::False, "Suspended", message));
        }
        let generation = self.account.metadata.generation;
        status.observed_generation = generation;
        status.conditions = conditions::apply(&status.conditions, &verdicts, generation, self.ctx.wall_time().into());
        let wake = expiry.filter(|at| *at > now).map(|at| self.ctx.instant_of(at, now));
        match self.write_status(status).await {
            Ok(()) => {
                self.ctx.index.update(self.key, |entry| entry.wake = wake);
                Outcome::Settled { wake }
            }
            Err(error) => errors::of_kube(&error),
        }
    }

    /// Gathering ended early: says why and waits for the right thing.
    pub(super) async fn stopped(mut self, stop: gather::Stop) -> Outcome {
        let of_harbor = matches!(stop, gather::Stop::Registry(_) | gather::Stop::Trouble(_));
        let (mut failure, next, lost) = match self.reason(stop).await {
            Ok(reason) => reason,
            Err(ended) => return ended,
        };
        let next = self.once(next);
        if next == Outcome::Again {
            return next;
        }
        if self.is_deleting() {
            failure.message.push_str(match self.desired.retain {
                false => way_out(failure.reason),
                true if of_harbor => MARK_FIRST,
                true => "",
            });
        }
        match self.tell_failure(failure, lost).await {
            Ok(()) => next,
            Err(error) => errors::of_kube(&error),
        }
    }

    /// Why gathering ended, what comes next, and whether what is published is lost; `Err` = there is nothing to tell.
    async fn reason(&mut self, stop: gather::Stop) -> Result<(Failure, Outcome, bool), Outcome> {
        let mut lost = false;
        let (failure, next) = match stop {
            gather::Stop::Ending => return Err(Outcome::Settled { wake: None }),
            // Of what only a person can put right the account tells.
            gather::Stop::Kube(error) if error.class() == registry::Class::UserFix => {
                let failure = Failure { reason: error.reason(), message: error.to_string(), permanent: true };
                (failure, errors::of_kube(&error))
            }
            gather::Stop::Kube(error) => return Err(errors::of_kube(&error)),
            gather::Stop::Wish { failure, lost: credential_lost } => {
                lost = credential_lost;
                (failure, WaitFor::Poll(&self.registry_name).into())
            }
            gather::Stop::Home(failure) => {
                self.ctx.index.update(self.key, |entry| entry.home_fails = false);
                let wake = self.ctx.index.get(self.key).and_then(|entry| entry.wake);
                // Something else may have asked for this pass, too.
                let next = if self.ctx.index.is_quiet(self.key) { Outcome::Settled { wake } } else { Outcome::Again };
                match self.tell_failure(failure, false).await {
                    Ok(()) => return Err(next),
                    Err(error) => return Err(errors::of_kube(&error)),
                }
            }
            gather::Stop::Wait => return Err(WaitFor::Registry(&self.registry_name).into()),
            gather::Stop::Registry(error) if error.is_of_login() => {
                self.ctx.suspect(&self.registry_name, &error);
                // Not parked: if the probe is content, only the backoff keeps the two from chasing one another.
                return Err(Outcome::Failed { not_before: None });
            }
            gather::Stop::Registry(error) => {
                lost = matches!(error, registry::Error::ProjectNotFound { .. });
                let next = errors::of_registry(self.ctx, &self.registry_name, &self.desired.home, &error);
                let next = match next {
                    // Sweeps list no project for one that has no robot to look for.
                    Outcome::Parked(_) if !objects::has_finalizer(&self.account.metadata, keys::FINALIZER_ROBOT) => {
                        WaitFor::Poll(&self.registry_name).into()
                    }
                    next => next,
                };
                (errors::failure(&self.registry, &self.desired.home, &self.desired.permissions, &error), next)
            }
            gather::Stop::Trouble(trouble) => {
                if self.is_deleting() && self.registry.may_be_kept() {
                    self.ctx.probe(self.registry_name.clone());
                }
                let registries::Trouble { reason, message, for_accounts, permanent, .. } = trouble;
                let message = for_accounts.unwrap_or(message);
                (Failure { reason, message, permanent }, WaitFor::Registry(&self.registry_name).into())
            }
        };
        Ok((failure, next, lost))
    }

    async fn tell_failure(&mut self, failure: Failure, lost: bool) -> Result<(), crate::cluster::Error> {
        let mut status = self.failed_status(&failure, lost);
        self.follow_the_cluster(&mut status, !lost).await;
        self.warn(&failure);
        self.write_status(status).await
    }

    /// What sweeps cannot list is not in sync, however this pass found it: nobody would notice what becomes of it.
    pub(super) fn unless_home_fails(&self, status: AccountStatus) -> AccountStatus {
        let synced = conditions::is_true(&status.conditions, kinds::SYNCED) && !self.is_deleting();
        match self.registry.session.capabilities.why_home_fails(&self.desired.home).filter(|_| synced) {
            Some(why) => {
                let ready = conditions::is_true(&status.conditions, kinds::READY);
                let generation = self.account.metadata.generation;
                with_failure(status, &why, ready, None, generation, self.ctx.wall_time().into())
            }
            None => status,
        }
    }

    /// Status when nothing could be read: what is published is as good as it was, unless the robot went with its
    /// project.
    fn failed_status(&self, failure: &Failure, lost: bool) -> AccountStatus {
        let status = self.account.status.clone().unwrap_or_default();
        let registry_now = self.registry_now();
        let alive = status.robot.as_ref().is_some_and(|robot| robot.expiration_time.is_none_or(|at| at > registry_now));
        let works = !lost && !self.is_deleting() && (alive || !self.desired.enabled);
        let ready = conditions::is_true(&status.conditions, kinds::READY) && works;
        let overdue = report::overdue(&status, self.desired.enabled, registry_now);
        with_failure(
            status,
            failure,
            ready,
            Some(overdue),
            self.account.metadata.generation,
            self.ctx.wall_time().into(),
        )
    }
}

/// Why an account under `Retain` waits.
const MARK_FIRST: &str = "; the account waits a minute for that, so that its robot can be marked as retained: under orphanPolicy: Delete \
                          a robot without that mark is deleted";

/// What a person can do for an account whose robot cannot be deleted now.
fn way_out(reason: &str) -> &'static str {
    match reason {
        "CredentialsMissing" | "CredentialsRejected" | "RegistryNotFound" => {
            "; the account waits with its deletion until the registry has a login that works. To leave the robot in Harbor, set \
             spec.deletionPolicy: Retain"
        }
        _ => {
            "; the account waits with its deletion until that is over. To leave the robot in Harbor, set \
             spec.deletionPolicy: Retain"
        }
    }
}

/// The conditions of a pass that could not even look.
fn with_failure(
    mut status: AccountStatus,
    failure: &Failure,
    ready: bool,
    overdue: Option<Verdict>,
    generation: Option<i64>,
    now: RegistryTime,
) -> AccountStatus {
    let Failure { reason, message, permanent } = failure;
    let mut verdicts = vec![Verdict::new(kinds::SYNCED, State::False, reason, message.clone())];
    verdicts.extend(overdue);
    if !ready {
        verdicts.push(Verdict::new(kinds::READY, State::False, reason, message.clone()));
    }
    let (stalled, reconciling) = (*permanent, !*permanent && !conditions::is_applied(&status.conditions, generation));
    let when = |kind, yes| {
        if yes { Verdict::new(kind, State::True, reason, message.clone()) } else { Verdict::absent(kind) }
    };
    verdicts.push(when(kinds::STALLED, stalled));
    verdicts.push(when(kinds::RECONCILING, reconciling));
    status.observed_generation = generation;
    status.conditions = conditions::apply(&status.conditions, &verdicts, generation, now);
    status
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
    let status = account.status.clone().unwrap_or_default();
    // Without a registry its clock is not known: ours is as good as any.
    let (now, enabled) = (ctx.now(), !account.disabled().copied().unwrap_or_default());
    let expiry = status.robot.as_ref().and_then(|robot| robot.expiration_time).filter(|_| enabled);
    let alive = expiry.is_none_or(|at| at > now) && !objects::is_deleting(&account.metadata);
    let ready = conditions::is_true(&status.conditions, kinds::READY) && alive;
    let overdue = report::overdue(&status, enabled, now);
    let next_look = [expiry, report::overdue_from(&status).filter(|_| enabled)];
    let next_look = next_look.into_iter().flatten().filter(|at| *at > now).min();
    let wall_time = ctx.wall_time().into();
    let next = with_failure(status, failure, ready, Some(overdue), account.metadata.generation, wall_time);
    let registry = name.as_ref().map_or(WaitFor::DefaultRegistry, WaitFor::Registry);
    match write_status(ctx, key, &mut account, next).await {
        Ok(()) => registry.until(next_look.map(|at| ctx.instant_of(at, now))),
        Err(error) => errors::of_kube(&error),
    }
}

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
