//! Permissions that this Harbor does not know: told before any call where a list says so, learned from its refusal
//! otherwise. An account that has a credential goes on with the rest, so that an upgrade of Harbor never ends in an
//! expired login.

use crate::controllers::registries::RegistryState;
use crate::domain::catalogue::{self, Kind, Version};
use crate::domain::desired::Desired;
use crate::domain::report::Failure;
use crate::domain::robot::Home;
use crate::registry;

/// Takes out of the wish what this Harbor does not know, and says so.
pub(super) fn give_up(desired: &mut Desired, registry: &RegistryState) -> Option<Failure> {
    let text = registry.info.as_ref().and_then(|info| info.version.as_deref());
    let version = text.and_then(Version::parse);
    let unknown = catalogue::unknown(version, &desired.permissions, &registry.learned.unknown_pairs(text));
    if unknown.is_empty() {
        return None;
    }
    let kind = match desired.home {
        Home::System => Kind::System,
        Home::Project(_) => Kind::Project,
    };
    let message = format!(
        "{}: {}; correct or drop it in spec.access",
        registry.object.spec.url,
        catalogue::describe(version, kind, &unknown)
    );
    desired.give_up(unknown);
    Some(Failure { reason: "PermissionUnknown", message, permanent: true })
}

/// Notes a refusal; true if the next pass can do better for it.
pub(super) fn learn(registry: &RegistryState, error: &registry::Error) -> bool {
    let registry::Error::PermissionUnknown { pair } = error else { return false };
    registry.learned.set_unknown(registry.info.as_ref().and_then(|info| info.version.as_deref()), pair)
}
