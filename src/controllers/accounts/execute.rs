//! Carries out a plan, one step after the other. Nothing is decided here: an answer that changes the picture ends the
//! plan, and the next pass gathers again.

mod harbor_calls;
mod last_step;
mod secret_copies;
mod service_accounts;
mod while_away;

use std::sync::Arc;
use std::time::Instant;

use secrecy::SecretString;

use super::gather::Gathered;
use super::{Pass, errors, wish};
use crate::api::keys;
use crate::cluster::objects::Version;
use crate::cluster::secret_template::Credential;
use crate::cluster::secrets::{AccountSecret, Expected, SecretSnapshot};
use crate::cluster::{self, accounts};
use crate::controllers::index::{robot_digest, slots_digest};
use crate::deadline;
use crate::domain::observed::{RobotRef, SecretSeen};
use crate::domain::plan::{Blocker, Plan, REHEARSAL, Step, Target};
use crate::domain::report::{self, Failure};
use crate::domain::robot::Robot;
use crate::domain::situation::Observed;
use crate::domain::slots::Slot;
use crate::domain::spread::{Row, summary};
use crate::engine::Outcome;
use crate::registry::{self, Class, harbor};
use service_accounts::EntryLeft;

/// So many missing namespaces are named in a condition.
const NAMESPACES_NOTED: usize = 5;

/// What is told of a picture that stays stale.
const CONTRADICTED: &str = "Harbor shows a robot that differs from what it answered just before, or whose login fails: another \
                            program may be changing it at the same time, or the server contradicts itself; it is looked at again \
                            later";

/// What executing came to.
#[derive(Default)]
pub(super) struct Done {
    pub(super) outcome: report::Outcome,
    /// The picture was stale, or another replica leads: report nothing, and do what `next` says (by default gather again).
    pub(super) stale: bool,
    /// The finalizer is gone.
    pub(super) removed: bool,
    pub(super) live: SecretSnapshot,
    /// What was done moved something that the Secret tells (the expiry in `robot.json`): it is to be written anew.
    pub(super) secret_outdated: bool,
    /// The digest of both slots afterwards; `None` if they are not known for sure.
    pub(super) slots: Option<u64>,
    /// What the queue should do because of a failure.
    pub(super) next: Option<Outcome>,
    /// When to look again for a reason that is not in status.
    pub(super) wake: Option<Instant>,
    /// What became of a system account's Secret in each namespace, if that was looked at.
    pub(super) rows: Option<Vec<Row>>,
}

enum Trouble {
    Kube(cluster::Error),
    Registry(registry::Error),
    /// The picture changed under the plan.
    Stale,
    /// Harbor's answer taught something that makes for another plan.
    Learned,
}

impl Trouble {
    fn class(&self) -> Class {
        match self {
            Self::Kube(error) => error.class(),
            Self::Registry(error) => error.class(),
            Self::Stale | Self::Learned => Class::Stale,
        }
    }
}

impl From<cluster::Error> for Trouble {
    fn from(error: cluster::Error) -> Self {
        Self::Kube(error)
    }
}

impl From<registry::Error> for Trouble {
    fn from(error: registry::Error) -> Self {
        Self::Registry(error)
    }
}

/// A plan on its way.
struct Run<'r, 'p> {
    pass: &'r mut Pass<'p>,
    gathered: &'r Gathered,
    observed: &'r Observed,
    /// Both slots as they are by now.
    robots: [Option<Robot>; 2],
    created: Option<Slot>,
    /// The secret of a robot that was made or refreshed in this plan.
    secret: Option<SecretString>,
    /// A PUT or PATCH went out to this slot, so Harbor's update time moved.
    written: Option<Slot>,
    /// The login that proves what was written has worked.
    proven: bool,
    /// Entries that could not be taken out of ServiceAccounts.
    left: Vec<EntryLeft>,
    done: Done,
}

impl Pass<'_> {
    pub(super) async fn execute(&mut self, gathered: &Gathered, plan: &Plan) -> Done {
        let undone = gathered.password_problem.clone().or_else(|| self.unknown.clone());
        let outcome = report::Outcome { undone, ..report::Outcome::default() };
        let mut run = Run {
            gathered,
            observed: &gathered.observed,
            robots: gathered.observed.robots.clone(),
            created: None,
            secret: None,
            written: None,
            proven: false,
            left: Vec::new(),
            done: Done { outcome, live: gathered.live.clone(), ..Done::default() },
            pass: self,
        };
        let result = run.all(plan).await;
        run.finish(plan, result)
    }
}

impl Run<'_, '_> {
    async fn all(&mut self, plan: &Plan) -> Result<(), Trouble> {
        if plan.gives_up_for_another() {
            self.rehearse(plan).await?;
        }
        for step in &plan.steps {
            let result = self.step(*step).await;
            self.note_versions();
            let label = match &result {
                Ok(()) => "ok",
                Err(Trouble::Kube(error)) => error.reason(),
                Err(Trouble::Registry(error)) => error.reason(),
                Err(Trouble::Stale | Trouble::Learned) => "Conflict",
            };
            self.pass.ctx.metrics.step(step.name(), label);
            result?;
        }
        if self.done.removed {
            return Ok(());
        }
        self.confirm(plan).await?;
        if plan.blocker.is_none() && !self.observed.deleting && !self.done.live.is_absent() {
            let wanted = self.pass.entries_in(&self.pass.secret_namespace).to_vec();
            self.enter_service_accounts(&wanted).await?;
        } else if self.pass.lists_what_is_gone() && self.done.live.is_absent() {
            self.enter_service_accounts(&[]).await?;
        }
        // A namespace that comes gets the credential that works now, unless the first Secret is not to be relied on.
        let held =
            matches!(plan.blocker, Some(Blocker::NotPermitted | Blocker::SecretNotOwned | Blocker::SecretContested));
        if !self.observed.deleting {
            self.sync_secret_copies(!held).await;
        }
        Ok(())
    }

    /// Each write of ours comes back by the watch, and is no news then.
    fn note_versions(&self) {
        let (object, secret) = (Version::of(&self.pass.account.metadata), self.done.live.version());
        self.pass.ctx.index.update(self.pass.key, |entry| {
            entry.object.leave(object);
            entry.secret.leave(secret);
        });
    }

    fn client(&self) -> Result<Arc<harbor::Client>, Trouble> {
        self.gathered.client.clone().ok_or(Trouble::Stale)
    }

    fn first_secret(&self) -> AccountSecret<'_> {
        self.pass.first_secret(&self.gathered.untouched)
    }

    fn slot_of(&self, target: Target) -> Option<Slot> {
        match target {
            Target::Seen(slot) => Some(slot),
            Target::New => self.created,
        }
    }

    fn robot(&self, target: Target) -> Result<&Robot, Trouble> {
        self.slot_of(target).and_then(|slot| self.robots[slot.index()].as_ref()).ok_or(Trouble::Stale)
    }

    async fn step(&mut self, step: Step) -> Result<(), Trouble> {
        let ctx = self.pass.ctx;
        match step {
            Step::AddFinalizer => {
                ctx.metrics.kube_write("finalizer");
                let meta = accounts::add_finalizer(&ctx.client, &self.pass.account, keys::FINALIZER_ROBOT).await?;
                self.pass.account.metadata = meta;
            }
            Step::Create(slot) => self.create(slot).await?,
            Step::Update(target, purpose) => self.update(target, purpose).await?,
            Step::Refresh(target) => self.refresh(target).await?,
            Step::Delete(slot, _) => self.delete(slot).await?,
            Step::Fence => {
                ctx.metrics.kube_write("secret");
                self.done.live = self.first_secret().fence(&self.done.live).await?;
            }
            Step::Publish(target) => self.publish(target).await?,
            Step::Reform => {
                ctx.metrics.kube_write("secret");
                let live = &self.done.live;
                let named = live.credential.as_ref().map(|credential| &credential.robot);
                let robot = self.robots.iter().flatten().find(|robot| named.is_some_and(|named| named.is(robot)));
                let Some(robot) = robot else { return Err(Trouble::Stale) };
                self.done.live = self.first_secret().rewrite(live, robot).await?;
            }
            Step::DeleteSecret => {
                self.withdraw(false).await?;
                self.enter_service_accounts(&[]).await?;
                ctx.metrics.kube_write("secret");
                self.done.live = self.first_secret().delete(&self.done.live).await?;
            }
            Step::ReleaseSecret => {
                self.withdraw(true).await?;
                ctx.metrics.kube_write("secret");
                self.done.live = self.first_secret().release(&self.done.live).await?;
            }
            Step::RemoveFinalizer => self.remove_finalizer().await?,
        }
        Ok(())
    }

    /// Finds out whether the new credential could be published, before anything is given up for it.
    async fn rehearse(&self, plan: &Plan) -> Result<(), Trouble> {
        let like = self.robots.iter().flatten().next();
        let (id, creation_time) = like.map_or((0, self.observed.now), |robot| (robot.id, robot.creation_time));
        let name = like.map_or_else(|| self.pass.desired.base_name.clone(), |robot| robot.name.clone());
        let next = Expected {
            robot: RobotRef { id, creation_time, name },
            expiration_time: like.and_then(|robot| robot.expiration_time),
            password: self.gathered.own_password.as_ref(),
        };
        let answer = self.first_secret().rehearse(&self.done.live, next, &self.pass.desired.tokens).await;
        let label = answer.as_ref().map_or_else(cluster::Error::reason, |()| "ok");
        self.pass.ctx.metrics.step(REHEARSAL, label);
        tracing::debug!(account = %self.pass.key, steps = plan.steps.len(), label, "asked whether the Secret can be written");
        answer.map_err(|error| match error {
            cluster::Error::Refused(why) => {
                let name = &self.pass.desired.secret.name;
                let text = format!("{why}; Secret {name} cannot be written, so nothing was changed in Harbor");
                cluster::Error::Refused(text).into()
            }
            other => other.into(),
        })
    }

    async fn publish(&mut self, target: Target) -> Result<(), Trouble> {
        let robot = self.robot(target)?.clone();
        let secret = self.secret.clone().ok_or(Trouble::Stale)?;
        let credential = Credential {
            robot: RobotRef { id: robot.id, creation_time: robot.creation_time, name: robot.name },
            expiration_time: robot.expiration_time,
            secret,
        };
        self.pass.ctx.metrics.kube_write("secret");
        let (live, tokens) = (&self.done.live, &self.pass.desired.tokens);
        self.done.live = self.first_secret().publish(live, &credential, tokens).await?;
        self.done.outcome.published = true;
        Ok(())
    }

    /// What an error means for the account, and for the queue.
    fn judge(&self, trouble: Trouble) -> (Option<Failure>, Outcome) {
        let ctx = self.pass.ctx;
        match trouble {
            Trouble::Learned => (None, Outcome::Again),
            Trouble::Stale => {
                let next = self.pass.once(Outcome::Again);
                let failure = Failure { reason: "Conflict", message: CONTRADICTED.to_owned(), permanent: false };
                ((next != Outcome::Again).then_some(failure), next)
            }
            Trouble::Kube(error) => {
                let permanent = error.class() == Class::UserFix;
                let failure = Failure { reason: error.reason(), message: error.to_string(), permanent };
                (Some(failure), error.into())
            }
            Trouble::Registry(error) => {
                let let_go = self.observed.deleting && self.pass.is_let_go_by(&error);
                if let_go {
                    ctx.index.update(self.pass.key, |entry| entry.gave_up = true);
                }
                if error.class() == Class::Unknown {
                    let until = deadline::from_now(ctx.settings.settle_after);
                    ctx.index.update(self.pass.key, |entry| entry.unsettled_until = Some(until));
                }
                let home = &self.pass.desired.home;
                let next = errors::of_registry(ctx, &self.pass.registry.key, home, &error);
                let (registry, key, spec) = (&self.pass.registry, self.pass.key, &self.pass.account.spec);
                let learned = wish::learn(registry, key, spec, &self.pass.desired.permissions, &error);
                let next = if learned || let_go { Outcome::Again } else { self.pass.once(next) };
                (Some(errors::failure(&self.pass.registry, home, &self.pass.desired.permissions, &error)), next)
            }
        }
    }

    fn finish(mut self, plan: &Plan, result: Result<(), Trouble>) -> Done {
        let ended = result.err().map(|trouble| (trouble.class() == Class::NotLeading, self.judge(trouble)));
        let target = plan.current.and_then(|target| self.slot_of(target));
        let secret_outdated = self.written.is_some() && {
            let seen = self.done.live.seen(&self.first_secret().template, self.robots.iter().flatten());
            matches!(seen, SecretSeen::Ours { checksum: Some(_), current_form: false, .. })
        };
        let done = &mut self.done;
        let outcome = &mut done.outcome;
        // A namespace that does not exist yet is waited for like a ServiceAccount.
        let missing = |row: &&Row| row.problem.as_ref().is_some_and(|problem| problem.reason == "NamespaceNotFound");
        let waiting = done.rows.iter().flatten().filter(missing);
        let waiting = waiting.map(|row| format!("namespace {} does not exist yet", row.name));
        outcome.notes.extend(waiting.take(NAMESPACES_NOTED));
        if let Some(message) = done.rows.as_deref().and_then(summary) {
            outcome.undone = Some(Failure::lasting("NamespacesFailed", message));
        }
        outcome.checksum = done.live.checksum();
        outcome.robot = target.and_then(|slot| self.robots[slot.index()].clone());
        outcome.proof = target.filter(|_| self.written == target).map(|_| self.proven);
        done.secret_outdated = secret_outdated;
        if let Some((not_leading, (failure, next))) = ended {
            done.stale = not_leading || (next == Outcome::Again && !outcome.published);
            outcome.interrupted = next == Outcome::Again;
            outcome.failure = failure;
            done.next = Some(next);
        } else if !self.observed.unreachable {
            let digests = self.robots.each_ref().map(|robot| robot.as_ref().map(robot_digest));
            done.slots = Some(slots_digest(digests));
        }
        self.done
    }
}
