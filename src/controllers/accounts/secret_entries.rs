//! Which entries of ServiceAccounts concern an account.

use super::Pass;
use crate::domain::secret_entries::SecretEntry;

impl Pass<'_> {
    /// Notes for the watch which ServiceAccounts concern this account.
    pub(super) fn note_secret_entries(&self) {
        let entries = &self.desired.entries;
        match &self.spread {
            None => self.ctx.index.set_secret_entries(self.key, &self.secret_namespace, entries),
            Some(spread) => {
                for (namespace, _) in spread {
                    self.ctx.index.set_secret_entries(self.key, namespace, entries);
                }
            }
        }
    }

    /// The entries in ServiceAccounts beside the first Secret: a system account's own namespace is one of many.
    pub(super) fn first_entries(&self) -> &[SecretEntry] {
        let here = self.spread.as_ref().is_none_or(|all| all.iter().any(|(name, _)| *name == self.secret_namespace));
        if here { &self.desired.entries } else { &[] }
    }
}
