//! The steps that call Harbor: make, change, delete a robot, give it a secret, and the login that proves a change.

use std::time::{Duration, Instant};

use super::super::restart::expected;
use super::{Run, Trouble};
use crate::api::RobotRecord;
use crate::controllers::index::robot_identity;
use crate::domain::mark;
use crate::domain::plan::{Plan, Purpose, Target};
use crate::domain::robot::{Lifetime, Robot};
use crate::domain::rotation;
use crate::domain::slots::Slot;
use crate::domain::update_right::SECOND_LOOK;
use crate::registry::{self, CreatedRobot, NewRobot};

impl Run<'_, '_> {
    pub(super) async fn create(&mut self, slot: Slot) -> Result<(), Trouble> {
        let desired = &self.pass.desired;
        let wish = NewRobot {
            home: desired.home.clone(),
            name: slot.name(&desired.base_name),
            description: desired.description(),
            lifetime: desired.lifetime,
            permissions: desired.permissions.clone(),
        };
        let CreatedRobot { id, name, secret, creation_time, expiration_time } = self.client()?.create(&wish).await?;
        let record =
            RobotRecord { id, name, creation_time, update_time: None, credential_checksum: None, expiration_time };
        self.robots[slot.index()] = Some(expected(&self.pass.desired, &record));
        self.created = Some(slot);
        let identity = robot_identity(id, creation_time);
        self.pass.ctx.index.update(self.pass.key, |entry| entry.see_mark(slot.index(), identity));
        self.secret = Some(secret);
        Ok(())
    }

    pub(super) async fn update(&mut self, target: Target, purpose: Purpose) -> Result<(), Trouble> {
        let desired = &self.pass.desired;
        let robot = self.robot(target)?;
        let as_is = robot.clone();
        let mut wish = match purpose {
            Purpose::Disable => Robot { disabled: true, ..as_is },
            Purpose::Retain => Robot { description: mark::write(&desired.text, &desired.identity, true), ..as_is },
            Purpose::Align | Purpose::Renew | Purpose::Adopt => Robot {
                description: desired.description(),
                lifetime: self.lifetime(robot, purpose),
                disabled: !desired.enabled,
                permissions: desired.permissions.clone(),
                ..as_is
            },
        };
        if wish.permissions.is_empty() {
            // Harbor refuses to write a robot without permissions, whatever else is changed.
            wish.permissions.clone_from(&desired.permissions);
        }
        if purpose == Purpose::Renew && wish == *robot && !robot.foreign_effect {
            // A robot that never expires and is as wished: a PUT would change nothing.
            return Ok(());
        }
        let (id, slot) = (robot.id, self.slot_of(target));
        let result = self.client()?.update(&wish).await;
        self.after_update(result)?;
        self.written = slot;
        self.read_again(slot, id).await?;
        // Whoever is shown the opposite of what was just written would only write it again, and again.
        let shown = slot.and_then(|slot| self.robots[slot.index()].as_ref());
        if shown.is_some_and(|robot| robot.disabled != wish.disabled) { Err(Trouble::Stale) } else { Ok(()) }
    }

    /// Harbor counts days from creation, so a whole lifetime from now on is the wish plus the robot's age.
    fn lifetime(&self, robot: &Robot, purpose: Purpose) -> Lifetime {
        let wanted = self.pass.desired.lifetime;
        if purpose == Purpose::Align && !self.observed.lifetime_differs(&self.pass.desired, robot) {
            return robot.lifetime;
        }
        rotation::lifetime_from_now(wanted, robot.creation_time, self.observed.now)
    }

    /// Learns from the answer to PUT or PATCH whether the login may send them. Much follows from a refusal (with
    /// `disabled` a robot is deleted instead), so it has to come twice, in the words that Harbor has for this.
    fn after_update<T>(&self, result: Result<T, registry::Error>) -> Result<T, Trouble> {
        let registry = &self.pass.registry;
        let place = registry.place(&self.pass.desired.home);
        match result {
            Ok(answer) => {
                registry.session.capabilities.updates().accepted(place);
                Ok(answer)
            }
            Err(registry::Error::Forbidden { needs, message }) if registry.says_no(&message) => {
                // What a robot may do changes with its permissions only, which are compared: it is asked again at once.
                let robot = registry.is_robot();
                let apart = if robot { Duration::ZERO } else { SECOND_LOOK };
                let believed = registry.session.capabilities.updates().refused(place, Instant::now(), apart);
                if believed {
                    tracing::info!(registry = %self.pass.registry.key, "the login may not update robots");
                }
                if believed || robot {
                    return Err(Trouble::Learned);
                }
                Err(registry::Error::Forbidden { needs, message }.into())
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

    pub(super) async fn delete(&mut self, slot: Slot) -> Result<(), Trouble> {
        let Some(robot) = self.robots[slot.index()].clone() else { return Ok(()) };
        let client = self.client()?;
        match client.delete(robot.id).await {
            Ok(()) => {}
            Err(registry::Error::Undeletable) => {
                // Harbor deletes only robots that have a permission.
                match self.update(Target::Seen(slot), Purpose::Disable).await {
                    Err(Trouble::Learned) if !self.pass.registry.may_update(&self.pass.desired.home) => {
                        return Err(registry::Error::Undeletable.into());
                    }
                    given => given?,
                }
                client.delete(robot.id).await?;
            }
            Err(error) => return Err(error.into()),
        }
        self.robots[slot.index()] = None;
        Ok(())
    }

    /// Gives a robot a new secret: the password of the account's own, or one that Harbor draws.
    pub(super) async fn refresh(&mut self, target: Target) -> Result<(), Trouble> {
        let (id, slot) = (self.robot(target)?.id, self.slot_of(target));
        let result = self.client()?.refresh(id, self.gathered.own_password.clone()).await;
        self.secret = Some(self.after_update(result)?);
        self.written = slot;
        Ok(())
    }

    /// After PUT or PATCH on the published robot: its state is ours only if a login still works, since two writers at
    /// once lose one another's change while both are answered 200.
    pub(super) async fn confirm(&mut self, plan: &Plan) -> Result<(), Trouble> {
        let Some(slot) = self.written else { return Ok(()) };
        if plan.current.and_then(|target| self.slot_of(target)) != Some(slot) || self.observed.deleting {
            return Ok(());
        }
        let Some(id) = self.robots[slot.index()].as_ref().map(|robot| robot.id) else { return Ok(()) };
        self.read_again(Some(slot), id).await?;
        let Some(robot) = self.robots[slot.index()].as_ref() else { return Ok(()) };
        let Some(credential) = self.done.live.credential.as_ref().filter(|_| !robot.disabled) else { return Ok(()) };
        if !self.client()?.verify(&robot.name, &credential.secret).await? {
            return Err(Trouble::Stale);
        }
        self.proven = true;
        Ok(())
    }
}
