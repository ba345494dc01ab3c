//! A system account whose Secret its registry logs in with: the operator's own login, renewed like any other credential, by the
//! login that it replaces. What would leave the operator without a login is not done.

use super::Pass;
use super::gather::Stop;
use crate::cluster;
use crate::controllers::WaitFor;
use crate::controllers::index::Entry;
use crate::controllers::registries::in_use;
use crate::deadline;
use crate::domain::desired::KeyContent;
use crate::domain::permissions::Access;
use crate::domain::plan::Strategy;
use crate::domain::report::Failure;
use crate::domain::robot::Scope;
use crate::engine::Outcome;

/// What a login of the system needs to make the one that follows it, to find it, and to end itself (docs/logins.md).
const RENEWS_ITSELF: [(&str, &str); 3] = [("robot", "create"), ("robot", "delete"), ("robot", "list")];

impl Pass<'_> {
    /// True if the registry logs in with what this account publishes, or is to. Whoever has just named another Secret in
    /// `spec.auth` may have mistyped it: then the operator goes on with the login in memory. An account that has published
    /// nothing yet may name a Secret that is somebody else's.
    pub(super) fn is_own_login(&self) -> bool {
        let Some(status) = self.account.status.as_ref().filter(|_| self.key.is_system()) else { return false };
        let (robot, previous) = (status.robot.as_ref(), status.previous.as_ref());
        let mut names = robot.map(|robot| &robot.name).into_iter().chain(previous.map(|robot| &robot.name));
        let is_named = robot.is_some() && self.registry.login_secret() == &*self.desired.secret.name;
        is_named || names.any(|name| *name == self.registry.session.login_name)
    }

    /// Why nothing is done for the account now, if it is the operator's own login.
    pub(super) async fn keeps_the_login(&self) -> Option<Stop> {
        if !self.is_own_login() {
            return None;
        }
        if self.is_deleting() {
            return self.is_needed().await.map_or_else(|error| Some(error.into()), |needed| needed.map(Stop::Needed));
        }
        let locks_out = self.locks_out().map(|failure| Stop::Wish { failure, lost: false });
        locks_out.or_else(|| self.is_not_taken_up().map(Stop::NotTakenUp))
    }

    /// Why the account may not become what its spec asks for.
    fn locks_out(&self) -> Option<Failure> {
        let mut wrong = Vec::new();
        let held = self.desired.permissions.get(&Scope::System);
        let lacks = RENEWS_ITSELF.map(|(resource, action)| Access::new(resource, action)).into_iter();
        let lacks: Vec<String> =
            lacks.filter(|pair| held.is_none_or(|held| !held.contains(pair))).map(|pair| pair.to_string()).collect();
        if !lacks.is_empty() {
            wrong.push(format!("add {} to spec.systemAccess", lacks.join(", ")));
        }
        let keys = &self.desired.secret.keys;
        let holds = |key: &str, content| keys.get(key) == Some(&content);
        if !(holds("username", KeyContent::Username) && holds("password", KeyContent::Password)) {
            wrong.push("keep the keys username and password in spec.secret.keys".to_owned());
        }
        if !self.desired.enabled {
            wrong.push("take spec.disabled away".to_owned());
        }
        if self.desired.strategy == Strategy::InPlace {
            wrong.push(
                "leave spec.rotation.strategy at Overlap, since no robot updates a robot of the system".to_owned(),
            );
        }
        if self.account.password_secret_ref().is_some() {
            wrong.push("take spec.passwordSecretRef away, since only a person's login sets passwords".to_owned());
        }
        (!wrong.is_empty()).then(|| {
            let message = format!(
                "registry {} logs in with the Secret of this account, and could not renew that login any more: {}; or give \
                 spec.auth of the registry another login first",
                self.registry.key,
                wrong.join("; ")
            );
            Failure::lasting("LoginCannotRenewItself", message)
        })
    }

    /// Why the account may not change anything yet: the operator itself still logs in with the robot that it has replaced.
    fn is_not_taken_up(&self) -> Option<Failure> {
        let previous = self.account.status.as_ref()?.previous.as_ref()?;
        (previous.name == self.registry.session.login_name).then(|| {
            let (registry, previous) = (&self.registry.key, &previous.name);
            let message = format!(
                "registry {registry} still logs in as {previous}, which was replaced; nothing is changed until it logs in with \
                 what is published"
            );
            Failure { reason: "RegistryNotReady", message, permanent: false }
        })
    }

    /// Why the account may not go yet: others end their robots by the login that it publishes.
    async fn is_needed(&self) -> Result<Option<Failure>, cluster::Error> {
        if self.desired.retain {
            return Ok(None);
        }
        let (ctx, registry) = (self.ctx, &self.registry.key);
        let needs = |key: &_, entry: &Entry| entry.registry == *registry && entry.may_have_robots && key != self.key;
        let one = match ctx.index.find(needs) {
            Some(key) => Some(key.to_string()),
            // At a start accounts become known one after the other.
            None => in_use(ctx, registry, Some(&self.account)).await?.then(|| "another account".to_owned()),
        };
        Ok(one.map(|one| {
            let message = format!(
                "registry {registry} logs in with the Secret of this account, and {one} has a robot that is ended by that login; \
                 delete the registry's other accounts, or give its spec.auth another login"
            );
            Failure::lasting("LoginInUse", message)
        }))
    }

    /// Looks again when an account of the registry has gone.
    pub(super) fn until_others_go(&self) -> Outcome {
        let poll = self.registry.poll_interval(&self.ctx.settings);
        WaitFor::Others(&self.registry.key).until(Some(deadline::from_now(poll)))
    }
}
