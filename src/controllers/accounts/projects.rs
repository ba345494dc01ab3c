//! The projects of a system account: found by pattern, and without those that do not exist.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::prepare::wish;
use super::{Pass, gather::Stop};
use crate::api::AccountSpec;
use crate::controllers::Key;
use crate::controllers::registries::{self, ServedRegistry};
use crate::domain::desired::Desired;
use crate::domain::projects;
use crate::domain::report::Failure;
use crate::domain::robot::{Home, Scope};
use crate::engine::Cause;

/// True if the account's permissions depend on which projects there are.
pub(super) fn by_pattern(spec: &AccountSpec) -> bool {
    match spec {
        AccountSpec::Project(_) => false,
        AccountSpec::System(spec) => projects::depend_on_names(spec),
    }
}

/// The projects that a system account names itself.
fn selected(spec: &AccountSpec) -> impl Iterator<Item = &str> {
    let projects = match spec {
        AccountSpec::Project(_) => None,
        AccountSpec::System(spec) => spec.projects.as_ref(),
    };
    projects.into_iter().flat_map(|projects| projects.selected.iter().flatten()).map(|entry| entry.project.as_str())
}

/// True if a system account names the project itself.
pub(super) fn names(spec: &AccountSpec, project: &str) -> bool {
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
            let failure = Failure { reason: "LoginCannotListProjects", message, permanent: true };
            return Err(Stop::Wish { failure, lost: false });
        }
        let age = if self.cause == Cause::Change {
            registries::FRESH
        } else {
            // Each poll lists anew and says when that changes something.
            self.registry.poll_interval(&self.ctx.settings).saturating_mul(2)
        };
        registries::projects(self.ctx, &self.registry_name, age).await.map_err(Stop::Registry)
    }
}

/// Takes projects out of the wish that do not exist. One that an account names itself is told; one that a pattern found and
/// that went since is not missed.
pub(super) fn give_up_missing(
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
    (!named.is_empty()).then(|| Failure {
        reason: "ProjectNotFound",
        message: format!(
            "{}: {} in spec.projects.selected, but not in Harbor; create what is missing, and the account proceeds by itself",
            registry.object.spec.url,
            named.join(", ")
        ),
        permanent: true,
    })
}
