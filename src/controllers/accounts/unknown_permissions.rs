//! Permissions that this Harbor does not know: told before any call where a list says so, learned from its refusal
//! otherwise. An account that has a credential goes on with the rest, so that an upgrade of Harbor never ends in an
//! expired login.

use super::{Pass, projects};
use crate::api::AccountSpec;
use crate::controllers::Key;
use crate::controllers::registries::ServedRegistry;
use crate::domain::catalogue::{self, Version};
use crate::domain::desired::Desired;
use crate::domain::report::Failure;
use crate::domain::robot::{Home, Permissions};
use crate::registry;

impl Pass<'_> {
    /// Leaves out of the wish what this Harbor does not know or have. Of a system account nothing may be left.
    pub(super) fn leave_out(&mut self, projects_found: bool) {
        let missing = projects::give_up_missing(&mut self.desired, self.key, &self.account.spec, &self.registry);
        // Another try would need the slot of a credential that is promised to pods for a while.
        let settled_on = self.account.status.as_ref().is_some_and(|status| status.previous.is_some());
        self.unknown = give_up(&mut self.desired, &self.registry, settled_on).or(missing).or(self.unknown.take());
        if projects_found && self.key.is_system() && self.desired.permissions.is_empty() && self.unknown.is_none() {
            let message = "no project fits spec.projects, or spec.projects.except takes everything away, so that the robot \
                           would have no permission; the account proceeds by itself when there is one";
            self.refused = Some(Failure { reason: "NoPermissions", message: message.to_owned(), permanent: true });
        }
    }
}

/// Takes out of the wish what this Harbor does not know, and says so.
/// `settled_on`: the account would give up a credential for another try of what Harbor refused.
pub(super) fn give_up(desired: &mut Desired, registry: &ServedRegistry, settled_on: bool) -> Option<Failure> {
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
    Some(Failure { reason: "PermissionUnknown", message, permanent: true })
}

/// Notes a refusal; true if the next pass can do better for it.
pub(super) fn learn(
    registry: &ServedRegistry,
    account: &Key,
    spec: &AccountSpec,
    sent: &Permissions,
    error: &registry::Error,
) -> bool {
    match error {
        registry::Error::PermissionUnknown { pair } => {
            let version = registry.session.info.as_ref().and_then(|info| info.version.as_deref());
            registry.session.capabilities.pair_refused(version, sent, pair)
        }
        // Of a system account the other projects are served. One that a pattern found is missed by the next list.
        registry::Error::ProjectNotFound { project } if projects::names(spec, project) => {
            registry.session.capabilities.set_project_missing(project, account)
        }
        _ => false,
    }
}
