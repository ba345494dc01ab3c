//! What an account wants of this Harbor: the projects that its patterns find, without what Harbor does not know or does not
//! have. Permissions that it does not know are told before any call where a list says so, and learned from its refusal
//! otherwise. An account that has a credential goes on with the rest, so that an upgrade of Harbor never ends in an expired
//! login.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Pass, gather::Stop};
use crate::api::{Account, AccountSpec};
use crate::controllers::registries::{self, ServedRegistry};
use crate::controllers::{Context, Key};
use crate::domain::catalogue::{self, Version};
use crate::domain::desired::{self, Desired};
use crate::domain::projects;
use crate::domain::report::Failure;
use crate::domain::robot::{Home, Permissions, Scope};
use crate::engine::Cause;
use crate::registry::Error;

/// What the account wants, while Harbor has these projects.
pub(super) fn wish(
    ctx: &Context,
    account: &Account,
    registry: &ServedRegistry,
    existing: &BTreeSet<String>,
) -> Result<Desired, Failure> {
    let defaults = registry.object.spec.defaults.as_ref();
    desired::of_account(account, &ctx.settings.cluster_name, defaults, existing)
        .map_err(|error| Failure::lasting("InvalidSpec", error.to_string()))
}

/// True if the account's permissions depend on which projects there are.
pub(super) fn by_pattern(spec: &AccountSpec) -> bool {
    match spec {
        AccountSpec::Project(_) => false,
        AccountSpec::System(spec) => projects::depend_on_names(spec),
    }
}

/// The projects that a system account names itself.
pub(super) fn selected(spec: &AccountSpec) -> impl Iterator<Item = &str> {
    let projects = match spec {
        AccountSpec::Project(_) => None,
        AccountSpec::System(spec) => spec.projects.as_ref(),
    };
    projects.into_iter().flat_map(|projects| projects.selected.iter().flatten()).map(|entry| entry.project.as_str())
}

/// True if a system account names the project itself.
fn names(spec: &AccountSpec, project: &str) -> bool {
    selected(spec).any(|name| name == project)
}

impl Pass<'_> {
    /// Finds out which projects fit; what a person edited is looked up anew. False if that cannot be known now. An account
    /// that has a robot goes on with what was known last, so that nothing else about it waits.
    pub(super) async fn find_projects(&mut self) -> Result<bool, Stop> {
        if !by_pattern(&self.account.spec) {
            return Ok(true);
        }
        if self.registry.trouble.is_some() || self.registry.session.client.is_none() {
            return Ok(false);
        }
        let has_robot = self.account.status.as_ref().is_some_and(|status| status.robot.is_some());
        let known = self.registry.session.projects.clone().filter(|_| has_robot);
        let existing = match (self.list_projects().await, known) {
            (Ok(existing), _) => existing,
            (Err(Stop::Wish { failure, .. }), Some(known)) => {
                self.unknown = Some(failure);
                known
            }
            (Err(stop), _) => return Err(stop),
        };
        let wish = wish(self.ctx, &self.account, &self.registry, &existing);
        self.desired = wish.map_err(|failure| Stop::Wish { failure, lost: false })?;
        Ok(true)
    }

    async fn list_projects(&self) -> Result<Arc<BTreeSet<String>>, Stop> {
        if self.registry.session.login_robot.as_ref().is_some_and(|own| !own.lists_projects) {
            let message = format!(
                "{}: the registry's login sees only projects of its own, so patterns would not find the others; grant it \
                 project:list of the system",
                self.registry.object.spec.url
            );
            let failure = Failure::lasting("LoginCannotListProjects", message);
            return Err(Stop::Wish { failure, lost: false });
        }
        let age = if self.cause == Cause::Change {
            registries::FRESH
        } else {
            // Each poll lists anew and says when that changes something.
            self.registry.poll_interval(&self.ctx.settings).saturating_mul(2)
        };
        registries::projects(self.ctx, &self.registry.key, age).await.map_err(Stop::Registry)
    }
}

/// Takes projects out of the wish that do not exist. One that an account names itself is told; one that a pattern found and
/// that went since is not missed.
fn give_up_missing(
    desired: &mut Desired,
    account: &Key,
    spec: &AccountSpec,
    registry: &ServedRegistry,
) -> Option<Failure> {
    registry.session.capabilities.names_projects(account, |project| names(spec, project));
    let missing = registry.session.capabilities.missing_projects();
    if missing.is_empty() || desired.home != Home::System {
        return None;
    }
    let gone = |scope: &Scope| matches!(scope, Scope::Project(name) if missing.contains(name));
    desired.permissions.retain(|scope, _| !gone(scope));
    let named: Vec<&str> = selected(spec).filter(|name| missing.contains(*name)).collect();
    (!named.is_empty()).then(|| {
        let message = format!(
            "{}: {} in spec.projects.selected, but not in Harbor; create what is missing, and the account proceeds by itself",
            registry.object.spec.url,
            named.join(", ")
        );
        Failure::lasting("ProjectNotFound", message)
    })
}

impl Pass<'_> {
    /// Leaves out of the wish what this Harbor does not know or have. Of a system account nothing may be left.
    pub(super) fn leave_out(&mut self, projects_found: bool) {
        let missing = give_up_missing(&mut self.desired, self.key, &self.account.spec, &self.registry);
        // Another try would need the slot of a credential that is promised to pods for a while.
        let settled_on = self.account.status.as_ref().is_some_and(|status| status.previous.is_some());
        self.unknown = give_up(&mut self.desired, &self.registry, settled_on).or(missing).or(self.unknown.take());
        if projects_found && self.key.is_system() && self.desired.permissions.is_empty() && self.unknown.is_none() {
            let message = "no project fits spec.projects, or spec.projects.except takes everything away, so that the robot \
                           would have no permission; the account proceeds by itself when there is one";
            self.refused = Some(Failure::lasting("NoPermissions", message));
        }
    }
}

/// Takes out of the wish what this Harbor does not know, and says so.
/// `settled_on`: the account would give up a credential for another try of what Harbor refused.
fn give_up(desired: &mut Desired, registry: &ServedRegistry, settled_on: bool) -> Option<Failure> {
    let text = registry.session.info.as_ref().and_then(|info| info.version.as_deref());
    let version = text.and_then(Version::parse);
    let listed = registry.session.catalogue.as_deref();
    let told = registry.session.capabilities.refused_pairs(text, settled_on);
    let unknown = catalogue::unknown(version, listed, &desired.permissions, &told);
    if unknown.is_empty() {
        return None;
    }
    let place = match desired.home {
        Home::System => "spec.projects or spec.systemAccess",
        Home::Project(_) => "spec.access",
    };
    let message = format!(
        "{}: {}; correct or drop it in {place}",
        registry.object.spec.url,
        catalogue::describe(version, listed, &unknown)
    );
    desired.give_up(unknown);
    Some(Failure::lasting("PermissionUnknown", message))
}

/// Notes a refusal; true if the next pass can do better for it.
pub(super) fn learn(
    registry: &ServedRegistry,
    account: &Key,
    spec: &AccountSpec,
    sent: &Permissions,
    error: &Error,
) -> bool {
    match error {
        Error::PermissionUnknown(pair) => {
            let version = registry.session.info.as_ref().and_then(|info| info.version.as_deref());
            registry.session.capabilities.pair_refused(version, sent, pair)
        }
        // Of a system account the other projects are served. One that a pattern found is missed by the next list.
        Error::ProjectNotFound(project) if names(spec, project) => {
            registry.session.capabilities.set_project_missing(project, account)
        }
        _ => false,
    }
}
