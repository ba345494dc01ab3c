//! What accounts and sweeps depend on in a registry, in a few numbers. Whoever last acted on others acts again when the
//! registry answers, however many probes fail in between. Where a change comes before the first good probe of a process,
//! `keep_basis` says what accounts at rest acted on.

use super::{Registries, ServedRegistry, wish};
use crate::api::RegistryKey;
use crate::domain::digest;

/// What accounts depend on beside their own object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    /// The address, the login, the hosts and Harbor's version.
    known: u64,
    /// What the login may do; `None` until that could be asked for.
    rights: Option<u64>,
    /// The permissions that Harbor knows; `None` until they could be asked for.
    catalogue: Option<u64>,
}

impl Basis {
    /// True if accounts that acted on the one are to act on the other. What could not be asked for is no other thing once it
    /// can be.
    fn differs_from(&self, before: &Self) -> bool {
        let differ = |now: Option<u64>, before: Option<u64>| now.zip(before).is_some_and(|(now, before)| now != before);
        self.known != before.known || differ(self.rights, before.rights) || differ(self.catalogue, before.catalogue)
    }

    /// The same, with what is not known now as it was.
    fn or(self, before: &Self) -> Self {
        Self { rights: self.rights.or(before.rights), catalogue: self.catalogue.or(before.catalogue), ..self }
    }
}

impl ServedRegistry {
    /// What accounts depend on now.
    pub(super) fn basis(&self) -> Basis {
        let session = &self.session;
        let version = session.info.as_ref().map(|info| &info.version);
        Basis {
            known: digest((&self.object.spec.url, session.connection, self.hosts(), version)),
            rights: session.login_robot_seen.map(|_| digest(self.rights())),
            catalogue: session.catalogue_seen.map(|_| digest(&session.catalogue)),
        }
    }

    /// Changes with what sweeps depend on: whatever a person may edit, the login and what it may do, and outages, since nobody
    /// knows what happened in Harbor meanwhile.
    fn sweep_basis(&self) -> u64 {
        digest((wish(&self.object), self.session.connection, self.rights(), self.outages))
    }

    fn rights(&self) -> impl std::hash::Hash + use<> {
        (self.session.login_robot.as_ref().map(|robot| robot.rights), self.rights_returned)
    }

    /// A sweep is wanted beside those that come by themselves.
    pub(super) fn awaits_sweep(&self) -> bool {
        self.swept.basis != Some(self.sweep_basis())
    }

    /// Of an object that is about to change, what accounts acted on so far is kept.
    pub(super) fn keep_basis(&mut self) {
        self.acted_on = self.acted_on.or(Some(self.basis()));
    }
}

impl Registries {
    /// The registry answers: true if accounts last acted on another basis than the present one, once. The first basis of a
    /// process is taken as the one that accounts at rest acted on.
    pub(super) fn adopt_basis(&self, name: &RegistryKey) -> bool {
        let Some(state) = self.get(name) else { return false };
        let (basis, before) = (state.basis(), state.acted_on);
        let adopted = before.map_or(basis, |before| basis.or(&before));
        if before != Some(adopted) {
            self.change(name, |state| state.acted_on = Some(adopted));
        }
        before.is_some_and(|before| basis.differs_from(&before))
    }

    /// A sweep wants to begin: whether it may.
    pub fn may_sweep(&self, name: &RegistryKey) -> bool {
        let mut may = false;
        self.change(name, |state| {
            may = state.session.client.is_some() && state.trouble.is_none();
            if may {
                state.swept.basis = Some(state.sweep_basis());
            }
        });
        may
    }
}
