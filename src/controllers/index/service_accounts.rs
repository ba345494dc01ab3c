//! The ServiceAccounts that accounts name: what a pass left and what the watch saw since.

use std::collections::HashMap;

use super::{Index, Inner, Key};
use crate::api::ObjectName;
use crate::cluster::objects::Version;
use crate::controllers::tracked::{Shown, Tracked};
use crate::domain::secret_entries::{SecretEntry, SecretList};

/// A ServiceAccount that accounts name.
#[derive(Default)]
pub(super) struct Named {
    users: Vec<User>,
    /// The version that the watch showed last.
    seen: Version,
    /// A pass missed it, and its account says so.
    missed: bool,
}

/// An account that names a ServiceAccount.
struct User {
    account: Key,
    /// The lists that are to name its Secret.
    lists: Vec<SecretList>,
    /// The ServiceAccount as the account's last pass left it.
    tracked: Tracked,
}

impl Named {
    fn user(&mut self, account: &Key) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.account == *account)
    }

    /// It was changed since the account's last pass.
    pub(super) fn is_news_to(&self, account: &Key) -> bool {
        self.users.iter().any(|user| user.account == *account && !user.tracked.is_quiet())
    }
}

impl Index {
    /// Notes in which lists of which ServiceAccounts of a namespace an account's Secret is to be.
    pub fn set_secret_entries(&self, account: &Key, namespace: &ObjectName, entries: &[SecretEntry]) {
        let mut inner = self.lock();
        if entries.is_empty() {
            inner.forget_service_accounts(account, namespace);
            return;
        }
        let here = inner.service_accounts.entry(namespace.clone()).or_default();
        here.retain(|name, named| {
            if !entries.iter().any(|entry| entry.service_account == *name) {
                named.users.retain(|user| user.account != *account);
            }
            if let Some(user) = named.user(account) {
                user.lists.clear();
            }
            !named.users.is_empty()
        });
        for SecretEntry { service_account, list } in entries {
            let named = here.entry(service_account.clone()).or_default();
            if let Some(user) = named.user(account) {
                user.lists.push(*list);
                continue;
            }
            let mut tracked = Tracked::default();
            if named.seen != Version::NONE {
                tracked.observe(named.seen, Shown::Listed);
            }
            named.users.push(User { account: account.clone(), lists: vec![*list], tracked });
        }
    }

    /// Notes the version of a ServiceAccount that an account's pass found and the one that it left. A write of ours
    /// concerns one account's entry only: whoever knew the version before it knows the one after it.
    pub fn leave_service_account(&self, account: &Key, namespace: &str, name: &str, found: Version, left: Version) {
        let mut inner = self.lock();
        let here = inner.service_accounts.get_mut(namespace);
        let Some(named) = here.and_then(|here| here.get_mut(name)) else { return };
        for User { account: user, tracked, .. } in &mut named.users {
            // Found as it should be by whoever names it only now: the watch may have shown this version long ago, and then
            // never does again.
            if user == account && found == left && tracked.seen() == Version::NONE {
                *tracked = Tracked::found(left);
            } else if user == account || tracked.left() == found {
                tracked.leave(left);
            }
        }
    }

    /// The namespaces in which a ServiceAccount that the account names was changed since its last pass.
    pub fn places_with_news(&self, account: &Key) -> Vec<ObjectName> {
        self.lock().places_with_news(account).cloned().collect()
    }

    /// Notes that a ServiceAccount is not there: when it comes, nobody has taken the account's entry out.
    pub fn miss_service_account(&self, account: &Key, namespace: &str, name: &str) {
        let mut inner = self.lock();
        let Some(named) = inner.service_accounts.get_mut(namespace).and_then(|here| here.get_mut(name)) else { return };
        named.missed = true;
        if let Some(user) = named.user(account) {
            user.tracked = Tracked::default();
        }
    }

    /// True if a pass of this process left the account's entry in a ServiceAccount.
    pub fn has_served(&self, account: &Key, namespace: &str, name: &str) -> bool {
        let inner = self.lock();
        let named = inner.service_accounts.get(namespace).and_then(|here| here.get(name));
        named.is_some_and(|named| named.users.iter().any(|user| user.account == *account && user.tracked.is_left()))
    }

    /// Notes what the watch showed of a ServiceAccount: its version, and whether a list of it names a Secret. Answers with the
    /// accounts that should look. One whose Secret is in every list that it asks for has nothing to do there, whoever wrote and although no pass of this process
    /// looked before: so a start asks nobody about thousands of them.
    pub fn see_service_account(
        &self,
        namespace: &str,
        name: &str,
        version: Version,
        shown: Shown,
        names: impl Fn(SecretList, &str) -> bool,
    ) -> Vec<Key> {
        let mut inner = self.lock();
        let Inner { entries, service_accounts, .. } = &mut *inner;
        let here = service_accounts.get_mut(namespace);
        let Some(named) = here.and_then(|here| here.get_mut(name)) else { return Vec::new() };
        named.seen = version;
        let missed = std::mem::take(&mut named.missed);
        let mut look = Vec::new();
        for User { account: user, lists, tracked } in &mut named.users {
            if !tracked.observe(version, shown) {
                continue;
            }
            let secret = entries.get(user).map(|entry| entry.secret_name.as_deref().unwrap_or(&user.name));
            if !missed
                && shown != Shown::Deleted
                && secret.is_some_and(|secret| lists.iter().all(|list| names(*list, secret)))
            {
                tracked.accept();
            } else {
                look.push(user.clone());
            }
        }
        look
    }
}

impl Inner {
    /// See [`Index::places_with_news`].
    pub(super) fn places_with_news<'a>(&'a self, account: &'a Key) -> impl Iterator<Item = &'a ObjectName> {
        let all = account.is_system().then_some(&self.service_accounts).into_iter().flatten();
        let own = account.namespace.as_ref().and_then(|namespace| self.service_accounts.get_key_value(namespace));
        let news = |(_, here): &(_, &HashMap<ObjectName, Named>)| here.values().any(|named| named.is_news_to(account));
        own.into_iter().chain(all).filter(news).map(|(namespace, _)| namespace)
    }

    pub(super) fn forget_service_accounts(&mut self, account: &Key, namespace: &str) {
        let Some(here) = self.service_accounts.get_mut(namespace) else { return };
        here.retain(|_, named| {
            named.users.retain(|user| user.account != *account);
            !named.users.is_empty()
        });
        if here.is_empty() {
            self.service_accounts.remove(namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, key};
    use super::*;

    fn v(number: u32) -> Version {
        Version::numbered(number)
    }

    fn index(accounts: &[&str]) -> Index {
        let index = Index::default();
        for name in accounts {
            index.set(key(name), entry("p"));
            let entry = SecretEntry { service_account: "default".parse().unwrap(), list: SecretList::ImagePullSecrets };
            index.set_secret_entries(&key(name), &"n".parse().unwrap(), &[entry]);
        }
        index
    }

    #[test]
    fn one_that_was_found_as_it_should_be_is_looked_at_when_the_entry_goes() {
        let index = index(&["a"]);
        // The watch showed this version before the account named it, and will not again.
        index.leave_service_account(&key("a"), "n", "default", v(5), v(5));
        assert_eq!(index.see_service_account("n", "default", v(6), Shown::Event, |_, _| false), [key("a")]);
        // One of our own writes is waited for.
        index.leave_service_account(&key("a"), "n", "default", v(6), v(7));
        assert!(index.see_service_account("n", "default", v(7), Shown::Event, |_, _| true).is_empty());
    }

    #[test]
    fn only_accounts_whose_secret_is_not_named_look() {
        let index = index(&["a", "b"]);
        assert_eq!(index.see_service_account("n", "default", v(5), Shown::Event, |_, name| name == "a"), [key("b")]);
        assert!(index.has_served(&key("a"), "n", "default") && index.places_with_news(&key("a")).is_empty());
        index.leave_service_account(&key("b"), "n", "default", v(5), v(6));
        // Our own write comes back, and somebody else's that keeps both.
        assert!(index.see_service_account("n", "default", v(6), Shown::Event, |_, _| true).is_empty());
        assert!(index.see_service_account("n", "default", v(7), Shown::Event, |_, _| true).is_empty());
        // It goes, and with it both.
        assert_eq!(index.see_service_account("n", "default", v(8), Shown::Deleted, |_, _| false), [key("a"), key("b")]);
        assert!(
            index.see_service_account("n", "other", v(9), Shown::Event, |_, _| false).is_empty(),
            "nobody names it"
        );
    }

    #[test]
    fn one_that_was_missed_is_looked_at_whatever_it_names() {
        let index = index(&["a"]);
        index.miss_service_account(&key("a"), "n", "default");
        assert_eq!(
            index.see_service_account("n", "default", v(5), Shown::Event, |_, _| true),
            [key("a")],
            "its status says that it is missing"
        );
        index.leave_service_account(&key("a"), "n", "default", v(5), v(5));
        assert!(index.see_service_account("n", "default", v(6), Shown::Event, |_, _| true).is_empty());
    }
}
