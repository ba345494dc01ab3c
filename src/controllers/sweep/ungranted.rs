//! Project robots that hold more than the grants give their namespace, whatever their account and its status say: one that was
//! retained, one whose account was forced away or is suspended, one whose status was forged. They end after
//! `grantRevocationDelay`.
//!
//! The account's own pass does the same, sooner, and tells the account. This goes by nothing but the mark, the robot as
//! Harbor shows it, and the grants.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::registries::{self, ServedRegistry};
use super::super::{Context, Key};
use super::orphans;
use crate::api::{ObjectName, RegistryKind, RegistryTime};
use crate::domain::digest;
use crate::domain::grants::{self, Origin};
use crate::domain::mark::{self, Mark};
use crate::domain::robot::{Home, Robot};
use crate::registry::harbor::short_name;
use crate::registry::{Class, Error, Owner, harbor};

/// The grants that a registry's sweep holds robots to.
pub(super) struct Fence<'a> {
    ctx: &'a Context,
    state: &'a ServedRegistry,
    /// All registry objects of the same Harbor: a mark does not say through which of them its robot was made.
    registries: Vec<Arc<ServedRegistry>>,
    now: RegistryTime,
}

impl<'a> Fence<'a> {
    /// `None` where no grants apply: a namespace's own login is its fence, and a registry's `suspend` stops everything.
    pub(super) fn of(ctx: &'a Context, state: &'a ServedRegistry) -> Option<Self> {
        let suspended = state.object.spec.suspend.unwrap_or_default();
        // Before the lists are through neither accounts nor the labels of namespaces are known.
        if state.is_tenants() || suspended || !ctx.index.is_listed() {
            return None;
        }
        let same = |other: &Arc<ServedRegistry>| {
            other.object.kind == RegistryKind::ClusterHarborRegistry && other.is_of_harbor(&state.object.spec.url)
        };
        let registries = ctx.registries.all().into_iter().filter(same).collect();
        Some(Self { ctx, state, registries, now: state.registry_now(ctx.now()) })
    }

    /// The account in the mark of a robot that holds more than is granted.
    pub(super) fn owner_beyond(&self, robot: &Robot, mark: &Mark<'_>) -> Option<Box<Owner>> {
        let owner = orphans::owner_here(self.ctx, mark)?;
        // Whoever may make a SystemRobotAccount may ask for all that the login has.
        let namespace = owner.namespace.clone()?;
        if self.covers(robot, &namespace) {
            return None;
        }
        let key = Key { namespace: Some(namespace), name: owner.name.clone() };
        let entry = self.ctx.index.get(&key).filter(|entry| entry.uid == digest(Some(owner.uid.to_string())));
        // An account of a namespace's own login on this same Harbor.
        let elsewhere = entry.is_some_and(|entry| entry.registry != self.state.key);
        (!elsewhere).then_some(owner)
    }

    fn covers(&self, robot: &Robot, namespace: &ObjectName) -> bool {
        let labels = self.ctx.index.labels(namespace);
        let origin = Origin { namespace, labels: labels.as_ref() };
        let grants = self.registries.iter().flat_map(|other| other.object.spec.grants.iter().flatten());
        grants::cover_robot(grants, origin, robot, self.now)
    }

    /// Ends those robots of a home (full name and owner) that were beyond the grants at each look for long enough.
    pub(super) async fn end(
        &self,
        client: &harbor::Client,
        home: &Arc<Home>,
        beyond: Vec<(Box<str>, Box<Owner>)>,
    ) -> Result<(), Error> {
        let key = |(robot, owner): &(Box<str>, Box<Owner>)| digest((robot, owner));
        let found: BTreeSet<u64> = beyond.iter().map(key).collect();
        let delay = self.state.grant_revocation_delay();
        let due = self.state.swept.ungranted.lasting(home, &found, delay, Instant::now());
        for (name, owner) in beyond.into_iter().filter(|robot| due.contains(&key(robot))) {
            match self.end_one(client, home, &name, &owner).await {
                Ok(()) => {}
                Err(error) if error.class() == Class::UserFix => {
                    tracing::warn!(registry = %self.state.key, robot = %name, %error, "a robot beyond the grants was not ended");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Looks once more, by name, mark and grants, and disables the robot, or deletes it where the login may not update.
    async fn end_one(&self, client: &harbor::Client, home: &Arc<Home>, name: &str, owner: &Owner) -> Result<(), Error> {
        let Some(short) = short_name(name, home, None) else { return Ok(()) };
        let found = client.find(home, &[short]).await?.into_iter().find(|robot| robot.name == name);
        let still = |robot: &Robot| {
            let beyond = mark::parse(&robot.description).and_then(|mark| self.owner_beyond(robot, &mark));
            beyond.is_some_and(|now| *now == *owner)
        };
        let Some(robot) = found.filter(still) else { return Ok(()) };
        let id = robot.id;
        let disabled = self.disable(client, home, robot).await?;
        if !disabled {
            client.delete(id).await?;
        }
        let what = if disabled { "disabled" } else { "deleted" };
        let namespace = owner.namespace.as_deref().unwrap_or_default();
        let text = format!("{name} of account {namespace}/{} held more than is granted, and was {what}", owner.name);
        registries::warn(self.ctx, &self.state.key, &self.state.object, "RobotNotPermitted", text);
        Ok(())
    }

    /// False if the login may not do that.
    async fn disable(&self, client: &harbor::Client, home: &Home, robot: Robot) -> Result<bool, Error> {
        // Harbor takes no PUT without permissions, not even to disable.
        if !self.state.may_update(home) || robot.permissions.is_empty() {
            return Ok(false);
        }
        match client.update(&Robot { disabled: true, ..robot }).await {
            Ok(()) => Ok(true),
            Err(error) if error.class() == Class::UserFix => Ok(false),
            Err(error) => Err(error),
        }
    }
}
