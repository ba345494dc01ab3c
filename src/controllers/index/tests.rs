//! What the index keeps, and that it does not keep it for ever.

use super::*;
use crate::domain::secret_entries::{SecretEntry, SecretList};

pub(super) fn key(name: &str) -> Key {
    Key { namespace: Some("n".parse().unwrap()), name: name.parse().unwrap() }
}

/// An account at rest in a project, of registry `main`.
pub(super) fn entry(project: &str) -> Entry {
    let home = Arc::new(Home::Project(project.to_owned()));
    Entry {
        base_name: "ci".into(),
        may_have_robots: true,
        had_robots: true,
        told: Told { state: State::Ready, expires: None, renews: None },
        ..Entry::new(1, RegistryKey::cluster("main").unwrap(), home)
    }
}

#[test]
fn with_its_accounts_everything_goes() {
    let index = Index::default();
    for n in 0..1_000 {
        let namespace = format!("team-{n}");
        let key = index.key(Some(&namespace), "ci").unwrap();
        let home = index.home(&Home::Project(namespace.clone()));
        let registry = RegistryKey::namespaced(&namespace, "own").unwrap();
        index.set(key.clone(), Entry { home, registry, deleting: n == 7, ..entry(&namespace) });
        let here = key.namespace.clone().unwrap();
        let entry = SecretEntry { service_account: "default".parse().unwrap(), list: SecretList::ImagePullSecrets };
        index.set_secret_entries(&key, &here, &[entry]);
    }
    let own = |namespace| RegistryKey::namespaced(namespace, "own").unwrap();
    assert!(index.has_deleting(&own("team-7")) && !index.has_deleting(&own("team-8")));
    for n in 0..1_000 {
        let key = index.key(Some(&format!("team-{n}")), "ci").unwrap();
        assert!(index.remove(&key).is_some());
    }
    let inner = index.lock();
    assert!(inner.entries.is_empty() && inner.service_accounts.is_empty() && inner.secret_copies.is_empty());
    // Whoever takes the last one away still holds its names.
    assert!(inner.names.len() <= 2 && inner.homes.len() <= 1, "{} {}", inner.names.len(), inner.homes.len());
}

#[test]
fn accounts_that_come_and_go_leave_nothing_behind_beside_one_that_stays() {
    let index = Index::default();
    index.set(index.key(Some("stays"), "ci").unwrap(), entry("stays"));
    for n in 0..10_000 {
        let namespace = format!("passing-{n}");
        let key = index.key(Some(&namespace), "ci").unwrap();
        let home = index.home(&Home::Project(namespace.clone()));
        index.set(key.clone(), Entry { home, ..entry(&namespace) });
        index.remove(&key);
    }
    let inner = index.lock();
    assert!(inner.names.len() < 200 && inner.homes.len() < 200, "{} {}", inner.names.len(), inner.homes.len());
}
