//! Namespaces, and the copies of system accounts' Secrets in them.

use std::collections::BTreeMap;

use super::{Index, Inner, Key, intern};
use crate::api::{ObjectName, SystemSecretOutput};
use crate::cluster::objects::Version;
use crate::controllers::tracked::{Shown, Tracked};
use crate::domain::contest::Contest;
use crate::domain::spread;

/// A namespace that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// It is being deleted: nothing can be made in it any more.
    pub terminating: bool,
}

/// Where the Secret of a system account goes.
#[derive(Default)]
pub(super) struct SecretCopies {
    /// What is asked for, as the last pass saw it.
    pub(super) wish: SystemSecretOutput,
    pub(super) copies: BTreeMap<ObjectName, Copy>,
    /// All namespaces were searched for copies.
    searched: bool,
}

/// A system account's Secret in one namespace.
#[derive(Clone, Debug, Default)]
pub struct Copy {
    /// The Secret; nothing is left if that is not known.
    pub secret: Tracked,
    /// The digest of what the last pass left in it; 0 = something was not as it should be.
    pub content: u64,
    /// Others who undid our work lately.
    pub contest: Option<Box<Contest>>,
    /// Others who took our entry out of ServiceAccounts here.
    pub service_accounts: Option<Box<Contest>>,
}

impl Copy {
    /// Nobody else wrote to it since the last pass.
    pub fn is_quiet(&self) -> bool {
        self.secret.is_quiet()
    }
}

impl Index {
    /// Notes what the watch saw of a copy in a namespace; true if a pass should look. Copies are noted before their account is
    /// known, too: after a start they are all that tells where a Secret was taken to. One that goes is of interest only if a
    /// pass left it there: tenants can make and delete Secrets that look like copies.
    pub fn see_copy(&self, account: &Key, namespace: &ObjectName, version: Version, shown: Shown) -> bool {
        let mut inner = self.lock();
        let known = inner.entries.contains_key(account);
        if shown == Shown::Deleted {
            let Some(of_account) = inner.secret_copies.get_mut(account) else { return false };
            let left = of_account.copies.get(namespace).is_some_and(|copy| copy.secret.is_left());
            if !(known && left) {
                of_account.copies.remove(namespace);
                if !known && of_account.copies.is_empty() {
                    inner.secret_copies.remove(account);
                }
                return false;
            }
        }
        let copy = inner.secret_copies.entry(account.clone()).or_default().copies.entry(namespace.clone()).or_default();
        copy.secret.observe(version, shown) && known
    }

    /// What is known of a copy.
    pub fn copy(&self, account: &Key, namespace: &str) -> Copy {
        let inner = self.lock();
        inner.secret_copies.get(account).and_then(|all| all.copies.get(namespace)).cloned().unwrap_or_default()
    }

    /// The namespaces with a copy, as far as they are known.
    pub fn copied_to(&self, account: &Key) -> Vec<ObjectName> {
        let inner = self.lock();
        let copies = inner.secret_copies.get(account).map(|of_account| &of_account.copies);
        copies.into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// True the first time: no pass of this process has searched all namespaces for the account's copies.
    pub fn search_once(&self, account: &Key) -> bool {
        let mut inner = self.lock();
        !std::mem::replace(&mut inner.secret_copies.entry(account.clone()).or_default().searched, true)
    }

    /// Changes what is known of a copy.
    pub fn update_copy(&self, account: &Key, namespace: &ObjectName, change: impl FnOnce(&mut Copy)) {
        let mut inner = self.lock();
        change(inner.secret_copies.entry(account.clone()).or_default().copies.entry(namespace.clone()).or_default());
    }

    /// True if the copy in this namespace holds this content and neither it nor a ServiceAccount beside it was changed since.
    pub fn is_copy_settled(&self, account: &Key, namespace: &str, content: u64) -> bool {
        let inner = self.lock();
        let here = inner.service_accounts.get(namespace);
        let copy = inner.secret_copies.get(account).and_then(|of_account| of_account.copies.get(namespace));
        copy.is_some_and(|copy| copy.secret.is_left() && copy.is_quiet() && copy.content == content)
            && !here.is_some_and(|here| here.values().any(|named| named.is_news_to(account)))
    }

    /// There is no copy in this namespace any more, and none is wanted.
    pub fn drop_copy(&self, account: &Key, namespace: &str) {
        if let Some(of_account) = self.lock().secret_copies.get_mut(account) {
            of_account.copies.remove(namespace);
        }
    }

    /// The namespaces that a system account asks for, and those of them that are there. The wish is kept, so that a
    /// namespace that comes, changes or goes finds its accounts.
    pub fn copies_wanted(&self, account: &Key, wish: &SystemSecretOutput) -> Vec<(ObjectName, Option<Namespace>)> {
        let mut inner = self.lock();
        let wish = SystemSecretOutput {
            namespaces: wish.namespaces.clone(),
            namespace_selector: wish.namespace_selector.clone(),
            ..SystemSecretOutput::default()
        };
        let existing = inner.namespaces.iter().map(|(name, namespace)| (&**name, &namespace.labels));
        let wanted = spread::wanted(&wish, existing);
        let found = wanted.iter().filter_map(|name| {
            let name = ObjectName::new(name).ok()?;
            let namespace = inner.namespaces.get(&name).cloned();
            Some((name, namespace))
        });
        let found = found.collect();
        inner.secret_copies.entry(account.clone()).or_default().wish = wish;
        found
    }

    /// Notes what a namespace is like (`None`: it is gone); the accounts that should look.
    pub fn see_namespace(&self, name: &str, now: Option<&Namespace>) -> Vec<Key> {
        let mut inner = self.lock();
        let Some(shared) = intern(&mut inner.names, name) else { return Vec::new() };
        let before = match now.cloned() {
            Some(namespace) => inner.namespaces.insert(shared, namespace),
            None => inner.namespaces.remove(name),
        };
        if before.as_ref() == now {
            return Vec::new();
        }
        let asked = |wish: &SystemSecretOutput, namespace: Option<&Namespace>| {
            spread::wanted(wish, namespace.map(|namespace| (name, &namespace.labels))).contains(name)
        };
        let of_the_system = inner
            .secret_copies
            .iter()
            .filter(|(_, of_account)| asked(&of_account.wish, before.as_ref()) || asked(&of_account.wish, now));
        let of_the_system = of_the_system.map(|(key, _)| key.clone());
        let labels = |namespace: Option<&Namespace>| namespace.map(|namespace| namespace.labels.clone());
        let labels_changed = labels(before.as_ref()) != labels(now);
        let here = inner.entries.keys().filter(|key| labels_changed && key.namespace() == name).cloned();
        of_the_system.chain(here).collect()
    }

    /// The namespaces that are there.
    pub fn namespaces(&self) -> Vec<ObjectName> {
        self.lock().namespaces.keys().cloned().collect()
    }

    /// The accounts with a Secret on record that is not there, by its namespace and name. A system account's first one is at
    /// `home`.
    pub fn without_secret(&self, home: &str, lacks: impl Fn(&str, &str) -> bool) -> Vec<Key> {
        let mut inner = self.lock();
        let Inner { entries, secret_copies, .. } = &mut *inner;
        let mut without = Vec::new();
        for (key, entry) in entries {
            let name = entry.secret_name.as_deref().unwrap_or(&key.name);
            let namespace = key.namespace.as_deref().unwrap_or(home);
            let mut gone = entry.secret.is_left() && lacks(namespace, name);
            for (namespace, copy) in
                secret_copies.get_mut(key).into_iter().flat_map(|of_account| &mut of_account.copies)
            {
                if copy.secret.is_left() && lacks(namespace, name) {
                    (copy.secret, copy.content, gone) = (Tracked::default(), 0, true);
                }
            }
            if gone {
                without.push(key.clone());
            }
        }
        without
    }

    /// A namespace's labels; `None` if namespaces are not watched or this one is not known yet.
    pub fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        self.lock().namespaces.get(namespace).map(|namespace| namespace.labels.clone())
    }
}
