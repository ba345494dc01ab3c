//! What the registry's grants give the account, and for how long a refusal is not acted on.

use std::time::Instant;

use jiff::SignedDuration;

use super::Gathered;
use crate::api::{ExpiresAfter, conditions as kinds};
use crate::controllers::accounts::Pass;
use crate::domain::conditions;
use crate::domain::desired::Desired;
use crate::domain::grants::{self, Granted, Origin, Refusal};
use crate::domain::permissions::Access;
use crate::domain::plan::Permit;
use crate::domain::report::Failure;
use crate::domain::robot::Lifetime;

impl Pass<'_> {
    pub(super) fn check_grants(&self, gathered: &mut Gathered) {
        if let Some(Failure { reason, message, .. }) = &self.refused {
            gathered.refusal = Some((reason, message.clone()));
            gathered.observed.permit = Permit::Refused;
            // Harbor takes no PUT without permissions, not even to disable: the robot goes.
            gathered.observed.may_update = false;
            return;
        }
        match self.ask_grants(&self.desired) {
            Ok(granted) => {
                gathered.observed.may_adopt = granted.adoption;
                self.ctx.index.update(self.key, |entry| {
                    if let Some(contests) = &mut entry.contests {
                        contests.refused = None;
                    }
                });
            }
            Err(refusal) => {
                let text = format!("registry {}: {refusal}", self.registry.key);
                gathered.refusal = Some(("NotPermitted", text));
                gathered.observed.permit = Permit::Refused;
                // Whoever looks ahead wants to know what comes after the delay.
                if gathered.observed.finalizer && !self.looks_ahead {
                    self.check_revocation(gathered);
                }
            }
        }
    }

    fn ask_grants(&self, desired: &Desired) -> Result<Granted, Refusal> {
        // Whoever may make a SystemRobotAccount, or has a login of the namespace's own, may ask for all that the login has.
        if self.key.is_system() || self.registry.is_tenants() {
            return Ok(Granted { adoption: true });
        }
        let labels = self.ctx.index.labels(self.key.namespace());
        let origin = Origin { namespace: self.key.namespace(), labels: labels.as_ref() };
        grants::check(self.registry.object.spec.grants.as_deref().unwrap_or_default(), origin, desired)
    }

    /// The account asks for more than is granted, or its robot holds more: `suspend` and `Retain`, which are in the hands
    /// of whoever lost the grant, must not keep that alive.
    pub(in crate::controllers::accounts) fn exceeds_grants(&self) -> bool {
        let status = self.account.status.clone().unwrap_or_default();
        let pairs = status.permissions.iter();
        let pairs = pairs.flat_map(|row| row.actions.iter().map(|action| Access::new(&row.resource, action))).collect();
        let mut held = self.desired.clone();
        held.permissions.values_mut().for_each(|wished| wished.clone_from(&pairs));
        if let Some(Ok(days)) = status.expires_after.map(|text| ExpiresAfter(text).days()) {
            held.lifetime = days.map_or(Lifetime::Never, Lifetime::Days);
        }
        self.ask_grants(&self.desired).is_err() || self.ask_grants(&held).is_err()
    }

    /// The delay counts from the moment that status said so first, in registry time as status does. Whoever may write status
    /// cannot make it longer: it has passed by the time that this process knows of, too.
    fn check_revocation(&self, gathered: &mut Gathered) {
        let delay = SignedDuration::try_from(self.registry.grant_revocation_delay()).unwrap_or(SignedDuration::MAX);
        let now = gathered.observed.now;
        let said = self.account.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let since = conditions::since(said, kinds::READY, "NotPermitted").unwrap_or(now);
        let mut refused = Instant::now();
        self.ctx.index.update(self.key, |entry| {
            refused = *entry.contests.get_or_insert_default().refused.get_or_insert(refused);
        });
        let known = SignedDuration::try_from(refused.elapsed()).unwrap_or(SignedDuration::MAX);
        let left = delay.saturating_sub(now.duration_since(since).max(known));
        if left > SignedDuration::ZERO {
            gathered.observed.permit = Permit::Lapsing;
            gathered.wake = Some(now + left);
        }
    }
}
