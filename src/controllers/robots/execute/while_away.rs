//! Namespaces that come and go while Harbor does not answer or refuses the login. What needs no Harbor is done: those that
//! come get the published credential, those that are not asked for any more lose it. Copies that are there stay as they are.

use std::collections::BTreeSet;

use super::super::Pass;
use super::STEP_TIME;
use super::spread::{Went, problem_of};
use crate::api::{AccountStatus, conditions as kinds};
use crate::cluster::secret_form::{Credential, Form};
use crate::cluster::secrets;
use crate::domain::conditions;
use crate::domain::spread::{self, Row};

impl Pass<'_> {
    /// Follows the namespaces and tells in `status` what came of it. `works`: nothing says that the credential is lost.
    pub(in super::super) async fn follow_namespaces(&self, status: &mut AccountStatus, works: bool) {
        let Some(wanted) = self.spread.as_ref().filter(|_| !self.is_deleting()) else { return };
        // Of an unknown host no Secret can be made, nor told whether one is as it should be.
        let Some(hosts) = self.registry.hosts() else { return };
        let owner = self.account.owner_reference();
        let form = Form {
            owner: &owner,
            wish: &self.desired.secret,
            hosts: &hosts,
            service_accounts: &self.desired.service_accounts,
        };
        let home = &*self.secret_namespace;
        let known = self.places();
        let names: BTreeSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let stale: Vec<&String> = known.iter().filter(|name| *name != home && !names.contains(name.as_str())).collect();
        // What failed before waits for Harbor, and for the pause that goes with it.
        let came: Vec<&str> = wanted
            .iter()
            .filter(|(_, found)| found.as_ref().is_some_and(|namespace| !namespace.terminating))
            .map(|(name, _)| name.as_str())
            .filter(|name| *name != home && !known.contains(*name) && spread::is_awaited(status, name))
            .collect();
        let nothing_to_do = stale.is_empty() && came.is_empty();
        if nothing_to_do || !self.ctx.claim.hold_for(STEP_TIME).await {
            return;
        }
        let (mut rows, mut gone) = (Vec::new(), BTreeSet::new());
        for name in stale {
            match self.take_away(name, &form).await {
                Ok(()) => _ = gone.insert(name.clone()),
                Err(error) => rows.push(Row { name: name.clone(), problem: Some(problem_of(&error, true)) }),
            }
        }
        if let Some((live, held)) = self.published(&form, works && !came.is_empty()).await {
            for name in came {
                let problem = match self.bring(name, &live, &form, &held).await {
                    Went::Well(_) => None,
                    Went::Wrong(problem, _) => Some(problem),
                };
                rows.push(Row { name: name.to_owned(), problem });
            }
        }
        spread::amend(status, &self.desired.secret.name, &rows, &gone);
    }

    /// The first Secret and the credential in it, if that is the one on record and as good as when Harbor was last seen.
    async fn published(&self, form: &Form<'_>, wanted: bool) -> Option<(secrets::Live, Credential)> {
        let status = self.account.status.as_ref().filter(|_| wanted && self.desired.enabled)?;
        let ready = conditions::is_true(&status.conditions, kinds::READY);
        let disabled = conditions::since(&status.conditions, kinds::READY, "Disabled").is_some();
        let here = status.registry.as_ref().and_then(|pinned| pinned.url.as_deref());
        let recorded = status.robot.as_ref().filter(|_| ready && !disabled)?;
        if here != Some(&self.registry.object.spec.url)
            || recorded.expires_at.is_some_and(|at| at <= self.registry_now())
        {
            return None;
        }
        let live = match secrets::read(&self.ctx.client, &self.secret_namespace, form).await {
            Ok(live) => live,
            Err(error) => {
                tracing::warn!(account = %self.key, %error, "the first Secret was not read");
                return None;
            }
        };
        let held = live.credential.clone()?;
        let same = held.robot.id == recorded.id && held.robot.created_at == recorded.created_at;
        let held = Credential { expires_at: recorded.expires_at, ..held };
        same.then_some((live, held))
    }
}
