//! The last step for an account that is being deleted: what is left of it in the cluster, then its finalizer.

use std::sync::Arc;

use super::{Run, Trouble};
use crate::api::keys;
use crate::cluster::{self, accounts};

impl Run<'_, '_> {
    pub(super) async fn remove_finalizer(&mut self) -> Result<(), Trouble> {
        let ctx = Arc::clone(self.pass.ctx);
        if !self.pass.desired.retain {
            self.withdraw(false).await?;
            self.enter_service_accounts(&[]).await?;
            if self.pass.key.is_system() {
                // Its Secrets lie in namespaces of others: none waits for the garbage collector.
                ctx.metrics.kube_write("secret");
                match self.pass.first_secret(&[]).delete(&self.done.live).await {
                    Ok(live) => self.done.live = live,
                    // What refuses this refuses it to the garbage collector, too, and what is in there logs in nowhere.
                    Err(cluster::Error::Refused(why)) => {
                        let text = format!(
                            "Secret {} in namespace {} is left and has to be deleted by hand: {why}",
                            self.pass.desired.secret.name, self.pass.secret_namespace
                        );
                        self.pass.event(true, "KubernetesRefused", text);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if let Some((namespace, entry, why)) = self.left.first() {
            // An entry for a Secret that is gone is harmless, and no reason to hold the account.
            let others = match self.left.len() - 1 {
                0 => String::new(),
                more => format!(" and of {more} more"),
            };
            let text = format!(
                "Secret {} is left in {entry}{}{others}, to be taken out by hand: \
                 Kubernetes refuses the change: {why}",
                self.pass.desired.secret.name,
                self.pass.place(namespace)
            );
            tracing::warn!(account = %self.pass.key, "{text}");
            self.pass.event(true, "KubernetesRefused", text);
        }
        if self.observed.abandoned {
            self.pass.tell_abandoned();
            ctx.metrics.abandoned();
        }
        ctx.metrics.kube_write("finalizer");
        accounts::remove_finalizer(&ctx.client, &self.pass.account, keys::FINALIZER_ROBOT).await?;
        self.done.removed = true;
        Ok(())
    }
}
