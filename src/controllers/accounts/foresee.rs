//! A pass up to its plan: what the next one would do, for people who want to know before. It reads what every pass reads.

use std::sync::Arc;
use std::time::Duration;

use super::gather::Stop;
use super::pass::Planned;
use super::prepare::{self, Unserved};
use super::{Pass, errors};
use crate::api::{Account, Delay, ObjectName, RegistryKey, RegistryTime};
use crate::cluster::objects::Version;
use crate::controllers::Context;
use crate::domain::desired::Desired;
use crate::domain::plan::{Blocker, Plan};
use crate::domain::report::{self, Failure};
use crate::domain::robot::{Home, Robot};
use crate::domain::secret_entries::SecretEntry;
use crate::engine::Cause;
use crate::registry;

/// What the next pass over an account would do.
#[derive(Debug)]
pub struct Foreseen {
    /// The registry that it uses.
    pub registry: RegistryKey,
    /// What it wants.
    pub desired: Desired,
    /// The robots in its two slots as Harbor has them.
    pub robots: [Option<Robot>; 2],
    /// The text that Harbor puts before the names of robots, where that is known.
    pub name_prefix: Option<String>,
    /// The steps.
    pub plan: Plan,
    /// Where its first Secret is.
    pub secret_namespace: ObjectName,
    /// There is no Secret of that name.
    pub secret_is_absent: bool,
    /// The namespaces that copies of it go to.
    pub copies: Vec<ObjectName>,
    /// The entries in ServiceAccounts that are on record in the Secret.
    pub entries: Vec<SecretEntry>,
    /// What stands in the way, or is left out.
    pub hindrance: Option<Failure>,
    /// It, or its registry, is suspended: nothing of the plan is done until that ends.
    pub suspended: bool,
    /// What is not granted any more is taken away so long after.
    pub revocation_delay: Duration,
    /// Harbor's time.
    pub now: RegistryTime,
}

/// Looks at an account as a pass does, and plans.
///
/// # Errors
/// Why a pass would end before it has a plan.
pub async fn foresee(ctx: &Arc<Context>, account: Account) -> Result<Foreseen, Failure> {
    let key = ctx.index.key_of(&account.metadata);
    let key = key.ok_or_else(|| Failure::lasting("InvalidSpec", "metadata.name is no name of an object"))?;
    let elsewhere = || Failure::lasting("RegistryNotFound", "another operator serves the registry of this account");
    let prepared = prepare::registry_and_wish(ctx, &key, &account, Version::NONE).await;
    let (registry, desired) = prepared.map_err(|unserved| match unserved {
        Unserved::Failure(failure) => failure,
        Unserved::Ended(_) => elsewhere(),
    })?;
    let begun = prepare::begin(ctx, &key, account, registry, desired, (Cause::Change, false));
    let mut pass = begun.map_err(|_| elsewhere())?;
    let revocation_delay = pass.registry.grant_revocation_delay();
    pass.see_past_the_delay();
    let planned = Box::pin(pass.look_ahead()).await.map_err(|stop| pass.why(stop))?;
    Ok(pass.foreseen(planned, revocation_delay))
}

impl Pass<'_> {
    /// What is not granted any more is left alone for a while; what comes then is what people want to know.
    fn see_past_the_delay(&mut self) {
        let mut registry = (*self.registry).clone();
        let mut object = (*registry.object).clone();
        object.spec.grant_revocation_delay = Some(Delay("0s".to_owned()));
        registry.object = Arc::new(object);
        self.registry = Arc::new(registry);
    }

    async fn look_ahead(&mut self) -> Result<Planned, Stop> {
        let deleting = self.is_deleting();
        if deleting && self.registry.trouble_for(true).is_none() && self.exceeds_grants() {
            self.desired.retain = false;
        }
        if let Some(failure) = self.comes_too_late() {
            return Err(Stop::Wish { failure, lost: false });
        }
        if !deleting {
            let found = self.find_projects().await?;
            self.leave_out(found);
        }
        if let Some(stop) = self.keeps_the_login().await {
            return Err(stop);
        }
        let edited = self.is_edited(&self.account.status.clone().unwrap_or_default());
        let planned = self.gather_and_plan(edited, false).await?;
        self.finds_its_project(&planned).await?;
        self.would_do_a_part(&planned).map_or(Ok(planned), Err)
    }

    /// A pass finds out by trying, which is no way to look ahead.
    async fn finds_its_project(&self, planned: &Planned) -> Result<(), Stop> {
        let (Home::Project(name), Some(client)) = (&self.desired.home, &planned.gathered.client) else { return Ok(()) };
        if !planned.plan.grants() || client.project_exists(name).await.map_err(Stop::Registry)? {
            return Ok(());
        }
        Err(Stop::Registry(registry::Error::ProjectNotFound(name.clone())))
    }

    /// In the words of the status; of a registry in trouble in those of its own, which whoever looks ahead may read.
    fn why(&self, stop: Stop) -> Failure {
        let passing = |reason, message| Failure { reason, message, permanent: false };
        match stop {
            Stop::Ending | Stop::Wait => passing("RegistryNotReady", "the registry was not asked yet".to_owned()),
            Stop::Kube(error) => passing(error.reason(), error.to_string()),
            Stop::Registry(error) => {
                errors::failure(&self.registry, &self.desired.home, &self.desired.permissions, &error)
            }
            Stop::Trouble(trouble) => {
                Failure { reason: trouble.reason, message: trouble.message, permanent: trouble.permanent }
            }
            Stop::Home(failure) | Stop::Needed(failure) | Stop::NotTakenUp(failure) | Stop::Wish { failure, .. } => {
                failure
            }
        }
    }

    fn foreseen(self, planned: Planned, revocation_delay: Duration) -> Foreseen {
        let (status, outcome) = (self.account.status.clone().unwrap_or_default(), report::Outcome::default());
        let facts = self.facts(&planned, &status, &outcome, None);
        let now = facts.now;
        let password = || planned.gathered.password_problem.clone();
        // What is not granted is not looked for, so that is all there is to tell.
        let left_out = || self.unknown.clone().filter(|_| planned.plan.blocker != Some(Blocker::NotPermitted));
        let hindrance = report::hindrance(&facts).or_else(password).or_else(left_out);
        let copies = self.copies_wanted.iter().flatten().map(|(name, _)| name);
        Foreseen {
            registry: self.registry.key.clone(),
            name_prefix: planned.gathered.client.as_ref().and_then(|client| client.name_prefix()),
            secret_is_absent: planned.gathered.live.is_absent(),
            copies: copies.filter(|name| **name != self.secret_namespace).cloned().collect(),
            entries: planned.gathered.live.entries(),
            suspended: !self.is_deleting() && self.is_suspended(),
            revocation_delay,
            robots: planned.gathered.observed.robots,
            plan: planned.plan,
            secret_namespace: self.secret_namespace,
            desired: self.desired,
            hindrance,
            now,
        }
    }
}
