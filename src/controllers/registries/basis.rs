//! What accounts and sweeps depend on in a registry, as one number each. Whoever last acted on another number acts again when
//! the registry answers, however many probes fail in between. Where a change comes before the first good probe of a process,
//! `keep_basis` says what accounts at rest acted on.

use super::{Registries, RegistryState, wish};
use crate::api::RegistryKey;
use crate::controllers::index::digest;

impl RegistryState {
    /// Changes with what accounts depend on beside their own object: the address, the login and what it may do, the hosts,
    /// Harbor's version and permissions.
    pub(super) fn basis(&self) -> u64 {
        let version = self.session.info.as_ref().map(|info| &info.version);
        digest((
            &self.object.spec.url,
            self.session.connection,
            self.rights(),
            self.hosts(),
            version,
            &self.session.catalogue,
        ))
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
        let basis = state.basis();
        if state.acted_on != Some(basis) {
            self.change(name, |state| state.acted_on = Some(basis));
        }
        state.acted_on.is_some_and(|before| before != basis)
    }

    /// A sweep wants to begin: whether it may. `None` = no such registry.
    pub fn may_sweep(&self, name: &RegistryKey) -> Option<bool> {
        let mut may = None;
        self.change(name, |state| {
            let usable = state.session.client.is_some() && state.trouble.is_none();
            if usable {
                state.swept.basis = Some(state.sweep_basis());
            }
            may = Some(usable);
        });
        may
    }
}
