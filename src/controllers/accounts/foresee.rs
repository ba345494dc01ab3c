//! A pass up to its plan: what the next one would do, for people who want to know before. It reads what every pass reads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::gather::Stop;
use super::pass::Planned;
use super::prepare::{self, Unserved};
use super::{Pass, errors, wish};
use crate::api::{Account, ObjectName, RegistryKey, RegistryTime};
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
    /// It was made for this account.
    pub secret_is_ours: bool,
    /// The namespaces that copies of it go to; false: there is none of that name yet.
    pub copies: Vec<(ObjectName, bool)>,
    /// The entries in ServiceAccounts that are on record in the Secret.
    pub entries: Vec<SecretEntry>,
    /// What stands in the way, or is left out.
    pub hindrance: Option<Failure>,
    /// What is not granted any more is taken away so long after.
    pub revocation_delay: Duration,
    /// Harbor's time.
    pub now: RegistryTime,
}

/// The reason where nothing is done, since somebody asked for that.
pub const SUSPENDED: &str = "Suspended";

/// Looks at an account as a pass does, and plans.
///
/// # Errors
/// Why a pass would end before it has a plan; [`SUSPENDED`] is no fault.
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
    pass.looks_ahead = true;
    let planned = Box::pin(pass.look_ahead()).await.map_err(|stop| pass.why(stop))?;
    Ok(pass.foreseen(planned))
}

impl Pass<'_> {
    async fn look_ahead(&mut self) -> Result<Planned, Stop> {
        let deleting = self.is_deleting();
        if !deleting && self.is_suspended() {
            let failure = Failure::lasting(SUSPENDED, "nothing is done while it, or its registry, is suspended");
            return Err(Stop::Wish { failure, lost: false });
        }
        if deleting && self.registry.trouble_for(true).is_none() && self.exceeds_grants() {
            self.desired.retain = false;
        }
        if let Some(failure) = self.comes_too_late() {
            return Err(Stop::Wish { failure, lost: false });
        }
        if !deleting {
            self.look_for_projects().await?;
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

    /// Which of the projects that a system account names are not there a pass learns from a refusal.
    async fn look_for_projects(&self) -> Result<(), Stop> {
        let Some(client) = self.registry.session.client.as_ref().filter(|_| self.registry.trouble.is_none()) else {
            return Ok(());
        };
        let named: BTreeSet<&str> = wish::selected(&self.account.spec).collect();
        for project in named {
            if !client.project_exists(project).await.map_err(Stop::Registry)? {
                self.registry.session.capabilities.set_project_missing(project, self.key);
            }
        }
        Ok(())
    }

    /// And so whether the account's own project is there.
    async fn finds_its_project(&self, planned: &Planned) -> Result<(), Stop> {
        let (Home::Project(name), Some(client)) = (&self.desired.home, &planned.gathered.client) else { return Ok(()) };
        if !planned.plan.grants() || client.project_exists(name).await.map_err(Stop::Registry)? {
            return Ok(());
        }
        Err(Stop::Registry(registry::Error::ProjectNotFound(name.clone())))
    }

    /// What Harbor would refuse, as far as the login knows.
    fn refused_by_harbor(&self, plan: &Plan) -> Option<Failure> {
        let session = &self.registry.session;
        let lacks = session.login_robot.as_ref().is_some_and(|own| !own.lacks(&self.desired.permissions).is_empty());
        let error = if session.info.as_ref().is_some_and(|info| info.read_only) && plan.changes_robots() {
            registry::Error::ReadOnly
        } else if lacks && plan.grants() {
            registry::Error::ScopeExceeded(String::new())
        } else {
            return None;
        };
        Some(errors::failure(&self.registry, &self.desired.home, &self.desired.permissions, &error))
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

    fn foreseen(self, planned: Planned) -> Foreseen {
        let (status, outcome) = (self.account.status.clone().unwrap_or_default(), report::Outcome::default());
        let facts = self.facts(&planned, &status, &outcome, None);
        let now = facts.now;
        let password = || planned.gathered.password_problem.clone();
        // What is not granted is not looked for, so that is all there is to tell.
        let left_out = || self.unknown.clone().filter(|_| planned.plan.blocker != Some(Blocker::NotPermitted));
        let refused = || self.refused_by_harbor(&planned.plan);
        let hindrance = report::hindrance(&facts).or_else(password).or_else(left_out).or_else(refused);
        let copies = self.copies_wanted.iter().flatten().map(|(name, found)| (name.clone(), found.is_some()));
        Foreseen {
            registry: self.registry.key.clone(),
            name_prefix: planned.gathered.client.as_ref().and_then(|client| client.name_prefix()),
            secret_is_absent: planned.gathered.live.is_absent(),
            secret_is_ours: planned.gathered.live.is_ours(),
            copies: copies.filter(|(name, _)| *name != self.secret_namespace).collect(),
            entries: planned.gathered.live.entries(),
            revocation_delay: self.registry.grant_revocation_delay(),
            robots: planned.gathered.observed.robots,
            plan: planned.plan,
            secret_namespace: self.secret_namespace,
            desired: self.desired,
            hindrance,
            now,
        }
    }
}
