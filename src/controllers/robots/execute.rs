//! Carries out a plan, one step after the other. Nothing is decided here: an answer that changes the picture ends the
//! plan, and the next pass gathers again.

mod pull_secrets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::gather::Gathered;
use super::{Pass, outcome};
use crate::api::keys;
use crate::cluster::secret_form::Credential;
use crate::cluster::secrets::{self, Live};
use crate::cluster::{self, objects};
use crate::controllers::index::{robot_digest, slots_digest};
use crate::domain::mark;
use crate::domain::observed::RobotRef;
use crate::domain::plan::{Plan, Purpose, Step, Target};
use crate::domain::report::{self, Failure};
use crate::domain::robot::{Lifetime, Robot};
use crate::domain::rotation;
use crate::domain::situation::Observed;
use crate::domain::slots::Slot;
use crate::engine::Outcome;
use crate::registry::{self, Class, NewRobot, Registry, RobotUpdate};

/// A step starts only if the claim has this long left: the longest that its call can take.
const STEP_TIME: Duration = Duration::from_secs(10);
/// A call of unknown outcome may commit this much later (the slowest commit measured, 36 s, and the call itself).
pub const UNSETTLED: Duration = Duration::from_secs(46);

/// What executing came to.
pub(super) struct Done {
    pub(super) outcome: report::Outcome,
    /// The picture was stale: report nothing, and do what `next` says (by default gather again).
    pub(super) stale: bool,
    /// The finalizer is gone.
    pub(super) removed: bool,
    pub(super) live: Live,
    /// The digest of both slots afterwards; `None` if they are not known for sure.
    pub(super) slots: Option<u64>,
    /// What the queue should do because of a failure.
    pub(super) next: Option<Outcome>,
    /// When to look again for a reason that is not in status.
    pub(super) wake: Option<Instant>,
}

enum Trouble {
    Kube(cluster::Error),
    Registry(registry::Error),
    /// The claim ran out.
    NotLeading,
    /// The picture changed under the plan.
    Stale,
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
    observed: &'r Observed<'r>,
    client: Option<Arc<dyn Registry>>,
    /// Both slots as they are by now.
    robots: [Option<Robot>; 2],
    created: Option<Slot>,
    /// The secret of a robot that was made or refreshed in this plan.
    secret: Option<SecretString>,
    live: Live,
    published: bool,
    /// A PUT or PATCH went out to this slot, so Harbor's update time moved.
    written: Option<Slot>,
    /// The login that proves what was written has worked.
    proven: bool,
    removed: bool,
    notes: Vec<String>,
    undone: Option<Failure>,
    wake: Option<Instant>,
}

impl Pass<'_> {
    pub(super) async fn execute(&mut self, gathered: &Gathered, observed: &Observed<'_>, plan: &Plan) -> Done {
        let mut run = Run {
            client: gathered.client.clone(),
            robots: gathered.robots.clone(),
            live: gathered.live.clone(),
            gathered,
            observed,
            created: None,
            secret: None,
            published: false,
            written: None,
            proven: false,
            removed: false,
            notes: Vec::new(),
            undone: None,
            wake: None,
            pass: self,
        };
        let result = run.all(plan).await;
        run.finish(plan, result)
    }
}

impl Run<'_, '_> {
    async fn all(&mut self, plan: &Plan) -> Result<(), Trouble> {
        for step in &plan.steps {
            let claim = &self.pass.ctx.claim;
            if !claim.holds_for(STEP_TIME) && !claim.hold_for(STEP_TIME).await {
                return Err(Trouble::NotLeading);
            }
            let result = self.step(*step).await;
            let label = match &result {
                Ok(()) => "ok",
                Err(Trouble::Kube(error)) => error.reason(),
                Err(Trouble::Registry(error)) => error.reason(),
                Err(Trouble::NotLeading) => "NotLeading",
                Err(Trouble::Stale) => "Conflict",
            };
            self.pass.ctx.metrics.step(step.name(), label);
            result?;
        }
        if self.removed {
            return Ok(());
        }
        self.confirm(plan).await?;
        if plan.blocker.is_none() && !self.observed.deleting && !self.live.is_absent() {
            self.service_accounts(&self.pass.desired.service_accounts.clone()).await?;
        }
        Ok(())
    }

    fn client(&self) -> Result<Arc<dyn Registry>, Trouble> {
        self.client.clone().ok_or(Trouble::Stale)
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
        let ctx = Arc::clone(self.pass.ctx);
        let namespace = Arc::clone(&self.pass.key.namespace);
        let hosts = self.gathered.hosts.clone();
        match step {
            Step::AddFinalizer => {
                let api = objects::robot_accounts(&ctx.client, &namespace);
                ctx.metrics.kube_write("finalizer");
                let meta = objects::add_finalizer(&api, &self.pass.account, keys::FINALIZER_ROBOT).await?;
                self.pass.account.metadata = meta;
            }
            Step::Create(slot) => self.create(slot).await?,
            Step::Update(target, purpose) => self.update(target, purpose).await?,
            Step::Refresh(target) => {
                let (id, slot) = (self.robot(target)?.id, self.slot_of(target));
                let result = self.client()?.refresh(id, None).await;
                self.secret = Some(self.after_update(result)?);
                self.written = slot;
            }
            Step::Delete(slot, _) => self.delete(slot).await?,
            Step::Fence => {
                ctx.metrics.kube_write("secret");
                let form = self.pass.form(&self.gathered.owner, &hosts);
                self.live = secrets::fence(&ctx.client, &namespace, &self.live, &form).await?;
            }
            Step::Publish(target) => self.publish(target).await?,
            Step::Reform => {
                ctx.metrics.kube_write("secret");
                let named = self.live.credential.as_ref().map(|credential| credential.robot.clone());
                let robot =
                    self.robots.iter().flatten().find(|robot| named.as_ref().is_some_and(|named| named.is(robot)));
                let Some(robot) = robot else { return Err(Trouble::Stale) };
                let form = self.pass.form(&self.gathered.owner, &hosts);
                self.live = secrets::reform(&ctx.client, &namespace, &self.live, &form, robot).await?;
            }
            Step::DeleteSecret => {
                self.service_accounts(&[]).await?;
                ctx.metrics.kube_write("secret");
                self.live = secrets::delete(&ctx.client, &namespace, &self.live).await?;
            }
            Step::ReleaseSecret => {
                ctx.metrics.kube_write("secret");
                let form = self.pass.form(&self.gathered.owner, &hosts);
                self.live = secrets::release(&ctx.client, &namespace, &self.live, &form).await?;
            }
            Step::RemoveFinalizer => self.remove_finalizer().await?,
        }
        Ok(())
    }

    async fn create(&mut self, slot: Slot) -> Result<(), Trouble> {
        let desired = &self.pass.desired;
        let wish = NewRobot {
            home: desired.home.clone(),
            name: slot.name(&desired.base_name),
            description: desired.description(),
            lifetime: desired.lifetime,
            permissions: desired.permissions.clone(),
        };
        let created = self.client()?.create(&wish).await?;
        self.robots[slot.index()] = Some(Robot {
            id: created.id,
            name: created.name,
            description: wish.description,
            home: wish.home,
            lifetime: wish.lifetime,
            expires_at: created.expires_at,
            editable: true,
            disabled: false,
            permissions: wish.permissions,
            foreign_effect: false,
            created_at: created.created_at,
            updated_at: created.created_at,
        });
        self.created = Some(slot);
        self.secret = Some(created.secret);
        Ok(())
    }

    async fn update(&mut self, target: Target, purpose: Purpose) -> Result<(), Trouble> {
        let desired = &self.pass.desired;
        let robot = self.robot(target)?;
        let as_is = RobotUpdate {
            home: robot.home.clone(),
            name: robot.name.clone(),
            description: robot.description.clone(),
            lifetime: robot.lifetime,
            disabled: robot.disabled,
            permissions: robot.permissions.clone(),
        };
        let wish = match purpose {
            Purpose::Disable => RobotUpdate { disabled: true, ..as_is },
            Purpose::Retain => {
                RobotUpdate { description: mark::write(&desired.text, &desired.identity, true), ..as_is }
            }
            Purpose::Align | Purpose::Renew | Purpose::Adopt => RobotUpdate {
                description: desired.description(),
                lifetime: self.lifetime(robot, purpose),
                disabled: !desired.enabled,
                permissions: desired.permissions.clone(),
                ..as_is
            },
        };
        let wish = if wish.permissions.is_empty() {
            // Harbor refuses to write a robot without permissions, whatever else is changed.
            RobotUpdate { permissions: desired.permissions.clone(), ..wish }
        } else {
            wish
        };
        let (id, slot) = (robot.id, self.slot_of(target));
        let result = self.client()?.update(id, &wish).await;
        self.after_update(result)?;
        self.written = slot;
        self.read_again(slot, id).await
    }

    /// Harbor counts days from creation, so a whole lifetime from now on is the wish plus the robot's age.
    fn lifetime(&self, robot: &Robot, purpose: Purpose) -> Lifetime {
        let wanted = self.pass.desired.lifetime;
        if purpose == Purpose::Align && !self.observed.lifetime_differs(&self.pass.desired, robot) {
            return robot.lifetime;
        }
        rotation::lifetime_from_now(wanted, robot.created_at, self.observed.now)
    }

    /// Learns from the answer to PUT or PATCH whether the login may send them.
    fn after_update<T>(&self, result: Result<T, registry::Error>) -> Result<T, Trouble> {
        let (learned, home) = (&self.pass.registry.learned, &self.pass.desired.home);
        match result {
            Ok(answer) => {
                learned.set_may_update(home, true);
                Ok(answer)
            }
            Err(registry::Error::Forbidden { .. }) => {
                tracing::info!(registry = %self.pass.registry_name, "the login may not update robots");
                learned.set_may_update(home, false);
                Err(Trouble::Stale)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn read_again(&mut self, slot: Option<Slot>, id: i64) -> Result<(), Trouble> {
        let robot = self.client()?.get(id).await?.ok_or(Trouble::Stale)?;
        if let Some(slot) = slot {
            self.robots[slot.index()] = Some(robot);
        }
        Ok(())
    }

    async fn delete(&mut self, slot: Slot) -> Result<(), Trouble> {
        let Some(robot) = self.robots[slot.index()].clone() else { return Ok(()) };
        let client = self.client()?;
        match client.delete(robot.id).await {
            Ok(()) => {}
            Err(registry::Error::Undeletable) => {
                // Harbor deletes only robots that have a permission.
                self.update(Target::Seen(slot), Purpose::Disable).await?;
                client.delete(robot.id).await?;
            }
            Err(error) => return Err(error.into()),
        }
        self.robots[slot.index()] = None;
        Ok(())
    }

    async fn publish(&mut self, target: Target) -> Result<(), Trouble> {
        let ctx = self.pass.ctx;
        let robot = self.robot(target)?.clone();
        let secret = self.secret.clone().ok_or(Trouble::Stale)?;
        let credential = Credential {
            robot: RobotRef { id: robot.id, created_at: robot.created_at, name: robot.name },
            expires_at: robot.expires_at,
            secret,
        };
        let hosts = self.gathered.hosts.clone();
        let form = self.pass.form(&self.gathered.owner, &hosts);
        let tokens = &self.pass.desired.tokens;
        ctx.metrics.kube_write("secret");
        self.live =
            secrets::publish(&ctx.client, &self.pass.key.namespace, &self.live, &form, &credential, tokens).await?;
        self.published = true;
        let version = self.live.version();
        ctx.index.update(self.pass.key, |entry| entry.secret = version);
        Ok(())
    }

    /// After PUT or PATCH on the published robot: its state is ours only if a login still works, since two writers at
    /// once lose one another's change while both are answered 200.
    async fn confirm(&mut self, plan: &Plan) -> Result<(), Trouble> {
        let Some(slot) = self.written else { return Ok(()) };
        if plan.current.and_then(|target| self.slot_of(target)) != Some(slot) || self.observed.deleting {
            return Ok(());
        }
        let Some(id) = self.robots[slot.index()].as_ref().map(|robot| robot.id) else { return Ok(()) };
        self.read_again(Some(slot), id).await?;
        let Some(robot) = self.robots[slot.index()].as_ref() else { return Ok(()) };
        let Some(credential) = self.live.credential.as_ref().filter(|_| !robot.disabled) else { return Ok(()) };
        if !self.client()?.verify(&robot.name, &credential.secret).await? {
            return Err(Trouble::Stale);
        }
        self.proven = true;
        Ok(())
    }

    async fn remove_finalizer(&mut self) -> Result<(), Trouble> {
        let ctx = Arc::clone(self.pass.ctx);
        if !self.pass.desired.retain {
            self.service_accounts(&[]).await?;
        }
        if self.observed.abandoned {
            let text = "Harbor could not be asked for 10 minutes while the namespace is being deleted: the robot, if it \
                        still exists, has to be deleted in Harbor by hand";
            tracing::warn!(account = %self.pass.key, "{text}");
            self.pass.event(true, "RobotAbandoned", text.to_owned());
            ctx.metrics.abandoned();
        }
        let api = objects::robot_accounts(&ctx.client, &self.pass.key.namespace);
        ctx.metrics.kube_write("finalizer");
        objects::remove_finalizer(&api, &self.pass.account, keys::FINALIZER_ROBOT).await?;
        self.removed = true;
        Ok(())
    }

    fn finish(self, plan: &Plan, result: Result<(), Trouble>) -> Done {
        let ctx = self.pass.ctx;
        let target = plan.current.and_then(|target| self.slot_of(target));
        let robot = target.and_then(|slot| self.robots[slot.index()].clone());
        let known = !self.observed.unreachable;
        let mut done = Done {
            slots: known.then(|| slots_digest(self.robots.each_ref().map(|robot| robot.as_ref().map(robot_digest)))),
            outcome: report::Outcome {
                robot,
                published: self.published,
                unproven: target.is_some() && self.written == target && !self.proven,
                interrupted: false,
                failure: None,
                notes: self.notes,
                undone: self.undone,
            },
            stale: false,
            removed: self.removed,
            live: self.live,
            next: None,
            wake: self.wake,
        };
        let Err(trouble) = result else { return done };
        let (failure, next) = match trouble {
            Trouble::Stale | Trouble::NotLeading => (None, Outcome::Again),
            Trouble::Kube(error) => {
                let permanent = error.class() == Class::UserFix;
                let failure = Failure { reason: error.reason(), message: error.to_string(), permanent };
                (Some(failure), outcome::of_kube(&error))
            }
            Trouble::Registry(error) => {
                if self.observed.deleting && self.pass.desired.retain {
                    ctx.index.update(self.pass.key, |entry| entry.gave_up = true);
                }
                if error.class() == Class::Unknown {
                    ctx.index.update(self.pass.key, |entry| entry.unsettled_until = Some(Instant::now() + UNSETTLED));
                }
                let url = &self.pass.registry.object.spec.url;
                let next = outcome::of_registry(ctx, &self.pass.registry_name, &self.pass.desired.home, &error);
                // A picture that was stale twice in a row is a fact that somebody should hear of.
                let next = match next {
                    Outcome::Again if self.pass.again => Outcome::Failed { not_before: None },
                    next => next,
                };
                (Some(outcome::failure(url, &self.pass.registry_name, &error)), next)
            }
        };
        done.slots = None;
        // A first 401 is looked into before anything is said.
        let doubtful = failure.as_ref().is_some_and(|failure| failure.reason == registry::Error::Unauthorized.reason());
        done.stale = (next == Outcome::Again || doubtful) && !self.published;
        done.outcome.interrupted = next == Outcome::Again;
        done.outcome.failure = failure;
        done.next = Some(next);
        done
    }
}
